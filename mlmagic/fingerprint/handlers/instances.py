"""Objects of no special kind: the user's by their attributes, a package's by what it would pickle."""

from __future__ import annotations

import _random
import array
import collections
import copyreg
import datetime
import decimal
import enum
import functools
import gc
import pathlib
import sys
import types
import weakref
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mlmagic.fingerprint.classes import (
    dict_getter,
    lineage_of,
    members_of,
    module_of,
    native_base,
    package_of,
    qualname_of,
    slots_of,
)
from mlmagic.fingerprint.handlers.builtins import dict_keys
from mlmagic.fingerprint.handlers.code import is_users
from mlmagic.fingerprint.registry import handles
from mlmagic.fingerprint.walk import Parts, Walk, fields


class UnknowableError(Exception):
    """An object holds something that its type does not show."""


@handles(object)
def write_instance(obj: Any, walk: Walk) -> None:
    cls = type(obj)
    if cls is object:
        walk.token("object")  # a sentinel: it has identity and nothing else
        walk.changeable(obj)
    elif is_users(module_of(cls)) or walk.scope.is_local(module_of(cls)):
        write_attributes(obj, walk)
    else:
        write_packaged(obj, walk)


# -- by attributes ---------------------------------------------------------------------------


def write_attributes(obj: Any, walk: Walk, skip: Set[str] = frozenset()) -> None:
    """Class, built-in content, attributes and slots; runs none of the class's own code."""
    layout = _layout(type(obj))
    if layout.is_value:
        walk.tell_again(obj)
    else:
        walk.changeable(obj)
    content = layout.content(obj)
    slots = _slot_values(obj, layout.slots) if layout.slots else {}
    attributes = layout.getter.__get__(obj) if layout.getter is not None else {}
    if layout.getter is not None:
        walk.ids.add(id(attributes))
    names = _names(attributes, skip)
    walk.token("instance", names, list(slots), len(content))
    values = list(map(attributes.__getitem__, names))
    if walk.bulk(values):  # a quarter of the time of visiting them
        values = []
    walk.children([type(obj), *content, *slots.values(), *values])


def _names(attributes: dict[Any, Any], skip: Set[str]) -> list[str]:
    """The attributes' names, sorted: the order in which they were set is not content."""
    if set(map(id, map(type, attributes))) <= {id(str)}:
        return sorted(attributes.keys() - skip if skip else attributes)
    raise UnknowableError("an instance's dict has keys that are no plain strings")


def instance_dict(obj: Any) -> dict[Any, Any]:
    """The instance's own ``__dict__``, without its class having a say; empty where it has none."""
    getter = dict_getter(type(obj))
    found = getter.__get__(obj) if getter is not None else None
    return found if type(found) is dict else {}


