"""Tables that DuckDB reads: Parquet and CSV files column by column, relations in one go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlmagic.errors import MisuseError
from mlmagic.tables import texts, times
from mlmagic.tables.objects import unmasked
from mlmagic.tables.table import Column, Kind, Table, names_of, positions

_AS_IT_IS = {
    "float", "double", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint",
}  # fmt: skip
_AS_DOUBLE = {"decimal", "hugeint", "uhugeint"}
_MOMENTS = {"date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"}
_DURATIONS = {"time", "interval"}
NO_VALUE = ["", "NA", "NaN", "nan", "NULL", "null"]  # in a CSV file; pandas knows these too


class DuckTable(Table):
    """Columns as DuckDB hands them to NumPy: masked where null, times as whole micro- or nanoseconds, text as objects.

    Parameters
    ----------
    columns : sequence of Column
    rows : int
    """

    def __init__(self, columns: Sequence[Column], rows: int) -> None:
        self.columns = tuple(columns)
        self.rows = rows

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> DuckTable:
        wanted = positions(rows, self.rows)
        return ReadTable(self.columns, len(wanted), {c.name: self._read(c)[wanted] for c in self.columns})

    def to_pandas(self) -> Any:
        return pd.DataFrame({column.name: _as_pandas(column, self._read(column)) for column in self.columns})

    def _numbers(self, column: Column) -> NDArray[np.float64]:
        values = self._read(column)
        if _id(column) in _MOMENTS | _DURATIONS:
            return times.seconds(np.ma.getdata(values), _per_second(column), np.ma.getmaskarray(values))
        if np.ma.isMaskedArray(values):
            return np.ma.filled(values.astype(np.float64), np.nan)
        return values.astype(np.float64, copy=False)

    def _labels(self, column: Column) -> texts.Labels:
        codes, words = pd.factorize(unmasked(self._read(column)))
        return texts.tidy(codes, list(words))

    def _read(self, column: Column) -> NDArray[Any]:
        raise NotImplementedError


class ReadTable(DuckTable):
    """Columns that have been read."""

    def __init__(self, columns: Sequence[Column], rows: int, values: dict[str, NDArray[Any]]) -> None:
        super().__init__(columns, rows)
        self._values = values

    def _read(self, column: Column) -> NDArray[Any]:
        return self._values[column.name]


class FileTable(DuckTable):
    """Columns that are read from a file when they are asked for; DuckDB keeps a file's rows in their order."""

    def __init__(self, relation: duckdb.DuckDBPyRelation, name: str) -> None:
        super().__init__(_columns(relation), _count(relation))
        self._relation, self._file = relation, name

    def _read(self, column: Column) -> NDArray[Any]:
        try:
            return next(iter(self._relation.project(_expression(column)).fetchnumpy().values()))
        except duckdb.Error as error:
            raise _unreadable(self._file, error) from error


def table_of_relation(relation: duckdb.DuckDBPyRelation) -> DuckTable:
    """The rows of a relation, computed once: for another column its query could give them in another order."""
    try:
        columns = _columns(relation)
        asked = ", ".join(f"{_expression(column)} AS c{place}" for place, column in enumerate(columns))
        values = list(relation.project(asked).fetchnumpy().values())
    except duckdb.Error as error:
        raise _unreadable("the DuckDB relation", error) from error
    return ReadTable(columns, len(values[0]), {c.name: v for c, v in zip(columns, values, strict=True)})


def table_of_file(path: str | os.PathLike[str]) -> FileTable:
    """The columns of a Parquet or CSV file.

    Raises
    ------
    MisuseError
        It is not there, or is of another kind, or cannot be read.
    """
    file = Path(path)
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise MisuseError(f"{str(path)!r} is no table: expected a path to .parquet or .csv")
    if not file.is_file():
        raise MisuseError(f"no file {str(path)!r} in {Path.cwd()}")
    try:
        return FileTable(read(duckdb.connect(), str(file)), str(path))
    except duckdb.Error as error:
        raise _unreadable(str(path), error) from error


def _parquet(connection: duckdb.DuckDBPyConnection, path: str) -> duckdb.DuckDBPyRelation:
    return connection.read_parquet(path)


def _csv(connection: duckdb.DuckDBPyConnection, path: str) -> duckdb.DuckDBPyRelation:
    """Parsed once, into DuckDB's memory; all rows decide what a column holds."""
    connection.read_csv(path, header=True, sample_size=-1, na_values=NO_VALUE).to_table("read")
    return connection.table("read")


_READERS = {".parquet": _parquet, ".csv": _csv}


def _unreadable(what: str, error: duckdb.Error) -> MisuseError:
    return MisuseError(f"{what} cannot be read: {str(error).strip().partition(chr(10))[0]}")


def _columns(relation: duckdb.DuckDBPyRelation) -> list[Column]:
    names = names_of(relation.columns)
    return [Column(n, _kind_of(str(t.id)), str(t)) for n, t in zip(names, relation.types, strict=True)]


def _count(relation: duckdb.DuckDBPyRelation) -> int:
    return int(relation.aggregate("count(*)").fetchall()[0][0])


def _kind_of(identity: str) -> Kind:
    if identity == "boolean":
        return "boolean"
    if identity in _MOMENTS:
        return "datetime"
    return "numeric" if identity in _AS_IT_IS | _AS_DOUBLE | _DURATIONS else "categorical"


def _id(column: Column) -> str:
    """DuckDB's name of a type, without what is in parentheses."""
    return column.dtype.partition("(")[0].lower()


def _expression(column: Column) -> str:
    """The SQL whose result NumPy can hold as it is."""
    name, identity = '"' + column.name.replace('"', '""') + '"', _id(column)
    if identity == "boolean" or identity in _AS_IT_IS:
        return name
    if identity in _AS_DOUBLE:
        return f"CAST({name} AS DOUBLE)"
    if column.kind == "categorical":
        return f"CAST({name} AS VARCHAR)"
    return f"{'epoch_ns' if _per_second(column) == 10**9 else 'epoch_us'}({name})"


def _per_second(column: Column) -> int:
    return times.PER_SECOND["ns" if _id(column) == "timestamp_ns" else "us"]


def _as_pandas(column: Column, values: NDArray[Any]) -> Any:
    if column.kind == "categorical":
        return pd.Series(unmasked(values))
    nulls = np.ma.getmaskarray(values)
    if _id(column) in _MOMENTS | _DURATIONS:
        unit = "ns" if _per_second(column) == 10**9 else "us"
        ticks = np.where(nulls, times.NOT_A_TIME, np.ma.getdata(values))
        found = pd.Series(ticks.view(f"{'M' if column.kind == 'datetime' else 'm'}8[{unit}]"))
        return found.dt.tz_localize("UTC") if "zone" in column.dtype.lower() else found
    if not nulls.any():
        return np.ma.getdata(values)
    nullable = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}.get(
        values.dtype.kind, pd.arrays.IntegerArray
    )
    return nullable(np.ma.getdata(values), nulls)
