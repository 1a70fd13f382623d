"""The memory that a group's arrays lie in: address ranges in, raw segments out, shared where the ranges overlap.

Arrays are stored by the memory they view, so that two views of one array are two views of one segment afterwards.
What pandas holds is the exception: it knows which of its objects share memory and copies before it writes, and a
loaded object has lost that knowledge. So memory of several pandas objects is stored once for each of them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

PLAIN = "plain"  # anybody may write to it, and whoever views it sees that
BLOCK = "block"  # held by a pandas frame or series
LABELS = "labels"  # held by a pandas index, which never writes
LOOSE = "loose"  # pickled by its own class, as a copy

_PAGE = 64  # what a segment starts at a multiple of, for the processor's sake
_RESIDUE = 16  # what an element's alignment never exceeds


class EntangledError(Exception):
    """Memory that is shared in a way that could not be brought back."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        self.low, self.high = low, high


@dataclass(slots=True)
class Piece:
    """The memory of one array.

    Attributes
    ----------
    low, high : int
        Addresses; the elements lie in ``[low, high)``.
    first : int
        Address of the element with all indices zero.
    strides : tuple of int, optional
        As the array's own library counts them; ``None`` where they follow from the shape.
    kind : str
        Whose it is, one of the constants above.
    keep : object
        Holds the memory while it is needed.
    packed : callable, optional
        Makes a piece without gaps of an array that lies in memory with gaps.
    stored : bool
        Whether its bytes are to be written; ``False``: only its place is of interest.
    """

    low: int
    high: int
    first: int
    strides: tuple[int, ...] | None
    kind: str
    keep: object
    packed: Callable[[], Piece] | None = None
    stored: bool = True


Row = tuple[int, tuple[int, ...] | None, int, int]  # place of the first element, strides, start and end of the segment


class Output:
    """A file that knows how much it was given, and whether it ever refused."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.position = 0
        self.refusal: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            self._file.write(data)
        except OSError as error:
            self.refusal = error
            raise
        size = memoryview(data).nbytes
        self.position += size
        return size

    def align(self, residue: int) -> None:
        """Fill up to the next place that lies `residue` behind a multiple of 64."""
        self.write(bytes((residue - self.position) % _PAGE))


class Memory:
    """The pieces that a group's arrays lie in, numbered as they were met."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []

    def add(self, piece: Piece) -> int:
        """Note a piece; its number finds its row after loading."""
        self._pieces.append(piece)
        return len(self._pieces) - 1

    def write(self, out: Output) -> list[Row | None]:
        """Write the segments, and tell for each piece where it went.

        Raises
        ------
        EntangledError
            Where arrays share memory in a way that cannot be brought back.
        """
        rows: list[Row | None] = [None] * len(self._pieces)
        for numbers in sorted(self._segments()):  # as they were met: the same content gives the same bytes
            self._write_segment(numbers, rows, out)
        return rows

    def _segments(self) -> Iterator[list[int]]:
        """Numbers of the pieces that one segment is to hold, each list in order."""
        for numbers in self._overlapping():
            if _one_memory([self._pieces[number] for number in numbers]):
                yield sorted(numbers)
            else:
                yield from ([number] for number in numbers)

    def _overlapping(self) -> Iterator[list[int]]:
        """Numbers of the pieces, those together that overlap directly or through others."""
        order = sorted(range(len(self._pieces)), key=lambda number: self._pieces[number].low)
        together: list[int] = []
        end = 0
        for number in order:
            piece = self._pieces[number]
            if together and piece.low >= end:
                yield together
                together = []
            together.append(number)
            end = max(end, piece.high) if len(together) > 1 else piece.high
        if together:
            yield together

    def _write_segment(self, numbers: list[int], rows: list[Row | None], out: Output) -> None:
        pieces = [self._pieces[number] for number in numbers]
        if not pieces[0].stored:
            return
        if len(pieces) == 1 and pieces[0].packed is not None:
            pieces = [pieces[0].packed()]
        low, high = min(piece.low for piece in pieces), max(piece.high for piece in pieces)
        out.align(low % _RESIDUE)
        start = out.position
        out.write(_raw(low, high))
        for number, piece in zip(numbers, pieces, strict=True):
            rows[number] = (start + piece.first - low, piece.strides, start, out.position)


def _one_memory(pieces: list[Piece]) -> bool:
    """Whether overlapping pieces stay together; the alternative is a copy for each."""
    if len(pieces) == 1:
        return True
    held = [piece for piece in pieces if piece.kind in (BLOCK, LABELS)]
    if len(held) == len(pieces):
        return False
    blocks = sum(piece.kind == BLOCK for piece in held)
    # One pandas object and arrays that view it do as they did; of two, pandas would have to know.
    if all(piece.stored for piece in pieces) and (blocks == 0 or len(held) == 1):
        return True
    raise EntangledError(min(piece.low for piece in pieces), max(piece.high for piece in pieces))


def _raw(low: int, high: int) -> memoryview:
    return memoryview((ctypes.c_char * (high - low)).from_address(low)).cast("B")
