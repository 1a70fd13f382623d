"""The step from a target to where it came from, or what it feeds: a history comes in, the part that matters goes out.

A version leads to the execution that wrote it, that execution to every version it read, and so on;
forward, a version leads to its readers and they to what they wrote.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from mlmagic.errors import UnknownNameError
from mlmagic.graph import targets, tree, words
from mlmagic.graph.index import Index
from mlmagic.records import Execution, History, Read, Version, Write, as_json
from mlmagic.results import Result

Face = Literal["graph", "tree", "table", "json"]
COLUMNS = (
    "child_version", "child_name", "parent_version", "parent_name", "execution_id", "cell_id", "execution_count"
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Lineage(Result):
    """The part of a history that leads to a target, that a target leads to, or a whole session.

    Shown, it is a tree in text and a picture where the front end draws; `render` gives the other faces.
    """

    target: Version | Execution | None  # None: the whole notebook
    forward: bool
    executions: tuple[Execution, ...]  # in time order
    versions: tuple[Version, ...]
    reads: tuple[Read, ...]
    writes: tuple[Write, ...]
    beyond: tuple[Execution, ...] = ()  # who wrote versions at the edge: named, but not part of the lineage
    notes: tuple[str, ...] = ()  # what the reader should know: the name is deleted by now, the depth cut something

    @cached_property
    def index(self) -> Index:
        """Who reads and writes what, inside this part of the history."""
        return Index.of(History(self.executions, self.versions, self.reads, self.writes))

    @property
    def target_text(self) -> str | None:
        """The target as a user would type it."""
        if self.target is None:
            return None
        return words.count(self.target) if isinstance(self.target, Execution) else words.name(self.target)

    def text(self) -> str:
        lines = tree.draw(self.index, self.target, self.forward, {row.execution_id: row for row in self.beyond})
        return "\n".join([*lines, *(f"({note})" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """Nodes (executions without their source, versions) and edges in the direction data flows."""
        executions = [{"node": "execution", **_without_source(row)} for row in self.executions]
        versions = [{"node": "version", **as_json(row)} for row in self.versions]
        read = [{"from": r.version_id, "to": r.execution_id, "edge": "read", "how": r.how} for r in self.reads]
        write = [{"from": w.execution_id, "to": w.version_id, "edge": "write", "how": w.how} for w in self.writes]
        return {
            "target": self.target_text,
            "direction": "forward" if self.forward else "backward",
            "nodes": executions + versions,
            "edges": sorted(read + write, key=lambda edge: (edge["from"], edge["to"])),
            "notes": list(self.notes),
        }

    def to_pandas(self) -> Any:
        """One row per written × read version, with the columns of the store's `lineage` view and the count."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=list(COLUMNS))

    def rows(self) -> list[tuple[str | int | None, ...]]:
        """The rows of `to_pandas`."""
        return [
            (child.version_id, child.name, parent.version_id, parent.name) + _of(execution)
            for execution in self.executions
            for child in self.index.written_by(execution.execution_id)
            for parent in self.index.read_by(execution.execution_id)
        ]

    def render(self, as_: Face = "graph") -> Result:
        """The face asked for: `graph` (picture and tree), `tree` (text), `table` or `json`."""
        faces: dict[str, Result] = {
            "graph": self, "tree": LineageTree(self), "table": LineageTable(self), "json": LineageJson(self)
        }  # fmt: skip
        if as_ not in faces:
            raise UnknownNameError.among("face", as_, faces)
        return faces[as_]


@dataclass(frozen=True, repr=False)
class _Face(Result):
    """One way to show a lineage; the data stay the same."""

    lineage: Lineage

    def to_dict(self) -> dict[str, Any]:
        return self.lineage.to_dict()

    def to_pandas(self) -> Any:
        return self.lineage.to_pandas()


class LineageTree(_Face):
    """A lineage as text only."""

    def text(self) -> str:
        return self.lineage.text()


class LineageJson(_Face):
    """A lineage as JSON text."""

    def text(self) -> str:
        return json.dumps(self.lineage.to_dict(), indent=2, ensure_ascii=False)


class LineageTable(_Face):
    """A lineage as one line per step: what was made, from what, in which cell."""

    header = ("made", "from", "cell", "what it is")

    def rows(self) -> list[tuple[str, str, str, str]]:
        """One row per written version, its parents together in one field."""
        index = self.lineage.index
        return [
            (
                words.name(version),
                ", ".join(words.name(row) for row in index.read_by(execution.execution_id)),
                words.label(execution),
                words.describe(version),
            )
            for execution in self.lineage.executions
            for version in index.written_by(execution.execution_id)
        ]

    def text(self) -> str:
        rows = self.rows()
        shown = rows[: tree.MAX_LINES]
        lines = _aligned([self.header, *((words.shorten(cell, 44) for cell in row) for row in shown)])
        if len(rows) > len(shown):
            lines.append(f"… {len(rows) - len(shown):,} more rows: .to_pandas() has them all")
        return "\n".join(lines)


