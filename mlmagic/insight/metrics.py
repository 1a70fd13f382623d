"""The step from answers to statistics: answers and weights of their rows in, one number for each set of weights out.

One definition serves both the statistic (all weights 1) and its bootstrap (weights say how often a row was drawn),
so an interval can never belong to another statistic than the number it stands beside. With weights, every
statistic equals scikit-learn's of the same name with `sample_weight` (tested).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.insight.asking import Answers

Weights = NDArray[Any]  # shape (rows, draws): how often each row counts in each draw
Key = tuple[str, int | None]  # statistic, and the class it is about
Measured = dict[Key, NDArray[np.float64]]  # shape (draws,); NaN where it is not defined
Measure = Callable[[Weights], Measured]


def measure_of(answers: Answers) -> Measure:
    """A function from weights to statistics; what does not depend on weights is done here, once."""
    if answers.kind == "regression":
        return _regression(answers)
    parts = [_labels(answers), *_rankings(answers), *_probabilities(answers)]
    return lambda weights: {key: value for part in parts for key, value in part(weights).items()}


def plain_weights(answers: Answers) -> Weights:
    """Every row once."""
    return np.ones((len(answers), 1))


# Labels ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """Weights by class, each of shape (classes, draws): rightly told, true, told; `present` in the data at all."""

    hit: NDArray[Any]
    true: NDArray[Any]
    told: NDArray[Any]
    present: NDArray[np.bool_]
    seen: NDArray[np.bool_]


def _labels(answers: Answers) -> Measure:
    many = len(answers.classes)
    cells = answers.truth * many + answers.told
    order = np.argsort(cells, kind="stable")
    filled, starts = np.unique(cells[order], return_index=True)
    true, told = (np.arange(many)[:, None] == place for place in (filled // many, filled % many))
    present, seen = true.any(axis=1), (true | told).any(axis=1)

    def measure(weights: Weights) -> Measured:
        sums = np.add.reduceat(weights[order], starts).astype(np.float64)  # shape (cells that are filled, draws)
        hit, of_true, of_told = (marks.astype(np.float64) @ sums for marks in (true & told, true, told))
        counts = Counts(hit, of_true, of_told, present, seen)
        return _overall(counts) | (_of_second(counts) if answers.kind == "binary" else _of_each(counts))

    return measure


def running(values: NDArray[Any]) -> NDArray[Any]:
    """Sums down the rows, as `np.cumsum(values, axis=0)`, which takes ten times as long where rows are wide."""
    if values.shape[1] < 32:
        found: NDArray[Any] = np.cumsum(values, axis=0)
        return found
    sums = values.copy()
    above = sums[0]
    for row in sums[1:]:
        row += above
        above = row
    return sums


def _over(part: NDArray[Any], whole: NDArray[Any], otherwise: float = 0.0) -> NDArray[np.float64]:
    """A quotient; `otherwise` where there is nothing to divide by (scikit-learn's `zero_division=0`)."""
    result = np.full(np.broadcast_shapes(part.shape, whole.shape), otherwise, dtype=np.float64)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _overall(counts: Counts) -> Measured:
    """Accuracy, balanced accuracy (the mean recall; Brodersen et al. 2010), Matthews' correlation."""
    recalls = _over(counts.hit, counts.true)[counts.present]
    return {
        ("accuracy", None): counts.hit.sum(axis=0) / counts.true.sum(axis=0),
        ("balanced_accuracy", None): recalls.mean(axis=0),
        ("mcc", None): _correlation(counts),
    }


def _correlation(counts: Counts) -> NDArray[np.float64]:
    """Matthews' correlation for any number of classes (Gorodkin 2004), 0 where one side is constant."""
    true, told = counts.true.astype(np.float64), counts.told.astype(np.float64)
    right, rows = counts.hit.sum(axis=0, dtype=np.float64), true.sum(axis=0)
    spread = (rows**2 - (told**2).sum(axis=0)) * (rows**2 - (true**2).sum(axis=0))
    return _over(right * rows - (true * told).sum(axis=0), np.sqrt(np.maximum(spread, 0)))


def _of_second(counts: Counts) -> Measured:
    """Precision, recall and F1 of the positive class."""
    return {
        ("precision", None): _over(counts.hit[1], counts.told[1]),
        ("recall", None): _over(counts.hit[1], counts.true[1], np.nan if not counts.present[1] else 0.0),
        ("f1", None): _over(2 * counts.hit[1], counts.told[1] + counts.true[1]),
    }


def _of_each(counts: Counts) -> Measured:
    """Precision and recall of each class, and F1 as the mean over classes, plain and weighted by their rows."""
    precision, recall = _over(counts.hit, counts.told), _over(counts.hit, counts.true)
    f1 = _over(2 * counts.hit, counts.told + counts.true)
    found: Measured = {
        ("f1_macro", None): f1[counts.seen].mean(axis=0),
        ("f1_weighted", None): _over((f1 * counts.true).sum(axis=0), counts.true.sum(axis=0)),
    }
    for place, present in enumerate(counts.present):
        found["precision", place] = precision[place]
        found["recall", place] = recall[place] if present else np.full_like(recall[place], np.nan)
    return found


# Ranking ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rows in the order of a score, equal scores together."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]  # where a new score begins, in that order
    positive: NDArray[np.bool_]  # in that order

    @classmethod
    def of(cls, score: NDArray[np.float64], positive: NDArray[np.bool_]) -> Ranked:
        order = np.argsort(score, kind="stable")
        ordered = score[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        return cls(order, starts, positive[order])

    def sums(self, weights: Weights) -> tuple[NDArray[Any], NDArray[Any]]:
        """Weight of positive and of all rows at each score, lowest first, each of shape (scores, draws)."""
        every = weights[self.order]
        true = np.where(self.positive[:, None], every, every.dtype.type(0))
        if len(self.starts) == len(self.order):
            return true, every
        return np.add.reduceat(true, self.starts), np.add.reduceat(every, self.starts)

    def area(self, weights: Weights) -> NDArray[np.float64]:
        """Area under the ROC curve; without equal scores only the few rows of the class itself are looked at."""
        if len(self.starts) < len(self.order):
            return _area(*self.sums(weights))
        below = running(weights[self.order])
        own = weights[self.order[self.positive]]
        hits = running(own)
        won = np.einsum("gb,gb->b", own, below[self.positive] - hits, dtype=np.float64, casting="same_kind")
        positives = hits[-1].astype(np.float64)
        return _over(won, positives * (below[-1] - positives), np.nan)


def _rankings(answers: Answers) -> list[Measure]:
    if answers.scores is None:
        return []
    if answers.kind == "binary":
        return [_of_positive(answers, answers.scores[:, 1])]
    return [_one_against_rest(answers, answers.scores)]


def _of_positive(answers: Answers, score: NDArray[np.float64]) -> Measure:
    ranked = Ranked.of(score, answers.truth == 1)

    def measure(weights: Weights) -> Measured:
        true, every = ranked.sums(weights)
        return {("roc_auc", None): _area(true, every), ("average_precision", None): _average_precision(true, every)}

    return measure


def _area(true: NDArray[Any], every: NDArray[Any]) -> NDArray[np.float64]:
    """Area under the ROC curve: how often a positive row beats a negative one, ties half (Hanley & McNeil 1982)."""
    false = every - true
    below = running(false)
    positives, negatives = true.sum(axis=0, dtype=np.float64), below[-1].astype(np.float64)
    below -= false / 2
    won = np.einsum("gb,gb->b", true, below, dtype=np.float64, casting="same_kind")
    return _over(won, positives * negatives, np.nan)


def _average_precision(true: NDArray[Any], every: NDArray[Any]) -> NDArray[np.float64]:
    """Precision at each score, weighted by the recall gained there; no interpolation (as scikit-learn)."""
    hits, told = running(true[::-1]), running(every[::-1])
    precision = np.divide(hits, told, out=np.zeros_like(hits), where=told > 0)
    total = np.einsum("gb,gb->b", true[::-1], precision, dtype=np.float64, casting="same_kind")
    return _over(total, hits[-1], np.nan)


def _one_against_rest(answers: Answers, scores: NDArray[np.float64]) -> Measure:
    """The area of each class against all others, and their mean over the classes that occur."""
    present = [place for place in range(len(answers.classes)) if (answers.truth == place).any()]
    ranked = {place: Ranked.of(scores[:, place], answers.truth == place) for place in present}

    def measure(weights: Weights) -> Measured:
        areas = {place: ranked[place].area(weights) for place in present}
        mean = np.mean(list(areas.values()), axis=0)
        return {("roc_auc_ovr", None): mean} | {("roc_auc", place): area for place, area in areas.items()}

    return measure


# Probabilities ---------------------------------------------------------------------------------------------


def _probabilities(answers: Answers) -> list[Measure]:
    """Log loss (clipped at the precision of the probabilities' type), and of two classes the Brier score (1950)."""
    if answers.chances is None:
        return []
    of_truth = answers.chances[np.arange(len(answers)), answers.truth]
    losses = {"log_loss": -np.log(np.clip(of_truth, answers.tiny, 1 - answers.tiny))}
    if answers.kind == "binary":
        losses["brier"] = (answers.chances[:, 1] - (answers.truth == 1)) ** 2
    return [_means(losses)]


def _means(values: Mapping[str, NDArray[np.float64]]) -> Measure:
    """Weighted means over the rows, all in one product."""
    stacked = np.stack(list(values.values()))
    sizes = np.maximum(np.abs(stacked).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    stacked = stacked / sizes  # weights are float32, where squares of 1e20 are infinite and those of 1e-23 are 0

    def measure(weights: Weights) -> Measured:
        sums = sizes * (stacked.astype(weights.dtype) @ weights)
        total = weights.sum(axis=0, dtype=np.float64)
        return {(name, None): total_of / total for name, total_of in zip(values, sums, strict=True)}

    return measure


# Regression ------------------------------------------------------------------------------------------------


def away_from_zero(target: NDArray[np.float64]) -> bool:
    """Whether a percentage error means something: no target is below a hundredth of the usual size."""
    sizes = np.abs(target)
    return bool(sizes.min() > 0.01 * np.median(sizes))


def _regression(answers: Answers) -> Measure:
    error = answers.told - answers.truth
    centred = answers.truth - answers.truth.mean()
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers above 1e154 the squares are infinite: not defined
        values = {"mae": np.abs(error), "square": error**2, "bias": error, "y": centred, "y2": centred**2}
        if away_from_zero(answers.truth):
            values["mape"] = np.abs(error / answers.truth)
        means, median = _means(values), _median_of(np.abs(error))
    flat = bool((answers.truth == answers.truth[0]).all())

    def measure(weights: Weights) -> Measured:
        found = means(weights)
        square, mean = found.pop(("square", None)), found.pop(("y", None))
        with np.errstate(over="ignore", invalid="ignore"):
            variance = found.pop(("y2", None)) - mean**2
        found["rmse", None] = np.sqrt(square)
        # of equal targets nothing is explained; scikit-learn says 0 or 1 there
        found["r2", None] = np.full_like(square, np.nan) if flat else 1 - _over(square, variance, np.nan)
        found["median_ae", None] = median(weights)
        return found

    return measure


def _median_of(values: NDArray[np.float64]) -> Callable[[Weights], NDArray[np.float64]]:
    """The weighted median: the mean of the values on both sides of half the weight, as of repeated rows."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]

    def median(weights: Weights) -> NDArray[np.float64]:
        reached = running(weights[order])
        half = reached[-1] / 2
        lower, upper = (reached >= half).argmax(axis=0), (reached > half).argmax(axis=0)
        result: NDArray[np.float64] = (ordered[lower] + ordered[upper]) / 2
        return result

    return median
