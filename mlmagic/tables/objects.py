"""The step from Python objects to one kind of column: values of any types come in, floats or text go out.

The types decide; the values are never asked to compare themselves, except numbers and times for not being one.
"""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlmagic._optional import loaded
from mlmagic.tables import texts

if TYPE_CHECKING:
    from mlmagic.tables.table import Kind

_EPOCH = datetime.datetime(1970, 1, 1)
_UNEQUAL_TO_ITSELF = (float, np.floating, Decimal, np.datetime64, np.timedelta64)


class Objects:
    """A column of Python objects.

    Parameters
    ----------
    values : array of objects, shape (rows,)
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values
        self.kind: Kind
        self.kind, self._convert = _reading(self.types)

    def numbers(self) -> NDArray[np.float64]:
        """As in `Table.numbers`."""
        if self._convert is None:
            raise TypeError("text has no numbers")
        found = np.full(len(self.values), np.nan)
        known = ~self.nulls
        found[known] = [self._convert(value) for value in self.values[known]]
        return found

    def labels(self) -> texts.Labels:
        """As in `Table.labels`."""
        if self.types <= {str}:
            return texts.of_strings(self.values)
        return texts.of_objects(self.values, self.nulls)

    @cached_property
    def nulls(self) -> NDArray[np.bool_]:
        """Where there is no value: `None`, NaN, NaT or `pandas.NA`."""
        without = _null_types()
        return np.fromiter((_is_null(value, without) for value in self.values), np.bool_, len(self.values))

    @cached_property
    def types(self) -> set[type]:
        """Of the values that are not null."""
        found = set(map(type, self.values))
        doubtful = {kind for kind in found if issubclass(kind, _UNEQUAL_TO_ITSELF)} | _null_types()
        if len(found - doubtful) < len(found):
            found = set(map(type, self.values[~self.nulls]))
        return found


def array_of(values: Sequence[Any]) -> NDArray[Any]:
    """The values in an array of objects, lists in it as they are."""
    return np.fromiter(values, dtype=object, count=len(values))


def unmasked(values: NDArray[Any]) -> NDArray[Any]:
    """The same, as objects with `None` where a mask says that there is no value."""
    found = np.array(np.ma.getdata(values), dtype=object)
    found[np.ma.getmaskarray(values)] = None
    return found


def _null_types() -> set[type]:
    pandas = loaded("pandas")
    return {type(None)} | ({type(pandas.NA), type(pandas.NaT)} if pandas else set())


def _is_null(value: Any, without: set[type]) -> bool:
    return type(value) in without or (isinstance(value, _UNEQUAL_TO_ITSELF) and bool(value != value))


def _reading(types: set[type]) -> tuple[Kind, Callable[[Any], float] | None]:
    """The kind that all these types are of, and how to read a value of it; text where they have none in common."""
    for wanted, kind, convert in _KINDS:
        if types and all(issubclass(found, wanted) for found in types):
            mixed = kind == "numeric" and any(issubclass(found, bool) for found in types)
            return ("categorical", None) if mixed else (kind, convert)
    return "categorical", None


def _of_moment(value: datetime.date | np.datetime64) -> float:
    if isinstance(value, np.datetime64):
        return float(value.astype("M8[us]").astype(np.int64) / 1e6)
    if not isinstance(value, datetime.datetime):
        return (value.toordinal() - _EPOCH.toordinal()) * 86400.0
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return _of_duration(value - _EPOCH)


def _of_duration(value: datetime.timedelta | np.timedelta64) -> float:
    if isinstance(value, np.timedelta64):
        return float(value.astype("m8[us]").astype(np.int64) / 1e6)
    return value.days * 86400.0 + value.seconds + value.microseconds / 1e6


def _of_clock(value: datetime.time) -> float:
    return value.hour * 3600.0 + value.minute * 60.0 + value.second + value.microsecond / 1e6


def _of_number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # Python's whole numbers know no end
        return math.inf if value > 0 else -math.inf


# booleans first, for Python counts them among the numbers, as NumPy does its durations
_KINDS: tuple[tuple[tuple[type, ...], Kind, Callable[[Any], float]], ...] = (
    ((bool, np.bool_), "boolean", float),
    ((datetime.date, np.datetime64), "datetime", _of_moment),
    ((datetime.timedelta, np.timedelta64), "numeric", _of_duration),
    ((datetime.time,), "numeric", _of_clock),
    ((numbers.Real, Decimal), "numeric", _of_number),
)
