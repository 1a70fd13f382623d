"""What there is to know of endpoints, for their reader: records and what servers tell come in, text and data go out.

`views` draws the pictures. What runs tells of itself; of what has ended, the log does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from mlmagic.config import shown_path
from mlmagic.records import Bundle, Endpoint, Prediction, as_json
from mlmagic.results import Result

State: TypeAlias = Literal["running", "ended", "gone"]
GLYPHS: dict[State, str] = {"running": "▸", "ended": "■", "gone": "✗"}
NONE_YET = "no endpoints yet: %export MODEL NAME, then %serve NAME"
_LISTED = 20  # endpoints in the text face
_LOGGED = 10  # rows of a log in the text face
_WIDE = 60  # letters of a value there


@dataclass(frozen=True, slots=True)
class Firing:
    """What a rule said of an endpoint's rows."""

    name: str
    rows: int
    fired: int
    error: str | None = None

    @property
    def line(self) -> str:
        if self.error:
            return f"{self.name}: {self.error}"
        return f"{self.name}: {self.fired:,} of {self.rows:,} rows fired" + (
            f" ({self.fired / self.rows:.2%})" if self.fired else ""
        )


@dataclass(frozen=True, slots=True)
class EndpointState:
    """One endpoint as it stands.

    Attributes
    ----------
    endpoint : Endpoint
    state : str
        ``running``; ``ended``: it was stopped; ``gone``: it was killed, or its machine was.
    bundle : Bundle or None
        ``None``: this project did not export it.
    live : mapping
        What the server tells of itself; empty where it does not run, or asks for a token.
    logged : mapping
        What its log comes to; see `mlmagic.store.Store.logged`.
    rules : tuple of Firing
    not_run : mapping
        Rule -> why it does not run.
    drift : mapping
        ``verdict, columns, drifted, rows, note``; empty where nothing was compared.
    note : str
        What else there is to say.
    """

    endpoint: Endpoint
    state: State
    bundle: Bundle | None = None
    live: Mapping[str, Any] = field(default_factory=dict)
    logged: Mapping[str, Any] = field(default_factory=dict)
    rules: tuple[Firing, ...] = ()
    not_run: Mapping[str, str] = field(default_factory=dict)
    drift: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def name(self) -> str:
        return self.endpoint.name or self.endpoint.endpoint_id

    @property
    def version(self) -> str:
        return str(self.live.get("version") or (self.bundle.version if self.bundle is not None else ""))

    @property
    def requests(self) -> int:
        """That were answered; of one that has ended, those in its log."""
        return int(self.live.get("requests", self.logged.get("requests", 0)))

    @property
    def rows(self) -> int:
        return int(self.live.get("rows", self.logged.get("rows", 0)))

    @property
    def requests_per_second(self) -> float | None:
        """Of the last seconds; of one that has ended, over the time of its log."""
        if self.live:
            return _number(self.live.get("requests_per_second"))
        first, last = self.logged.get("first"), self.logged.get("last")
        return self.requests / (last - first) if first is not None and last is not None and last > first else None

    @property
    def times(self) -> tuple[float | None, float | None]:
        """Milliseconds that half, and all but 1 %, stayed below: of a request; of one that has ended, of a batch."""
        if self.live:
            return _number(self.live.get("p50_ms")), _number(self.live.get("p99_ms"))
        found = [self.logged.get(name) for name in ("p50", "p99")]
        p50, p99 = (None if one is None else 1000 * one for one in found)
        return p50, p99

    @property
    def batch(self) -> float | None:
        """Rows of a batch, on average."""
        if self.live:
            batches = self.live.get("batches")
            return self.rows / batches if batches else None
        return _number(self.logged.get("batch_mean"))

    @property
    def drifted(self) -> tuple[str, ...]:
        return tuple(self.drift.get("drifted", ()))

    @property
    def headline(self) -> str:
        """Name, version, state and address in one line."""
        version = f" {self.version}" if self.version else ""
        where = f" at {self.endpoint.url}" if self.state == "running" else ""
        return f"endpoint {self.name}{version}: {self.state}{where}"

    @property
    def traffic(self) -> str:
        """Requests, speed, times and batches in one line."""
        return ", ".join(self._traffic()) or "no requests yet"

    @property
    def drift_line(self) -> str:
        """What is known of drift, in one line."""
        if not self.drift:
            return "not compared"
        if self.drift.get("verdict") is None:
            return str(self.drift.get("note") or "not compared yet")
        count = f"{len(self.drifted)} of {self.drift.get('columns', 0)} columns"
        names = f": {', '.join(self.drifted[:5])}{', …' if len(self.drifted) > 5 else ''}" if self.drifted else ""
        rows = f" in the last {self.drift['rows']:,} rows" if self.drift.get("rows") else ""
        return f"{count} drifted{rows}{names}"

    def to_dict(self) -> dict[str, Any]:
        p50, p99 = self.times
        return {
            **as_json(self.endpoint),
            "state": self.state,
            "version": self.version,
            "requests": self.requests,
            "rows": self.rows,
            "requests_per_second": self.requests_per_second,
            "p50_ms": p50,
            "p99_ms": p99,
            "batch_rows": self.batch,
            "assertions": [asdict(rule) for rule in self.rules],
            "not_run": dict(self.not_run),
            "drift": dict(self.drift),
            "note": self.note,
        }  # fmt: skip

    def _traffic(self) -> Iterator[str]:
        if not self.rows and not self.requests:
            return
        yield f"{self.requests:,} requests, {self.rows:,} rows" + ("" if self.live else " in the log")
        if self.requests_per_second is not None:
            yield f"{self.requests_per_second:,.1f} requests a second"
        for name, time in zip(("p50", "p99"), self.times, strict=True):
            if time is not None:
                yield f"{name} {time:.3g} ms"
        if self.batch is not None:
            yield f"{self.batch:,.0f} rows a batch" if self.batch >= 100 else f"{self.batch:.3g} rows a batch"


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
        lines.append(f"{watched['unlogged']:,} rows were answered and not looked at: they came too fast")
    lines += [str(trouble) for trouble in (watched.get("log_error"), one.note) if trouble]
    if watched and not str(watched.get("watcher", "alive")).startswith("alive"):
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
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _WIDE else text[:_WIDE] + "…"


def _worries(one: EndpointState) -> str:
    fired = [rule.name for rule in one.rules if rule.fired]
    parts = [f"fired: {', '.join(fired)}"] if fired else []
    parts += [f"drift: {', '.join(one.drifted)}"] if one.drifted else []
    return "; " + "; ".join(parts) if parts else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


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
