"""The step where an answer meets its reader: what comes in is data, what goes out are its faces.

Plain text is the face that always exists; pictures come from renderers which `views` registers, so
that this module, and everything that returns a result, stays free of HTML and of the front end.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any

OUTPUT_LIMIT = 200_000  # bytes of one output, all faces together: a notebook file must stay light
TEXT_LIMIT = 60_000  # bytes of the text face, so that a picture still fits beside it

Renderer = Callable[[Any], Mapping[str, str]]
"""Takes a result, gives its richer faces as {media type: content}, `text/html` or `image/svg+xml`."""

_renderers: dict[type, Renderer] = {}


class Result(ABC):
    """Base of everything a user is shown: text, pictures where the front end can draw, and data."""

    @abstractmethod
    def text(self) -> str:
        """The plain-text face: complete sentences for a terminal, a log or a screen reader."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The data as plain values that JSON can hold."""

    @abstractmethod
    def to_pandas(self) -> Any:
        """The data as a pandas data frame."""

    def __repr__(self) -> str:
        return clip(self.text(), TEXT_LIMIT)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Every face the front end may choose from; `text/plain` is always among them."""
        faces = {"text/plain": repr(self)}
        for kind, content in _rendered(self).items():
            if sum(_size(face) for face in faces.values()) + _size(content) <= OUTPUT_LIMIT:
                faces[kind] = content
        return {kind: face for kind, face in faces.items() if _wanted(kind, include, exclude)}


def register_renderer(result_type: type, renderer: Renderer) -> None:
    """Let `renderer` draw results of this type and of its subclasses; the latest registration counts."""
    _renderers[result_type] = renderer


def renderer_of(result_type: type) -> Renderer | None:
    """The renderer of the nearest registered ancestor, the type itself first."""
    return next((_renderers[base] for base in result_type.__mro__ if base in _renderers), None)


def clip(text: str, limit: int) -> str:
    """At most `limit` bytes of `text`, whole lines, with a last line that says how much is missing."""
    if _size(text) <= limit:
        return text
    kept = text.encode()[: limit - 80].decode(errors="ignore").rpartition("\n")[0] or text[: (limit - 80) // 4]
    missing = text.count("\n") - kept.count("\n")
    return f"{kept}\n… {missing:,} more lines: .to_pandas() and .to_dict() have everything"


def _rendered(result: Result) -> Mapping[str, str]:
    renderer = renderer_of(type(result))
    if renderer is None:
        return {}
    try:
        return renderer(result)
    except Exception as error:  # a broken picture must never cost the user the answer
        warnings.warn(f"{type(result).__name__} is shown as text: its picture failed ({error!r})", stacklevel=3)
        return {}


def _size(text: str) -> int:
    return len(text.encode())


def _wanted(kind: str, include: Collection[str] | None, exclude: Collection[str] | None) -> bool:
    if kind == "text/plain":
        return True  # promised whatever is asked: front ends fall back on it
    return (not include or kind in include) and not (exclude and kind in exclude)
