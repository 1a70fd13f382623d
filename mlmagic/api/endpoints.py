"""`mlmagic.serve` and `mlmagic.endpoints`: bundles come in, running endpoints go out; and what became of them."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from mlmagic.api._bundles import find_bundle
from mlmagic.api._projects import open_store
from mlmagic.bundles.folder import Bundle
from mlmagic.config import project_folder
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.records import Endpoint as Record
from mlmagic.records import new_id
from mlmagic.results import Result
from mlmagic.serving import process
from mlmagic.serving.client import Endpoint
from mlmagic.serving.client_connection import ClientConnection
from mlmagic.serving.options import GRACE, Options, check_options
from mlmagic.serving.reports import NONE_YET, EndpointList, EndpointReport, PredictionLog
from mlmagic.serving.states import EndpointState, Firing, State
from mlmagic.session import Session, active
from mlmagic.store import Store
from mlmagic.views import endpoints as _faces  # noqa: F401  draws the results

__all__ = ["endpoints", "serve"]

ACTIONS = ("list", "show", "log", "stop")
ASKED = 1.0  # seconds for a server to tell of itself
_PAST = 50  # endpoints in a list that do not run any more
_STEP = 0.05
_CATCHING_UP = 8.0  # seconds for a watcher, which lets rows gather for two, and starts with the lowest priority


def serve(
    bundle: str | os.PathLike[str] | Bundle,
    *,
    port: int = 0,
    slo_ms: float = 20.0,
    host: str = "127.0.0.1",
    hosts: Sequence[str] = (),
    token: str | None = None,
    trust: bool = False,
    log: bool = True,
) -> Endpoint:
    """Serve a bundle in a process of its own, which ends with this one.

    Asked again for a version that this kernel serves already, it gives the endpoint that is there.

    Parameters
    ----------
    bundle : str, path or Bundle
        Name of a bundle of this project (its newest version), ``NAME/VERSION``, or a folder.
    port : int
        0: any that is free.
    slo_ms : float
        Time within which a batch is to be answered: it caps the batches.
    host, hosts
        Address to listen on, and other names under which requests come to it.
    token : str, optional
        What requests have to bring along (``Authorization: Bearer …``); needed for any address but this machine's own.
    trust : bool
        Run the bundle's assertions although it is not signed with your key. They are Python.
    log : bool
        Write predictions to the project's journal, from where they come to the table `predictions`.

    Returns
    -------
    Endpoint
        With `url`, `predict(frame)`, `predict_proba(frame)`, `status()` and `stop()`.

    Raises
    ------
    MisuseError, UnknownNameError
        No such bundle, or it cannot be served; one line.
    """
    found = find_bundle(bundle)
    session = active()
    options = Options(
        bundle=str(found.path.absolute()),
        endpoint_id=new_id(),
        host=host,
        port=port,
        token=token,
        hosts=tuple(hosts),
        trust=trust,
        slo_ms=slo_ms,
        journals=_journals(session) if log else None,
        session_id=session.session_id if session is not None else None,
    )
    check_options(options)
    if session is None:
        return _started(found, options)
    same = _already(session, found, options)
    if same is not None:
        return same
    made = _started(found, options)
    for one in _running(session, found):
        session.say(f"{one!r} still runs, too; %endpoints {one.endpoint_id} stop ends it")
    session.endpoints[made.endpoint_id] = made
    return made


def _started(found: Bundle, options: Options) -> Endpoint:
    running = process.start(options)
    return Endpoint(
        running.url,
        found.name,
        found.schema,
        version=found.version,
        bundle_id=found.bundle_id,
        endpoint_id=options.endpoint_id,
        token=options.token,
        process=running,
        options=options,
    )


def _running(session: Session, found: Bundle) -> list[Endpoint]:
    """Endpoints of this kernel that serve some version of a bundle, or serve it in another way."""
    return [one for one in session.endpoints.values() if one.name == found.name and one.alive]


def _already(session: Session, found: Bundle, options: Options) -> Endpoint | None:
    """The endpoint of this kernel that serves the same in the same way."""
    for one in reversed(_running(session, found)):
        if one.version == found.version and one.serves_as(options):
            session.say(f"{one!r} serves this already")
            return one
    return None


def _journals(session: Session | None) -> str | None:
    """Where predictions are logged: in the running session's project, else in the working folder's, if that is one."""
    if session is not None:
        return str(session.project.journals.absolute())
    folder = project_folder() / "journal"
    return str(folder.absolute()) if folder.is_dir() else None


# -- what runs, and what ran -----------------------------------------------------------------------


def endpoints(name: str | None = None, action: str | None = None, *, count: int = 100) -> Result | str:
    """Running and past endpoints of the project.

    Parameters
    ----------
    name : str, optional
        Of an endpoint's bundle, or its id; of several, those that run come first, then the newest.
    action : str, optional
        ``list`` (without a name, the default); ``show`` (with one): requests, times, batches, assertions, drift;
        ``log``: its last predictions with their data; ``stop``: it finishes what it has, and ends.
    count : int
        With ``log``: how many rows.

    Returns
    -------
    Result or str

    Raises
    ------
    UnknownNameError
        No such endpoint, or action.
    MisuseError
        It does not run, and so cannot be stopped.

    Examples
    --------
    The cell that made the model that answered::

        mlmagic.sql('''SELECT p.inputs, p.outputs, e.source FROM predictions p
                       JOIN bundles b USING (bundle_id)
                       JOIN versions v ON v.version_id = b.model_version
                       JOIN executions e ON e.execution_id = v.execution_id''')
    """
    if name in ACTIONS and action is None:
        name, action = None, name
    action = action or ("show" if name is not None else "list")
    if action not in ACTIONS:
        raise UnknownNameError.among("action of endpoints", action, ACTIONS)
    if count < 1:
        raise MisuseError(f"a number of rows from 1 on is expected, not {count}")
    with open_store() as store:
        if action == "list" and name is None:
            return EndpointList(tuple(_states(store, known_endpoints(store))))
        record = chosen(known_endpoints(store), name)
        if action == "log":
            return PredictionLog(record.name, tuple(store.predictions(record.endpoint_id, count)))
        (state,) = _states(store, [record])
    if action == "stop":
        return _stopped(state)
    return EndpointReport(state)


def chosen(known: Sequence[Record], name: str | None) -> Record:
    """The endpoint that a name means: one that runs before one that does not, then the newest.

    Raises
    ------
    UnknownNameError, MisuseError
        There is none.
    """
    if not known:
        raise MisuseError(NONE_YET)
    wanted = None if name is None else name.removeprefix("endpoint:")
    fitting = [record for record in known if wanted is None or wanted in (record.name, record.endpoint_id)]
    if not fitting:
        raise UnknownNameError.among("endpoint", str(wanted), [record.name for record in known])
    return next((record for record in fitting if record.ended_at is None and _is_alive(record)), fitting[0])


def known_endpoints(store: Store) -> list[Record]:
    """Every endpoint, newest first; also those of this kernel that log nothing."""
    known = {record.endpoint_id: record for record in store.endpoints()}
    session = active()
    for one in session.endpoints.values() if session is not None else ():
        if one.endpoint_id not in known or not known[one.endpoint_id].url:
            known[one.endpoint_id] = one.record(session.session_id if session is not None else None)
    return sorted(known.values(), key=lambda record: record.endpoint_id, reverse=True)


def _states(store: Store, records: Iterable[Record]) -> list[EndpointState]:
    """How endpoints stand, those that run first; all of these are asked at once."""
    every = list(records)
    waiting = [record for record in every if record.ended_at is None]
    with ThreadPoolExecutor(max(1, min(16, len(waiting)))) as pool:
        told = dict(zip([one.endpoint_id for one in waiting], pool.map(_asked, waiting), strict=True))
    running = [one for one in every if told.get(one.endpoint_id, (None, ""))[0] is not None]
    past = [one for one in every if one not in running][:_PAST]
    bundles = {bundle.bundle_id: bundle for bundle in store.bundles()}
    logged, firing, drifting = store.logged(), store.firing(), store.drifting()
    return [
        _state(record, told.get(record.endpoint_id), bundles, logged, firing, drifting) for record in [*running, *past]
    ]


def _state(
    record: Record, told: Any, bundles: dict[str, Any], logged: dict[str, Any], firing: list[Any], drifting: list[Any]
) -> EndpointState:
    live, note = told or (None, "")
    state: State = "ended" if record.ended_at is not None else "gone" if live is None else "running"
    watched = (live or {}).get("watched") or {}
    mine = [row for row in firing if row["endpoint_id"] == record.endpoint_id]
    rules = [Firing(row["name"], row["rows"], row["fired"], row["error"]) for row in watched.get("assertions") or mine]
    return EndpointState(
        endpoint=record,
        state=state,
        bundle=bundles.get(record.bundle_id),
        live=live or {},
        logged=logged.get(record.endpoint_id, {}),
        rules=tuple(rules),
        not_run=watched.get("not_run") or {},
        drift=watched.get("drift") or _drift(drifting, record.endpoint_id),
        note=note,
    )


def _drift(drifting: list[Any], endpoint_id: str) -> dict[str, Any]:
    """The last comparison in the log; a column has drifted where one of its statistics that decide says so."""
    mine = [row for row in drifting if row.current == f"endpoint:{endpoint_id}"]
    if not mine:
        return {}
    columns = list(dict.fromkeys(row.column_name for row in mine))
    moved = [name for name in columns if any(row.drifted for row in mine if row.column_name == name)]
    return {"verdict": "drift" if moved else "ok", "columns": len(columns), "drifted": moved, "at": mine[0].at}


def _asked(record: Record) -> tuple[dict[str, Any] | None, str]:
    """What a server tells of itself, and what else is to be said; ``None``: nobody answers there as this endpoint."""
    if not _is_alive(record) or not record.url:
        return None, ""
    connection = ClientConnection(record.url, _token(record.endpoint_id), ASKED)
    try:
        told = _caught_up(lambda: connection.get(f"/v1/models/{record.name}"))
    except MisuseError as error:
        return (None, "") if "nothing answers" in str(error) else ({}, str(error))
    finally:
        connection.close()
    if told.get("endpoint_id") != record.endpoint_id:
        return None, ""  # another server has its port now
    return {"version": told.get("version"), **told.get("status", {})}, ""


def _caught_up(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a server tells once its watcher has looked at what had been answered when it was asked first."""
    told, until = ask(), time.monotonic() + _CATCHING_UP
    answered = (told.get("status", {}).get("watched") or {}).get("rows", 0)
    while _looked_at(told) < answered and time.monotonic() < until:
        time.sleep(_STEP)
        told = ask()
    return told


