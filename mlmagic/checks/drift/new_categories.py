"""Share of rows with a category that the reference never had: what an encoder fitted to it has no place for.

Any such row deserves a look; more than 1 % of the rows are drift if chance does not explain them. It may: of two
samples from many rare categories, each has some that the other lacks. Without drift a category of k rows in all falls
wholly into the current data with chance q_k = n_c (n_c - 1) … (n_c - k + 1) / (N (N - 1) … (N - k + 1)). The p-value
is Chernoff's bound on the sum of these (the events are negatively associated, for which the bound holds as for
independent ones): it is valid, and conservative.

References
----------
Good: The population frequencies of species and the estimation of population parameters. Biometrika 40, 1953.
Dubhashi, Ranjan: Balls and bins: a study in negative dependence. Random Structures & Algorithms 13, 1998.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlmagic.checks.drift.finding import Finding
from mlmagic.checks.profile import KEPT_CATEGORIES, Categories

KINDS: tuple[str, ...] = ("categorical", "boolean")
DECIDES = True
ALARM = 0.01
_SLOPES = np.geomspace(1e-4, 50, 400)  # where the bound is looked for
_NAMED = 3


def p_value(rows: int, sizes: NDArray[np.int64], before: int, now: int) -> float:
    """At most the chance that so many rows are in categories without a row in the reference.

    Parameters
    ----------
    sizes : array
        Rows of each category, in reference and current data together.
    before, now : int
        Rows of the two.
    """
    sizes, times = np.unique(sizes[sizes <= now], return_counts=True)
    top = int(sizes.max(initial=0))
    alone = np.cumprod((now - np.arange(top)) / (before + now - np.arange(top)))[sizes - 1]
    # ln E exp(s k B_q) = ln(1 - q + q exp(s k)), without overflow
    with np.errstate(divide="ignore"):
        growth = np.logaddexp(np.log1p(-alone), np.log(alone) + np.outer(_SLOPES, sizes))
    return float(np.exp(min(0.0, (growth @ times - _SLOPES * rows).min())))


def measure(reference: Categories, current: Categories, alpha: float) -> Finding | None:
    """The statistic of a column, as `finding.Detector` says."""
    if reference.distinct > KEPT_CATEGORIES or not current.present:
        return None  # which of the rarer ones there were is not remembered
    rows = sum(count for _, count in current.unseen)
    if not rows:
        return Finding(0.0, 1.0, 0.0, ALARM, plain=True)
    sizes = np.array([*(reference.counts + current.counts), *(count for _, count in current.unseen)])
    share = rows / current.present
    names = ", ".join(repr(name) for name, _ in current.unseen[:_NAMED])
    more = f" and {len(current.unseen) - _NAMED} more" if len(current.unseen) > _NAMED else ""
    return Finding(
        statistic=share,
        p_value=p_value(rows, sizes, reference.present, current.present),
        warn=0.0,
        alarm=ALARM,
        plain=True,
        words=f"{share:.2%} of the rows in unseen categories: {names}{more}",
    )
