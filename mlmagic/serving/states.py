"""What there is to know of one endpoint: its record and what its server tells come in, figures in words go out.

What runs tells of itself; of what has ended, the log does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from mlmagic.records import Bundle, Endpoint, as_json

State: TypeAlias = Literal["running", "ended", "gone"]


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
        if not self.rows:
            return f"{self.name}: no rows yet"
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
        return ", ".join(self._traffic()) or f"no requests{' yet' if self.state == 'running' else ''}"

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
        yield f"{_counted(self.requests, 'request')}, {_counted(self.rows, 'row')}" + (
            "" if self.live else " in the log"
        )
        if self.requests_per_second is not None:
            yield f"{self.requests_per_second:,.1f} requests a second"
        for name, time in zip(("p50", "p99"), self.times, strict=True):
            if time is not None:
                yield f"{name} {time:.3g} ms{'' if self.live else ' a batch'}"
        if self.batch is not None:
            size = f"{self.batch:,.0f}" if self.batch >= 100 else f"{self.batch:.3g}"
            yield f"{size} {'row' if size == '1' else 'rows'} a batch"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