def trace(
    history: History,
    target: str | Version | Execution | None = None,
    forward: bool = False,
    depth: int | None = None,
) -> Lineage:
    """Where the target came from or, with `forward`, what it feeds; without a target the newest session.

    Parameters
    ----------
    history
        Rows of one or more sessions.
    target
        As `targets.resolve` understands it, or a row of the history.
    forward
        Follow the data to what was made of it.
    depth
        At most so many executions away from the target; None: all the way.

    Raises
    ------
    UnknownNameError
        Nothing is called that.
    """
    index = Index.of(history)
    found = targets.find(index, target) if isinstance(target, str) else target
    if found is None:
        return _whole_session(index)
    walk = _descendants if forward else _ancestors
    executions, versions, cut = walk(index, found, depth)
    return _part(index, found, forward, executions, versions, _notes(index, found, depth if cut else None))


def _ancestors(index: Index, start: Version | Execution, depth: int | None) -> tuple[set[str], set[str], bool]:
    """Executions and versions behind the start; whether the depth cut the walk."""
    versions = {row.version_id for row in _own(index, start)}
    first = start if isinstance(start, Execution) else index.producer(start)
    waiting = deque([(first.execution_id, 1)] if first else [])
    executions: set[str] = set()
    cut = False
    while waiting:
        execution_id, level = waiting.popleft()
        if depth is not None and level > depth:
            cut = True
            continue
        if execution_id in executions:
            continue
        executions.add(execution_id)
        for version in index.read_by(execution_id):
            versions.add(version.version_id)
            producer = index.producer(version)
            if producer is not None and producer.execution_id not in executions:
                waiting.append((producer.execution_id, level + 1))
    return executions, versions, cut


def _descendants(index: Index, start: Version | Execution, depth: int | None) -> tuple[set[str], set[str], bool]:
    """Executions and versions that the start feeds; whether the depth cut the walk."""
    versions = {row.version_id for row in _own(index, start)}
    executions = {start.execution_id} if isinstance(start, Execution) else set()
    waiting = deque((version_id, 1) for version_id in sorted(versions))
    cut = False
    while waiting:
        version_id, level = waiting.popleft()
        for execution_id in index.readers.get(version_id, ()):
            if execution_id in executions:
                continue
            if depth is not None and level > depth:
                cut = True
                continue
            executions.add(execution_id)
            fresh = {row.version_id for row in index.written_by(execution_id)} - versions
            versions |= fresh
            waiting.extend((name, level + 1) for name in sorted(fresh))
    return executions, versions, cut


def _own(index: Index, start: Version | Execution) -> list[Version]:
    return [start] if isinstance(start, Version) else index.written_by(start.execution_id)


def _whole_session(index: Index) -> Lineage:
    session = targets.newest_session(index)
    executions = {row.execution_id for row in index.history.executions if row.session_id == session}
    versions = {
        row.version_id for name in executions for row in (*index.read_by(name), *index.written_by(name))
    }  # fmt: skip
    return _part(index, None, False, executions, versions, ())


def _part(
    index: Index,
    target: Version | Execution | None,
    forward: bool,
    executions: set[str],
    versions: set[str],
    notes: tuple[str, ...],
) -> Lineage:
    """The rows of the history that touch only these executions and versions."""
    history = index.history
    makers = {row.execution_id for name in versions if (row := index.producer(index.versions[name])) is not None}
    return Lineage(
        target,
        forward,
        tuple(row for row in history.executions if row.execution_id in executions),
        tuple(row for row in history.versions if row.version_id in versions),
        tuple(row for row in history.reads if row.execution_id in executions and row.version_id in versions),
        tuple(row for row in history.writes if row.execution_id in executions and row.version_id in versions),
        tuple(row for row in history.executions if row.execution_id in makers - executions),
        notes,
    )


def _notes(index: Index, target: Version | Execution, cut_at: int | None) -> tuple[str, ...]:
    notes = []
    deleted = targets.deleted_by(index, target) if isinstance(target, Version) else None
    if deleted is not None and isinstance(target, Version):
        notes.append(f"{words.name(target)} was deleted by {words.label(deleted)}; this is its last version")
    if cut_at is not None:
        notes.append(f"cut at depth {cut_at}; without --depth all of it is shown")
    return tuple(notes)


def _without_source(execution: Execution) -> dict[str, Any]:
    row = {name: list(value) if isinstance(value, tuple) else value for name, value in as_json(execution).items()}
    row["label"] = words.label(execution)
    row["tags"] = dict(execution.tags)
    del row["source"]
    return row


def _of(execution: Execution) -> tuple[str | int | None, ...]:
    return execution.execution_id, execution.cell_id, execution.execution_count


def _aligned(rows: Sequence[Any]) -> list[str]:
    cells = [tuple(row) for row in rows]
    widths = [max(words.width(row[column]) for row in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(text + " " * (w - words.width(text)) for text, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
