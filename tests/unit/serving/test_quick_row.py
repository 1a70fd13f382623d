"""A wide row of numbers straight from bytes: as the long way reads it, or left to the long way."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.serving.quick_row import QuickRow

pytest.importorskip("simdjson")

WIDTH = 120
SCHEMA = Schema(
    "matrix",
    tuple(Field(f"x{number}", "float32", "float64") for number in range(WIDTH)),
    (Output("prediction", "float32"),),
    "prediction",
    tensor="input",
    shape=(WIDTH,),
    named=False,
)
ROW = [number / 7 for number in range(WIDTH - 1)] + [3]


def rows(*found, **more):
    return json.dumps({"rows": found, **more}).encode()


def tensor(data, shape=(1, WIDTH), datatype="FP32", name="input", **more):
    return json.dumps({"inputs": [{"name": name, "shape": shape, "datatype": datatype, "data": data}], **more}).encode()


def with_last(value):
    return [*ROW[:-1], value]


@pytest.mark.parametrize(
    "read", [lambda: QuickRow(SCHEMA).of_rows(rows(ROW)), lambda: QuickRow(SCHEMA).of_tensor(tensor(ROW))]
)
def test_a_row_of_numbers_is_read_as_float32(read):
    found = read()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([ROW], np.float32))


@pytest.mark.parametrize("value", [True, None, "1.5", [1], {}, 10**30])
def test_what_is_no_number_is_left_to_the_long_way_which_names_it(value):
    assert QuickRow(SCHEMA).of_rows(rows(with_last(value))) is None
    assert QuickRow(SCHEMA).of_tensor(tensor(with_last(value))) is None


@pytest.mark.parametrize(
    "body",
    [
        rows(),
        rows(ROW, ROW),
        rows(ROW[1:]),
        rows([*ROW, 1]),
        rows({"x0": 1}),
        b'{"rows": 3}',
        b"[[1]]",
        b'{"rows": [[1, 2',
        rows(ROW)[:-1] + b", x}",
        rows([ROW[:60], ROW[60:]]),
        b"\xff" + rows(ROW),
    ],
    ids=str.split("none two short long object number list cut torn nested bytes"),
)
def test_other_rows_are_left_to_the_long_way(body):
    assert QuickRow(SCHEMA).of_rows(body) is None


@pytest.mark.parametrize(
    "body",
    [
        tensor(ROW, shape=(1, WIDTH - 1)),
        tensor(ROW, shape=(WIDTH,)),
        tensor([ROW]),
        tensor(ROW, datatype="FP64"),
        tensor(ROW, name=3),
        tensor(ROW, id="mine"),
        tensor(ROW, outputs=[{"name": "prediction"}]),
        b'{"inputs": []}',
        rows(ROW),
    ],
    ids=str.split("shape flat nested double number id outputs none rows"),
)
def test_other_tensors_are_left_to_the_long_way(body):
    assert QuickRow(SCHEMA).of_tensor(body) is None


def test_a_number_beyond_float32_is_infinite_as_on_the_long_way():
    assert np.isinf(QuickRow(SCHEMA).of_rows(rows(with_last(1e300)))[0, -1])


def test_narrow_models_and_those_of_columns_take_the_long_way():
    narrow = Schema("matrix", SCHEMA.fields[:3], SCHEMA.outputs, "prediction", tensor="input", shape=(3,))
    assert QuickRow(narrow).of_rows(rows([1, 2, 3])) is None


def test_one_parser_reads_any_number_of_bodies():
    quick = QuickRow(SCHEMA)
    for number in range(50):
        row = [float(number)] * WIDTH
        np.testing.assert_array_equal(quick.of_rows(rows(row)), np.array([row], np.float32))
        assert quick.of_tensor(tensor(row[1:])) is None
