"""From rows to the graph's inputs: tables or decoded columns come in, checked arrays by input name go out.

The same checks serve export, `mlmagic score`, `mlmagic check` and the endpoint, where they run once a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.schema import NUMPY, Field, Schema
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.tables import Table, table_of

Feeds = dict[str, NDArray[Any]]
"""Input of the graph -> its array; the first axis of each is the rows."""

NULL = ""  # what stands for a null text in a graph, which has none


@dataclass(frozen=True, slots=True)
class Fault:
    """A value that the model does not take.

    Attributes
    ----------
    row : int
        From 0.
    column : str
    reason : str
        What is there and what was expected, in one line.
    """

    row: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column!r}: {self.reason}"


def feeds_of(schema: Schema, data: Any) -> Feeds:
    """The inputs for a table, in the types of the graph; numbers are rounded to float32.

    Parameters
    ----------
    data : table or array
        With the model's columns, in any order; more columns are left out. An array where the columns have no names,
        or where the model takes one tensor.

    Raises
    ------
    MisuseError, UnknownNameError
        A column is missing, or of another kind; one line.
    """
    if schema.layout == "tensor":
        return {schema.tensor: _tensor(schema, data)}
    if isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[1] == len(schema.fields):
        return feeds_of_columns(schema, [_typed(field, data[:, at]) for at, field in enumerate(schema.fields)])
    table = table_of(data)
    columns = [column.name for column in table.columns]
    if not schema.named and not set(schema.names) <= set(columns) and len(columns) == len(schema.names):
        names: Sequence[str] = columns  # an unnamed model goes by position
    else:
        names = schema.names
    missing = [name for name in names if name not in columns]
    if missing:
        raise UnknownNameError.among("column of the data", missing[0], columns)
    return feeds_of_columns(
        schema, [read(field, table, name) for field, name in zip(schema.fields, names, strict=True)]
    )


def feeds_of_columns(schema: Schema, columns: Sequence[NDArray[Any]]) -> Feeds:
    """The inputs for columns in the schema's order, each of shape (rows,) and of its field's type."""
    if schema.layout == "columns":
        return {field.tensor: column.reshape(-1, 1) for field, column in zip(schema.fields, columns, strict=True)}
    return {schema.tensor: np.column_stack(columns).astype(NUMPY[schema.fields[0].type], copy=False)}


def columns_of(schema: Schema, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """The columns that inputs were made of, in the schema's order; of ``tensor`` the one input itself."""
    if schema.layout == "columns":
        return [feeds[field.tensor].reshape(-1) for field in schema.fields]
    if schema.layout == "tensor":
        return [feeds[schema.tensor]]
    return list(feeds[schema.tensor].T)


def rows_of(feeds: Mapping[str, NDArray[Any]]) -> int:
    """How many rows some inputs hold."""
    return len(next(iter(feeds.values())))


def read(field: Field, table: Table, name: str) -> NDArray[Any]:
    """One column of a table in the type of its field, shape (rows,).

    Raises
    ------
    MisuseError
        It is of another kind.
    """
    column = table.column(name)
    if field.type == "string":
        if column.kind != "categorical":
            raise MisuseError(f"column {name!r} is {column.kind} ({column.dtype}); the model takes text there")
        codes, texts = table.labels(name)
        return np.array([*texts, NULL], dtype=object)[codes]
    if column.kind == "categorical" and table.rows and not _is_void(table, name):
        raise MisuseError(f"column {name!r} is text ({column.dtype}); the model takes numbers there")
    numbers = table.numbers(name) if column.kind != "categorical" else np.full(table.rows, np.nan)
    return _as_type(field, numbers)


def frame_of_columns(schema: Schema, columns: Sequence[NDArray[Any]]) -> Any:
    """The rows as a pandas data frame, with the types that they had in the notebook: what rules are given."""
    import pandas as pd

    if schema.layout == "tensor":
        return pd.DataFrame({schema.names[0]: list(columns[0])})
    return pd.DataFrame(
        {field.name: _as_it_was(field, column) for field, column in zip(schema.fields, columns, strict=True)}
    )


