"""The panel's step from steps to marks: for each cell its last run, whether it is stale, and what is wrong with it.

A cell is stale where it would do something else if the notebook were run from its top: something that it read has got
another content by a cell above it, or by the one that it read it from; or that one is stale itself. What a cell below
did to the same name afterwards is no reason: a notebook that was run once from top to bottom has no stale cell. Above
is what the page says, and else what ran first. What a cell changes itself it is not stale by: a frame that three cells
extend one after the other is in order, until one of those above makes the frame anew.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mlmagic.analysis.secrets import REDACTED
from mlmagic.graph import code, words
from mlmagic.panel.steps import Key, Step, Written, key_of, line
from mlmagic.panel.wire import Cell
from mlmagic.records import Amendment, AssertionResult, Execution, Reuse, Version
from mlmagic.session.reuse import REFUSED

_WATCHED = ("variable", "file")  # kinds that make a cell stale
_LINE, _REASON, _FAILED = 60, 120, 5

# What `mlmagic.cache` says where it could keep a result and it does not pay: nothing to worry about.
_CHEAP = ("computing it took", "it took only", "it only imports")


@dataclass(frozen=True, slots=True)
class Now:
    """What the last run of a cell made of a name."""

    version: Version
    by: str | None  # the execution that wrote it; None: it came from outside
    chain: frozenset[str]  # executions whose work is in it: the last that made it anew, and those that changed it since
    deleted: bool = False


@dataclass(slots=True)
class Run:
    """The last run of a cell."""

    execution: Execution
    line: str
    read: dict[Key, Version] = field(default_factory=dict)
    written: dict[Key, Version] = field(default_factory=dict)
    reuse: Reuse | None = None
    stale: str | None = None  # by itself, not through another cell


class Marks:
    """The marks of one session's cells; fed step by step, in any number of pieces."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}  # cell id -> its last run, in the order of these
        self.versions: dict[str, Version] = {}
        self.computed = 0.0  # seconds of everything that ran
        self.saved = 0.0
        self.order: Mapping[str, int] = {}  # place of each cell in the notebook, as far as a page told
        self._executions: dict[str, Execution] = {}
        self._first: dict[str, int] = {}  # cell -> when it ran first
        self._now: dict[Key, dict[str | None, Now]] = {}  # by cell (None: from outside), in the order of writing
        self._readers: dict[Key, set[str]] = {}
        self._suspects: set[str] = set()  # cells to be looked at again
        self._decided: set[str] = set()
        self._fired: dict[str, dict[str, bool]] = {}  # signature of a version -> rule -> it fired last

    # -- feeding -----------------------------------------------------------------------------

    def knows(self, execution_id: str) -> bool:
        return execution_id in self._executions

    def add(self, step: Step) -> None:
        """An execution ended."""
        execution = step.execution
        self._executions[execution.execution_id] = execution
        if step.is_cell:
            self._first.setdefault(execution.cell_id, len(self._first))
        self.versions.update((row.version_id, row) for row in (*step.read, *(made for made, _ in step.written)))
        for row in step.read:
            self._seen(row)
        read = {key_of(row): row for row in step.read}
        for made, how in step.written:
            self._write(execution.execution_id, (made, how), changes=key_of(made) in read and how != "delete")
        if step.is_cell:
            self._ran(step, read)

    def amend(self, amendment: Amendment) -> None:
        """What became known of an execution later."""
        versions = {row.version_id: row for row in amendment.versions}
        self.versions |= versions
        for row in amendment.writes:
            made = versions.get(row.version_id)
            if made is not None:
                self._write(row.execution_id, (made, row.how), changes=row.how == "mutate")

    def decided(self, reuse: Reuse) -> None:
        """What the cache made of an execution; a second time it is no news."""
        if reuse.execution_id in self._decided:
            return
        self._decided.add(reuse.execution_id)
        self.saved += reuse.saved
        run = self.run_of(reuse.execution_id)
        if run is not None:
            run.reuse = reuse

    def checked(self, result: AssertionResult) -> None:
        """What a rule said of a model and its data."""
        for version_id in filter(None, (result.model_version, result.data_version)):
            rules = self._fired.setdefault(version_id, {})
            rules[result.name] = bool(result.fired)

    def ordered(self, cells: Iterable[str]) -> None:
        """In which order the cells stand in the notebook."""
        order = {cell: place for place, cell in enumerate(cells)}
        if order != self.order:
            self.order = order
            self._suspects |= self.runs.keys()

    # -- asking ------------------------------------------------------------------------------

    def run_of(self, execution_id: str | None) -> Run | None:
        """The run that an execution is, where it is its cell's last one."""
        execution = self._executions.get(execution_id or "")
        run = self.runs.get(execution.cell_id) if execution is not None else None
        return run if run is not None and run.execution.execution_id == execution_id else None

    def cell_of(self, execution_id: str | None) -> str | None:
        """The cell of an execution of this session."""
        execution = self._executions.get(execution_id or "")
        return execution.cell_id if execution is not None and execution.cell_id in self.runs else None

    def maker_of(self, version_id: str | None) -> str | None:
        """The cell that made a version."""
        version = self.versions.get(version_id or "")
        return self.cell_of(version.execution_id) if version is not None else None

    def rows(self) -> list[Cell]:
        """One for each cell, in the order of their last runs."""
        stale, fired = self._stale(), self._failing()
        return [_row(cell, run, stale.get(cell), _failed(run, fired)) for cell, run in self.runs.items()]

    # -- inside ------------------------------------------------------------------------------

    def _ran(self, step: Step, read: dict[Key, Version]) -> None:
        execution = step.execution
        earlier = self.runs.pop(execution.cell_id, None)
        for key in earlier.read if earlier is not None else ():
            self._readers[key].discard(execution.cell_id)
        run = Run(execution, line(code.first_line(execution.source), _LINE))
        run.read = {key: row for key, row in read.items() if key[0] in _WATCHED}
        run.written = {key_of(made): made for made, _ in step.written}
        for key in run.read:
            self._readers.setdefault(key, set()).add(execution.cell_id)
        self.runs[execution.cell_id] = run
        self._suspects.add(execution.cell_id)
        if execution.status != "reused":
            self.computed += execution.seconds

    def _seen(self, version: Version) -> None:
        """A version was read: one from outside is the present one as soon as somebody meets it."""
        key = key_of(version)
        known = self._last(key)
        if version.execution_id is None and (known is None or known.version.version_id < version.version_id):
            self._set(key, None, Now(version, None, frozenset()))

    def _write(self, execution_id: str, written: Written, *, changes: bool) -> None:
        made, how = written
        known = self._last(key_of(made))
        chain = known.chain if known is not None and changes else frozenset()
        cell = self._executions[execution_id].cell_id if execution_id in self._executions else None
        self._set(key_of(made), cell, Now(made, execution_id, chain | {execution_id}, how == "delete"))

    def _last(self, key: Key) -> Now | None:
        """The present state of a name."""
        return next(reversed(self._now.get(key, {}).values()), None)

    def _set(self, key: Key, cell: str | None, now: Now) -> None:
        known = self._now.setdefault(key, {})
        known.pop(cell, None)
        known[cell] = now
        self._suspects |= self._readers.get(key, set())

    def _given(self, key: Key, cell: str, row: Version) -> Now | None:
        """What the cell would read now: by those above it, and by the one that it read from; not by itself."""
        maker = self._executions.get(row.execution_id or "")
        mine = maker.cell_id if maker is not None else None
        found = [
            now for by, now in self._now.get(key, {}).items() if by != cell and (by == mine or self._above(by, cell))
        ]
        return found[-1] if found else None

    def _above(self, other: str | None, cell: str) -> bool:
        places = self.order.get(other or ""), self.order.get(cell)
        if places[0] is not None and places[1] is not None:
            return places[0] < places[1]
        return self._first.get(other or "", -1) < self._first.get(cell, -1)

    def _stale(self) -> dict[str, str]:
        """Cell -> why it is stale."""
        for cell in self._suspects & self.runs.keys():
            self.runs[cell].stale = next(self._reasons(cell, self.runs[cell]), None)
        self._suspects.clear()
        found = {cell: run.stale for cell, run in self.runs.items() if run.stale is not None}
        users = self._users()
        waiting = list(found)
        while waiting:
            maker = waiting.pop(0)
            for cell, name in users.get(maker, {}).items():
                if cell not in found:
                    found[cell] = f"{_spelled(self.runs[maker].execution)} that made {line(name, 40)} is stale"
                    waiting.append(cell)
        return found

    def _reasons(self, cell: str, run: Run) -> Iterator[str]:
        for key, row in run.read.items():
            now = self._given(key, cell, row)
            if now is None or now.version.version_id == row.version_id:
                continue
            if key in run.written:
                changed = run.execution.execution_id not in now.chain
            else:
                changed = now.deleted or row.fingerprint is None or row.fingerprint != now.version.fingerprint
            if changed:
                yield self._reason(key, run, now)

    def _reason(self, key: Key, run: Run, now: Now) -> str:
        maker = self._executions.get(now.by or "")
        name = line(key[1], 40)
        if maker is None:
            return f"{name} has changed since"
        how = "was deleted" if now.deleted else "was made anew" if key in run.written else "changed"
        return f"{name} {how} in {_spelled(maker)}"

    def _users(self) -> dict[str, dict[str, str]]:
        """Cell -> cells that read what it made -> the first name that they read."""
        found: dict[str, dict[str, str]] = {}
        for cell, run in self.runs.items():
            for key, row in run.read.items():
                now = self._given(key, cell, row)
                by = row.execution_id if key in run.written or now is None else now.by
                maker = self.cell_of(by)
                if maker is not None and maker != cell:
                    found.setdefault(maker, {}).setdefault(cell, key[1])
        return found

    def _failing(self) -> dict[object, list[str]]:
        """Signature of a version -> rules that fired on it; a version of equal content has the same signature."""
        found: dict[object, dict[str, bool]] = {}
        for version_id, rules in self._fired.items():
            version = self.versions.get(version_id)
            if version is not None:
                found.setdefault(_signature(version), {}).update(rules)
        return {version: [name for name, fired in rules.items() if fired] for version, rules in found.items()}


