"""Around one cell: what it could read is settled before it runs, what it changed is found when it is over.

Before: text -> facts -> the versions it could load (`reach`). After: the names that refer to other objects,
and, among what the cell could reach, the objects whose content differs (`changes`); files, random state,
modules and settings (`outside`). The rest of the namespace cannot have changed and is not looked at.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType
from typing import Any

from mlmagic._optional import loaded
from mlmagic.analysis import CellFacts, analyse, code_facts
from mlmagic.capture import files, randomness
from mlmagic.capture.changes import Changes, write_variable
from mlmagic.capture.history import Displayed
from mlmagic.capture.late import LateChanges
from mlmagic.capture.ledger import Ledger
from mlmagic.capture.live import LiveWatch
from mlmagic.capture.modules import LocalModules, module_content, source_path
from mlmagic.capture.names import Names
from mlmagic.capture.outside import Outside, package_behind
from mlmagic.capture.reach import Reach, reach
from mlmagic.config import is_secret
from mlmagic.fingerprint import Scope
from mlmagic.fingerprint.compare import Part, parts
from mlmagic.fingerprint.snapshot import DEFAULT_LIMIT, UNKNOWN, CodeReach
from mlmagic.records import BEFORE, Amendment, Execution, Measure, Observation, Status, WriteHow, new_id

_NATIVE_READERS = frozenset("pyarrow duckdb polars h5py tables netCDF4 xarray torch fastparquet".split())


@dataclass(frozen=True, slots=True)
class Cell:
    """What is known of a cell when it starts."""

    source: str  # as it goes into the store
    code: str  # as Python sees it, after IPython's transformation
    cell_id: str | None = None
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended."""

    status: Status
    execution_count: int | None = None
    error: str | None = None
    error_line: int | None = None
    displayed: bool = False  # its last value is now Out[n]


@dataclass(slots=True)
class _Running:
    """One recording between `begin` and `end`."""

    cell: Cell
    facts: CellFacts
    reach: Reach
    ledger: Ledger
    tracking: float  # seconds spent before the cell
    started_at: float
    clock: float = 0.0
    cpu_clock: float = 0.0


