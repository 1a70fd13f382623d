"""The store as the rooms above see it: journals in, answers about the project's past out."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mlmagic.errors import StoreError
from mlmagic.records import (
    BEFORE,
    Assertion,
    AssertionResult,
    Bundle,
    Drift,
    Endpoint,
    Evaluation,
    Execution,
    History,
    Measure,
    Prediction,
    Read,
    ReadHow,
    Reuse,
    Session,
    Sweep,
    Trial,
    Version,
    Write,
)
from mlmagic.store import guard, ingest, queries
from mlmagic.store.db import Connection, Database
from mlmagic.store.trouble import DamagedError, UnwritableError

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

_ROUNDS = 4  # look, build anew, catch up, look again
_RETRY = 60.0  # seconds until a disk that could not be written is tried again


class Store:
    """A project's history: a projection of its journals into ``lineage.duckdb``, brought up to date by every question.

    Usable from several threads, and by any number of processes at once. Nothing stays open between questions but an
    engine in memory.

    Parameters
    ----------
    project
        The ``.mlmagic`` folder.
    patience
        Seconds to wait for others who hold the database, before `StoreError`.
    """

    def __init__(self, project: Path, patience: float = 20.0) -> None:
        self._journals = project / "journal"
        self._database = Database(project.resolve() / "lineage.duckdb", patience)
        self._disk_again_at = 0.0
        self._warned: set[tuple[str, int]] = set()
        self._warned_of_memory = False

    def sync(self) -> None:
        """Bring the database up to date with every journal of the project, for whoever opens it next."""
        self._ask(lambda cursor: None)

    def history(self, session_id: str | None = None) -> History:
        """What a session did, or all of them: rows ordered by id, hence by time.

        A session's versions include those it only read, which files and other sessions left.
        """
        return self._ask(lambda cursor: _history(cursor, session_id))

    def sessions(self) -> list[Session]:
        """The sessions of the project, newest last."""
        return self._ask(_sessions)

    def frame(self, sql: str) -> pd.DataFrame:
        """The answer to a user's query; `QueryError` for anything but one correct query."""
        return self._ask(lambda cursor: guard.frame(cursor, sql))

    def status(self, session_id: str) -> dict[str, Any]:
        """How many cells a session ran, how long they took and what tracking them cost, in seconds."""
        return self._ask(lambda cursor: _status(cursor, session_id))

    def reuses(self, session_id: str | None = None) -> list[Reuse]:
        """What the cache made of the executions of a session, or of all, by id."""
        return self._ask(lambda cursor: [Reuse(**row) for row in _rows(cursor, queries.REUSES, session=session_id)])

    def sweeps(self, session_id: str | None = None) -> list[Sweep]:
        """The sweeps of a session's cells that have ended, or all sweeps; newest last."""
        return self._ask(lambda cursor: [_sweep(row) for row in _rows(cursor, queries.SWEEPS, session=session_id)])

    def reads_of(self, execution_id: str) -> dict[str, ReadHow]:
        """The versions that an execution read, and how."""
        return self._ask(
            lambda cursor: {
                row["version_id"]: row["how"] for row in _rows(cursor, queries.READS_OF, execution=execution_id)
            }
        )

    def trials(self, sweep_id: str) -> list[Trial]:
        """The trials of a sweep, by number."""
        return self._ask(lambda cursor: [_trial(row) for row in _rows(cursor, queries.TRIALS, sweep=sweep_id)])

    def reports(self, sweep_id: str) -> list[Measure]:
        """What the trials of a sweep told on their way, by trial number and step."""
        return self._ask(lambda cursor: [Measure(**row) for row in _rows(cursor, queries.REPORTS, sweep=sweep_id)])

    def assertions(self) -> list[Assertion]:
        """The rules that were ever defined, newest last; of one name, the last counts."""
        return self._ask(lambda cursor: [_assertion(row) for row in _rows(cursor, queries.ASSERTIONS)])

    def assertion_results(self, name: str | None = None, *, every_row: bool = True) -> list[AssertionResult]:
        """What the rules of a name said, or all of them; newest last.

        Without `every_row` only the last result of each rule has its worst rows: a history needs no others.
        """
        asked = {"name": name, "every": every_row}
        return self._ask(lambda cursor: [_result(row) for row in _rows(cursor, queries.ASSERTION_RESULTS, **asked)])

    def drifts(self, drift_id: str | None = None) -> list[Drift]:
        """The statistics of a comparison, or of all; newest comparison last, its joint statistics at its end."""
        return self._ask(lambda cursor: [Drift(**_timed(row)) for row in _rows(cursor, queries.DRIFTS, drift=drift_id)])

    def evaluations(self) -> list[Evaluation]:
        """The statistics of all evaluations; newest last."""
        return self._ask(lambda cursor: [Evaluation(**_timed(row)) for row in _rows(cursor, queries.EVALUATIONS)])

    def bundles(self) -> list[Bundle]:
        """The models that left the notebook; newest last."""
        return self._ask(lambda cursor: [_bundle(row) for row in _rows(cursor, queries.BUNDLES)])

    def endpoints(self) -> list[Endpoint]:
        """The servers that were ever started on this project's log; newest last."""
        return self._ask(lambda cursor: [_endpoint(row) for row in _rows(cursor, queries.ENDPOINTS)])

    def predictions(self, endpoint_id: str, count: int) -> list[Prediction]:
        """The last rows of an endpoint that were logged, newest first."""
        asked = {"endpoint": endpoint_id, "count": count}
        return self._ask(lambda cursor: [_prediction(row) for row in _rows(cursor, queries.PREDICTIONS, **asked)])

    def logged(self) -> dict[str, dict[str, Any]]:
        """Endpoint -> what its log comes to.

        `rows`, `requests`, `first` and `last` (times), `p50` and `p99` (seconds of a batch), `batch_mean`, `batch_max`.
        """
        return self._ask(lambda cursor: {row.pop("endpoint_id"): _span(row) for row in _rows(cursor, queries.LOGGED)})

    def firing(self) -> list[dict[str, Any]]:
        """What each rule said of the rows of each endpoint: `endpoint_id, name, rows, fired, severity_max, error`."""
        return self._ask(lambda cursor: _rows(cursor, queries.FIRING))

    def drifting(self) -> list[Drift]:
        """The statistics of the last comparison of each endpoint; `current` is ``endpoint:ID``."""
        return self._ask(lambda cursor: [Drift(**_timed(row)) for row in _rows(cursor, queries.DRIFTING)])

    def earlier_source(self, cell_id: str, name: str | None, execution_id: str) -> str | None:
        """The text of the last execution of the same cell before this one; by name where it has one."""
        return self._ask(lambda cursor: _earlier_source(cursor, cell_id, name, execution_id))

    def close(self) -> None:
        """Release threads and file handles; a later question takes them again."""
        self._database.close()

    def _ask(self, question: Callable[[Connection], T]) -> T:
        """The answer from tables that hold every line that was complete when the question came."""
        problems = ingest.Problems()
        try:
            return self._answer(question, problems)
        finally:  # also where the question was a mistake: the lines are passed now and nobody finds them again
            self._warn_of_torn(problems)

    def _answer(self, question: Callable[[Connection], T], problems: ingest.Problems) -> T:
        if time.monotonic() < self._disk_again_at:
            return self._ask_memory(question, problems)
        try:
            answer = self._ask_disk(question, problems)
        except UnwritableError as error:
            self._disk_again_at = time.monotonic() + _RETRY
            self._warn_of_memory(str(error))
            return self._ask_memory(question, problems)
        self._database.forget_memory()
        return answer

    def _ask_disk(self, question: Callable[[Connection], T], problems: ingest.Problems) -> T:
        fresh = False
        trouble: Exception | None = None
        for _ in range(_ROUNDS):
            try:
                with self._database.window() as cursor:
                    if fresh or not self._pending(cursor):
                        return question(cursor)
                with self._database.window(writable=True) as cursor:
                    ingest.ingest(cursor, self._pending(cursor), problems)
                fresh = True
            except DamagedError as damage:
                trouble = damage
                fresh = self._database.rebuild(lambda cursor: self._fill(cursor, problems), damage)
        raise StoreError(f"lineage.duckdb cannot be used: {trouble}; run %mlmagic doctor")

    def _ask_memory(self, question: Callable[[Connection], T], problems: ingest.Problems) -> T:
        for _ in range(2):
            try:
                with self._database.memory() as cursor:
                    ingest.ingest(cursor, ingest.pending(cursor, self._journals), problems)
                with self._database.memory() as cursor:
                    return question(cursor)
            except ingest.RewrittenError:
                self._database.forget_memory()
        raise StoreError("the project's journals are being rewritten; ask again")

    def _pending(self, cursor: Connection) -> list[ingest.Tail]:
        try:
            return ingest.pending(cursor, self._journals)
        except ingest.RewrittenError:
            raise self._database.damage("a journal was rewritten", ours=True) from None

    def _fill(self, cursor: Connection, problems: ingest.Problems) -> None:
        ingest.ingest(cursor, ingest.pending(cursor, self._journals), problems)

    def _warn_of_torn(self, problems: ingest.Problems) -> None:
        new = problems.torn - self._warned
        self._warned |= new
        if new:
            files = ", ".join(sorted({file for file, _ in new}))
            warnings.warn(
                f"{len(new)} damaged line(s) of the journal were dropped ({files})", RuntimeWarning, stacklevel=5
            )

    def _warn_of_memory(self, why: str) -> None:
        if not self._warned_of_memory:
            self._warned_of_memory = True
            warnings.warn(
                f"lineage.duckdb cannot be written ({why}): answers come from memory until it can",
                RuntimeWarning,
                stacklevel=5,
            )


