"""Python's own containers and immutable values."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import gc
import marshal
import pathlib
import re
import types
import uuid
import zoneinfo
from typing import Any

from mlmagic.fingerprint.classes import module_of, qualname_of
from mlmagic.fingerprint.registry import handles
from mlmagic.fingerprint.walk import MARSHAL_FORMAT, Parts, Walk, is_scalar


@handles(list)
def write_list(obj: list[Any], walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("list", len(obj))
    if not walk.bulk(obj):
        walk.children(obj)


@handles(tuple, value=True)
def write_tuple(obj: tuple[Any, ...], walk: Walk) -> None:
    """A value even where it holds changeable parts: those are told as shared, the tuple never is."""
    digest = walk.pure(obj)
    if digest is not None:
        walk.token("pure", "tuple", digest)
    else:
        walk.token("tuple", len(obj))
        if not walk.bulk(obj):
            walk.children(obj)


@handles(frozenset, value=True)
def write_frozenset(obj: frozenset[Any], walk: Walk) -> None:
    walk.set_order(obj)
    digest = walk.pure(obj)
    if digest is not None:
        walk.token("pure", "frozenset", digest)
    else:
        walk.token("frozenset", len(obj))
        walk.children(walk.in_order(obj))


@handles(set)
def write_set(obj: set[Any], walk: Walk) -> None:
    walk.changeable(obj)
    walk.set_order(obj)
    if all(map(is_scalar, obj)):
        walk.token("set", len(obj))
        walk.children([Parts(sorted(marshal.dumps(part, MARSHAL_FORMAT) for part in obj))])
    else:
        walk.token("objects", len(obj))
        walk.children(walk.in_order(obj))


@handles(dict)
def write_dict(obj: dict[Any, Any], walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("dict", len(obj))
    if len(obj) > 8:  # long enough for two passes at C speed to pay
        walk.children([Parts(obj), Parts(obj.values())])
    else:
        walk.children([part for pair in obj.items() for part in pair])


@handles(bytearray)
def write_bytearray(obj: bytearray, walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("bytearray")
    walk.memory(obj, len(obj))
    walk.shown_buffer(obj)


@handles(array.array)
def write_array(obj: array.array[Any], walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("array.array", obj.typecode, len(obj))
    address, length = obj.buffer_info()
    walk.span(address, address + length * obj.itemsize, plain=True)
    walk.memory(obj, length * obj.itemsize)


@handles(memoryview)
def write_memoryview(obj: memoryview, walk: Walk) -> None:
    """What it shows; who owns it shares every change."""
    walk.changeable(obj)
    walk.changeable(obj.obj)
    walk.token("memoryview", obj.format, obj.shape, obj.readonly)
    walk.memory(obj if obj.c_contiguous else obj.tobytes(), obj.nbytes)
    walk.shown_buffer(obj)


@handles(collections.deque)
def write_deque(obj: collections.deque[Any], walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("deque", len(obj), obj.maxlen)
    walk.children([Parts(obj)])


@handles(
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.timezone,
    decimal.Decimal,
    fractions.Fraction,
    zoneinfo.ZoneInfo,
    range,
    slice,
    value=True,
)
def write_value(obj: Any, walk: Walk) -> None:
    """Immutable values, told by their constructor's arguments."""
    walk.token("value", module_of(type(obj)), qualname_of(type(obj)))
    walk.children([Parts(obj.__reduce_ex__(4)[1])])


@handles(pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath, uuid.UUID, value=True)
def write_named_value(obj: Any, walk: Walk) -> None:
    """Immutable values whose text is all there is to them."""
    walk.token("value", qualname_of(type(obj)), str(obj))


@handles(re.Pattern, value=True)
def write_pattern(obj: re.Pattern[Any], walk: Walk) -> None:
    walk.token("pattern", obj.pattern, obj.flags)


@handles(type(Ellipsis), type(NotImplemented), value=True)
def write_singleton(obj: Any, walk: Walk) -> None:
    walk.token("singleton", type(obj).__name__)


@handles(types.MappingProxyType)
def write_proxy(obj: Any, walk: Walk) -> None:
    """The mapping behind it, as the garbage collector knows it: asking the proxy would ask the mapping."""
    walk.token("mappingproxy")
    walk.children(gc.get_referents(obj))


@handles("builtins.dict_keys", "builtins.dict_values", "builtins.dict_items")
def write_view(obj: Any, walk: Walk) -> None:
    """What a live view shows of its dict, which the garbage collector knows."""
    (owner,) = gc.get_referents(obj)
    walk.changeable(obj)
    walk.changeable(owner)
    kind = next(name for name in ("dict_keys", "dict_values", "dict_items") if name in type(obj).__name__)
    walk.token("view", type(obj).__name__, dict.__len__(owner))
    keys = dict_keys(owner)
    shown = [] if kind == "dict_values" else [Parts(keys)]
    if kind != "dict_keys":
        shown.append(Parts(dict.__getitem__(owner, key) for key in keys))
    walk.children(shown)


def dict_keys(obj: dict[Any, Any]) -> list[Any]:
    """The keys in the order that iteration has, without an overridden ``__iter__`` having a say."""
    ordered = issubclass(type(obj), collections.OrderedDict)
    return list(collections.OrderedDict.__iter__(obj) if ordered else dict.__iter__(obj))


@handles(types.CellType)
def write_cell(obj: types.CellType, walk: Walk) -> None:
    """What functions share: a change of the variable is seen by all of them."""
    walk.changeable(obj)
    try:
        content = [obj.cell_contents]
    except ValueError:  # not bound yet
        content = []
    walk.token("cell", len(content))
    walk.children(content)
