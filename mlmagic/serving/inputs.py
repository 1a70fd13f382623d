"""The step from tensors to rows: one tensor for each column, or one for all, comes in; the model's rows go out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.rows import NULL, Feeds, feeds_of_columns
from mlmagic.bundles.schema import NUMPY, Field, Schema
from mlmagic.errors import UnknownNameError
from mlmagic.serving.requests import RefusedError
from mlmagic.serving.tensors import TEXT, Tensor

Rows = tuple[list[Any] | None, Feeds | None, int]
"""Rows as lists, or the graph's inputs; and how many they are."""


class Inputs:
    """Fits tensors to one schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        by_tensor = {field.tensor: field for field in schema.fields if field.tensor}
        self._columns = by_tensor | {field.name: field for field in schema.fields}
        self._numeric = all(field.type != "string" for field in schema.fields)
        self._shape = schema.shape or (len(schema.fields),)
        self._one_type = schema.layout != "columns"
        listed = schema.fields[0].type == "float32" and (self._numeric or self._one_type) and len(self._shape) == 1
        self._row = [1, *self._shape] if listed else None

    def one_row(self, inputs: Sequence[Any]) -> Rows | None:
        """What the commonest request holds, one row of numbers with nothing else said; ``None``: it is another."""
        one = inputs[0]
        if type(one) is not dict or len(inputs) != 1 or len(one) != 4 or one.get("shape") != self._row:
            return None
        data = one.get("data")
        if one.get("datatype") != "FP32" or type(one.get("name")) is not str or type(data) is not list:
            return None
        return ([data], None, 1) if len(data) == self._shape[0] and type(data[0]) is not list else None

    def rows_of(self, tensors: Sequence[Tensor]) -> Rows:
        """What the tensors of a request hold.

        Raises
        ------
        RefusedError
            They do not fit the model.
        """
        if len(tensors) == 1 and tensors[0].shape[1:] == self._shape and (self._numeric or self._one_type):
            return self._of_one(tensors[0])
        whole = self._schema.layout == "tensor"
        if whole or (self._one_type and len(tensors) == 1 and tensors[0].name not in self._columns):
            expected = f"{[-1, *self._shape]}{'' if whole else ', or one for each column'}"
            raise RefusedError(400, f"the model takes one input of shape {expected}, not {_shown(tensors)}")
        return self._of_columns(tensors)

    def _of_one(self, tensor: Tensor) -> Rows:
        field, count = self._schema.fields[0], tensor.shape[0]
        if not tensor.binary and tensor.datatype[:2] == "FP" and field.type == "float32":
            return self._listed(tensor), None, count
        array = tensor.array()
        if self._one_type:
            return None, {self._schema.tensor: fitted(field, array)}, count
        columns = [fitted(each, array[:, at]) for at, each in enumerate(self._schema.fields)]
        return None, feeds_of_columns(self._schema, columns), count

    def _listed(self, tensor: Tensor) -> list[Any]:
        """Rows as lists: their numbers are converted with those of the whole batch."""
        data, count = tensor.data, tensor.shape[0]
        if len(self._shape) > 1:
            return _folded(tensor.flat(), tensor.shape)
        if data and type(data[0]) is list:
            if len(data) != count:
                raise RefusedError(400, f"the input {tensor.name!r} has {len(data)} rows, and its shape says {count}")
            return list(data)
        if len(data) != count * self._shape[0]:
            raise tensor.mismatch(len(data))
        return _folded(data, tensor.shape)

    def _of_columns(self, tensors: Sequence[Tensor]) -> Rows:
        found = {self._field(tensor).name: tensor for tensor in tensors}
        count = tensors[0].shape[0]
        columns = []
        for field in self._schema.fields:
            tensor = found.get(field.name)
            if tensor is None:
                raise RefusedError(400, f"there is no input for column {field.name!r}")
            if tensor.shape not in ((count,), (count, 1)):
                told = f"shape {list(tensor.shape)}, where [{count}] or [{count}, 1] is expected"
                raise RefusedError(400, f"column {field.name!r}: {told}")
            columns.append(fitted(field, tensor.array().reshape(-1)))
        return None, feeds_of_columns(self._schema, columns), count

    def _field(self, tensor: Tensor) -> Field:
        field = self._columns.get(tensor.name)
        if field is None:
            unknown = UnknownNameError.among("column of the model", tensor.name[:100], self._columns)
            raise RefusedError(400, str(unknown))
        return field


def fitted(field: Field, array: NDArray[Any]) -> NDArray[Any]:
    """An array in a column's type.

    Raises
    ------
    RefusedError
        It is of another kind.
    """
    kind = array.dtype.kind
    if (field.type == "string") != (kind == "O"):
        expected = f"{TEXT} is" if field.type == "string" else "numbers are"
        raise RefusedError(400, f"column {field.name!r}: {expected} expected")
    if kind == "O":
        return np.array([NULL if text is None else text for text in array.reshape(-1)], object).reshape(array.shape)
    if kind == "b" and field.type != "bool" and not field.dtype.startswith("bool"):
        raise RefusedError(400, f"column {field.name!r}: BOOL, where numbers are expected")
    if field.type == "bool" and kind != "b":
        raise RefusedError(400, f"column {field.name!r}: BOOL is expected")
    if field.type == "int64" and kind in "fu":
        _check_whole(field, array)
    with np.errstate(over="ignore"):  # beyond float32 it is infinite, which is told as a fault
        return array.astype(NUMPY[field.type], copy=False)


def _check_whole(field: Field, array: NDArray[Any]) -> None:
    limit = float(1 << 63)
    fine = (array < limit) & (array >= -limit) & (array == np.floor(array))
    if not fine.all():
        row = int(np.flatnonzero(~fine.reshape(len(array), -1).all(axis=1))[0])
        raise RefusedError(400, f"row {row}, column {field.name!r}: no whole number of 64 bits")


def _folded(flat: list[Any], shape: Sequence[int]) -> list[Any]:
    """A flat list as nested ones."""
    for size in reversed(shape[1:]):
        flat = [flat[at : at + size] for at in range(0, len(flat), size)]
    return flat


def _shown(tensors: Sequence[Tensor]) -> str:
    return " and ".join(str(list(tensor.shape)) for tensor in tensors[:3]) + (" and more" if len(tensors) > 3 else "")
