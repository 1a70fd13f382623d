"""The step from rows to answers in bulk: a file or a table comes in, its rows with the model's answers go out.

A file is read, scored and written by the batch, so it may be larger than memory; the new file is there whole or not
at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlmagic._optional import need
from mlmagic.bundles.columns import answer_columns, answers_as_table, is_nested
from mlmagic.bundles.graph import Answers
from mlmagic.bundles.holdout import take
from mlmagic.bundles.reading import SUFFIXES, Rows, batch_rows, columns_wanted, inputs_of, open_rows, typed
from mlmagic.bundles.rows import Fault, Feeds, faults, feeds_of, rows_of
from mlmagic.bundles.schema import Schema
from mlmagic.bundles.scorer import Scorer
from mlmagic.bundles.writing import written
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.results import Result

SHOWN = 5  # faults that are told


@dataclass(frozen=True, repr=False)
class ScoreReport(Result):
    """What became of a file.

    Attributes
    ----------
    bundle, version, source, path : str
        What was scored by what, and where the answers are.
    rows, nulls : int
        Rows; those of them without an answer.
    seconds : float
    columns : tuple of str
        Of the answers.
    faults : tuple of Fault
        Why the first rows without an answer have none; rows from 0.
    """

    bundle: str
    version: str
    source: str
    path: str
    rows: int
    nulls: int
    seconds: float
    columns: tuple[str, ...]
    faults: tuple[Fault, ...] = ()

    def text(self) -> str:
        rate = f"{self.rows / self.seconds:,.0f} rows/s" if self.seconds > 0 else "at once"
        lines = [
            f"wrote {self.path}: {self.rows:,} rows in {self.seconds:.1f} s ({rate}), answers of {self.bundle} "
            f"({self.version}) as {_some(self.columns)}"
        ]
        if self.nulls:
            lines.append(f"{self.nulls:,} rows have no answer; the first, counted from 0:")
            lines += [f"  {fault}" for fault in self.faults]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        told = [{"row": one.row, "column": one.column, "reason": one.reason} for one in self.faults]
        return {**plain, "columns": list(self.columns), "faults": told}

    def to_pandas(self) -> Any:
        """The rows without an answer that are told."""
        import pandas

        return pandas.DataFrame(self.to_dict()["faults"], columns=["row", "column", "reason"])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


# -- files -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """How a file is to be scored.

    Attributes
    ----------
    keep : sequence of str or None
        Columns of the file that stand before the answers; ``None``: all.
    batch_rows : int or None
        Rows that are in memory at a time; ``None``: by the number of columns.
    null_bad_rows : bool
        A row that the model does not take gets no answer, instead of ending it all.
    progress : callable or None
        Told the rows done so far, after each batch.
    """

    keep: Sequence[str] | None = None
    batch_rows: int | None = None
    null_bad_rows: bool = False
    progress: Callable[[int], None] | None = None


def score_file(scorer: Scorer, source: Path, target: Path, wish: Wish, *, name: str, version: str) -> ScoreReport:
    """Write the answers for a file's rows, in their order, as CSV or Parquet by the suffix.

    Raises
    ------
    MisuseError, UnknownNameError
        A file is of another kind, a column is missing, a row is not one that the model takes; one line.
    """
    began = time.perf_counter()
    rows = open_rows(source)
    _check_target(source, target, scorer.schema)
    names = columns_wanted(scorer.schema, rows.names)
    kept = _kept(rows, wish.keep, answer_columns(scorer.schema))
    size = wish.batch_rows or batch_rows(len(set(names) | set(kept)))
    if size < 1:
        raise MisuseError(f"a batch has at least one row, not {size}")
    text = target.suffix == ".csv"
    done, found = 0, _Found(wish.null_bad_rows, source)
    with written(target) as write:
        for batch in rows.batches(list(dict.fromkeys([*names, *kept])), size):
            answers = _answers(scorer, *inputs_of(scorer.schema, batch, names, rows.is_text), done, found)
            before = batch.select(kept)
            write(_beside(typed(scorer.schema, before, names) if rows.is_text and not text else before, answers))
            done += batch.num_rows
            if wish.progress is not None:
                wish.progress(done)
        if not done:
            write(_beside(_nothing(rows, kept), answers_as_table(scorer.schema, {}, np.zeros(0, np.bool_))))
    seconds = time.perf_counter() - began
    columns = tuple(answer_columns(scorer.schema))
    return ScoreReport(
        name, version, str(source), str(target), done, found.count, seconds, columns, tuple(found.faults)
    )


def _check_target(source: Path, target: Path, schema: Schema) -> None:
    if target.suffix not in SUFFIXES:
        raise MisuseError(f"answers are written to {' or '.join(SUFFIXES)}, not to {target.name!r}")
    if not target.absolute().parent.is_dir():
        raise MisuseError(f"there is no folder {target.absolute().parent}")
    if target.exists() and target.samefile(source):
        raise MisuseError(f"{target} is the file that is read: give the answers another name")
    if target.suffix == ".csv" and any(map(is_nested, schema.outputs)):
        raise MisuseError("the model answers with arrays, which CSV has no form for: write to .parquet")


def _kept(rows: Rows, keep: Sequence[str] | None, answers: Sequence[str]) -> list[str]:
    kept = list(rows.names) if keep is None else list(dict.fromkeys(keep))
    for name in kept:
        if name not in rows.names:
            raise UnknownNameError.among("column of the file", name, rows.names)
    both = [name for name in kept if name in answers]
    if both:
        raise MisuseError(
            f"{rows.path} has a column {both[0]!r}, as the answers have: name the columns to keep (--keep A,B), "
            f"or keep none (--only-answers)"
        )
    return kept


class _Found:
    """The rows without an answer so far."""

    def __init__(self, allowed: bool, source: Path) -> None:
        self.allowed, self.source = allowed, source
        self.count = 0
        self.faults: list[Fault] = []

    def add(self, faults: Mapping[int, Fault], first: int) -> None:
        """Faults of a batch whose first row is this one in the file."""
        for row in sorted(faults)[: max(0, SHOWN - len(self.faults))]:
            self.faults.append(Fault(first + row, faults[row].column, faults[row].reason))
        if faults and not self.allowed:
            cure = "mend it, or have such rows answered by null (--bad-rows null)"
            raise MisuseError(f"{self.source}, {self.faults[0]} (rows count from 0): {cure}")
        self.count += len(faults)


def _answers(scorer: Scorer, feeds: Feeds, faults: Mapping[int, Fault], first: int, found: _Found) -> Any:
    found.add(faults, first)
    fine = np.ones(rows_of(feeds), np.bool_)
    fine[list(faults)] = False
    given = take(feeds, fine) if faults else feeds
    return answers_as_table(scorer.schema, scorer.score(given) if fine.any() else {}, fine)


def _beside(rows: Any, answers: Any) -> Any:
    for name in answers.column_names:
        rows = rows.append_column(name, answers.column(name))
    return rows


def _nothing(rows: Rows, kept: Sequence[str]) -> Any:
    """The kept columns of a file without rows."""
    arrow, parquet = need("pyarrow"), need("pyarrow.parquet")
    if rows.is_text:
        return arrow.table({name: arrow.array([], arrow.string()) for name in kept})
    return parquet.read_schema(rows.path).empty_table().select(list(kept))


# -- tables in memory --------------------------------------------------------------------------------


def score_table(scorer: Scorer, data: Any, null_bad_rows: bool = False) -> Any:
    """The answers for a table or an array, as an Arrow table.

    Raises
    ------
    MisuseError, UnknownNameError
        A column is missing or of another kind, a row is not one that the model takes; one line.
    """
    feeds = feeds_of(scorer.schema, data)
    wrong = faults(scorer.schema, feeds)
    if wrong and not null_bad_rows:
        first = wrong[min(wrong)]
        raise MisuseError(f"{first} (rows count from 0): mend it, or have such rows answered by null (bad_rows='null')")
    fine = np.ones(rows_of(feeds), np.bool_)
    fine[list(wrong)] = False
    pieces = score_in_pieces(scorer, take(feeds, fine) if wrong else feeds)
    return answers_as_table(scorer.schema, pieces, fine)


def score_in_pieces(scorer: Scorer, feeds: Feeds) -> Answers:
    """Answers for many rows, a batch at a time: what the graph computes in between has to fit in memory, too."""
    rows, size = rows_of(feeds), batch_rows(scorer.schema.width)
    if not rows:
        return {}
    parts = [scorer.score(take(feeds, np.arange(at, min(at + size, rows)))) for at in range(0, rows, size)]
    return parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
