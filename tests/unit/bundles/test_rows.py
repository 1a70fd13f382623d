"""The same rows give the same inputs from every library; what a model does not take is named by row and column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlmagic.bundles.rows import columns_of, faults, feeds_of, frame_of_columns, rows_of
from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.errors import MisuseError, UnknownNameError

GIVES = (Output("prediction", "float32"),)
MIXED = Schema(
    "columns",
    (
        Field("age", "float32", "int64", "age"),
        Field("income", "float32", "float64", "income", nullable=True),
        Field("city", "string", "str", "city", nullable=True, categories=("Bern", "Zug")),
        Field("member", "bool", "bool", "member"),
        Field("visits", "int64", "int64", "visits"),
    ),
    GIVES,
    "prediction",
)
MATRIX = Schema(
    "matrix",
    tuple(Field(f"x{place}", "float32", "float64") for place in range(3)),
    GIVES,
    "prediction",
    tensor="input",
    shape=(3,),
    named=False,
)
IMAGE = Schema("tensor", (Field("image", "float32", "float32"),), GIVES, "prediction", tensor="image", shape=(1, 2, 2))
PLAIN = {
    "age": [30, 45],
    "income": [50.5, None],
    "city": ["Bern", None],
    "member": [True, False],
    "visits": [3, 0],
}


def as_pandas():
    return pd.DataFrame(PLAIN)


def as_polars():
    return pytest.importorskip("polars").DataFrame(PLAIN)


def as_arrow():
    return pytest.importorskip("pyarrow").table(PLAIN)


def as_dicts():
    return [dict(zip(PLAIN, values, strict=True)) for values in zip(*PLAIN.values(), strict=True)]


@pytest.mark.parametrize("make", [as_pandas, as_polars, as_arrow, as_dicts, lambda: PLAIN])
def test_every_library_gives_the_same_inputs(make):
    feeds = feeds_of(MIXED, make())
    assert {name: array.shape for name, array in feeds.items()} == dict.fromkeys(PLAIN, (2, 1))
    assert [feeds[field.name].dtype.name for field in MIXED.fields] == ["float32", "float32", "object", "bool", "int64"]
    np.testing.assert_array_equal(feeds["age"][:, 0], [30, 45])
    np.testing.assert_array_equal(feeds["income"][:, 0], np.array([50.5, np.nan], np.float32))
    assert feeds["city"][:, 0].tolist() == ["Bern", ""]
    assert feeds["member"][:, 0].tolist() == [True, False]
    assert feeds["visits"][:, 0].tolist() == [3, 0]


def test_columns_come_in_any_order_and_more_of_them_are_left_out():
    turned = as_pandas().iloc[:, ::-1].assign(more=1)
    np.testing.assert_array_equal(feeds_of(MIXED, turned)["age"], feeds_of(MIXED, as_pandas())["age"])


def test_numbers_are_rounded_to_float32():
    feeds = feeds_of(MATRIX, np.array([[0.1, 0.2, 0.3]]))
    assert feeds["input"].dtype == np.float32
    np.testing.assert_array_equal(feeds["input"], np.array([[0.1, 0.2, 0.3]], np.float32))


def test_an_array_goes_by_position_and_so_does_a_frame_with_other_names():
    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(feeds_of(MATRIX, expected)["input"], expected)
    np.testing.assert_array_equal(feeds_of(MATRIX, pd.DataFrame(expected, columns=list("abc")))["input"], expected)


def test_an_array_of_objects_is_typed_by_the_schema():
    rows = np.array([[30, 50.5, "Bern", True, 3], [45, None, None, False, 0]], dtype=object)
    feeds = feeds_of(MIXED, rows)
    assert feeds["city"][:, 0].tolist() == ["Bern", ""]
    assert np.isnan(feeds["income"][1, 0])


def test_a_tensor_keeps_its_shape():
    images = np.ones((5, 1, 2, 2))
    assert feeds_of(IMAGE, images)["image"].dtype == np.float32
    with pytest.raises(MisuseError, match=r"data of shape \(5, 4\) for a model that takes \(rows, 1, 2, 2\)"):
        feeds_of(IMAGE, images.reshape(5, 4))


def test_columns_come_back():
    for schema, data in ((MIXED, as_pandas()), (MATRIX, np.ones((4, 3)))):
        feeds = feeds_of(schema, data)
        columns = columns_of(schema, feeds)
        assert len(columns) == len(schema.fields)
        assert {len(column) for column in columns} == {rows_of(feeds)}


def test_rules_see_the_rows_as_they_were_in_the_notebook():
    frame = frame_of_columns(MIXED, columns_of(MIXED, feeds_of(MIXED, as_pandas())))
    assert list(frame.columns) == list(PLAIN)
    assert [str(kind) for kind in frame.dtypes] == ["int64", "float64", "str", "bool", "int64"]
    assert frame["city"].isna().tolist() == [False, True]


# What is wrong


def test_a_missing_column_is_named():
    with pytest.raises(UnknownNameError, match="no column of the data 'income'; there are: age, city"):
        feeds_of(MIXED, as_pandas()[["age", "city"]])


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("age", ["thirty", "forty"], "column 'age' is text .* takes numbers there"),
        ("city", [1, 2], "column 'city' is numeric .* takes text there"),
        ("visits", [1.5, 2.0], "row 0, column 'visits': 1.5, where a whole number is expected"),
        ("visits", [1.0, None], "row 1, column 'visits': nan, where a whole number is expected"),
    ],
)
def test_a_column_of_another_kind_is_named(column, values, words):
    with pytest.raises(MisuseError, match=words):
        feeds_of(MIXED, {**PLAIN, column: values})


def test_a_column_of_nulls_has_no_kind():
    feeds = feeds_of(MIXED, {**PLAIN, "income": [None, None], "city": [None, None]})
    assert np.isnan(feeds["income"]).all()
    assert feeds["city"][:, 0].tolist() == ["", ""]


def test_no_faults_in_good_rows():
    assert faults(MIXED, feeds_of(MIXED, as_pandas())) == {}
    assert faults(MATRIX, feeds_of(MATRIX, np.ones((2, 3)))) == {}
    assert faults(IMAGE, feeds_of(IMAGE, np.ones((2, 1, 2, 2)))) == {}


def told(schema, data):
    return {row: str(fault) for row, fault in faults(schema, feeds_of(schema, data)).items()}


def test_the_first_fault_of_each_row_is_told():
    closed = Schema(
        "columns",
        (
            Field("age", "float32", "f", "age"),
            Field("city", "string", "str", "city", categories=("Bern",), closed=True),
        ),
        GIVES,
        "prediction",
    )
    rows = {"age": [1.0, np.nan, np.inf, 1e39, 5.0], "city": ["Bern", "Rome", "Bern", "Bern", None]}
    found = told(closed, rows)
    assert sorted(found) == [1, 2, 3, 4]
    assert found[1] == "row 1, column 'age': null (NaN), and the model takes none there"
    assert found[2] == found[3].replace("row 3", "row 2") == "row 2, column 'age': infinite"
    assert found[4] == "row 4, column 'city': null, and the model takes none there"
    assert "'Rome', a category that the model does not know ('Bern')" in told(closed, {"age": [1], "city": ["Rome"]})[0]


def test_a_matrix_and_a_tensor_name_the_row():
    assert told(MATRIX, np.array([[1, 2, 3], [1, np.nan, 3]])) == {
        1: "row 1, column 'x1': null (NaN), and the model takes none there"
    }
    images = np.ones((3, 1, 2, 2))
    images[2, 0, 1, 1] = np.inf
    assert list(told(IMAGE, images)) == [2]
