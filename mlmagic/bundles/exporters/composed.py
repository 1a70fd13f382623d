"""Models whose parts are whole pipelines over a frame: the converter gives their parts one input, ours all of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

Parser = Callable[..., Any]


def calibrated_shapes(operator: Any) -> None:
    """The outputs' types and shapes of a `CalibratedClassifierCV`, whatever its inputs."""
    from skl2onnx.common import data_types

    rows, classes = operator.inputs[0].get_first_dimension(), operator.raw_operator.classes_
    texts = np.asarray(classes).dtype.kind in "OSU"
    operator.outputs[0].type = (data_types.StringTensorType if texts else data_types.Int64TensorType)([rows])
    operator.outputs[1].type = data_types.FloatTensorType([rows, len(classes)])


def stacking(parse: Parser) -> Parser:
    """The parser of stacked models: with several inputs, the parts' answers side by side, then the final estimator."""

    def parsing(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
        if len(inputs) == 1:
            return parse(scope, model, inputs, custom_parsers=custom_parsers)
        from skl2onnx._parse import _parse_sklearn
        from skl2onnx.common.data_types import FloatTensorType

        answers = [
            _answers(scope, model, part, method, inputs)
            for part, method in zip(model.estimators_, _methods(model), strict=True)
        ]
        joined = scope.declare_local_operator("SklearnConcat")
        joined.inputs = answers
        joined.outputs.append(scope.declare_local_variable("stacked", FloatTensorType([None, None])))
        final = _final(scope, model)
        return _parse_sklearn(scope, final, list(joined.outputs))

    return parsing


def _final(scope: Any, model: Any) -> Any:
    """The final estimator; a classifier's with the labels in place of the numbers that it was fitted with."""
    if not hasattr(model, "classes_"):
        return model.final_estimator_
    made = copy.copy(model.final_estimator_)
    made.classes_ = model.classes_
    scope.add_options(id(made), {"zipmap": False})
    model.final_estimator_ = made  # the model is a copy; it keeps this one alive, by whose id the options go
    return made


def _methods(model: Any) -> list[str]:
    methods = list(model.stack_method_)
    if model.passthrough or "decision_function" in methods:
        raise NotImplementedError(
            "over columns of several types its estimators need predict_proba, and passthrough=False"
        )
    return methods


def _answers(scope: Any, model: Any, part: Any, method: str, inputs: Any) -> Any:
    """What a part tells the final estimator: of two probabilities the second."""
    from skl2onnx._parse import _parse_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    given = _parse_sklearn(scope, part, inputs)
    if method != "predict_proba":
        return given[0]
    if len(model.classes_) > 2:
        return given[1]
    picked = scope.declare_local_operator("SklearnArrayFeatureExtractor")
    picked.inputs = [given[1]]
    picked.column_indices = [1]
    picked.outputs.append(scope.declare_local_variable("second", FloatTensorType([None, 1])))
    return picked.outputs[0]
