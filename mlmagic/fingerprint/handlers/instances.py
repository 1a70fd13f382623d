"""Objects of no special kind: the user's by their attributes, a package's by what it would pickle."""

from __future__ import annotations

import copyreg
import enum
import types
import weakref
from dataclasses import dataclass
from typing import Any

from mlmagic.fingerprint.handlers.code import is_users
from mlmagic.fingerprint.walk import SCALARS, Walk, handles

# Built-in types whose content a subclass carries besides its attributes, and how to copy that content out.
_CONTENT: tuple[type, ...] = (
    dict, list, tuple, set, frozenset, bytearray, str, bytes, int, float, complex
)  # fmt: skip


@handles(object)
def write_instance(obj: Any, walk: Walk) -> None:
    cls = type(obj)
    if cls is object:
        walk.token("object")  # a sentinel: it has identity and nothing else
        walk.changeable(obj)
    elif is_users(cls.__module__) or walk.scope.is_local(cls.__module__):
        write_attributes(obj, walk)
    else:
        walk.packages.add(cls.__module__.partition(".")[0])
        _write_packaged(obj, cls, walk)


def write_attributes(obj: Any, walk: Walk, skip: frozenset[str] = frozenset()) -> None:
    """Class, built-in content, attributes and slots; runs none of the class's own code."""
    walk.changeable(obj)
    layout = _layout(type(obj))
    attributes = instance_dict(obj)
    if attributes:
        walk.ids.add(id(attributes))
    names = [name for name in attributes if name not in skip] if skip else list(attributes)
    names = sorted(names) if set(map(type, names)) <= {str} else names
    content = _content(obj, layout.content) if layout.content else []
    slots = _slot_values(obj, layout.slots) if layout.slots else {}
    walk.token("instance", len(content), list(slots), [name for name in names if type(name) in SCALARS])
    walk.children([type(obj), *content, *slots.values(), *(attributes[name] for name in names)])


@dataclass(frozen=True, slots=True)
class _Layout:
    content: type | None  # the built-in type whose content instances carry
    slots: tuple[tuple[str, Any], ...]  # name, member descriptor


_LAYOUTS: weakref.WeakKeyDictionary[type, _Layout] = weakref.WeakKeyDictionary()


def _layout(cls: type) -> _Layout:
    found = _LAYOUTS.get(cls)
    if found is None:
        members: dict[str, Any] = {}
        for base in cls.__mro__:
            for name, member in vars(base).items():
                if isinstance(member, types.MemberDescriptorType):
                    members.setdefault(name, member)
        content = next((base for base in _CONTENT if issubclass(cls, base)), None)
        found = _LAYOUTS[cls] = _Layout(content, tuple(sorted(members.items())))
    return found


def instance_dict(obj: Any) -> dict[Any, Any]:
    """The instance's own ``__dict__``, without its class having a say."""
    try:
        found = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}


def _content(obj: Any, base: type) -> list[Any]:
    if base is dict:
        return [{key: dict.__getitem__(obj, key) for key in dict.__iter__(obj)}]
    if base in (list, tuple, set, frozenset):
        return [base(base.__iter__(obj))]
    if base is bytearray:
        return [bytes(bytearray.__getitem__(obj, slice(None)))]
    return [complex.__add__(obj, 0) if base is complex else base.__getnewargs__(obj)[0]]


def _slot_values(obj: Any, members: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, member in members:
        try:
            found[name] = member.__get__(obj)
        except AttributeError:  # declared, not set
            continue
    return found


def _write_packaged(obj: Any, cls: type, walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("instance", cls.__module__, cls.__qualname__)
    if "__getstate__" in _overrides(cls):
        content = _layout(cls).content
        walk.children([_content(obj, content) if content else None, obj.__getstate__()])
    elif cls in copyreg.dispatch_table or _overrides(cls) & {"__reduce__", "__reduce_ex__"}:
        _write_reduced(obj, walk)
    elif instance_dict(obj) or _layout(cls).slots:
        write_attributes(obj, walk)
    else:
        _write_reduced(obj, walk)


def _overrides(cls: type) -> set[str]:
    wanted = ("__getstate__", "__reduce__", "__reduce_ex__")
    return {name for name in wanted if getattr(cls, name, None) is not getattr(object, name, None)}


def _write_reduced(obj: Any, walk: Walk) -> None:
    """What pickle would store: constructor, arguments, state, items."""
    reducer = copyreg.dispatch_table.get(type(obj))
    made = reducer(obj) if reducer else obj.__reduce_ex__(4)
    if isinstance(made, str):
        walk.token("global", made)
        return
    parts = list(made[:3]) + [list(part) if part is not None else None for part in made[3:5]]
    walk.token("reduced", len(parts))
    walk.children([part for part in parts if part is not obj])


@handles("enum.Enum", value=True)
def write_enum(obj: enum.Enum, walk: Walk) -> None:
    walk.token("enum", obj._name_)
    walk.children([type(obj), obj._value_])


@handles(weakref.ReferenceType)
def write_weakref(obj: Any, walk: Walk) -> None:
    walk.token("weakref")
    walk.children([obj()])


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
