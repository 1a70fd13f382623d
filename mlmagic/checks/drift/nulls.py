"""Difference of the shares of nulls: are more values missing than in the reference, or fewer?

Exact where there are few nulls or few values (Fisher's conditional distribution, two-sided by probability, mid-p: half
the probability of what is as likely as the table at hand), else the two-proportion test with the N - 1 of Campbell.
With hardly any nulls to deal out, an exact test rejects less often than its level says.

References
----------
Lancaster: Significance tests in discrete distributions. JASA 56, 1961 (mid-p).
Campbell: Chi-squared and Fisher–Irwin tests of two-by-two tables. Statistics in Medicine 26, 2007.
"""

from __future__ import annotations

import math

import numpy as np

from mlmagic._optional import need
from mlmagic.checks.drift.finding import Finding
from mlmagic.checks.profile import Categories, Numbers

KINDS: tuple[str, ...] = ("numeric", "datetime", "categorical", "boolean")
DECIDES = True
WARN, ALARM = 0.01, 0.05
_FEW = 1_000  # nulls, or values, up to which the exact distribution is summed


def p_value(nulls: tuple[int, int], rows: tuple[int, int]) -> float:
    """Chance of shares that differ at least so much, two-sided."""
    all_nulls, all_rows = sum(nulls), sum(rows)
    if min(all_nulls, all_rows - all_nulls) > _FEW:
        return math.erfc(abs(_z(nulls, rows)) / math.sqrt(2))
    ways = need("scipy.special").gammaln
    x = np.arange(max(0, all_nulls - rows[1]), min(all_nulls, rows[0]) + 1)
    logs = -sum(ways(part + 1) for part in (x, rows[0] - x, all_nulls - x, rows[1] - all_nulls + x))
    chances = np.exp(logs - logs.max())
    chances /= chances.sum()
    mine = chances[nulls[0] - x[0]]
    alike = np.isclose(chances, mine, rtol=1e-7)
    return float(chances[(chances < mine) & ~alike].sum() + chances[alike].sum() / 2)


def _z(nulls: tuple[int, int], rows: tuple[int, int]) -> float:
    share, n = sum(nulls) / sum(rows), sum(rows)
    spread = share * (1 - share) * (1 / rows[0] + 1 / rows[1]) * n / (n - 1)
    return (nulls[1] / rows[1] - nulls[0] / rows[0]) / math.sqrt(spread)


def measure(reference: Numbers | Categories, current: Numbers | Categories, alpha: float) -> Finding | None:
    """The statistic of a column, as `finding.Detector` says."""
    nulls, rows = (reference.nulls, current.nulls), (reference.rows, current.rows)
    before, now = nulls[0] / rows[0], nulls[1] / rows[1]
    if sum(nulls) in (0, sum(rows)):  # nothing to deal out: no test, as it would only make the others harder to pass
        return Finding(0.0, None, WARN, ALARM)
    share = sum(nulls) / sum(rows)
    spread = math.sqrt(share * (1 - share) * (1 / rows[0] + 1 / rows[1]))
    return Finding(
        statistic=abs(now - before),
        p_value=p_value(nulls, rows),
        warn=WARN,
        alarm=ALARM,
        critical=math.sqrt(2) * float(need("scipy.special").erfcinv(alpha)) * spread,
        words=f"nulls {before:.1%} → {now:.1%}",
    )
