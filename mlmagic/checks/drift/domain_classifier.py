"""The joint test: can a classifier tell rows of now from rows of the reference? It sees what single columns hide.

Gradient-boosted trees, five stratified folds; the statistic is the AUC on rows that the trees were not fitted to,
averaged over the folds (scores of different trees are not compared). 0.5: it cannot tell.

Without drift the AUC of one fold is Mann–Whitney's, and independent folds would give their mean the standard deviation
sqrt((n_r + n_c + 1) / (12 n_r n_c)). They are not independent: rows of fold j help to score fold k and the other
way round, so that each pair of folds tells the same chance likeness twice, which doubles the variance at most. With
that formula alone 13 % are below p = 0.05 and 4 to 6 % below 0.01 [measured: 300 times 100 and 100 rows, 5 columns];
with twice its variance 2 to 5 % and at most 1 %. So the test here is a little conservative.

Left out are ids and times, which differ by themselves, and columns that are not in both.

References
----------
Lopez-Paz, Oquab: Revisiting classifier two-sample tests. ICLR 2017.
Bengio, Grandvalet: No unbiased estimator of the variance of K-fold cross-validation. JMLR 5, 2004.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic._optional import need
from mlmagic.checks.drift.report import JointDrift, Measured
from mlmagic.checks.profile import Profile, Rows

NAME = "domain_classifier"
LEVEL = 0.01
ALARM = 0.55
FOLDS = 5
FEWEST = 50  # rows on each side: less than that and the trees have nothing to divide
TOP = 10  # rows and columns named
_SHUFFLES = 300  # columns × folds, about a hundredth of a second each
_DEPENDENCE = 2.0  # of the folds: factor of the variance

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Told:
    """Scores of all rows, each by trees that were not fitted to it, and the trees themselves."""

    scores: NDArray[np.float64]
    folds: list[tuple[Any, NDArray[np.int64]]]
    auc: float


def measure(reference: Profile, current: Rows, seed: int = 0) -> JointDrift | None:
    """What the classifier could tell; ``None`` where no column is left to tell by.

    Parameters
    ----------
    current : Rows
        Of columns of the reference.
    """
    own_way = {column.name for column in reference.columns if column.role}
    left_out = tuple(name for name in current.names if name in own_way)
    names = [name for name in current.names if name not in own_way]
    if not names:
        return None
    before = _only([column.name for column in reference.columns], reference.sample, names)
    now = _only(current.names, current.sample, names)
    if min(len(before), len(now)) < FEWEST:
        note = f"needs {FEWEST} rows on each side, and has {len(before)} and {len(now)}"
        return JointDrift(Measured(NAME, None, note=note), "unknown", left_out=left_out)
    told = tell_apart(before, now, seed)
    p_value, threshold = _p_value(told.auc, len(before), len(now)), _threshold(len(before), len(now))
    drifted = p_value < LEVEL and told.auc >= ALARM
    measured = Measured(NAME, told.auc, p_value, None, threshold, drifted, f"{len(before):,} and {len(now):,} rows")
    if p_value >= LEVEL:
        return JointDrift(measured, "ok", left_out=left_out)
    return JointDrift(
        measured,
        "drift" if drifted else "warn",
        _by_which(told, np.concatenate([before, now]), len(before), names, seed),
        _strangest(told, len(before), current),
        left_out,
    )


def _only(given: Sequence[str], sample: Matrix, names: Sequence[str]) -> Matrix:
    place = {name: number for number, name in enumerate(given)}
    return sample[:, [place[name] for name in names]]


def tell_apart(before: Matrix, now: Matrix, seed: int) -> Told:
    """Fit and score in folds."""
    # One thread: the trees are small, and where other work fills the cores OpenMP's waiting takes ten times longer.
    need("sklearn.ensemble")  # limits hold for what is loaded
    with need("threadpoolctl").threadpool_limits(1, "openmp"):
        return _in_folds(before, now, seed)


def _in_folds(before: Matrix, now: Matrix, seed: int) -> Told:
    trees, selection = need("sklearn.ensemble"), need("sklearn.model_selection")
    rows = np.concatenate([before, now])
    is_now = np.repeat([0, 1], [len(before), len(now)])
    scores, folds = np.empty(len(rows)), []
    splits = selection.StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for fitted, held in splits.split(rows, is_now):
        # Few small trees: the question is whether there is a difference, not how exactly it runs.
        model = trees.HistGradientBoostingClassifier(
            max_iter=30, max_bins=32, max_leaf_nodes=15, early_stopping=False, random_state=seed
        )
        model.fit(rows[fitted], is_now[fitted])
        scores[held] = model.decision_function(rows[held])
        folds.append((model, held))
    auc = float(np.mean([auc_of(is_now[held], scores[held]) for _, held in folds]))
    return Told(scores, folds, auc)


def auc_of(positive: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Chance that a positive row scores higher than another one; a half where they are equal."""
    ups, downs = np.sort(scores[positive == 1]), np.sort(scores[positive == 0])
    below = np.searchsorted(downs, ups, "left") + np.searchsorted(downs, ups, "right")
    return float(below.mean() / (2 * downs.size))


def _deviation(n: int, m: int) -> float:
    return math.sqrt(_DEPENDENCE * (n + m + 1) / (12 * n * m))


def _p_value(auc: float, n: int, m: int) -> float:
    """One-sided: only what tells apart on rows not fitted to is drift."""
    return 0.5 * math.erfc((auc - 0.5) / _deviation(n, m) / math.sqrt(2))


def _threshold(n: int, m: int) -> float:
    return max(ALARM, 0.5 + 2.3263 * _deviation(n, m))  # the normal quantile at 1 - LEVEL


def _by_which(told: Told, rows: Matrix, before: int, names: list[str], seed: int) -> tuple[tuple[str, float], ...]:
    """The columns whose shuffling costs the classifier most on held-out rows, with their share of all such costs."""
    is_now = (np.arange(len(rows)) >= before).astype(np.int64)
    rng, costs = np.random.default_rng(seed), np.zeros(len(names))
    for model, held in told.folds[: max(1, min(FOLDS, _SHUFFLES // len(names)))]:
        part, truth = rows[held], is_now[held]
        whole = auc_of(truth, told.scores[held])
        for column in range(len(names)):
            kept = part[:, column].copy()
            part[:, column] = rng.permutation(kept)
            costs[column] += max(0.0, whole - auc_of(truth, model.decision_function(part)))
            part[:, column] = kept
    shares = costs / (costs.sum() or 1.0)
    return tuple((names[place], float(shares[place])) for place in np.argsort(-shares)[:TOP] if shares[place] > 0)


def _strangest(told: Told, before: int, current: Rows) -> tuple[int, ...]:
    """Where in the current data the rows are that look least like the reference, of those the test has seen."""
    worst = np.argsort(-told.scores[before:], kind="stable")[:TOP]
    return tuple(current.positions[worst].tolist())
