"""The one face of tables: named columns of a known kind, as arrays, whatever library holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["numeric", "boolean", "datetime", "categorical"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, kind and its own library's name of its type."""

    name: str
    kind: Kind
    dtype: str


class Table(ABC):
    """Rows and named columns; one subclass for each library, in a file of its own."""

    columns: tuple[Column, ...]
    rows: int

    @abstractmethod
    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column as floats, shape (rows,): NaN where null, 0 and 1 for booleans, seconds since 1970 for times."""

    @abstractmethod
    def labels(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """A column as codes, shape (rows,), -1 where null, and the text of each code's category."""

    @abstractmethod
    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Table:
        """Some rows, by position."""

    @abstractmethod
    def to_pandas(self) -> Any:
        """The whole as a pandas data frame."""

    def column(self, name: str) -> Column:
        """A column by name; `UnknownNameError` where there is none."""
        from mlmagic.errors import UnknownNameError

        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise UnknownNameError.among("column", name, [column.name for column in self.columns])
        return found


def table_of(data: Any) -> Table:
    """The table behind any tabular data.

    Raises
    ------
    MisuseError
        It is no table; the text says what would be one.
    """
    raise NotImplementedError
