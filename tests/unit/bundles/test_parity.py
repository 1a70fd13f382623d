"""The gate lets a graph pass that answers as its model does, and names the first difference where it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from mlmagic.bundles.exporters import graph_of, locating
from mlmagic.bundles.graph import ExportError, Graph
from mlmagic.bundles.parity import PROBES, TOLERANCE, check_parity, differing, gaps, margins, probes, tolerances
from mlmagic.bundles.rows import feeds_of
from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.bundles.scorer import Scorer
from tests.unit.bundles.exported import classes, matrix, target

SEEN, FRESH = matrix(0), matrix(1)
LABELS = classes(SEEN, ["no", "yes"])


def exported(model: Any, X: Any = SEEN) -> Graph:
    return graph_of(model, X)


def check(graph: Graph, **sets: Any) -> Any:
    return check_parity(graph, Scorer(graph.content, graph.schema), sets)


def mistyped(scorer: Scorer) -> Any:
    """The same scorer, given inputs of a type that its graph does not take."""

    class Wrong:
        schema = scorer.schema

        def score(self, feeds: Any) -> Any:
            return scorer.score({name: tensor.astype(np.float64) for name, tensor in feeds.items()})

    return Wrong()


def logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(SEEN, LABELS)


def test_the_report_tells_rows_differences_tolerances_and_the_drift_to_float64() -> None:
    report = check(exported(logistic()), holdout=FRESH, seen=SEEN).to_dict()
    assert report["tolerances"] == {"label": 0.0, "probabilities": 1e-4}
    assert {name: one["rows"] for name, one in report["sets"].items()} == {"holdout": 240, "seen": 240, "probes": 512}
    holdout = report["sets"]["holdout"]
    assert 0 < holdout["differences"]["probabilities"] < 1e-6
    assert 0 < holdout["drift"]["probabilities"] < 1e-5
    assert holdout["drift"]["label"] == 0.0
    assert report["sets"]["probes"]["drift"] is None
    assert json.loads(json.dumps(report)) == report


def test_another_models_graph_is_refused_with_the_row_the_class_and_both_values() -> None:
    right = exported(logistic())
    other = exported(make_pipeline(StandardScaler(), LogisticRegression(C=1e-3)).fit(SEEN, LABELS))
    with pytest.raises(
        ExportError, match=r"holdout, row 0, probability of 'no': the model says 0\.\d+, the graph 0\.\d+ \(tolerance"
    ):
        check(replace(right, content=other.content), holdout=FRESH)


def test_a_lost_threshold_is_found_by_the_gate_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(locating.REFUSED, "TunedThresholdClassifierCV")
    rare = np.where(target(SEEN) > np.quantile(target(SEEN), 0.8), "yes", "no")
    model = TunedThresholdClassifierCV(LogisticRegression(max_iter=500), scoring="balanced_accuracy", cv=3)
    graph = exported(model.fit(SEEN, rare))
    with pytest.raises(ExportError, match=r"holdout, row \d+, label: the model says 'yes', the graph 'no'"):
        check(graph, holdout=FRESH)


def test_a_wrong_branch_that_no_row_takes_is_found_by_rows_made_of_seen_values() -> None:
    X = np.array([[0.0, 0.0], [1.0, 1.0]] * 20)
    by_first = DecisionTreeClassifier().fit([[0, 0], [0, 1], [1, 0], [1, 1]], [False, False, True, True])
    by_second = DecisionTreeClassifier().fit([[0, 0], [0, 1], [1, 0], [1, 1]], [False, True, False, True])
    right, wrong = exported(by_first, X), exported(by_second, X)
    with pytest.raises(ExportError, match="probes, row"):
        check(replace(right, content=wrong.content), seen=X)


def test_a_label_may_differ_only_where_the_models_margin_is_within_the_tolerance() -> None:
    schema = Schema("matrix", (Field("x0", "float32", "f"),), (Output("label", "int64"),), "label", "input", (1,))
    expected, found = {"label": np.array([0, 0])}, {"label": np.array([1, 1])}
    wrong = differing(schema, expected, found, {"label": 0.0}, np.array([TOLERANCE / 2, TOLERANCE * 2]))
    assert wrong["label"].ravel().tolist() == [False, True]


def test_a_classifier_without_probabilities_has_its_margin_from_its_decisions() -> None:
    graph = exported(make_pipeline(StandardScaler(), LinearSVC()).fit(SEEN, LABELS))
    assert graph.decide is not None
    decisions = graph.decide(feeds_of(graph.schema, FRESH))
    assert decisions.shape == (240,)
    assert check(graph, holdout=FRESH).sets["holdout"].close_calls == 0


def test_margins() -> None:
    assert margins({"probabilities": np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])}, None) == pytest.approx([0.2, 1.0])
    assert margins({"label": np.array([1])}, np.array([-0.5])) == pytest.approx([0.5])
    assert margins({"label": np.array([1])}, None) is None


def test_nan_on_both_sides_is_equal_and_on_one_side_is_not() -> None:
    found = gaps(np.array([np.nan, np.nan, np.inf, 1.0]), np.array([np.nan, 0.0, np.inf, 1.5]))
    assert found.ravel().tolist() == [0.0, np.inf, 0.0, 0.5]


def test_a_prediction_is_compared_by_the_scale_of_all_predictions() -> None:
    schema = Schema(
        "matrix", (Field("x", "float32", "f"),), (Output("prediction", "float32"),), "prediction", "i", (1,)
    )
    sets = [{"prediction": np.array([1.0, -2000.0])}, {"prediction": np.array([np.inf, 5.0])}]
    assert tolerances(schema, sets) == {"prediction": pytest.approx(2006 / 3 * 1e-4)}
    assert tolerances(schema, [{"prediction": np.zeros(3)}]) == {"prediction": pytest.approx(1e-4)}


def test_one_outlier_lets_the_others_not_be_anything() -> None:
    schema = Schema(
        "matrix", (Field("x", "float32", "f"),), (Output("prediction", "float32"),), "prediction", "i", (1,)
    )
    said = {"prediction": np.array([1.0] * 999 + [1e6])}
    allowed = tolerances(schema, [said])
    other = {"prediction": said["prediction"] + np.array([0.5] * 999 + [50.0])}
    wrong = differing(schema, said, other, allowed)["prediction"]
    assert wrong[:-1].all()
    assert not wrong[-1]


def test_a_number_that_is_none_on_one_side_differs_whatever_the_tolerance() -> None:
    schema = Schema(
        "matrix", (Field("x", "float32", "f"),), (Output("prediction", "float32"),), "prediction", "i", (1,)
    )
    said, other = ({"prediction": np.array(values)} for values in ([np.nan, np.inf, 1.0], [1.0, 1.0, np.nan]))
    assert differing(schema, said, other, {"prediction": 0.1})["prediction"].all()


def test_rows_that_the_rounding_moves_are_counted() -> None:
    X = np.round(np.random.default_rng(0).uniform(0, 100, (3000, 1)), 2)  # its trees compare with such numbers
    model = HistGradientBoostingRegressor(max_iter=3).fit(X, np.sin(X[:, 0]))
    found = check(exported(model, X), holdout=X).sets
    exact, rounded = model.predict(X), model.predict(X.astype(np.float32))
    assert found["holdout"].moved == np.count_nonzero(np.abs(exact - rounded) > 1e-4) > 0
    assert found[PROBES].moved is None


def test_a_graph_that_fails_where_the_model_answers_is_refused_as_such() -> None:
    graph = exported(logistic())
    scorer = Scorer(graph.content, graph.schema)
    with pytest.raises(ExportError, match=r"the model answers rows of X, and its graph does not: the model failed"):
        check_parity(graph, mistyped(scorer), {"X": SEEN})


def test_rows_that_the_bundle_refuses_are_left_out_and_told() -> None:
    graph = exported(Ridge().fit(SEEN, target(SEEN)))
    holdout = FRESH.copy()
    holdout[[1, 4], 2] = np.nan
    found = check(graph, holdout=holdout).sets["holdout"]
    assert (found.rows, found.left_out) == (238, 2)


def test_a_set_of_which_no_row_is_taken_is_refused_with_the_reason() -> None:
    graph = exported(Ridge().fit(SEEN, target(SEEN)))
    with pytest.raises(ExportError, match=r"no row of holdout .* row 0, column 'x0': null"):
        check(graph, holdout=np.full((2, 5), np.nan))


def test_a_row_keeps_its_place_in_the_data_where_others_are_left_out() -> None:
    graph = exported(Ridge().fit(SEEN, target(SEEN)))
    wrong = exported(Ridge().fit(SEEN, -target(SEEN)))
    holdout = FRESH.copy()
    holdout[:3] = np.nan
    with pytest.raises(ExportError, match="holdout, row 3, prediction"):
        check(replace(graph, content=wrong.content), holdout=holdout)


def test_sets_may_be_inputs_of_the_graph() -> None:
    graph = exported(logistic())
    found = check(graph, seen=feeds_of(graph.schema, SEEN)).sets["seen"]
    assert (found.rows, found.drift) == (240, None)


def test_a_model_that_fails_on_its_rows_is_named_for_that() -> None:
    graph = exported(logistic())

    def fails(feeds: Any) -> Any:
        raise ValueError("no luck\nat all")

    with pytest.raises(ExportError, match=r"the model itself fails on rows of holdout: ValueError: no luck$"):
        check(replace(graph, ask=fails), holdout=FRESH)


def test_probes_mix_the_seen_values_of_each_column_and_are_the_same_each_time() -> None:
    graph = exported(logistic())
    feeds = feeds_of(graph.schema, SEEN)
    one, other = probes(graph.schema, feeds)["input"], probes(graph.schema, feeds)["input"]
    assert np.array_equal(one, other)
    assert all(np.isin(one[:, column], feeds["input"][:, column]).all() for column in range(5))
    assert one[0, 0] == feeds["input"][:, 0].min()
    assert one[3, 1] == feeds["input"][:, 1].max()
    assert not (one[:, None, :] == feeds["input"][None]).all(axis=2).any(axis=1).all()


def test_probes_of_texts() -> None:
    frame = pd.DataFrame({"job": ["cook", "clerk"]})
    schema = Schema("columns", (Field("job", "string", "str", "job"),), (Output("label", "int64"),), "label")
    made = probes(schema, feeds_of(schema, frame))["job"]
    assert (made.shape, set(made.ravel())) == ((512, 1), {"cook", "clerk"})