def _signature(version: Version) -> object:
    return version.version_id if version.fingerprint is None else (*key_of(version), version.fingerprint)


def _failed(run: Run, fired: dict[object, list[str]]) -> list[str]:
    if not fired:
        return []
    names: Iterable[str] = (name for made in run.written.values() for name in fired.get(_signature(made), ()))
    return [line(name, 40) for name in dict.fromkeys(names)][:_FAILED]


def _spelled(execution: Execution) -> str:
    return f"cell {line(words.count(execution), 40)}"


def unkept(reuse: Reuse | None) -> str | None:
    """Why a result cannot be reused, where that was asked for and is more than that it would not pay."""
    why = reuse.unkept if reuse is not None and reuse.decision == "not kept" else None
    return None if why is None or why == REFUSED or why.startswith(_CHEAP) else line(why, _REASON)


def typed(source: str) -> int | None:
    """Checksum of the text as it was sent, which the store does not have where it holds a secret."""
    return None if REDACTED in source else zlib.crc32(source.encode(errors="replace"))


def _row(cell: str, run: Run, stale: str | None, failed: list[str]) -> Cell:
    execution = run.execution
    return Cell(
        id=cell,
        execution=execution.execution_id,
        count=execution.execution_count,
        name=line(execution.name, 40) if execution.name else None,
        line=run.line,
        status=execution.status,
        seconds=round(execution.seconds, 4),
        saved=round(run.reuse.saved, 4) if run.reuse is not None else 0.0,
        stale=None if stale is None else line(stale, _REASON),
        unkept=unkept(run.reuse),
        failed=failed,
        source_hash=execution.source_hash,
        typed=typed(execution.source),
    )


def running_row(cell: str, execution_id: str, name: str | None, source: str) -> Cell:
    """The mark of a cell that has begun."""
    return Cell(
        id=cell,
        execution=execution_id,
        count=None,
        name=line(name, 40) if name else None,
        line=line(code.first_line(source), _LINE),
        status="running",
        seconds=0.0,
        saved=0.0,
        stale=None,
        unkept=None,
        failed=[],
        source_hash="",
        typed=typed(source),
    )
