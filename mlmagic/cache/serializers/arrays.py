"""NumPy arrays for the pickle: an array in, its piece of memory and what is needed to view that piece again out."""

from __future__ import annotations

import array
import ctypes
from typing import Any

import numpy as np

from mlmagic.cache.serializers.memory import LOOSE, PLAIN, Piece

# Objects that pickle copies byte by byte, and that arrays can be views of.
_COPIED = (bytearray, array.array, ctypes.Array, ctypes.Structure, ctypes.Union)


def is_plain(values: np.ndarray[Any, Any]) -> bool:
    """Whether the array is its bytes: no objects, no text that lies elsewhere, and not empty."""
    dtype = values.dtype
    return type(values) is np.ndarray and not dtype.hasobject and dtype.kind != "T" and values.nbytes > 0


def piece_of(values: np.ndarray[Any, Any], kind: str = PLAIN) -> Piece:
    """The memory of a plain array."""
    low, high = np.lib.array_utils.byte_bounds(values)
    gaps = high - low > values.nbytes
    strides = None if values.flags.c_contiguous else values.strides
    return Piece(low, high, _address(values), strides, kind, values, (lambda: _packed(values)) if gaps else None)


def place_of(values: np.ndarray[Any, Any], kind: str = LOOSE) -> Piece:
    """Where an array lies that its own class stores."""
    low, high = np.lib.array_utils.byte_bounds(values)
    return Piece(low, high, low, None, kind, values, stored=False)


def buffer_piece(content: memoryview) -> Piece:
    """The memory of a contiguous buffer that is not empty."""
    values = np.frombuffer(content, np.uint8)
    return piece_of(values)


def copied_owner(values: np.ndarray[Any, Any]) -> object | None:
    """The owner of an array's memory, where that is an object which pickle would copy apart from it."""
    owner: Any = values.base
    while owner is not None:
        if isinstance(owner, _COPIED):
            return owner
        owner = owner.obj if type(owner) is memoryview else owner.base if isinstance(owner, np.ndarray) else None
    return None


def _packed(values: np.ndarray[Any, Any]) -> Piece:
    return piece_of(values.copy(order="K"))


def _address(values: np.ndarray[Any, Any]) -> int:
    return int(values.__array_interface__["data"][0])
