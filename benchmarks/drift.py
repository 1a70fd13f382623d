"""Drift: a million rows of a hundred columns against a stored profile, beside KS and Wasserstein of scipy."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.table import Row

if TYPE_CHECKING:
    from mlmagic.tables import Table

SIZES = ((1_000_000, 100), (100_000, 1_000))
_BY_SCIPY = 4  # columns that scipy is measured on; it takes the same for each


def measure() -> Iterator[Row]:
    """Rows for making profiles and for comparing with them."""
    for rows, columns in SIZES:
        yield from _of_size(rows, columns)


def _of_size(rows: int, columns: int) -> Iterator[Row]:
    import numpy as np
    import pandas as pd

    from mlmagic.checks.drift import compare
    from mlmagic.checks.profile import Profile
    from mlmagic.tables import table_of

    matrix = np.random.default_rng(0).standard_normal((2 * rows, columns))
    halves = [
        pd.DataFrame(half, columns=[f"c{at}" for at in range(columns)]) for half in (matrix[:rows], matrix[rows:])
    ]
    before, now = map(table_of, halves)
    what = f"{rows:,} × {columns:,} floats"
    seconds, memory, made = _watched(lambda: Profile.of(before))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reference.profile"
        made.save(file)
        size = file.stat().st_size
        stored = Profile.load(file)
    yield Row(f"profile of {what}", f"{seconds:.1f} s, +{memory:.0f} MB", f"file {size / 1e6:.0f} MB")
    seconds, memory, _ = _watched(lambda: compare(stored, now, joint=False))
    theirs = _scipy(before, now, columns)
    first = rows == SIZES[0][0]
    yield Row(
        f"drift of {what}, profile stored",
        f"{seconds:.1f} s, +{memory:.0f} MB",
        f"scipy KS + Wasserstein {theirs:.0f} s (from {_BY_SCIPY} columns)",
        f"{theirs / seconds:.0f}×",
        "≤ 10 s" if first else "",
        "≤ 6 s" if first else "",
    )
    seconds, memory, _ = _watched(lambda: compare(stored, now))
    yield Row(f"the same with the joint test, {columns:,} columns", f"{seconds:.1f} s, +{memory:.0f} MB")


def _scipy(before: Table, now: Table, columns: int) -> float:
    """Seconds for all columns, one after the other on all rows, from those of a few."""
    from scipy import stats

    started = time.perf_counter()
    for column in range(_BY_SCIPY):
        one, other = before.numbers(f"c{column}"), now.numbers(f"c{column}")
        stats.ks_2samp(one, other, method="asymp")
        stats.wasserstein_distance(one, other)
    return (time.perf_counter() - started) / _BY_SCIPY * columns


def _watched(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds, megabytes above what there was before at the highest point, and what came out."""
    process, done = psutil.Process(), threading.Event()
    before = highest = process.memory_info().rss

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.005):
            highest = max(highest, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        started = time.perf_counter()
        result = work()
        return time.perf_counter() - started, (highest - before) / 1e6, result
    finally:
        done.set()
        watcher.join()