def _slot_values(obj: Any, members: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for label, member in members:
        try:
            found[label] = member.__get__(obj)
        except AttributeError:  # declared, not set
            continue
    return found


@dataclass(frozen=True, slots=True)
class _Layout:
    content: Callable[[Any], list[Any]]  # what instances hold besides attributes and slots
    slots: tuple[tuple[str, Any], ...]  # name with class, member descriptor
    getter: Any  # descriptor of the instances' dict
    is_value: bool  # immutable: two equal ones cannot be told apart


_LAYOUTS: dict[int, tuple[weakref.ref[type], _Layout]] = {}  # by identity, see classes.py


def _layout(cls: type) -> _Layout:
    found = _LAYOUTS.get(id(cls))
    if found is None or found[0]() is not cls:
        if len(_LAYOUTS) > 10_000:
            _LAYOUTS.clear()
        found = _LAYOUTS[id(cls)] = (weakref.ref(cls), _find_layout(cls))
    return found[1]


def _find_layout(cls: type) -> _Layout:
    native, getter = native_base(cls), dict_getter(cls)
    slots = tuple(
        (f"{name} of {qualname_of(member.__objclass__)}", member)
        for name, member in slots_of(cls)
        if module_of(member.__objclass__) != "pathlib"  # caches of the path's text
    )
    is_value = native in _VALUES and not slots and getter is None
    return _Layout(_reader(cls, native), slots, getter, is_value)


_VALUES = (int, float, str, bytes, tuple, frozenset)


def _reader(cls: type, native: type | None) -> Callable[[Any], list[Any]]:
    if issubclass(cls, pathlib.PurePath):
        return _read_path
    if native is None:
        return _read_nothing
    if issubclass(native, BaseException):
        return _read_exception
    return _READERS.get(native, _refuse)


def _read_nothing(obj: Any) -> list[Any]:
    return []


def _refuse(obj: Any) -> list[Any]:
    raise UnknowableError("its base class is written in C and not known")


def _read_path(obj: Any) -> list[Any]:
    """The parts that its text is made from; its own methods are the user's to override."""
    names = ("_drv", "_root", "_parts") if sys.version_info < (3, 12) else ("_raw_paths",)
    return [pathlib.PurePath.__dict__[name].__get__(obj) for name in names]


def _read_exception(obj: Any) -> list[Any]:
    """Its arguments and causes; not the traceback, which is a place in a run and no content."""
    get = BaseException.__dict__
    return [get[name].__get__(obj) for name in ("args", "__cause__", "__context__")]


def _read_dict(obj: Any) -> list[Any]:
    keys = dict_keys(obj)
    return [Parts(keys), Parts([dict.__getitem__(obj, key) for key in keys])]


_READERS: dict[type, Callable[[Any], list[Any]]] = {
    dict: _read_dict,
    collections.OrderedDict: _read_dict,
    list: lambda obj: [Parts(list.__iter__(obj))],
    tuple: lambda obj: [Parts(tuple.__iter__(obj))],
    set: lambda obj: [set(set.__iter__(obj))],
    frozenset: lambda obj: [frozenset(frozenset.__iter__(obj))],
    bytearray: lambda obj: [bytes(bytearray.__getitem__(obj, slice(None)))],
    str: lambda obj: [str.__getnewargs__(obj)[0]],
    bytes: lambda obj: [bytes.__getnewargs__(obj)[0]],
    int: lambda obj: [int.__getnewargs__(obj)[0]],
    float: lambda obj: [float.__getnewargs__(obj)[0]],
    collections.deque: lambda obj: [
        Parts(collections.deque.__iter__(obj)), collections.deque.__dict__["maxlen"].__get__(obj)
    ],
    array.array: lambda obj: [array.array.__dict__["typecode"].__get__(obj), array.array.tobytes(obj)],
    datetime.datetime: lambda obj: list(datetime.datetime.__reduce_ex__(obj, 4)[1]),
    datetime.date: lambda obj: list(datetime.date.__reduce__(obj)[1]),
    datetime.time: lambda obj: list(datetime.time.__reduce_ex__(obj, 4)[1]),
    datetime.timedelta: lambda obj: list(datetime.timedelta.__reduce__(obj)[1]),
    decimal.Decimal: lambda obj: [decimal.Decimal.__str__(obj)],
    property: lambda obj: [property.__dict__[name].__get__(obj) for name in ("fget", "fset", "fdel")],
    _random.Random: lambda obj: [_random.Random.getstate(obj)],
}  # fmt: skip


# -- by what a package would pickle -----------------------------------------------------------

# Iterators over containers see changes of the container, also where their copy does not refer to it.
_ITERATORS = frozenset({"builtins", "itertools", "_collections"})


def write_packaged(obj: Any, walk: Walk) -> None:
    """What the class's own hooks for pickling give, else attributes where they are all there is."""
    cls = type(obj)
    walk.packages.add(package_of(cls))
    walk.changeable(obj)
    walk.token("packaged", module_of(cls), qualname_of(cls))
    overrides = _overrides(cls)
    if cls in copyreg.dispatch_table or overrides & {"__reduce__", "__reduce_ex__"}:
        _write_reduced(obj, walk)
    elif "__getstate__" in overrides:
        walk.asked = True
        with _unmarked(cls):
            state = obj.__getstate__()
        walk.children([*_layout(cls).content(obj), _unwrapped(state, obj, walk)])
    elif _layout(cls).content is not _refuse and (_layout(cls).getter or _layout(cls).slots):
        write_attributes(obj, walk, _caches(cls))
    else:
        _write_reduced(obj, walk)


def _overrides(cls: type) -> set[str]:
    wanted = ("__getstate__", "__reduce__", "__reduce_ex__")
    return {name for name in wanted if getattr(cls, name, None) is not getattr(object, name, None)}


def _caches(cls: type) -> set[str]:
    """Attributes that looking at the object may set: what a package computes from the rest of it."""
    found = {"_cache"} if package_of(cls) == "pandas" else set()
    return found.union(
        name
        for base in lineage_of(cls)
        for name, member in members_of(base).items()
        if type(member) is functools.cached_property
    )


def _write_reduced(obj: Any, walk: Walk) -> None:
    """What pickle would store: constructor, arguments, state, items."""
    cls = type(obj)
    walk.asked = True
    if module_of(cls) == "itertools" and sys.version_info >= (3, 12):
        raise UnknowableError("copying these warns")
    with _unmarked(cls):
        reducer = copyreg.dispatch_table.get(cls)
        made = reducer(obj) if reducer else obj.__reduce_ex__(4)
    if isinstance(made, str):
        walk.token("global", made)
        return
    constructor, arguments, state, *items = (*made, None, None, None)[:5]
    if module_of(cls) in _ITERATORS and hasattr(cls, "__next__"):
        arguments = _iterated(obj, arguments, walk)
    told = [constructor, Parts(part for part in arguments or () if part is not obj), _unwrapped(state, obj, walk)]
    told += [None if part is None else Parts(part) for part in items]
    walk.children(told)


def _iterated(obj: Any, arguments: tuple[Any, ...], walk: Walk) -> list[Any]:
    """What is left of the container, and the container, which some kinds of iterators copy the rest out of."""
    held = [part for part in gc.get_referents(obj) if issubclass(type(part), (dict, list, set, collections.deque))]
    for part in held:
        walk.changeable(part)
    owned = set(map(id, held))
    return [Parts(part) if type(part) is list and id(part) not in owned else part for part in arguments]


def _unwrapped(state: Any, obj: Any, walk: Walk) -> Any:
    """The state without the container it was handed out in, unless that is the instance's own dict."""
    if type(state) is dict and state is not _own_dict(obj):
        return fields(state)
    if type(state) is tuple:
        return Parts(_unwrapped(part, obj, walk) for part in state)
    return state


def _own_dict(obj: Any) -> Any:
    getter = dict_getter(type(obj))
    return getter.__get__(obj) if getter is not None else None


@contextmanager
def _unmarked(cls: type) -> Iterator[None]:
    """Pickling leaves ``__slotnames__`` on a class; take it away again."""
    marked = "__slotnames__" in members_of(cls)
    yield
    if not marked and "__slotnames__" in members_of(cls):
        type.__delattr__(cls, "__slotnames__")


# -- particular kinds --------------------------------------------------------------------------


@handles("enum.Enum", value=True)
def write_enum(obj: enum.Enum, walk: Walk) -> None:
    attributes = instance_dict(obj)
    walk.token("enum", attributes.get("_name_"))
    added = {name: attributes[name] for name in sorted(attributes) if name not in _ENUM_PARTS}
    walk.children([type(obj), attributes.get("_value_"), fields(added)])


_ENUM_PARTS = frozenset({"_name_", "_value_", "__objclass__", "_sort_order_", "_hashable_values_"})


@handles("_ctypes._CData")
def write_foreign_memory(obj: Any, walk: Walk) -> None:
    """Values of C's types: bytes that arrays may be made over."""
    walk.shown_buffer(obj)
    write_instance(obj, walk)


@handles("weakref.ReferenceType")
def write_weakref(obj: Any, walk: Walk) -> None:
    walk.fickle = True
    walk.token("weakref")
    walk.children([weakref.ref.__call__(obj)])


@handles(
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.FrameType,
    types.TracebackType,
    "_io._IOBase",
    "_thread.lock",
    "_thread.RLock",
    "threading.Thread",
    "_asyncio.Task",
    "_asyncio.Future",
    "socket.socket",
    "subprocess.Popen",
)
def write_live(obj: Any, walk: Walk) -> None:
    """Live objects: part of their state is outside of what Python can show."""
    walk.opaque(obj)
