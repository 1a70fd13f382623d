"""The gate of an export: a model and its graph are asked the same rows; a report goes out, or the first difference.

Both sides are given the same inputs, rounded to the graph's types, so that they differ by their arithmetic alone. How
far the rounding itself moves the model's answers is told beside, as the drift to float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.graph import Answers, ExportError, Graph
from mlmagic.bundles.rows import Feeds, faults, feeds_of, rows_of
from mlmagic.bundles.schema import LABEL, PROBABILITIES, Schema
from mlmagic.bundles.scorer import Scorer
from mlmagic.bundles.scoring import score_in_pieces
from mlmagic.errors import MisuseError
from mlmagic.tables import table_of

TOLERANCE = 1e-4
PROBES = "probes"
_PROBES = 512  # rows made of values that were seen
_SEED = 0


@dataclass(frozen=True)
class SetParity:
    """How close the two were on one set of rows.

    Attributes
    ----------
    rows : int
        That were compared.
    left_out : int
        Rows that the schema refuses, as the model or its graph cannot take them.
    differences : mapping of str to float
        Output -> the largest difference between model and graph.
    close_calls : int
        Rows whose labels differ although they may: the model's own margin is within the tolerance.
    drift : mapping of str to float, or None
        Output -> the largest difference between the graph and the model on the data as it was, not rounded; for the
        label the share of rows in which it is another. ``None``: the rows are inputs of the graph already.
    moved : int or None
        Rows in which that difference is larger than the gate allows for the same inputs; ``None`` as for `drift`.
    """

    rows: int
    left_out: int
    differences: Mapping[str, float]
    close_calls: int = 0
    drift: Mapping[str, float] | None = None
    moved: int | None = None


@dataclass(frozen=True)
class ParityReport:
    """What the gate found, where it let a graph pass.

    Attributes
    ----------
    tolerances : mapping of str to float
        Output -> the largest difference that is allowed; see `tolerances`.
    sets : mapping of str to SetParity
    """

    tolerances: Mapping[str, float]
    sets: Mapping[str, SetParity]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        sets = {
            name: {
                "rows": one.rows,
                "left_out": one.left_out,
                "differences": dict(one.differences),
                "close_calls": one.close_calls,
                "drift": None if one.drift is None else dict(one.drift),
                "moved": one.moved,
            }
            for name, one in self.sets.items()
        }
        return {"tolerances": dict(self.tolerances), "sets": sets}


def check_parity(graph: Graph, scorer: Scorer, sets: Mapping[str, Any]) -> ParityReport:
    """How close a graph's answers are to its model's, on some sets of rows and on probes made of their values.

    Scores must be within a tolerance: 1e-4 for probabilities; for any other number 1e-4 times its own magnitude, or
    the mean magnitude of the model's answers over all the sets where that is more. Labels must be equal where the
    model's margin (between its two best probabilities, or else of its decision function) is above the tolerance. NaN
    on both sides is equal.

    Parameters
    ----------
    sets : mapping
        Name -> a table (or array) of rows, or inputs of the graph. Rows that the schema refuses are left out. A set
        called ``probes`` is added: 512 rows, each column's values drawn from all of the sets, the first ones being the
        columns' least and largest.

    Raises
    ------
    ExportError
        The answers differ; names the first row and output, with both values.
    """
    schema = graph.schema
    asked = {name: _taken(schema, name, rows) for name, rows in sets.items()}
    together = _joined([one.feeds for one in asked.values()])
    asked[PROBES] = _Asked(probes(schema, together), None, np.arange(_PROBES), 0)
    answered = {name: _answered(graph, scorer, name, one) for name, one in asked.items() if len(one.places)}
    allowed = tolerances(schema, [one.expected for one in answered.values()])
    for name, one in answered.items():
        if first := _first_difference(schema, one, allowed):
            raise ExportError(f"the graph does not answer as the model does: {name}, {first}")
    return ParityReport(
        allowed, {name: _set_parity(graph, asked[name], one, allowed) for name, one in answered.items()}
    )


def tolerances(schema: Schema, answers: list[Answers]) -> dict[str, float]:
    """Output -> how far two answers may be apart, for the model's answers to all rows that are compared.

    For probabilities 1e-4, for a label 0, for anything else 1e-4 times the mean magnitude of its finite values: by the
    largest one, a single outlier would let all others be anything.
    """
    found = {}
    for output in schema.outputs:
        if output.name == PROBABILITIES:
            found[output.name] = TOLERANCE
        elif output.type != "float32":
            found[output.name] = 0.0
        else:
            values = [np.ravel(one[output.name]) for one in answers]
            found[output.name] = TOLERANCE * (_scale(np.concatenate(values) if values else np.empty(0)) or 1.0)
    return found


def probes(schema: Schema, feeds: Mapping[str, NDArray[Any]]) -> Feeds:
    """Rows that no data holds, of values that some does: each column shuffled on its own, the same at every call.

    They reach branches of trees that no seen row takes. In the first rows one column after the other has its least
    and its largest value.
    """
    generator = np.random.default_rng(_SEED)
    found: Feeds = {}
    extremes = 0
    for name, tensor in feeds.items():
        flat = tensor.reshape(len(tensor), -1)
        drawn = generator.integers(0, len(flat), (_PROBES, flat.shape[1]))
        made = np.take_along_axis(flat, drawn, axis=0)
        if flat.dtype.kind in "fi":
            for column in range(min(flat.shape[1], (_PROBES - extremes) // 2)):
                seen = flat[:, column][np.isfinite(flat[:, column])]
                if seen.size:
                    made[extremes : extremes + 2, column] = seen.min(), seen.max()
                    extremes += 2
        found[name] = made.reshape(_PROBES, *tensor.shape[1:])
    return found


def gaps(expected: NDArray[Any], found: NDArray[Any]) -> NDArray[np.float64]:
    """How far numbers are apart, shape (rows, numbers of a row); NaN and the same infinity on both sides are equal."""
    one = np.asarray(expected, np.float64).reshape(len(expected), -1)
    other = np.asarray(found, np.float64).reshape(len(found), -1)
    with np.errstate(invalid="ignore"):
        apart = np.abs(one - other)
    apart[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    apart[np.isnan(apart)] = np.inf
    return apart


def margins(expected: Answers, decisions: NDArray[Any] | None) -> NDArray[np.float64] | None:
    """How clear each label is to the model: between the two best scores; ``None`` where it has no scores."""
    scores = expected.get(PROBABILITIES)
    if scores is None:
        if decisions is None:
            return None
        scores = np.asarray(decisions, np.float64)
        scores = scores / max(_scale(scores), 1.0)  # of large numbers float32 keeps digits, not distances
    if scores.ndim == 1:
        return np.abs(scores)
    if scores.shape[1] < 2:
        return np.full(len(scores), np.inf)
    best = np.sort(np.asarray(scores, np.float64), axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


def differing(
    schema: Schema,
    expected: Answers,
    found: Answers,
    allowed: Mapping[str, float],
    margin: NDArray[np.float64] | None = None,
) -> dict[str, NDArray[np.bool_]]:
    """Output -> where the answers are not the same, shape (rows, numbers of a row)."""
    wrong = {}
    for output in schema.outputs:
        one, other = expected[output.name], found[output.name]
        if one.shape != other.shape:
            raise ExportError(f"the graph gives {output.name} of shape {other.shape}, the model of shape {one.shape}")
        if output.type == "float32":
            wrong[output.name] = gaps(one, other) > _limits(one, allowed[output.name])
        else:
            unequal = (one != other).reshape(len(one), -1)
            clear = np.ones(len(one), bool) if margin is None or output.name != LABEL else margin > TOLERANCE
            wrong[output.name] = unequal & clear[:, None]
    return wrong


def _limits(expected: NDArray[Any], allowed: float) -> NDArray[np.float64]:
    """How far each number may be off: more than `allowed` where it is large itself."""
    sizes = np.abs(np.asarray(expected, np.float64).reshape(len(expected), -1))
    return np.maximum(allowed, TOLERANCE * np.where(np.isfinite(sizes), sizes, 0.0))


@dataclass(frozen=True)
class _Asked:
    """Rows to compare: inputs, the table they came from, and their places in it."""

    feeds: Feeds
    table: Any
    places: NDArray[np.int64]
    left_out: int


@dataclass(frozen=True)
class _Answered:
    expected: Answers
    found: Answers
    margin: NDArray[np.float64] | None
    places: NDArray[np.int64]

    @cached_property
    def rows(self) -> int:
        return len(self.places)


def _taken(schema: Schema, name: str, rows: Any) -> _Asked:
    """The rows of a set that the schema takes."""
    ready = _are_feeds(schema, rows)
    feeds: Feeds = dict(rows) if ready else feeds_of(schema, rows)
    refused = faults(schema, feeds)
    places = np.setdiff1d(np.arange(rows_of(feeds)), np.fromiter(refused, np.int64, len(refused)))
    if refused and not len(places):
        raise ExportError(f"no row of {name} is one that the bundle would take: {refused[min(refused)]}")
    kept = {tensor: array[places] for tensor, array in feeds.items()} if refused else feeds
    return _Asked(kept, None if ready else rows, places, len(refused))


def _are_feeds(schema: Schema, rows: Any) -> bool:
    tensors = {field.tensor for field in schema.fields} if schema.layout == "columns" else {schema.tensor}
    return (
        isinstance(rows, dict)
        and set(rows) == tensors
        and all(isinstance(array, np.ndarray) and array.ndim > 1 for array in rows.values())
    )


def _joined(feeds: list[Feeds]) -> Feeds:
    return {name: np.concatenate([one[name] for one in feeds]) for name in feeds[0]}


def _answered(graph: Graph, scorer: Scorer, name: str, asked: _Asked) -> _Answered:
    what = "rows made of values that it has seen" if name == PROBES else f"rows of {name}"
    try:
        expected = graph.ask(asked.feeds)
    except Exception as error:  # the user's model's own
        raise ExportError(f"the model itself fails on {what}: {type(error).__name__}: {_first_line(error)}") from error
    decisions = graph.decide(asked.feeds) if graph.decide is not None else None
    try:
        found = score_in_pieces(scorer, asked.feeds)
    except MisuseError as error:
        raise ExportError(f"the model answers {what}, and its graph does not: {error}") from error
    return _Answered(expected, found, margins(expected, decisions), asked.places)


def _first_difference(schema: Schema, answered: _Answered, allowed: Mapping[str, float]) -> str:
    """Where the two differ first, in words; empty where they do not."""
    wrong = differing(schema, answered.expected, answered.found, allowed, answered.margin)
    rows = {name: np.flatnonzero(mask.any(axis=1)) for name, mask in wrong.items()}
    name, row = min(((name, where[0]) for name, where in rows.items() if len(where)), key=_at, default=("", -1))
    if row < 0:
        return ""
    column = int(np.flatnonzero(wrong[name][row])[0])
    said = [_value(side[name][row], column) for side in (answered.expected, answered.found)]
    differ = len(set().union(*(where.tolist() for where in rows.values())))
    limits = _limits(answered.expected[name], allowed[name])[row] if allowed[name] else None
    within = f"tolerance {limits[column]:.3g}; " if limits is not None else ""
    return (
        f"row {answered.places[row]}, {_column(schema, name, answered.expected[name], column)}: the model says "
        f"{said[0]}, the graph {said[1]} ({within}{differ} of {answered.rows} rows differ)"
    )


def _at(found: tuple[str, Any]) -> tuple[int, bool]:
    """Scores first: they tell more than the label that follows from them."""
    return int(found[1]), found[0] == LABEL


def _column(schema: Schema, name: str, answers: NDArray[Any], column: int) -> str:
    if name == PROBABILITIES and schema.classes is not None:
        return f"probability of {schema.classes[column]!r}"
    return name if answers.ndim == 1 else f"{name} {column}"


def _value(answers: Any, column: int) -> str:
    value = np.ravel(answers)[column] if np.ndim(answers) else answers
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else repr(getattr(value, "item", lambda: value)())


def _set_parity(graph: Graph, asked: _Asked, answered: _Answered, allowed: Mapping[str, float]) -> SetParity:
    scores = [output.name for output in graph.schema.outputs if output.type == "float32"]
    differences = {name: _largest(answered.expected[name], answered.found[name]) for name in scores}
    labels = answered.expected.get(LABEL)
    close = 0 if labels is None else int((labels != answered.found[LABEL]).sum())
    drift, moved = _drift(graph, asked, answered, allowed)
    return SetParity(answered.rows, asked.left_out, differences, close, drift, moved)


def _drift(
    graph: Graph, asked: _Asked, answered: _Answered, allowed: Mapping[str, float]
) -> tuple[dict[str, float] | None, int | None]:
    """What the rounding changes: by output, and the rows in which that is more than the gate allows."""
    if graph.ask_exactly is None or asked.table is None:
        return None, None
    exact = graph.ask_exactly(_rows(asked.table, asked.places))
    wrong = differing(graph.schema, exact, answered.found, allowed, answered.margin)
    moved = np.any([mask.any(axis=1) for mask in wrong.values()], axis=0)
    drift = {
        name: float(mask.mean()) if name == LABEL else _largest(exact[name], answered.found[name])
        for name, mask in ((name, exact[name] != answered.found[name]) for name in wrong)
    }
    return drift, int(moved.sum())


def _rows(table: Any, places: NDArray[np.int64]) -> Any:
    if hasattr(table, "detach"):  # a tensor
        return table[places]
    return table[places] if isinstance(table, np.ndarray) else table_of(table).take(places).to_pandas()


def _largest(expected: NDArray[Any], found: NDArray[Any]) -> float:
    return float(gaps(expected, found).max(initial=0.0))


def _scale(values: NDArray[Any]) -> float:
    """The mean magnitude of the finite numbers among some; 0 where there are none."""
    numbers = np.abs(np.asarray(values, np.float64))
    finite = numbers[np.isfinite(numbers)]
    return float(finite.mean()) if finite.size else 0.0


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]
