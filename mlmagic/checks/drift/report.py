"""What a comparison of two sets of rows came to: verdicts in, text and data out; `views` draws the pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns that drifted."""
        return tuple(column.name for column in self.columns if column.verdict == "drift")

    def text(self) -> str:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_pandas(self) -> Any:
        raise NotImplementedError
