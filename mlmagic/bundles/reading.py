"""The first step of scoring a file: a path comes in, its rows go out by the batch, and each batch as checked inputs.

Of a CSV file every column is read as text: the model's schema says what is a number, not a guess from the first rows.
So "007" stays a text where the model takes one, and a column that begins with nulls needs no type.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic._optional import need
from mlmagic.bundles.rows import Fault, Feeds, faults, feeds_of_columns, read
from mlmagic.bundles.schema import NUMPY, Field, Schema
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.tables import Table

SUFFIXES = (".parquet", ".csv")
CELLS = 4_000_000  # of a batch, unless told otherwise: some 100 MB where every cell is a text
MOST_ROWS = 50_000
FEWEST_ROWS = 1_000

# What pandas takes for null in a CSV file, as the notebook did; in a text column only where it is no known category.
NULLS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
_TRUTHS = {"true": 1.0, "false": 0.0}
_BLOCK = 1 << 20  # bytes of a file that are read at a time; of a CSV file Arrow reads some thirty of them ahead


@dataclass(frozen=True)
class Rows:
    """A file of rows, not yet read.

    Attributes
    ----------
    path : Path
    names : tuple of str
        Of its columns.
    is_text : bool
        Every column comes as text (CSV).
    """

    path: Path
    names: tuple[str, ...]
    is_text: bool

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Any]:
        """Its rows as Arrow tables of so many rows, the last one shorter.

        Raises
        ------
        MisuseError
            The file is damaged; one line.
        """
        arrow = need("pyarrow")
        pieces = self._csv(columns) if self.is_text else self._parquet(columns, rows)
        try:
            yield from _of_length(pieces, rows)
        except (arrow.ArrowInvalid, arrow.ArrowNotImplementedError, OSError) as error:
            raise MisuseError(f"{self.path} cannot be read on: {_first_line(error)}") from error

    def _csv(self, columns: Sequence[str]) -> Iterator[Any]:
        arrow, reader = need("pyarrow"), need("pyarrow.csv")
        texts = dict.fromkeys(self.names, arrow.string())
        with reader.open_csv(
            self.path,
            read_options=reader.ReadOptions(block_size=_BLOCK),
            parse_options=reader.ParseOptions(newlines_in_values=True),
            convert_options=reader.ConvertOptions(
                column_types=texts, include_columns=list(columns), strings_can_be_null=False
            ),
        ) as stream:
            for batch in stream:
                yield arrow.Table.from_batches([batch])

    def _parquet(self, columns: Sequence[str], rows: int) -> Iterator[Any]:
        arrow, parquet = need("pyarrow"), need("pyarrow.parquet")
        # With its default of reading ahead, Arrow would hold the whole file in the end.
        with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=_BLOCK) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(columns)):
                yield arrow.Table.from_batches([batch])


def open_rows(path: Path) -> Rows:
    """A file of rows by its suffix.

    Raises
    ------
    MisuseError
        It is of another kind, not there, or damaged.
    """
    if path.suffix not in SUFFIXES:
        raise MisuseError(f"{path} is no file of rows: {' or '.join(SUFFIXES)} is expected")
    arrow, parquet = need("pyarrow"), need("pyarrow.parquet")
    try:
        names = _header(path) if path.suffix == ".csv" else parquet.read_schema(path).names
    except (OSError, arrow.ArrowInvalid, ValueError, csv.Error) as error:
        not_text = "it is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        reason = not_text or getattr(error, "strerror", None) or _first_line(error)
        raise MisuseError(f"{path} cannot be read: {reason}") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MisuseError(f"{path} has two columns called {twice[0]!r}: rename one of them")
    return Rows(path, tuple(names), path.suffix == ".csv")


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file), None)
    if not names:
        raise ValueError("it is empty; a line with the names of the columns is expected")
    return names


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def batch_rows(columns: int) -> int:
    """Rows of a batch that fits in memory, however wide they are."""
    return max(FEWEST_ROWS, min(MOST_ROWS, CELLS // max(columns, 1)))


def threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _of_length(pieces: Iterator[Any], rows: int) -> Iterator[Any]:
    """The same rows in tables of one length."""
    arrow = need("pyarrow")
    waiting: list[Any] = []
    held = 0
    for piece in pieces:
        waiting.append(piece)
        held += piece.num_rows
        if held < rows:
            continue
        whole = arrow.concat_tables(waiting)
        cut = held - held % rows
        yield from (whole.slice(at, rows) for at in range(0, cut, rows))
        waiting, held = [whole.slice(cut)], held % rows
    if held:
        yield arrow.concat_tables(waiting)


# -- from a batch to inputs --------------------------------------------------------------------------


def columns_wanted(schema: Schema, names: Sequence[str]) -> list[str]:
    """The file's columns that the model takes, in its order.

    Raises
    ------
    MisuseError, UnknownNameError
        One is missing, or the model takes something that no file of rows holds.
    """
    if schema.layout == "tensor":
        shape = ", ".join(["rows", *map(str, schema.shape)])
        raise MisuseError(f"the model takes arrays of shape ({shape}), which are no rows of a file: score an array")
    if not schema.named and not set(schema.names) <= set(names) and len(names) == len(schema.names):
        return list(names)  # an unnamed model goes by position
    missing = [name for name in schema.names if name not in names]
    if missing:
        raise UnknownNameError.among("column of the file", missing[0], names)
    return list(schema.names)


def inputs_of(schema: Schema, table: Any, names: Sequence[str], is_text: bool) -> tuple[Feeds, dict[int, Fault]]:
    """A batch as the graph's inputs, and row -> the first value in it that the model does not take.

    Rows with faults hold something in the inputs, too; it means nothing.
    """
    found: dict[int, Fault] = {}
    columns = []
    for field, name in zip(schema.fields, names, strict=True):
        column, wrong = _column(field, table, name, is_text)
        columns.append(column)
        for row, reason in wrong.items():
            found.setdefault(row, Fault(row, field.name, reason))
    feeds = feeds_of_columns(schema, columns)
    return feeds, {**faults(schema, feeds), **found}


def _column(field: Field, table: Any, name: str, is_text: bool) -> tuple[NDArray[Any], dict[int, str]]:
    from mlmagic.tables.of_arrow import ArrowTable

    if field.type == "string":
        values = with_nulls(field, table.column(name)) if is_text else table.column(name)
        return read(field, ArrowTable(_table(name, values)), name), {}
    if is_text:
        numbers, wrong = _parsed(table.column(name))
    else:
        numbers, wrong = _numbers(field, ArrowTable(table.select([name])), name), {}
    return _as_type(field, numbers, wrong), wrong


def _numbers(field: Field, table: Table, name: str) -> NDArray[np.float64]:
    """Whether a column holds numbers is its own matter; whether one of them fits the field, that of its row."""
    if table.column(name).kind != "categorical":
        return table.numbers(name)
    return read(replace(field, type="float32"), table, name).astype(np.float64)  # nothing but nulls, or an error


def typed(schema: Schema, table: Any, names: Sequence[str]) -> Any:
    """A batch of text with numbers where the model takes such, for files that know types; what is none is null."""
    arrow, whole = need("pyarrow"), {"int64": "int64", "bool": "bool_"}
    for field, name in zip(schema.fields, names, strict=True):
        place = table.column_names.index(name) if name in table.column_names else None
        if place is None or field.type == "string":
            continue
        numbers, wrong = _parsed(table.column(name))
        column = _as_type(field, numbers, wrong) if field.type in whole else numbers
        null = np.isnan(numbers)
        null[list(wrong)] = True
        kind = getattr(arrow, whole.get(field.type, "float64"))()
        table = table.set_column(place, name, arrow.array(column, kind, mask=null))
    return table


def _table(name: str, values: Any) -> Any:
    return need("pyarrow").table({name: values})


def with_nulls(field: Field, texts: Any) -> Any:
    """A column of a CSV file with null where pandas reads one, except for what the model knows as a category."""
    arrow, compute = need("pyarrow"), need("pyarrow.compute")
    meant = [text for text in NULLS if text not in field.known]
    return compute.if_else(compute.is_in(texts, value_set=arrow.array(meant, arrow.string())), None, texts)


def _parsed(texts: Any) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Numbers of a column of text; row -> why there is none."""
    arrow, compute = need("pyarrow"), need("pyarrow.compute")
    tidy = compute.utf8_trim_whitespace(texts)
    null = compute.is_in(tidy, value_set=arrow.array(NULLS, arrow.string()))
    tidy = compute.if_else(null, None, tidy)
    try:
        return compute.cast(tidy, arrow.float64()).to_numpy(), {}
    except arrow.ArrowInvalid:
        return _parsed_one_by_one(tidy)


