"""What a column takes is found out by asking both sides, column by column and for nulls in several at once."""

from __future__ import annotations

import numpy as np
import pytest

from mlmagic.bundles.exporters.probing import Sides, probed
from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.errors import MisuseError

SCHEMA = Schema(
    "matrix", (Field("a", "float32", "f"), Field("b", "float32", "f")), (Output("prediction", "float32"),),
    "prediction", "input", (2,),
)  # fmt: skip
FEEDS = {"input": np.ones((50, 2), np.float32)}


def answers(rows):
    return {"prediction": np.nansum(rows, axis=1)}


def otherwise(feeds):
    """The same, but for rows of nulls."""
    rows = feeds["input"]
    return {"prediction": np.where(np.isnan(rows).all(axis=1), 9.0, np.nansum(rows, axis=1))}


def failing(feeds):
    if np.isnan(feeds["input"]).all(axis=1).any():
        raise MisuseError("no row to impute from")
    return otherwise(feeds)


@pytest.mark.parametrize(("score", "taken"), [(otherwise, False), (failing, True)])
def test_nulls_that_are_answered_otherwise_only_together_are_refused_in_one_line(score, taken):
    schema, notes = probed(SCHEMA, FEEDS, Sides(lambda schema, feeds: answers(feeds["input"]), score), {})
    assert [field.nullable for field in schema.fields] == [taken, taken]
    assert notes == (() if taken else ("nulls are refused in a, b, as the graph would not answer as the model does",))
