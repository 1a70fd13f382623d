"""XGBoost's models, alone or as a part of scikit-learn's: what their conversion takes."""

from __future__ import annotations

from mlmagic._optional import loaded, need
from mlmagic.bundles.exporters.entries import CLASSIFIER_OPTIONS, Entry


def entries() -> list[Entry]:
    """Entries for its classifiers and regressors, where the user's process has loaded it."""
    library = loaded("xgboost")
    if library is None:
        return []
    need("onnxmltools")
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx.common import shape_calculator as shapes

    classes, numbers = shapes.calculate_linear_classifier_output_shapes, shapes.calculate_linear_regressor_output_shapes
    return [
        Entry(library.XGBClassifier, "XGBoostXGBClassifier", classes, convert_xgboost, CLASSIFIER_OPTIONS),
        Entry(library.XGBRFClassifier, "XGBoostXGBRFClassifier", classes, convert_xgboost, CLASSIFIER_OPTIONS),
        Entry(library.XGBRegressor, "XGBoostXGBRegressor", numbers, convert_xgboost),
        Entry(library.XGBRFRegressor, "XGBoostXGBRFRegressor", numbers, convert_xgboost),
    ]
