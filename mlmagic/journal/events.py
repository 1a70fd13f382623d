"""Second step of a cell's way, between capture and file: records in, versioned JSON events out, and back.

An event is a dict with ``v`` (the version of its form), ``event`` (its kind) and the records it carries as dicts.
Journals are never rewritten, so every released form stays readable for good: `UPGRADES` turns an older one into the
next, step by step.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from mlmagic.records import (
    Amendment,
    Assertion,
    AssertionResult,
    Bundle,
    Drift,
    Endpoint,
    Evaluation,
    Measure,
    Observation,
    Predictions,
    Reuse,
    Session,
    Sweep,
    Trial,
    as_json,
)

Event: TypeAlias = dict[str, Any]
Upgrade: TypeAlias = Callable[[Event], Event]

CURRENT = 1

# What turns an event of version n into one of version n + 1. A released function never changes; a new form is one more
# entry and CURRENT + 1. Version 1 is the first that was ever written, so there is nothing to turn yet.
UPGRADES: dict[int, Upgrade] = {}

# Where each kind has the id that its rows cannot do without; what only carries lists has none but those of its records.
KINDS: dict[str, tuple[str, ...]] = {
    "session": ("session", "session_id"),
    "session_ended": ("session_id",),
    "observation": ("execution", "execution_id"),
    "amendment": (),
    "reuse": ("reuse", "execution_id"),
    "sweep": ("sweep", "sweep_id"),
    "trial": ("trial", "trial_id"),
    "assertion": ("assertion", "assertion_id"),
    "assertion_result": ("result", "assertion_id"),
    "drift": (),
    "evaluation": (),
    "bundle": ("bundle", "bundle_id"),
    "endpoint": ("endpoint", "endpoint_id"),
    "predictions": ("predictions", "endpoint_id"),
}

OBSERVED = ("versions", "reads", "writes", "params", "metrics")
# The lists of records that an event may carry, each under the name of its table.
PARTS = (*OBSERVED, "drifts", "evaluations")


class UnreadableError(ValueError):
    """A complete line that holds no event: torn by a failed write, or not ours."""


def session_started(session: Session) -> Event:
    """The event that opens a session."""
    return {"v": CURRENT, "event": "session", "session": as_json(session)}


def session_ended(session_id: str, at: float) -> Event:
    """The event that closes a session, `at` in seconds since the epoch, UTC."""
    return {"v": CURRENT, "event": "session_ended", "session_id": session_id, "at": at}


def observed(observation: Observation) -> Event:
    """The event of one execution."""
    event: Event = {"v": CURRENT, "event": "observation", "execution": as_json(observation.execution)}
    for part in OBSERVED:
        event[part] = [as_json(record) for record in getattr(observation, part)]
    return event


def amended(amendment: Amendment) -> Event:
    """The event of what became known of an execution later."""
    return {
        "v": CURRENT,
        "event": "amendment",
        "versions": [as_json(version) for version in amendment.versions],
        "writes": [as_json(write) for write in amendment.writes],
    }


def decided(reuse: Reuse) -> Event:
    """The event of what the cache made of an execution."""
    return {"v": CURRENT, "event": "reuse", "reuse": as_json(reuse)}


def swept(sweep: Sweep) -> Event:
    """The event of a sweep as it is now; the last one of a sweep counts."""
    return {"v": CURRENT, "event": "sweep", "sweep": as_json(sweep)}


def tried(trial: Trial, params: Iterable[Measure], metrics: Iterable[Measure]) -> Event:
    """The event of a trial as it is now, with its measures; the last one of a trial counts."""
    return {
        "v": CURRENT,
        "event": "trial",
        "trial": as_json(trial),
        "params": [as_json(measure) for measure in params],
        "metrics": [as_json(measure) for measure in metrics],
    }


def asserted(assertion: Assertion) -> Event:
    """The event of a rule that was defined."""
    return {"v": CURRENT, "event": "assertion", "assertion": as_json(assertion)}


def checked(result: AssertionResult) -> Event:
    """The event of what a rule said of some rows."""
    return {"v": CURRENT, "event": "assertion_result", "result": as_json(result)}


def drifted(rows: Iterable[Drift]) -> Event:
    """The event of one comparison of data, all its statistics together."""
    return {"v": CURRENT, "event": "drift", "drifts": [as_json(row) for row in rows]}


def evaluated(rows: Iterable[Evaluation]) -> Event:
    """The event of one evaluation of a model, all its statistics together."""
    return {"v": CURRENT, "event": "evaluation", "evaluations": [as_json(row) for row in rows]}


def exported(bundle: Bundle) -> Event:
    """The event of a model that left the notebook."""
    return {"v": CURRENT, "event": "bundle", "bundle": as_json(bundle)}


def served(endpoint: Endpoint) -> Event:
    """The event of an endpoint as it is now; the last one of an endpoint counts."""
    return {"v": CURRENT, "event": "endpoint", "endpoint": as_json(endpoint)}


def predicted(predictions: Predictions) -> Event:
    """The event of rows that were scored: by column, a third of the size that they have as one record each."""
    return {"v": CURRENT, "event": "predictions", "predictions": as_json(predictions)}


def encode(event: Event) -> bytes:
    """One complete line in ASCII, so that a lone surrogate in a cell's source cannot spoil the file.

    JSON has no NaN: floats that are not finite become the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, which
    ``float()`` and SQL casts read back.
    """
    try:
        text = _encode(event)
    except ValueError:  # a float that is not finite: rare, so only then is every value looked at
        text = _encode(_finite(event))
    return text.encode("ascii") + b"\n"


def decode(line: bytes) -> Event | None:
    """The event on a line, in its current form; None if a later release wrote it.

    Raises
    ------
    UnreadableError
        If the line holds no event.
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: also bytes that are no UTF-8
        raise UnreadableError(str(error)) from error
    if not isinstance(event, dict) or type(event.get("v")) is not int or not isinstance(event.get("event"), str):
        raise UnreadableError("not an event")
    if event["v"] > CURRENT or event["event"] not in KINDS:
        return None
    return _checked(upgraded(event))