def _history(cursor: Connection, session_id: str | None) -> History:
    def rows(query: str) -> list[dict[str, Any]]:
        return _rows(cursor, query, session=session_id)

    return History(
        executions=tuple(map(_execution, rows(queries.EXECUTIONS))),
        versions=tuple(Version(**row) for row in rows(queries.VERSIONS)),
        reads=tuple(Read(**row) for row in rows(queries.READS)),
        writes=tuple(Write(**row) for row in rows(queries.WRITES)),
    )


def _execution(row: dict[str, Any]) -> Execution:
    row["started_at"] = _seconds(row["started_at"])
    row["tags"] = json.loads(row["tags"] or "{}")
    row["write_lines"] = tuple(row["write_lines"] or ())
    return Execution(**row)


def _sessions(cursor: Connection) -> list[Session]:
    return [_session(row) for row in _rows(cursor, queries.SESSIONS)]


def _session(row: dict[str, Any]) -> Session:
    row["started_at"], row["ended_at"] = _seconds(row["started_at"]), _seconds(row["ended_at"])
    row["environment"] = json.loads(row["environment"] or "{}")
    return Session(**row)


def _sweep(row: dict[str, Any]) -> Sweep:
    row["started_at"] = _seconds(row["started_at"])
    for name in ("space", "options", "inputs"):
        row[name] = _json(row[name], {})
    row["plan"] = tuple(_json(row["plan"], []))
    return Sweep(**row)


