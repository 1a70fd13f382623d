"""The step from arrays to the bytes of answers: a scored batch comes in, each request's rows go out as JSON.

A batch is turned into text once, in C, and cut at its rows: no row costs a call of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.graph import Answers
from mlmagic.bundles.schema import Schema
from mlmagic.serving.packages import orjson


class Scored:
    """A batch with its answers.

    Parameters
    ----------
    writer : Writer
    answers : mapping
        Outputs of the graph.
    """

    def __init__(self, writer: Writer, answers: Answers) -> None:
        self._writer, self.answers = writer, answers
        self._flat: dict[str, list[bytes]] = {}

    def flat(self, output: str) -> list[bytes]:
        """For each row, the numbers or texts of an output as JSON, with commas and without brackets."""
        found = self._flat.get(output)
        if found is None:
            found = self._flat[output] = _flat(self.answers[output])
        return found

    @cached_property
    def kinds(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Of each output the type, and the shape of a row."""
        return tuple((array.dtype.char, array.shape[1:]) for array in self.answers.values())

    @cached_property
    def rows(self) -> list[bytes]:
        """For each row, its prediction as JSON."""
        return self._writer.rows(self)


class Writer:
    """Writes predictions: the value where there is one output, else an object by output.

    Parameters
    ----------
    schema : Schema
    """

    def __init__(self, schema: Schema) -> None:
        self._scalars = {output.name: output.shape == () for output in schema.outputs}
        names = [orjson().dumps(name).replace(b"%", b"%%") for name in self._scalars]
        several = b"{" + b",".join(name + b":%b" for name in names) + b"}"
        self._template = several if len(names) > 1 else b"%b"

    def scored(self, answers: Answers) -> Scored:
        """A batch, to be cut into answers."""
        return Scored(self, answers)

    def rows(self, scored: Scored) -> list[bytes]:
        """Each row of a batch."""
        template = self._template
        columns = [self._values(scored, output) for output in self._scalars]
        if template == b"%b":
            return columns[0]
        return [template % values for values in zip(*columns, strict=True)]

    def _values(self, scored: Scored, output: str) -> list[bytes]:
        array = scored.answers[output]
        if array.ndim > 2:
            return [_json(row) for row in array]
        flat = scored.flat(output)
        if array.ndim == 1 or (self._scalars[output] and array.shape[1] == 1):
            return flat
        return [b"[%b]" % values for values in flat]


def _flat(array: NDArray[Any]) -> list[bytes]:
    if array.dtype == object:
        dumps = orjson().dumps
        return [dumps(row.reshape(-1).tolist())[1:-1] for row in array.reshape(len(array), -1)]
    if array.ndim == 1 or array[:1].size == 1:
        return _json(array.reshape(-1))[1:-1].split(b",")
    return _json(array.reshape(len(array), -1))[2:-2].split(b"],[")


def _json(array: NDArray[Any]) -> bytes:
    """Numbers as short as they can be without loss in their own precision; what JSON has no number for is null."""
    values = array.tolist() if array.dtype == object else np.ascontiguousarray(array)
    found: bytes = orjson().dumps(values, option=orjson().OPT_SERIALIZE_NUMPY)
    return found


def joined(parts: Sequence[bytes]) -> bytes:
    """Rows, one after the other."""
    return parts[0] if len(parts) == 1 else b",".join(parts)
