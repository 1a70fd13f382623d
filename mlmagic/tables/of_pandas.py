"""Tables of pandas: data frames and series, with columns of NumPy, nullable, Arrow and object types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlmagic.tables import texts, times
from mlmagic.tables.objects import Objects
from mlmagic.tables.table import Column, Kind, Table, names_of, positions


class PandasTable(Table):
    """The columns of a data frame; floats without a copy, text by its hash table or Arrow's dictionary."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._places = {name: place for place, name in enumerate(names_of(frame.columns))}
        self.rows = len(frame)
        self._objects = {name: Objects(s.to_numpy()) for name, s in self._each() if s.dtype == object}
        self.columns = tuple(Column(name, self._kind(name, s), str(s.dtype)) for name, s in self._each())

    @classmethod
    def of(cls, data: pd.DataFrame | pd.Series[Any]) -> PandasTable:
        """Of a frame, or of a series as its only column; one without a name is called `0`, as pandas does."""
        return cls(data if isinstance(data, pd.DataFrame) else data.to_frame())

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> PandasTable:
        return PandasTable(self._frame.iloc[positions(rows, self.rows)])

    def to_pandas(self) -> Any:
        return self._frame

    def _each(self) -> list[tuple[str, pd.Series[Any]]]:
        return [(name, self._series(name)) for name in self._places]

    def _series(self, name: str) -> pd.Series[Any]:
        return self._frame.iloc[:, self._places[name]]

    def _kind(self, name: str, series: pd.Series[Any]) -> Kind:
        if name in self._objects:
            return self._objects[name].kind
        if isinstance(series.dtype, pd.ArrowDtype):
            from mlmagic.tables import of_arrow  # only where a column is Arrow's: then it is loaded

            return of_arrow.kind_of(series.dtype.pyarrow_dtype)
        return _kind_of(series.dtype)

    def _numbers(self, column: Column) -> NDArray[np.float64]:
        series = self._series(column.name)
        if column.name in self._objects:
            return self._objects[column.name].numbers()
        if isinstance(series.dtype, pd.ArrowDtype):
            from mlmagic.tables import of_arrow

            return of_arrow.numbers_of(_as_arrow(series))
        if isinstance(series.dtype, pd.PeriodDtype):
            series = series.dt.to_timestamp()
        if series.dtype.kind in "Mm":  # also with a zone: the same instants, in UTC
            return times.of_numpy(series.to_numpy(dtype=f"{series.dtype.kind}8[{_unit(series)}]"))
        return series.to_numpy(dtype=np.float64, na_value=np.nan) if series.dtype != np.float64 else series.to_numpy()

    def _labels(self, column: Column) -> texts.Labels:
        series = self._series(column.name)
        if column.name in self._objects:
            return _of_objects(self._objects[column.name])
        if isinstance(series.dtype, pd.ArrowDtype) or getattr(series.dtype, "storage", "") == "pyarrow":
            from mlmagic.tables import of_arrow

            return of_arrow.labels_of(_as_arrow(series))
        if isinstance(series.dtype, pd.CategoricalDtype):
            return texts.tidy(series.cat.codes.to_numpy(), [texts.of_value(word) for word in series.cat.categories])
        codes, words = pd.factorize(series)
        return texts.tidy(codes, [texts.of_value(word) for word in words])


def _of_objects(objects: Objects) -> texts.Labels:
    """Strings among which nothing else is are coded by pandas, five times as fast; 1 and True would be one to it."""
    if not objects.types <= {str}:
        return objects.labels()
    codes, words = pd.factorize(objects.values)
    return texts.tidy(codes, list(words))


def _kind_of(dtype: Any) -> Kind:
    if isinstance(dtype, (pd.CategoricalDtype, pd.IntervalDtype)) or dtype.kind in "cOUSV":
        return "datetime" if isinstance(dtype, pd.PeriodDtype) else "categorical"
    if dtype.kind == "b":
        return "boolean"
    return "datetime" if dtype.kind == "M" else "numeric"


def _unit(series: pd.Series[Any]) -> str:
    dtype: Any = series.dtype
    return str(getattr(dtype, "unit", None) or np.datetime_data(dtype)[0])


def _as_arrow(series: pd.Series[Any]) -> Any:
    """The column's own Arrow memory."""
    import pyarrow

    found = series.array.__arrow_array__()
    return found if isinstance(found, pyarrow.ChunkedArray) else pyarrow.chunked_array([found])