def upgraded(event: Event) -> Event:
    """The same event in its current form."""
    while event["v"] < CURRENT:
        version = event["v"]
        if version not in UPGRADES:
            raise UnreadableError(f"no release wrote events of version {version}")
        event = {**UPGRADES[version](event), "v": version + 1}
    return event


def _checked(event: Event) -> Event:
    """The event, if it has what the rows are keyed by."""
    found: Any = event
    path = KINDS.get(event["event"], ())
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if path and not isinstance(found, str):
        raise UnreadableError(f"{event['event']} without {path[-1]}")
    if any(not _are_records(event.get(part, [])) for part in PARTS):
        raise UnreadableError(f"{event['event']} with broken records")
    if event["event"] == "predictions" and not _fit_together(event["predictions"]):
        raise UnreadableError("predictions whose columns differ in length")
    return event


def _fit_together(predictions: Event) -> bool:
    """Whether every column has a value for each of the rows that the spans speak of."""
    try:
        spans, columns = predictions["spans"], [*predictions["inputs"].values(), *predictions["outputs"].values()]
        sound = all(len(span) == 6 and type(span[1]) is type(span[2]) is int for span in spans)
        return sound and all(
            type(column) is list and len(column) == sum(span[2] for span in spans) for column in columns
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _are_records(part: Any) -> bool:
    return isinstance(part, list) and all(isinstance(record, dict) for record in part)


def _plain(value: Any) -> Any:
    """What stands for a value that JSON does not know; never the `repr` of somebody's object."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if type(value).__module__ == "numpy" and hasattr(value, "item"):  # a scalar that a metric brought along
        return value.item()
    raise TypeError(f"a journal holds plain values, not {type(value).__name__}")


def _finite(value: Any) -> Any:
    """The value with every float that is not finite spelled out."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    # A NumPy scalar is opened here, since its float may be one of those.
    return _finite(value.item()) if type(value).__module__ == "numpy" and hasattr(value, "item") else value


# Built once: json.dumps with options builds an encoder at every call.
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=_plain).encode
