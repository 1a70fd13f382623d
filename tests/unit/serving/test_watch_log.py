"""What a log says of the values that a model was given and gave."""

import json

import numpy as np
import pytest

from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.serving.answered import Answered
from mlmagic.serving.watch_log import input_values, plain_values, predictions_of, short_floats

NUMBER = Field("size", "float32", "float64", nullable=True)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e6, 1e12])
def test_numbers_are_as_short_as_they_can_be_and_mean_the_same(scale):
    values = (np.random.default_rng(0).normal(size=5000) * scale).astype(np.float32)
    told = short_floats(values)
    assert (told.astype(np.float32) == values).all()
    assert max(len(repr(value)) for value in told.tolist()) <= 16


def test_a_decimal_that_was_rounded_to_the_graphs_type_is_that_decimal_again():
    decimals = [0.1, -2.35, 123.456, 1e-7, 16777215.0, 0.0]
    assert plain_values(np.array(decimals, dtype=np.float32)) == decimals


def test_what_json_lacks_has_a_word():
    assert plain_values(np.array([np.nan, np.inf, -np.inf, 1.5], dtype=np.float32)) == [
        None, "Infinity", "-Infinity", 1.5,
    ]  # fmt: skip


def test_whole_numbers_of_the_notebook_are_whole_numbers_of_the_log():
    found = input_values(Field("n", "float32", "int64", nullable=True), np.array([3, np.nan, 2.5], dtype=np.float32))
    assert json.dumps(found) == "[3, null, 2.5]"


def test_an_empty_text_is_null_where_the_model_knows_none():
    texts = np.array(["", "b"], dtype=object)
    assert input_values(Field("c", "string", "str", nullable=True, categories=("b",)), texts) == [None, "b"]
    assert input_values(Field("c", "string", "str", nullable=True, categories=("", "b")), texts) == ["", "b"]


@pytest.mark.parametrize("name", ["password", "API_KEY", "user_token", "secret_santa"])
def test_columns_whose_name_suggests_a_secret_are_blanked(name):
    assert input_values(Field(name, "string", "str"), np.array(["abc", "def"], dtype=object)) == ["…", "…"]
    assert input_values(Field(name, "float32", "float64"), np.array([1, 2], dtype=np.float32)) == ["…", "…"]


def test_long_texts_are_cut():
    (told,) = plain_values(np.array(["x" * 1000], dtype=object))
    assert told == "x" * 200 + "…"


def test_of_an_image_its_shape_and_first_numbers_are_kept():
    images = np.arange(2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8)
    first, second = plain_values(images)
    assert first == {"shape": [3, 8, 8], "first": [float(n) for n in range(64)]}
    assert second["first"][0] == 192.0


def test_a_small_tensor_is_kept_whole():
    assert plain_values(np.array([[[1, 2], [3, 4]]])) == [[[1, 2], [3, 4]]]
    assert plain_values(np.array([["a", "b"]], dtype=object)) == [["a", "b"]]


def test_rows_of_several_batches_follow_one_another():
    schema = Schema("columns", (Field("size", "float32", "float64", "s"),), (Output("label", "int64"),), "label")
    batches = [
        (50, Answered(at, 0.5, spans, {"s": np.full((rows, 1), at, np.float32)}, {"label": np.arange(rows)}))
        for at, rows, spans in ((1.0, 3, (("r1", 0, 2), ("r2", 4, 1))), (2.0, 1, (("r3", 0, 1),)))
    ]
    made = predictions_of(schema, batches, "ep1", "b1")
    assert made.spans == (("r1", 0, 2, 1.0, 0.5, 50), ("r2", 4, 1, 1.0, 0.5, 50), ("r3", 0, 1, 2.0, 0.5, 50))
    assert made.inputs == {"size": [1.0, 1.0, 1.0, 2.0]}
    assert made.outputs == {"label": [0, 1, 2, 0]}
