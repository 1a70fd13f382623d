"""Torch modules: a module and an example batch come in, a graph for batches of any size goes out, weights inside."""

from __future__ import annotations

import contextlib
import inspect
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic._optional import loaded, need
from mlmagic.bundles.exporters.finishing import with_rows
from mlmagic.bundles.exporters.inputs import MATRIX, example_of, fields_of
from mlmagic.bundles.exporters.quiet import quiet, unwarned
from mlmagic.bundles.graph import Answers, ExportError, Graph
from mlmagic.bundles.operators import check_operators
from mlmagic.bundles.rows import Feeds
from mlmagic.bundles.schema import OUTPUT, Field, Output, Schema, TensorType
from mlmagic.bundles.scorer import Scorer
from mlmagic.errors import MisuseError

_TRACED = 3  # rows of the batch that is followed through the module: not one, which would be taken for a constant
_TYPES: dict[str, TensorType] = {"float32": "float32", "int64": "int64", "bool": "bool"}


def graph_of(model: Any, example: Any, *, name: str = "model") -> Graph:
    """The graph of a module; see `mlmagic.bundles.exporters.graph_of`.

    The module is asked and exported as in evaluation, and is in the mode that it was in after that.
    """
    need("onnxscript")
    _check(model)
    schema, batch = _inputs_of(example)
    ask = partial(_ask, model)
    answers = _first_answers(ask, schema, batch, type(model).__name__)
    outputs = tuple(Output(key, _type_of(key, found), found.shape[1:]) for key, found in answers.items())
    schema = replace(schema, outputs=outputs, answers=outputs[0].name)
    content = _content(model, schema, batch, name)
    notes = ("it was in training mode, and is exported as in evaluation",) if model.training else ()
    graph = Graph(content, schema, f"torch {_torch().__version__}", type(model).__name__, ask, None, notes)
    _check_batches(graph, batch)
    return graph


def _torch() -> Any:
    torch = loaded("torch")
    assert torch is not None  # a module is at hand
    return torch


