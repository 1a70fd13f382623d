"""How much travels at once: a message that is too large goes out as several, each of which a page can take in turn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from mlmagic.panel.wire import LARGEST

Message: TypeAlias = dict[str, Any]

ROWS = ("cells", "nodes", "edges", "cut", "gone")  # lists that may be told piece by piece
_ROOM = 2_000  # bytes for what is in every message
_ROUND = len(", ")


def size(value: Any) -> int:
    """Bytes that a value takes on its way."""
    return len(json.dumps(value, ensure_ascii=False, default=str).encode(errors="replace"))


def pieces(parts: Mapping[str, Any], limit: int = LARGEST) -> list[Message]:
    """The parts of one push, dealt out to as many messages as are needed; at least one.

    Lists of rows are cut where they must be; in the first message there is a list, perhaps an empty one, for each.
    """
    done: list[Message] = [{name: [] for name in ROWS if name in parts}]
    room = whole = limit - _ROOM
    for name, value, weight in _weighed(parts):
        if weight > room and room < whole:
            done.append({})
            room = whole
        room -= weight
        if name in ROWS:
            done[-1].setdefault(name, []).append(value)
        else:
            done[-1][name] = value
    return done


def _weighed(parts: Mapping[str, Any]) -> Iterator[tuple[str, Any, int]]:
    for name, value in parts.items():
        if name in ROWS:
            yield from ((name, row, size(row) + _ROUND) for row in value)
        else:
            yield name, value, size(value) + len(name) + 8
