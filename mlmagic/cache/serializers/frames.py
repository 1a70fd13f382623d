"""What pandas holds, for the pickle: its blocks and labels in, each with memory of its own out.

pandas copies a block before it writes to it if another of its objects shares the memory; a pickle knows nothing of
that. So no array may come back in two blocks, or in a block and an index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mlmagic._optional import loaded
from mlmagic.cache.serializers.memory import BLOCK, LABELS
from mlmagic.fingerprint.classes import lineage_of
from mlmagic.fingerprint.handlers.instances import instance_dict

Reducer = Callable[[Any], Any]


class Holdings:
    """The arrays that pandas objects were seen to hold."""

    def __init__(self) -> None:
        self._kinds: dict[int, str] = {}
        self._kept: list[object] = []  # while they live, nothing else gets their identities

    def kind_of(self, values: object) -> str | None:
        """What kind of pandas object holds the array, ``None`` where none does."""
        return self._kinds.get(id(values))

    def reducer(self, cls: type) -> Reducer | None:
        """How objects of a class are taken apart, where they are pandas' and hold arrays for it."""
        if (pandas := loaded("pandas")) is None:
            return None
        lineage = lineage_of(cls)
        if _part("pandas._libs.internals", "Block") in lineage:
            return self._reduce_block
        if _part("pandas.core.internals.managers", "SingleBlockManager") in lineage:
            return _reduce_series_manager
        return self._reduce_index if pandas.Index in lineage else None

    def _reduce_block(self, block: Any) -> Any:
        maker, (values, *rest) = block.__reduce__()
        if any(map(self.kind_of, _arrays_in(values))):
            values = values.copy(order="K") if isinstance(values, np.ndarray) else values.copy()
        self._hold(values, BLOCK)
        return maker, (values, *rest)

    def _reduce_index(self, index: Any) -> Any:
        held = [part for name in ("_data", "_codes") for part in _listed(instance_dict(index).get(name))]
        if any(self.kind_of(values) == BLOCK for part in held for values in _arrays_in(part)):
            index = index.copy(deep=True)
            self._kept.append(index)
            return index.__reduce__()
        for part in held:
            self._hold(part, LABELS)
        return NotImplemented

    def _hold(self, values: object, kind: str) -> None:
        self._kept.append(values)
        for found in _arrays_in(values):
            self._kept.append(found)
            self._kinds[id(found)] = kind


def _reduce_series_manager(manager: Any) -> Any:
    """By its block; its own way tells the values twice."""
    return type(manager), (manager.blocks[0], manager.axes[0])


def _arrays_in(values: Any) -> Iterator[Any]:
    """The NumPy arrays that a block's or an index's values consist of."""
    if isinstance(values, np.ndarray):
        yield values
        return
    pandas: Any = loaded("pandas")
    if isinstance(values, pandas.api.extensions.ExtensionArray):
        for part in (getattr(values, "_ndarray", None), *instance_dict(values).values()):
            yield from _arrays_in(part)


def _listed(part: Any) -> list[Any]:
    return [] if part is None else list(part) if type(part).__name__ == "FrozenList" else [part]


def _part(module: str, name: str) -> object:
    """A part of pandas that has no public name, ``None`` where this version has none such."""
    return getattr(loaded(module), name, None)
