"""The first step of tables: any data comes in, the table that reads it goes out.

A library is asked only where the user's process has loaded it: without it there is no value of it. So an endpoint
that is sent rows as dicts loads neither pandas nor DuckDB.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from mlmagic._optional import loaded
from mlmagic.errors import MisuseError
from mlmagic.tables.table import Table

EXPECTED = (
    "a pandas or polars data frame, an Arrow table, a NumPy array, a dict of columns, a list of dicts, "
    "a DuckDB relation, or a path to .parquet or .csv"
)


def table_of(data: Any) -> Table:
    """The table behind any tabular data; a table is its own.

    Raises
    ------
    MisuseError
        It is no table; the text says what would be one.
    """
    if isinstance(data, Table):
        return data
    for reader in _READERS:
        table = reader(data)
        if table is not None:
            return table
    kind = type(data)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise MisuseError(f"a value of type {name} is no table; expected {EXPECTED}")


def _pandas(data: Any) -> Table | None:
    pandas = loaded("pandas")
    if pandas is None or not isinstance(data, (pandas.DataFrame, pandas.Series)):
        return None
    from mlmagic.tables.of_pandas import PandasTable

    return PandasTable.of(data)


def _polars(data: Any) -> Table | None:
    polars = loaded("polars")
    if polars is None or not isinstance(data, (polars.DataFrame, polars.LazyFrame, polars.Series)):
        return None
    from mlmagic.tables.of_polars import PolarsTable

    return PolarsTable.of(data)


def _arrow(data: Any) -> Table | None:
    arrow, dataset = loaded("pyarrow"), loaded("pyarrow.dataset")
    if arrow is not None and isinstance(data, (arrow.Table, arrow.RecordBatch)):
        from mlmagic.tables.of_arrow import ArrowTable

        return ArrowTable(data)
    if dataset is not None and isinstance(data, dataset.Dataset):
        from mlmagic.tables.of_arrow import DatasetTable

        return DatasetTable(data)
    return None


def _relation(data: Any) -> Table | None:
    duckdb = loaded("duckdb")
    if duckdb is None or not isinstance(data, duckdb.DuckDBPyRelation):
        return None
    from mlmagic.tables.of_duckdb import table_of_relation

    return table_of_relation(data)


def _file(data: Any) -> Table | None:
    if not isinstance(data, (str, os.PathLike)):
        return None
    from mlmagic.tables.of_duckdb import table_of_file

    return table_of_file(data)


def _arrays(data: Any) -> Table | None:
    if not isinstance(data, (np.ndarray, dict, list, tuple)):
        return None
    from mlmagic.tables.of_arrays import table_of_arrays

    return table_of_arrays(data)


_READERS = (_pandas, _polars, _arrow, _relation, _file, _arrays)
