"""Converters that are wrong or lacking, put right: one function for each, known by the converter's name for a model.

Each was found by the parity gate, which also proves that it is right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlmagic.bundles.exporters.ordinal import with_text

Converter = Callable[[Any, Any, Any], None]


def corrected(alias: str, convert: Converter) -> Converter:
    """The converter of that name, as it should be."""
    correction = _CORRECTIONS.get(alias)
    return correction(convert) if correction else convert


def _with_link(convert: Converter) -> Converter:
    """`HistGradientBoostingRegressor` whose trees give the logarithm of what it predicts: counts, gamma."""

    def converting(scope: Any, operator: Any, container: Any) -> None:
        convert(scope, operator, container)
        link = getattr(getattr(operator.raw_operator, "_loss", None), "link", None)
        if type(link).__name__ != "LogLink":
            return
        name = operator.outputs[0].full_name
        logarithm = scope.get_unique_variable_name("logarithm")
        for node in container.nodes:
            node.output[:] = [logarithm if output == name else output for output in node.output]
        container._added_names_.discard(name)
        container.add_node("Exp", [logarithm], [name])

    return converting


def _with_raw_scores(convert: Converter) -> Converter:
    """`LGBMClassifier` before its probabilities, which is what a calibration of it is given."""

    def converting(scope: Any, operator: Any, container: Any) -> None:
        before = len(container.nodes)
        convert(scope, operator, container)
        if not scope.get_options(operator.raw_operator, {"raw_scores": False})["raw_scores"]:
            return
        for node in container.nodes[before:]:
            for attribute in node.attribute:
                if attribute.name == "post_transform":
                    attribute.s = b"NONE"

    return converting


def _exactly(convert: Converter) -> Converter:
    """Scalers in float64, as scikit-learn computes them, and rounded after that.

    A tree behind a scaler compares with values halfway between two that it has seen. Of whole numbers that is often a
    third one, and then the last bit decides which way it goes.
    """

    def converting(scope: Any, operator: Any, container: Any) -> None:
        from onnx import TensorProto

        steps = steps_of_scaler(operator.raw_operator, clipping=True)
        if steps is None:
            convert(scope, operator, container)
            return
        names = [one.full_name for one in operator.inputs]
        wide, value = scope.get_unique_variable_name("scaled"), names[0]
        if len(names) > 1:
            value = scope.get_unique_variable_name("unscaled")
            container.add_node("Concat", names, [value], axis=1)
        container.add_node("Cast", [value], [wide], to=TensorProto.DOUBLE)
        operands = []
        for kind, numbers in steps:
            operands.append((kind, scope.get_unique_variable_name("operand")))
            container.add_initializer(operands[-1][1], TensorProto.DOUBLE, [len(numbers)], numbers.tolist())
        scaled = _chain(scope, container, wide, operands)
        container.add_node("Cast", [scaled], operator.output_full_names, to=TensorProto.FLOAT)

    return converting


def steps_of_scaler(scaler: Any, clipping: bool = False) -> list[tuple[str, Any]] | None:
    """What a scaler does to its columns, in its own order; ``None`` where it does something else besides.

    Parameters
    ----------
    clipping : bool
        Steps that cannot be undone are welcome, too.
    """
    kind = type(scaler).__name__
    clips = getattr(scaler, "clip", False)
    if clips and not clipping:
        return None
    if kind == "StandardScaler":
        told = [("Sub", scaler.mean_, scaler.with_mean), ("Div", scaler.scale_, scaler.with_std)]
    elif kind == "RobustScaler":
        told = [("Sub", scaler.center_, scaler.with_centering), ("Div", scaler.scale_, scaler.with_scaling)]
    elif kind == "MinMaxScaler":
        told = [("Mul", scaler.scale_, True), ("Add", scaler.min_, True)]
    elif kind == "MaxAbsScaler":
        told = [("Div", scaler.scale_, True)]
    else:
        return None
    if clips:
        low, high = getattr(scaler, "feature_range", (-1.0, 1.0))
        told += [("Max", np.array([float(low)]), True), ("Min", np.array([float(high)]), True)]
    return [(operator, numbers) for operator, numbers, used in told if used]


def isotonic(scope: Any, container: Any, model: Any, scores: str, place: int, dtype: Any, proto_type: Any) -> str:
    """The node of isotonic calibration: straight lines between its thresholds, where the converter takes the nearest.

    A score's probability is that of the first threshold and, for each line, its slope times how much of it lies below
    the score.
    """
    from onnx import TensorProto

    calibrator = model.calibrators[place]
    x, y = (np.asarray(values, np.float64) for values in (calibrator.X_thresholds_, calibrator.y_thresholds_))
    slopes = np.divide(np.diff(y), np.diff(x), out=np.zeros(len(x) - 1), where=np.diff(x) > 0)
    names: dict[str, str] = {}
    for name, values in {"low": x[:-1], "high": x[1:], "slope": slopes, "first": y[:1]}.items():
        names[name] = scope.get_unique_variable_name(f"isotonic_{name}")
        container.add_initializer(names[name], TensorProto.FLOAT, [len(values)], values.tolist())
    axes, sizes = scope.get_unique_variable_name("axes"), scope.get_unique_variable_name("sizes")
    container.add_initializer(axes, TensorProto.INT64, [1], [1])
    container.add_initializer(sizes, TensorProto.INT64, [2], [-1, 1])
    value = _chain(scope, container, scores, [("Reshape", sizes), ("Max", names["low"]), ("Min", names["high"])])
    value = _chain(scope, container, value, [("Sub", names["low"]), ("Mul", names["slope"])])
    return _chain(scope, container, value, [("ReduceSum", axes), ("Add", names["first"])])


def _chain(scope: Any, container: Any, value: str, steps: list[tuple[str, str]]) -> str:
    for kind, operand in steps:
        result = scope.get_unique_variable_name(kind.lower())
        container.add_node(kind, [value, operand], [result], name=scope.get_unique_operator_name(kind))
        value = result
    return value


_CORRECTIONS: dict[str, Callable[[Converter], Converter]] = {
    "SklearnOrdinalEncoder": with_text,
    "SklearnHistGradientBoostingRegressor": _with_link,
    "LightGbmLGBMClassifier": _with_raw_scores,
    "SklearnScaler": _exactly,
    "SklearnRobustScaler": _exactly,
    "SklearnMinMaxScaler": _exactly,
    "SklearnMaxAbsScaler": _exactly,
}
