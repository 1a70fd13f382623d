"""What a class says of itself, read where Python keeps it: a class in, plain facts out.

A metaclass may answer for ``cls.__module__`` or ``hash(cls)`` with code of the user's, so none of these
questions is put to the class: they go to the descriptors of ``type``.
"""

from __future__ import annotations

import types
from typing import Any

_MODULE = type.__dict__["__module__"].__get__
_QUALNAME = type.__dict__["__qualname__"].__get__
_NAMESPACE = type.__dict__["__dict__"].__get__
_MRO = type.__dict__["__mro__"].__get__
_BASE = type.__dict__["__base__"].__get__
_BASES = type.__dict__["__bases__"].__get__
_SIZE = type.__dict__["__basicsize__"].__get__
_ITEM = type.__dict__["__itemsize__"].__get__
_DICT_OFFSET = type.__dict__["__dictoffset__"].__get__
_POINTER = 8


def module_of(cls: type) -> str:
    """Name of the module that defines the class, empty where it has none."""
    try:
        found = _MODULE(cls)
    except AttributeError:  # made by `type()` where no module was running
        return ""
    return found if type(found) is str else ""


def qualname_of(cls: type) -> str:
    """Name of the class, dotted where it was defined inside something."""
    return str(_QUALNAME(cls))


def package_of(cls: type) -> str:
    """Top-level name of the module that defines the class."""
    return module_of(cls).partition(".")[0]


def members_of(cls: type) -> types.MappingProxyType[str, Any]:
    """The class's own ``__dict__``."""
    return _NAMESPACE(cls)  # type: ignore[no-any-return]


def lineage_of(cls: type) -> tuple[type, ...]:
    """The method resolution order."""
    return _MRO(cls) or (cls, object)


def bases_of(cls: type) -> tuple[type, ...]:
    """The classes it was derived from, in their order."""
    return _BASES(cls)  # type: ignore[no-any-return]


def native_base(cls: type) -> type | None:
    """The class written in C whose instances hold more than attributes and slots can show.

    Seen by size: what an instance needs beyond its base must be accounted for by one pointer for each
    slot, one for ``__dict__`` and one for weak references. The same test tells pickle what it may not store.
    """
    while cls is not object:
        base = _BASE(cls)
        if base is None:
            return None
        own = members_of(cls)
        pointers = sum(type(member) is types.MemberDescriptorType for member in own.values())
        pointers += ("__dict__" in own) + ("__weakref__" in own)
        if _SIZE(cls) - _SIZE(base) > _POINTER * pointers or _ITEM(cls) != _ITEM(base):
            return cls
        cls = base
    return None


def slots_of(cls: type) -> list[tuple[str, Any]]:
    """Every slot that instances have, by name: also those that a subclass's slot of the same name hides."""
    found = [
        (name, member)
        for base in lineage_of(cls)
        for name, member in members_of(base).items()
        if type(member) is types.MemberDescriptorType and name != "__dict__"
    ]
    return sorted(found, key=lambda pair: pair[0])


def dict_getter(cls: type) -> Any:
    """The descriptor behind ``obj.__dict__``, ``None`` where instances have no such dict.

    Raises
    ------
    LookupError
        Where the class puts something of its own in the place of ``__dict__``.
    """
    for base in lineage_of(cls):
        found = members_of(base).get("__dict__")
        if type(found) in (types.GetSetDescriptorType, types.MemberDescriptorType):
            return found
        if found is not None:
            raise LookupError("this class hides the dict of its instances")
    if _DICT_OFFSET(cls):
        raise LookupError("this class does not show the dict of its instances")
    return None
