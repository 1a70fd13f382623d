"""The step from numbers to words: how executions, versions, times and sizes are called in text and pictures."""

from __future__ import annotations

import unicodedata

from mlmagic.graph import code
from mlmagic.records import BEFORE, Execution, Version

STATUS_MARKS = {"error": ("✗", "failed"), "interrupted": ("■", "interrupted"), "reused": ("↺", "reused")}


def seconds(value: float) -> str:
    """A duration as people say it: `3 ms`, `0.41 s`, `2 min 5 s`."""
    if value < 0.0995:
        return f"{value * 1000:.0f} ms" if value >= 0.0005 else "<1 ms"
    if value < 9.95:
        return f"{value:.2g} s"
    if value < 59.5:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(nbytes: int) -> str:
    """A number of bytes with a decimal unit: `119 kB`."""
    value = float(nbytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g} {unit}" if unit != "B" else f"{nbytes} B"
        value /= 1000
    return f"{value:.3g} TB"


def safe(text: str) -> str:
    """One line without control characters, which would move a terminal's cursor or hide text."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shorten(text: str, columns: int) -> str:
    """`text` in at most `columns` terminal columns, `…` where something is missing."""
    if width(text) <= columns:
        return text
    kept, used = "", 1
    for character in text:
        used += width(character)
        if used > columns:
            break
        kept += character
    return kept.rstrip() + "…"


def width(text: str) -> int:
    """How many terminal columns the text takes."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def count(execution: Execution) -> str:
    """What the notebook's margin shows: `[7]`; `before` for what was alive earlier; else the cell's name."""
    if execution.execution_count is not None:
        return f"[{execution.execution_count}]"
    return BEFORE if execution.name == BEFORE else safe(execution.name or execution.cell_id)


def title(execution: Execution, columns: int = 32) -> str:
    """The cell's own name, else its first line of code."""
    if execution.name == BEFORE:
        return "mlmagic was loaded"  # after the count: `before mlmagic was loaded`
    return shorten(safe(execution.name or code.first_line(execution.source)), columns)


def label(execution: Execution, columns: int = 32) -> str:
    """Count and title: `[7] train`."""
    if execution.execution_count is None and execution.name != BEFORE:
        return title(execution, columns)
    return f"{count(execution)} {title(execution, columns)}".rstrip()


def status(execution: Execution) -> str:
    """Glyph and word of everything but success, else the empty string."""
    return " ".join(STATUS_MARKS.get(execution.status, ()))


def name(version: Version) -> str:
    """The name as it would be typed as a target."""
    prefix = {"file": "file:", "random": "random state of ", "environment": "environment variable "}
    return safe(prefix.get(version.kind, "") + version.name)


def describe(version: Version, columns: int = 48) -> str:
    """What a data scientist wants to know of a value: type and shape, a scalar's value, a file's size."""
    if version.kind == "file":
        return size(version.nbytes) if version.nbytes is not None else ""
    detail = version.shape or _rounded(version)
    if version.type == "module":
        detail = None  # its name says it all
    kind = (version.type or "").rpartition(".")[2]
    return shorten(safe(" ".join(part for part in (kind, detail) if part)), columns)


def _rounded(version: Version) -> str | None:
    """A float to six digits: a score is read, not compared bit by bit."""
    if version.type not in ("float", "float64", "float32") or version.preview is None:
        return version.preview
    try:
        return f"{float(version.preview):.6g}"
    except ValueError:
        return version.preview


def is_imported(version: Version, producer: Execution | None) -> bool:
    """Whether the name merely came from an import: worth a mention, not a branch."""
    if version.kind == "module" or version.type == "module":
        return True
    return version.kind == "variable" and producer is not None and version.name in code.imported(producer.source)
