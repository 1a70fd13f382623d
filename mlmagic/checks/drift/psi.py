"""Population stability index: how differently rows fall into the reference's deciles.

sum (c_i - r_i) ln(c_i / r_i) over the bins, with shares smoothed as (count + 0.5) / (n + 0.5 bins), so that an empty
bin counts for what it may be, not for infinity. The symmetric Kullback–Leibler divergence; eight times the
Jensen–Shannon divergence where both are small.

0.1 and 0.25 are the customary limits. Without drift PSI is (1/n_r + 1/n_c) chi-square(bins - 1): 0.18 on average with
two samples of 100, so that the limits alone would alarm at anything there.

References
----------
Yurdakul: Statistical Properties of Population Stability Index. Western Michigan University, 2018. (Its chi-square limit
was checked here by simulation.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.checks.drift import bins
from mlmagic.checks.drift.finding import Finding
from mlmagic.checks.profile import Numbers

KINDS: tuple[str, ...] = ("numeric", "datetime")
DECIDES = True
WARN, ALARM = 0.1, 0.25


def psi(reference: NDArray[Any], current: NDArray[Any]) -> NDArray[np.float64]:
    """PSI of counts in bins, shape (..., bins)."""
    before, now = _smoothed(reference), _smoothed(current)
    return np.asarray(((now - before) * np.log(now / before)).sum(axis=-1))


def _smoothed(counts: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray((counts + 0.5) / (counts.sum(axis=-1, keepdims=True) + 0.5 * counts.shape[-1]))


def measure(reference: Numbers, current: Numbers, alpha: float) -> Finding | None:
    """The statistic of a column, as `finding.Detector` says."""
    statistic = float(psi(*bins.counts(reference, current)))
    null = bins.without_drift(psi, reference, current, 1.0, statistic)
    if null is None:
        return None
    p_value, critical = null.p_value(statistic), null.critical(alpha)
    return Finding(statistic, p_value, WARN, ALARM, critical, words=f"PSI {statistic:.2g}")
