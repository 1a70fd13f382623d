"""Kolmogorov–Smirnov: the largest distance between the two empirical distribution functions, from 0 to 1.

p-values are exact for small samples (equal sizes, or n_r n_c ≤ 1,000,000): the share of lattice paths that leave the
corridor. Else Kolmogorov's limit at sqrt(n_e) D + 1/(6 sqrt(n_e)), n_e = n_r n_c / (n_r + n_c), whose second term is
the first order of the Pelz–Good series. Values that repeat make all of them conservative: the p-value is too
large, never too small. So is any exact one of a statistic with steps: with 100 and 100 values D = 0.20 has p = 0.037
and 0.19 has 0.054, so that "p ≤ 0.05" happens in 3.7 % of the cases without drift.

References
----------
Hodges: The significance probability of the Smirnov two-sample test. Arkiv för Matematik 3, 1957 (paths; equal sizes).
Vrbik: Small-sample corrections to Kolmogorov–Smirnov test statistic. Pioneer J. Theor. Appl. Stat. 15, 2018.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlmagic._optional import need
from mlmagic.checks.drift.finding import Finding
from mlmagic.checks.profile import Numbers

KINDS: tuple[str, ...] = ("numeric", "datetime")
DECIDES = True
ALARM = 0.1
_PATHS = 1_000_000  # nodes of the lattice up to which paths are counted: some milliseconds
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
_ROUNDING = 1e-9  # below it the exact p-value is what is left of 1 after rounding


def distance(reference: NDArray[np.float64], current: NDArray[np.float64]) -> int:
    """D times both sizes, of two sorted samples: a whole number.

    Between neighbours in the reference one function is constant and the other rises, so the largest distance is just
    before or at a value of the reference.
    """
    sizes = reference.size, current.size
    farthest = 0
    for side in _SIDES:
        before = np.searchsorted(reference, reference, side)
        now = np.searchsorted(current, reference, side)
        farthest = max(farthest, int(np.abs(before * sizes[1] - now * sizes[0]).max()))
    return farthest


def p_value(farthest: int, n: int, m: int) -> float:
    """Chance of at least this distance (times n m) between samples of n and m from one continuous distribution."""
    exact = None
    if n == m:
        exact = _equal_sizes(farthest // n, n)
    elif n * m <= _PATHS:
        exact = _paths(farthest, min(n, m), max(n, m))
    return _limit(farthest / (n * m), n, m) if exact is None or exact < _ROUNDING else exact


def _limit(statistic: float, n: int, m: int) -> float:
    root = math.sqrt(n * m / (n + m))
    return float(need("scipy.special").kolmogorov(root * statistic + 1 / (6 * root))) if statistic > 0 else 1.0


def _equal_sizes(steps: int, n: int) -> float:
    """2 sum (-1)^(j+1) C(2n, n - j steps) / C(2n, n), by reflecting paths at the corridor's walls."""
    if steps == 0:
        return 1.0
    j = np.arange(1, n // steps + 1)
    ln = need("scipy.special").gammaln
    terms = np.exp(2 * ln(n + 1) - ln(n - j * steps + 1) - ln(n + j * steps + 1))
    return float(np.clip(2 * np.sum(np.where(j % 2, terms, -terms)), 0, 1))


def _paths(farthest: int, n: int, m: int) -> float:
    """1 - the share of the paths from (0, 0) to (n, m) on which |i m - j n| stays below `farthest`."""
    j = np.arange(m + 1)
    ways, logs = (j == 0).astype(np.float64), 0.0
    for i in range(n + 1):
        inside = np.abs(i * m - j * n) < farthest
        first, last = np.argmax(inside), m - np.argmax(inside[::-1])
        row = np.cumsum(ways[first : last + 1])  # from below, and from the left inside the corridor
        ways = np.zeros(m + 1)
        if not inside[first] or not row[-1]:
            return 1.0
        ways[first : last + 1] = row / row[-1]  # the numbers outgrow floats
        logs += math.log(row[-1])
    all_paths = math.lgamma(n + m + 1) - math.lgamma(n + 1) - math.lgamma(m + 1)
    return 1.0 - float(ways[-1]) * math.exp(logs - all_paths) if ways[-1] else 1.0


def measure(reference: Numbers, current: Numbers, alpha: float) -> Finding | None:
    """The statistic of a column, as `finding.Detector` says."""
    n, m = reference.values.size, current.values.size
    farthest = distance(reference.values, current.values)
    statistic = farthest / (n * m)
    critical = float(need("scipy.special").kolmogi(alpha)) * math.sqrt((n + m) / (n * m))
    return Finding(statistic, p_value(farthest, n, m), ALARM, ALARM, critical, words=f"KS {statistic:.2g}")
