"""The step from batches to verdicts: an endpoint's rows come in, what the bundle's assertions said of them goes out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlmagic.bundles.folder import Bundle
from mlmagic.bundles.rows import columns_of, frame_of_columns
from mlmagic.bundles.rules import rules_in
from mlmagic.checks.assertions import Checked, Rule, run
from mlmagic.checks.flagged import Flagged, worst_rows
from mlmagic.errors import MlmagicError
from mlmagic.records import AssertionResult
from mlmagic.serving.answered import Answered

BATCH_ROWS = 200  # a rule works on a data frame: for one row that costs a millisecond, for 200 hardly more
BATCH_SECONDS = 2.0  # until fewer rows are looked at
WRITE_FIRED, WRITE_FINE = 5.0, 60.0  # seconds between two results of a rule in the journal
_WORST = 10
_SLOW = 3  # times in a row that a rule may be stopped for taking too long
_UNSIGNED = "the bundle is not signed with your key: serve it with --trust to run its Python rules"


@dataclass
class _Tally:
    """What a rule said since its last result."""

    at: float = 0.0  # of the last rows
    rows: int = 0
    fired: int = 0
    severity_max: float | None = None
    seconds: float = 0.0
    error: str | None = None
    worst: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class _Watched:
    """A rule, what it said since its last result, and in all."""

    rule: Rule
    good: _Tally = field(default_factory=_Tally)
    failed: _Tally = field(default_factory=_Tally)
    written: float = 0.0
    rows: int = 0
    fired: int = 0
    error: str | None = None
    slow: int = 0


class RuleWatch:
    """A bundle's assertions at work on the rows of an endpoint.

    Parameters
    ----------
    bundle : Bundle
    endpoint_id : str
    trusted : bool
        Its rules may run here: they are Python.
    """

    def __init__(self, bundle: Bundle, endpoint_id: str, *, trusted: bool) -> None:
        self._bundle = bundle
        self._endpoint_id = endpoint_id
        self._waiting: list[Answered] = []
        self._rows = 0
        self._since = 0.0
        self.not_run: dict[str, str] = {}
        self._rules = [_Watched(rule) for rule in self._ready(trusted)]

    @property
    def waiting(self) -> int:
        """Rows that no rule has seen yet."""
        return self._rows

    def take(self, answered: Answered) -> None:
        """Keep a batch for the next look."""
        if self._rules:
            self._since = self._since or time.time()
            self._waiting.append(answered)
            self._rows += sum(count for _, _, count in answered.requests)

    def look(self, now: float, *, last: bool = False) -> list[AssertionResult]:
        """Run the rules when enough rows or seconds have come together; the results that are due for the journal."""
        if self._waiting and (last or self._rows >= BATCH_ROWS or now - self._since >= BATCH_SECONDS):
            self._run()
        return [result for one in self._rules for result in self._due(one, now, last)]

    def told(self) -> list[dict[str, Any]]:
        """Of each rule: its name, rows, how many fired, their rate, and the last error."""
        return [
            {
                "name": one.rule.name,
                "rows": one.rows,
                "fired": one.fired,
                "rate": one.fired / one.rows if one.rows else None,
                "error": one.error,
            }
            for one in self._rules
        ]

    def _ready(self, trusted: bool) -> Iterator[Rule]:
        try:
            records = rules_in(self._bundle)
        except MlmagicError as error:
            self.not_run["assertions"] = str(error)
            return
        for record in records:
            try:
                if trusted:
                    yield Rule.of_record(record)
                else:
                    self.not_run[record.name] = _UNSIGNED
            except (MlmagicError, SyntaxError, ImportError) as error:
                self.not_run[record.name] = str(error)

    def _run(self) -> None:
        batches, self._waiting, self._rows, self._since = self._waiting, [], 0, 0.0
        schema = self._bundle.schema
        parts = zip(*(columns_of(schema, batch.feeds) for batch in batches), strict=True)
        try:
            inputs = frame_of_columns(schema, [np.concatenate(part) for part in parts])
        except ImportError as error:
            self._give_up(f"{error.name} is not installed here")
            return
        outputs = np.concatenate([batch.answers[schema.answers] for batch in batches])
        at = batches[-1].at
        checked = [run(one.rule, inputs, outputs) for one in self._rules]
        worst = worst_rows(Flagged.of(checked, inputs, outputs), checked, _WORST)
        places = _places(batches)
        for one, found in zip(self._rules, checked, strict=True):
            _count(one, found, at, [{**row, **places[row["row"]]} for row in worst[found.name]])
        self._leave_out_slow()

    def _leave_out_slow(self) -> None:
        for one in self._rules:
            if one.slow >= _SLOW:
                self.not_run[one.rule.name] = f"not run any more: {one.error}, {_SLOW} times in a row"
        self._rules = [one for one in self._rules if one.slow < _SLOW]

    def _give_up(self, why: str) -> None:
        self.not_run.update({one.rule.name: why for one in self._rules})
        self._rules = []

    def _due(self, one: _Watched, now: float, last: bool) -> Iterator[AssertionResult]:
        wait = WRITE_FIRED if one.good.fired or one.failed.rows else WRITE_FINE
        if not last and now - one.written < wait:
            return
        for tally in (one.good, one.failed):
            if tally.rows:
                one.written = now
                yield self._result(one.rule, tally)
        one.good, one.failed = _Tally(), _Tally()

    def _result(self, rule: Rule, tally: _Tally) -> AssertionResult:
        return AssertionResult(
            assertion_id=rule.assertion_id,
            at=tally.at,
            model_version=self._bundle.manifest.get("model_version"),
            data_version=None,
            endpoint_id=self._endpoint_id,
            rows=tally.rows,
            fired=tally.fired,
            severity_max=tally.severity_max,
            worst=tuple(tally.worst),
            name=rule.name,
            seconds=tally.seconds,
            error=tally.error,
        )


def _count(one: _Watched, found: Checked, at: float, worst: Sequence[dict[str, Any]]) -> None:
    """Add what a rule said of some rows."""
    tally = one.good if found.error is None else one.failed
    tally.at, tally.error = at, found.error
    tally.rows += found.rows
    tally.fired += found.fired
    tally.seconds += found.seconds
    if found.severity_max is not None:
        tally.severity_max = max(found.severity_max, tally.severity_max or 0.0)
    tally.worst = sorted([*tally.worst, *worst], key=lambda row: -row["severity"])[:_WORST]
    one.rows += found.rows
    one.fired += found.fired
    one.error = found.error
    one.slow = one.slow + 1 if (found.error or "").startswith("stopped after") else 0


def _places(batches: Sequence[Answered]) -> list[Mapping[str, Any]]:
    """Of each row, which one it is in which request."""
    return [
        {"row": row, "request_id": request_id}
        for batch in batches
        for request_id, first, count in batch.requests
        for row in range(first, first + count)
    ]
