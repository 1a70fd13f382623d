"""The first step of the panel's way: rows of a session come in, from the store or as they are made; steps go out.

A step is one execution with the versions that it read and wrote: all that marks and graph are made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from mlmagic.graph import words
from mlmagic.records import BEFORE, Execution, History, Kind, Observation, Version, WriteHow

Key: TypeAlias = tuple[Kind, str]  # of a name through all its versions
Written: TypeAlias = tuple[Version, WriteHow]


@dataclass(frozen=True, slots=True)
class Step:
    """One execution: what it read, and what it left behind."""

    execution: Execution
    read: tuple[Version, ...]
    written: tuple[Written, ...]

    @property
    def is_cell(self) -> bool:
        """Whether it is a cell, rather than the execution that adopts what was alive before."""
        return not (self.execution.name == BEFORE and self.execution.execution_count is None)


def key_of(version: Version) -> Key:
    """What stays the same through all versions of a name."""
    return version.kind, version.name


def of_observation(observation: Observation, known: Mapping[str, Version]) -> Step:
    """The step of an execution that has just ended; `known`: versions of the steps before."""
    versions = {row.version_id: row for row in observation.versions}
    read = (versions.get(row.version_id) or known.get(row.version_id) for row in observation.reads)
    mine = observation.execution.execution_id
    written = tuple(
        (versions[row.version_id], row.how)
        for row in observation.writes
        if row.version_id in versions and row.execution_id == mine
    )
    return Step(observation.execution, tuple(row for row in read if row is not None), written)


def of_history(history: History) -> Iterator[Step]:
    """The steps of a session, in the order in which they were made."""
    versions = {row.version_id: row for row in history.versions}
    read: dict[str, list[Version]] = {}
    written: dict[str, list[Written]] = {}
    for one in history.reads:
        if one.version_id in versions:
            read.setdefault(one.execution_id, []).append(versions[one.version_id])
    for row in history.writes:
        if row.version_id in versions:
            written.setdefault(row.execution_id, []).append((versions[row.version_id], row.how))
    for execution in history.executions:
        name = execution.execution_id
        yield Step(execution, tuple(read.get(name, ())), tuple(written.get(name, ())))


def line(text: str | None, columns: int) -> str:
    """Any text as one line that travels: no control characters, no halves of characters, not too long."""
    return words.shorten(words.safe((text or "")[: 4 * columns]), columns)
