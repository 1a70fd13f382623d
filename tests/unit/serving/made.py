"""Bundles for the server's tests, made here: small graphs whose answers can be told from their rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mlmagic.bundles.folder import HOLDOUT, MODEL, SCHEMA, TIMING, Bundle, write_bundle
from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.serving.options import Options

FLOAT, INT, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
FAST = [{"rows": 1, "seconds": 1e-5}, {"rows": 64, "seconds": 1e-4}, {"rows": 1024, "seconds": 1e-3}]
SLOW = [{"rows": 1, "seconds": 0.005}, {"rows": 16, "seconds": 0.01}, {"rows": 256, "seconds": 10.0}]


def options(bundle: Bundle, **more: Any) -> Options:
    """What serves a bundle."""
    return Options(str(bundle.path), "e-1", **more)


def put(
    folder: Path, name: str, content: bytes, schema: Schema, timing: Any = None, key: bytes | None = None
) -> Bundle:
    """A bundle of a graph and its schema."""
    files = {MODEL: content, SCHEMA: json.dumps(schema.to_dict()).encode(), HOLDOUT: b""}
    if timing is not None:
        files[TIMING] = json.dumps(timing).encode()
    about = {"bundle_id": f"b-{name}", "created_at": 0.0, "model": "model", "framework": "none", "model_type": "Sum"}
    return write_bundle(folder, name, files, about, key)


def graph(nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: list[Any] = ()) -> bytes:
    made = helper.make_graph(nodes, "made", inputs, outputs, list(weights))
    domains = [helper.make_opsetid("", 17)]
    model = helper.make_model(made, opset_imports=domains, ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def value(name: str, kind: int, *shape: Any) -> Any:
    return helper.make_tensor_value_info(name, kind, ["rows", *shape])


def weight(name: str, *numbers: Any, kind: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.array(numbers, kind), name)


def matrix(folder: Path, columns: int = 3, timing: Any = FAST, nullable: bool = False, **how: Any) -> Bundle:
    """A classifier of a matrix: the label is whether the sum is positive, the probabilities are sum and -sum."""
    names = [f"c {at}" for at in range(columns)]
    nodes = [
        helper.make_node("ReduceSum", ["X", "axes"], ["sum"], keepdims=1),
        helper.make_node("Neg", ["sum"], ["negative"]),
        helper.make_node("Concat", ["negative", "sum"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    content = graph(
        nodes,
        [value("X", FLOAT, columns)],
        [value("label", INT), value("probabilities", FLOAT, 2)],
        [weight("axes", 1, kind=np.int64)],
    )
    schema = Schema(
        layout="matrix",
        fields=tuple(Field(name, "float32", "float64", nullable=nullable) for name in names),
        outputs=(Output("label", "int64"), Output("probabilities", "float32", (2,))),
        answers="probabilities",
        tensor="X",
        shape=(columns,),
        classes=(0, 1),
    )
    return put(folder, "sums", content, schema, timing, **how)


def columns(folder: Path, timing: Any = FAST) -> Bundle:
    """A regressor of columns of each type: twice the size, plus the count; and the town comes back as the label."""
    nodes = [
        helper.make_node("Cast", ["count"], ["count_as_float"], to=FLOAT),
        helper.make_node("Cast", ["flag"], ["flag_as_float"], to=FLOAT),
        helper.make_node("Sum", ["size", "size", "count_as_float", "flag_as_float"], ["prediction_2d"]),
        helper.make_node("Reshape", ["prediction_2d", "flat"], ["prediction"]),
        helper.make_node("Reshape", ["town", "flat"], ["label"]),
    ]
    content = graph(
        nodes,
        [
            value("size", FLOAT, 1),
            value("count", INT, 1),
            value("flag", TensorProto.BOOL, 1),
            value("town", TEXT, 1),
        ],
        [value("prediction", FLOAT), value("label", TEXT)],
        [weight("flat", -1, kind=np.int64)],
    )
    fields = (
        Field("size in m", "float32", "float64", "size", nullable=True),
        Field("count", "int64", "int64", "count"),
        Field("flag", "bool", "bool", "flag"),
        Field("town", "string", "str", "town", categories=("Ulm", "Bonn", "Köln"), closed=True),
    )
    schema = Schema(
        layout="columns",
        fields=fields,
        outputs=(Output("prediction", "float32"), Output("label", "string")),
        answers="prediction",
    )
    return put(folder, "towns", content, schema, timing)


def tensor(folder: Path, shape: tuple[int, ...] = (2, 3), timing: Any = FAST) -> Bundle:
    """A network over one tensor: it gives each row's numbers doubled, in their shape."""
    content = graph(
        [helper.make_node("Add", ["image", "image"], ["output"])],
        [value("image", FLOAT, *shape)],
        [value("output", FLOAT, *shape)],
    )
    schema = Schema(
        layout="tensor",
        fields=(Field("x0", "float32", "float32"),),
        outputs=(Output("output", "float32", shape),),
        answers="output",
        tensor="image",
        shape=shape,
        named=False,
    )
    return put(folder, "doubled", content, schema, timing)


def lookup(folder: Path, timing: Any = FAST) -> Bundle:
    """A model that fails on some rows: the number at the place that the row names, of ten."""
    nodes = [
        helper.make_node("Reshape", ["place", "flat"], ["places"]),
        helper.make_node("Gather", ["table", "places"], ["prediction"]),
    ]
    content = graph(
        nodes,
        [value("place", INT, 1)],
        [value("prediction", FLOAT)],
        [weight("flat", -1, kind=np.int64), weight("table", *(10.0 * at for at in range(10)))],
    )
    schema = Schema(
        layout="columns",
        fields=(Field("place", "int64", "int64", "place"),),
        outputs=(Output("prediction", "float32"),),
        answers="prediction",
    )
    return put(folder, "places", content, schema, timing)