class Recorder:
    """Records the cells of one namespace, one after another.

    Parameters
    ----------
    namespace : dict
        The user's global namespace.
    root : Path
        The project's folder: files inside are told relative to it.
    session_id : str
        The session that the executions belong to.
    hidden : callable
        Names that the shell put into the namespace, with the values it gave them.
    keep_state : callable
        ``(fingerprint, text) -> path``: stores a random generator's state and says where.
    transform : callable
        Notebook syntax to Python, for code inside magics.
    object_limit : int
        Objects of one value looked at one by one before it counts as opaque.
    """

    def __init__(
        self,
        namespace: dict[str, Any],
        root: Path,
        session_id: str,
        *,
        hidden: Callable[[], Mapping[str, Any]] = dict,
        keep_state: Callable[[str, str], str | None] = lambda fingerprint, text: None,
        transform: Callable[[str], str] | None = None,
        object_limit: int = DEFAULT_LIMIT,
    ) -> None:
        self.namespace = namespace
        self.session_id = session_id
        self._transform = transform
        self._local = LocalModules()
        scope = Scope(namespace, code_reach, self._local.is_local, object_limit)
        self._names = Names(namespace, scope, hidden)
        self._displayed = Displayed(self._names)
        self._live = LiveWatch(namespace)
        self._late = LateChanges(self._names, self._live)
        self._outside = Outside(root, keep_state)
        self._random = randomness.RandomWatch()
        self._files = files.FileWatch(namespace)
        self._running: _Running | None = None

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to see files and seeding; `stop` undoes it."""
        self._files.start()
        self._random.begin()
        self._outside.adopt_settings()

    def stop(self) -> None:
        self._files.stop()
        self._random.stop()
        self._running = None

    def adopt(self, source: str, but: frozenset[str] = frozenset()) -> Observation:
        """One execution named ``before`` that owns everything alive now, except the names in `but`."""
        execution = Execution(
            new_id(), self.session_id, BEFORE, 0, BEFORE, source,
            analyse(source).source_hash, time.time(), 0.0, 0.0, None, "ok",
        )  # fmt: skip
        ledger = Ledger(execution.execution_id)
        bound, _ = self._names.rebound()
        for name, value in bound.items():
            if name not in but:
                write_variable(self._names, ledger, name, self._names.look(value), "bind")
        for name, digest in randomness.states().items():
            self._outside.random_written(ledger, name, digest)
        return ledger.observation(execution)

    # -- one cell ----------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self._running is not None

    def begin(self, cell: Cell) -> Amendment | None:
        """Settle what the cell could read; returns changes made since the last cell, if there were any."""
        clock = time.perf_counter()
        late = self._late.settle()
        facts = analyse(cell.code, self._transform)
        ledger = Ledger(new_id())
        outputs = self._displayed.read(facts.loads, ledger)
        found = reach(facts, self._names.entries, self.namespace)
        found.reads.update({name: "name" for name in outputs})
        for name, how in found.reads.items():
            ledger.read(self._names.entries[name].version_id, how)
        self._live.begin()
        self._random.begin()
        self._files.begin()
        spent = time.perf_counter() - clock
        self._running = _Running(
            cell, facts, found, ledger, spent, time.time(), time.perf_counter(), time.process_time()
        )
        return late

    def end(self, outcome: Outcome) -> Observation:
        """What the cell left behind."""
        ended, cpu_ended = time.perf_counter(), time.process_time()
        run = self._running
        if run is None:
            raise RuntimeError("end() without begin()")
        uses = self._files.end()
        Changes(self._names, run.facts, run.reach, run.ledger).find()
        self._find_modules(run)
        self._find_randomness(run.ledger)
        self._outside.settings(run.ledger, run.facts, run.reach.environment, self._texts(run.reach))
        self._outside.files(run.ledger, {**uses, **self._native_uses(run, uses)}, self._files.relative)
        self._find_package_effects(run, outcome)
        self._late.after(run.ledger, set(run.reach.reads))
        if outcome.displayed and outcome.execution_count is not None:
            self._displayed.add(outcome.execution_count, run.ledger.execution_id)
        execution = _execution(self.session_id, run, outcome, ended, cpu_ended, self._files.write_lines)
        params = self._measures(run.ledger.execution_id, run.cell.params)
        metrics = self._measures(run.ledger.execution_id, run.cell.metrics)
        self._running = None
        return run.ledger.observation(execution, params, metrics)

    def lost(self, outcome: Outcome) -> Observation:
        """The observation of a cell where `end` failed or was interrupted: all it could change is unknown."""
        ended, cpu_ended = time.perf_counter(), time.process_time()
        run = self._running
        if run is None:
            raise RuntimeError("lost() without begin()")
        self.abandon()
        bound, gone = self._names.rebound()
        for name in gone:
            run.ledger.write("variable", name, None, "delete", version_id=f"{run.ledger.execution_id}-lost-{name}")
            del self._names.entries[name]
        for name in {*bound, *run.reach.reads} & self.namespace.keys():
            how: WriteHow = "bind" if name in bound else "mutate"
            version_id = f"{run.ledger.execution_id}-lost-{name}"
            write_variable(self._names, run.ledger, name, UNKNOWN, how, version_id)
        return run.ledger.observation(_execution(self.session_id, run, outcome, ended, cpu_ended, set()))

    def abandon(self) -> None:
        """Forget a begun cell: its recording failed, or tracking was switched off inside it."""
        self._files.end()
        self._running = None

    def label(
        self, name: str | None, tags: Mapping[str, str], metrics: tuple[str, ...], params: tuple[str, ...]
    ) -> None:
        """Name the running cell from inside, as its own first line would have done."""
        if self._running is not None:
            cell = self._running.cell
            self._running.cell = replace(
                cell,
                name=name or cell.name,
                tags={**cell.tags, **tags},
                metrics=(*cell.metrics, *metrics),
                params=(*cell.params, *params),
            )

    def variables(self) -> list[str]:
        """Names that have a version now."""
        return list(self._names.entries)

    def parts_of(self, version_id: str, name: str) -> list[Part] | None:
        """The pieces of a variable's value, if it still is the version asked for."""
        entry = self._names.entries.get(name)
        if entry is None or entry.version_id != version_id:
            return None
        return parts(name, self.namespace[name], self._names.scope)

    # -- what is no variable -----------------------------------------------------------------

    def _find_randomness(self, ledger: Ledger) -> None:
        changed = self._random.end()
        for name in sorted({*changed, *self._random.drawn}):
            if self._random.was_read(name, name in changed):
                self._outside.random_read(ledger, name)
        for name, digest in changed.items():
            self._outside.random_written(ledger, name, digest)

    def _find_modules(self, run: _Running) -> None:
        imported = {name for name in _imported(run.facts) if self._local.is_local(name)}
        reached = run.reach.modules | imported | self._of_new(run.ledger, "modules")
        for name in sorted(reached):
            module = loaded(name)
            if module is not None:
                seen = self._names.look(module_content(module))
                before = name in run.reach.modules
                self._outside.module(run.ledger, name, seen.fingerprint, source_path(name), before)

    def _find_package_effects(self, run: _Running, outcome: Outcome) -> None:
        calls = run.facts.effects - (run.facts.last_effects if outcome.displayed else frozenset())
        behind = (package_behind(path, self.namespace, self._local.is_local) for path in calls)
        changed = {package for package in behind if package}
        self._outside.packages(run.ledger, run.reach.packages | self._of_new(run.ledger, "packages"), changed)

    def _of_new(self, ledger: Ledger, what: str) -> set[str]:
        """Modules or packages inside the values that the cell left behind."""
        entries = self._names.entries
        names = [made.name for made in ledger.versions.values() if made.kind == "variable" and made.name in entries]
        return {part for name in names for part in getattr(entries[name].snapshot, what)}

    def _native_uses(self, run: _Running, uses: Mapping[str, files.FileUse]) -> dict[str, files.FileUse]:
        roots = {name.partition(".")[0] for name in run.facts.imports}
        if not _NATIVE_READERS & (run.reach.packages | roots):
            return {}
        values = [self.namespace.get(name) for name in run.reach.reads]
        found = files.natively_used(run.facts.strings, values, run.started_at)
        return {path: use for path, use in found.items() if path not in uses}

    def _texts(self, found: Reach) -> set[str]:
        values = (self.namespace.get(name) for name in found.reads) if found.environment else ()
        return {value for value in values if isinstance(value, str)}

    def _measures(self, execution_id: str, names: tuple[str, ...]) -> list[Measure]:
        found = []
        for name in names:
            if name in self.namespace and not is_secret(name):
                value = self.namespace[name]
                number = _as_number(value)
                text = value if type(value) is str else type(value).__qualname__
                found.append(Measure(execution_id, name, number, text if number is None else None))
        return found


