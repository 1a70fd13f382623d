"""Reuse in the living kernel: asks the cache before a cell, swaps the cell for its results, keeps new ones after it.

Hooks only observe; a hit acts through an AST transformer, which puts one call in the place of the cell's body. So
the cell stays the front end's one execution, with its own `Out` and its place in the history.
"""

from __future__ import annotations

import ast
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlmagic.cache import Cache, Finished, Found, Prepared, Trace
from mlmagic.cache.details import details
from mlmagic.cache.keeping import Earlier
from mlmagic.capture import Evidence, Outcome, randomness
from mlmagic.config import key_path
from mlmagic.errors import StoreError
from mlmagic.fingerprint import Snapshot, snapshot
from mlmagic.records import Observation, Reuse
from mlmagic.session.outputs import Outputs
from mlmagic.session.project import Project
from mlmagic.session.session import Session
from mlmagic.signing import user_key

MODES = ("auto", "on", "off", "verify")
REFUSED = "its own --no-reuse"

_restoring: ReuseHooks | None = None  # whose hit the running cell is to be


def restore() -> None:
    """What the body of a reused cell is replaced by."""
    if _restoring is not None:
        _restoring.put_in_place()


@dataclass(slots=True)
class _Cell:
    """One cell between its beginning and its end."""

    found: Found | None = None  # what the lookup came to; None: the cache was not asked
    prepared: Prepared | None = None
    verifying: Trace | None = None  # the hit that is computed anew, to be compared
    started: float = 0.0
    load_seconds: float = 0.0
    done: bool = False  # the results are in place
    refused: bool = False  # its own `--no-reuse`
    wanted: bool = False  # asked for by its own line, not by the mode alone


