"""The step that gives a graph its public face: outputs of the schema's names and shapes, one input for each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlmagic.bundles.schema import LABEL, PREDICTION, PROBABILITIES, Field, TensorType

ROWS = "rows"  # name of the axis whose size is any


def finished(model: Any, kinds: Mapping[str, TensorType], prediction: int | None = None) -> Any:
    """The graph with outputs named as in the schema; the model is changed in place.

    Parameters
    ----------
    model : onnx.ModelProto
    kinds : mapping
        Name of each output that is kept -> its type, in the order in which the graph gives them; others go.
    prediction : int, optional
        Numbers in one prediction; 0 where it is a single one, without an axis of its own.
    """
    from onnx import helper

    given = [output.name for output in model.graph.output]
    inside = {name: f"{name}/inside" for name in kinds if name not in given}  # the names are to be free
    rename(model, inside | {old: f"{new}/converted" for old, new in zip(given, kinds, strict=False)})
    made = []
    for name, kind in kinds.items():
        _last_node(model, f"{name}/converted", name, kind, prediction)
        shape: list[Any] = [ROWS] if name == LABEL or not prediction else [ROWS, prediction]
        made.append(
            helper.make_tensor_value_info(name, _element(kind), [ROWS, None] if name == PROBABILITIES else shape)
        )
    del model.graph.output[:]
    model.graph.output.extend(made)
    del model.graph.value_info[:]  # what was inferred for other names
    return model


def with_columns(model: Any, fields: Sequence[Field]) -> Any:
    """A graph that takes one matrix, taking its columns one by one instead; the model is changed in place."""
    from onnx import helper

    old = model.graph.input[0].name
    rename(model, {old: f"{old}/joined"})
    del model.graph.input[:]
    model.graph.input.extend(
        helper.make_tensor_value_info(field.tensor, _element(field.type), [ROWS, 1]) for field in fields
    )
    joining = helper.make_node("Concat", [field.tensor for field in fields], [f"{old}/joined"], axis=1)
    model.graph.node.insert(0, joining)
    return model


def with_rows(model: Any) -> Any:
    """The graph's inputs with the first axis named; the model is changed in place."""
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = ROWS
    return model


def rename(model: Any, names: Mapping[str, str]) -> None:
    """Give values of a graph other names, in the graphs within it too; what has such a name already makes way."""
    taken = set(names.values()) - set(names)
    wanted = {**{name: f"{name}/inside" for name in taken & _values(model.graph)}, **names}
    _rename(model.graph, wanted)


def _values(graph: Any) -> set[str]:
    return {name for node in graph.node for name in (*node.input, *node.output)} | {one.name for one in graph.input}


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, names)


def _last_node(model: Any, source: str, name: str, kind: TensorType, prediction: int | None) -> None:
    """The node that makes an output of what the converter gives."""
    from onnx import TensorProto, helper

    if name in (LABEL, PREDICTION):
        sizes = [-1] if name == LABEL or not prediction else [-1, prediction]
        model.graph.initializer.append(helper.make_tensor(f"{name}/sizes", TensorProto.INT64, [len(sizes)], sizes))
        reshaped = f"{name}/reshaped"
        model.graph.node.append(helper.make_node("Reshape", [source, f"{name}/sizes"], [reshaped]))
        source = reshaped
    if kind == "string":
        model.graph.node.append(helper.make_node("Identity", [source], [name]))
    else:
        model.graph.node.append(helper.make_node("Cast", [source], [name], to=_element(kind)))


def _element(kind: TensorType) -> int:
    from onnx import TensorProto

    kinds = {
        "float32": TensorProto.FLOAT,
        "int64": TensorProto.INT64,
        "bool": TensorProto.BOOL,
        "string": TensorProto.STRING,
    }
    return int(kinds[kind])
