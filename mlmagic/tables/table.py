"""The one face of tables: named columns of a known kind, as arrays, whatever library holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.tables import texts

Kind = Literal["numeric", "boolean", "datetime", "categorical"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, kind and its own library's name of its type."""

    name: str
    kind: Kind
    dtype: str


class Table(ABC):
    """Rows and named columns; one subclass for each library, in a file of its own.

    A subclass sets `columns` and `rows`, and reads a column as `_numbers` where its kind is a number's, a
    boolean's or a time's, and as `_labels` where it is text.
    """

    columns: tuple[Column, ...]
    rows: int

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column as floats, shape (rows,): NaN where null, 0 and 1 for booleans, seconds since 1970 for times.

        Durations and times of day are seconds too. What comes back may be the library's own memory: read it only.

        Raises
        ------
        MisuseError
            The column is text.
        """
        column = self.column(name)
        if column.kind == "categorical":
            raise MisuseError(f"column {name!r} has no numbers: it is categorical ({column.dtype})")
        return self._numbers(column)

    def labels(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """A column as codes, shape (rows,), -1 where null, and the text of each code's category.

        Only categories that occur, sorted by their text, numbers and times by their value.
        """
        column = self.column(name)
        if column.kind == "categorical":
            return self._labels(column)
        return texts.of_numbers(self._numbers(column), column.kind)

    def column(self, name: str) -> Column:
        """A column by name; `UnknownNameError` where there is none."""
        if name not in self._by_name:
            raise UnknownNameError.among("column", name, self._by_name)
        return self._by_name[name]

    def sample(self, rows: int, seed: int = 0) -> Table:
        """At most so many rows, drawn without replacement and in their order; the same for the same seed."""
        if rows >= self.rows:
            return self
        drawn = np.random.default_rng(seed).choice(self.rows, rows, replace=False, shuffle=False)
        return self.take(np.sort(drawn))

    @abstractmethod
    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Table:
        """Some rows, by position."""

    @abstractmethod
    def to_pandas(self) -> Any:
        """The whole as a pandas data frame."""

    @abstractmethod
    def _numbers(self, column: Column) -> NDArray[np.float64]:
        """`numbers` of a column that has them."""

    @abstractmethod
    def _labels(self, column: Column) -> tuple[NDArray[np.int64], list[str]]:
        """`labels` of a column of text."""

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}


def positions(rows: Sequence[int] | NDArray[np.int64], of: int) -> NDArray[np.int64]:
    """Row numbers as an array; `IndexError` for one that is not in a table of so many rows."""
    found = np.asarray(rows, dtype=np.int64)
    wrong = found[(found < 0) | (found >= of)]
    if wrong.size:
        raise IndexError(f"row {wrong[0]} of a table with {of} rows")
    return found


def names_of(names: Iterable[object]) -> tuple[str, ...]:
    """Column names as text.

    Raises
    ------
    MisuseError
        There are none, or two are the same: a verdict on a column must say which one it is about.
    """
    told = tuple(map(str, names))
    if not told:
        raise MisuseError("the table has no columns")
    twice = [name for name, count in Counter(told).items() if count > 1]
    if twice:
        raise MisuseError(f"two columns are called {twice[0]!r}: rename one of them")
    return told
