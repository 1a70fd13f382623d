"""Finding the step that cannot be exported: a model and the converter's complaint come in, one line goes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlmagic.bundles.exporters.converting import converted, known
from mlmagic.bundles.exporters.walking import Part, parts_of, selectors_of
from mlmagic.bundles.graph import ExportError
from mlmagic.bundles.operators import check_operators
from mlmagic.bundles.schema import TensorType
from mlmagic.errors import MisuseError

_WITHOUT_IT = "do it to the data before the model, and fit the model without it"
_NO_TEXT = "onnxruntime splits no text by standard operators: " + _WITHOUT_IT
_NO_FUNCTION = "a Python function is no graph: " + _WITHOUT_IT

# class -> why it cannot be exported, and what can be done
_CURES = {
    "TfidfVectorizer": _NO_TEXT,
    "CountVectorizer": _NO_TEXT,
    "HashingVectorizer": _NO_TEXT,
    "FunctionTransformer": _NO_FUNCTION,
}

# class -> the same, where a conversion exists and is wrong
REFUSED = {
    "TunedThresholdClassifierCV": (
        "its conversion loses the threshold: export its estimator_ and compare the probability with best_threshold_"
    ),
    "FixedThresholdClassifier": "export its estimator_ and compare the probability with the threshold",
}

_OWN_CATEGORIES = (
    "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "LGBMClassifier", "LGBMRegressor",
    "XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor",
)  # fmt: skip


def refused(model: Any, texts: frozenset[str]) -> None:
    """Raises `ExportError` for a model with a step whose conversion is known to be wrong."""
    for part in selectors_of(model):
        if texts and type(part).__name__ in _OWN_CATEGORIES:
            raise ExportError(
                f"{type(part).__name__} takes the categories of column {min(texts)!r} itself, which its conversion "
                "does not keep: put an OrdinalEncoder or OneHotEncoder before it, in a pipeline"
            )
    for part in parts_of(model, texts):
        if reason := _refusal(part.model):
            raise ExportError(f"{part} cannot be exported: {reason}")


def _refusal(model: Any) -> str:
    """Why a step is refused; empty where it is not."""
    if type(model).__name__ == "SimpleImputer" and model.add_indicator:
        return "its indicators are lost in conversion: make them in the data before the model (add_indicator=False)"
    if type(model).__name__ == "OneHotEncoder" and any(one is not None for one in _infrequent(model)):
        return (
            "its infrequent categories have no conversion: name them one in the data before the model, and leave "
            "min_frequency and max_categories out"
        )
    if np.any(getattr(model, "is_categorical_", False)):
        return "its conversion loses its categorical splits: leave categorical_features out, or encode them before it"
    return REFUSED.get(type(model).__name__, "")


def _infrequent(encoder: Any) -> Sequence[Any]:
    """Of each column the categories that an encoder takes for one, or ``None``."""
    return encoder.infrequent_categories_ if getattr(encoder, "_infrequent_enabled", False) else ()


def complaint(model: Any, texts: frozenset[str], error: BaseException) -> ExportError:
    """The error that names the step for which a conversion failed: each is converted on its own.

    Parameters
    ----------
    texts : set of str
        The columns of text.
    error : exception
        What the converter said of the whole.
    """
    parts = list(parts_of(model, texts))
    unknown = next((part for part in parts if not known(part.model)), None)
    if unknown is not None:
        return ExportError(f"{unknown} cannot be exported: {_cure(unknown, 'there is no conversion to ONNX for it')}")
    for part in parts:
        if reason := _failure(part):
            return ExportError(f"{part} cannot be exported: {_cure(part, reason)}")
    return ExportError(f"{type(model).__name__} cannot be exported: {_line(error)}")


def _failure(part: Part) -> str:
    """Why a step cannot be converted on its own; empty where it can."""
    kind: TensorType = "string" if part.text else "float32"
    try:
        made = converted(part.model, [("input", kind, int(getattr(part.model, "n_features_in_", 1)))], "step")
        check_operators(made.SerializeToString())
    except MisuseError as error:
        return str(error)
    except Exception as error:  # the converter's, of any class
        return _line(error)
    return ""


def _cure(part: Part, reason: str) -> str:
    return _CURES.get(type(part.model).__name__, f"{reason}; {_WITHOUT_IT}, or put another step in its place")


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
