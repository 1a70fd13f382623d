"""What a trial can reach, on its way to the workers: variables in, one file out, a private map of it in each process.

The file is written once. Whoever loads it maps it copy-on-write: big buffers are shared by all processes until one of
them writes, and what it writes is its own.
"""

from __future__ import annotations

import importlib
import mmap
import os
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import BuiltinFunctionType, MethodType
from typing import Any

from mlmagic._optional import loaded
from mlmagic.cache.serializers import Links, UnstorableError
from mlmagic.cache.serializers.pickled import PickleSerializer
from mlmagic.config import is_secret

GONE = "variables deleted"  # among kept values: names that a trial deleted; no variable can be called so
_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()

__all__ = ["UnstorableError", "load", "load_view", "maps", "pack", "pack_what_travels", "storable"]


def pack(values: Mapping[str, object], path: Path) -> None:
    """Write values with all that they share with each other.

    Raises
    ------
    UnstorableError
        One of them cannot travel; the text says why.
    OSError
        The disk is full.
    """
    with path.open("wb") as file:
        PickleSerializer().dump({name: _Drawing.of(value) for name, value in values.items()}, file, Links())


def pack_what_travels(values: Mapping[str, object], path: Path) -> dict[str, str]:
    """Write those values that can travel; the others, with the reason."""
    try:
        pack(values, path)
    except UnstorableError as error:
        reason = str(error)
    else:
        return {}
    stays = dict(_staying(values, path))
    left = {name: value for name, value in values.items() if name not in stays}
    if not stays:  # each travels, all together do not
        return dict.fromkeys(values, reason)
    return {**stays, **pack_what_travels(left, path)}


def _staying(values: Mapping[str, object], path: Path) -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        try:
            pack({name: value}, path)
        except UnstorableError as error:
            yield name, str(error)


def load(path: Path, namespace: dict[str, Any]) -> dict[str, object]:
    """The values of a file; functions of the notebook run on `namespace`."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return {}
        found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    _maps.add(found)
    return load_view(memoryview(found), namespace)


def maps() -> set[int]:
    """Identities of the maps that loaded arrays lie in: to lie in the same one is not to share memory."""
    return set(map(id, _maps))


def load_view(view: memoryview, namespace: dict[str, Any]) -> dict[str, object]:
    """The same from bytes that are mapped or read already; they must be private and writable."""
    found = PickleSerializer().load(view, Links(namespace))
    return {name: value.here() if isinstance(value, _Drawing) else value for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A function that draws from a global generator, by its name: pickled itself, it would bring a copy of that."""

    module: str
    name: str

    @classmethod
    def of(cls, value: Any) -> Any:
        """What travels for a value: itself, where it is no such function."""
        owner = getattr(value, "__self__", None) if isinstance(value, BuiltinFunctionType | MethodType) else None
        for module, generator in (("random", "_inst"), ("numpy.random", "mtrand._rand")):
            found = loaded(module)
            if owner is not None and found is not None and owner is attrgetter(generator)(found):
                return cls(module, value.__name__)
        return value

    def here(self) -> Any:
        """The function of this process."""
        return getattr(importlib.import_module(self.module), self.name)


def storable(namespace: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """Variables of these names that may be written to disk: not those whose names say that they are secret."""
    return {name: namespace[name] for name in names if name in namespace and not is_secret(name)}