def _check(model: Any) -> None:
    kinds = {str(weight.dtype).removeprefix("torch.") for weight in model.parameters() if weight.is_floating_point()}
    if other := kinds - {"float32"}:
        raise ExportError(
            f"{type(model).__name__} has weights of {min(other)}; expected float32: call its float() first"
        )
    takes = [
        one.name
        for one in inspect.signature(model.forward).parameters.values()
        if one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    if len(takes) > 1:
        raise ExportError(
            f"{type(model).__name__}.forward takes {', '.join(takes)}; expected one tensor: wrap it in a module that "
            "takes one and splits it"
        )


def _inputs_of(example: Any) -> tuple[Schema, NDArray[Any]]:
    """The schema's side of the inputs, and the example as an array of the graph's type."""
    array = _array_of(example)
    if array is None:
        data = example_of(object(), example)
        fields = fields_of(data, (), ())
        texts = [field.name for field in fields if field.type != "float32"]
        if texts:
            raise ExportError(f"column {texts[0]!r} is text: a torch module takes numbers")
        together = tuple(replace(field, tensor="") for field in fields)
        shape: tuple[int, ...] = (len(fields),)
        return Schema("matrix", together, (), "", MATRIX, shape), data.frame.to_numpy(np.float32)
    if not array.ndim or not len(array) or 0 in array.shape:
        raise ExportError(f"the example has the shape {array.shape}; expected rows first, and at least one")
    kind: TensorType = "int64" if array.dtype.kind in "iu" else "float32"
    typed = array.astype(kind)
    shape = array.shape[1:] or (1,)
    finite = typed[np.isfinite(typed)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    field = Field(MATRIX, kind, str(array.dtype), low=low, high=high)
    return Schema("tensor", (field,), (), "", MATRIX, shape, named=False), typed.reshape(len(typed), *shape)


def _array_of(example: Any) -> NDArray[Any] | None:
    """An array or tensor as an array; ``None`` for a table."""
    if isinstance(example, _torch().Tensor):
        example = example.detach().cpu().numpy()
    if not isinstance(example, np.ndarray):
        return None
    if example.dtype.kind not in "biuf":
        raise ExportError(f"the example is an array of {example.dtype}; a torch module takes numbers")
    return example


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """The module in evaluation mode; every part of it is in its own mode again after that."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


@contextlib.contextmanager
def _same_randomness() -> Iterator[None]:
    """The state of random generators is the same after it as before."""
    torch = _torch()
    kept, drawn = random.getstate(), np.random.get_state()
    state = torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(drawn)
        torch.set_rng_state(state)


def _ask(model: Any, feeds: Feeds) -> Answers:
    """What the module answers in evaluation."""
    torch = _torch()
    with unwarned(), _same_randomness(), _evaluating(model), torch.no_grad():
        return _named(model(_tensor(model, next(iter(feeds.values())))))


def _tensor(model: Any, array: NDArray[Any]) -> Any:
    """An array where the module's weights are."""
    weight = next(model.parameters(), None)
    return _torch().as_tensor(np.array(array), device=None if weight is None else weight.device)


def _named(given: Any) -> Answers:
    """A module's answer as arrays by name."""
    if isinstance(given, _torch().Tensor):
        given = {OUTPUT: given}
    elif isinstance(given, (tuple, list)):
        given = {f"{OUTPUT}_{place}": one for place, one in enumerate(given)}
    if not isinstance(given, dict) or not all(isinstance(one, _torch().Tensor) for one in given.values()):
        raise TypeError(f"it gives a {type(given).__name__}, not a tensor, or several by place or name")
    return {str(name): one.detach().cpu().numpy() for name, one in given.items()}


def _first_answers(ask: Callable[[Feeds], Answers], schema: Schema, batch: NDArray[Any], name: str) -> Answers:
    try:
        answers = ask({schema.tensor: batch[:_TRACED]})
    except Exception as error:  # the user's module's own
        raise ExportError(f"{name} fails on the example, of shape {batch.shape}: {_line(error)}") from error
    for output, found in answers.items():
        if found.ndim < 1 or len(found) != len(batch[:_TRACED]):
            raise ExportError(
                f"{name} gives {output} of shape {found.shape} for {len(batch[:_TRACED])} rows, not one a row"
            )
    return answers


def _type_of(name: str, found: NDArray[Any]) -> TensorType:
    kind = _TYPES.get(str(found.dtype))
    if kind is None:
        raise ExportError(f"output {name!r} is of type {found.dtype}; expected float32, int64 or bool")
    return kind


def _content(model: Any, schema: Schema, batch: NDArray[Any], name: str) -> bytes:
    torch = _torch()
    rows = np.resize(batch, (_TRACED, *batch.shape[1:])) if len(batch) < _TRACED else batch[:_TRACED]
    try:
        with quiet(), _same_randomness(), _evaluating(model), torch.no_grad():
            program = torch.onnx.export(
                model,
                (_tensor(model, rows),),
                dynamo=True,
                verbose=False,
                external_data=False,
                input_names=[schema.tensor],
                output_names=[output.name for output in schema.outputs],
                dynamic_shapes=({0: torch.export.Dim("rows")},),
            )
            made = with_rows(program.model_proto)
            made.graph.name = name
            content: bytes = made.SerializeToString()
        check_operators(content)
    except MisuseError:
        raise
    except Exception as error:  # torch's, of many classes
        raise ExportError(f"{type(model).__name__} cannot be exported: {_reason(error)}") from error
    return content


def _check_batches(graph: Graph, batch: NDArray[Any]) -> None:
    """Raises `ExportError` where the module or its graph holds the number of rows that it was followed with."""
    scorer = Scorer(graph.content, graph.schema)
    for rows in (1, 2 * _TRACED + 1):
        feeds = {graph.schema.tensor: np.resize(batch, (rows, *batch.shape[1:]))}
        try:
            right = all(len(one) == rows for side in (graph.ask, scorer.score) for one in side(feeds).values())
        except Exception:  # the module's own, of any class, or the graph's
            right = False
        if not right:
            raise ExportError(
                f"{graph.model_type} cannot be exported: it answers {_TRACED} rows, but not {rows}; let its forward "
                "use the input's own number of rows"
            )


def _reason(error: BaseException) -> str:
    """Why torch could not follow a module, and what can be done."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 10:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    told = " ".join(str(one) for one in chain)
    if any(
        word in told for word in ("data-dependent", "GuardOnDataDependent", "dynamic control flow", "Dynamic control")
    ):
        return "its forward branches on values of its input (if, while, .item()): use torch.where or torch.cond instead"
    if "rows" in told and ("specialized" in told or "ConstraintViolation" in told or "Constraints violated" in told):
        return "its forward holds a fixed number of rows: use the input's own shape instead"
    return _line(chain[-1])


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
