"""The step from batches to their log: arrays come in, plain values by column go out, short and without secrets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.rows import NULL, columns_of
from mlmagic.bundles.schema import Field, Schema
from mlmagic.config import is_secret
from mlmagic.records import Predictions
from mlmagic.serving.answered import Answered

Batch = tuple[int, Answered]
"""How many rows the batch had when it was scored, and those of them that are looked at."""

HIDDEN = "…"
_LETTERS = 200  # of one text
_NUMBERS = 64  # of one value that has many: an image, an embedding


def predictions_of(schema: Schema, batches: Sequence[Batch], endpoint_id: str, bundle_id: str) -> Predictions:
    """The record of some batches: every row with its inputs, as they were in the notebook, and its outputs."""
    columns = list(zip(*(columns_of(schema, batch.feeds) for _, batch in batches), strict=True))
    return Predictions(
        endpoint_id=endpoint_id,
        bundle_id=bundle_id,
        spans=tuple(
            (request_id, first, count, batch.at, batch.seconds, size)
            for size, batch in batches
            for request_id, first, count in batch.requests
        ),
        inputs={
            field.name: input_values(field, np.concatenate(parts))
            for field, parts in zip(schema.fields, columns, strict=True)
        },
        outputs={
            output.name: plain_values(np.concatenate([batch.answers[output.name] for _, batch in batches]))
            for output in schema.outputs
        },
    )


def input_values(field: Field, column: NDArray[Any]) -> list[Any]:
    """What a column of the graph's inputs says in the words of the notebook; nothing of a secret."""
    if is_secret(field.name):
        return [HIDDEN] * len(column)
    if column.ndim == 1 and field.type == "string" and field.nullable and NULL not in field.known:
        return [None if text == NULL else text for text in plain_values(column)]
    values = plain_values(column)
    if column.ndim == 1 and field.type == "float32" and field.dtype.lower().startswith(("int", "uint")):
        return [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    return values


def plain_values(array: NDArray[Any]) -> list[Any]:
    """One plain value for each row: a number, a text, a list; of very long ones the beginning and the shape."""
    if array.ndim > 1 and math.prod(array.shape[1:]) > _NUMBERS:
        shape = list(array.shape[1:])
        begins = array.reshape(len(array), -1)[:, :_NUMBERS]
        return [{"shape": shape, "first": row} for row in plain_values(begins)]
    if array.dtype.kind == "f":
        return _finite(short_floats(array))
    if array.dtype.kind in "biu":
        return list(array.tolist())
    if array.ndim > 1:
        return [plain_values(row) for row in array]
    texts = (value if isinstance(value, str) else str(value) for value in array.tolist())
    return [text if len(text) <= _LETTERS else text[:_LETTERS] + "…" for text in texts]


def short_floats(array: NDArray[Any]) -> NDArray[np.float64]:
    """The numbers of a float32 array as the shortest decimals that mean them: 0.1, not 0.10000000149011612."""
    exact = array.astype(np.float64)
    if array.dtype != np.float32:
        return exact
    with np.errstate(all="ignore"):
        magnitude = np.floor(np.log10(np.abs(exact)))
        best = exact
        for digits in (9, 8, 7, 6):  # nine tell all of them apart; fewer count where they mean the same number
            power = np.clip(digits - 1 - magnitude, -22, 22)
            rounded = np.where(
                power >= 0,
                np.rint(exact * 10.0**power) / 10.0**power,
                np.rint(exact / 10.0**-power) * 10.0**-power,
            )
            best = np.where(rounded.astype(np.float32) == array, rounded, best)
    return best


def _finite(array: NDArray[np.float64]) -> list[Any]:
    """JSON has no NaN: it is null, and infinity a text."""
    if np.isfinite(array).all():
        return list(array.tolist())
    return [_plain(value) for value in array.tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
