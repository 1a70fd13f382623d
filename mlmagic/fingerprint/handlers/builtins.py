"""Python's own containers and immutable values."""

from __future__ import annotations

import array
import datetime
import decimal
import fractions
import marshal
import pathlib
import types
import uuid
import zoneinfo
from typing import Any

from mlmagic.fingerprint.walk import MARSHAL_FORMAT, SCALARS, Walk, handles


@handles(list)
def write_list(obj: list[Any], walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("list", len(obj))
    if not walk.bulk(obj):
        walk.children(obj)


@handles(tuple, frozenset)
def write_tuple(obj: tuple[Any, ...] | frozenset[Any], walk: Walk) -> None:
    kind = type(obj).__name__
    if len(obj) > 32 and set(map(type, obj)) <= SCALARS and kind == "tuple":
        walk.token("scalars", kind, len(obj))
        walk.bulk(obj)  # type: ignore[arg-type]
        return
    digest = walk.pure(obj)
    if digest is not None:
        walk._seen.pop(id(obj), None)  # a value: told in full wherever it stands
        walk.token("pure", kind, digest)
    elif kind == "tuple":
        walk.token("tuple", len(obj))
        if not walk.bulk(obj):  # type: ignore[arg-type]
            walk.children(obj)
    else:
        walk.token("frozenset", len(obj), walk.unordered(obj))


@handles(set)
def write_set(obj: set[Any], walk: Walk) -> None:
    walk.changeable(obj)
    if set(map(type, obj)) <= SCALARS:
        walk.token("set", sorted(marshal.dumps(part, MARSHAL_FORMAT) for part in obj))
    else:
        walk.token("objects", len(obj), walk.unordered(obj))


@handles(dict)
def write_dict(obj: dict[Any, Any], walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("dict", len(obj))
    walk.children(_flattened(obj))


def _flattened(obj: dict[Any, Any]) -> tuple[list[Any], list[Any]] | list[Any]:
    keys, values = list(obj), list(obj.values())
    if len(keys) > 8:
        return Keys(keys), Values(values)
    return [part for pair in zip(keys, values, strict=True) for part in pair]


class Keys(list):  # type: ignore[type-arg]
    """The keys, or values, of a dict: a part of it, not an object of the user's."""


Values = Keys


@handles(Keys)
def write_dict_part(obj: list[Any], walk: Walk) -> None:
    walk.token("part", len(obj))
    if not walk.bulk(obj):
        walk.children(obj)


@handles(bytearray)
def write_bytearray(obj: bytearray, walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("bytearray")
    walk.memory(obj, len(obj))


@handles(array.array)
def write_array(obj: array.array[Any], walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("array.array", obj.typecode, len(obj))
    address, length = obj.buffer_info()
    walk.span(address, address + length * obj.itemsize)
    walk.memory(memoryview(obj).cast("B") if length else b"", length * obj.itemsize)


@handles(memoryview)
def write_memoryview(obj: memoryview, walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("memoryview", obj.format, obj.shape, obj.readonly)
    walk.children([obj.obj])


@handles(
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.timezone,
    decimal.Decimal,
    fractions.Fraction,
    uuid.UUID,
    zoneinfo.ZoneInfo,
    range,
    slice,
    pathlib.PosixPath,
    pathlib.WindowsPath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    "re.Pattern",
    value=True,
)
def write_value(obj: Any, walk: Walk) -> None:
    """Immutable values, told by their constructor and its arguments."""
    walk.token("value", type(obj).__module__, type(obj).__qualname__)
    if isinstance(obj, pathlib.PurePath):
        walk.token(str(obj))
        return
    made = obj.__reduce_ex__(4)
    walk.children([made[0], *made[1]] if isinstance(made, tuple) else [made])


@handles(type(Ellipsis), type(NotImplemented), value=True)
def write_singleton(obj: Any, walk: Walk) -> None:
    walk.token("singleton", type(obj).__name__)


@handles(types.MappingProxyType)
def write_proxy(obj: Any, walk: Walk) -> None:
    walk.token("mappingproxy")
    walk.children([dict(obj)])


@handles("builtins.dict_keys", "builtins.dict_values", "builtins.dict_items")
def write_view(obj: Any, walk: Walk) -> None:
    """A live view: content and identity are those of its dict, which the garbage collector knows."""
    walk.token("view", type(obj).__name__, len(obj))
    walk.changeable(obj)
    walk.children([obj.mapping.copy() if isinstance(obj.mapping, dict) else list(obj)])
    walk._list_referents(obj)
