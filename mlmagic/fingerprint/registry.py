"""Which handler writes which type: the table that the files of `handlers` fill and the walk consults."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from mlmagic.fingerprint.classes import lineage_of, module_of, qualname_of

Handler = Callable[[Any, Any], None]  # takes the object and the `Walk` that it is written to
Resolved = tuple[weakref.ref[type], Handler, bool]

_BY_TYPE: dict[type, Handler] = {}
_BY_NAME: dict[str, Handler] = {}  # "module.qualname", so that no package is imported to know it
_RESOLVED: dict[int, Resolved] = {}  # by identity of the class, which is not kept alive
_VALUE_HANDLERS: set[Handler] = set()  # of immutable values, where sharing means nothing


def handles(*kinds: type | str, value: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler for types exactly, or for ``"module.QualifiedName"`` of types and their subclasses.

    Names also serve for types that may not be imported. ``value=True`` marks kinds without an identity of
    their own: equal copies and shared references then get the same digest.
    """

    def register(handler: Handler) -> Handler:
        for kind in kinds:
            if isinstance(kind, str):
                _BY_NAME[kind] = handler
            else:
                _BY_TYPE[kind] = handler
        if value:
            _VALUE_HANDLERS.add(handler)
        _RESOLVED.clear()
        return handler

    return register


def handler_for(cls: type) -> Handler:
    """The handler of the nearest class in the method resolution order, else the generic one."""
    return resolved(cls)[1]


def resolved(cls: type) -> Resolved:
    """The class (weakly), its handler, and whether its instances are values without an identity."""
    found = _RESOLVED.get(id(cls))
    if found is None or found[0]() is not cls:
        if len(_RESOLVED) > 10_000:  # classes made in a loop
            _RESOLVED.clear()
        handler = _resolve(cls)
        found = _RESOLVED[id(cls)] = (weakref.ref(cls), handler, handler in _VALUE_HANDLERS)
    return found


def _resolve(cls: type) -> Handler:
    if type(cls) is type and cls in _BY_TYPE:
        return _BY_TYPE[cls]
    for base in lineage_of(cls):
        name = f"{module_of(base)}.{qualname_of(base)}"
        if name in _BY_NAME:
            return _BY_NAME[name]
    if issubclass(cls, type):
        return _BY_TYPE[type]
    return generic()


def generic() -> Handler:
    """The handler of objects of no special kind."""
    return _BY_TYPE[object]
