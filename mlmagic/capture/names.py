"""The table of names: what each name referred to when its last version was written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlmagic.fingerprint import CONSTANT_TYPES, Scope, Snapshot, snapshot

_ANCHORED_BYTES = 1024

# IPython's own history names: they become versions only when a cell reads them.
OUTPUT_NAME = re.compile(r"_(\d+)$")
LAST_OUTPUTS = ("_", "__", "___")
ALL_OUTPUTS = ("Out", "_oh")
INPUT_NAME = re.compile(r"(_i{1,3}|_i\d+|In|_ih)$")


def is_history(name: str) -> bool:
    """Whether IPython, not the user, keeps this name."""
    return bool(
        OUTPUT_NAME.match(name) or INPUT_NAME.match(name) or name in LAST_OUTPUTS or name in ALL_OUTPUTS or name == "_dh"
    )


def is_users_name(name: object) -> bool:
    """Names that can have versions: identifiers, neither history nor dunder."""
    return type(name) is str and not (name.startswith("__") and name.endswith("__")) and not is_history(name)


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

    @property
    def anchored(self) -> bool:
        """The identity cannot have been reused by another object."""
        return self.anchor is not None or self.identity == id(None)


def entry_for(version_id: str, value: object, seen: Snapshot) -> Entry:
    small = type(value) in CONSTANT_TYPES and value.__sizeof__() <= _ANCHORED_BYTES
    keep = small or (seen.constant and type(value).__module__ in ("builtins", "types"))
    keep = keep and not (isinstance(value, (str, bytes, tuple, frozenset)) and value.__sizeof__() > _ANCHORED_BYTES)
    return Entry(version_id, id(value), seen, value if keep else None)


class Names:
    """The user's namespace beside the versions last written of it."""

    def __init__(self, namespace: dict[str, Any], scope: Scope, hidden: Callable[[], Mapping[str, Any]]) -> None:
        self.namespace = namespace
        self.scope = scope
        self.entries: dict[str, Entry] = {}
        self._hidden = hidden

    def visible(self) -> Iterator[tuple[str, Any]]:
        """The user's names and what they refer to now."""
        hidden = self._hidden()
        for name, value in list(self.namespace.items()):
            if name in self.entries or (
                is_users_name(name) and not (name in hidden and hidden[name] is value)
            ):
                yield name, value

    def look(self, value: object) -> Snapshot:
        return snapshot(value, self.scope)

    def rebound(self) -> tuple[dict[str, Any], list[str]]:
        """Names that refer to another object than at their last version, and names that are gone."""
        bound: dict[str, Any] = {}
        for name, value in self.visible():
            entry = self.entries.get(name)
            if entry is None or entry.identity != id(value):
                bound[name] = value
        gone = [name for name in self.entries if name not in self.namespace]
        return bound, gone

    def sharing(self, footprints: list[Snapshot], but: set[str]) -> list[str]:
        """Names whose objects share changeable parts or memory with any of `footprints`."""
        return [
            name
            for name, entry in self.entries.items()
            if name not in but
            and not entry.snapshot.constant
            and any(entry.snapshot.overlaps(other) for other in footprints)
        ]
