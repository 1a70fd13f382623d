"""A graph that answers: only after it was looked at, and only where it fits its schema."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlmagic.bundles.rows import feeds_of
from mlmagic.bundles.schema import Field, Output
from mlmagic.bundles.scorer import Scorer, empty_feeds
from mlmagic.errors import MisuseError
from tests.unit.bundles import sample


def test_it_answers_as_the_model_does():
    rows = sample.people(50, seed=7)
    found = Scorer(sample.content(), sample.SCHEMA).score(feeds_of(sample.SCHEMA, rows))
    np.testing.assert_allclose(found["probabilities"], sample.fitted().predict_proba(rows), atol=1e-5)
    assert found["label"].tolist() == sample.fitted().predict(rows).tolist()


def test_threads_change_nothing():
    feeds = feeds_of(sample.SCHEMA, sample.people(50))
    one, two = (Scorer(sample.content(), sample.SCHEMA, threads).score(feeds) for threads in (1, 2))
    np.testing.assert_array_equal(one["probabilities"], two["probabilities"])


@pytest.mark.parametrize(
    "schema",
    [
        replace(sample.SCHEMA, fields=sample.SCHEMA.fields[:2]),
        replace(sample.SCHEMA, fields=(*sample.SCHEMA.fields, Field("more", "float32", "float64", "more"))),
        replace(sample.SCHEMA, outputs=(*sample.SCHEMA.outputs, Output("score", "float32"))),
        replace(sample.SCHEMA, outputs=(Output("label", "int64"), sample.SCHEMA.outputs[1])),
        replace(sample.SCHEMA, fields=(replace(sample.SCHEMA.fields[0], type="int64"), *sample.SCHEMA.fields[1:])),
    ],
)
def test_a_schema_that_does_not_fit_is_refused(schema):
    with pytest.raises(MisuseError, match="schema does not fit its model"):
        Scorer(sample.content(), schema)


def test_what_is_no_model_is_refused_before_it_is_run():
    with pytest.raises(MisuseError, match="is no ONNX model"):
        Scorer(b"\x80\x04nonsense", sample.SCHEMA)


def test_a_graph_that_cannot_be_loaded_says_why():
    broken = sample.content().replace(b"LinearClassifier", b"LinearClassifies")
    with pytest.raises(MisuseError, match="cannot be loaded"):
        Scorer(broken, sample.SCHEMA)


def test_inputs_of_another_type_fail_in_one_line():
    feeds = {**feeds_of(sample.SCHEMA, sample.people(3)), "age": np.array([["x"], ["y"], ["z"]], dtype=object)}
    with pytest.raises(MisuseError, match="the model failed on these rows") as told:
        Scorer(sample.content(), sample.SCHEMA).score(feeds)
    assert "\n" not in str(told.value)


def test_empty_inputs_warm_it_up():
    feeds = empty_feeds(sample.SCHEMA, 4)
    assert Scorer(sample.content(), sample.SCHEMA).score(feeds)["probabilities"].shape == (4, 2)
