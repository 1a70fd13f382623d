"""What assertions came to, for their reader: rules and what they said in, text and data out; `views` draws them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlmagic.records import Assertion, AssertionResult, as_json
from mlmagic.results import Result

GLYPHS = {"fine": "✓", "fired": "▲", "failed": "✗", "not run": "·"}
SHOWN = 5  # worst rows in the text face
_COLUMNS = 6  # of a worst row in the text face
_NONE_YET = "no assertions yet: put %%assertion NAME on top of a cell with a function of inputs and outputs"


@dataclass(frozen=True, slots=True)
class Past:
    """A rule's firing on one version of a model and of data.

    Attributes
    ----------
    made : str
        The cell that made the model, in words.
    """

    at: float
    model_version: str | None
    data_version: str | None
    rows: int
    fired: int
    severity_max: float | None
    error: str | None
    made: str

    @property
    def rate(self) -> float | None:
        return None if self.error is not None or not self.rows else self.fired / self.rows

    @property
    def said(self) -> str:
        return f"no answer: {self.error}" if self.error is not None else rate_in_words(self.fired, self.rows)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule, what it said last, and what it said of each version of the model before.

    Attributes
    ----------
    rule : Assertion
    last : AssertionResult or None
        ``None``: it never ran.
    history : tuple of Past
        One for each version of the model that it ran on, the last result of each; oldest first.
    definitions : int
        How often a rule of this name was defined.
    """

    rule: Assertion
    last: AssertionResult | None = None
    history: tuple[Past, ...] = ()
    definitions: int = 1

    @property
    def state(self) -> str:
        if self.last is None:
            return "not run"
        return "failed" if self.last.error is not None else "fired" if self.last.fired else "fine"

    @property
    def rate(self) -> float | None:
        return None if self.last is None or self.last.error is not None else self.last.fired / max(self.last.rows, 1)

    @property
    def said(self) -> str:
        """What it said last, in words."""
        if self.last is None:
            return "never run"
        if self.last.error is not None:
            return f"no answer: {self.last.error}"
        if not self.last.fired:
            return f"fine on {self.last.rows:,} rows"
        severity = f", severity up to {self.last.severity_max:g}" if self.last.severity_max is not None else ""
        return f"fired on {rate_in_words(self.last.fired, self.last.rows)}{severity}"

    @property
    def line(self) -> str:
        """Glyph, name and what it said."""
        action = "" if self.rule.action == "monitor" else f" [{self.rule.action}]"
        return f"{GLYPHS[self.state]} {self.rule.name}{action}: {self.said}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": as_json(self.rule),
            "state": self.state,
            "last": None if self.last is None else as_json(self.last),
            "history": [{**as_json(past), "rate": past.rate} for past in self.history],
        }


@dataclass(frozen=True, repr=False)
class CheckReport(Result):
    """What the assertions said of a model on some rows.

    Attributes
    ----------
    model, data : str or None
        As the user named them; ``None``: of several models.
    verdicts : tuple of Verdict
    left_out : tuple of str
        Rules that were not run, because their cells were not run in this kernel.
    severities : pandas.DataFrame or None
        A column for each rule that answered, with the index of the rows; right after a run only.
    """

    verdicts: tuple[Verdict, ...]
    model: str | None = None
    data: str | None = None
    rows: int | None = None
    left_out: tuple[str, ...] = ()
    severities: Any = field(default=None, compare=False)

    def count(self, state: str) -> int:
        """How many rules are in this state: ``fine``, ``fired``, ``failed``, ``not run``."""
        return sum(one.state == state for one in self.verdicts)

    @property
    def headline(self) -> str:
        if not self.verdicts:
            return _NONE_YET
        counts = [
            f"{number} {state}" for state in ("fired", "failed", "fine", "not run") if (number := self.count(state))
        ]
        where = f" on {self.data} ({self.rows:,} rows)" if self.data is not None and self.rows is not None else ""
        number = len(self.verdicts)
        of = f" of {self.model}" if self.model else ""
        return f"{number} assertion{'s' if number != 1 else ''}{of}{where}: {', '.join(counts)}"

    def text(self) -> str:
        lines = [self.headline]
        for one in self.verdicts:
            lines.append(f"  {one.line}")
            lines += [f"      {told}" for told in _history_in_words(one)]
            lines += [f"      {told}" for told in _worst_in_words(one)]
        if self.left_out:
            lines.append(left_out_in_words(self.left_out))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "data": self.data,
            "rows": self.rows,
            "verdicts": [one.to_dict() for one in self.verdicts],
            "left_out": list(self.left_out),
        }

    def to_pandas(self) -> Any:
        """A row for each rule."""
        import pandas as pd

        names = ["name", "state", "rows", "fired", "rate", "severity_max", "seconds", "error", "action", "portable"]
        return pd.DataFrame([_row(one) for one in self.verdicts], columns=names)


@dataclass(frozen=True, repr=False)
class AssertionReport(Result):
    """One rule: its text, what it needs, what it said of each version of the model, and the worst rows."""

    verdict: Verdict

    def text(self) -> str:
        rule = self.verdict.rule
        lines = [self.verdict.line, *about(self.verdict), ""]
        lines += [f"    {line}" for line in rule.source.rstrip().splitlines()]
        lines += ["", *_table(("model", "said"), [(past.made, past.said) for past in self.verdict.history])]
        return "\n".join([*lines, *_worst_in_words(self.verdict)]).rstrip()

    def to_dict(self) -> dict[str, Any]:
        return self.verdict.to_dict()

    def to_pandas(self) -> Any:
        """Its history: a row for each version of the model."""
        import pandas as pd

        names = ["at", "model_version", "data_version", "rows", "fired", "rate", "severity_max", "error", "made"]
        rows = [{**as_json(past), "rate": past.rate} for past in self.verdict.history]
        return pd.DataFrame(rows, columns=names)