def code_reach(code: CodeType) -> CodeReach:
    """What a live function could load and bind in the user's namespace."""
    facts = code_facts(code)
    reads_environment = bool({"environ", "getenv"} & (facts.attributes | facts.loads))
    return CodeReach(facts.loads | facts.sql_names, facts.stores | facts.deletes, facts.dynamic, reads_environment)


def _imported(facts: CellFacts) -> set[str]:
    """Modules that the cell's imports name, with the packages above them, as far as they are loaded."""
    found = set()
    for dotted in facts.imports | facts.star_imports:
        parts = dotted.split(".")
        found |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return {name for name in found if loaded(name) is not None}


def _execution(
    session_id: str, run: _Running, outcome: Outcome, ended: float, cpu_ended: float, write_lines: set[int]
) -> Execution:
    cell = run.cell
    return Execution(
        execution_id=run.ledger.execution_id,
        session_id=session_id,
        cell_id=cell.cell_id or f"h-{run.facts.source_hash[:16]}",
        execution_count=outcome.execution_count,
        name=cell.name,
        source=cell.source,
        source_hash=run.facts.source_hash,
        started_at=run.started_at,
        seconds=ended - run.clock,
        cpu_seconds=cpu_ended - run.cpu_clock,
        peak_bytes=_peak_bytes(),
        status=outcome.status,
        error=outcome.error,
        error_line=outcome.error_line,
        tags=dict(cell.tags),
        write_lines=tuple(sorted(write_lines)),
        tracking_seconds=run.tracking + time.perf_counter() - ended,
    )


def _as_number(value: object) -> float | None:
    if isinstance(value, (int, float)):
        return float(value)
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return float(value)  # type: ignore[arg-type]
    return None


def _peak_bytes() -> int | None:
    """Highest resident size of this process so far."""
    try:
        import resource
    except ImportError:  # Windows has no such figure in the standard library
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
