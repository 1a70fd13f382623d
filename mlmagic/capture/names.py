"""The table of names: what each name referred to when its last version was written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlmagic.fingerprint import CONSTANT_TYPES, Scope, Snapshot, snapshot

_ANCHORED_BYTES = 1024

# IPython's own history names: they become versions only when a cell reads them.
OUTPUT_NAME = re.compile(r"_(\d+)$")
LAST_OUTPUTS = ("_", "__", "___")
ALL_OUTPUTS = ("Out", "_oh")
INPUT_NAME = re.compile(r"(_i{1,3}|_i\d+|In|_ih)$")

# What Python itself keeps in a module, and prefixes of what front ends do.
_PYTHONS = frozenset(
    "__name__ __doc__ __package__ __loader__ __spec__ __builtins__ __builtin__ __annotations__ __annotate__ __file__ "
    "__conditional_annotations__ __cached__ __warningregistry__ __session__".split()
)
_FRONT_ENDS = ("__vsc_", "__DW_", "__pydev", "__PYDEV", "__jupyter")


def is_history(name: str) -> bool:
    """Whether IPython, not the user, keeps this name."""
    return bool(
        OUTPUT_NAME.match(name)
        or INPUT_NAME.match(name)
        or name in LAST_OUTPUTS
        or name in ALL_OUTPUTS
        or name == "_dh"
    )


def is_users_name(name: str) -> bool:
    """Names that can have versions: neither history nor what Python and front ends keep in a module."""
    if name.startswith("__") and (name in _PYTHONS or name.startswith(_FRONT_ENDS)):
        return False
    return not is_history(name)


@dataclass(frozen=True, slots=True)
class Entry:
    """One name's last version, and enough of its object to see that it changed.

    The object itself is kept only where it is small and immutable: anything else would live longer
    for our sake than the user meant it to.
    """

    version_id: str
    identity: int
    snapshot: Snapshot
    anchor: object = None
    before: tuple[str, ...] = ()  # versions by cells in between, where a late change is credited to an older one

    @property
    def anchored(self) -> bool:
        """The identity cannot have been reused by another object."""
        return self.anchor is not None or self.identity == id(None)


def entry_for(version_id: str, value: object, seen: Snapshot, before: tuple[str, ...] = ()) -> Entry:
    """What to remember of a name that refers to `value` at this version."""
    small = type(value) in CONSTANT_TYPES and value.__sizeof__() <= _ANCHORED_BYTES
    keep = small or (seen.constant and type(value).__module__ in ("builtins", "types"))
    keep = keep and not (isinstance(value, (str, bytes, tuple, frozenset)) and value.__sizeof__() > _ANCHORED_BYTES)
    return Entry(version_id, id(value), seen, value if keep else None, before)


class Names:
    """The user's namespace beside the versions last written of it."""

    def __init__(self, namespace: dict[str, Any], scope: Scope, hidden: Callable[[], Mapping[str, Any]]) -> None:
        self.namespace = namespace
        self.scope = scope
        self.entries: dict[str, Entry] = {}
        self._identities: dict[Any, int] = {}
        self.gone: dict[str, str] = {}  # deleted names -> the version that says so
        self._hidden = hidden

    def _user_name(self, key: object, value: object) -> str | None:
        """The key as the name of a variable; ``None`` for what the user did not put there."""
        if type(key) is not str:  # globals() takes any key; NumPy's strings are names, too
            if not issubclass(type(key), str):
                return None
            key = str.__str__(key)
        hidden = self._hidden()
        users = is_users_name(key) and not (key in hidden and hidden[key] is value)
        return key if key in self.entries or users else None

    def forget(self, name: str, version_id: str) -> None:
        """The name was deleted, by this version; whoever asks for it depends on that."""
        del self.entries[name]
        self.gone[name] = version_id

    def look(self, value: object) -> Snapshot:
        return snapshot(value, self.scope)

    def holders(self, snapshots: Iterable[Snapshot]) -> set[str]:
        """Names whose own object is a part of what one of `snapshots` looked at."""
        inside = [seen.ids for seen in snapshots if seen.ids]
        if not inside:
            return set()
        known = {entry.identity: name for name, entry in self.entries.items() if not entry.snapshot.constant}
        return {known[part] for ids in inside for part in known.keys() & ids}

    def rebound(self) -> tuple[dict[str, Any], list[str]]:
        """Names that refer to another object than at their last version, and names that are gone."""
        before, self._identities = self._identities, self._identities_now()
        bound: dict[str, Any] = {}
        for key, identity in self._identities.items():
            if before.get(key) != identity:
                value = self.namespace[key]
                name = self._user_name(key, value)
                if name is not None and (name not in self.entries or self.entries[name].identity != id(value)):
                    bound[name] = value
        return bound, list(self.entries.keys() - self.namespace.keys())

    def _identities_now(self) -> dict[Any, int]:
        """Identity of everything in the namespace: what is as it was needs no closer look."""
        now = self.namespace.copy()  # in one step, whatever other threads do
        return dict(zip(now, map(id, now.values()), strict=True))

    def overlook(self, names: Iterable[str]) -> None:
        """Let the next look find these names new."""
        for name in names:
            self._identities.pop(name, None)

    def start_over(self) -> None:
        """Let the next look be at every name: what the last one found may not have been written."""
        self._identities = {}

    def sharing(self, footprints: list[Snapshot], but: set[str]) -> list[str]:
        """Names whose objects share changeable parts or memory with any of `footprints`."""
        return [
            name
            for name, entry in self.entries.items()
            if name not in but
            and not entry.snapshot.constant
            and any(entry.snapshot.overlaps(other) for other in footprints)
        ]
