"""The step from answers to the numbers behind pictures: confusion, ROC, precision and recall, calibration, residuals.

Nothing here grows with the data: curves are thinned and residuals sampled, so a result stays light in a notebook.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlmagic.insight.asking import Answers
from mlmagic.insight.metrics import Ranked
from mlmagic.insight.shapes import Bin, Calibration, Curves, Point

BINS = 15
MOST_POINTS = 200
MOST_RESIDUALS = 500
HISTOGRAM = 30


def curves_of(answers: Answers, seed: int) -> Curves:
    """All that the answers have."""
    if answers.kind == "regression":
        return _residuals(answers, seed)
    found = Curves(confusion=confusion(answers), calibration=calibration(answers, seed))
    if answers.kind == "multiclass" or answers.scores is None:
        return found
    roc, precision_recall = _thresholds(answers, answers.scores[:, 1])
    return replace(found, roc=roc, precision_recall=precision_recall)


def confusion(answers: Answers) -> tuple[tuple[int, ...], ...]:
    """How often each class was told for each true one."""
    many = len(answers.classes)
    counts = np.bincount(answers.truth * many + answers.told, minlength=many * many).reshape(many, many)
    return tuple(tuple(map(int, row)) for row in counts)


def _thresholds(answers: Answers, score: NDArray[np.float64]) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """Both curves over all thresholds, the strictest first."""
    true, every = Ranked.of(score, answers.truth == 1).sums(np.ones((len(answers), 1)))
    hits, told = (np.concatenate([[0.0], np.cumsum(part[::-1, 0])]) for part in (true, every))
    positives, negatives = hits[-1], told[-1] - hits[-1]
    recall, alarms = hits / positives, (told - hits) / negatives
    precision = np.divide(hits, told, out=np.ones_like(hits), where=told > 0)
    return _thinned(alarms, recall), _thinned(recall, np.concatenate([precision[1:2], precision[1:]]))


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Point, ...]:
    """At most `MOST_POINTS` points, at even distances along the curve, both ends among them."""
    if len(x) > MOST_POINTS:
        along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
        kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], MOST_POINTS)))
        kept[-1] = len(x) - 1
        x, y = x[kept], y[kept]
    return tuple(zip(x.tolist(), y.tolist(), strict=True))


# Calibration -----------------------------------------------------------------------------------------------


def calibration(answers: Answers, seed: int) -> Calibration | None:
    """Of the positive class; of more than two classes, of the probability of the likeliest one (Guo et al. 2017)."""
    if answers.chances is None:
        return None
    if answers.kind == "binary":
        return calibrated(answers.chances[:, 1], answers.truth == 1, seed)
    likeliest = answers.chances.argmax(axis=1)
    return calibrated(answers.chances.max(axis=1), likeliest == answers.truth, seed)


def calibrated(chance: NDArray[np.float64], came_true: NDArray[np.bool_], seed: int, bins: int = BINS) -> Calibration:
    """Probabilities, shape (rows,), beside what came true; equal probabilities are never parted."""
    edges = np.unique(np.quantile(chance, np.arange(1, bins) / bins))
    places = np.unique(np.searchsorted(edges, chance, side="left"), return_inverse=True)[1]
    rows = np.bincount(places)
    predicted, observed = (np.bincount(places, values) / rows for values in (chance, came_true.astype(float)))
    share = rows / len(chance)
    low, high = _wilson(observed, rows)
    told = zip(rows.tolist(), *(part.tolist() for part in (predicted, observed, low, high)), strict=True)
    return Calibration(
        tuple(Bin(*one) for one in told),
        float(share @ np.abs(predicted - observed)),
        _ece_by_chance(chance, places, seed),
        _brier_parts(chance, came_true.astype(float), places, share, predicted, observed),
    )


def _wilson(observed: NDArray[np.float64], rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    z2 = 1.959964**2
    centre = (observed + z2 / (2 * rows)) / (1 + z2 / rows)
    half = np.sqrt(z2 * (observed * (1 - observed) / rows + z2 / (4 * rows**2))) / (1 + z2 / rows)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def _brier_parts(
    chance: NDArray[np.float64],
    truth: NDArray[np.float64],
    places: NDArray[np.int64],
    share: NDArray[np.float64],
    predicted: NDArray[np.float64],
    observed: NDArray[np.float64],
) -> tuple[float, float, float]:
    base = truth.mean()
    inside = chance - predicted[places]
    reliability = share @ (predicted - observed) ** 2
    resolution = share @ (observed - base) ** 2 + (2 * inside * (truth - observed[places]) - inside**2).mean()
    return float(reliability), float(resolution), float(base * (1 - base))


def _ece_by_chance(chance: NDArray[np.float64], places: NDArray[np.int64], seed: int, draws: int = 400) -> float:
    """The 95 % quantile of the ECE when each row comes true with just its probability."""
    rng = np.random.default_rng([seed, 15])
    most = 20_000
    if len(chance) > most:  # an ECE by chance falls with the square root of the rows
        rows = rng.choice(len(chance), most, replace=False)
        return _ece_by_chance(chance[rows], places[rows], seed, draws) * math.sqrt(most / len(chance))
    order = np.argsort(places, kind="stable")
    chances = chance[order].astype(np.float32)[:, None]
    starts = np.unique(places[order], return_index=True)[1]
    found = []
    for start in range(0, draws, 100):
        came = rng.random((len(chance), min(100, draws - start)), dtype=np.float32) < chances
        found.append(np.abs(np.add.reduceat(came - chances, starts)).sum(axis=0) / len(chance))
    return float(np.quantile(np.concatenate(found), 0.95))


# Regression ------------------------------------------------------------------------------------------------


def _residuals(answers: Answers, seed: int) -> Curves:
    residual = answers.told - answers.truth
    rows = np.arange(len(residual))
    if len(rows) > MOST_RESIDUALS:
        rows = np.sort(np.random.default_rng([seed, 500]).choice(rows, MOST_RESIDUALS, replace=False))
    counts, edges = np.histogram(residual, bins=min(HISTOGRAM, max(5, len(residual) // 5)), range=_range(residual))
    points = tuple(zip(answers.told[rows].tolist(), residual[rows].tolist(), strict=True))
    return Curves(residuals=points, histogram=(tuple(edges.tolist()), tuple(counts.tolist())))


def _range(residual: NDArray[np.float64]) -> Point:
    """Of the histogram: never empty, whatever the size of the numbers."""
    low, high = float(residual.min()), float(residual.max())
    room = max(abs(low), abs(high), 1e-12) * 1e-6
    return (low, high) if high - low > room else (low - room, high + room)
