"""What cannot be exported is refused in one line that names the step and the cure; and an export leaves no traces."""

from __future__ import annotations

import copy
import logging
import random
import threading
from typing import Any

import joblib
import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer, StandardScaler

from mlmagic.bundles.exporters import graph_of
from mlmagic.bundles.exporters.protobuf import exact_thresholds, plain
from mlmagic.bundles.graph import ExportError
from mlmagic.errors import MisuseError
from tests.unit.bundles.exported import NUMBERS, classes, matrix, people, preparation

SEEN = matrix(0)
Y = classes(SEEN, [0, 1])
LOGISTIC = LogisticRegression(max_iter=300)


class Doubling(TransformerMixin, BaseEstimator):
    def fit(self, X: Any, y: Any = None) -> Doubling:
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        return 2 * X


REFUSED = {
    "a function": (
        make_pipeline(FunctionTransformer(np.cbrt), LOGISTIC),
        r"step 'functiontransformer' \(FunctionTransformer\) cannot be exported: .* before the model",
    ),
    "a class of the notebook's": (
        make_pipeline(StandardScaler(), Doubling(), LOGISTIC),
        r"step 'doubling' \(Doubling\) cannot be exported: there is no conversion to ONNX for it",
    ),
    "a transformer that the converter does not know": (
        make_pipeline(SplineTransformer(), LOGISTIC),
        r"step 'splinetransformer' \(SplineTransformer\)",
    ),
    "a threshold that would be lost": (
        make_pipeline(StandardScaler(), FixedThresholdClassifier(LOGISTIC, threshold=0.3)),
        r"step 'fixedthresholdclassifier' \(FixedThresholdClassifier\) .* threshold",
    ),
    "a tuned threshold": (TunedThresholdClassifierCV(LOGISTIC, cv=2), r"TunedThresholdClassifierCV .* best_threshold_"),
    "indicators": (make_pipeline(SimpleImputer(add_indicator=True), LOGISTIC), r"SimpleImputer.* indicators are lost"),
    "rare categories": (
        make_pipeline(OneHotEncoder(max_categories=2, handle_unknown="infrequent_if_exist"), LOGISTIC),
        r"step 'onehotencoder' \(OneHotEncoder\) cannot be exported: its infrequent categories .* min_frequency",
    ),
    "categorical splits": (
        HistGradientBoostingClassifier(max_iter=2, categorical_features=[5]),
        r"HistGradientBoostingClassifier cannot be exported: .* categorical splits",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_step_and_the_cure_are_named(name: str) -> None:
    model, told = REFUSED[name]
    X = np.column_stack([SEEN, np.arange(len(SEEN)) % 3])
    with pytest.raises(ExportError, match=told) as refusal:
        graph_of(model.fit(X, Y), X)
    assert "\n" not in str(refusal.value)


def test_a_step_on_a_column_of_text_is_named_with_its_place() -> None:
    frame = people(nulls=False)
    columns = ColumnTransformer([("words", TfidfVectorizer(), "job"), ("numbers", StandardScaler(), NUMBERS)])
    with pytest.raises(ExportError, match=r"step 'columntransformer/words' \(TfidfVectorizer\) .* before the model"):
        graph_of(make_pipeline(columns, LOGISTIC).fit(frame, frame["member"]), frame)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "sklearn"])
def test_categories_that_a_model_takes_itself_are_refused_by_column(library: str) -> None:
    frame = people(nulls=False)[["age", "job"]].astype({"job": "category"})
    if library == "sklearn":
        model: Any = HistGradientBoostingClassifier(max_iter=2)
    elif library == "lightgbm":
        model = pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=2, verbose=-1)
    else:
        model = pytest.importorskip("xgboost").XGBClassifier(n_estimators=2, enable_categorical=True)
    with pytest.raises(ExportError, match=r"categories of column 'job' itself.* put an OrdinalEncoder"):
        graph_of(model.fit(frame, np.arange(len(frame)) % 2), frame)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (LogisticRegression(), "LogisticRegression is not fitted: call its fit"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "Pipeline is not fitted"),
        (LogisticRegression, "LogisticRegression is a class: export a fitted instance"),
        (lambda X: X, "function cannot be exported; expected an estimator"),
        (StandardScaler().fit(SEEN), "StandardScaler is no classifier, regressor"),
    ],
)
def test_what_is_no_fitted_model_is_refused(model: Any, told: str) -> None:
    with pytest.raises(ExportError, match=told):
        graph_of(model, SEEN)


def test_a_booster_is_sent_to_its_estimator() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(SEEN, Y), 2)
    with pytest.raises(ExportError, match="fit the library's estimator for scikit-learn"):
        graph_of(booster, SEEN)


def test_several_labels_for_a_row_are_refused() -> None:
    model = RandomForestClassifier(2).fit(SEEN, np.column_stack([Y, 1 - Y]))
    with pytest.raises(ExportError, match="several labels for a row: export a classifier for each"):
        graph_of(model, SEEN)


@pytest.mark.parametrize(
    ("example", "told"),
    [
        (pd.DataFrame({"age": [1.0], "hours": [2.0]}), "no column of the example data 'hours-per-week'; did you mean"),
        (np.ones((3, 3)), "column of the example data"),
        (np.ones(3), "an array of shape 3; expected rows and columns"),
        (people()[NUMBERS][:0], "the example data has no rows"),
        (object(), "is no table"),
    ],
)
def test_an_example_that_does_not_fit_the_model_is_refused(example: Any, told: str) -> None:
    frame = people(nulls=False)[NUMBERS]
    with pytest.raises(MisuseError, match=told):
        graph_of(LogisticRegression(max_iter=500).fit(frame, np.arange(len(frame)) % 2), example)


