"""A value in words that are safe to store: type, shape, size, and a preview of exact scalars only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mlmagic.config import is_secret
from mlmagic.fingerprint.classes import package_of, qualname_of

_PREVIEW = 60
# By identity: a metaclass may define what comparing classes means.
_SHOWN = frozenset(map(id, (int, float, bool, type(None), complex, str)))
_SIZED = frozenset(map(id, (list, tuple, dict, set, frozenset)))


@dataclass(frozen=True, slots=True)
class Description:
    """What the store says of a value beside its fingerprint."""

    type: str
    shape: str | None = None
    nbytes: int | None = None
    preview: str | None = None


def describe(name: str, value: Any) -> Description:
    """What may be written down about a value; asks nothing of objects of unknown types."""
    cls = type(value)
    kind = qualname_of(cls)
    if id(cls) in _SHOWN:
        return Description(kind, nbytes=None, preview=_preview(name, value))
    if id(cls) in _SIZED:
        return Description(kind, shape=f"({len(value)},)")
    if cls is bytes or cls is bytearray:
        return Description(kind, shape=f"({len(value)},)", nbytes=len(value))
    describer = _KNOWN.get(package_of(cls))
    known = describer(kind, value) if describer else Description(kind)
    return replace(known, preview=None) if is_secret(name) else known


def _preview(name: str, value: object) -> str | None:
    if is_secret(name):
        return None
    if type(value) is int and value.bit_length() > 512:
        return None
    text = repr(value[: _PREVIEW + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= _PREVIEW else text[: _PREVIEW - 1] + "…"


def _array(kind: str, value: Any) -> Description:
    shape = getattr(value, "shape", None)
    nbytes = getattr(value, "nbytes", None)
    return Description(
        kind,
        shape=str(tuple(shape)) if isinstance(shape, tuple) else None,
        nbytes=int(nbytes) if isinstance(nbytes, int) else None,
        preview=_item_preview(value) if shape == () else None,
    )


def _item_preview(value: Any) -> str | None:
    """Of a single number or text only: an array may hold any object, and no ``repr`` of the user's is run."""
    dtype = getattr(value, "dtype", None)
    return _preview("", value.item()) if getattr(dtype, "kind", "O") in "biufcSU" else None


def _pandas(kind: str, value: Any) -> Description:
    shape = value.shape if kind in ("DataFrame", "Series", "Index") else None
    if kind == "DataFrame":
        nbytes = int(value.memory_usage(index=False, deep=False).sum())
    elif kind in ("Series", "Index"):
        nbytes = int(value.nbytes)
    else:
        nbytes = None
    return Description(kind, shape=str(shape) if shape is not None else None, nbytes=nbytes)


def _tabular(kind: str, value: Any) -> Description:
    shape = getattr(value, "shape", None)
    return Description(kind, shape=str(tuple(shape)) if isinstance(shape, tuple) else None)


def _torch(kind: str, value: Any) -> Description:
    if not hasattr(value, "element_size"):
        return Description(kind)
    return Description(kind, shape=str(tuple(value.shape)), nbytes=int(value.numel() * value.element_size()))


_KNOWN = {"numpy": _array, "pandas": _pandas, "polars": _tabular, "pyarrow": _tabular, "torch": _torch}
