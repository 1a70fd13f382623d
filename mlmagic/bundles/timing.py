"""The batch-time curve of a graph: how long so many rows take, by which a server caps its batches."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.rows import rows_of
from mlmagic.bundles.schema import Schema
from mlmagic.bundles.scorer import Scorer, empty_feeds

SIZES = tuple(2**power for power in range(11))  # 1 to 1,024 rows
_LONGEST = 0.2  # seconds of a batch, after which larger ones are not tried
_LEAST, _MOST = 3, 50  # runs of a size
_BUDGET = 0.05  # seconds spent on a size, once there are the least runs


def batch_times(
    scorer: Scorer,
    schema: Schema,
    rows: Sequence[int] = SIZES,
    feeds: Mapping[str, NDArray[Any]] | None = None,
) -> list[dict[str, Any]]:
    """The median time of batches of some sizes, up to the first that takes longer than 0.2 seconds.

    Parameters
    ----------
    rows : sequence of int
        Sizes, ascending.
    feeds : mapping, optional
        Real rows, used again and again where there are fewer than a batch takes: trees take other ways, and other
        time, for zeros, which stand in for them.

    Returns
    -------
    list of dict
        ``rows``, ``seconds`` (median) and ``runs`` of each size.
    """
    found: list[dict[str, Any]] = []
    for size in rows:
        seconds = _measured(scorer, _cycled(feeds, size) if feeds else empty_feeds(schema, size))
        found.append({"rows": int(size), "seconds": median(seconds), "runs": len(seconds)})
        if found[-1]["seconds"] > _LONGEST:
            break
    return found


def largest_within(times: Sequence[Mapping[str, Any]], seconds: float) -> int:
    """The most rows that take no longer than some time, read off the curve; at least one.

    Between two sizes the time is taken to grow evenly; beyond the last one nothing is known, so it is the most.
    """
    largest = 1
    last_rows, last_time = 0, 0.0
    for point in times:
        rows, taken = int(point["rows"]), float(point["seconds"])
        if taken > seconds:
            share = (seconds - last_time) / (taken - last_time) if taken > last_time else 0.0
            return max(largest, int(last_rows + share * (rows - last_rows)))
        largest = max(largest, rows)
        last_rows, last_time = rows, taken
    return largest


def _measured(scorer: Scorer, feeds: Mapping[str, NDArray[Any]]) -> list[float]:
    scorer.score(feeds)  # the first run of a size makes its buffers
    seconds: list[float] = []
    while len(seconds) < _LEAST or (len(seconds) < _MOST and sum(seconds) < _BUDGET):
        started = time.perf_counter()
        scorer.score(feeds)
        seconds.append(time.perf_counter() - started)
        if seconds[-1] > _LONGEST:
            break
    return seconds


def _cycled(feeds: Mapping[str, NDArray[Any]], size: int) -> dict[str, NDArray[Any]]:
    places = np.arange(size) % rows_of(feeds)
    return {name: np.ascontiguousarray(tensor[places]) for name, tensor in feeds.items()}
