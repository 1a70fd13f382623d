"""Equal data gives equal numbers and labels, whichever library holds it."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmagic.tables import Table, table_of

UTC = datetime.UTC
INT, FLOAT, BOOL, TEXT = pa.int64(), pa.float64(), pa.bool_(), pa.string()
DAY, TIME, ZONED, SPAN = pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.duration("us")
TYPES = {"int": INT, "float": FLOAT, "bool": BOOL, "text": TEXT, "day": DAY, "time": TIME, "zoned": ZONED}

moments = st.datetimes(datetime.datetime(1800, 1, 1), datetime.datetime(2200, 1, 1))
# NUL ends strings in C, and a lone surrogate is no text in any library but Python
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**53), 2**53),
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "text": st.text(letters, max_size=4),
    "day": st.dates(datetime.date(1800, 1, 1), datetime.date(2200, 1, 1)),
    "time": moments,
    "zoned": moments.map(lambda moment: moment.replace(tzinfo=UTC)),
}
rows = st.lists(st.fixed_dictionaries({name: st.none() | value for name, value in VALUES.items()}), min_size=1)


def everywhere(table: pa.Table, folder: Path) -> Iterator[tuple[str, Table]]:
    file = folder / "table.parquet"
    pyarrow.parquet.write_table(table, file)
    yield "Arrow", table_of(table)
    yield "record batch", table_of(table.combine_chunks().to_batches()[0])
    yield "chunks", table_of(pa.concat_tables([table.slice(0, 1), table.slice(1)]))
    yield "dataset", table_of(pyarrow.dataset.dataset(file))
    yield "pandas", table_of(table.to_pandas())
    yield "pandas of Arrow", table_of(table.to_pandas(types_mapper=pd.ArrowDtype))
    yield "pandas nullable", table_of(table.to_pandas().convert_dtypes())
    yield "polars", table_of(pl.from_arrow(table))
    yield "polars, lazy", table_of(pl.from_arrow(table).lazy())
    yield "Parquet", table_of(file)
    yield "DuckDB", table_of(duckdb.connect().read_parquet(str(file)))
    yield "columns", table_of(table.to_pydict())
    yield "rows", table_of(table.to_pylist())


def assert_same(one: Table, other: Table, name: str, where: str) -> None:
    column = one.column(name)
    if column.kind == other.column(name).kind != "categorical":
        np.testing.assert_array_equal(one.numbers(name), other.numbers(name), where)
    codes, words = other.labels(name)
    assert codes.dtype == np.int64
    assert (codes.tolist(), words) == (one.labels(name)[0].tolist(), one.labels(name)[1]), (where, name)


@settings(max_examples=25)
@given(rows)
def test_equal_data_has_equal_numbers_and_labels(found: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(found, pa.schema(list(TYPES.items())))
    with tempfile.TemporaryDirectory() as folder:
        first = table_of(table)
        for where, other in everywhere(table, Path(folder)):
            assert other.rows == len(found)
            for name in TYPES:
                assert_same(first, other, name, where)


@settings(max_examples=10)
@given(rows, st.data())
def test_rows_taken_are_the_same_rows(found: list[dict[str, Any]], data: st.DataObject) -> None:
    table = pa.Table.from_pylist(found, pa.schema(list(TYPES.items())))
    wanted = data.draw(st.lists(st.integers(0, len(found) - 1), min_size=1, max_size=5))
    with tempfile.TemporaryDirectory() as folder:
        first = table_of(table.take(wanted))
        for where, other in everywhere(table, Path(folder)):
            for name in TYPES:
                assert_same(first, other.take(wanted), name, where)


CASES: list[tuple[str, Any, Sequence[Any], str, list[float] | None, list[str]]] = [
    ("whole numbers", INT, [3, None, -1], "numeric", [3, np.nan, -1], ["-1", "3"]),
    ("floats", FLOAT, [0.1, None, float("inf")], "numeric", [0.1, np.nan, np.inf], ["0.1", "inf"]),
    ("truth", BOOL, [True, None, False], "boolean", [1, np.nan, 0], ["False", "True"]),
    ("text", TEXT, ["é", None, "b"], "categorical", None, ["b", "é"]),
    ("days", DAY, [datetime.date(1970, 1, 2), None], "datetime", [86400, np.nan], ["1970-01-02"]),
    ("times", TIME, [datetime.datetime(1970, 1, 1, 0, 0, 1, 500_000)], "datetime", [1.5], ["1970-01-01 00:00:01.500000"]),  # noqa: E501
    ("zones", ZONED, [datetime.datetime(1970, 1, 1, 1, tzinfo=UTC)], "datetime", [3600], ["1970-01-01 01:00:00"]),
    ("clocks", pa.time64("us"), [datetime.time(1), None], "numeric", [3600, np.nan], ["3600"]),
    ("decimals", pa.decimal128(5, 2), [1.25, None, 3], "numeric", [1.25, np.nan, 3], ["1.25", "3"]),
    ("nothing", pa.null(), [None, None], "categorical", None, []),
    ("lists", pa.list_(INT), [[1, 2], None], "categorical", None, ["[1, 2]"]),
    ("bytes", pa.binary(), [b"ab", None], "categorical", None, ["ab"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "kind", "values", "told", "numbers", "labels"), CASES, ids=[case[0] for case in CASES]
)
def test_each_kind_reads_the_same_everywhere(
    tmp_path: Path, what: str, kind: Any, values: list[Any], told: str, numbers: list[float] | None, labels: list[str]
) -> None:
    array = pa.array([None if v is None else str(v) for v in values]).cast(kind) if what == "decimals" else None
    table = pa.table({"x": pa.array(values, kind) if array is None else array})
    for where, found in everywhere(table, tmp_path):
        column = found.column("x")
        assert column.kind == told, where
        if numbers is not None:
            np.testing.assert_array_equal(found.numbers("x"), numbers, where)
        codes, words = found.labels("x")
        assert words == labels, where
        assert [code >= 0 for code in codes] == [value is not None for value in values], where


def test_durations_are_seconds() -> None:
    table = pa.table({"x": pa.array([datetime.timedelta(minutes=1), None], SPAN)})
    for data in (table, table.to_pandas(), pl.from_arrow(table), table.to_pydict()):
        np.testing.assert_array_equal(table_of(data).numbers("x"), [60, np.nan])
    relation = duckdb.sql("SELECT INTERVAL 1 MINUTE AS x")
    assert table_of(relation).numbers("x").tolist() == [60]


def test_categories_are_their_words_and_only_those_that_occur() -> None:
    coded = pa.array(["b", None, "a", "b"]).dictionary_encode()
    enum = pl.Series(["b", None, "a", "b"], dtype=pl.Enum(["unused", "b", "a"]))
    kinds = [
        pa.table({"x": coded}),
        pd.DataFrame({"x": pd.Categorical(["b", None, "a", "b"], categories=["unused", "b", "a"])}),
        pl.DataFrame({"x": enum}),
        pl.DataFrame({"x": enum.cast(pl.String).cast(pl.Categorical)}),
        duckdb.sql("SELECT unnest(['b', NULL, 'a', 'b'])::ENUM ('unused', 'b', 'a') AS x"),
        {"x": np.array(["b", "", "a", "b"])},
    ]
    for data in kinds[:-1]:
        codes, words = table_of(data).labels("x")
        assert (codes.tolist(), words) == ([1, -1, 0, 1], ["a", "b"])
    assert table_of(kinds[-1]).labels("x")[1] == ["", "a", "b"], "empty text is text"


def test_the_same_instant_is_the_same_number_in_any_unit() -> None:
    moments = np.array(["2024-05-01T10:20:30.123456"], dtype="M8[us]")
    in_micro, in_nano = ({"x": moments.astype(f"M8[{unit}]")} for unit in ("us", "ns"))
    assert (
        table_of(in_micro).numbers("x")
        == table_of(in_nano).numbers("x")
        == table_of(pd.DataFrame(in_nano)).numbers("x")
    )
