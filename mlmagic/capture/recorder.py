"""Around one cell: what it could read is settled before it runs, what it changed is found when it is over.

Before: text -> facts -> the versions it could load (`reach`). After: the names that refer to other objects,
and, among what the cell could reach, the objects whose content differs (`changes`); files, random state,
modules and settings (`outside`). The rest of the namespace cannot have changed and is not looked at.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlmagic._optional import loaded
from mlmagic.analysis import analyse
from mlmagic.capture import files, native, randomness
from mlmagic.capture.account import Accountant
from mlmagic.capture.behind import code_behind, code_reach
from mlmagic.capture.cell import Cell, Outcome, Running, as_number, execution_of
from mlmagic.capture.changes import Changes, write_variable
from mlmagic.capture.environment import HASH_SEED, hash_seed
from mlmagic.capture.evidence import Evidence, Inputs, Present
from mlmagic.capture.history import Displayed
from mlmagic.capture.late import LateChanges
from mlmagic.capture.ledger import Ledger
from mlmagic.capture.live import LiveWatch
from mlmagic.capture.modules import LocalModules, ModuleWatch, source_path
from mlmagic.capture.names import Entry, Names, is_users_name
from mlmagic.capture.outside import Outside
from mlmagic.capture.packages import PackageSettings, figures_open, packages_behind
from mlmagic.capture.reach import Reach, reach
from mlmagic.config import is_secret
from mlmagic.fingerprint import DEFAULT_LIMIT, UNKNOWN, Scope, Snapshot
from mlmagic.fingerprint.compare import Part, parts
from mlmagic.records import BEFORE, Amendment, Execution, Measure, Observation, ReadHow, WriteHow, new_id

_ASKING = frozenset("exists isfile is_file isdir is_dir stat getsize getmtime".split())


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
        self._settings = PackageSettings()
        self._random = randomness.RandomWatch()
        self._modules = ModuleWatch(self._names.look, self._local.is_local)
        self._files = files.FileWatch(namespace, str(root), self._live.is_house)
        self._accounts = Accountant(
            self._names, self._files, self._random, self._outside, self._settings, self._live, self._modules, namespace
        )
        self._running: Running | None = None
        self.evidence: Evidence | None = None
        self.last_inputs = Inputs("", {}, None)
        # What the last cell bound anew or deleted -> identity of what was there, and the last look at it.
        self.renamed: dict[str, tuple[int, Snapshot]] = {}

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to see files and seeding; `stop` undoes it."""
        self._files.start()
        self._random.begin()
        self._settings.look()

    def stop(self) -> None:
        self._files.stop()
        self._random.stop()
        self._running = None

    def adopt(self, source: str, but: frozenset[str] = frozenset()) -> Observation:
        """One execution named ``before`` that owns everything alive now, except the names in `but`."""
        execution = Execution(
            new_id(), self.session_id, BEFORE, None, BEFORE, source,
            analyse(source).source_hash, time.time(), 0.0, 0.0, None, "ok",
        )  # fmt: skip
        ledger = Ledger(execution.execution_id)
        bound, _ = self._names.rebound()
        for name, value in bound.items():
            if name not in but:
                write_variable(self._names, ledger, name, self._names.look(value), "bind")
        self._names.overlook(but)
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
        self._displayed.begin()
        late = self._late.settle()
        facts = analyse(cell.code, self._transform)
        ledger = Ledger(new_id())
        outputs = self._displayed.read(facts.loads, ledger)
        found = reach(facts, self._names.entries, self.namespace)
        found.reads.update(dict.fromkeys(outputs, "name"))
        behind = code_behind(self.namespace.get(name) for name in found.reads)
        deleted = facts.deletes.union(behind.deletes, *(own.deletes for own in facts.functions.values()))
        for name in deleted & self._names.entries.keys():
            found.reads.setdefault(name, "name")  # to be deleted, it has to be there
        for name, how in found.reads.items():
            for version_id in (self._names.entries[name].version_id, *self._names.entries[name].before):
                ledger.read(version_id, how)
        for name in found.missing & self._names.gone.keys():
            ledger.read(self._names.gone[name], "name")
        run = self._running = Running(
            cell, facts, found, ledger,
            entries=dict(self._names.entries),
            local_modules=self._modules.begin(found.modules),
            behind=behind,
            native_files=None,
            tracking=0.0, figures=figures_open(), modules=len(sys.modules), started_at=time.time(),
        )  # fmt: skip
        run.native_files = self._native_files(run)
        self._live.begin()
        self._random.begin()
        self._outside.begin()
        self._files.begin()
        run.tracking = time.perf_counter() - clock
        run.started_at, run.clock, run.cpu_clock = time.time(), time.perf_counter(), time.process_time()
        return late

    def inputs(self) -> Inputs:
        """What identifies the run that is about to start; `end` then gathers the evidence, too."""
        run = self._running
        if run is None:
            raise RuntimeError("inputs() without begin()")
        run.inputs = self.last_inputs = run.inputs or self._accounts.inputs(run)
        run.loaded = frozenset(name for name in list(sys.modules) if "." not in name)
        return run.inputs

    def present(self, details: Callable[[str, object], Mapping[str, Any]]) -> Present:
        """What there is before the cell runs, for comparison with earlier runs."""
        entries = self._names.entries
        return Present(
            inputs=self.inputs(),
            variable=lambda name: entries[name].snapshot.fingerprint if name in entries else None,
            details=lambda name: details(name, self.namespace.get(name)),
            random=self._random.before,
            seeds=self._random.seeds,
            module=lambda name: self._modules.content(name),
            setting=self._accounts.setting,
            environment={**self._outside.settings_now(), HASH_SEED: hash_seed()},
            root=self._outside.root,
        )

    def snapshots(self) -> dict[str, Snapshot]:
        """The last look at every variable."""
        return {name: entry.snapshot for name, entry in self._names.entries.items()}

    @property
    def scope(self) -> Scope:
        return self._names.scope

    def was_seeded(self, generator: str, seed: str) -> None:
        """A generator is in a state that came of this seed; ``""``: of none."""
        self._random.seeds.pop(generator, None)
        if seed:
            self._random.seeds[generator] = seed

    @property
    def seeds(self) -> Mapping[str, str]:
        """What each random generator was seeded with last, in words."""
        return self._random.seeds

    def end(self, outcome: Outcome, visible: bool = False, repeated: Evidence | None = None) -> Observation:
        """What the cell left behind; `visible`: it printed or showed something.

        Where its `inputs` were asked for, `evidence` says what else the run depended on. `repeated`: the cell did
        not run, and the results of a run with this evidence were put in place.
        """
        ended, cpu_ended, ended_at = time.perf_counter(), time.process_time(), time.time()
        run = self._running
        if run is None:
            raise RuntimeError("end() without begin()")
        uses = self._files.end()
        self._find_changes(run)
        self.evidence = None
        if repeated is None:
            self._find_outside(run, outcome, uses, ended_at, visible)
        else:
            self._repeat_outside(run, repeated, ended_at)
        self._late.after(run.ledger, set(run.reach.reads))
        self._displayed.bound(run.facts.binds, run.ledger.execution_id)
        if outcome.displayed and outcome.execution_count is not None:
            self._displayed.add(outcome.execution_count, run.ledger.execution_id)
        execution = execution_of(self.session_id, run, outcome, ended, cpu_ended, self._files.write_lines)
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
        written = {made.name for made in run.ledger.versions.values() if made.kind == "variable"}
        bound, gone = self._names.rebound()
        for name in gone:
            version_id = f"{run.ledger.execution_id}-lost-{name}"
            self._names.forget(name, run.ledger.write("variable", name, None, "delete", version_id=version_id))
        for name in ({*bound, *run.reach.reads} - written) & self.namespace.keys():
            how: WriteHow = "bind" if name in bound else "mutate"
            version_id = f"{run.ledger.execution_id}-lost-{name}"
            write_variable(self._names, run.ledger, name, UNKNOWN, how, version_id)
        self._random.end()
        for name in self._random.before:
            self._outside.random_lost(run.ledger, name)
        self._late.after(run.ledger, set(run.reach.reads))
        return run.ledger.observation(execution_of(self.session_id, run, outcome, ended, cpu_ended, set()))

    def abandon(self) -> None:
        """Forget a begun cell: its recording failed, or tracking was switched off inside it."""
        self._files.end()
        self._names.start_over()
        self._running = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What happens inside is our own work (`%lineage`, `%slice`) and no part of the running cell."""
        watching, self._files.active = self._files.active, False
        run = self._running
        found = self._native_files(run) if run is not None else None
        generators, settings = randomness.states(), self._outside.settings_now()
        try:
            yield
        finally:
            self._files.active = watching
            self._random.overlook(generators)
            self._outside.overlook(settings)
            self._settings.look()
            if run is not None and run.native_files is not None and found is not None:
                native.overlook(run.native_files, found, self._native_files(run) or found)

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

    @property
    def execution_id(self) -> str | None:
        """Of the running cell."""
        return self._running.ledger.execution_id if self._running is not None else None

    def repeats(self, code: str, reads: Mapping[str, ReadHow]) -> None:
        """The running cell leaves behind what `code` would, which reads these versions: it takes over its results."""
        if self._running is not None:
            self._running.stands_for = code
            for version_id, how in reads.items():
                self._running.ledger.read(version_id, how)

    def reads(self, code: str) -> None:
        """The running cell reads what this code could read now: it calls functions that its own text does not name."""
        if self._running is not None:
            for name in self.reachable(code).reads:
                self._running.ledger.read(self._names.entries[name].version_id, "dynamic")

    def setting(self, package: str) -> str | None:
        """What stands for the settings of a package now; ``None``: nobody knows."""
        return self._accounts.setting(package)

    def variables(self) -> list[str]:
        """Names that have a version now."""
        return list(self._names.entries)

    def look(self, value: object) -> Snapshot:
        """One look at any value."""
        return self._names.look(value)

    def reachable(self, code: str) -> Reach:
        """What a cell of this text could read now, itself or through the functions that it could call."""
        return reach(analyse(code, self._transform), self._names.entries, self.namespace)

    def version_of(self, name: str) -> str | None:
        """Id of the version that a variable is in now; ``None`` where there is none.

        Where the running cell has bound or changed it, the id that its version will have when the cell is over.
        """
        entry, run = self._names.entries.get(name), self._running
        if name not in self.namespace:
            return None
        if entry is not None and self._is_as_written(name, entry):
            return entry.version_id
        return run.ledger.reserve("variable", name) if run is not None and is_users_name(name) else None

    def _is_as_written(self, name: str, entry: Entry) -> bool:
        """Whether nothing has happened to a variable since its last version."""
        value = self.namespace[name]
        if id(value) != entry.identity:
            return False
        return self._running is None or self._names.look(value).fingerprint == entry.snapshot.fingerprint

    def parts_of(self, version_id: str, name: str) -> list[Part] | None:
        """The pieces of a variable's value, if it still is the version asked for."""
        entry = self._names.entries.get(name)
        if entry is None or entry.version_id != version_id:
            return None
        return parts(name, self.namespace[name], self._names.scope)

    def _find_outside(
        self, run: Running, outcome: Outcome, uses: dict[str, files.FileUse], ended_at: float, visible: bool
    ) -> None:
        self._find_randomness(run)
        self._outside.settings(run.ledger, run.facts, run.reach.environment, self._texts(run.reach))
        self._find_files(run, uses, ended_at)
        changed = self._find_package_effects(run, outcome)
        if run.inputs is not None:
            self.renamed = {
                name: (entry.identity, entry.snapshot)
                for name, entry in run.entries.items()
                if id(self.namespace.get(name)) != entry.identity
            }
            self.evidence = self._accounts.evidence(run, outcome, run.inputs, visible, changed)

    def _repeat_outside(self, run: Running, repeated: Evidence, ended_at: float) -> None:
        """The reads and writes of the run whose results were put in place."""
        self._random.end()
        self._settings.look()
        for name in repeated.random:
            self._outside.random_read(run.ledger, name, "name")
        for name, digest in repeated.random_after.items():
            self._outside.random_written(run.ledger, name, digest)
        self._outside.repeat(run.ledger, repeated.files, repeated.written, repeated.removed, repeated.environment)
        self._outside.ran(run.ledger.execution_id, run.started_at, ended_at, unseen=False)

    # -- what is no variable -----------------------------------------------------------------

    def _find_randomness(self, run: Running) -> None:
        changed = self._random.end()
        for name in sorted({*changed, *self._random.drawn}):
            if self._random.was_read(name, name in changed):
                by_import = self._drawn_by_import(run, name)
                self._outside.random_read(run.ledger, name, "dynamic" if by_import else "name")
                if by_import:
                    self._random.by_import.add(name)
                    run.drawn_by_import.add(name)
        for name, digest in changed.items():
            self._outside.random_written(run.ledger, name, digest)

    def _drawn_by_import(self, run: Running, name: str) -> bool:
        """Packages draw from Python's generator while they are imported (to name their styles, say)."""
        reached = self._packages(run) | run.facts.imports
        return name == "random" and len(sys.modules) > run.modules and "random" not in reached

    def _find_changes(self, run: Running) -> None:
        """Variables and local modules share objects: what changes in one may have changed in the other."""
        upset = self._modules.end(run.local_modules | _imported(run.facts.imports | run.behind.imports))
        attributes = run.facts.attributes | run.behind.attributes
        upset = Changes(self._names, run.facts, run.reach, run.ledger, attributes).find(upset)
        made = self._made(run.ledger)
        self._modules.end({*self._modules.sharing(upset), *(name for seen in made for name in seen.modules)})
        for name, look in self._modules.looks.items():
            before, now = look.before.fingerprint, look.now.fingerprint
            if look.new or look.changed:
                self._outside.module_file(run.ledger, name, getattr(loaded(name), "__file__", None))
            self._outside.module(run.ledger, name, before, now, source_path(name))
        self._find_unexplained(run, made)

    def _find_unexplained(self, run: Running, made: list[Snapshot]) -> None:
        """Read whose objects are in new values without the text saying so: unpickling finds classes by name."""
        written = {made.name for made in run.ledger.versions.values() if made.kind == "variable"}
        known = [run.entries[name].snapshot for name in written | run.reach.reads.keys() if name in run.entries]
        for name in self._names.holders(made) - written - run.reach.reads.keys():
            entry = self._names.entries[name]
            if not any(entry.identity in seen.ids for seen in known):
                run.ledger.read(entry.version_id, "dynamic")
                run.unexplained.add(name)

    def _find_files(self, run: Running, uses: dict[str, files.FileUse], ended_at: float) -> None:
        watch, facts = self._files, run.facts
        asked: set[str] = set()
        if _ASKING & (facts.attributes | run.behind.attributes):
            asked = {self._outside.told(os.path.abspath(text)) for text in self._strings(run)}
        parts: list[str] = []
        if run.native_files is not None:
            now = self._native_files(run) or run.native_files
            attributes = facts.attributes | facts.loads.keys() | run.behind.attributes
            uses = {**native.natively_used(run.native_files, now, attributes), **uses}
            parts = native.fragments((*facts.strings, *run.behind.strings))
        self._outside.files(run.ledger, uses, watch.relative)
        self._outside.files_looked_for(run.ledger, set(watch.folders), asked, parts)
        unseen = watch.unseen or run.native_files is not None
        self._outside.ran(run.ledger.execution_id, run.started_at, ended_at, unseen)

    def _find_package_effects(self, run: Running, outcome: Outcome) -> set[str]:
        shown = outcome.displayed  # then the last expression's value was not dropped
        calls = run.facts.effects if shown else run.facts.effects | run.facts.last_effects
        changed, new = self._settings.look()
        unseen = packages_behind(calls, self.namespace, self._local.is_local, new)
        if not run.figures and not figures_open():
            unseen.discard("matplotlib")  # what was drawn was shown and is gone
        changed |= unseen
        origin = self._accounts.origin(run) if changed else None
        self._outside.packages(run.ledger, self._packages(run), changed, origin)
        return changed

    def _made(self, ledger: Ledger) -> list[Snapshot]:
        """What the values look like that the cell left behind."""
        entries = self._names.entries
        names = [made.name for made in ledger.versions.values() if made.kind == "variable" and made.name in entries]
        return [entries[name].snapshot for name in names]

    def _packages(self, run: Running) -> set[str]:
        return run.reach.packages.union(*(seen.packages for seen in self._made(run.ledger)))

    def _native_files(self, run: Running) -> tuple[native.States, native.States] | None:
        """Files that native readers could use; ``None`` where the cell reaches no such reader."""
        roots = {name.partition(".")[0] for name in run.facts.imports | run.behind.imports}
        if not native.reaches(run.reach.packages | roots, run.facts.attributes | run.behind.attributes):
            return None
        names = {*run.reach.reads, *run.facts.binds}
        return native.named_files(self._strings(run), [self.namespace.get(name) for name in names])

    def _strings(self, run: Running) -> list[str]:
        values = (self.namespace.get(name) for name in run.reach.reads)
        return [*run.facts.strings, *run.behind.strings, *(text for text in values if type(text) is str)]

    def _texts(self, found: Reach) -> set[str]:
        values = (self.namespace.get(name) for name in found.reads) if found.environment else ()
        return {value for value in values if isinstance(value, str)}

    def _measures(self, execution_id: str, names: tuple[str, ...]) -> list[Measure]:
        found = []
        for name in names:
            if name in self.namespace and not is_secret(name):
                value = self.namespace[name]
                number = as_number(value)
                text = value if type(value) is str else type(value).__qualname__
                found.append(Measure(execution_id, name, number, text if number is None else None))
        return found


def _imported(names: Iterable[str]) -> set[str]:
    """Modules of these names, with the packages above them, as far as they are loaded."""
    found = set()
    for dotted in names:
        parts = dotted.split(".")
        found |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return {name for name in found if loaded(name) is not None}
