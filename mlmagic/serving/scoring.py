"""The step from a batch to its answers; where the model fails, the batch is halved until only the bad request fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.graph import Answers
from mlmagic.bundles.rows import Feeds, rows_of
from mlmagic.serving.assembly import Piece


class Scores(Protocol):
    """What answers; see `mlmagic.bundles.scorer.Scorer`."""

    def score(self, feeds: Mapping[str, NDArray[Any]]) -> Answers: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to be scored in one call, in the order of their pieces."""

    pieces: list[Piece]
    feeds: Feeds
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", rows_of(self.feeds))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A batch, or a part of one, with its answers or with why there are none."""

    batch: Batch
    seconds: float
    answers: Answers | None = None
    error: Exception | None = None


def score(scorer: Scores, batch: Batch) -> list[Outcome]:
    """What became of a batch: one outcome where the model answers, else one for each part of it."""
    begun = perf_counter()
    try:
        answers = scorer.score(batch.feeds)
        _check(answers, batch.rows)
    except Exception as error:  # whatever a model may do, it ends one request
        if len(batch.pieces) == 1:
            return [Outcome(batch, perf_counter() - begun, error=error)]
        first, second = _halves(batch)
        return score(scorer, first) + score(scorer, second)
    return [Outcome(batch, perf_counter() - begun, answers)]


def _check(answers: Answers, rows: int) -> None:
    """An answer for each row: a graph may give fewer, or mix them up in one."""
    values: Any  # a graph may also give lists and mappings
    for name, values in answers.items():
        if not isinstance(values, np.ndarray) or values.ndim == 0 or len(values) != rows:
            raise ValueError(f"the output {name} is not one of {rows} rows")


def _halves(batch: Batch) -> tuple[Batch, Batch]:
    middle = len(batch.pieces) // 2
    rows = sum(piece.rows for piece in batch.pieces[:middle])
    return (
        Batch(batch.pieces[:middle], {name: values[:rows] for name, values in batch.feeds.items()}),
        Batch(batch.pieces[middle:], {name: values[rows:] for name, values in batch.feeds.items()}),
    )


Done: TypeAlias = Callable[[list[Outcome]], None]


_LAST_BATCH = 5.0  # seconds for the batch that is being scored when the server ends


class Worker:
    """A thread that scores, so that the server goes on reading; it is started with its first batch."""

    def __init__(self, scorer: Scores) -> None:
        self.scorer = scorer
        self._batches: SimpleQueue[tuple[Batch, Done] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def put(self, batch: Batch, done: Done) -> None:
        """Score a batch; `done` is called in the thread."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name="scorer", daemon=True)
            self._thread.start()
        self._batches.put((batch, done))

    def close(self) -> None:
        """Let the thread end after what it has, and wait for that.

        A thread that is in the runtime's code while Python ends takes the process down with it (SIGABRT).
        """
        self._batches.put(None)
        if self._thread is not None:
            self._thread.join(_LAST_BATCH)

    def _work(self) -> None:
        while (task := self._batches.get()) is not None:
            batch, done = task
            done(score(self.scorer, batch))
