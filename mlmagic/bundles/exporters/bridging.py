"""The step that closes the converter's gaps: a fitted model comes in, a copy that it can convert goes out.

Graphs have no null texts: a null is the empty text there, so what looks for nulls in text looks for that. Nothing here
is trusted: the parity gate asks the model itself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlmagic.bundles.exporters.folding import without_scalers
from mlmagic.bundles.exporters.protobuf import rounded_down
from mlmagic.bundles.exporters.walking import columns_of_step, rebuilt, selectors_of
from mlmagic.bundles.rows import NULL

_ENCODERS = ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder")


def bridged(model: Any, names: Sequence[str], tensors: Mapping[str, str] | None) -> Any:
    """A copy that the converter takes; the model stays as it is.

    Parameters
    ----------
    names : sequence of str
        The columns that the model was fitted with.
    tensors : mapping or None
        Column -> its input; ``None`` where all columns make one input, and are told by their place.
    """

    def change(part: Any) -> Any:
        if type(part).__name__ == "ColumnTransformer":
            return _with_inputs(part, names, tensors)
        changed = _CHANGES.get(type(part).__name__)
        return changed(part) if changed else part

    return rebuilt(model, change)


def columns_used(model: Any, names: Sequence[str]) -> list[str]:
    """The columns that the model looks at, in their order."""
    used: set[str] = set()
    for selector in selectors_of(model):
        if type(selector).__name__ != "ColumnTransformer":
            return list(names)
        for _, step, columns in selector.transformers_:
            if not (isinstance(step, str) and step == "drop"):
                used.update(columns_of_step(columns, names))
    return [name for name in names if name in used]


def encoded_columns(model: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    """Column -> the categories that an encoder knows of it, for columns that reach an encoder as they come."""
    found: dict[str, list[Any]] = {}
    for selector in selectors_of(model):
        if type(selector).__name__ != "ColumnTransformer":
            _add_categories(found, selector, names)
            continue
        for _, step, columns in selector.transformers_:
            _add_categories(found, _first_encoder(step), columns_of_step(columns, names))
    return found


def _first_encoder(step: Any) -> Any:
    """The encoder that a step begins with, but for imputers, which hand categories on."""
    if type(step).__name__ != "Pipeline":
        return step
    for _, part in step.steps:
        if type(part).__name__ != "SimpleImputer":
            return part
    return None


def _add_categories(found: dict[str, list[Any]], encoder: Any, columns: Sequence[str]) -> None:
    if type(encoder).__name__ not in _ENCODERS or len(encoder.categories_) != len(columns):
        return
    for column, categories in zip(columns, encoder.categories_, strict=True):
        found.setdefault(column, []).extend(categories.tolist())


def _with_inputs(part: Any, names: Sequence[str], tensors: Mapping[str, str] | None) -> Any:
    """A `ColumnTransformer` that selects the graph's inputs, by name, or by place in the only one."""
    made = copy.copy(part)
    made.transformers_ = []
    for name, step, columns in part.transformers_:
        chosen = columns_of_step(columns, names)
        if not chosen or (isinstance(step, str) and step == "drop"):
            continue
        selected: list[Any] = [tensors[one] if tensors else list(names).index(one) for one in chosen]
        made.transformers_.append((name, step, selected))
    return made


def _imputer(part: Any) -> Any:
    texts = any(isinstance(one, str) for one in getattr(part, "statistics_", ()))  # objects may be numbers, too
    if not texts or not _is_null(part.missing_values):
        return part
    made = copy.copy(part)
    made.missing_values = NULL
    return made


def _encoder(part: Any) -> Any:
    """Categories in which a null is the empty text, and booleans are numbers."""
    made = copy.copy(part)
    made.categories_ = [_plain(categories) for categories in part.categories_]
    return made


def _plain(categories: Any) -> Any:
    if categories.dtype == bool:
        return categories.astype(np.int64)
    if categories.dtype != object or not any(isinstance(one, str) for one in categories):
        return categories
    return np.array([NULL if _is_null(one) else one for one in categories], dtype=object)


def _boosted(part: Any) -> Any:
    """Truths as whole numbers: the converter takes labels that are no numbers for text."""
    if part.classes_.dtype != bool:
        return part
    made = copy.copy(part)
    made.classes_ = part.classes_.astype(np.int64)
    return made


def _voting(part: Any) -> Any:
    made = copy.copy(part)
    made.flatten_transform = False  # only its `transform` would differ, which is not exported
    made.weights = None if part.weights is None else np.asarray(part.weights)
    return made


def _bins(part: Any) -> Any:
    made = copy.copy(part)
    made.encode = "onehot-dense" if part.encode == "onehot" else part.encode
    return made


def _discriminant(part: Any) -> Any:
    """Two classes by the logistic function of one score, which the converter takes for a softmax of two."""
    if len(part.classes_) != 2:
        return part
    from sklearn.linear_model import LogisticRegression

    made = LogisticRegression()
    made.coef_, made.intercept_, made.classes_ = part.coef_, part.intercept_, part.classes_
    made.n_features_in_ = part.n_features_in_
    return made


def _histogram(part: Any) -> Any:
    """Trees whose thresholds are float32 numbers, by which each float32 number takes the same branch.

    Their converter rounds to the nearest, which may be the very number that is compared.
    """
    made = copy.copy(part)
    made._predictors = [[_with_thresholds(tree) for tree in trees] for trees in part._predictors]
    made.exact_predictors = part._predictors  # for scalers before it
    return made


def _with_thresholds(tree: Any) -> Any:
    made = copy.copy(tree)
    made.nodes = tree.nodes.copy()
    made.nodes["num_threshold"] = rounded_down(tree.nodes["num_threshold"])
    return made


def _unnamed(part: Any) -> Any:
    """XGBoost's trees by the columns' places: their converter takes no names."""
    made = copy.copy(part)
    made._Booster = part.get_booster().copy()
    made._Booster.feature_names = None
    return made


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


_CHANGES = {
    "SimpleImputer": _imputer,
    "OneHotEncoder": _encoder,
    "OrdinalEncoder": _encoder,
    "AdaBoostClassifier": _boosted,
    "VotingClassifier": _voting,
    "VotingRegressor": _voting,
    "KBinsDiscretizer": _bins,
    "LinearDiscriminantAnalysis": _discriminant,
    "Pipeline": without_scalers,
    **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), _histogram),
    **dict.fromkeys(("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"), _unnamed),
}
