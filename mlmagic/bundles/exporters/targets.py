"""`TransformedTargetRegressor`, which the converter does not know: its regressor's graph, and the inverse after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlmagic.bundles.exporters.entries import Entry

# inverse function -> the operators that compute it, one after the other: (operator, second operand or None)
_INVERSES: dict[Any, tuple[tuple[str, float | None], ...]] = {
    np.exp: (("Exp", None),),
    np.expm1: (("Exp", None), ("Sub", 1.0)),
    np.exp2: (("Mul", float(np.log(2.0))), ("Exp", None)),
    np.log: (("Log", None),),
    np.log1p: (("Add", 1.0), ("Log", None)),
    np.sqrt: (("Sqrt", None),),
    np.square: (("Pow", 2.0),),
    np.abs: (("Abs", None),),
    np.negative: (("Neg", None),),
}


def entries() -> list[Entry]:
    """The entry of `TransformedTargetRegressor`."""
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes
    from sklearn.compose import TransformedTargetRegressor

    alias = "MlmagicTransformedTargetRegressor"
    shapes = calculate_linear_regressor_output_shapes
    return [Entry(TransformedTargetRegressor, alias, shapes, _convert, None, _parse)]


def _parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    from skl2onnx._parse import _parse_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    found = _parse_sklearn(scope, model.regressor_, inputs, custom_parsers=custom_parsers)
    operator = scope.declare_local_operator("MlmagicTransformedTargetRegressor", model)
    operator.inputs = found
    operator.outputs.append(scope.declare_local_variable("variable", FloatTensorType()))
    return operator.outputs


def _convert(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    name = operator.inputs[0].full_name
    for kind, operand in inverse_of(operator.raw_operator.transformer_):
        inputs = [name]
        if operand is not None:
            inputs.append(scope.get_unique_variable_name("operand"))
            sizes = [] if np.ndim(operand) == 0 else [np.size(operand)]
            container.add_initializer(inputs[1], TensorProto.FLOAT, sizes, np.ravel(operand).tolist())
        name = scope.get_unique_variable_name("inverse")
        container.add_node(kind, inputs, [name], name=scope.get_unique_operator_name(kind))
    container.add_node("Identity", [name], operator.output_full_names)


def inverse_of(transformer: Any) -> tuple[tuple[str, Any], ...]:
    """The operators that turn a transformed target back.

    Raises
    ------
    NotImplementedError
        It is none of the transformers and functions known here.
    """
    kind = type(transformer).__name__
    if kind == "StandardScaler":
        steps = (("Mul", transformer.scale_), ("Add", transformer.mean_))
        return tuple((name, operand) for name, operand in steps if operand is not None)
    if kind == "MinMaxScaler":
        return (("Sub", transformer.min_), ("Div", transformer.scale_))
    if kind == "FunctionTransformer":
        if transformer.inverse_func is None:
            return ()
        for function, steps_of in _INVERSES.items():
            if transformer.inverse_func is function:
                return steps_of
    known = ", ".join(f"numpy.{function.__name__}" for function in _INVERSES)
    raise NotImplementedError(f"its target can be turned back by StandardScaler, MinMaxScaler or one of {known}")
