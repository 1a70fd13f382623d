"""What a list of the panel consists of: entries for sweeps, checks and endpoints, newest first, each with its state.

What a list takes is limited: the pictures of the oldest go first, then the oldest themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from mlmagic.panel.sizes import size
from mlmagic.panel.steps import line
from mlmagic.panel.wire import Item
from mlmagic.session import Session

MAX_ITEMS = 24
PICTURE, LIST = 20_000, 60_000  # bytes
_NAME, _TEXT, _DETAIL, _DETAILS = 60, 160, 200, 12

CellOf: TypeAlias = Callable[[str | None], str | None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where in the notebook things are: by an execution of this session, and by a version that one of them made."""

    cell_of: CellOf
    maker_of: CellOf


Lister: TypeAlias = Callable[[Session, Places], Iterable[Item]]


def item(
    key: str,
    name: str,
    state: str,
    text: str,
    *,
    word: str,
    details: Iterable[str] = (),
    cell: str | None = None,
    picture: str | None = None,
) -> Item:
    """An item that travels: one line of each text, no picture that is too heavy."""
    light = picture is not None and size(picture) <= PICTURE
    return Item(
        id=line(key, 120),
        name=line(name, _NAME),
        state=state,  # type: ignore[typeddict-item]
        word=word,
        text=line(text, _TEXT),
        details=[line(one, _DETAIL) for one in list(details)[:_DETAILS]],
        cell=cell,
        picture=picture if light else None,
    )


def fitted(items: Iterable[Item], limit: int = LIST) -> list[Item]:
    """The first items, as many as are light enough, with their pictures as long as these are."""
    kept: list[Item] = []
    plain = [Item(**{**one, "picture": None}) for one in list(items)[:MAX_ITEMS]]
    room = limit
    for one in plain:
        room -= size(one)
        if room < 0:
            break
        kept.append(one)
    for place, whole in enumerate(list(items)[: len(kept)]):
        more = size(whole) - size(kept[place])
        if more <= room:
            kept[place], room = whole, room - more
    return kept
