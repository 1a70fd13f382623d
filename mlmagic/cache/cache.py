"""The cache of a project: finds the trace that a cell's run would repeat, and keeps new ones."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from mlmagic._optional import loaded
from mlmagic.cache import budget
from mlmagic.cache.artifacts import ArtifactStore
from mlmagic.cache.decision import Difference, matches, nearest
from mlmagic.cache.details import details
from mlmagic.cache.keeping import Finished, Keeper, Kept
from mlmagic.cache.places import UnusableError
from mlmagic.cache.restore import Prepared, load_values, prepare
from mlmagic.cache.serializers import UnstorableError
from mlmagic.cache.traces import Shelf, Trace
from mlmagic.cache.versions import versions
from mlmagic.cache.worth import Rates, size
from mlmagic.capture import Evidence
from mlmagic.capture.evidence import Present
from mlmagic.fingerprint import Scope, Snapshot, file_fingerprint, snapshot
from mlmagic.records import new_id

OUTPUT_LIMIT = 1 << 20  # bytes of printed and shown output, beyond which a cell is not kept
FILE_LIMIT = 256 << 20  # bytes of a written file that is kept beside the values
DEFAULT_BUDGET = 5_000_000_000
_LEFTOVER = 3600.0  # seconds after which a file that somebody was writing is nobody's any more
_BUDGET_FILE = "budget"


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup came to: something to put in place, or why not."""

    prepared: Prepared | None = None
    trace: Trace | None = None  # the nearest one, where none fits
    differences: tuple[Difference, ...] = ()
    unusable: str | None = None


@dataclass(frozen=True, slots=True)
class Keeping:
    """What an attempt to keep a run came to."""

    trace: Trace | None = None
    reason: str = ""  # why it was not kept
    seconds: float = 0.0

    @property
    def nbytes(self) -> int:
        return self.trace.nbytes if self.trace is not None else 0


