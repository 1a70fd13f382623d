"""Local modules: source that belongs to the project rather than to an installed package."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any

from mlmagic._optional import loaded
from mlmagic.analysis import code_facts
from mlmagic.fingerprint import UNKNOWN, Snapshot, share


@lru_cache(maxsize=1)
def installed_places() -> tuple[str, ...]:
    """Folders whose files belong to Python or to installed packages."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    places = [path for name in names if (path := sysconfig.get_paths().get(name))]
    places += [*site.getsitepackages(), site.getusersitepackages(), os.path.dirname(os.__file__)]
    shares = [os.path.join(prefix, part) for prefix in {sys.prefix, sys.base_prefix} for part in ("share", "etc")]
    return tuple({os.path.realpath(place) + os.sep for place in [*places, *shares]})


def is_installed(path: str) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    return os.path.realpath(path).startswith(installed_places()) or path.startswith(installed_places())


class LocalModules:
    """Answers whether a module is the project's own, once per module."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def is_local(self, name: str) -> bool:
        if name not in self._known:
            module = loaded(name)
            if not isinstance(module, ModuleType):
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


@dataclass(slots=True)
class ModuleLook:
    """One local module before and after a cell that reached it."""

    before: Snapshot
    now: Snapshot
    new: bool  # nobody had looked before

    @property
    def changed(self) -> bool:
        return self.now.opaque or self.now.fingerprint != self.before.fingerprint

    @property
    def upset(self) -> bool:
        """Whether objects of the module may have changed, or are shared with others than before."""
        return self.changed or self.now.ids != self.before.ids or self.now.spans != self.before.spans


class ModuleWatch:
    """What the project's own modules held when a cell last reached them: they are variables, too."""

    def __init__(self, look: Callable[[object], Snapshot], is_local: Callable[[str], bool]) -> None:
        self._look = look
        self._is_local = is_local
        self._seen: dict[str, Snapshot] = {}
        self.looks: dict[str, ModuleLook] = {}  # of the running cell

    def begin(self, reached: Iterable[str]) -> set[str]:
        """The modules behind those that a cell reaches; whoever is new is looked at before the cell runs."""
        self.looks = {}
        waiting, found = list(reached), set()
        while waiting:
            name = waiting.pop()
            if name not in found and self._is_local(name):
                found.add(name)
                if name not in self._seen:
                    self._seen[name] = self._content(name)
                waiting += self._seen[name].modules
        return found

    def end(self, reached: Iterable[str]) -> list[Snapshot]:
        """Look again at modules that the cell reached or loaded; returns what may have changed with them."""
        waiting = [name for name in reached if self._is_local(name)]
        upset: list[Snapshot] = []
        while waiting:
            name = waiting.pop()
            if name in self.looks or loaded(name) is None:
                continue
            now = self._content(name)
            look = self.looks[name] = ModuleLook(self._seen.get(name, now), now, name not in self._seen)
            self._seen[name] = now
            if look.upset:
                upset.append(look.before)
            waiting += (other for other in now.modules if self._is_local(other))
        return upset

    def sharing(self, footprints: list[Snapshot]) -> list[str]:
        """Modules not looked at yet that share objects or memory with any of `footprints`."""
        return [
            name
            for name, seen in self._seen.items()
            if name not in self.looks and any(seen.overlaps(other) for other in footprints)
        ]

    def content(self, name: str) -> str | None:
        """Fingerprint of a local module as it is now, ``None`` where it is not loaded."""
        return self._content(name).fingerprint if self._is_local(name) else None

    def sharing_with(self, seen: Snapshot) -> str | None:
        """A local module that holds a part of what was seen."""
        return next((name for name, content in self._seen.items() if share(content, seen)), None)

    def _content(self, name: str) -> Snapshot:
        module = loaded(name)
        return self._look(module_content(module)) if isinstance(module, ModuleType) else UNKNOWN


# Objects whose state is nobody's data: one of them must not make a whole module unknown.
_INERT = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event, threading.local)


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
        elif isinstance(value, _INERT):
            content[name] = type(value).__name__
        else:
            content[name] = value
    return content


def _is_members(key: str) -> bool:
    return key not in ("__dict__", "__weakref__", "__module__", "__doc__", "_abc_impl", "__slotnames__")


_PARTS = (
    FunctionType,
    ModuleType,
    property,
    staticmethod,
    classmethod,
    int,
    float,
    complex,
    str,
    bytes,
    bool,
    type(None),
)


def is_fixed(module: ModuleType) -> bool:
    """Whether calling what a module defines leaves it as it is: functions, classes and constants, nothing to change."""
    own = [value for name, value in vars(module).items() if not (name.startswith("__") and name.endswith("__"))]
    classes = [value for value in own if isinstance(value, type)]
    defined = [value for value in classes if value.__module__ == module.__name__]
    members = [part for cls in defined for name, part in vars(cls).items() if _is_members(name)]
    functions = [part for part in (*own, *members) if isinstance(part, FunctionType)]
    return (
        all(isinstance(value, (*_PARTS, type)) for value in own)
        and all(isinstance(part, _PARTS) for part in members if not _is_slot(part))
        and not any(_keeps_state(function) for function in functions)
    )


def _is_slot(part: object) -> bool:
    return type(part) in (MemberDescriptorType, GetSetDescriptorType)


def _keeps_state(function: FunctionType) -> bool:
    changeable = [value for value in function.__defaults__ or () if not isinstance(value, _PARTS)]
    return bool(function.__closure__ or changeable or vars(function) or code_facts(function.__code__).stores)
