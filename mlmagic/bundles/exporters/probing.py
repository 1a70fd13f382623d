"""The step that finds out what a model takes: it is asked with nulls and unseen categories, and so is its graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.graph import Answers
from mlmagic.bundles.parity import differing, margins, tolerances
from mlmagic.bundles.rows import NULL, Feeds, columns_of, feeds_of_columns
from mlmagic.bundles.schema import Field, Schema
from mlmagic.errors import MisuseError

UNSEEN = "∅ never seen"  # a text that no data holds
_BASES = 4  # rows in which a value is replaced
_MIXED, _NULLS = 500, 0.3  # rows in which several columns are null, and how much of each column

Verdict = Literal["same", "refused", "other", "failed", "untried"]

_UNLIKE = ("other", "failed")


@dataclass(frozen=True)
class Sides:
    """The model and its graph, to be asked the same."""

    ask: Callable[[Schema, Feeds], Answers]
    score: Callable[[Mapping[str, NDArray[Any]]], Answers]


def probed(
    schema: Schema, feeds: Feeds, sides: Sides, known: Mapping[str, Sequence[Any]]
) -> tuple[Schema, tuple[str, ...]]:
    """The schema with what each column takes, and remarks on columns where the graph knows less than the model.

    A column is nullable where the model answers a null and the graph answers the same; it is closed where the model
    refuses a category that it has not seen, or the graph answers another than the model does.

    Parameters
    ----------
    feeds : mapping
        Rows that the model answers.
    known : mapping
        Column -> the categories that the model's own encoder knows.
    """
    bases = _bases(schema, feeds)
    asked = replace(schema, fields=tuple(replace(field, nullable=True) for field in schema.fields))
    nulls = _together(asked, feeds, sides, _verdicts(asked, bases, sides, _null_of))
    others = _verdicts(asked, bases, sides, lambda field: _unseen_of(field, known.get(field.name, ())))
    fields = tuple(
        _told(field, null, other, known.get(field.name, ()))
        for field, null, other in zip(schema.fields, nulls, others, strict=True)
    )
    notes = [
        f"{what} are refused in {', '.join(names)}, as the graph would not answer as the model does"
        for what, verdicts in (("nulls", nulls), ("categories that it has not seen", others))
        if (names := [field.name for field, told in zip(schema.fields, verdicts, strict=True) if told in _UNLIKE])
    ]
    return replace(schema, fields=fields), tuple(notes)


def _told(field: Field, null: Verdict, other: Verdict, known: Sequence[Any]) -> Field:
    if other not in ("refused", *_UNLIKE):
        return replace(field, nullable=null == "same")
    texts = [str(one) for one in known if one is not None and one == one]
    categories = tuple(dict.fromkeys((*(field.categories or ()), *texts)))
    return replace(field, nullable=null == "same", closed=True, categories=categories)


def _null_of(field: Field) -> Any:
    """A null in a column's type; ``None`` where it has none."""
    if field.type == "float32":
        return np.nan
    return NULL if field.type == "string" and NULL not in field.known else None


def _unseen_of(field: Field, known: Sequence[Any]) -> Any:
    """A category that the model has not seen; ``None`` where a column has no categories."""
    if field.type == "string":
        return UNSEEN
    return 1 + int(max(known)) if field.type == "int64" and known else None


def _bases(schema: Schema, feeds: Feeds) -> list[NDArray[Any]]:
    """The columns of a few rows, those with the fewest nulls."""
    columns = columns_of(schema, feeds)
    nulls = sum((_is_null(column).astype(np.int64) for column in columns), np.zeros(len(columns[0]), np.int64))
    rows = np.argsort(nulls, kind="stable")[:_BASES]
    return [column[rows] for column in columns]


def _is_null(column: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(np.isnan(column) if column.dtype.kind == "f" else column == NULL)


def _verdicts(
    schema: Schema, bases: list[NDArray[Any]], sides: Sides, value_of: Callable[[Field], Any]
) -> list[Verdict]:
    """For each column: what happens where its value is replaced."""
    values = [value_of(field) for field in schema.fields]
    tried = [place for place, value in enumerate(values) if value is not None]
    found: list[Verdict] = ["untried"] * len(values)
    if not tried:
        return found
    together = [_replaced(bases, place, values[place]) for place in tried]
    columns = [np.concatenate([one[place] for one in together]) for place in range(len(values))]
    if _verdict(schema, columns, sides) == "same":  # one question for all columns, where all is well
        return ["same" if place in tried else "untried" for place in range(len(values))]
    for place, replaced in zip(tried, together, strict=True):
        found[place] = _verdict(schema, replaced, sides)
    return found


def _together(schema: Schema, feeds: Feeds, sides: Sides, alone: list[Verdict]) -> list[Verdict]:
    """The verdicts on nulls, once more where several columns have some: an imputer may look at the other columns.

    A graph that fails for some such rows says so when it does; one that answers otherwise would not.
    """
    columns = [column[:_MIXED].copy() for column in columns_of(schema, feeds)]
    generator = np.random.default_rng(0)
    for field, verdict, column in zip(schema.fields, alone, columns, strict=True):
        if verdict == "same":
            column[generator.random(len(column)) < _NULLS] = _null_of(field)
            column[:1] = _null_of(field)  # and of one row all
    if "same" not in alone or _verdict(schema, columns, sides) != "other":
        return alone
    return ["other" if verdict == "same" else verdict for verdict in alone]


def _replaced(bases: list[NDArray[Any]], place: int, value: Any) -> list[NDArray[Any]]:
    changed = list(bases)
    changed[place] = np.full_like(bases[place], value)
    return changed


def _verdict(schema: Schema, columns: Sequence[NDArray[Any]], sides: Sides) -> Verdict:
    feeds = feeds_of_columns(schema, columns)
    try:
        expected = sides.ask(schema, feeds)
    except Exception:  # the model's own word for no, of any class
        return "refused"
    try:
        found = sides.score(feeds)
    except MisuseError:
        return "failed"
    wrong = differing(schema, expected, found, tolerances(schema, [expected]), margins(expected, None))
    return "other" if any(mask.any() for mask in wrong.values()) else "same"