class Cache:
    """Results of a project's cells.

    Parameters
    ----------
    folder : Path
        The project's ``artifacts`` folder.
    root : Path
        The folder that file names are relative to.
    key : bytes
        The user's signing key.
    """

    def __init__(self, folder: Path, root: Path, key: bytes) -> None:
        self._folder = folder
        self._root = root
        self._shelf = Shelf(folder / "traces", key)
        self.artifacts = ArtifactStore(folder / "values")
        self.rates = Rates()
        self._used: int | None = None  # bytes of artifacts, by the last count and what came since

    # -- lookup ------------------------------------------------------------------------------

    def find(self, now: Present, namespace: dict[str, Any], snapshots: Mapping[str, Snapshot], scope: Scope) -> Found:
        """The first trace that fits and can be loaded; else the nearest and what differs."""
        traces = self._shelf.traces(now.inputs.source_hash)
        unusable: str | None = None
        fitting: Trace | None = None
        for trace in traces:
            if not matches(trace, now):
                continue
            try:
                return Found(prepare(trace, namespace, snapshots, self.artifacts, self._root, scope), trace)
            except UnusableError as error:
                unusable, fitting = unusable or str(error), fitting or trace
        if fitting is not None:
            return Found(None, fitting, (), unusable)
        near = nearest(traces, now)
        return Found() if near is None else Found(None, near[0], tuple(near[1]))

    def matching(self, now: Present) -> Trace | None:
        """The first trace that fits; nothing is loaded."""
        return next((trace for trace in self._shelf.traces(now.inputs.source_hash) if matches(trace, now)), None)

    def kept_fingerprints(self, trace: Trace, namespace: dict[str, Any], scope: Scope) -> dict[str, str | None]:
        """Of values that the run bound, as they are kept, loaded once more; those that cannot be are left out.

        The content of changed objects was compared inside them when it was kept.
        """
        if any(how != "mutate" and name in trace.variables for name, how in trace.hows.items()):
            return {}  # they may refer to objects that were there before the cell, and are not any more
        try:
            values = load_values(trace, namespace, self.artifacts)
        except UnusableError:
            return {}
        bound = {name: value for name, value in values.items() if trace.hows.get(name) == "bind"}
        return {name: snapshot(value, scope).fingerprint for name, value in bound.items()}

    def known(self, source_hash: str) -> bool:
        """Whether any run of this code is remembered."""
        return bool(self._shelf.traces(source_hash))

    def used(self, trace: Trace) -> None:
        """Note that a trace served now."""
        self._shelf.used(trace)

    def forget(self, trace: Trace) -> None:
        """Never offer this trace again."""
        self._shelf.remove(trace)

    # -- keeping -----------------------------------------------------------------------------

    def keep(self, run: Finished, *, wanted: bool = True, least_seconds: float | None = None) -> Keeping:
        """Keep a run where that pays.

        `wanted`: the cell asks for it itself. `least_seconds` instead of the rule: keep whatever took at least as long.
        """
        why = self._not_worth(run, wanted, least_seconds)
        if why is not None:
            return Keeping(reason=why)
        started = time.perf_counter()
        try:
            kept = Keeper(run, self.artifacts).keep()
            trace = self._trace(run, kept, started)
            self._shelf.add(trace)
        except UnstorableError as error:
            return Keeping(reason=str(error), seconds=time.perf_counter() - started)
        except OSError as error:
            return Keeping(
                reason=f"it cannot be written ({error.strerror or error})", seconds=time.perf_counter() - started
            )
        seconds = time.perf_counter() - started
        self.rates.learn(trace.nbytes, seconds - kept.load_seconds, kept.load_seconds)
        self._used = self._bytes_kept() if self._used is None else self._used + trace.nbytes
        if self._used > self.budget:
            budget.trim(self._shelf, self.artifacts, self.budget)
            self.artifacts.remove_leftovers(older_than=_LEFTOVER)
            self._used = None
        return Keeping(trace, seconds=seconds)

    def _not_worth(self, run: Finished, wanted: bool, least_seconds: float | None) -> str | None:
        if run.evidence.obstacles:
            return str(run.evidence.obstacles[0])
        if sum(len(str(output)) for output in run.outputs) > OUTPUT_LIMIT:
            return "its output is larger than 1 MB"
        if least_seconds is not None:
            return None if run.seconds >= least_seconds else f"it took only {run.seconds:.3f} s"
        kept = [name for name, how in run.evidence.hows.items() if how != "delete"]
        if kept and not run.shown and all(_is_definition(run.namespace[name]) for name in kept):
            return "it only imports and defines"
        sizes = [size(run.snapshots[name]) for name in kept]
        keep, load = self.rates.costs(sum(nbytes for nbytes, _ in sizes), sum(objects for _, objects in sizes))
        if self.rates.pays(run.seconds, keep, load, wanted=wanted):
            return None
        also = "" if wanted else " (%%track keeps what takes longer)"
        took, would = _seconds(run.seconds), _seconds(keep + load)
        return f"computing it took {took}, keeping and loading would take about {would}{also}"

    def _trace(self, run: Finished, kept: Kept, started: float) -> Trace:
        evidence, inputs = run.evidence, run.inputs
        written = {name: (digest, self._kept_file(name)) for name, digest in evidence.written.items() if digest}
        packages = versions(evidence.packages)
        also = {
            **evidence.also,
            **{name: run.snapshots[name].fingerprint for name in kept.names - inputs.variables.keys()},
        }
        if None in also.values():
            raise UnstorableError(f"it refers to {next(name for name in also if also[name] is None)}, an opaque value")
        return Trace(
            trace_id=new_id(),
            execution_id=run.execution_id,
            source_hash=inputs.source_hash,
            source=run.source,
            python=platform.python_version(),
            created_at=time.time(),
            seconds=run.seconds,
            variables=_known(inputs.variables),
            sharing=inputs.sharing or "",
            details=self._details(run),
            also=_known(also),
            files=_known(evidence.files),
            absent=evidence.absent,
            folders=evidence.folders,
            random=evidence.random,
            seeds={name: run.seeds[name] for name in evidence.random if name in run.seeds},
            modules={name: self._module(name, content, evidence) for name, content in evidence.modules.items()},
            packages=packages,
            settings={name: run.setting(name) or "" for name in evidence.packages},
            fresh=tuple(sorted(evidence.packages & evidence.loaded)),
            environment=evidence.environment,
            folder=evidence.folder,
            hows=evidence.hows,
            lost=evidence.lost,
            fingerprints=_known(
                {name: run.snapshots[name].fingerprint for name in evidence.hows if name in run.snapshots}
            ),
            groups=tuple(kept.groups),
            written=written,
            removed=evidence.removed,
            made=evidence.made,
            random_after={
                name: (digest, self._state(run, name), run.seeds.get(name, ""))
                for name, digest in evidence.random_after.items()
            },
            outputs=run.outputs,
            showed=kept.showed,
            keep_seconds=time.perf_counter() - started,
            load_seconds=kept.load_seconds,
            nbytes=kept.nbytes,
        )

    def _details(self, run: Finished) -> dict[str, dict[str, Any]]:
        """Of inputs that the cell left as they were: what they were is not there any more of the others."""
        same = [name for name in run.inputs.variables if name not in run.evidence.hows and name in run.namespace]
        return {name: details(name, run.namespace[name]) for name in same}

    def _kept_file(self, name: str) -> str:
        path = self._root / name
        nbytes = path.stat().st_size
        if nbytes > FILE_LIMIT:
            raise UnstorableError(f"it writes {name}, which is larger than {FILE_LIMIT >> 20} MB")
        return self.artifacts.put_file(path).digest

    def _module(self, name: str, content: str | None, evidence: Evidence) -> tuple[str, str, str]:
        """Content, and source where the run itself loaded it: a file may have changed since an earlier loading."""
        path = getattr(loaded(name), "__file__", None)
        if content is None or not isinstance(path, str):
            raise UnstorableError(f"the content of module {name} is not known")
        fresh = name.partition(".")[0] in evidence.loaded
        source = file_fingerprint(path)[0] if fresh else None
        place = Path(path)
        told = place.relative_to(self._root).as_posix() if place.is_relative_to(self._root) else path
        return content, told, source or ""

    def _state(self, run: Finished, name: str) -> str:
        """The state itself: it is short, and so it is signed with the trace."""
        state = run.states.get(name)
        if state is None:
            raise UnstorableError(f"the state of the random generator {name} cannot be kept")
        return state

    # -- house -------------------------------------------------------------------------------

    @property
    def budget(self) -> int:
        """Bytes that kept results may take."""
        try:
            return int((self._folder / _BUDGET_FILE).read_text())
        except (OSError, ValueError):  # never set
            return DEFAULT_BUDGET

    def set_budget(self, nbytes: int) -> int:
        """Limit the bytes of kept results, for this project from now on; returns the bytes freed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = self._folder / f".{_BUDGET_FILE}.{os.getpid()}"
        scratch.write_text(str(nbytes))
        scratch.replace(self._folder / _BUDGET_FILE)
        return budget.trim(self._shelf, self.artifacts, nbytes)

    def clear(self) -> int:
        """Forget all kept results; returns the bytes freed."""
        freed = self.kept()[1]
        for folder in ("traces", "values"):
            shutil.rmtree(self._folder / folder, ignore_errors=True)  # another kernel may be keeping something
        self._used = None
        return freed

    def kept(self) -> tuple[int, int]:
        """How many runs are kept, and the bytes of their values."""
        return sum(one.trace is not None for one in self._shelf.files()), self._bytes_kept()

    def _bytes_kept(self) -> int:
        return sum(nbytes for _, nbytes, _ in self.artifacts.entries())


def _is_definition(value: object) -> bool:
    return isinstance(value, (ModuleType, FunctionType, BuiltinFunctionType, type))


def _known(contents: Mapping[str, str | None]) -> dict[str, str]:
    return {name: digest for name, digest in contents.items() if digest is not None}


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
