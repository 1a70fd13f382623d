"""Wasserstein-1 distance in standard deviations of the reference: how far values moved on average.

The area between the two empirical distribution functions, divided by the reference's standard deviation; a shift of all
values by half a standard deviation gives 0.5. Where the reference hardly varies (less than a billionth of its largest
value: a constant, up to rounding), the pooled standard deviation stands in; a floor in absolute terms would
hide what happens in columns of small units.

An effect size: beside others it makes a column worth a look, and does not call drift. Chance alone gives 0.1 and more
in 74 % of the comparisons of 200 with 200 normal values [measured]; its p-value is from simulated Brownian bridges
under the pooled distribution.

References
----------
del Barrio, Giné, Matrán: Central limit theorems for the Wasserstein distance between the empirical and the true
distributions. Annals of Probability 27, 1999 (the limit, which needs the integral of sqrt(F (1 - F)) to be finite).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlmagic.checks.drift import chance
from mlmagic.checks.drift.finding import Finding
from mlmagic.checks.profile import Numbers

KINDS: tuple[str, ...] = ("numeric", "datetime")
DECIDES = False
ALARM = 0.1
_VARIES = 1e-9  # of the largest value

Floats = NDArray[np.float64]


def steps(reference: Floats, current: Floats) -> tuple[Floats, Floats, Floats]:
    """Of two sorted samples: lengths of the intervals between neighbouring values, and both functions on them."""
    both = np.sort(np.concatenate([reference, current]), kind="stable")  # two runs: merged, not sorted
    before, now = (np.searchsorted(values, both[:-1], "right") / values.size for values in (reference, current))
    return np.diff(both), before, now


def distance(reference: Floats, current: Floats) -> float:
    """Wasserstein-1 distance of two sorted samples, in their unit."""
    widths, before, now = steps(reference, current)
    return float(np.dot(widths, np.abs(before - now)))


def scale(reference: Numbers, current: Numbers) -> float:
    """The standard deviation to measure in; 0 where nothing varies at all."""
    if reference.sd > _VARIES * max(abs(reference.low), abs(reference.high)):
        return reference.sd
    with np.errstate(over="ignore"):  # then it is infinite, and of no use
        return float(np.std(np.concatenate([reference.values, current.values])))


def measure(reference: Numbers, current: Numbers, alpha: float) -> Finding | None:
    """The statistic of a column, as `finding.Detector` says."""
    unit = scale(reference, current)
    if not (unit > 0 and math.isfinite(unit)):
        return None
    n, m = reference.values.size, current.values.size
    widths, before, now = steps(reference.values / unit, current.values / unit)
    moved = float(np.dot(widths, np.abs(before - now)))
    null = chance.area((n * before + m * now) / (n + m), widths, math.sqrt(1 / n + 1 / m))
    if null is None:
        return None
    return Finding(moved, null.p_value(moved), ALARM, ALARM, null.critical(alpha), words=f"moved by {moved:.2g} sd")
