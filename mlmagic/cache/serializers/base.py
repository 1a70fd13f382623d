"""What the ways of turning values into bytes have in common: a group of values in, bytes out, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol


class UnstorableError(Exception):
    """A group of values cannot be kept as bytes; the text says why, as the end of "not kept: …"."""


@dataclass(frozen=True, slots=True)
class Links:
    """How bytes refer to what lives in the notebook.

    Attributes
    ----------
    namespace : dict
        The user's globals: functions of the notebook run on this very dict.
    token_of : callable, optional
        A token for an object that is to be referred to, ``None`` for one that is to be copied. Asked for every
        object, so it costs time with millions of them; leave it out where nothing is referred to.
    value_of : callable, optional
        The object that a token stands for.
    """

    namespace: dict[str, Any] = field(default_factory=dict)
    token_of: Callable[[object], str | None] | None = None
    value_of: Callable[[str], object] | None = None


class Serializer(Protocol):
    """One way of keeping a group of values that share parts.

    ``accepts`` is cheap and may be optimistic: the caller compares fingerprints of what comes back and takes the next
    serializer where they differ. ``dump`` writes from the file's current position to its end, without seeking; it
    raises `UnstorableError`, or the `OSError` of a write. ``load`` gets the same bytes as a view of private, writable
    memory, which the values keep alive.
    """

    name: str

    def accepts(self, group: Mapping[str, object]) -> bool: ...

    def dump(self, group: Mapping[str, object], file: BinaryIO, links: Links) -> None: ...

    def load(self, buffer: memoryview, links: Links) -> dict[str, object]: ...