def _parsed_one_by_one(texts: Any) -> tuple[NDArray[np.float64], dict[int, str]]:
    """The same where Arrow refuses a text: each text that occurs is looked at once."""
    coded = texts.combine_chunks().dictionary_encode()
    words = coded.dictionary.to_pylist()
    values = [_number(word) for word in words]
    codes = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    numbers = np.array([np.nan if value is None else value for value in values] + [np.nan])[codes]
    no_number = np.array([value is None for value in values] + [False])[codes]
    return numbers, {int(row): f"{words[codes[row]][:40]!r} is no number" for row in np.flatnonzero(no_number)}


def _number(text: str) -> float | None:
    truth = _TRUTHS.get(text.lower())
    if truth is not None:
        return truth
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _as_type(field: Field, numbers: NDArray[np.float64], wrong: dict[int, str]) -> NDArray[Any]:
    """Numbers in the field's type; what has no place in it is added to `wrong`."""
    if field.type == "float32":
        with np.errstate(over="ignore"):  # beyond float32 it is infinite, which `faults` tells
            return numbers.astype(np.float32)
    fitting = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**63)
    for row in np.flatnonzero(~fitting):
        told = "null, and the model takes none there" if np.isnan(numbers[row]) else f"{numbers[row]:g}"
        wrong.setdefault(int(row), told if "null" in told else f"{told}, where a whole number is expected")
    return np.where(fitting, numbers, 0).astype(NUMPY[field.type])