class ReuseHooks:
    """Stands beside `NotebookHooks` around each cell.

    Parameters
    ----------
    shell
        IPython's.
    session : Session
    cache : Cache
    """

    def __init__(self, shell: Any, session: Session, cache: Cache) -> None:
        self._shell = shell
        self._session = session
        self._cache = cache
        self._outputs = Outputs(shell)
        self._transformer = _Swap(self)
        self._cell: _Cell | None = None

    def install(self) -> None:
        self._shell.ast_transformers.append(self._transformer)

    def remove(self) -> None:
        self._outputs.end()
        self._shell.ast_transformers.remove(self._transformer)

    # -- before ------------------------------------------------------------------------------

    def before(self, tracked: bool, asked: bool | None) -> None:
        """A cell begins; `tracked`: under ``%%track``; `asked`: what its own ``--reuse`` or ``--no-reuse`` says."""
        self._cell = None
        if not self._session.recorder.running or not self._takes_part(tracked, asked):
            self._cell = _Cell(refused=True) if asked is False else None
            return
        cell = self._cell = _Cell(started=time.perf_counter(), wanted=tracked or bool(asked))
        try:
            self._look_up(cell)
        except Exception as error:  # the cell runs as it would without us
            self._session.tell_once(f"reuse: a lookup failed ({type(error).__name__}: {error})")
            cell.found = cell.found or Found()
        cell.load_seconds = time.perf_counter() - cell.started
        if cell.prepared is None:
            self._outputs.begin()

    def _takes_part(self, tracked: bool, asked: bool | None) -> bool:
        mode = self._session.settings.reuse
        if asked is not None:
            return asked
        return mode in ("on", "verify") or (mode == "auto" and tracked)

    def _look_up(self, cell: _Cell) -> None:
        recorder = self._session.recorder
        inputs = recorder.inputs()
        cell.found = Found()
        # Packages that are loaded with a value ask for `get_ipython`, which is there only while cells run: pandas
        # chooses by it how many columns to show.
        with self._shell.builtin_trap, recorder.aside():
            if not self._cache.known(inputs.source_hash):
                return
            present = recorder.present(details)
            if self._session.settings.reuse == "verify":
                cell.verifying = self._cache.matching(present)
                return
            put_back = randomness.hold()
            found = self._cache.find(present, self._session.namespace, recorder.snapshots(), recorder.scope)
            if found.prepared is not None:
                found.prepared.place_files(self._cache.artifacts, self._session.project.root)
                put_back()  # what packages drew while they were loaded is among what the hit puts in place
        cell.found, cell.prepared = found, found.prepared

    def swap(self, node: ast.Module) -> ast.Module:
        """The body that runs: the cell's own, or the call that puts its results in place."""
        global _restoring
        cell = self._cell
        if cell is None or cell.prepared is None or cell.done or _restoring is not None:
            return node
        _restoring = self
        call = ast.parse(f"__import__({__name__!r}, fromlist=['restore']).restore()")
        return ast.copy_location(call, node)

    def put_in_place(self) -> None:
        """The hit itself."""
        global _restoring
        _restoring = None
        cell = self._cell
        if cell is None or cell.prepared is None or cell.done:
            return
        prepared, trace = cell.prepared, cell.prepared.trace
        started = time.perf_counter()
        prepared.commit()
        self._restore_randomness(trace)
        cell.done = True
        self._outputs.replay(trace.outputs, prepared.shown)
        self._cache.used(trace)
        cell.load_seconds += time.perf_counter() - started
        self._tell_reused(trace.seconds - cell.load_seconds)

    def _restore_randomness(self, trace: Trace) -> None:
        for name, (_, state, seed) in trace.random_after.items():
            randomness.restore(name, state)
            self._session.recorder.was_seeded(name, seed)

    def _tell_reused(self, saved: float) -> None:
        line = f"reused, saved {spell(saved)}"
        html = f'<div style="opacity:.65;font-size:smaller" title="%%track --no-reuse runs it">{line}</div>'
        self._shell.display_pub.publish({"text/plain": line, "text/html": html}, {})

    # -- after -------------------------------------------------------------------------------

    def outcome(self, outcome: Outcome) -> Outcome:
        """How the cell ended, seen with what was put in place."""
        global _restoring
        _restoring = None
        self._outputs.end()
        cell = self._cell
        if cell is not None and cell.done and cell.prepared is not None and outcome.status == "ok":
            return replace(outcome, status="reused", reused_from=cell.prepared.trace.execution_id)
        return outcome

    @property
    def visible(self) -> bool:
        """Whether the cell printed or showed anything."""
        return bool(self._outputs.events)

    @property
    def repeated(self) -> Evidence | None:
        """What the run depended on and left behind whose results were put in place."""
        cell = self._cell
        return cell.prepared.trace.evidence() if cell is not None and cell.done and cell.prepared is not None else None

    def after(self, observation: Observation | None) -> None:
        """A cell is over and recorded: keep what it made, where that pays."""
        cell, self._cell = self._cell, None
        if cell is None or observation is None:
            return
        if cell.refused:
            seconds = observation.execution.seconds
            self._session.decided(Reuse(observation.execution.execution_id, "not kept", None, REFUSED, seconds))
            return
        try:
            if cell.done and cell.prepared is not None:
                decision = self._reused(cell, cell.prepared.trace, observation)
            else:
                decision = self._computed(cell, observation)
        except Exception as error:  # the cell is over, and all that is lost is the memory of it
            self._session.tell_once(f"reuse: a result could not be kept ({type(error).__name__}: {error})")
            return
        self._session.decided(decision)

    def _reused(self, cell: _Cell, trace: Trace, observation: Observation) -> Reuse:
        made = {version.name: version.fingerprint for version in observation.versions if version.kind == "variable"}
        wrong = [name for name, digest in trace.fingerprints.items() if made.get(name, digest) != digest]
        if wrong:
            self._cache.forget(trace)
            self._session.say(f"reuse: {', '.join(wrong)} came back other than kept; run this cell again")
        return Reuse(
            observation.execution.execution_id,
            "reused",
            seconds=trace.seconds,
            saved=max(trace.seconds - cell.load_seconds, 0.0),
            load_seconds=cell.load_seconds,
            nbytes=trace.nbytes,
        )

    def _computed(self, cell: _Cell, observation: Observation) -> Reuse:
        execution = observation.execution
        found = cell.found or Found()
        missed = found.unusable or "; ".join(one.text for one in found.differences) or None
        evidence = self._session.recorder.evidence
        if evidence is None:
            return Reuse(execution.execution_id, "not kept", missed, "it could not be recorded", execution.seconds)
        if cell.verifying is not None:
            self._verify(cell.verifying, observation, evidence)
            return Reuse(
                execution.execution_id, "kept", "%reuse verify computes every hit anew", None, execution.seconds
            )
        if self._outputs.problem is not None:
            return Reuse(execution.execution_id, "not kept", missed, self._outputs.problem, execution.seconds)
        least = self._session.settings.reuse_min_seconds
        with self._session.recorder.aside():  # it may load NumPy, whose generator is none of the notebook's yet
            keeping = self._cache.keep(self._finished(observation, evidence), wanted=cell.wanted, least_seconds=least)
        return Reuse(
            execution.execution_id,
            "kept" if keeping.trace is not None else "not kept",
            missed,
            keeping.reason or None,
            execution.seconds,
            keep_seconds=keeping.seconds,
            nbytes=keeping.nbytes,
        )

    def _finished(self, observation: Observation, evidence: Evidence) -> Finished:
        recorder, execution = self._session.recorder, observation.execution
        history = self._shell.user_ns.get("_oh", {})
        shown = any(event["kind"] == "result" for event in self._outputs.events)
        return Finished(
            execution_id=execution.execution_id,
            source=execution.source,
            seconds=execution.seconds,
            inputs=recorder.last_inputs,
            evidence=evidence,
            namespace=self._session.namespace,
            snapshots=self._snapshots(evidence),
            renamed={name: Earlier(*told) for name, told in recorder.renamed.items()},
            scope=recorder.scope,
            outputs=tuple(self._outputs.events),
            shown=(history[execution.execution_count],) if shown and execution.execution_count in history else (),
            states={name: randomness.dump(name) for name in evidence.random_after},
            seeds=recorder.seeds,
            root=self._session.project.root,
            setting=recorder.setting,
        )

    def _snapshots(self, evidence: Evidence) -> dict[str, Snapshot]:
        """Of all variables, and of IPython's own names where the cell bound them."""
        found = self._session.recorder.snapshots()
        for name, how in evidence.hows.items():
            if how != "delete" and name not in found:
                found[name] = snapshot(self._session.namespace[name], self._session.recorder.scope)
        return found

    # -- shadow mode ---------------------------------------------------------------------------

    def _verify(self, trace: Trace, observation: Observation, evidence: Evidence) -> None:
        """Compare what the cell has just made with what a hit would have put in place."""
        made = {name: seen.fingerprint for name, seen in self._snapshots(evidence).items()}
        kept = self._cache.kept_fingerprints(trace, self._session.namespace, self._session.recorder.scope)
        wrong = {name for name, digest in {**trace.fingerprints, **kept}.items() if made.get(name, digest) != digest}
        wrong |= trace.hows.keys() ^ evidence.hows.keys()
        wrong |= {f"file {name}" for name, (digest, _) in trace.written.items() if evidence.written.get(name) != digest}
        after = {name: digest for name, (digest, *_) in trace.random_after.items()}
        moved = after.keys() | evidence.random_after.keys()
        wrong |= {f"random state {name}" for name in moved if after.get(name) != evidence.random_after.get(name)}
        if _texts(trace.outputs) != _texts(self._outputs.events):
            wrong.add("output")
        self._session.verified(observation.execution.execution_id, sorted(wrong))


