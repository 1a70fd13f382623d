"""Estimators and pipelines of scikit-learn, LightGBM and XGBoost: a fitted model comes in, its graph goes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic._optional import loaded, need
from mlmagic.bundles.exporters.asking import Answering, Asker
from mlmagic.bundles.exporters.bridging import bridged, columns_used, encoded_columns
from mlmagic.bundles.exporters.converting import converted
from mlmagic.bundles.exporters.finishing import finished, with_columns, with_rows
from mlmagic.bundles.exporters.inputs import MATRIX, Example, example_of, fields_of
from mlmagic.bundles.exporters.locating import complaint, refused
from mlmagic.bundles.exporters.probing import Sides, probed
from mlmagic.bundles.exporters.walking import by_name, parts_of, selectors_of
from mlmagic.bundles.graph import Answers, ExportError, Graph
from mlmagic.bundles.operators import check_operators
from mlmagic.bundles.rows import feeds_of
from mlmagic.bundles.schema import LABEL, PREDICTION, PROBABILITIES, Field, Output, Schema, TensorType
from mlmagic.bundles.scorer import Scorer
from mlmagic.errors import MisuseError

_SAMPLE = 2_000  # rows of the example that the model is asked about while it is exported
_LIBRARIES = ("lightgbm", "xgboost")
_OUTPUTS = (LABEL, PROBABILITIES, PREDICTION)


def graph_of(model: Any, example: Any, *, name: str = "model") -> Graph:
    """The graph of a fitted estimator or pipeline; see `mlmagic.bundles.exporters.graph_of`."""
    need("skl2onnx")
    _check_fitted(model)
    whole = example_of(model, example)
    refused(model, _texts(whole))
    answering = _answering(model)
    data, left_out = _used(model, whole)
    known = encoded_columns(model, whole.names)
    asker = Asker.of(model, answering, data)
    sample = data.sample(_SAMPLE)
    schema = _schema(model, data, known, answering, _first_answers(asker, sample))
    content = _content(model, whole.names, _texts(whole), schema, name)
    try:
        sides = Sides(asker.ask, Scorer(content, schema).score)
    except MisuseError as error:
        raise ExportError(f"{type_of(model)} cannot be exported: its conversion is faulty ({error})") from error
    schema, remarks = probed(schema, feeds_of(schema, sample), sides, known)
    decides = PROBABILITIES not in answering.outputs and hasattr(model, "decision_function")
    return Graph(
        content,
        schema,
        _framework(model),
        type_of(model),
        partial(asker.ask, schema),
        partial(asker.ask_exactly, schema),
        (*left_out, *remarks),
        partial(asker.decide, schema) if decides else None,
    )


def type_of(model: Any) -> str:
    """A model's class; of a pipeline also its steps' classes."""
    kind = type(model).__name__
    if hasattr(model, "best_estimator_"):
        return f"{kind} of {type_of(model.best_estimator_)}"
    if kind != "Pipeline":
        return kind
    return f"{kind} ({', '.join(type_of(step) for _, step in model.steps if not isinstance(step, str))})"


def _check_fitted(model: Any) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        raise ExportError(f"{type(model).__name__} is not fitted: call its fit before exporting it") from None
    except TypeError:
        raise ExportError(f"{type(model).__name__} is no estimator that can be exported") from None


def _answering(model: Any) -> Answering:
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    if is_regressor(model):
        return Answering({PREDICTION: "float32"}, None)
    if (is_clusterer(model) or is_outlier_detector(model)) and hasattr(model, "predict"):
        return Answering({LABEL: "int64"}, None)
    if not is_classifier(model):
        raise ExportError(
            f"{type_of(model)} is no classifier, regressor, clustering or outlier detector: export the model whose "
            "predict gives the answers"
        )
    kind, classes = _classes(model)
    outputs: dict[str, TensorType] = {LABEL: kind}
    if hasattr(model, "predict_proba"):
        outputs[PROBABILITIES] = "float32"
    return Answering(outputs, classes)


def _classes(model: Any) -> tuple[TensorType, tuple[Any, ...]]:
    """The type of a classifier's labels, and its classes as plain values."""
    found = model.classes_
    if isinstance(found, list) or np.ndim(found) != 1:
        raise ExportError(f"{type_of(model)} gives several labels for a row: export a classifier for each of them")
    values = np.asarray(found).tolist()
    if all(isinstance(one, str) for one in values):
        return "string", tuple(values)
    if all(isinstance(one, bool) for one in values):
        return "bool", tuple(values)
    if all(isinstance(one, (int, float)) and one == int(one) for one in values):
        return "int64", tuple(int(one) for one in values)
    raise ExportError(f"classes are texts, whole numbers or booleans, not {values[0]!r}: encode the labels")


