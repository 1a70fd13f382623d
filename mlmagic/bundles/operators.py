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
    for part in (model.graph, *model.functions):
        for graph in _graphs(part):
            _check_nodes(graph, functions)
            _check_tensors(graph)


def _check_nodes(graph: Any, functions: set[tuple[str, str]]) -> None:
    for node in graph.node:
        if node.domain not in ALLOWED_DOMAINS and (node.domain, node.op_type) not in functions:
            raise MisuseError(
                f"the bundle's model uses the operator {node.domain}.{node.op_type}, which is not allowed"
            )


def _check_tensors(graph: Any) -> None:
    for tensor in _tensors(graph):
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            raise MisuseError("the bundle's model keeps weights in another file, which is not allowed")


def _graphs(part: Any) -> Iterator[Any]:
    """A graph or a function of the model, and every graph inside it, each once."""
    yield part
    for attribute in _attributes(part):
        for inner in (attribute.g, *attribute.graphs):
            if inner.ByteSize():
                yield from _graphs(inner)


def _attributes(graph: Any) -> Iterator[Any]:
    yield from getattr(graph, "attribute_proto", ())  # defaults, of a function only
    for node in graph.node:
        yield from node.attribute


def _tensors(graph: Any) -> Iterator[Any]:
    """The tensors of one graph or function, those inside its inner graphs left out."""
    sparse = [*getattr(graph, "sparse_initializer", ())]
    yield from getattr(graph, "initializer", ())
    for attribute in _attributes(graph):
        yield from (attribute.t, *attribute.tensors)
        sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
    for one in sparse:
        yield from (one.values, one.indices)
