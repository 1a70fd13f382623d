"""Fingerprints: gigabytes per second, beside one plain XXH3 pass over the same bytes and joblib's hash."""

from __future__ import annotations

import importlib.util
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.table import Row

_SIZE = 96_000_000  # bytes of each value


def _seconds(work: Callable[[], object], rounds: int = 5) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def _values() -> Iterator[tuple[str, Any, int]]:
    import numpy as np
    import pandas as pd

    numbers = np.random.default_rng(0).random(_SIZE // 8)
    yield "NumPy float64", numbers, numbers.nbytes
    frame = pd.DataFrame(numbers.reshape(-1, 12))
    yield "pandas, 12 float columns", frame, numbers.nbytes
    strings = pd.Series([f"text {number % 100_000:>20}" for number in range(3_000_000)])
    yield f"pandas strings ({strings.dtype})", strings, int(strings.nbytes)
    records = [{"id": number, "name": f"n{number}"} for number in range(1_000_000)]
    yield "a million small dicts", records, 0
    if importlib.util.find_spec("torch"):
        import torch

        yield "torch float32", torch.from_numpy(numbers.astype(np.float32)), numbers.nbytes // 2


def measure() -> Iterator[Row]:
    """One row per kind of value."""
    import joblib
    from xxhash import xxh3_128

    from mlmagic.fingerprint import fingerprint

    raw = random.randbytes(_SIZE)  # zeros would all be one page, and come from the cache
    ceiling = _SIZE / _seconds(lambda: xxh3_128(raw)) / 1e9
    for what, value, size in _values():
        ours = _seconds(lambda value=value: fingerprint(value))
        peer = _seconds(lambda value=value: joblib.hash(value), rounds=1)
        if size:
            figures = f"{size / ours / 1e9:.1f} GB/s", f"xxh3 {ceiling:.0f}, joblib {size / peer / 1e9:.2f} GB/s"
        else:
            figures = f"{1000 * ours:.0f} ms", f"joblib {1000 * peer:.0f} ms"
        yield Row(f"fingerprint of {what}", *figures, f"{peer / ours:.0f}× joblib", "memory speed", "")
