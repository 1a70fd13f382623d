"""The step from statistics to how sure they are: answers come in, the same statistics on resampled rows go out.

The percentile bootstrap (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): rows are drawn with
replacement, within each class where there are classes, so that a rare class never vanishes: intervals are for data
with these shares of classes. Draws are columns of weights, and no row is copied.

Of more than `MOST_ROWS` rows a seeded sample is resampled instead (each class by its share). Its deviations are shrunk
by the square root of sampled over all rows and laid around the statistic of all rows: the spread of every statistic
here falls with that root. Several models asked about the same rows get the same draws, so their differences are paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mlmagic.insight.asking import Answers
from mlmagic.insight.metrics import Measured, Weights, measure_of, plain_weights

DRAWS = 1000
MOST_ROWS = 20_000
LEVEL = 0.95
_BLOCK = 4_000_000  # weights held at once: 16 MB

Interval = tuple[float, float]


def values_of(answers: Answers) -> Measured:
    """The statistics themselves, shape (1,) each."""
    return measure_of(answers)(plain_weights(answers))


def draws_of(models: Sequence[Answers], seed: Sequence[int], draws: int = DRAWS) -> list[Measured]:
    """Statistics of each model on the same resampled rows, shape (draws,) each."""
    rng = np.random.default_rng(seed)
    rows = _sample(models[0], rng)
    sampled = [model if rows is None else model.take(rows) for model in models]
    measures = [measure_of(model) for model in sampled]
    blocks = [[measure(weights) for measure in measures] for weights in _weights(sampled[0], draws, rng)]
    joined = [
        {key: np.concatenate([b[place][key] for b in blocks]) for key in blocks[0][place]}
        for place in range(len(models))
    ]
    if rows is None:
        return joined
    return [_around(*parts) for parts in zip(models, sampled, joined, strict=True)]


def interval(drawn: NDArray[np.float64]) -> Interval | None:
    """The middle 95 % of the draws; ``None`` where the statistic is not defined."""
    known = drawn[np.isfinite(drawn)]
    if len(known) < 0.9 * len(drawn):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def strata_of(answers: Answers) -> list[NDArray[np.int64]]:
    """The rows of each class; all rows together for regression."""
    if answers.kind == "regression":
        return [np.arange(len(answers))]
    return [rows for place in range(len(answers.classes)) if len(rows := np.flatnonzero(answers.truth == place))]


def _weights(answers: Answers, draws: int, rng: np.random.Generator) -> Iterator[Weights]:
    """How often each row is drawn, in blocks of shape (rows, some draws)."""
    strata, at_once = strata_of(answers), max(1, _BLOCK // len(answers))
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        weights = np.empty((len(answers), count), dtype=np.float32)
        for rows in strata:
            weights[rows] = _drawn(len(rows), count, rng)
        yield weights


def _drawn(rows: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    places = rng.integers(rows, size=(rows, count)) * count + np.arange(count)
    return np.bincount(places.ravel(), minlength=rows * count).reshape(rows, count)


def _sample(answers: Answers, rng: np.random.Generator) -> NDArray[np.int64] | None:
    """The rows to resample; ``None``: all."""
    if len(answers) <= MOST_ROWS:
        return None
    share = MOST_ROWS / len(answers)
    kept = [rng.choice(rows, size=max(1, round(share * len(rows))), replace=False) for rows in strata_of(answers)]
    return np.sort(np.concatenate(kept))


def _around(every: Answers, sampled: Answers, drawn: Measured) -> Measured:
    """Draws of a sample, as wide as draws of all rows would be, around the statistics of all rows."""
    shrink = (len(sampled) / len(every)) ** 0.5
    centre, own = values_of(every), values_of(sampled)
    return {key: centre[key] + shrink * (drawn[key] - own[key]) for key in drawn if key in centre}