def _looked_at(told: Mapping[str, Any]) -> float:
    """Rows that all rules have seen, or never will."""
    watched = told.get("status", {}).get("watched") or {}
    if not str(watched.get("watcher", "")).startswith("alive"):
        return math.inf
    return int(watched["seen"] + watched["unlogged"])


def _token(endpoint_id: str) -> str | None:
    session = active()
    mine = session.endpoints.get(endpoint_id) if session is not None else None
    return mine.token if mine is not None else os.environ.get("MLMAGIC_SERVE_TOKEN")


def _is_alive(record: Record) -> bool:
    """Whether there is a process of this number; of another machine's nothing is known but what its address says."""
    return record.pid is None or process.is_running(record.pid)


def _stopped(state: EndpointState) -> str:
    record = state.endpoint
    if state.state != "running":
        raise MisuseError(f"endpoint {state.name} does not run: it is {state.state}")
    session = active()
    mine = session.endpoints.pop(record.endpoint_id, None) if session is not None else None
    if mine is not None:
        mine.stop(GRACE)
    else:
        _terminate(record)
    return f"stopped endpoint {state.name} at {record.url}"


def _terminate(record: Record) -> None:
    """End the server that another kernel, or nobody's, started: it finishes what it has."""
    if record.pid is None:
        raise MisuseError(f"endpoint {record.name} runs on another machine: stop it there")
    with suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while _is_alive(record) and _asked(record)[0] is not None:
        if time.monotonic() > until:
            raise MisuseError(f"endpoint {record.name} did not end within {GRACE:g} s (process {record.pid})")
        time.sleep(_STEP)
