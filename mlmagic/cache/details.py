"""What an explanation may tell of a value: type, shape, preview, digests of columns, a function's source."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any

from mlmagic.analysis import redact
from mlmagic.config import is_secret
from mlmagic.fingerprint import describe, fingerprint

_MOST_COLUMNS = 500
_LONGEST_SOURCE = 20_000  # characters


def details(name: str, value: Any) -> dict[str, Any]:
    """Plain values for JSON; nothing of a value whose name says that it is secret."""
    about = describe(name, value)
    found: dict[str, Any] = {"type": about.type, "shape": about.shape, "preview": about.preview}
    if is_secret(name):
        return {"type": about.type}
    if about.type == "DataFrame":
        found["columns"] = _columns(value)
    elif isinstance(value, FunctionType):
        found["source"] = _source(value)
    return {key: part for key, part in found.items() if part is not None}


def _columns(frame: Any) -> dict[str, str | None] | None:
    """Digest of each column of a pandas or polars frame."""
    labels = list(frame.columns)
    if len(labels) > _MOST_COLUMNS or len({str(label) for label in labels}) < len(labels):
        return None
    parts = {str(label): frame[label] for label in labels}
    return {label: fingerprint(getattr(part, "array", part)) for label, part in parts.items()}


def _source(function: FunctionType) -> str | None:
    """The text of a function of the notebook, as IPython remembers it."""
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        return None
    return redact(text) if len(text) <= _LONGEST_SOURCE else None
