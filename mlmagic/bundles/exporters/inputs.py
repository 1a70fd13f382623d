"""The first step of an export: example data comes in, the columns that the model takes, typed and described, go out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlmagic.bundles.graph import ExportError
from mlmagic.bundles.schema import Field, TensorType
from mlmagic.errors import UnknownNameError
from mlmagic.tables import Table, table_of

MATRIX = "input"  # name of the one input of a model that takes no single columns
MOST_CATEGORIES = 1_000
_NO_LETTER = re.compile(r"\W", re.ASCII)


@dataclass(frozen=True)
class Example:
    """The example data, as the model takes it.

    Attributes
    ----------
    frame : pandas.DataFrame
        The model's columns only, in the model's order.
    table : Table
        The same, to be read by kind.
    labels : tuple
        The columns' names as the model knows them: `frame`'s own may be numbers.
    named : bool
        The columns had names.
    framed : bool
        The model is asked with a data frame; else with an array.
    """

    frame: Any
    table: Table
    labels: tuple[Any, ...]
    named: bool
    framed: bool

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.columns)

    def only(self, names: Sequence[str]) -> Example:
        """The same with some of its columns."""
        places = [self.names.index(name) for name in names]
        frame = self.frame.iloc[:, places]
        return Example(frame, table_of(frame), tuple(frame.columns), self.named, self.framed)

    def sample(self, rows: int) -> Any:
        """A frame of at most so many rows."""
        return self.table.sample(rows).to_pandas()


def example_of(model: Any, data: Any) -> Example:
    """The example data of a model that is asked with a table.

    Raises
    ------
    ExportError
        It lacks columns that the model was fitted with.
    MisuseError
        It is no table.
    """
    named = not isinstance(data, np.ndarray)
    frame = table_of(data).to_pandas() if named else _frame_of_array(data)
    known = getattr(model, "feature_names_in_", None)
    fitted = None if known is None else [str(name) for name in known]
    if fitted is not None and not named and len(fitted) == frame.shape[1]:
        frame, named = frame.set_axis(fitted, axis=1), True
    frame, framed = _columns_for(model, frame, fitted)
    labels = tuple(frame.columns)
    if not len(frame):
        raise ExportError("the example data has no rows: give some that the model can answer")
    return Example(frame, table_of(frame), labels, named, framed)


def fields_of(example: Example, whole: Collection[str], taken: Iterable[str]) -> tuple[Field, ...]:
    """The columns' description, each an input of its own; nulls and unseen categories are not judged yet.

    Parameters
    ----------
    whole : collection of str
        Columns whose whole numbers are categories to the model: they stay whole numbers in the graph.
    taken : iterable of str
        Names that no input may have.
    """
    names = _tensor_names(example.names, taken)
    dtypes = [str(dtype) for dtype in example.frame.dtypes]
    return tuple(
        _field(example.table, name, dtype, tensor, name in whole)
        for name, dtype, tensor in zip(example.names, dtypes, names, strict=True)
    )


def _frame_of_array(data: Any) -> Any:
    import pandas as pd

    if data.ndim != 2:
        shape = "×".join(map(str, data.shape))
        raise ExportError(f"the example data is an array of shape {shape or '()'}; expected rows and columns")
    return pd.DataFrame(data, columns=[f"x{place}" for place in range(data.shape[1])])


def _columns_for(model: Any, frame: Any, fitted: Sequence[str] | None) -> tuple[Any, bool]:
    """The model's columns of a frame, and whether the model is asked with a frame."""
    columns = [str(label) for label in frame.columns]
    if fitted is None:
        expected = getattr(model, "n_features_in_", None)
        if expected is not None and expected != len(columns):
            raise ExportError(f"the example data has {len(columns)} columns; the model was fitted with {expected}")
        return frame, any(dtype.kind not in "biuf" for dtype in frame.dtypes)
    if not set(fitted) <= set(columns):
        columns = [column.replace(" ", "_") for column in columns]  # as LightGBM calls them
    missing = [name for name in fitted if name not in columns]
    if missing:
        known = [str(label) for label in frame.columns]
        raise ExportError(str(UnknownNameError.among("column of the example data", missing[0], known)))
    places = {name: place for place, name in enumerate(columns)}
    return frame.iloc[:, [places[name] for name in fitted]], True


def _tensor_names(names: Sequence[str], taken: Iterable[str]) -> list[str]:
    """A name for each column's input: letters, digits and `_`, no two the same."""
    used = Counter(taken)
    found = []
    for name in names:
        plain = _NO_LETTER.sub("_", name) or "_"
        plain = f"_{plain}" if plain[0].isdigit() else plain
        unique, number = plain, 1
        while used[unique]:
            number += 1
            unique = f"{plain}_{number}"
        used[unique] += 1
        found.append(unique)
    return found


def _field(table: Table, name: str, dtype: str, tensor: str, whole: bool) -> Field:
    kind = table.column(name).kind
    if kind == "datetime":
        raise ExportError(
            f"column {name!r} holds times ({dtype}), which no graph takes: turn it into numbers before the model"
        )
    if kind == "categorical":
        return Field(name, "string", dtype, tensor, categories=_categories(table, name))
    numbers = table.numbers(name)
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    stays: TensorType = "int64" if whole and bool((finite == np.floor(finite)).all()) else "float32"
    return Field(name, stays, dtype, tensor, low=low, high=high)


def _categories(table: Table, name: str) -> tuple[str, ...]:
    codes, texts = table.labels(name)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    order = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    return tuple(texts[place] for place in order)
