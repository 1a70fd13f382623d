"""What a graph may do before it is run: standard operators only, all of its weights inside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlmagic._optional import need
from mlmagic.errors import MisuseError

# Both domains are computation only. What reads files, loads libraries or asks the machine lives in other domains.
ALLOWED_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_EXTERNAL = 1  # TensorProto.EXTERNAL: the weights lie in a file that the model names


def check_operators(content: bytes) -> None:
    """Raises `MisuseError` for a graph that is none, or does more than compute from its inputs and own weights."""
    onnx = need("onnx")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own classes
        raise MisuseError(f"the bundle's model is no ONNX model ({type(error).__name__})") from error
    functions = {(function.domain, function.name) for function in model.functions}
    for graph in (model.graph, *model.functions):
        for node in _nodes(graph):
            if node.domain not in ALLOWED_DOMAINS and (node.domain, node.op_type) not in functions:
                raise MisuseError(
                    f"the bundle's model uses the operator {node.domain}.{node.op_type}, which is not allowed"
                )
    for tensor in _tensors(model.graph):
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            raise MisuseError("the bundle's model keeps weights in another file, which is not allowed")


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in _nodes(graph):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from inner.initializer
