"""What the reader of endpoints is given: one, several, or a log, as text and data; `views` draws the pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlmagic.config import shown_path
from mlmagic.records import Prediction, as_json
from mlmagic.results import Result
from mlmagic.serving.states import EndpointState, State

GLYPHS: dict[State, str] = {"running": "▸", "ended": "■", "gone": "✗"}
NONE_YET = "no endpoints yet: %export MODEL NAME, then %serve NAME"
_LISTED = 20  # endpoints in the text face
_LOGGED = 10  # rows of a log in the text face
_WIDE = 60  # letters of a value there


@dataclass(frozen=True, repr=False)
class EndpointReport(Result):
    """All about one endpoint."""

    one: EndpointState

    def text(self) -> str:
        one = self.one
        lines = [one.headline, f"  {one.traffic}"]
        lines += [f"  {line}" for line in about(one)]
        lines += [f"  assertion {rule.line}" for rule in one.rules]
        lines += [f"  assertion {name}: {why}" for name, why in one.not_run.items()]
        lines.append(f"  drift: {one.drift_line}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return self.one.to_dict()

    def to_pandas(self) -> Any:
        """One row."""
        return _frame([self.one])


@dataclass(frozen=True, repr=False)
class EndpointList(Result):
    """Endpoints, newest first; those that run before those that do not."""

    endpoints: tuple[EndpointState, ...]

    def text(self) -> str:
        if not self.endpoints:
            return NONE_YET
        lines = [
            f"{GLYPHS[one.state]} {one.headline.removeprefix('endpoint ')}; {one.traffic}{_worries(one)}"
            for one in self.endpoints[:_LISTED]
        ]
        if len(self.endpoints) > _LISTED:
            lines.append(f"… {len(self.endpoints) - _LISTED} more: .to_pandas() has them all")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {"endpoints": [one.to_dict() for one in self.endpoints]}

    def to_pandas(self) -> Any:
        """One row for each endpoint."""
        return _frame(self.endpoints)


@dataclass(frozen=True, repr=False)
class PredictionLog(Result):
    """The last rows that an endpoint scored, newest first."""

    name: str
    rows: tuple[Prediction, ...]

    def text(self) -> str:
        if not self.rows:
            return f"endpoint {self.name} has no predictions in its log"
        lines = [f"the last {len(self.rows):,} predictions of endpoint {self.name}, newest first"]
        lines += [
            f"  {when(row.at)}  {in_words(row.outputs)}  <-  {in_words(row.inputs)}" for row in self.rows[:_LOGGED]
        ]
        if len(self.rows) > _LOGGED:
            lines.append(f"  … {len(self.rows) - _LOGGED} more: .to_pandas() has them all")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "predictions": [as_json(row) for row in self.rows]}

    def to_pandas(self) -> Any:
        """One row for each prediction: its outputs, the model's columns, and where it came from."""
        import pandas as pd

        table = [
            {
                "at": datetime.fromtimestamp(row.at, UTC).replace(tzinfo=None),
                "request_id": row.request_id,
                "row": row.row,
                **row.outputs,
                **{name if name not in row.outputs else f"{name} (input)": value for name, value in row.inputs.items()},
                "seconds": row.seconds,
                "batch_size": row.batch_size,
            }
            for row in self.rows
        ]
        return pd.DataFrame(table)


def about(one: EndpointState) -> list[str]:
    """What else there is to say of an endpoint: since when, whose bundle, how to call it."""
    lines = [f"since {when(one.endpoint.started_at)}"]
    if one.endpoint.ended_at is not None:
        lines[0] = f"from {when(one.endpoint.started_at)} to {when(one.endpoint.ended_at)}"
    elif one.state == "gone":
        lines[0] = f"started {when(one.endpoint.started_at)}; its process is gone, and did not say when it ended"
    if one.bundle is not None:
        lines.append(f"bundle {shown_path(one.bundle.path)}")
    watched = one.live.get("watched") or {}
    if watched.get("unlogged"):
        why = ": they came too fast" if watched.get("watcher", "alive") == "alive" else ""
        were = "row was" if watched["unlogged"] == 1 else "rows were"
        lines.append(f"{watched['unlogged']:,} {were} answered and not looked at{why}")
    lines += [str(trouble) for trouble in (watched.get("log_error"), one.note) if trouble]
    if watched and watched.get("watcher", "alive") != "alive":
        lines.append(f"watcher: {watched['watcher']}")
    return lines


def when(at: float | None) -> str:
    """A time for the eye."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def in_words(values: Mapping[str, Any]) -> str:
    """Names and values in one line, not too long."""
    told = ", ".join(f"{name} {_short(value)}" for name, value in list(values.items())[:12])
    return told + (", …" if len(values) > 12 else "")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value.isprintable() else json.dumps(value)  # one line, no colours
    return text if len(text) <= _WIDE else text[:_WIDE] + "…"


def _worries(one: EndpointState) -> str:
    fired = [rule.name for rule in one.rules if rule.fired]
    parts = [f"fired: {', '.join(fired)}"] if fired else []
    parts += [f"drift: {', '.join(one.drifted)}"] if one.drifted else []
    return "; " + "; ".join(parts) if parts else ""


def _frame(states: Sequence[EndpointState]) -> Any:
    import pandas as pd

    rows = []
    for one in states:
        row = one.to_dict()
        for name in ("started_at", "ended_at"):
            row[name] = None if row[name] is None else datetime.fromtimestamp(row[name], UTC).replace(tzinfo=None)
        row["fired"] = sum(rule.fired for rule in one.rules)
        row["drifted"] = list(one.drifted)
        rows.append({key: value for key, value in row.items() if key not in ("assertions", "not_run", "drift")})
    return pd.DataFrame(rows)
