"""What a trial can reach, on its way to the workers: variables in, one file out, a private map of it in each process.

The file is written once. Whoever loads it maps it copy-on-write: big buffers are shared by all processes until one of
them writes, and what it writes is its own.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlmagic.cache.serializers import Links, UnstorableError
from mlmagic.cache.serializers.pickled import PickleSerializer
from mlmagic.config import is_secret

__all__ = ["UnstorableError", "load", "load_view", "pack", "pack_what_travels", "storable"]


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
        PickleSerializer().dump(values, file, Links())


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
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    return load_view(view, namespace)


def load_view(view: memoryview, namespace: dict[str, Any]) -> dict[str, object]:
    """The same from bytes that are mapped or read already; they must be private and writable."""
    return PickleSerializer().load(view, Links(namespace))


def storable(namespace: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """Variables of these names that may be written to disk: not those whose names say that they are secret."""
    return {name: namespace[name] for name in names if name in namespace and not is_secret(name)}