@dataclass(frozen=True, repr=False)
class AssertionList(Result):
    """The assertions of a project."""

    verdicts: tuple[Verdict, ...]

    def text(self) -> str:
        return "\n".join(one.line + _on(one.rule) for one in self.verdicts) or _NONE_YET

    def to_dict(self) -> dict[str, Any]:
        return {"assertions": [one.to_dict() for one in self.verdicts]}

    def to_pandas(self) -> Any:
        import pandas as pd

        rows = [{**as_json(one.rule), "definitions": one.definitions, "state": one.state} for one in self.verdicts]
        return pd.DataFrame(rows)


@dataclass(frozen=True, repr=False)
class RowList(Result):
    """Rows that fired, with their data.

    Attributes
    ----------
    purpose : str
        What they are for: the heading.
    rows : tuple of mapping
        `row`, `assertion`, `severity`, `chance` (of picked ones), `output`, `inputs`.
    """

    purpose: str
    rows: tuple[Mapping[str, Any], ...]

    def text(self) -> str:
        if not self.rows:
            return f"{self.purpose}: none"
        header, cells = row_table(self.rows, _COLUMNS)
        return "\n".join([self.purpose, *(f"  {line}" for line in _table(header, cells))])

    def to_dict(self) -> dict[str, Any]:
        return {"purpose": self.purpose, "rows": [dict(row) for row in self.rows]}

    def to_pandas(self) -> Any:
        """A row for each; the inputs as columns."""
        import pandas as pd

        told = [{key: value for key, value in row.items() if key != "inputs"} for row in self.rows]
        return pd.DataFrame([{**one, **row["inputs"]} for one, row in zip(told, self.rows, strict=True)])


# -- words -----------------------------------------------------------------------------------------


def rate_in_words(fired: int, rows: int) -> str:
    """`3 of 120 rows (2.5%)`."""
    share = fired / rows if rows else 0.0
    digits = 1 if share >= 0.001 or not share else min(6, -math.floor(math.log10(share)) - 2)
    return f"{fired:,} of {rows:,} rows ({100 * share:.{digits}f}%)"


def about(one: Verdict) -> list[str]:
    """What there is to know of a rule besides its text."""
    rule = one.rule
    lines = [f"on {rule.model or 'any model'}; action {rule.action}; defined {one.definitions} times"]
    if one.definitions == 1:
        lines = [lines[0].removesuffix("; defined 1 times")]
    if rule.imports:
        lines.append(f"takes along: {'; '.join(rule.imports)}")
    if rule.constants:
        lines.append(f"constants, as they were when it was defined: {_pairs(rule.constants)}")
    return [*lines, "portable" if rule.portable else f"not portable, runs in this notebook only: {rule.obstacle}"]


def left_out_in_words(names: Sequence[str]) -> str:
    """Why some rules were not run."""
    return f"not run, because this kernel has not run their cells: {', '.join(names)}"


def row_table(rows: Sequence[Mapping[str, Any]], columns: int) -> tuple[list[str], list[list[str]]]:
    """Heading and cells of rows with their data; the first so many of the inputs."""
    names = list(dict.fromkeys(name for row in rows for name in row["inputs"]))[:columns]
    own = [key for key in ("assertion", "row", "severity", "chance", "output") if any(key in row for row in rows)]
    cells = [
        [*(_told(row.get(key)) for key in own), *(_told(row["inputs"].get(name)) for name in names)] for row in rows
    ]
    return [*own, *names], cells


def _on(rule: Assertion) -> str:
    obstacle = "" if rule.portable else f"; not portable: {rule.obstacle}"
    return f" (on {rule.model or 'any model'}{obstacle})"


def _history_in_words(one: Verdict) -> list[str]:
    """Nothing where there is only one version: that was just said."""
    if len(one.history) < 2:
        return []
    rates = ["no answer" if past.rate is None else f"{100 * past.rate:.1f}%" for past in one.history[-6:]]
    return [f"by model version: {' → '.join(rates)}"]


def _worst_in_words(one: Verdict) -> list[str]:
    worst = one.last.worst if one.last is not None else ()
    if not worst:
        return []
    header, cells = row_table(worst[:SHOWN], _COLUMNS)
    return ["worst rows:", *(f"  {line}" for line in _table(header, cells))]


def _row(one: Verdict) -> list[Any]:
    last = one.last
    about_it = [None] * 2 if last is None else [last.rows, last.fired]
    rest = [None] * 3 if last is None else [last.severity_max, last.seconds, last.error]
    return [one.rule.name, one.state, *about_it, one.rate, *rest, one.rule.action, one.rule.portable]


def _told(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, list, tuple)):
        return "" if value is None else str(value)[:30]
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_told, value[:4])) + (", …]" if len(value) > 4 else "]")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_told(value)}" for name, value in values.items())


def _table(header: Iterable[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    every = [list(header), *rows]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    return ["  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in every]
