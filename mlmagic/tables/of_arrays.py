"""Tables of NumPy arrays and of plain Python: arrays of two dimensions, dicts of columns, lists of dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.errors import MisuseError
from mlmagic.tables import texts, times
from mlmagic.tables.objects import Objects, array_of, unmasked
from mlmagic.tables.table import Column, Kind, Table, names_of, positions

_KINDS: dict[str, Kind] = {
    "b": "boolean", "i": "numeric", "u": "numeric", "f": "numeric", "M": "datetime", "m": "numeric",
}  # fmt: skip


class ArraysTable(Table):
    """Arrays side by side, read without a copy where they are floats.

    Parameters
    ----------
    arrays : mapping of names to arrays, each of shape (rows,)
    """

    def __init__(self, arrays: Mapping[Any, NDArray[Any]]) -> None:
        names = names_of(arrays)
        self._arrays = dict(zip(names, arrays.values(), strict=True))
        self.rows = _one_length(self._arrays)
        self._objects = {name: Objects(array) for name, array in self._arrays.items() if array.dtype.kind == "O"}
        self.columns = tuple(Column(name, self._kind(name), str(array.dtype)) for name, array in self._arrays.items())

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> ArraysTable:
        wanted = positions(rows, self.rows)
        return ArraysTable({name: array[wanted] for name, array in self._arrays.items()})

    def to_pandas(self) -> Any:
        import pandas

        return pandas.DataFrame(self._arrays)

    def _kind(self, name: str) -> Kind:
        if name in self._objects:
            return self._objects[name].kind
        return _KINDS.get(self._arrays[name].dtype.kind, "categorical")

    def _numbers(self, column: Column) -> NDArray[np.float64]:
        if column.name in self._objects:
            return self._objects[column.name].numbers()
        array = self._arrays[column.name]
        return times.of_numpy(array) if array.dtype.kind in "Mm" else array.astype(np.float64, copy=False)

    def _labels(self, column: Column) -> texts.Labels:
        if column.name in self._objects:
            return self._objects[column.name].labels()
        words, codes = np.unique(self._arrays[column.name], return_inverse=True)
        return texts.tidy(codes, [texts.of_value(word) for word in words.tolist()])


def table_of_arrays(data: Any) -> ArraysTable | None:
    """The table of an array, a dict or a list; ``None`` where it is none."""
    if isinstance(data, np.ndarray):
        return _of_array(data)
    if isinstance(data, dict):
        return ArraysTable({name: _column(name, values) for name, values in data.items()})
    if all(isinstance(row, dict) for row in data):
        return _of_rows(data)
    return None


def _of_array(data: NDArray[Any]) -> ArraysTable | None:
    """The columns of a matrix are called x0, x1, … as scikit-learn does, those of a structured array by its fields."""
    if isinstance(data, np.ma.MaskedArray):
        data = unmasked(data)
    if data.dtype.names is not None and data.ndim == 1:
        return ArraysTable({name: data[name] for name in data.dtype.names})
    if data.ndim == 1:
        data = data.reshape(-1, 1)
    return ArraysTable({f"x{number}": data[:, number] for number in range(data.shape[1])}) if data.ndim == 2 else None


def _of_rows(rows: Sequence[dict[Any, Any]]) -> ArraysTable:
    """A row may lack a name: it is null there."""
    names = dict.fromkeys(name for row in rows for name in row)
    return ArraysTable({name: array_of([row.get(name) for row in rows]) for name in names})


def _column(name: Any, values: Any) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        values = unmasked(values)
    array = array_of(values) if isinstance(values, (list, tuple)) else np.asarray(values)
    if array.ndim != 1:
        raise MisuseError(f"column {str(name)!r} is no list of values but {type(values).__name__}")
    return array


def _one_length(arrays: Mapping[str, NDArray[Any]]) -> int:
    lengths = {len(array): name for name, array in arrays.items()}
    if len(lengths) > 1:
        (one, first), (two, second), *_ = lengths.items()
        raise MisuseError(f"columns differ in length: {first!r} has {one} rows, {second!r} {two}")
    return next(iter(lengths))
