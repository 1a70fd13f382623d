"""A schema travels as JSON and comes back the same; what is none is refused."""

from __future__ import annotations

import json

import pytest

from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.errors import MisuseError, UnknownNameError

COLUMNS = Schema(
    layout="columns",
    fields=(
        Field("age", "float32", "int64", "age", nullable=True, low=18.0, high=90.0),
        Field("city", "string", "str", "city", categories=("Bern", "Zug"), closed=True),
    ),
    outputs=(Output("label", "string"), Output("probabilities", "float32", (2,))),
    answers="probabilities",
    classes=("leaves", "stays"),
)
MATRIX = Schema(
    layout="matrix",
    fields=tuple(Field(f"x{place}", "float32", "float64") for place in range(3)),
    outputs=(Output("prediction", "float32"),),
    answers="prediction",
    tensor="input",
    shape=(3,),
    named=False,
)
TENSOR = Schema(
    layout="tensor",
    fields=(Field("image", "float32", "float32"),),
    outputs=(Output("output", "float32", (None, 4)),),
    answers="output",
    tensor="image",
    shape=(1, 28, 28),
)


@pytest.mark.parametrize("schema", [COLUMNS, MATRIX, TENSOR], ids=lambda schema: schema.layout)
def test_it_comes_back_as_it_was(schema):
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_widths():
    assert (COLUMNS.width, MATRIX.width, TENSOR.width) == (2, 3, 784)


def test_parts_by_name():
    assert COLUMNS.field("city").known == {"Bern", "Zug"}
    assert COLUMNS.output("label").type == "string"
    with pytest.raises(UnknownNameError, match="did you mean 'city'"):
        COLUMNS.field("cty")
    with pytest.raises(UnknownNameError, match="no output of the model 'score'"):
        COLUMNS.output("score")


@pytest.mark.parametrize(
    ("schema", "changes"),
    [
        (COLUMNS, {"layout": "table"}),
        (COLUMNS, {"fields": []}),
        (COLUMNS, {"answers": "score"}),
        (COLUMNS, {"outputs": [{"name": "label", "type": "object", "shape": []}]}),
        (COLUMNS, {"fields": [COLUMNS.to_dict()["fields"][0]] * 2}),
        (COLUMNS, {"fields": [{"name": "age"}]}),
        (MATRIX, {"shape": [4]}),
        (MATRIX, {"tensor": ""}),
        (TENSOR, {"shape": [1, -28, 28]}),
        (TENSOR, {"shape": []}),
        (TENSOR, {"shape": ["28"]}),
        (COLUMNS, {"outputs": [{**COLUMNS.to_dict()["outputs"][0], "shape": [-1]}]}),
        (COLUMNS, {"outputs": [{**COLUMNS.to_dict()["outputs"][0], "shape": ["a"]}]}),
        (COLUMNS, {"classes": [None, {}]}),
        *(
            (COLUMNS, {"fields": [{**COLUMNS.to_dict()["fields"][0], name: value}]})
            for name, value in {"low": "x", "closed": [1], "nullable": "no", "categories": [1], "dtype": 5}.items()
        ),
    ],
)
def test_what_is_no_schema_is_refused(schema, changes):
    with pytest.raises(MisuseError, match="the bundle's schema is damaged"):
        Schema.from_dict({**schema.to_dict(), **changes})


@pytest.mark.parametrize("lacking", ["layout", "fields", "outputs", "answers", "classes"])
def test_a_missing_part_is_refused(lacking):
    plain = {key: value for key, value in COLUMNS.to_dict().items() if key != lacking}
    with pytest.raises(MisuseError, match=lacking):
        Schema.from_dict(plain)
