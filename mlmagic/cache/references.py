"""Parts of kept values that live in the notebook already: where they are found again, by name and path.

`first = rows[0]` does not copy: restored, `first` has to be a part of the `rows` that is there then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlmagic.fingerprint import Snapshot, share
from mlmagic.fingerprint.classes import dict_getter

_MOST = 100_000  # parts of one variable looked at to find a shared one

Step = tuple[str, Any]  # "i": index, "k": key, "a": attribute


@dataclass(slots=True)
class References:
    """Tokens of objects that are not to be copied, while one group is kept."""

    tokens: dict[int, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # variables that tokens begin with
    _objects: dict[str, object] = field(default_factory=dict)  # kept alive: identities are numbers of live objects only

    def __bool__(self) -> bool:
        return bool(self.tokens)

    def token_of(self, obj: object) -> str | None:
        return self.tokens.get(id(obj))

    def object_of(self, token: str) -> object:
        return self._objects[token]

    def add(self, obj: object, name: str, steps: Iterable[Step] = ()) -> None:
        self.tokens[id(obj)] = json.dumps([name, *steps])
        self.names.add(name)
        self._objects[self.tokens[id(obj)]] = obj


def references(
    group: Iterable[Snapshot], existing: Mapping[str, Snapshot], values: Mapping[str, Any], but: Iterable[str] = ()
) -> References:
    """Tokens for whatever a group shares with variables that were there before.

    Parameters
    ----------
    group
        Of the values to be kept.
    existing
        Variables that the cell did not write.
    values
        The namespace.
    but
        Names whose values are kept themselves.
    """
    found = References()
    seen = list(group)
    for name, snapshot in existing.items():
        if name in but or snapshot.constant or not any(share(snapshot, other) for other in seen):
            continue
        shared = {part for other in seen for part in other.ids & snapshot.ids}
        _find(name, values[name], shared, found)
    return found


def _find(name: str, root: Any, shared: set[int], found: References) -> None:
    """Walk a variable's value until all shared parts are found, breadth first: the shortest way to each."""
    queue: list[tuple[Any, tuple[Step, ...]]] = [(root, ())]
    seen = {id(root)}
    for obj, steps in queue:
        if id(obj) in shared and id(obj) not in found.tokens:
            found.add(obj, name, steps)
        if len(seen) > _MOST or shared <= found.tokens.keys():
            return
        for step, part in _parts(obj):
            if id(part) not in seen:
                seen.add(id(part))
                queue.append((part, (*steps, step)))


def _parts(obj: Any) -> list[tuple[Step, Any]]:
    kind = type(obj)
    if kind is list or kind is tuple:
        return [(("i", number), part) for number, part in enumerate(obj)]
    if kind is dict:
        return [(("k", key), part) for key, part in obj.items() if type(key) in (str, int)]
    if kind.__module__ in ("builtins", "numpy", "pandas"):
        return []
    try:
        getter = dict_getter(kind)
    except LookupError:
        return []
    attributes = getter.__get__(obj) if getter is not None else {}
    return [(("a", key), part) for key, part in attributes.items() if type(key) is str]


def resolve(token: str, namespace: Mapping[str, Any]) -> Any:
    """The object that a token stands for; `LookupError` where it is not there."""
    name, *steps = json.loads(token)
    value = namespace[name]
    for kind, key in steps:
        if kind == "a":
            value = dict_getter(type(value)).__get__(value)[key]
        else:
            value = value[key]
    return value