def _used(model: Any, data: Example) -> tuple[Example, tuple[str, ...]]:
    """The columns that the model looks at, and a note on the others.

    Only a pipeline that begins by selecting columns of a frame does without the others.
    """
    inner = getattr(model, "best_estimator_", model)
    used = columns_used(inner, data.names) if type(inner).__name__ == "Pipeline" and data.framed else list(data.names)
    if len(used) == len(data.names):
        return data, ()
    if not used:
        raise ExportError(f"{type_of(model)} uses no column: there is nothing to export")
    others = ", ".join(name for name in data.names if name not in set(used))
    return data.only(used), (f"columns that the model does not use are left out: {others}",)


def _first_answers(asker: Asker, sample: Any) -> Answers:
    """The model's answers for the first rows: they tell the outputs' shapes."""
    try:
        answers = asker.answers(sample if asker.array is None else sample.to_numpy(asker.array))
    except Exception as error:  # the user's model's own
        lines = str(error).strip().splitlines() or [""]
        raise ExportError(f"the model fails on the example data: {type(error).__name__}: {lines[0][:300]}") from error
    if LABEL in answers and answers[LABEL].ndim > 1:
        raise ExportError(
            f"{type_of(asker.model)} gives several labels for a row: export a classifier for each of them"
        )
    return answers


def _schema(
    model: Any, data: Example, known: Mapping[str, Sequence[Any]], answering: Answering, answers: Answers
) -> Schema:
    """What the model takes and gives; nulls and unseen categories are not judged yet."""
    whole = {name for name in set(known) - _texts(data) if name in data.names and _is_whole(data.table.numbers(name))}
    fields = fields_of(data, whole, _OUTPUTS)
    outputs = tuple(Output(name, kind, answers[name].shape[1:]) for name, kind in answering.outputs.items())
    order = [name for name in (PROBABILITIES, PREDICTION, LABEL) if name in answering.outputs]
    columns = any(field.type != "float32" for field in fields) or _by_name(model) or _has_booleans(data)
    if columns:
        return Schema("columns", fields, outputs, order[0], classes=answering.classes, named=data.named)
    together = tuple(replace(field, tensor="") for field in fields)
    shape = (len(fields),)
    return Schema("matrix", together, outputs, order[0], MATRIX, shape, answering.classes, data.named)


def _content(model: Any, names: Sequence[str], texts: frozenset[str], schema: Schema, name: str) -> bytes:
    """The graph, checked for what a bundle may hold."""
    tensors = {field.name: field.tensor for field in schema.fields}
    separate = schema.layout == "columns" and (_selects(model) or len({field.type for field in schema.fields}) > 1)
    copied = bridged(model, names, tensors if separate else None)
    kinds = {output.name: output.type for output in schema.outputs}
    shape = schema.outputs[0].shape
    try:
        made = converted(copied, _inputs(schema.fields, separate), name)
        if schema.layout == "columns" and not separate:
            made = with_columns(made, schema.fields)
        prediction = shape[0] or 0 if shape else 0
        content: bytes = finished(with_rows(made), kinds, prediction).SerializeToString()
        check_operators(content)
    except Exception as error:  # the converter's, of any class
        raise complaint(copied, texts, error) from error
    return content


def _inputs(fields: Sequence[Field], separate: bool) -> list[tuple[str, TensorType, int]]:
    if separate:  # a number first: the converter takes the type of scores from the first input
        return sorted(((field.tensor, field.type, 1) for field in fields), key=lambda one: one[1] != "float32")
    return [(MATRIX, fields[0].type, len(fields))]


def _selects(model: Any) -> bool:
    """Whether all that meets the data first selects columns."""
    return all(type(selector).__name__ == "ColumnTransformer" for selector in selectors_of(model))


def _by_name(model: Any) -> bool:
    return any(
        by_name(columns)
        for selector in selectors_of(model)
        if type(selector).__name__ == "ColumnTransformer"
        for _, _, columns in selector.transformers_
    )


def _has_booleans(data: Example) -> bool:
    return any(column.kind == "boolean" for column in data.table.columns)


def _texts(data: Example) -> frozenset[str]:
    return frozenset(column.name for column in data.table.columns if column.kind == "categorical")


def _is_whole(numbers: NDArray[np.float64]) -> bool:
    return bool((np.isfinite(numbers) & (numbers == np.floor(numbers))).all())


def _framework(model: Any) -> str:
    import sklearn

    found = [f"scikit-learn {sklearn.__version__}"] if type(model).__module__.startswith("sklearn.") else []
    parts = list(parts_of(model, frozenset()))
    for library in _LIBRARIES:
        module = loaded(library)
        if module is not None and any(type(part.model).__module__.startswith(f"{library}.") for part in parts):
            found.append(f"{library} {module.__version__}")
    return ", ".join(found) or f"scikit-learn {sklearn.__version__}"
