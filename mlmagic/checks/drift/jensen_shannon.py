"""Jensen–Shannon distance, base 2: how far the shares in the reference's bins are from those of now, from 0 to 1.

sqrt(KL(r, m) / 2 + KL(c, m) / 2) with m the mean of the two. The distance (the root), as scipy has it; some call its
square so. An effect size: beside others it makes a column worth a look, and does not call drift.

References
----------
Endres, Schindelin: A new metric for probability distributions. IEEE Trans. Information Theory 49, 2003.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.checks.drift import bins
from mlmagic.checks.drift.finding import Finding
from mlmagic.checks.profile import Numbers

KINDS: tuple[str, ...] = ("numeric", "datetime")
DECIDES = False
ALARM = 0.1


def divergence(reference: NDArray[Any], current: NDArray[Any]) -> NDArray[np.float64]:
    """The square of the distance, in bits, of counts in bins, shape (..., bins)."""
    before = reference / reference.sum(axis=-1, keepdims=True)
    now = current / current.sum(axis=-1, keepdims=True)
    mean = (before + now) / 2
    return np.asarray(np.maximum(_surprise(before, mean) + _surprise(now, mean), 0.0) / 2)


def _surprise(shares: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """KL in bits; an empty bin adds nothing."""
    ratio = np.divide(shares, mean, out=np.ones_like(mean), where=shares > 0)
    return np.asarray((shares * np.log2(ratio)).sum(axis=-1))


def measure(reference: Numbers, current: Numbers, alpha: float) -> Finding | None:
    """The statistic of a column, as `finding.Detector` says."""
    found = float(divergence(*bins.counts(reference, current)))
    # In nats an eighth of PSI where both are small, and so of its chi-square limit.
    null = bins.without_drift(divergence, reference, current, 1 / (8 * math.log(2)), found)
    if null is None:
        return None
    distance = math.sqrt(found)
    p_value, critical = null.p_value(found), math.sqrt(null.critical(alpha))
    return Finding(distance, p_value, ALARM, ALARM, critical, words=f"Jensen–Shannon {distance:.2g}")
