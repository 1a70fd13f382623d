"""The step from severities to rows that people look at: positions come in, rows of plain values go out.

Only values that JSON holds are taken down: numbers, texts, times. Of anything else only the type, and nothing at all
of columns whose name suggests a secret.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.checks.assertions import Checked
from mlmagic.config import is_secret

_COLUMNS = 60
_CLASSES = 20
_LETTERS = 200
_KEPT = 10_000  # rows that fired, for picking some of them later


@dataclass(frozen=True, slots=True, eq=False)
class Flagged:
    """Rows that fired, kept apart from the data that they are from.

    Attributes
    ----------
    places : tuple of int
        Their positions in the data.
    inputs, outputs
        A frame and an array of these rows alone.
    severities : mapping
        Rule -> severity of each, shape (rows,).
    """

    places: tuple[int, ...]
    inputs: Any
    outputs: NDArray[Any]
    severities: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(cls, checked: Iterable[Checked], inputs: Any, outputs: NDArray[Any]) -> Flagged:
        """The rows on which any of these rules fired; of very many, the worst of each rule."""
        answered = {one.name: one for one in checked if one.severities is not None}
        each = _KEPT // max(1, len(answered))
        places = sorted({row for one in answered.values() for row in one.worst(each)})
        found = {name: one.severities[places] for name, one in answered.items() if one.severities is not None}
        return cls(tuple(places), inputs.iloc[places].copy(), outputs[places], found)

    def rows(self) -> list[dict[str, Any]]:
        """`row`, `inputs` and `output` of each, as plain values."""
        columns = [(str(name), self.inputs.iloc[:, place]) for place, name in enumerate(self.inputs.columns[:_COLUMNS])]
        told = {name: _told_all(name, column) for name, column in columns}
        return [
            {"row": place, "inputs": {name: values[at] for name, values in told.items()}, "output": _output(answer)}
            for at, (place, answer) in enumerate(zip(self.places, self.outputs, strict=True))
        ]

    def at(self, places: Sequence[int]) -> Flagged:
        """The same of some positions in the data."""
        known = {place: at for at, place in enumerate(self.places)}
        at = [known[place] for place in places]
        kept = {name: found[at] for name, found in self.severities.items()}
        return Flagged(tuple(places), self.inputs.iloc[at], self.outputs[at], kept)


def worst_rows(flagged: Flagged, checked: Sequence[Checked], count: int) -> dict[str, tuple[dict[str, Any], ...]]:
    """Rule -> its worst rows, each with its severity and data; every row is taken down once."""
    wanted = {one.name: one.worst(count) for one in checked}
    places = sorted({row for rows in wanted.values() for row in rows})
    told = {row["row"]: row for row in flagged.at(places).rows()} if places else {}
    severities = {one.name: one.severities for one in checked}
    found = {}
    for name, rows in wanted.items():
        own = severities[name]
        found[name] = tuple(
            {"row": row, "severity": float(own[row]), **_data(told[row])} for row in rows if own is not None
        )
    return found


def _data(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"inputs": row["inputs"], "output": row["output"]}


def _told_all(name: str, column: Any) -> list[Any]:
    return ["…"] * len(column) if is_secret(name) else [plain(value) for value in column.tolist()]


def _output(answer: Any) -> Any:
    values = np.ravel(answer)[:_CLASSES].tolist()
    return plain(values[0]) if np.ndim(answer) == 0 else [plain(value) for value in values]


def plain(value: Any) -> Any:
    """A value as JSON holds it: no NaN, no long texts, nothing of other types but their name."""
    if isinstance(value, np.generic):
        value = value.item()
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if kind in (bool, int, type(None)):
        return value
    if kind is str:
        return value if len(value) <= _LETTERS else value[:_LETTERS] + "…"
    if kind.__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return f"<{kind.__qualname__}>"
