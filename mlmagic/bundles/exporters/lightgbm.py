"""LightGBM's models, alone or as a part of scikit-learn's: what their conversion takes."""

from __future__ import annotations

from mlmagic._optional import loaded, need
from mlmagic.bundles.exporters.entries import CLASSIFIER_OPTIONS, Entry


def entries() -> list[Entry]:
    """Entries for its classifier and regressor, where the user's process has loaded it."""
    library = loaded("lightgbm")
    if library is None:
        return []
    need("onnxmltools")
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from skl2onnx.common import shape_calculator as shapes

    classes, numbers = shapes.calculate_linear_classifier_output_shapes, shapes.calculate_linear_regressor_output_shapes
    options = {**CLASSIFIER_OPTIONS, "raw_scores": [True, False]}
    return [
        Entry(library.LGBMClassifier, "LightGbmLGBMClassifier", classes, convert_lightgbm, options),
        Entry(library.LGBMRegressor, "LightGbmLGBMRegressor", numbers, convert_lightgbm, {"split": None}),
    ]