def _trial(row: dict[str, Any]) -> Trial:
    row["started_at"] = _seconds(row["started_at"])
    row["params"] = _json(row["params"], {})
    return Trial(**row)


def _assertion(row: dict[str, Any]) -> Assertion:
    row["created_at"] = _seconds(row["created_at"])
    row["imports"] = tuple(_json(row["imports"], []))
    row["constants"] = _json(row["constants"], {})
    return Assertion(**row)


def _result(row: dict[str, Any]) -> AssertionResult:
    row["worst"] = tuple(_json(row["worst"], []))
    return AssertionResult(**_timed(row))


def _bundle(row: dict[str, Any]) -> Bundle:
    row["created_at"] = _seconds(row["created_at"])
    row["parity"] = _json(row["parity"], {})
    return Bundle(**row)


def _endpoint(row: dict[str, Any]) -> Endpoint:
    row["started_at"], row["ended_at"] = _seconds(row["started_at"]), _seconds(row["ended_at"])
    return Endpoint(**row)


def _prediction(row: dict[str, Any]) -> Prediction:
    row["inputs"], row["outputs"] = _json(row["inputs"], {}), _json(row["outputs"], {})
    return Prediction(**_timed(row))


def _span(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "first": _seconds(row["first"]), "last": _seconds(row["last"])}


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    row["at"] = _seconds(row["at"])
    return row


def _json(text: str | None, empty: T) -> T:
    """What a JSON column holds; `empty` where that is of another kind, for lines that somebody else wrote."""
    found = json.loads(text) if text else empty
    return found if isinstance(found, type(empty)) else empty


def _rows(cursor: Connection, query: str, **parameters: Any) -> list[dict[str, Any]]:
    result = cursor.execute(query, parameters)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6


def _earlier_source(cursor: Connection, cell_id: str, name: str | None, execution_id: str) -> str | None:
    rows = _rows(cursor, queries.EARLIER_SOURCE, cell=cell_id, name=name, execution=execution_id)
    return str(rows[0]["source"]) if rows else None


def _status(cursor: Connection, session_id: str) -> dict[str, Any]:
    return _rows(cursor, queries.STATUS, session=session_id, before=BEFORE)[0]
