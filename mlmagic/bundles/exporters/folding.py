"""Scalers before histogram gradient boosting go into its thresholds: a pipeline comes in, one without them goes out.

Such trees compare in float64, with values halfway between two that they have seen. Of whole numbers that is often a
third one; scaled and rounded to float32 it may lie on either side. Unscaled it is a float32 number, and stays.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.exporters.corrections import steps_of_scaler

_NEIGHBOURS = 4  # float32 numbers next to the computed one that are tried

# a scaler's operator -> what it does, and what undoes it
_FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "Sub": (np.subtract, np.add),
    "Div": (np.divide, np.multiply),
    "Mul": (np.multiply, np.divide),
    "Add": (np.add, np.subtract),
}


def without_scalers(pipeline: Any) -> Any:
    """A pipeline's copy whose last step, a histogram gradient boosting, takes its columns unscaled.

    Others are handed back as they are.
    """
    names = [type(step).__name__ for _, step in pipeline.steps]
    if len(names) < 2 or not names[-1].startswith("HistGradientBoosting"):
        return pipeline
    (_, before), (_, boosting) = pipeline.steps[-2:]
    made = copy.copy(pipeline)
    if steps_of_scaler(before) is not None:
        rest, scalers = pipeline.steps[:-2], [(0, before)]
    elif names[-2] == "ColumnTransformer":
        unscaled, scalers = _without(before)
        rest = [*pipeline.steps[:-2], (pipeline.steps[-2][0], unscaled)]
    else:
        return pipeline
    made.steps = [*rest, (pipeline.steps[-1][0], _unscaled(boosting, scalers))]
    return made


def unscaled_thresholds(steps: list[tuple[str, Any]], places: NDArray[Any], thresholds: Any) -> NDArray[np.float32]:
    """The largest float32 numbers that are, scaled, not above some thresholds.

    Parameters
    ----------
    places : array of int
        The scaler's column that each threshold is for.
    """

    def scaled(values: NDArray[np.float32]) -> Any:
        found: Any = values.astype(np.float64)
        for kind, numbers in steps:
            found = _FUNCTIONS[kind][0](found, np.asarray(numbers)[places])
        return found

    guess = np.asarray(thresholds, np.float64)
    for kind, numbers in reversed(steps):
        guess = _FUNCTIONS[kind][1](guess, np.asarray(numbers)[places])
    with np.errstate(over="ignore"):
        found = guess.astype(np.float32)
    for _ in range(_NEIGHBOURS):
        found = np.where(scaled(found) > thresholds, np.nextafter(found, np.float32(-np.inf)), found)
    for _ in range(_NEIGHBOURS):
        above = np.nextafter(found, np.float32(np.inf))
        found = np.where(scaled(above) <= thresholds, above, found)
    return found


def _without(columns: Any) -> tuple[Any, list[tuple[int, Any]]]:
    """A `ColumnTransformer` without the scalers that its steps end with, and each with its first column behind it."""
    made, scalers = copy.copy(columns), []
    made.transformers_ = []
    for name, step, chosen in columns.transformers_:
        steps = getattr(step, "steps", [(name, step)])
        if not isinstance(step, str) and steps_of_scaler(steps[-1][1]) is not None:
            scalers.append((columns.output_indices_[name].start, steps[-1][1]))
            step = _shorter(step) if len(steps) > 1 else "passthrough"
        made.transformers_.append((name, step, chosen))
    return made, scalers


def _shorter(pipeline: Any) -> Any:
    made = copy.copy(pipeline)
    made.steps = pipeline.steps[:-1]
    return made


def _unscaled(boosting: Any, scalers: list[tuple[int, Any]]) -> Any:
    made = copy.copy(boosting)
    made._predictors = [
        [_unscaled_tree(tree, exact, scalers) for tree, exact in zip(trees, doubles, strict=True)]
        for trees, doubles in zip(boosting._predictors, boosting.exact_predictors, strict=True)
    ]
    return made


def _unscaled_tree(tree: Any, exact: Any, scalers: list[tuple[int, Any]]) -> Any:
    made = copy.copy(tree)
    made.nodes = tree.nodes.copy()
    features = made.nodes["feature_idx"].astype(np.int64)
    for first, scaler in scalers:
        steps = steps_of_scaler(scaler) or []
        within = (features >= first) & (features < first + scaler.n_features_in_) & (made.nodes["is_leaf"] == 0)
        made.nodes["num_threshold"][within] = unscaled_thresholds(
            steps, features[within] - first, exact.nodes["num_threshold"][within]
        )
    return made
