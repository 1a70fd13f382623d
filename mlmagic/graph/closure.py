"""The first step of a slice: a target comes in, the fewest executions that recreate it go out.

Backwards from the target, every execution that wrote something a needed execution read is needed
too. Random state is the exception: a draw depends on every draw before it, so a stored state is
restored instead of running the cells that happened to draw earlier.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlmagic.errors import MisuseError
from mlmagic.graph import code, targets, words
from mlmagic.graph.index import Index
from mlmagic.graph.randomness import RESTORABLE
from mlmagic.records import BEFORE, Execution, History, Version

_OUT = re.compile(r"\b(Out|_oh)\b")


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """What a script needs to recreate a target, in the order in which it must happen."""

    target: Version | Execution
    producer: Execution  # the execution that made the target: the last one
    executions: tuple[Execution, ...]  # in time order, whole cells
    restore: Mapping[str, tuple[Version, ...]]  # execution_id -> random states to bring back before it
    inputs: tuple[Version, ...]  # files from outside the notebook
    surroundings: tuple[Version, ...]  # local modules and environment variables that are read
    unmet: tuple[Version, ...]  # read, but of unknown origin: the result may differ
    shown: Mapping[str, frozenset[str]]  # execution_id -> `_`, `_N`, `Out` that must hold its last expression
    dropped: Mapping[str, frozenset[int]]  # execution_id -> first lines of statements that only write elsewhere
    left_out: tuple[str, ...]  # IPython syntax that has no counterpart in plain Python
    notes: tuple[str, ...] = ()


def plan(
    history: History,
    target: str | Version | Execution,
    outside_writes: Mapping[str, frozenset[int]] | None = None,
) -> SlicePlan:
    """The smallest set of executions that recreates the target.

    Parameters
    ----------
    history
        Rows of one or more sessions.
    target
        As `targets.resolve` understands it, or a row of the history.
    outside_writes
        Execution id -> lines of its source that wrote outside of the project, besides those its row names
        (`write_lines`). Bare expressions there are dropped unless the execution wrote a file that is needed.

    Raises
    ------
    UnknownNameError
        Nothing is called that.
    MisuseError
        No cell made the target: an input file, say.
    """
    index = Index.of(history)
    found = targets.find(index, target) if isinstance(target, str) else target
    producer = found if isinstance(found, Execution) else index.producer(found)
    if producer is None:
        raise MisuseError(f"no cell made {words.name(found)}: there is nothing to slice")  # type: ignore[arg-type]
    walk = _Closure(index)
    walk.need(producer)
    walk.settle_randomness()
    return _plan_of(walk, found, outside_writes or {})


class _Closure:
    """The executions needed so far and the versions they read."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.needed: dict[str, Execution] = {}

    def need(self, execution: Execution) -> None:
        """Take in the execution, and everything that what it read depends on."""
        waiting = [execution]
        while waiting:
            current = self.stand_in(waiting.pop())
            if current.execution_id in self.needed:
                continue
            self.needed[current.execution_id] = current
            for version in self.index.read_by(current.execution_id):
                producer = self.index.producer(version)
                if producer is not None and version.kind != "random":
                    waiting.append(producer)

    def stand_in(self, execution: Execution) -> Execution:
        """The execution that really ran, where a result was reused.

        A reused cell that recorded its own reads stands for itself: it has the same source, and its reads
        are those of its own moment; the cell it was reused from may lie before other writers of these names.
        """
        original, seen = execution, set()
        while original.status == "reused" and not self.index.read_by(original.execution_id):
            seen.add(original.execution_id)
            earlier = self.index.executions.get(original.reused_from or "")
            if earlier is None or earlier.execution_id in seen:
                return execution
            original = earlier
        return original if self.index.read_by(original.execution_id) else execution

    def settle_randomness(self) -> None:
        """Bring in the executions whose random state can only be had by running them."""
        grew = True
        while grew:
            before = len(self.needed)
            for version in self._random_reads():
                producer = self.index.producer(version)
                if producer is not None and not _restorable(self.index, version):
                    self.need(producer)
            grew = len(self.needed) > before

    def restores(self) -> dict[str, tuple[Version, ...]]:
        """Random states to restore: those whose writer, the last one before the reader, is left out."""
        entries: dict[str, tuple[Version, ...]] = {}
        for execution_id in self.index.in_time(self.needed):
            missing = [row for row in self._random_of(execution_id) if not self._ran(row) and _has_state(row)]
            if missing:
                entries[execution_id] = tuple(missing)
        return entries

    def ordered(self) -> tuple[Execution, ...]:
        """In time order; what was alive before the extension comes first."""
        rows = [self.needed[name] for name in self.index.in_time(self.needed)]
        return tuple(sorted(rows, key=lambda row: row.name != BEFORE))

    def read(self) -> list[Version]:
        """Every version a needed execution read, each once, in time order of the readers."""
        rows = (row for name in self.index.in_time(self.needed) for row in self.index.read_by(name))
        return list({row.version_id: row for row in rows}.values())

    def _random_reads(self) -> list[Version]:
        return [row for name in list(self.needed) for row in self._random_of(name)]

    def _random_of(self, execution_id: str) -> list[Version]:
        return [row for row in self.index.read_by(execution_id) if row.kind == "random"]

    def _ran(self, version: Version) -> bool:
        producer = self.index.producer(version)
        # what `before` left is the state of a process that is gone, unless its history seeded it
        adopted = producer is not None and producer.name == BEFORE and _has_state(version)
        return producer is not None and not adopted and self.stand_in(producer).execution_id in self.needed


