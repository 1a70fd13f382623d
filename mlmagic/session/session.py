"""One session: the recorder around its cells, the journal they go to, the store that answers questions."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmagic import records
from mlmagic.analysis import redact
from mlmagic.cache import Cache
from mlmagic.capture import Cell, Evidence, Outcome, Recorder
from mlmagic.capture.environment import git_state, package_versions
from mlmagic.journal import Journal
from mlmagic.records import (
    Amendment,
    Assertion,
    AssertionResult,
    Bundle,
    Drift,
    Evaluation,
    Measure,
    Observation,
    Reuse,
    Sweep,
    Trial,
    new_id,
)
from mlmagic.session.project import Project, open_project
from mlmagic.session.settings import MLMagic
from mlmagic.store import Store

if TYPE_CHECKING:  # loading the extension loads no NumPy
    from mlmagic.checks.assertions import Rule
    from mlmagic.checks.flagged import Flagged
    from mlmagic.serving.client import Endpoint

Listener = Callable[[Observation], None]
Watcher = Callable[[object], None]

_PENDING_LIMIT = 10_000  # observations held while the disk is full


class Session:
    """Everything that is alive between loading the extension and unloading it.

    Parameters
    ----------
    namespace : dict
        The user's global namespace.
    folder : Path
        The ``.mlmagic`` directory.
    settings : MLMagic
        The user's settings.
    say : callable
        Shows the user one line; by default on standard error.
    hidden, transform
        See :class:`mlmagic.capture.Recorder`.
    """

    def __init__(
        self,
        namespace: dict[str, Any],
        folder: Path,
        settings: MLMagic,
        *,
        hidden: Callable[[], Mapping[str, Any]] = dict,
        transform: Callable[[str], str] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.session_id = new_id()
        self.settings = settings
        self.project: Project = open_project(folder)
        self.namespace = namespace
        self.say = say or _say
        self.listeners: list[Listener] = []
        self.watchers: list[Watcher] = []  # told of every other record that is written
        self.pages: int | None = None  # of the panel, that are connected; None: there can be none
        self.cell_ids_seen = False
        self.last: Observation | None = None
        self.cache: Cache | None = None  # of a notebook; a script's blocks cannot be skipped
        self.reuses: list[Reuse] = []
        self.verifications: list[tuple[str, list[str]]] = []  # execution, what a hit would have got wrong
        self.rules: dict[str, Rule] = {}  # assertions whose cells ran here, by name
        self.flagged: Flagged | None = None  # rows that fired in the last check
        self.endpoints: dict[str, Endpoint] = {}  # that were started here, by id: they end with the session
        self.store = Store(self.project.folder, patience=settings.patience)
        self.recorder = Recorder(
            namespace,
            self.project.root,
            self.session_id,
            hidden=hidden,
            keep_state=self.project.keep_state,
            transform=transform,
            object_limit=settings.object_limit,
        )
        self._journal = Journal(self.project.journals, self.session_id)
        self._pending: list[Callable[[], None]] = []
        self._in_gap = False
        self._told: set[str] = set()
        self._lock = threading.RLock()
        self._owner = os.getpid()

    # -- life --------------------------------------------------------------------------------

    def start(self, source: str = "", but: frozenset[str] = frozenset()) -> None:
        """Open the session and adopt what is alive, except the names in `but`.

        `source` is the text that made it, as far as it is known.
        """
        if self.project.problem:
            self.tell_once(self.project.problem)
        about = _describe(self.session_id, self.project.root)
        self._write(lambda: self._journal.session_started(about))
        self.recorder.start()
        self._observed(self.recorder.adopt(redact(source), but))

    def close(self) -> None:
        """End the session: what has finished is in the database, and nothing stays open."""
        if os.getpid() != self._owner:
            return  # a forked child is not the session
        self.end_gap()
        if self.recorder.running:
            self.recorder.abandon()
        self.recorder.stop()
        self._stop_endpoints()
        ended = time.time()
        self._write(lambda: self._journal.session_ended(self.session_id, ended))
        try:
            self.store.sync()
        except Exception as error:
            self.tell_once(f"the database could not be brought up to date ({_one_line(error)}); the journals are")
        self.store.close()
        self._journal.close()

    def _stop_endpoints(self) -> None:
        """End the servers that were started here; before the store is brought up to date, for their last words."""
        while self.endpoints:
            _, endpoint = self.endpoints.popitem()
            try:
                endpoint.stop()
            except Exception as error:
                self.tell_once(f"{endpoint!r} could not be stopped ({_one_line(error)})")

    # -- cells -------------------------------------------------------------------------------

    def begin(self, cell: Cell) -> None:
        """A cell is about to run. Never raises for our own reasons: the user's cell comes first."""
        self.cell_ids_seen |= cell.cell_id is not None
        try:
            late = self.recorder.begin(cell)
        except Exception as error:
            self.recorder.abandon()
            self.tell_once(f"a cell could not be recorded ({_one_line(error)})")
            return
        except KeyboardInterrupt:
            self.recorder.abandon()
            raise
        if late is not None:
            self._amended(late)

    def end(self, outcome: Outcome, visible: bool = False, repeated: Evidence | None = None) -> Observation | None:
        """The cell is over: its observation, journalled, or ``None`` where none was begun."""
        observation = self._ended(outcome, visible, repeated)
        if observation is not None:
            self._observed(observation)
        return observation

    def decided(self, reuse: Reuse) -> None:
        """What the cache made of the last execution."""
        self._write(lambda: self._journal.decided(reuse))
        self.reuses.append(reuse)
        self._tell_watchers(reuse)

    def swept(self, sweep: Sweep) -> None:
        """How a sweep stands: at its start, and whenever its state changes."""
        self._write(lambda: self._journal.swept(sweep))
        self._tell_watchers(sweep)

    def tried(self, trial: Trial, params: Iterable[Measure] = (), metrics: Iterable[Measure] = ()) -> None:
        """How a trial stands, with its measures: when it starts and when it ends."""
        measures = tuple(params), tuple(metrics)  # what cannot be written now is written later
        self._write(lambda: self._journal.tried(trial, *measures))
        self._tell_watchers(trial)

    def asserted(self, assertion: Assertion) -> None:
        """A rule was defined."""
        self._write(lambda: self._journal.asserted(assertion))
        self._tell_watchers(assertion)

    def checked(self, result: AssertionResult) -> None:
        """What a rule said of some rows."""
        self._write(lambda: self._journal.checked(result))
        self._tell_watchers(result)

    def drifted(self, rows: Iterable[Drift]) -> None:
        """What came of comparing data with a reference."""
        every = tuple(rows)
        self._write(lambda: self._journal.drifted(every))
        self._tell_watchers(*every[:1])

    def evaluated(self, rows: Iterable[Evaluation]) -> None:
        """What came of evaluating a model."""
        every = tuple(rows)
        self._write(lambda: self._journal.evaluated(every))

    def exported(self, bundle: Bundle) -> None:
        """A model left the notebook."""
        self._write(lambda: self._journal.exported(bundle))
        self._tell_watchers(bundle)

    def verified(self, execution_id: str, wrong: list[str]) -> None:
        """A hit was computed anew; `wrong`: what came out otherwise."""
        self.verifications.append((execution_id, wrong))
        if wrong:
            self.say(f"reuse would have been wrong in this cell: {', '.join(wrong)}; please report it")

    def begin_gap(self, source: str) -> None:
        """What a script does between two tracked blocks is recorded, too, where it changes something."""
        self._in_gap = bool(source)
        if source:
            self.begin(Cell(redact(source), source))

    def end_gap(self) -> None:
        """The next block begins, or the script ends."""
        if self._in_gap:
            self._in_gap = False
            observation = self._ended(Outcome("ok"))
            if observation is not None and observation.writes:
                self._observed(observation)

    def _ended(self, outcome: Outcome, visible: bool = False, repeated: Evidence | None = None) -> Observation | None:
        if not self.recorder.running:
            return None
        try:
            return self.recorder.end(outcome, visible, repeated)
        except (Exception, KeyboardInterrupt) as error:
            self.tell_once(f"what a cell changed could not be found out ({_one_line(error)}); it counts as unknown")
            return self.recorder.lost(outcome)

    def _observed(self, observation: Observation) -> None:
        self.last = observation
        self._write(lambda: self._journal.observed(observation))
        for listener in self.listeners:
            listener(observation)

    def _amended(self, amendment: Amendment) -> None:
        self._write(lambda: self._journal.amended(amendment))
        self._tell_watchers(amendment)

    def _tell_watchers(self, *written: object) -> None:
        for record in written:
            for watcher in self.watchers:
                watcher(record)

    def _write(self, event: Callable[[], None]) -> None:
        """Append to the journal; what a full disk refuses is held and tried again with the next event."""
        with self._lock:
            self._pending.append(event)
            while self._pending:
                try:
                    self._pending[0]()
                except OSError as error:
                    why = error.strerror or type(error).__name__
                    self.tell_once(f"the journal cannot be written ({why}): cells run on and are held in memory")
                    del self._pending[:-_PENDING_LIMIT]
                    return
                except (TypeError, ValueError) as error:  # no value for a journal; it would stop the rest
                    self.tell_once(f"an event could not be journalled ({_one_line(error)})")
                self._pending.pop(0)

    # -- answers -----------------------------------------------------------------------------

    def history(self) -> records.History:
        """The rows of this session."""
        return self.store.history(self.session_id)

    def tell_once(self, line: str) -> None:
        """Show the user one line, once for each kind of trouble."""
        kind = line.partition("(")[0]
        if kind not in self._told:
            self._told.add(kind)
            self.say(line)


def _say(line: str) -> None:
    sys.stderr.write(f"mlmagic: {line}\n")


def _one_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _describe(session_id: str, root: Path) -> records.Session:
    commit, dirty = git_state(root)
    return records.Session(
        session_id=session_id,
        started_at=time.time(),
        ended_at=None,
        notebook=_notebook(root),
        host=platform.node(),
        python=platform.python_version(),
        git_commit=commit,
        git_dirty=dirty,
        environment=package_versions(),
    )


def _notebook(root: Path) -> str | None:
    """The notebook's path, where the front end told the kernel: relative to the project where it lies inside."""
    told = [os.environ.get("MLMAGIC_NOTEBOOK"), os.environ.get("JPY_SESSION_NAME")]
    told.append(getattr(sys.modules.get("__main__"), "__vsc_ipynb_file__", None))
    path = next((text for text in told if isinstance(text, str) and text), None)
    if path is None:
        return None
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path
