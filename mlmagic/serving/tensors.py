"""Tensors of the inference protocol: their description and data come in, checked arrays or lists go out, and back."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.serving.requests import RefusedError

NUMBERS: dict[str, Any] = {
    "FP64": np.float64,
    "FP32": np.float32,
    "FP16": np.float16,
    "INT64": np.int64,
    "INT32": np.int32,
    "INT16": np.int16,
    "INT8": np.int8,
    "UINT64": np.uint64,
    "UINT32": np.uint32,
    "UINT16": np.uint16,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
TEXT = "BYTES"
DATATYPES = {"float32": "FP32", "int64": "INT64", "bool": "BOOL", "string": TEXT}
"""Type of a schema -> datatype."""

_NAMES = {np.dtype(kind): name for name, kind in NUMBERS.items()}
_MOST = 1 << 40  # numbers in one tensor; nothing that arrives is near


@dataclass(slots=True)  # not frozen, which takes a microsecond
class Tensor:
    """One input of a request.

    Attributes
    ----------
    name, datatype : str
    shape : tuple of int
    data : list or array
        As it was in JSON, flat or nested; or the array that was sent binary, in its shape.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any

    @property
    def binary(self) -> bool:
        return isinstance(self.data, np.ndarray)

    def array(self) -> NDArray[Any]:
        """Its data in its shape.

        Raises
        ------
        RefusedError
            They are not of its datatype, or not as many as its shape has.
        """
        if self.binary:
            found: NDArray[Any] = self.data
            return found
        return self._array(self.flat())

    def flat(self) -> list[Any]:
        """Its data as one list, row after row."""
        data = self.data
        for _ in self.shape[1:]:
            if not data or type(data[0]) is not list:
                break
            if set(map(type, data)) != {list}:
                raise RefusedError(400, f"the data of input {self.name!r} is neither flat nor nested")
            data = list(chain.from_iterable(data))
        if len(data) != prod(self.shape):
            raise self.mismatch(len(data))
        return list(data)

    def mismatch(self, found: int) -> RefusedError:
        """The refusal where data and shape differ."""
        return RefusedError(
            400, f"the input {self.name!r} has {found} values, and its shape {list(self.shape)} says {prod(self.shape)}"
        )

    def _array(self, flat: list[Any]) -> NDArray[Any]:
        kinds = set(map(type, flat))
        if not kinds <= _kinds(self.datatype):
            raise RefusedError(400, f"the data of input {self.name!r} is not all {self.datatype}")
        if self.datatype == TEXT:
            return np.array(flat, object).reshape(self.shape)
        try:
            return np.array(flat, NUMBERS[self.datatype]).reshape(self.shape)
        except (OverflowError, ValueError):
            raise RefusedError(400, f"the data of input {self.name!r} is beyond {self.datatype}") from None


def tensors_of(inputs: Sequence[Any], binary: memoryview) -> list[Tensor]:
    """The inputs of a request.

    Parameters
    ----------
    inputs : sequence
        Their descriptions.
    binary : memoryview
        What followed the JSON: the data of those that have a `binary_data_size`, in order.

    Raises
    ------
    RefusedError
        A description is wrong, or does not fit the data.
    """
    tensors: list[Tensor] = []
    for one in inputs:
        tensor, size = _tensor(one, binary)
        binary = binary[size:]
        tensors.append(tensor)
    if len(binary):
        raise RefusedError(400, f"{len(binary)} bytes follow the JSON that belong to no input")
    if len(tensors) > 1 and len({tensor.name for tensor in tensors}) != len(tensors):
        raise RefusedError(400, "two inputs have the same name")
    return tensors


