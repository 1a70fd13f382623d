"""What a comparison of two sets of rows came to: verdicts in, text and data out; `views` draws the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from mlmagic.results import Result

Verdict = Literal["ok", "warn", "drift", "unknown"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One statistic of one column, or of all jointly; fields as in `records.Drift`."""

    method: str
    statistic: float | None
    p_value: float | None = None
    q_value: float | None = None
    threshold: float | None = None
    drifted: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shares:
    """How the rows of a column fall into bins or categories, for its picture.

    Attributes
    ----------
    edges : tuple of float
        Inner edges of the reference's bins (one fewer than bins); empty for categories.
    labels : tuple of str
        Of categories; empty for bins.
    reference, current : tuple of float
        Shares of the rows that are not null.
    """

    edges: tuple[float, ...]
    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """What became of one column; `verdict` sums up its measures, `because` says in words why it is not ``ok``."""

    name: str
    kind: str
    verdict: Verdict
    because: str
    measures: tuple[Measured, ...]
    shares: Shares | None = None


@dataclass(frozen=True, slots=True)
class JointDrift:
    """What a classifier could tell of the two sets.

    Attributes
    ----------
    measured : Measured
        Its out-of-fold AUC.
    columns : tuple of (str, float)
        Those by which it told them apart, the strongest first, with their share.
    rows : tuple of int
        Rows of the current data that look least like the reference, worst first.
    left_out : tuple of str
        Columns not used: ids, times.
    """

    measured: Measured
    verdict: Verdict
    columns: tuple[tuple[str, float], ...] = ()
    rows: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class DriftReport(Result):
    """The verdicts on all columns, those that drifted first."""

    reference: str
    current: str
    reference_rows: int
    current_rows: int
    columns: tuple[ColumnDrift, ...]
    joint: JointDrift | None = None
    alpha: float = 0.05
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """What was compared, and how many columns came out as what, in one line."""
        counts = [(sum(one.verdict == verdict for one in self.columns), verdict) for verdict in ("warn", "unknown")]
        more = "".join(f", {number} {verdict}" for number, verdict in counts if number)
        rows = f"{self.current} ({self.current_rows:,} rows) against {self.reference} ({self.reference_rows:,} rows)"
        return f"{rows}: {len(self.drifted)} of {len(self.columns)} columns drifted{more}"

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns that drifted."""
        return tuple(column.name for column in self.columns if column.verdict == "drift")

    def text(self) -> str:
        worth = [column for column in self.columns if column.verdict != "ok"]
        lines = [self.headline, *_table(worth), *([_told(self.joint)] if self.joint is not None else []), *self.notes]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_pandas(self) -> Any:
        """One row for each statistic of each column; the joint one has no column."""
        import pandas

        rows: list[dict[str, Any]] = []
        for column in self.columns:
            about = {"column_name": column.name, "kind": column.kind, "verdict": column.verdict}
            rows += [about | asdict(one) | {"because": column.because} for one in column.measures or (_NOTHING,)]
        if self.joint is not None:
            rows.append({"verdict": self.joint.verdict, **asdict(self.joint.measured)})
        names = [field.name for field in fields(Measured)]
        return pandas.DataFrame(rows, columns=["column_name", "kind", "verdict", *names, "because"])


_NOTHING = Measured("", None)  # the row of a column that was not measured
_WIDEST_NAME = 30


def _table(columns: Sequence[ColumnDrift]) -> list[str]:
    """A line for each column: verdict, name, why."""
    names = [_short(column.name) for column in columns]
    width = max(map(len, names), default=0)
    return [
        f"  {column.verdict:<7}  {name:<{width}}  {column.because}".rstrip()
        for column, name in zip(columns, names, strict=True)
    ]


def _short(name: str) -> str:
    return name if len(name) <= _WIDEST_NAME else f"{name[: _WIDEST_NAME - 1]}…"


def _told(joint: JointDrift) -> str:
    if joint.measured.statistic is None:
        return f"jointly: unknown ({joint.measured.note})"
    by = ", ".join(f"{name} {share:.0%}" for name, share in joint.columns[:5])
    rows = ", ".join(str(row) for row in joint.rows[:5])
    more = f"; by {by}; rows least like the reference: {rows}" if by else ""
    found = f"AUC {joint.measured.statistic:.3f}, p = {joint.measured.p_value:.2g}"
    return f"jointly: {joint.verdict} ({found}){more}"
