"""The step from a column to groups of rows: a name or an array comes in, labels and the rows behind them go out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.insight.asking import array_of
from mlmagic.insight.shapes import Names
from mlmagic.tables import table_of

MOST_GROUPS = 30
MANY = 20  # numbers of more values than this are grouped by quartile
MISSING = "(missing)"


@dataclass(frozen=True, slots=True)
class Grouping:
    """Rows by a column: its name, the rows of each label, and what to know of them."""

    name: str
    groups: tuple[tuple[str, NDArray[np.int64]], ...]
    notes: tuple[str, ...] = ()


def grouping_of(X: Any, by: Any, rows: int, names: Names) -> Grouping:  # noqa: N803
    """The groups of a column of X, or of one value for each row; the largest `MOST_GROUPS` of them.

    Raises
    ------
    UnknownNameError, MisuseError
        X has no such column; the array has another length.
    """
    values, name = _column(X, by, names)
    if len(values) != rows:
        raise MisuseError(
            f"the groups have {len(values):,} values and {names.data} has {rows:,} rows: they must be equal"
        )
    labels, codes, notes = _labelled(values, name)
    sizes = np.bincount(codes, minlength=len(labels))
    many = int(np.count_nonzero(sizes))
    if many > MOST_GROUPS:
        notes = (*notes, f"{name} has {many:,} groups: the {MOST_GROUPS} largest are shown")
    largest = np.argsort(-sizes, kind="stable")[: min(many, MOST_GROUPS)]
    return Grouping(name, tuple((labels[place], np.flatnonzero(codes == place)) for place in largest), notes)


def _column(X: Any, by: Any, names: Names) -> tuple[NDArray[Any], str]:  # noqa: N803
    if not isinstance(by, (str, int, np.integer)):
        name = getattr(by, "name", None)
        return array_of(by, "the groups"), str(name) if isinstance(name, str) and name else "group"
    known = getattr(X, "column_names", getattr(X, "columns", None))  # Arrow; pandas and polars
    if known is None or not hasattr(X, "__array__"):  # a DuckDB relation could give its rows in another order
        raise MisuseError(f"{names.data} is a {type(X).__name__} without named columns: give the groups as an array")
    same = next((column for column in known if column == by), None)
    found = same if same is not None else next((column for column in known if str(column) == str(by)), None)
    if found is None:
        raise UnknownNameError.among(f"column of {names.data}", str(by), map(str, known))
    return array_of(X[found], f"column {str(by)!r}"), str(by)


def _labelled(values: NDArray[Any], name: str) -> tuple[list[str], NDArray[np.int64], tuple[str, ...]]:
    """Labels and each row's place among them; nulls are a group of their own."""
    table = table_of({name: values})
    if table.column(name).kind == "numeric":
        numbers = table.numbers(name)
        if len(np.unique(numbers[~np.isnan(numbers)])) > MANY:
            return _quartiles(numbers, name)
    codes, labels = table.labels(name)
    return [*labels, MISSING], np.where(codes < 0, len(labels), codes), ()


def _quartiles(values: NDArray[np.float64], name: str) -> tuple[list[str], NDArray[np.int64], tuple[str, ...]]:
    """Four groups of about equal size, upper ends included; fewer where values repeat."""
    known = values[~np.isnan(values)]
    if np.isfinite(known).all():
        low, *uppers = np.quantile(known, [0, 0.25, 0.5, 0.75, 1])
    else:  # between a number and infinity there is nothing: values that occur
        low, *uppers = np.quantile(known, [0, 0.25, 0.5, 0.75, 1], method="inverted_cdf")
    ends = np.unique(uppers)
    codes = np.searchsorted(ends, values, side="left")
    labels = [f"{a:.4g}" if a == b else f"{a:.4g} to {b:.4g}" for a, b in pairwise([low, *ends])]
    note = f"{name} holds many numbers: its rows are grouped by quartile, upper ends included"
    return [*labels, MISSING], np.where(np.isnan(values), len(labels), codes), (note,)