# What is another in each run: addresses, scikit-learn's counter of pictures, the file that IPython takes a cell for.
_PASSING = re.compile(r"0x[0-9a-f]+|sk-container-id-\d+|sk-estimator-id-\d+|ipykernel_\d+/\d+|<cell-\w+>")


def _texts(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Outputs as text, without what differs from run to run."""
    shown = [sorted((key, repr(part)) for key, part in event.items() if key != "transient") for event in events]
    return [_PASSING.sub("…", repr(event)) for event in shown]


def spell(seconds: float) -> str:
    """Seconds in words: 41 s, 3 min, 0.4 s."""
    seconds = max(seconds, 0.0)
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    return (
        f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s" if seconds >= 0.05 else f"{1000 * seconds:.0f} ms"
    )


class _Swap(ast.NodeTransformer):
    """The AST transformer in the shell's list."""

    def __init__(self, hooks: ReuseHooks) -> None:
        self._hooks = hooks

    def visit(self, node: ast.AST) -> ast.AST:
        return self._hooks.swap(node) if isinstance(node, ast.Module) else node


def open_cache(project: Project, tell: Callable[[str], None] = lambda line: None) -> Cache:
    """The cache of a project, signed with the user's key; with one of its own where that cannot be kept."""
    try:
        key = user_key(key_path())
    except (OSError, StoreError) as error:
        tell(f"results are reused in this session only: the signing key cannot be used ({error})")
        key = secrets.token_bytes(32)
    return Cache(project.folder / "artifacts", project.root, key)
