"""The step from a fitted model to an ONNX graph: scikit-learn's converter, told what it lacks, for the one call.

The converter keeps its knowledge in dictionaries of its modules. They are added to under a lock and put back after;
what the user registered there stays, and wins.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from mlmagic._optional import need
from mlmagic.bundles.exporters import lightgbm, targets, xgboost
from mlmagic.bundles.exporters.composed import calibrated_shapes, stacking
from mlmagic.bundles.exporters.corrections import Converter, corrected, isotonic
from mlmagic.bundles.exporters.protobuf import plain_attributes
from mlmagic.bundles.exporters.quiet import quiet
from mlmagic.bundles.schema import TensorType

_LOCK = threading.RLock()
_OPSETS = {"": 18, "ai.onnx.ml": 3}  # both known to every onnxruntime that is asked for


def converted(model: Any, inputs: Sequence[tuple[str, TensorType, int]], name: str) -> Any:
    """The model as `onnx.ModelProto`, its inputs as told, its outputs as the converter names them.

    Parameters
    ----------
    inputs : sequence of (str, str, int)
        Name, type and number of columns of each input.

    Raises
    ------
    Exception
        Whatever the converter has to say: the caller finds out which step it is about.
    """
    need("skl2onnx")
    with quiet(), _registered():
        from skl2onnx import convert_sklearn
        from skl2onnx.common import data_types
        from sklearn.calibration import CalibratedClassifierCV

        types = {
            "float32": data_types.FloatTensorType,
            "int64": data_types.Int64TensorType,
            "string": data_types.StringTensorType,
        }
        return convert_sklearn(
            model,
            name=name,
            initial_types=[(tensor, types[kind]([None, width])) for tensor, kind, width in inputs],
            target_opset=_OPSETS,
            options=_options(model),
            custom_conversion_functions=_converters(),
            custom_shape_calculators={CalibratedClassifierCV: calibrated_shapes},
        )


def known(model: Any) -> bool:
    """Whether there is a converter for a model's class."""
    with _registered():
        from skl2onnx import _supported_operators

        return type(model) in _supported_operators.sklearn_operator_name_map or hasattr(model, "onnx_converter")


@contextlib.contextmanager
def _registered() -> Iterator[None]:
    """The converter knows our entries within."""
    from skl2onnx import _parse, _supported_operators, update_registered_converter
    from skl2onnx.common import _registration
    from skl2onnx.operator_converters import calibrated_classifier_cv
    from sklearn.ensemble import StackingClassifier, StackingRegressor

    names = _supported_operators.sklearn_operator_name_map
    pools = (names, _registration._converter_pool, _registration._shape_calculator_pool, _parse.sklearn_parsers_map)
    with _LOCK:
        kept, interpolating = [dict(pool) for pool in pools], calibrated_classifier_cv._transform_isotonic
        try:
            calibrated_classifier_cv._transform_isotonic = isotonic
            for entry in (*lightgbm.entries(), *xgboost.entries(), *targets.entries()):
                if entry.model not in names:
                    update_registered_converter(
                        entry.model, entry.alias, entry.shapes, entry.convert, True, entry.parser, entry.options
                    )
            for kind in (StackingClassifier, StackingRegressor):
                parsers = _parse.sklearn_parsers_map
                parsers[kind] = stacking(parsers.get(kind, _parse._parse_sklearn_simple_model))
            yield
        finally:
            calibrated_classifier_cv._transform_isotonic = interpolating
            for pool, before in zip(pools, kept, strict=True):
                for key in set(pool) - set(before):
                    del pool[key]
                pool.update(before)


def _converters() -> dict[type, Converter]:
    """For each class of model what converts its operators, writing attributes that protobuf takes."""
    from skl2onnx import _supported_operators
    from skl2onnx.common import _registration

    pool = _registration._converter_pool

    @plain_attributes
    def convert(scope: Any, operator: Any, container: Any) -> None:
        # by the operator's name, not the model's class: a model may be taken apart into operators of several names
        corrected(operator.type, pool[operator.type])(scope, operator, container)

    names = _supported_operators.sklearn_operator_name_map
    return {kind: convert for kind, alias in names.items() if alias in pool and not hasattr(kind, "onnx_converter")}


def _options(model: Any) -> dict[int, dict[str, bool]]:
    """What is asked of the conversion of each classifier: arrays, not maps; scores where a calibration takes them."""
    from skl2onnx import _supported_operators
    from skl2onnx.common import _registration
    from sklearn.base import is_classifier

    names, pool = _supported_operators.sklearn_operator_name_map, _registration._converter_pool
    found: dict[int, dict[str, bool]] = {}
    for part, calibrated in _classifying(model):
        if is_classifier(part):
            converter = pool.get(names.get(type(part)))
            allowed = (converter.get_allowed_options() if converter else None) or ()
            wanted = {"zipmap": False, **({"raw_scores": True} if calibrated else {})}
            found[id(part)] = {name: value for name, value in wanted.items() if name in allowed}
    return found


def _classifying(model: Any) -> Iterator[tuple[Any, bool]]:
    """The model, or the last step of a pipeline, and those whose scores are calibrated within it."""
    steps = getattr(model, "steps", None)
    if steps:
        yield from _classifying(steps[-1][1])
        return
    yield model, False
    if type(model).__name__.startswith("Stacking"):
        for part in (*model.estimators_, model.final_estimator_):
            yield from _classifying(part)
    for calibrated in getattr(model, "calibrated_classifiers_", ()):
        for last, _ in _classifying(calibrated.estimator):
            # of a pipeline the converter takes probabilities, where the model takes scores
            raw = last is not calibrated.estimator and hasattr(last, "decision_function")
            yield last, raw
