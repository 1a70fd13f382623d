"""The step from counted ticks to seconds: whole numbers of any unit come in, floats go out, NaN where null."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
NOT_A_TIME = np.iinfo(np.int64).min  # how NumPy writes NaT


def seconds(ticks: NDArray[np.int64], per_second: int, nulls: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Ticks as seconds.

    Whole seconds and the rest are divided apart: nanoseconds since 1970 do not fit a float, and the same instant
    must be the same number in whatever unit it came.
    """
    whole, rest = np.divmod(ticks, per_second)
    found: NDArray[np.float64] = whole + rest / per_second
    found[ticks == NOT_A_TIME] = np.nan
    if nulls is not None:
        found[nulls] = np.nan
    return found


def of_numpy(values: NDArray[Any]) -> NDArray[np.float64]:
    """`datetime64` or `timedelta64` of any unit as seconds."""
    unit, count = np.datetime_data(values.dtype)
    if unit not in PER_SECOND or count != 1:
        values = values.astype(f"{values.dtype.kind}8[us]")  # days, months and the like
        unit = "us"
    return seconds(values.view(np.int64), PER_SECOND[unit])
