"""The proof in a bundle: what is written is what the model was asked and answered, bit by bit, and no secrets."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mlmagic.bundles.holdout import MOST_ROWS, Holdout, blanked, chosen, holdout_of, lines_of, plain_target
from mlmagic.bundles.rows import feeds_of
from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.errors import MisuseError
from tests.unit.bundles import sample

IMAGE = Schema(
    "tensor", (Field("image", "float32", "f"),), (Output("output", "float32", (3,)),), "output", "image", (2, 2)
)


def test_it_comes_back_bit_by_bit():
    holdout = sample.holdout()
    back = holdout_of(sample.SCHEMA, lines_of(sample.SCHEMA, holdout))
    for one, other in ((holdout.feeds, back.feeds), (holdout.answers, back.answers)):
        for name, array in one.items():
            assert other[name].dtype == array.dtype
            np.testing.assert_array_equal(other[name], array)
    assert back.target == holdout.target


def test_a_tensor_too():
    random = np.random.default_rng(0)
    feeds = {"image": random.normal(size=(5, 2, 2)).astype(np.float32)}
    answers = {"output": random.normal(size=(5, 3)).astype(np.float32)}
    answers["output"][2, 1] = np.nan
    back = holdout_of(IMAGE, lines_of(IMAGE, Holdout(feeds, answers)))
    np.testing.assert_array_equal(back.feeds["image"], feeds["image"])
    np.testing.assert_array_equal(back.answers["output"], answers["output"])
    assert back.target is None


def test_a_line_is_readable():
    line = json.loads(lines_of(sample.SCHEMA, sample.holdout()).splitlines()[0])
    assert line["inputs"] == {"age": 84.0, "income": None, "city": "Zug"}
    assert line["outputs"]["label"] in sample.SCHEMA.classes
    assert sum(line["outputs"]["probabilities"]) == pytest.approx(1)
    assert line["target"] in sample.SCHEMA.classes


def test_of_many_rows_some_are_drawn_the_same_ones_each_time():
    holdout = sample.holdout(3 * MOST_ROWS)
    lines = lines_of(sample.SCHEMA, holdout)
    assert lines.count(b"\n") == MOST_ROWS
    assert lines == lines_of(sample.SCHEMA, holdout)
    assert len(set(chosen(3 * MOST_ROWS).tolist())) == MOST_ROWS


def test_it_stays_light(monkeypatch):
    monkeypatch.setattr("mlmagic.bundles.holdout.MOST_BYTES", 1_000)
    lines = lines_of(sample.SCHEMA, sample.holdout())
    assert 500 < len(lines) <= 1_000


def test_rows_with_infinite_answers_have_no_form_in_json_and_go():
    answers = {"output": np.array([[1, 2, 3], [1, np.inf, 3]], np.float32)}
    feeds = {"image": np.zeros((2, 2, 2), np.float32)}
    assert holdout_of(IMAGE, lines_of(IMAGE, Holdout(feeds, answers))).rows == 1


def test_a_blank_column_says_nothing_and_its_rows_are_still_rows_of_the_model():
    feeds = feeds_of(sample.SCHEMA, sample.people(5))
    empty = blanked(sample.SCHEMA, feeds, frozenset({"age", "city"}))
    assert empty["age"][:, 0].tolist() == [0] * 5
    assert set(empty["city"][:, 0]) == {"-"}
    np.testing.assert_array_equal(empty["income"], feeds["income"])
    assert set(feeds["city"][:, 0]) <= set(sample.CITIES)  # the inputs themselves are as they were


def test_true_answers_as_json_has_them():
    assert plain_target(np.array([1, 0])) == [1, 0]
    assert plain_target([1.5, np.nan]) == [1.5, None]
    assert plain_target(np.array([["a"], [None]], dtype=object)) == ["a", None]


@pytest.mark.parametrize(
    "content",
    [
        b"no json\n",
        b"[]\n",
        b'{"inputs": {}}\n',
        b'{"inputs": {"age": 1}, "outputs": {}}\n',
        b'{"inputs": {"age": "x", "income": 1, "city": "Zug"}, "outputs": {"label": "a", "probabilities": [1, 0]}}\n',
        b'{"inputs": {"age": 1, "income": 1, "city": "Zug"}, "outputs": {"label": "a", "probabilities": ["x"]}}\n',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_refused(content):
    with pytest.raises(MisuseError, match="holdout rows are damaged"):
        holdout_of(sample.SCHEMA, content)


def test_also_a_number_that_no_column_holds():
    schema = replace(sample.SCHEMA, outputs=(Output("label", "int64"),), answers="label")
    line = b'{"inputs": {"age": 1, "income": 1, "city": "Zug"}, "outputs": {"label": 1%s}}\n' % (b"0" * 30)
    with pytest.raises(MisuseError, match="holdout rows are damaged"):
        holdout_of(schema, line)
