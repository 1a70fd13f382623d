"""What an evaluation came to, for its reader: estimates and verdicts in, text and data out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mlmagic.insight.shapes import ENOUGH, METRICS, Curves, Kind, Names
from mlmagic.results import Result

Part = Literal["test", "train", "naive", "baseline", "test - baseline", "train - test"]
State = Literal["ok", "warn", "bad"]

MARKS: Mapping[State, str] = {"ok": "✓", "warn": "▲", "bad": "✗"}
COLUMNS = ("part", "by", "group", "metric", "value", "low", "high", "rows")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its 95 % bootstrap interval; fields as in `records.Evaluation`.

    Attributes
    ----------
    part : str
        ``test``; ``train``; ``naive`` (always the commonest class, or the mean); ``baseline`` (the model to compare
        with); ``test - baseline`` and ``train - test`` are differences.
    by, group : str or None
        Column and value of the rows it is about; `by` is ``class`` for statistics of one class. ``None``: all rows.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    part: Part
    rows: int
    by: str | None = None
    group: str | None = None

    @property
    def words(self) -> str:
        """`0.956 [0.921, 0.982]`."""
        return " ".join(part for part in (self.number, self.brackets) if part)

    @property
    def number(self) -> str:
        """The value alone."""
        return "–" if self.value is None else self._told(self.value)

    @property
    def brackets(self) -> str:
        """The interval; empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"[{self._told(self.low)}, {self._told(self.high)}]"

    def _told(self, value: float) -> str:
        """Scores end at 1 and take three decimals; errors have the size of their data."""
        return f"{value:z.3f}" if METRICS[self.metric].sign > 0 else number(value)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to make of the numbers on one question: a state, a word for it, a sentence with the numbers."""

    about: str
    state: State
    word: str
    text: str

    @property
    def line(self) -> str:
        return f"{MARKS[self.state]} {self.word}: {self.text}"


def number(value: float) -> str:
    """Three decimals for what lies about 1; about four digits for anything else."""
    size = abs(value)
    if size < 9.9995:
        return f"{value:.2g}" if 0 < size < 0.0005 else f"{value:.3f}"
    if size < 999.95:
        return f"{value:.2f}" if size < 99.995 else f"{value:.1f}"
    return f"{value:,.0f}" if size < 1e9 else f"{value:.4g}"


def span(low: float, high: float) -> str:
    """An interval in brackets."""
    return f"[{number(low)}, {number(high)}]"


@dataclass(frozen=True, repr=False)
class EvaluationResult(Result):
    """The statistics of a model on data.

    Attributes
    ----------
    names : Names
        What the user calls the model and the data.
    counts : mapping
        Part -> how many rows.
    classes : tuple of str
        Labels as text; of two, the second is `positive`.
    headline : str
        The statistic that verdicts are about.
    estimates : tuple of Estimate
        Overall ones first, then classes, then groups, the worst first.
    judged : mapping
        Group -> why it cannot be judged; empty text where it can.
    naive : str
        What the simplest answer is: `always 1`, `always the mean`.
    """

    kind: Kind
    names: Names
    counts: Mapping[str, int]
    classes: tuple[str, ...]
    positive: str | None
    headline: str
    estimates: tuple[Estimate, ...]
    verdicts: tuple[Verdict, ...]
    curves: Curves
    naive: str
    by: str | None = None
    judged: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()
    seed: int = 0

    @property
    def metrics(self) -> dict[str, Estimate]:
        """Statistic -> its estimate on all test rows."""
        return self.of("test")

    def of(self, part: Part, by: str | None = None, group: str | None = None) -> dict[str, Estimate]:
        """Statistic -> estimate, of one part, class or group."""
        wanted = (part, by, group)
        return {e.metric: e for e in self.estimates if (e.part, e.by, e.group) == wanted}

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts there are to compare, in the order of columns."""
        every: tuple[Part, ...] = ("test", "train", "naive", "baseline", "test - baseline")
        found = {estimate.part for estimate in self.estimates}
        return tuple(part for part in every if part in found)

    def groups(self, by: str) -> tuple[str, ...]:
        """The groups of a column, or the classes, in order."""
        return tuple(dict.fromkeys(e.group for e in self.estimates if e.by == by and e.group is not None))

    @property
    def title(self) -> str:
        """What was evaluated, in one line."""
        what = {"binary": "two classes", "multiclass": f"{len(self.classes)} classes", "regression": "regression"}
        asked = f"{self.names.model} on {self.names.data}, {self.names.target}"
        about = f"{asked}: {what[self.kind]}, {self.counts['test']:,} rows"
        return f"{about}; positive class {self.positive}" if self.positive is not None else about

    @property
    def legend(self) -> str:
        """What intervals are."""
        told = "95 % bootstrap intervals"
        return told if self.kind == "regression" else f"{told}, for data with these shares of classes"

    def heading(self, part: Part) -> str:
        """The column's head."""
        named = {
            "naive": self.naive,
            "baseline": self.names.baseline,
            "test - baseline": f"test − {self.names.baseline}",
        }
        return named.get(part, part)

    def rows(self) -> list[dict[str, Any]]:
        """One dict for each estimate, with the keys of `records.Evaluation`."""
        return [asdict(estimate) for estimate in self.estimates]

    # Faces -------------------------------------------------------------------------------------------------

    def text(self) -> str:
        first = self.metrics.get(self.headline)
        lines = [self.title]
        lines += [f"{METRICS[self.headline].words} {first.words}"] if first else []
        lines += [verdict.line for verdict in self.verdicts]
        lines += ["", *aligned(["", *map(self.heading, self.parts)], self.table())]
        for by in [*(["class"] if self.groups("class") else []), *([self.by] if self.by else [])]:
            lines += ["", *aligned(*self.grouped(by))]
        lines += ["", f"in brackets: {self.legend}", *(f"note: {note}" for note in self.notes)]
        return "\n".join(lines)

    def table(self) -> list[list[str]]:
        """Statistics from top to bottom, parts from left to right."""
        columns = [self.of(part) for part in self.parts]
        return [
            [METRICS[name].words, *(column[name].words if name in column else "" for column in columns)]
            for name in METRICS
            if any(name in column for column in columns)
        ]

    def grouped(self, by: str) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the statistics of classes or groups."""
        found = {group: self.of("test", by, group) for group in self.groups(by)}
        shown = [name for name in self.shown(by) if any(name in row for row in found.values())]
        reasons = self.judged or {}
        header = [by, "rows", *(METRICS[name].words for name in shown)]
        body = [
            [group, f"{next(iter(row.values())).rows:,}", *(row[name].words if name in row else "" for name in shown)]
            for group, row in found.items()
        ]
        if by == "class" or not any(reasons.values()):
            return header, body
        return [*header, ""], [[*row, reasons.get(row[0], "")] for row in body]

    def shown(self, by: str) -> Sequence[str]:
        """The statistics worth a column, the one that orders the rows first."""
        if by == "class":
            return ("recall", "precision", "roc_auc")
        return {
            "binary": (self.headline, "accuracy", "precision", "recall"),
            "multiclass": (self.headline, "accuracy", "f1_macro"),
            "regression": ("mae", "rmse", "bias"),
        }[self.kind]

    def to_dict(self) -> dict[str, Any]:
        told = asdict(self)
        return told | {"counts": dict(self.counts), "judged": dict(self.judged or {})}

    def to_pandas(self) -> Any:
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=list(COLUMNS))


def too_small(rows: int) -> str:
    """Why a group of so many rows is not judged; empty where it is."""
    return f"too small to judge: fewer than {ENOUGH} rows" if rows < ENOUGH else ""


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under each other."""
    every = [header, *rows]
    widths = [max(len(row[place]) for row in every) for place in range(len(header))]
    return ["  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in every]
