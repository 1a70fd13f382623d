"""What a converter writes into a graph, in types that protobuf takes, and thresholds that float32 keeps exactly.

From protobuf 7 on, lists of numbers in attributes take no booleans and no NumPy scalars, which converters of trees
write (`AttributeProto.ints: Expected an int, got a boolean`). The container of one conversion is told, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Converter = Callable[[Any, Any, Any], None]

_TREES = frozenset(
    f"{kind}{task}"
    for kind in ("DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees")
    for task in ("Classifier", "Regressor")
)


def plain_attributes(convert: Converter) -> Converter:
    """The same converter, whose nodes get plain attributes."""

    def converting(scope: Any, operator: Any, container: Any) -> None:
        if "add_node" not in vars(container):  # once for each container, which lives as long as one conversion
            container.add_node = _adding(container.add_node, container)
        container.model_being_converted = operator.raw_operator
        convert(scope, operator, container)

    return converting


def plain(value: Any) -> Any:
    """An attribute's value in Python's own types; arrays, texts and single numbers too."""
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return int(value) if isinstance(value, bool) else value


def exact_thresholds(values: Any, modes: Any) -> list[float]:
    """A tree's thresholds as the float32 numbers by which every float32 number takes the same branch as by them.

    Rounded to the nearest, a threshold may cross the very value that is compared with it: `x <= t` needs the next
    float32 below. Where it is `x < t`, thresholds are float32 numbers in decimals already (XGBoost's).
    """
    names = np.array([mode.decode() if isinstance(mode, bytes) else str(mode) for mode in modes])
    downward = np.isin(names, ("BRANCH_LEQ", "BRANCH_GT"))
    found = np.where(downward, rounded_down(values), np.asarray(values, np.float32))
    return [float(value) for value in found]


def rounded_down(values: Any) -> NDArray[np.float32]:
    """The largest float32 numbers that are not above some numbers."""
    exact = np.asarray(values, np.float64)
    with np.errstate(over="ignore"):  # beyond float32 it is infinite, and so are the numbers compared with it
        near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)


def _adding(add: Callable[..., None], container: Any) -> Callable[..., None]:
    def add_node(op_type: str, inputs: Any, outputs: Any, *args: Any, **attributes: Any) -> None:
        checked = _checked(op_type, attributes)
        if op_type.startswith("TreeEnsemble"):
            checked |= _ways_of_nulls(container.model_being_converted, checked)
        add(op_type, inputs, outputs, *args, **checked)

    return add_node


def _checked(op_type: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _attribute(value) for name, value in attributes.items()}
    if op_type.startswith("TreeEnsemble") and "nodes_values" in found and "nodes_modes" in found:
        found["nodes_values"] = exact_thresholds(found["nodes_values"], found["nodes_modes"])
    return found


def _ways_of_nulls(model: Any, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Where scikit-learn's own trees send nulls, which their converter leaves out; nothing for other models."""
    if type(model).__name__ not in _TREES or "nodes_treeids" not in attributes:
        return {}
    trees = [one.tree_ for one in getattr(model, "estimators_", [model])]
    left = [getattr(tree, "missing_go_to_left", None) for tree in trees]
    if any(one is None for one in left):
        return {}
    nodes = zip(attributes["nodes_treeids"], attributes["nodes_nodeids"], strict=True)
    return {"nodes_missing_value_tracks_true": [int(left[tree][node]) for tree, node in nodes]}


def _attribute(value: Any) -> Any:
    """Tensors and graphs, which are no plain values, are left alone."""
    return plain(value) if isinstance(value, (list, tuple, np.ndarray, np.generic, bool)) else value