def test_an_array_of_another_width_is_refused() -> None:
    with pytest.raises(ExportError, match="has 3 columns; the model was fitted with 5"):
        graph_of(LOGISTIC.fit(SEEN, Y), SEEN[:, :3])


def test_the_model_stays_as_it_was() -> None:
    frame = people()
    model = make_pipeline(preparation(), HistGradientBoostingClassifier(max_iter=2)).fit(frame, frame["member"])
    before = copy.deepcopy(model)
    graph_of(model, frame)
    assert joblib.hash(model) == joblib.hash(before)


def test_nothing_is_left_changed_printed_or_logged(capfd: pytest.CaptureFixture[str]) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    from skl2onnx import _parse, _supported_operators
    from skl2onnx.common import _registration
    from skl2onnx.operator_converters import calibrated_classifier_cv

    pools = (
        _supported_operators.sklearn_operator_name_map,
        _registration._converter_pool,
        _registration._shape_calculator_pool,
        _parse.sklearn_parsers_map,
    )
    random.seed(3)
    np.random.seed(3)
    before = [dict(pool) for pool in pools], random.getstate(), np.random.get_state()[1].tolist()
    patched = onnx.helper.make_attribute, calibrated_classifier_cv._transform_isotonic
    levels = logging.getLogger("skl2onnx").level, logging.getLogger("torch").level
    graph_of(lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(SEEN, Y), SEEN)
    with pytest.raises(ExportError):
        graph_of(make_pipeline(SplineTransformer(), LOGISTIC).fit(SEEN, Y), SEEN)
    assert ([dict(pool) for pool in pools], random.getstate(), np.random.get_state()[1].tolist()) == before
    assert (onnx.helper.make_attribute, calibrated_classifier_cv._transform_isotonic) == patched
    assert (logging.getLogger("skl2onnx").level, logging.getLogger("torch").level) == levels
    assert capfd.readouterr() == ("", "")


def test_two_exports_at_once_do_not_disturb_each_other() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    models = [
        lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(SEEN, Y),
        HistGradientBoostingClassifier(max_iter=2).fit(SEEN, Y),
    ]
    found: list[Any] = []
    threads = [threading.Thread(target=lambda one=one: found.append(graph_of(one, SEEN))) for one in models * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(graph.model_type for graph in found) == sorted(type(one).__name__ for one in models * 2)


def test_a_converter_that_the_user_registered_is_used() -> None:
    from skl2onnx import _supported_operators, update_registered_converter
    from skl2onnx.common import _registration
    from skl2onnx.common.data_types import FloatTensorType

    def shapes(operator: Any) -> None:
        operator.outputs[0].type = FloatTensorType([None, operator.inputs[0].type.shape[1]])

    def convert(scope: Any, operator: Any, container: Any) -> None:
        container.add_node("Add", [operator.inputs[0].full_name] * 2, operator.output_full_names)

    try:
        update_registered_converter(Doubling, "Doubling", shapes, convert)
        graph = graph_of(make_pipeline(Doubling(), LOGISTIC).fit(SEEN, Y), SEEN)
    finally:
        del _supported_operators.sklearn_operator_name_map[Doubling]
        del _registration._converter_pool["Doubling"], _registration._shape_calculator_pool["Doubling"]
    assert graph.model_type == "Pipeline (Doubling, LogisticRegression)"


def test_attributes_become_what_protobuf_takes() -> None:
    given = [np.bool_(True), False, np.int64(3), np.float32(0.5), "text", b"bytes"]
    found = plain(given)
    assert found == [1, 0, 3, 0.5, "text", b"bytes"]
    assert [type(one) for one in found] == [int, int, int, float, str, bytes]
    assert plain(np.array([[True], [False]])) == [1, 0]


def test_a_threshold_never_crosses_the_number_that_is_compared_with_it() -> None:
    number = np.float32(0.1)
    below = float(number) - 1e-10  # to the nearest it would be the number itself, and `number <= below` true
    assert exact_thresholds([below], ["BRANCH_LEQ"])[0] < float(number)
    assert exact_thresholds([float(number)], ["BRANCH_LEQ"]) == [float(number)]
    assert exact_thresholds([0.1], ["BRANCH_LT"]) == [float(number)]


def test_the_graph_holds_standard_operators_of_old_opsets() -> None:
    frame = people()
    graph = graph_of(make_pipeline(preparation(), LOGISTIC).fit(frame, frame["member"]), frame, name="churn")
    model = onnx.load_model_from_string(graph.content)
    onnx.checker.check_model(model)
    assert model.graph.name == "churn"
    assert all(one.version <= {"": 18, "ai.onnx.ml": 3}[one.domain] for one in model.opset_import)
    assert graph.model_type == "Pipeline (ColumnTransformer, LogisticRegression)"


def test_an_encoder_that_refuses_nulls_and_a_graph_that_would_take_them() -> None:
    frame = people(nulls=False)
    columns = ColumnTransformer([("jobs", OneHotEncoder(handle_unknown="error"), ["job"])])
    graph = graph_of(make_pipeline(columns, LOGISTIC).fit(frame, frame["member"]), frame)
    assert (graph.schema.field("job").nullable, graph.schema.field("job").closed) == (False, True)
