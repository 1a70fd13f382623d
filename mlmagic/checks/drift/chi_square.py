"""Chi-square of the 2 × K contingency table, with Cramér's V as the effect: have the shares of categories changed?

Both rows are samples and vary, so the reference's counts are no exact expectation: taking them for one alarms in 24 to
100 % of the cases without drift (K = 3, 1,000 and 1,000 rows; K = 30, 10,000 rows). Categories with an expected count
below 5 in either row are pooled; what is expected follows from the margins alone, so pooling does not look at the
difference. Where there are more categories than a profile keeps (1,000), they are compared in 100 groups by a checksum.

Cramér's V is corrected for bias, or many categories would give an effect by themselves.

References
----------
Bergsma: A bias-correction for Cramér's V and Tschuprow's T. Journal of the Korean Statistical Society 42, 2013.
Cochran: Some methods for strengthening the common chi-square tests. Biometrics 10, 1954 (expected counts of 5).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlmagic.checks.drift import chance
from mlmagic.checks.drift.finding import Finding
from mlmagic.checks.profile import Categories

KINDS: tuple[str, ...] = ("categorical", "boolean")
DECIDES = True
WARN, ALARM = 0.1, 0.2
FEWEST_EXPECTED = 5

Counts = NDArray[np.int64]


def pooled(table: Counts) -> Counts:
    """The 2 × K table without rare categories: those together are one, with the next rarest where still too rare."""
    table = table[:, table.sum(axis=0) > 0]
    table = table[:, np.argsort(table.sum(axis=0), kind="stable")]
    least = table.sum(axis=0) * table.sum(axis=1).min() / max(table.sum(), 1)
    rare = int(np.searchsorted(least, FEWEST_EXPECTED))
    if rare == 0:
        return table
    together = int(np.searchsorted(np.cumsum(least), FEWEST_EXPECTED)) + 1
    merged = max(rare, together)
    return np.column_stack([table[:, :merged].sum(axis=1), table[:, merged:]])


def _table(reference: Categories, current: Categories) -> Counts:
    """Rows of each category. Each unseen one is one, or the rare ones of now would together be a frequent "other"."""
    if reference.groups.size:
        return np.array([reference.groups, current.groups])
    unseen = [count for _, count in current.unseen]
    return np.array([[*reference.counts, *[0] * len(unseen)], [*current.counts, *unseen]])


def chi_square(table: Counts) -> float:
    """Pearson's statistic of a 2 × K table without empty columns."""
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(((table - expected) ** 2 / expected).sum())


def cramers_v(chi2: float, categories: int, rows: int) -> float:
    """Effect of a 2 × K table, from 0 to 1, corrected for bias."""
    phi2 = max(0.0, chi2 / rows - (categories - 1) / (rows - 1))
    wide = categories - (categories - 1) ** 2 / (rows - 1)
    return math.sqrt(phi2 / max(min(wide - 1, 1 - 1 / (rows - 1)), 1e-12))


def measure(reference: Categories, current: Categories, alpha: float) -> Finding | None:
    """The statistic of a column, as `finding.Detector` says."""
    given = _table(reference, current)
    table = pooled(given)
    rows, categories = int(table.sum()), table.shape[1]
    if categories < 2:
        return None
    chi2, null = chi_square(table), chance.chi_square(categories - 1)
    effect = cramers_v(chi2, categories, rows)
    rare = np.count_nonzero(given.sum(axis=0)) - categories
    return Finding(
        statistic=effect,
        p_value=null.p_value(chi2),
        warn=WARN,
        alarm=ALARM,
        critical=cramers_v(null.critical(alpha), categories, rows),
        words=f"Cramér's V {effect:.2g}",
        note=f"chi² {chi2:.4g}, {categories - 1} df" + (f"; {rare + 1} rare categories taken together" if rare else ""),
    )