def _has_state(version: Version) -> bool:
    return version.artifact is not None and version.name in RESTORABLE


def _restorable(index: Index, version: Version) -> bool:
    """Whether the state is better restored than recreated by running its writer."""
    producer = index.producer(version)
    if not _has_state(version) or producer is None:
        return False
    return producer.name == BEFORE or not _seeded(index, version, producer)


def _seeded(index: Index, version: Version, producer: Execution) -> bool:
    """Whether the writer set this state without having read it: it called `seed`."""
    return all(row.kind != "random" or row.name != version.name for row in index.read_by(producer.execution_id))


def _plan_of(walk: _Closure, target: Version | Execution, outside_writes: Mapping[str, frozenset[int]]) -> SlicePlan:
    index, executions, read = walk.index, walk.ordered(), walk.read()
    shown = _shown(walk, read, target)
    producer = walk.stand_in(target if isinstance(target, Execution) else index.producer(target) or executions[-1])
    wanted = [*read, target] if isinstance(target, Version) else [*read, *index.written_by(producer.execution_id)]
    # a cell that was itself asked for keeps all it does
    optional = executions if isinstance(target, Version) else executions[:-1]
    dropped = _dropped(index, optional, outside_writes, wanted, shown)
    return SlicePlan(
        target=target,
        producer=producer,
        executions=executions,
        restore=walk.restores(),
        inputs=_inputs(index, executions, read),
        surroundings=tuple(r for r in read if r.kind in ("module", "environment") and index.producer(r) is None),
        unmet=tuple(row for row in read if _is_unmet(index, row)),
        shown=shown,
        dropped=dropped,
        left_out=_left_out(executions, dropped),
        notes=_notes(index, target),
    )


def _inputs(index: Index, executions: Iterable[Execution], read: list[Version]) -> tuple[Version, ...]:
    """Files that must be there before the script starts: read from outside, not written by it earlier."""
    written: dict[str, int] = {}
    for execution in executions:
        for row in index.written_by(execution.execution_id):
            if row.kind == "file":
                written.setdefault(posixpath.normpath(row.name), index.position[execution.execution_id])
    return tuple(
        row
        for row in read
        if row.kind == "file" and index.producer(row) is None and _first_read(index, row) <= _written_at(written, row)
    )


def _first_read(index: Index, version: Version) -> int:
    return index.position[index.readers[version.version_id][0]]


def _written_at(written: Mapping[str, int], version: Version) -> int:
    return written.get(posixpath.normpath(version.name), 1 << 60)


def _is_unmet(index: Index, version: Version) -> bool:
    if index.producer(version) is not None:
        return False
    return version.kind == "variable" or (version.kind == "random" and not _has_state(version))


def _shown(walk: _Closure, read: list[Version], target: Version | Execution) -> dict[str, frozenset[str]]:
    """Displayed values that later code reads as `_`, `_N` or `Out`: their cells must keep them."""
    names: dict[str, set[str]] = {}
    for version in [*read, target] if isinstance(target, Version) else read:
        if version.kind != "variable" or not is_displayed(version.name):
            continue
        producer = walk.index.producer(version)
        if producer is not None:
            kept = {version.name, "_"}  # a cell that reads `_` has read the numbered name behind it
            kept |= {"Out"} if any(_OUT.search(row.source) for row in walk.needed.values()) else set()
            names.setdefault(walk.stand_in(producer).execution_id, set()).update(kept)
    return {execution_id: frozenset(kept) for execution_id, kept in names.items()}


def is_displayed(name: str) -> bool:
    """Whether IPython, not the user, binds this name to a displayed value."""
    return name in ("_", "Out") or (name[:1] == "_" and name[1:].isdigit())


def _dropped(
    index: Index,
    executions: Iterable[Execution],
    outside_writes: Mapping[str, frozenset[int]],
    wanted: list[Version],
    shown: Mapping[str, frozenset[str]],
) -> dict[str, frozenset[int]]:
    """Statements that only write where nobody of the slice looks."""
    needed_files = {row.version_id for row in wanted if row.kind == "file"}
    dropped = {}
    for execution in executions:
        lines = outside_writes.get(execution.execution_id, frozenset()) | frozenset(execution.write_lines)
        made = {row.version_id for row in index.written_by(execution.execution_id)}
        if not lines or made & needed_files:
            continue
        body = code.tree(execution.source).body
        kept = body[:-1] if shown.get(execution.execution_id) else body
        starts = frozenset(node.lineno for node in kept if code.binds_nothing(node) and _touches(node, lines))
        if starts:
            dropped[execution.execution_id] = starts
    return dropped


def _left_out(executions: Iterable[Execution], dropped: Mapping[str, frozenset[int]]) -> tuple[str, ...]:
    """Lines of IPython's syntax, and of statements that only write elsewhere, each once."""
    lines: list[str] = []
    for execution in executions:
        lines.extend(code.plain(execution.source).left_out)
        text = execution.source.split("\n")
        lines.extend(text[start - 1].strip() for start in sorted(dropped.get(execution.execution_id, ())))
    return tuple(dict.fromkeys(lines))


def _touches(node: code.Statement, lines: frozenset[int]) -> bool:
    return any(node.lineno <= line <= (node.end_lineno or node.lineno) for line in lines)


def _notes(index: Index, target: Version | Execution) -> tuple[str, ...]:
    deleted = targets.deleted_by(index, target) if isinstance(target, Version) else None
    if deleted is None or not isinstance(target, Version):
        return ()
    return (f"{words.name(target)} was deleted by {words.label(deleted)}; this is its last version",)
