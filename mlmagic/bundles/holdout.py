"""The proof that a bundle carries: rows and the model's answers for them come in, lines of JSON go out; and back.

A line holds the inputs of one row by column, what the model answered, and what is true where that is known. Numbers
are float32, as the graph sees them, in the fewest digits that tell them; NaN is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.graph import Answers
from mlmagic.bundles.rows import NULL, Feeds, columns_of, feeds_of, rows_of
from mlmagic.bundles.schema import NUMPY, Field, Schema
from mlmagic.errors import MisuseError, MlmagicError

MOST_ROWS = 1_000
MOST_BYTES = 5_000_000
_BLANK = "-"  # in the place of a text that is not written down, where an empty one would be refused


@dataclass(frozen=True)
class Holdout:
    """Rows with expected answers.

    Attributes
    ----------
    feeds : mapping
        Inputs of the graph.
    answers : mapping
        Of the model in the notebook, for exactly these inputs.
    target : sequence or None
        The true labels or values, plain; ``None``: not known.
    """

    feeds: Feeds
    answers: Answers
    target: Sequence[Any] | None = None

    @property
    def rows(self) -> int:
        return rows_of(self.feeds)

    def take(self, rows: NDArray[np.int64]) -> Holdout:
        """Some of its rows, by position."""
        return Holdout(
            take(self.feeds, rows), take(self.answers, rows), self.target and [self.target[row] for row in rows]
        )


def take(arrays: Mapping[str, NDArray[Any]], rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Some rows of inputs or answers, by position or as a mask."""
    return {name: array[rows] for name, array in arrays.items()}


def chosen(rows: int, most: int = MOST_ROWS) -> NDArray[np.int64]:
    """Positions of at most so many rows, the same ones each time, in their order."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False, shuffle=False))


def blanked(schema: Schema, feeds: Feeds, columns: frozenset[str]) -> Feeds:
    """The same inputs with nothing in some columns: 0, or a text that says nothing."""
    if schema.layout == "tensor" or not columns:
        return feeds
    found = {name: array.copy() for name, array in feeds.items()}
    for at, field in enumerate(schema.fields):
        if field.name in columns and schema.layout == "columns":
            found[field.tensor][:] = (NULL if field.nullable else _BLANK) if field.type == "string" else 0
        elif field.name in columns:
            found[schema.tensor][:, at] = 0
    return found


# -- to lines ----------------------------------------------------------------------------------------


def lines_of(schema: Schema, holdout: Holdout) -> bytes:
    """Its rows as lines of JSON, as many as are light enough; rows with infinite answers, which JSON lacks, go."""
    finite = np.flatnonzero(_are_finite(holdout.answers, holdout.rows))
    lines, size = [], 0
    for line in _lines(schema, holdout.take(finite[chosen(len(finite))])):
        size += len(line)
        if size > MOST_BYTES:
            break
        lines.append(line)
    return b"".join(lines)


def _are_finite(answers: Answers, rows: int) -> NDArray[np.bool_]:
    found = np.ones(rows, np.bool_)
    for array in answers.values():
        if array.dtype.kind == "f":
            found &= ~np.isinf(array.reshape(rows, -1)).any(axis=1)
    return found


def _lines(schema: Schema, holdout: Holdout) -> Iterator[bytes]:
    columns = zip(schema.fields, columns_of(schema, holdout.feeds), strict=True)
    inputs = {field.name: plain_values(column, field) for field, column in columns}
    outputs = {output.name: plain_values(holdout.answers[output.name]) for output in schema.outputs}
    for row in range(holdout.rows):
        told = {"inputs": _at(inputs, row), "outputs": _at(outputs, row)}
        if holdout.target is not None:
            told["target"] = holdout.target[row]
        yield json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _at(columns: Mapping[str, Sequence[Any]], row: int) -> dict[str, Any]:
    return {name: values[row] for name, values in columns.items()}


def plain_values(array: NDArray[Any], field: Field | None = None) -> list[Any]:
    """The rows of an array as JSON holds them; an empty text is null where it stands for that in a field."""
    if array.dtype.kind == "f":
        short = _short(array)
        objects = short.astype(object)
        objects[np.isnan(short)] = None
        return list(objects.tolist())
    if field is not None and field.type == "string" and NULL not in field.known:
        return [None if text == NULL else text for text in array.tolist()]
    return list(array.tolist())


def _short(array: NDArray[Any]) -> NDArray[np.float64]:
    """Floats in the fewest digits that bring back the same float32."""
    single = array.astype(np.float32)
    found = single.astype("U").astype(np.float64)
    same = np.array_equal(found.astype(np.float32), single, equal_nan=True)
    return found if same else single.astype(np.float64)


def plain_target(values: Any) -> list[Any]:
    """True labels or values as JSON holds them."""
    array = np.asarray(values)
    array = array.reshape(len(array)) if array.ndim == 2 and array.shape[1] == 1 else array
    if array.dtype.kind == "f":
        objects = array.astype(object)
        objects[~np.isfinite(array)] = None
        return list(objects.tolist())
    return [_plain(value) for value in array.tolist()]


def _plain(value: Any) -> Any:
    if value is None or value != value:
        return None
    return value if isinstance(value, (bool, int, float, str, list)) else str(value)


# -- and back ----------------------------------------------------------------------------------------


def holdout_of(schema: Schema, content: bytes) -> Holdout:
    """The rows of a file.

    Raises
    ------
    MisuseError
        It holds something else; bundles may come from anywhere.
    """
    try:
        rows = [json.loads(line) for line in content.splitlines() if line.strip()]
        inputs, outputs = ([row[part] for row in rows] for part in ("inputs", "outputs"))
        feeds = _feeds(schema, inputs)
        answers = {
            output.name: np.array([row[output.name] for row in outputs], dtype=NUMPY[output.type])
            for output in schema.outputs
        }
        target = [row["target"] for row in rows] if rows and all("target" in row for row in rows) else None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, MlmagicError) as error:
        raise MisuseError(f"the bundle's holdout rows are damaged ({type(error).__name__}: {error})"[:300]) from error
    return Holdout(feeds, answers, target)


def _feeds(schema: Schema, inputs: Sequence[Mapping[str, Any]]) -> Feeds:
    if schema.layout != "tensor":
        return feeds_of(schema, inputs)
    field = schema.fields[0]
    stacked = np.array([row[field.name] for row in inputs], dtype=NUMPY[field.type])
    return feeds_of(schema, stacked.reshape(len(inputs), *schema.shape))
