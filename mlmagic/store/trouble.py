"""What DuckDB's errors mean for the project's database: held by somebody, damaged, or not to be written."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

Stamp = tuple[int, int, int] | None

_HELD = ("Could not set lock", "Conflicting lock")
_BROKEN = ("Corrupt database", "IO Error: Could not read enough bytes", "IO Error: Corrupt")
_NOT_WRITTEN = ("Could not write", "Cannot open file", "Could not truncate", "Could not sync", "Could not create")


class DamagedError(Exception):
    """The file is missing, broken, foreign, or of another version; `seen` is the file that was looked at."""

    def __init__(self, why: str, seen: Stamp, *, ours: bool = False) -> None:
        super().__init__(why)
        self.seen = seen
        self.ours = ours  # a store of another version, not somebody's own database


class UnwritableError(Exception):
    """The file cannot be written where it is: a full disk, a read-only folder."""


def is_damage(error: duckdb.Error) -> bool:
    """Whether an error in somebody's query speaks of the file or the engine rather than of the query."""
    broken = (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)
    return isinstance(error, broken) or first_line(error).startswith(_BROKEN)


def is_unwritable(error: duckdb.Error) -> bool:
    """Whether an error says that the place, not the file, is the trouble."""
    return any(phrase in str(error) for phrase in _NOT_WRITTEN)


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def holder(error: duckdb.Error) -> str:
    """Who holds the file, if that is what the error says."""
    text = str(error)
    if isinstance(error, duckdb.ResourceInUseException):
        return "another connection in this process"
    if not any(phrase in text for phrase in _HELD):
        return ""
    found = re.search(r"held in (?P<program>\S+) \(PID (?P<pid>\d+)\)", text)
    return f"process {found['pid']} ({Path(found['program']).name})" if found else "another process"


def stamp(path: Path) -> Stamp:
    """What tells one file of that name from the next."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
