"""Local modules: source that belongs to the project rather than to an installed package."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from mlmagic._optional import loaded


@lru_cache(maxsize=1)
def installed_places() -> tuple[str, ...]:
    """Folders whose files belong to Python or to installed packages."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    places = [path for name in names if (path := sysconfig.get_paths().get(name))]
    places += [*site.getsitepackages(), site.getusersitepackages(), os.path.dirname(os.__file__)]
    shares = [os.path.join(prefix, part) for prefix in {sys.prefix, sys.base_prefix} for part in ("share", "etc")]
    return tuple({os.path.realpath(place) + os.sep for place in [*places, *shares]})


def is_installed(path: str) -> bool:
    return os.path.realpath(path).startswith(installed_places()) or path.startswith(installed_places())


class LocalModules:
    """Answers whether a module is the project's own, once per module."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def is_local(self, name: str) -> bool:
        if name not in self._known:
            module = loaded(name)
            if module is None:
                return False
            self._known[name] = self._judge(name, module)
        return self._known[name]

    def _judge(self, name: str, module: ModuleType) -> bool:
        if name in ("__main__", "builtins") or name.partition(".")[0] == "mlmagic":
            return False
        path = vars(module).get("__file__")
        return isinstance(path, str) and path.endswith(".py") and not is_installed(path)


def source_path(name: str) -> Path | None:
    """The file a slice must bring along so that ``import name`` works: the top-level module or package."""
    module = loaded(name.partition(".")[0])
    path = vars(module).get("__file__") if module is not None else None
    if not isinstance(path, str):
        return None
    found = Path(path)
    return found.parent if found.name == "__init__.py" else found


def module_content(module: ModuleType) -> dict[str, Any]:
    """What a local module holds: its functions' code, its classes' members and its data, by name.

    Other modules and what was imported from elsewhere are told by name and module.
    """
    content: dict[str, Any] = {}
    for name, value in sorted(vars(module).items()):
        if name.startswith("__") and name.endswith("__"):
            continue
        if isinstance(value, type) and value.__module__ == module.__name__:
            members = vars(value).items()
            content[name] = [value.__qualname__, {key: part for key, part in members if _is_members(key)}]
        else:
            content[name] = value
    return content


def _is_members(key: str) -> bool:
    return key not in ("__dict__", "__weakref__", "__module__", "__doc__", "_abc_impl", "__slotnames__")
