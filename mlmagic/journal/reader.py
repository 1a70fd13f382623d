"""First half of the way from journal to store: a file and a byte offset in, complete events and their offsets out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlmagic.journal import events
from mlmagic.journal.events import Event


@dataclass
class Report:
    """How far a reading went and what it passed over."""

    offset: int = 0  # end of the last complete line, whatever was on it
    torn: list[int] = field(default_factory=list)  # offsets of complete lines that hold no event
    newer: int = 0  # events that a later release wrote


def read(path: Path, offset: int = 0, report: Report | None = None) -> Iterator[tuple[Event, int]]:
    """The events of a journal from `offset` on, each with the offset where the next line begins.

    A last line without its newline is not there yet: it is left for the next reading. Lines without an event and events
    of later releases are passed over and counted.

    Parameters
    ----------
    path
        The journal; `FileNotFoundError` if there is none.
    offset
        Bytes to skip: 0, or an offset this function gave before.
    report
        Filled while reading.
    """
    report = report if report is not None else Report()
    report.offset = offset
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            begin, report.offset = report.offset, report.offset + len(line)
            event = _event(line, begin, report)
            if event is not None:
                yield event, report.offset


def _event(line: bytes, begin: int, report: Report) -> Event | None:
    if line.isspace():  # what a writer puts before the line that follows a failed one
        return None
    try:
        event = events.decode(line)
    except events.UnreadableError:
        report.torn.append(begin)
        return None
    report.newer += event is None
    return event
