"""Tables of polars: data frames, lazy frames (computed once) and series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlmagic.errors import MisuseError
from mlmagic.tables import texts, times
from mlmagic.tables.objects import array_of
from mlmagic.tables.table import Column, Kind, Table, names_of, positions

PER_SECOND = {**times.PER_SECOND, "μs": 10**6}


class PolarsTable(Table):
    """The columns of a data frame; floats without a copy, text sorted and coded by polars."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self.rows = frame.height
        names = names_of(frame.columns)
        self.columns = tuple(Column(n, _kind_of(t), str(t)) for n, t in zip(names, frame.dtypes, strict=True))

    @classmethod
    def of(cls, data: pl.DataFrame | pl.LazyFrame | pl.Series) -> PolarsTable:
        """Of a frame, or of a series as its only column.

        A lazy frame is collected here, once: computed anew for each column its rows could come in another order.
        """
        if isinstance(data, pl.LazyFrame):
            return cls(_collected(data))
        return cls(data.to_frame(data.name or "0") if isinstance(data, pl.Series) else data)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> PolarsTable:
        return PolarsTable(self._frame[positions(rows, self.rows)])

    def to_pandas(self) -> Any:
        try:
            return self._frame.to_pandas()
        except ModuleNotFoundError:  # polars wants pyarrow for this
            import pandas

            return pandas.DataFrame({column.name: column.to_list() for column in self._frame})

    def _numbers(self, column: Column) -> NDArray[np.float64]:
        series = self._frame[column.name]
        if series.dtype.is_temporal():
            return _seconds(series)
        return series.cast(pl.Float64).to_numpy()  # type: ignore[no-any-return]

    def _labels(self, column: Column) -> texts.Labels:
        series = self._frame[column.name]
        if series.dtype not in (pl.String, pl.Categorical, pl.Enum):
            return texts.of_objects(array_of(series.to_list()), series.is_null().to_numpy())
        series = series.cast(pl.String)
        words = series.drop_nulls().unique().sort()  # by bytes, which is the order of Python's strings
        codes = series.cast(pl.Enum(words)).to_physical().cast(pl.Int64).fill_null(-1)
        return codes.to_numpy(), words.to_list()


def _collected(frame: pl.LazyFrame) -> pl.DataFrame:
    try:
        return frame.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        raise MisuseError(f"the polars LazyFrame cannot be computed: {first}") from error


def _kind_of(dtype: Any) -> Kind:
    if dtype == pl.Boolean:
        return "boolean"
    if dtype == pl.Date or dtype == pl.Datetime:
        return "datetime"
    return "numeric" if dtype.is_numeric() or dtype in (pl.Duration, pl.Time) else "categorical"


def _seconds(series: pl.Series) -> NDArray[np.float64]:
    ticks = series.to_physical().cast(pl.Int64).fill_null(times.NOT_A_TIME).to_numpy()
    if series.dtype == pl.Date:
        days: NDArray[np.float64] = times.seconds(ticks, 1)
        return days * 86400
    return times.seconds(ticks, 10**9 if series.dtype == pl.Time else PER_SECOND[series.dtype.time_unit])