def _tensor(one: Any, binary: memoryview) -> tuple[Tensor, int]:
    if type(one) is not dict:
        raise RefusedError(400, "an input is no object")
    name, datatype, parameters = one.get("name"), one.get("datatype"), one.get("parameters")
    if type(name) is not str:
        raise RefusedError(400, "an input has no name")
    if type(datatype) is not str or (datatype not in NUMBERS and datatype != TEXT):
        known = ", ".join([*NUMBERS, TEXT])
        raise RefusedError(400, f"input {name[:100]!r}: datatype {str(datatype)[:40]!r}; there are {known}")
    shape = _shape(name, one.get("shape"))
    size = None if parameters is None else _size(name, parameters)
    if size is not None:
        return Tensor(name, datatype, shape, _unpacked(name, datatype, shape, binary, size)), size
    if type(one.get("data")) is not list:
        raise RefusedError(400, f"the input {name[:100]!r} has no data")
    return Tensor(name, datatype, shape, one["data"]), 0


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    if type(shape) is not list or not 1 <= len(shape) <= 32 or set(map(type, shape)) != {int} or min(shape) < 0:
        raise RefusedError(400, f"the shape of input {name[:100]!r} is no list of sizes")
    if prod(shape) > _MOST:
        raise RefusedError(413, f"the shape of input {name[:100]!r} is larger than any request")
    if not shape[0]:
        raise RefusedError(400, f"the input {name[:100]!r} has no rows")
    return tuple(shape)


def _size(name: str, parameters: Any) -> int | None:
    if type(parameters) is not dict:
        raise RefusedError(400, f"the parameters of input {name[:100]!r} are no object")
    if "shared_memory_region" in parameters:
        raise RefusedError(400, "shared memory is not supported")
    size = parameters.get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise RefusedError(400, f"binary_data_size of input {name[:100]!r} is no number of bytes")
    return size


def _unpacked(name: str, datatype: str, shape: Sequence[int], binary: memoryview, size: int) -> NDArray[Any]:
    if size > len(binary):
        raise RefusedError(400, f"the input {name[:100]!r} says {size} bytes, and {len(binary)} are left")
    if datatype == TEXT:
        return _texts(name, shape, binary[:size])
    kind = np.dtype(NUMBERS[datatype]).newbyteorder("<")
    if size != prod(shape) * kind.itemsize:
        raise RefusedError(400, f"the input {name[:100]!r} has {size} bytes, and its shape and datatype say otherwise")
    if datatype == "BOOL":  # any other byte than 0 and 1 is no truth value
        flags: NDArray[Any] = np.frombuffer(binary[:size], np.uint8).reshape(shape) != 0
        return flags
    numbers = np.frombuffer(binary[:size], kind).reshape(shape)
    return numbers if numbers.flags.aligned else numbers.copy()  # the JSON before them has any length


def _texts(name: str, shape: Sequence[int], binary: memoryview) -> NDArray[Any]:
    texts: list[str] = []
    at, end = 0, len(binary)
    try:
        while at < end:
            (length,) = struct.unpack_from("<I", binary, at)
            at += 4 + length
            if at > end:
                raise ValueError
            texts.append(str(binary[at - length : at], "utf-8"))
    except (struct.error, ValueError):
        raise RefusedError(400, f"the bytes of input {name[:100]!r} are no texts in UTF-8 with their lengths") from None
    if len(texts) != prod(shape):
        raise RefusedError(400, f"the input {name[:100]!r} has {len(texts)} texts, and its shape says {prod(shape)}")
    return np.array(texts, object).reshape(shape)


def packed(array: NDArray[Any]) -> bytes:
    """An output in binary."""
    if array.dtype != object:
        return np.ascontiguousarray(array).tobytes()
    texts = [str(text).encode() for text in array.reshape(-1).tolist()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def datatype_of(array: NDArray[Any]) -> str:
    """What the protocol calls an array's type."""
    return _NAMES.get(array.dtype, TEXT)


def _kinds(datatype: str) -> frozenset[type]:
    if datatype == TEXT:
        return frozenset({str, type(None)})
    if datatype == "BOOL":
        return frozenset({bool})
    return frozenset({int, float, type(None)} if datatype.startswith("FP") else {int})
