"""Values of JSON as the graph's types: a batch of them at once, or one by one where some may be of another kind."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.rows import NULL
from mlmagic.bundles.schema import NUMPY, Field, TensorType

_WHOLE = range(-(1 << 63), 1 << 63)
_CODES = {"float32": "d", "int64": "q"}  # of arrays that take numbers, or whole ones; and booleans


def convert(kind: TensorType, values: list[Any], quick: bool, suspect: bool = True) -> NDArray[Any]:
    """The values as one array.

    Parameters
    ----------
    quick : bool
        Nobody has looked at them yet.
    suspect : bool
        There may be booleans among them, which arrays of numbers would take for 1 and 0.

    Raises
    ------
    TypeError, OverflowError
        Where `quick`, and some are not plainly of this kind.
    """
    if kind == "string":
        return _texts(values, quick)
    if kind == "bool":
        if quick and set(map(type, values)) != {bool}:
            raise TypeError
        return np.array(values, np.bool_)
    if quick:
        if suspect and bool in set(map(type, values)):
            raise TypeError
        values = np.frombuffer(array(_CODES[kind], values), _CODES[kind])  # type: ignore[assignment]
    with np.errstate(over="ignore"):  # beyond float32 it is infinite, which is told as a fault
        return np.array(values, NUMPY[kind])


def _texts(values: list[Any], quick: bool) -> NDArray[Any]:
    if quick and set(map(type, values)) != {str}:
        raise TypeError
    return np.array([NULL if value is None else value for value in values], object)


def may_hold_booleans(body: bytes, start: int = 0) -> bool:
    """Whether JSON may have `true` or `false` in it, from some byte on: then the types of values are looked at.

    Single letters are found ten times as fast as words, and bodies of numbers have none.
    """
    return body.find(b"u", start) >= 0 or body.find(b"f", start) >= 0


def fault_of(field: Field, value: Any) -> str | None:
    """Why a column does not take a value; ``None`` where it does, as far as its kind tells."""
    kind = type(value)
    if field.type == "string":
        return None if kind is str or value is None else f"{short(value)}, where text is expected"
    if field.type == "bool":
        return None if kind is bool else f"{short(value)}, where true or false is expected"
    if field.type == "int64":
        fine = (kind is int or (kind is float and value.is_integer())) and int(value) in _WHOLE
        return None if fine or _is_flag(field, value) else f"{short(value)}, where a whole number is expected"
    if kind is float or kind is int or value is None or _is_flag(field, value):
        return None
    return f"{short(value)}, where a number is expected"


def _is_flag(field: Field, value: Any) -> bool:
    """A truth value of a column that held those in the notebook."""
    return type(value) is bool and field.dtype.startswith("bool")


def short(value: Any) -> str:
    """A value of JSON for an error's text."""
    if value is None:
        return "null"
    if type(value) is dict:
        return "an object"
    if type(value) is list:
        return "a list"
    text = repr(value) if type(value) is not bool else str(value).lower()
    return text if len(text) <= 40 else text[:40] + "…"
