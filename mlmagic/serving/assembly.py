"""The step from requests to a batch: rows as they were in JSON, or arrays, come in; the graph's inputs go out.

Numbers are converted once for a whole batch. Only where that fails is each value looked at, to tell whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import numpy as np

from mlmagic.bundles.rows import Fault, Feeds, faults, rows_of
from mlmagic.bundles.schema import Schema
from mlmagic.errors import UnknownNameError
from mlmagic.serving.json_values import convert, fault_of
from mlmagic.serving.requests import RefusedError, Request

_LOOKED_AT = 100  # keys of a row, and letters of a key, among which the nearest name is looked for


@dataclass(slots=True)
class Piece:
    """Some rows of a request: from `start` up to `stop`."""

    request: Request
    start: int
    stop: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


class Assembler:
    """Makes batches for one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._block = schema.layout != "columns"
        self._get = _getter(schema.names)
        self._fields = schema.fields if schema.layout != "tensor" else schema.fields * schema.width

    def assemble(self, pieces: Sequence[Piece]) -> tuple[list[Piece], Feeds]:
        """The pieces whose rows the model takes, and its inputs; the requests of all others are refused here.

        Rows stand in the order of the pieces that are returned; without any, there are no inputs.
        """
        plain = [piece for piece in pieces if piece.request.feeds is None]
        arrays = [piece for piece in pieces if piece.request.feeds is not None]
        kept, feeds = self._of_rows(plain) if plain else ([], None)
        if arrays:
            feeds = _joined(feeds, [_cut(piece) for piece in arrays])
            kept = [*kept, *arrays]
        return self._without_faults(kept, feeds) if feeds is not None else ([], {})

    def _of_rows(self, pieces: list[Piece]) -> tuple[list[Piece], Feeds | None]:
        kept, values = self._lay_out(pieces)
        suspect = any(piece.request.suspect for piece in kept)
        try:
            return kept, self._feeds(values, True, suspect) if kept else None
        except (TypeError, ValueError, OverflowError):
            kept = [piece for piece in kept if self._is_sound(piece)]
            kept, values = self._lay_out(kept)
            return kept, self._feeds(values, False) if kept else None

    def _lay_out(self, pieces: list[Piece]) -> tuple[list[Piece], list[Any]]:
        """All values of the pieces, row after row."""
        values: list[Any] = []
        kept = []
        for piece in pieces:
            rows = piece.request.rows
            assert rows is not None
            if piece.rows != len(rows):
                rows = rows[piece.start : piece.stop]
            try:
                values += self._flat(rows, piece)
                kept.append(piece)
            except RefusedError as refusal:
                piece.request.refuse(refusal.status, str(refusal))
        return kept, values

    def _flat(self, rows: list[Any], piece: Piece) -> Sequence[Any]:
        if piece.request.named:
            try:
                rows = [self._get(row) for row in rows]
            except (KeyError, TypeError, IndexError):
                raise self._missing(rows, piece.start) from None
            if self.schema.layout != "tensor":
                return rows[0] if len(rows) == 1 else list(chain.from_iterable(rows))
            rows = list(chain.from_iterable(rows))
        for size in self.schema.shape or (len(self.schema.fields),):
            for value in rows:
                if type(value) is not list or len(value) != size:
                    raise self._shapeless(piece)
            rows = rows[0] if len(rows) == 1 else list(chain.from_iterable(rows))
        return rows

    def _feeds(self, values: list[Any], quick: bool, suspect: bool = False) -> Feeds:
        schema = self.schema
        if self._block:
            return {schema.tensor: convert(schema.fields[0].type, values, quick, suspect).reshape(-1, *schema.shape)}
        width = len(schema.fields)
        return {
            field.tensor: convert(field.type, values[at::width], quick, suspect).reshape(-1, 1)
            for at, field in enumerate(schema.fields)
        }

    def _is_sound(self, piece: Piece) -> bool:
        """Whether each value is one that its column takes; refuses the request where one is not."""
        rows = piece.request.rows
        assert rows is not None
        values = self._flat(rows[piece.start : piece.stop], piece)
        width = len(self._fields)
        for at, value in enumerate(values):
            field = self._fields[at % width]
            if (reason := fault_of(field, value)) is not None:
                _refuse(piece, Fault(at // width, field.name, reason))
                return False
        return True

    def _without_faults(self, pieces: list[Piece], feeds: Feeds) -> tuple[list[Piece], Feeds]:
        found = faults(self.schema, feeds)
        if not found:
            return pieces, feeds
        kept, at = [], 0
        keep = np.ones(rows_of(feeds), bool)
        for piece in pieces:
            wrong = [row for row in range(at, at + piece.rows) if row in found]
            if wrong:
                keep[at : at + piece.rows] = False
                fault = found[wrong[0]]
                _refuse(piece, Fault(wrong[0] - at, fault.column, fault.reason))
            else:
                kept.append(piece)
            at += piece.rows
        return kept, {name: values[keep] for name, values in feeds.items()}

    def _missing(self, rows: list[Any], start: int) -> RefusedError:
        for at, row in enumerate(rows, start):
            if type(row) is not dict:
                return RefusedError(400, f"row {at} is no object of columns and values")
            for name in self.schema.names:
                if name not in row:
                    near = [key for key in islice(row, _LOOKED_AT) if len(key) <= _LOOKED_AT]
                    text = UnknownNameError.among("column of the row", name, near) if near else f"no column {name!r}"
                    return RefusedError(400, f"row {at}: {text}")
        return RefusedError(400, "the rows are no objects of columns and values")

    def _shapeless(self, piece: Piece) -> RefusedError:
        shape = self.schema.shape or (len(self.schema.fields),)
        last = f"row {piece.start}" if piece.rows == 1 else f"rows {piece.start} to {piece.stop - 1}"
        kind = f"list of {shape[0]} values" if len(shape) == 1 else f"nested list of shape {list(shape)}"
        return RefusedError(400, f"{last}: each row has to be a {kind}")


def _refuse(piece: Piece, fault: Fault) -> None:
    told = Fault(piece.start + fault.row, fault.column, fault.reason)
    piece.request.refuse(400, str(told))


def _getter(names: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    if len(names) == 1:
        return lambda row: (row[names[0]],)
    return itemgetter(*names)


def _cut(piece: Piece) -> Feeds:
    feeds = piece.request.feeds
    assert feeds is not None
    if piece.rows == piece.request.count:
        return feeds
    return {name: values[piece.start : piece.stop] for name, values in feeds.items()}


def _joined(first: Feeds | None, others: list[Feeds]) -> Feeds:
    parts = others if first is None else [first, *others]
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