def faults(schema: Schema, feeds: Mapping[str, NDArray[Any]]) -> dict[int, Fault]:
    """Row -> the first value in it that the model does not take; empty where all is well."""
    if schema.layout == "tensor":
        return _tensor_faults(schema, feeds[schema.tensor])
    found: dict[int, Fault] = {}
    if schema.layout == "matrix":
        matrix = feeds[schema.tensor]
        if matrix.dtype.kind != "f" or np.isfinite(matrix.sum(dtype=np.float64)):
            return found  # the common case in one pass: a sum is finite only where all numbers are
    for field, column in zip(schema.fields, columns_of(schema, feeds), strict=True):
        for row, reason in _column_faults(field, column):
            found.setdefault(row, Fault(row, field.name, reason))
    return found


def _column_faults(field: Field, column: NDArray[Any]) -> list[tuple[int, str]]:
    if field.type == "float32":
        wrong = ~np.isfinite(column)
        if not wrong.any():
            return []
        return [
            (int(row), "null (NaN), and the model takes none there" if np.isnan(column[row]) else "infinite")
            for row in np.flatnonzero(wrong)
            if not (field.nullable and np.isnan(column[row]))
        ]
    if field.type == "int64" and field.closed:
        unknown = np.flatnonzero(~np.isin(column.astype(str), list(field.known)))
        reason = f"a category that the model does not know ({_some(field)})"
        return [(int(row), f"{column[row]}, {reason}") for row in unknown]
    if field.type != "string":
        return []
    found = []
    for row, text in enumerate(column.tolist()):
        if text == NULL and NULL not in field.known:
            if not field.nullable:
                found.append((row, "null, and the model takes none there"))
        elif field.closed and text not in field.known:
            found.append((row, f"{_short(text)}, a category that the model does not know ({_some(field)})"))
    return found


def _some(field: Field) -> str:
    shown = [_short(text) for text in (field.categories or ())[:5]]
    return ", ".join(shown) + (", …" if len(field.categories or ()) > 5 else "")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")


def _tensor_faults(schema: Schema, tensor: NDArray[Any]) -> dict[int, Fault]:
    if tensor.dtype.kind != "f" or not len(tensor):
        return {}
    fine = np.isfinite(tensor.reshape(len(tensor), -1)).all(axis=1)
    name = schema.names[0]
    return {int(row): Fault(int(row), name, "holds NaN or infinity") for row in np.flatnonzero(~fine)}


def _tensor(schema: Schema, data: Any) -> NDArray[Any]:
    array = np.asarray(data)
    if array.ndim == 0 or array.shape[1:] != schema.shape:
        expected = ", ".join(["rows", *map(str, schema.shape)])
        raise MisuseError(f"data of shape {array.shape} for a model that takes ({expected})")
    return np.ascontiguousarray(array, dtype=NUMPY[schema.fields[0].type])


def _typed(field: Field, column: NDArray[Any]) -> NDArray[Any]:
    """A column of an array."""
    if field.type == "string":
        return np.array([NULL if value is None or value != value else str(value) for value in column.tolist()], object)
    try:
        return _as_type(field, column.astype(np.float64))
    except (TypeError, ValueError):
        raise MisuseError(f"column {field.name!r} is not numeric; the model takes numbers there") from None


def _as_type(field: Field, numbers: NDArray[np.float64]) -> NDArray[Any]:
    if field.type == "float32":
        with np.errstate(over="ignore"):  # beyond float32 it is infinite, which `faults` tells
            return numbers.astype(np.float32)
    whole = np.isfinite(numbers) & (numbers == np.floor(numbers))
    if not whole.all():
        row = int(np.flatnonzero(~whole)[0])
        raise MisuseError(f"row {row}, column {field.name!r}: {numbers[row]:g}, where a whole number is expected")
    return numbers.astype(NUMPY[field.type])


def _is_void(table: Table, name: str) -> bool:
    """Whether a column without a kind of its own holds nothing but nulls."""
    codes, _ = table.labels(name)
    return bool((codes < 0).all())


def _as_it_was(field: Field, column: NDArray[Any]) -> Any:
    import pandas as pd

    if field.type == "string":
        nulls = field.nullable and NULL not in field.known
        values = pd.Series(column, dtype=object).where(lambda texts: texts != NULL, None) if nulls else column
        return pd.array(list(values), dtype="str")
    try:
        with np.errstate(invalid="ignore"):
            kept = column.astype(field.dtype)
    except (TypeError, ValueError):  # a type of the notebook's own
        return column
    numbers = column.astype(np.float64)  # as whole numbers with nulls among them come from a notebook, too
    return kept if np.array_equal(kept.astype(np.float64), numbers, equal_nan=True) else numbers
