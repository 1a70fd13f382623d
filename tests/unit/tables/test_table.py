"""What counts as a table, how its columns are called and read, and the one line for what is none."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.tables import table_of


def kinds(data: Any) -> dict[str, str]:
    return {column.name: column.kind for column in table_of(data).columns}


# What is a table ---------------------------------------------------------------------------------------------


def test_the_columns_of_an_array_are_called_as_scikit_learn_does() -> None:
    table = table_of(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert [column.name for column in table.columns] == ["x0", "x1"]
    assert table.numbers("x1").tolist() == [2, 4, 6]


def test_a_series_is_a_table_of_one_column() -> None:
    assert kinds(pd.Series([1, 2], name="x")) == {"x": "numeric"}
    assert kinds(pd.Series(["a"])) == {"0": "categorical"}
    assert kinds(pl.Series("x", [True])) == {"x": "boolean"}
    assert kinds(pl.Series([True])) == {"0": "boolean"}
    assert kinds(np.array([True])) == {"x0": "boolean"}


def test_a_row_that_lacks_a_name_is_null_there() -> None:
    table = table_of([{"a": 1}, {"a": 2, "b": "x"}])
    assert table.labels("b")[0].tolist() == [-1, 0]


def test_a_table_is_its_own_table() -> None:
    table = table_of({"a": [1]})
    assert table_of(table) is table


def test_masked_and_structured_arrays() -> None:
    masked = np.ma.MaskedArray([[1, 2], [3, 4]], [[False, True], [False, False]])
    np.testing.assert_array_equal(table_of(masked).numbers("x1"), [np.nan, 4])
    assert table_of({"a": masked[:, 0]}).numbers("a").tolist() == [1, 3]
    assert kinds(np.array([(1, "x")], dtype=[("n", int), ("s", "U1")])) == {"n": "numeric", "s": "categorical"}


def test_a_csv_file(tmp_path: Path) -> None:
    file = tmp_path / "a [1].csv"
    file.write_text("x,day,word,flag\n1,2024-01-02,NA,true\n,2024-01-03,b,false\n")
    table = table_of(str(file))
    assert kinds(file) == {"x": "numeric", "day": "datetime", "word": "categorical", "flag": "boolean"}
    np.testing.assert_array_equal(table.numbers("x"), [1, np.nan])
    assert table.labels("word")[0].tolist() == [-1, 0]
    assert table.take([1]).to_pandas()["day"].tolist() == [pd.Timestamp("2024-01-03")]


def test_a_csv_file_of_text_has_its_names_in_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("first,second\na,b\n")
    assert kinds(tmp_path / "words.csv") == {"first": "categorical", "second": "categorical"}


def test_an_unordered_query_is_computed_once() -> None:
    table = table_of(duckdb.sql("SELECT x, x AS y FROM (SELECT random() AS x)"))
    assert table.numbers("x") == table.numbers("x") == table.numbers("y")


def test_a_relation_of_a_closed_connection_is_said_in_one_line() -> None:
    connection = duckdb.connect()
    relation = connection.sql("SELECT 1 AS a")
    connection.close()
    with pytest.raises(MisuseError, match=r"^the DuckDB relation cannot be read: .*closed[^\n]*$"):
        table_of(relation)


def test_a_lazy_frame_is_computed_once() -> None:
    calls: list[int] = []
    lazy = pl.LazyFrame({"a": [1]}).with_columns(pl.col("a").map_batches(lambda s: (calls.append(1), s)[1]).alias("b"))
    table = table_of(lazy)
    before = len(calls)
    table.numbers("a"), table.numbers("b")
    assert len(calls) == before


# Kinds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "labels"),
    [
        ([1, None, 2.5], "numeric", ["1", "2.5"]),
        ([1, "1", 2], "categorical", ["1", "2"]),
        ([True, None, False], "boolean", ["False", "True"]),
        ([True, 1, 2.0], "categorical", ["1", "2", "True"]),
        (["a", float("nan"), pd.NA, None, pd.NaT], "categorical", ["a"]),
        ([None, float("nan")], "categorical", []),
        ([datetime.date(1970, 1, 1), datetime.datetime(1970, 1, 1)], "datetime", ["1970-01-01"]),
        ([pd.Timestamp("1970-01-02"), pd.NaT], "datetime", ["1970-01-02"]),
        ([{"a": 1}, [1]], "categorical", ["[1]", "{'a': 1}"]),
        ([1 + 2j], "categorical", ["(1+2j)"]),
        ([10**400, -(10**400)], "numeric", ["-inf", "inf"]),
    ],
)
def test_objects_are_what_their_types_have_in_common(values: list[Any], kind: str, labels: list[str]) -> None:
    for data in ({"x": values}, pd.DataFrame({"x": pd.Series(values, dtype=object)})):
        table = table_of(data)
        assert table.column("x").kind == kind
        assert table.labels("x")[1] == labels


@pytest.mark.parametrize(
    ("series", "kind"),
    [
        (pd.Series([1, None], dtype="Int64"), "numeric"),
        (pd.Series([True, None], dtype="boolean"), "boolean"),
        (pd.Series([True, False], dtype="category"), "categorical"),
        (pd.Series(["a", None], dtype="string"), "categorical"),
        (pd.Series(pd.period_range("2024-01", periods=2, freq="M")), "datetime"),
        (pd.Series(pd.interval_range(0, 2)), "categorical"),
        (pd.Series(pd.date_range("2024", periods=2, tz="Europe/Berlin")), "datetime"),
        (pd.Series(pd.arrays.SparseArray([0.0, 1.0])), "numeric"),
        (pd.Series([1 + 2j]), "categorical"),
        (pd.Series([1, None], dtype="float32"), "numeric"),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_pandas_types_have_their_kind(series: pd.Series[Any], kind: str) -> None:
    table = table_of(series.to_frame("x"))
    assert table.column("x").kind == kind
    assert len(table.labels("x")[0]) == len(series)
    if kind != "categorical":
        assert len(table.numbers("x")) == len(series)


def test_what_is_infinite_stays_so() -> None:
    assert table_of(pd.DataFrame({"x": [np.inf, -np.inf]})).numbers("x").tolist() == [np.inf, -np.inf]


def test_whole_numbers_too_long_for_a_float_are_rounded() -> None:
    for data in ({"x": [2**60 + 1]}, pa.table({"x": [2**60 + 1]}), pl.DataFrame({"x": [2**60 + 1]})):
        assert table_of(data).numbers("x").tolist() == [2.0**60]


def test_no_rows_are_a_table_too() -> None:
    nothing = pa.table({"x": pa.array([], pa.float64()), "s": pa.array([], pa.string())})
    for data in (nothing, nothing.to_pandas(), pl.from_arrow(nothing), pa.table(nothing.schema.empty_table())):
        table = table_of(data)
        assert (table.rows, len(table.numbers("x")), table.labels("s")[1]) == (0, 0, [])


# Fast --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap", [pd.DataFrame, pl.DataFrame, pa.table, dict], ids=["pandas", "polars", "Arrow", "dict"]
)
def test_floats_are_read_without_a_copy(wrap: Any) -> None:
    table = table_of(wrap({"x": np.arange(5.0), "y": np.arange(5.0)}))
    assert np.shares_memory(table.numbers("y"), table.numbers("y"))


def test_nothing_is_loaded_for_plain_rows() -> None:
    code = "import sys; from mlmagic.tables import table_of; table_of([{'a': 1, 'b': 'x'}]).labels('b')"
    told = f"{code}; print([n for n in ('pandas', 'polars', 'pyarrow', 'duckdb') if n in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", told], text=True).strip() == "[]"


# Some rows ---------------------------------------------------------------------------------------------------


def test_a_sample_is_drawn_without_replacement_in_order_and_again_the_same() -> None:
    table = table_of({"x": np.arange(1000.0)})
    drawn = table.sample(100, seed=3).numbers("x")
    assert len(set(drawn)) == 100
    assert drawn.tolist() == sorted(drawn) == table.sample(100, seed=3).numbers("x").tolist()
    assert drawn.tolist() != table.sample(100, seed=4).numbers("x").tolist()


def test_a_sample_of_more_than_there_is_is_everything() -> None:
    table = table_of({"x": [1, 2]})
    assert table.sample(5) is table


def test_a_row_that_is_not_there_is_refused() -> None:
    for data in ({"x": [1, 2]}, pd.DataFrame({"x": [1, 2]}), pl.DataFrame({"x": [1, 2]}), pa.table({"x": [1, 2]})):
        with pytest.raises(IndexError, match="row -1 of a table with 2 rows"):
            table_of(data).take([-1])


def test_pandas_gets_nulls_and_zones_back(tmp_path: Path) -> None:
    file = str(tmp_path / "t.parquet")
    duckdb.sql(
        f"COPY (SELECT unnest([1, NULL]) AS i, true AS b, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS t) TO '{file}'"
    )
    frame = table_of(file).to_pandas()
    assert [str(kind) for kind in frame.dtypes] == ["Int32", "bool", "datetime64[us, UTC]"]
    assert frame["i"].isna().tolist() == [False, True]


# In one line -------------------------------------------------------------------------------------------------


class Odd:
    pass


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (5, "a value of type int is no table; expected a pandas"),
        (Odd(), r"Odd is no table; expected a pandas or polars data frame, .* or a path to .parquet or .csv"),
        (np.zeros((2, 2, 2)), "ndarray is no table"),
        (np.array(5), "ndarray is no table"),
        ([1, 2], "a value of type list is no table"),
        ("data.parquet", "no file 'data.parquet' in /"),
        ("data.json", "'data.json' is no table: expected a path to .parquet or .csv"),
        (pd.DataFrame(), "the table has no columns"),
        (pl.DataFrame(), "the table has no columns"),
        ({}, "the table has no columns"),
        ([], "the table has no columns"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are called 'a': rename one of them"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "two columns are called '1'"),
        (pa.table([[1], [2]], names=["a", "a"]), "two columns are called 'a'"),
        ({"a": 5}, "column 'a' is no list of values but int"),
        ({"a": [1], "b": [1, 2]}, "columns differ in length: 'a' has 1 rows, 'b' 2"),
        (pl.LazyFrame({"a": [1]}).select("b"), "the polars LazyFrame cannot be computed: "),
    ],
)
def test_what_is_no_table_is_said_in_one_line(data: Any, told: str) -> None:
    with pytest.raises(MisuseError, match=told) as raised:
        table_of(data)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["broken.parquet", "empty.csv", "binary.csv"])
def test_a_file_that_cannot_be_read_is_said_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00" if name == "binary.csv" else b"")
    with pytest.raises(MisuseError, match=name) as raised:
        table_of(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_text_has_no_numbers() -> None:
    with pytest.raises(MisuseError, match=r"column 's' has no numbers: it is categorical \(String\)"):
        table_of(pl.DataFrame({"s": ["a"]})).numbers("s")


def test_a_column_that_is_not_there_has_a_near_miss() -> None:
    with pytest.raises(UnknownNameError, match="no column 'agee'; did you mean 'age'"):
        table_of({"age": [1]}).labels("agee")


def test_names_that_are_no_text_become_it() -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)]))
    assert list(kinds(frame)) == ["('a', 1)", "('a', 2)"]
