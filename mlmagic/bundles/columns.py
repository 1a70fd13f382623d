"""The step from answers to columns of a table: arrays by output come in, Arrow columns with names go out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic._optional import need
from mlmagic.bundles.graph import Answers
from mlmagic.bundles.schema import PROBABILITIES, Output, Schema
from mlmagic.errors import MisuseError

_WIDEST = 2_000  # columns that one output becomes; beyond, it is one column of lists
_TYPES = {"float32": "float32", "int64": "int64", "bool": "bool_", "string": "string"}


def answer_columns(schema: Schema) -> list[str]:
    """Names of the columns that answers become."""
    return [name for output in schema.outputs for name in _names(schema, output)]


def _names(schema: Schema, output: Output) -> list[str]:
    """``probability_CLASS`` for each class; the output's name, numbered where a row has several numbers."""
    if output.name == PROBABILITIES and schema.classes is not None:
        return [f"probability_{label}" for label in schema.classes]
    if is_nested(output) or output.shape in ((), (1,)):
        return [output.name]
    return [f"{output.name}_{place}" for place in range((output.shape or (0,))[0] or 0)]


def answers_as_table(schema: Schema, answers: Answers, fine: NDArray[np.bool_]) -> Any:
    """Answers for the rows that are `fine` as an Arrow table of all rows, null elsewhere."""
    arrow = need("pyarrow")
    places = np.cumsum(fine) - 1
    found = {}
    for output in schema.outputs:
        names = _names(schema, output)
        for name, values in zip(names, _columns(output, answers.get(output.name), len(names)), strict=True):
            found[name] = values if fine.all() else values.take(arrow.array(places, mask=~fine))
    return arrow.table(found)


def _columns(output: Output, array: NDArray[Any] | None, count: int) -> Iterator[Any]:
    """The Arrow columns of one output; empty ones where nothing was answered."""
    arrow = need("pyarrow")
    kind = getattr(arrow, _TYPES[output.type])()
    if array is not None and array.ndim != 1 + len(output.shape):
        raise MisuseError(f"the model answered {output.name} of shape {array.shape}, not such as its schema says")
    if is_nested(output):
        for _ in output.shape:
            kind = arrow.list_(kind)
        yield arrow.array([] if array is None else array.tolist(), kind)
        return
    flat = np.empty((0, count), object) if array is None else array.reshape(len(array), -1)
    if flat.shape[1] != count:
        raise MisuseError(f"the model answered {flat.shape[1]} values for {output.name}, where its schema says {count}")
    for place in range(count):
        yield arrow.array(flat[:, place], kind)


def is_nested(output: Output) -> bool:
    """Whether a row's answer is a list, in a column of lists."""
    return len(output.shape) > 1 or any(size is None or size > _WIDEST for size in output.shape)
