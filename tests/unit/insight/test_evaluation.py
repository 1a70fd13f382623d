"""A model on data: the numbers are right, the verdicts say what they must, bad input is refused in a line."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.insight.evaluation import evaluate
from mlmagic.insight.groups import grouping_of
from mlmagic.insight.shapes import Names
from mlmagic.records import Evaluation


def split(load: Any) -> Any:
    X, y = load(return_X_y=True, as_frame=True)
    return train_test_split(X, y, test_size=0.4, random_state=0)


CANCER, WINE, DIABETES = split(load_breast_cancer), split(load_wine), split(load_diabetes)


def logistic(data: Any = CANCER) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(data[0], data[2])


def states(result: Any) -> dict[str, tuple[str, str]]:
    return {verdict.about: (verdict.state, verdict.word) for verdict in result.verdicts}


def values(result: Any) -> dict[str, float | None]:
    return {name: estimate.value for name, estimate in result.metrics.items()}


# The numbers -------------------------------------------------------------------------------------------------


def test_two_classes_on_real_data_are_scikit_learns():
    _, X, _, y = CANCER
    model = logistic()
    told, chance = model.predict(X), model.predict_proba(X)
    found = values(evaluate(model, X, y))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, told))
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, chance[:, 1]))
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(y, chance[:, 1]))
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, chance))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, chance[:, 1]))
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(y, told))


@pytest.mark.parametrize("load", [load_wine, load_digits])
def test_several_classes_on_real_data_are_scikit_learns(load: Any):
    data = split(load)
    model = RandomForestClassifier(20, random_state=0).fit(data[0], data[2])
    _, X, _, y = data
    result = evaluate(model, X, y)
    found = values(result)
    assert found["f1_macro"] == pytest.approx(sk.f1_score(y, model.predict(X), average="macro"))
    assert found["roc_auc_ovr"] == pytest.approx(sk.roc_auc_score(y, model.predict_proba(X), multi_class="ovr"))
    assert [list(row) for row in result.curves.confusion] == sk.confusion_matrix(y, model.predict(X)).tolist()
    recalls = [result.of("test", "class", label)["recall"].value for label in result.classes]
    assert recalls == pytest.approx(sk.recall_score(y, model.predict(X), average=None).tolist())


def test_numbers_on_real_data_are_scikit_learns():
    _, X, _, y = DIABETES
    model = LinearRegression().fit(DIABETES[0], DIABETES[2])
    found = values(evaluate(model, X, y))
    assert found["r2"] == pytest.approx(sk.r2_score(y, model.predict(X)))
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(y, model.predict(X)))
    assert found["median_ae"] == pytest.approx(sk.median_absolute_error(y, model.predict(X)))
    assert found["bias"] == pytest.approx((model.predict(X) - y).mean())


def test_each_interval_holds_its_value():
    result = evaluate(logistic(), CANCER[1], CANCER[3], train=(CANCER[0], CANCER[2]))
    known = [e for e in result.estimates if e.low is not None and e.value is not None]
    assert len(known) > 20
    assert all(e.low <= e.value + 1e-6 and e.value <= e.high + 1e-6 for e in known)


def test_the_curves_are_scikit_learns_and_stay_small():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=5000)
    chance = np.clip(rng.normal(0.3 + 0.4 * y, 0.2), 0, 1)
    curves = evaluate(lambda X: np.column_stack([1 - chance, chance]), np.zeros((5000, 1)), y).curves
    theirs = sk.roc_curve(y, chance, drop_intermediate=False)
    assert len(curves.roc) <= 200
    assert len(curves.precision_recall) <= 201
    assert (curves.roc[0], curves.roc[-1]) == ((0, 0), (1, 1))
    assert {tuple(np.round(point, 9)) for point in curves.roc} <= {tuple(p) for p in np.round(theirs[:2], 9).T}


def test_residuals_are_sampled_and_their_histogram_counts_all():
    y = np.random.default_rng(0).normal(size=3000)
    curves = evaluate(lambda X: X[:, 0], (y + 1)[:, None], y).curves
    assert len(curves.residuals) == 500
    assert sum(curves.histogram[1]) == 3000
    assert curves.residuals == evaluate(lambda X: X[:, 0], (y + 1)[:, None], y).curves.residuals


# What comes in -----------------------------------------------------------------------------------------------


class Threshold:
    """A model that takes frames as they are, and remembers what it was given."""

    classes_ = np.array(["no", "yes"])

    def predict(self, X: Any) -> Any:
        self.given = X
        return np.where(np.asarray(X["a"]) > 0, "yes", "no")


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "Arrow"])
def test_x_reaches_the_model_as_it_is(make: Any):
    X = make({"a": [1.0, -1.0, 2.0, -2.0], "g": ["u", "u", "v", "v"]})
    model = Threshold()
    result = evaluate(model, X, ["yes", "no", "no", "no"], by="g")
    assert model.given is X
    assert values(result)["accuracy"] == 0.75
    assert result.groups("g") == ("v", "u"), "the worst first"


@pytest.mark.parametrize("wrap", [list, np.array, pd.Series, pl.Series, pa.array, pa.chunked_array, pd.Categorical])
def test_y_may_be_a_column_of_any_library(wrap: Any):
    y = ["yes", "no", "no", "no"]
    given = wrap([y]) if wrap is pa.chunked_array else wrap(y)
    assert values(evaluate(Threshold(), pd.DataFrame({"a": [1, -1, 1, -1]}), given))["accuracy"] == 0.75


def test_sparse_x():
    X, y = sparse.csr_array(CANCER[1].to_numpy()), CANCER[3]
    assert evaluate(DecisionTreeClassifier(random_state=0).fit(X, y), X, y).counts["test"] == len(y)


def test_a_function_that_answers_with_labels():
    result = evaluate(lambda X: np.where(X[:, 0] > 0, "b", "a"), np.array([[1.0], [-1], [1]]), ["b", "a", "a"])
    assert (result.kind, result.positive) == ("binary", "b")
    assert "roc_auc" not in result.metrics
    assert any("labels" in note for note in result.notes)


def test_a_function_that_answers_with_probabilities():
    result = evaluate(lambda X: X[:, 0], np.array([[0.9], [0.2], [0.6]]), [1, 0, 0])
    assert values(result)["roc_auc"] == 1.0
    assert values(result)["brier"] == pytest.approx((0.01 + 0.04 + 0.36) / 3)
    assert any("probability of 1" in note for note in result.notes)


def test_a_function_that_answers_with_numbers():
    result = evaluate(lambda X: X[:, 0] * 2, np.array([[1.0], [2.5], [3.0]]), [2.5, 5.0, 6.0])
    assert result.kind == "regression"


def test_a_model_without_probabilities_is_ranked_by_its_decisions():
    _, X, _, y = CANCER
    model = RidgeClassifier().fit(CANCER[0], CANCER[2])
    result = evaluate(model, X, y)
    assert values(result)["roc_auc"] == pytest.approx(sk.roc_auc_score(y, model.decision_function(X)))
    assert not {"log_loss", "brier", "ece"} & set(result.metrics)
    assert result.curves.calibration is None
    assert any("decision_function" in note for note in result.notes)


def test_decisions_between_pairs_of_classes_rank_no_class():
    model = make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo")).fit(WINE[0], WINE[2])
    assert "roc_auc_ovr" not in evaluate(model, WINE[1], WINE[3]).metrics


def test_booleans_and_texts_as_classes():
    _, X, _, y = CANCER
    for labels, positive in ((y.astype(bool), "True"), (y.map({0: "bad", 1: "good"}), "good")):
        model = DecisionTreeClassifier(max_depth=2).fit(X, labels)
        assert evaluate(model, X, labels).positive == positive


def test_a_class_without_rows_is_left_out_of_means():
    _, X, _, y = WINE
    kept = y != 2
    result = evaluate(logistic(WINE), X[kept], y[kept])
    assert result.kind == "multiclass"
    assert any("no row is of class 2" in note for note in result.notes)
    assert result.of("test", "class", "2")["recall"].value is None


# Beside it ---------------------------------------------------------------------------------------------------


def test_a_tree_that_learned_by_heart_is_over_fitted():
    X, Z, y, z = DIABETES
    result = evaluate(DecisionTreeRegressor(random_state=0).fit(X, y), Z, z, train=(X, y))
    assert states(result)["over-fitting"] == ("bad", "over-fitted")
    assert states(result)["naive"][0] == "bad"
    (line,) = (verdict.line for verdict in result.verdicts if verdict.about == "over-fitting")
    assert line.startswith("✗ over-fitted: train R² 1.000, test -0.")
    assert "difference 1." in line


def test_a_model_that_learned_nothing_by_heart_is_hardly_ever_called_over_fitted():
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(200, 1))
        y = X[:, 0] + rng.normal(size=200)
        result = evaluate(lambda X: X[:, 0], X[100:], y[100:], train=(X[:100], y[:100]))
        assert states(result)["naive"][0] == "ok"
        alarms += states(result)["over-fitting"][0] == "bad"
    assert alarms <= 6, "1 in 40 by chance; three standard errors above it are 5"


def test_the_simplest_answer_is_beside_it():
    _, X, _, y = CANCER
    naive = evaluate(logistic(), X, y).of("naive")
    assert naive["accuracy"].value == pytest.approx((y == 1).mean())
    assert naive["roc_auc"].value == 0.5


def test_a_rare_class_is_named():
    rng = np.random.default_rng(0)
    y = (np.arange(1000) < 20).astype(int)
    result = evaluate(lambda X: np.zeros(1000, dtype=int), rng.random((1000, 1)), y)
    assert states(result)["imbalance"] == ("warn", "imbalanced")
    assert states(result)["naive"] == ("bad", "not clearly better than the simplest answer")
    assert "rarest class 1 has 2.0% of the rows (20 of 1,000); accuracy 0.980, majority alone 0.980" in result.text()


def test_a_model_is_compared_with_another_row_by_row():
    _, X, _, y = CANCER
    weak = DecisionTreeClassifier(max_depth=1).fit(CANCER[0], CANCER[2])
    result = evaluate(logistic(), X, y, baseline=weak, names={"baseline": "stump"})
    assert states(result)["baseline"] == ("ok", "better than stump")
    gap = result.of("test - baseline")["accuracy"]
    assert gap.value == pytest.approx(values(result)["accuracy"] - weak.score(X, y))
    assert 0 < gap.low < gap.value < gap.high
    assert states(evaluate(weak, X, y, baseline=logistic()))["baseline"][0] == "bad"


def test_a_model_compared_with_itself_differs_by_nothing():
    result = evaluate(logistic(), CANCER[1], CANCER[3], baseline=logistic())
    assert {(e.value, e.low, e.high) for e in result.of("test - baseline").values()} == {(0.0, 0.0, 0.0)}


def test_classes_in_another_order_are_brought_together():
    class Turned:
        classes_ = np.array([1, 0])

        def predict(self, X: Any) -> Any:
            return logistic().predict(X)

        def predict_proba(self, X: Any) -> Any:
            return logistic().predict_proba(X)[:, ::-1]

    result = evaluate(logistic(), CANCER[1], CANCER[3], baseline=Turned())
    assert {e.value for e in result.of("test - baseline").values()} == {0.0}


# Groups ------------------------------------------------------------------------------------------------------


def test_groups_are_judged_worst_first_and_small_ones_last():
    y = np.array([0, 1] * 100)
    told = y.copy()
    told[:40] = 1 - told[:40]
    group = np.array(["bad"] * 80 + ["good"] * 100 + ["tiny"] * 20)
    result = evaluate(lambda X: told, np.zeros((200, 1)), y, by=group)
    assert result.groups("group") == ("bad", "good", "tiny")
    assert result.of("test", "group", "bad")["accuracy"].value == 0.5
    assert result.of("test", "group", "bad")["accuracy"].rows == 80
    assert result.judged["tiny"] == "too small to judge: fewer than 30 rows"
    assert "too small to judge" in result.text()


def test_many_numbers_are_grouped_by_quartile():
    result = evaluate(logistic(), CANCER[1], CANCER[3], by="mean radius")
    assert len(result.groups("mean radius")) == 4
    assert sum(result.of("test", "mean radius", g)["accuracy"].rows for g in result.groups("mean radius")) == 228


def test_a_value_that_fills_quartiles_is_a_group_of_its_own():
    zeros = pd.Series([0.0] * 180 + list(range(1, 49)), name="gain")
    result = evaluate(logistic(), CANCER[1], CANCER[3], by=zeros)
    assert set(result.groups("gain")) == {"0", "0 to 48"}
    assert result.of("test", "gain", "0")["accuracy"].rows == 180


def test_infinite_numbers_are_grouped_with_the_others():
    ends = pd.Series([np.inf] * 114 + list(range(114)), name="gain")
    assert set(evaluate(logistic(), CANCER[1], CANCER[3], by=ends).groups("gain")) == {
        "0 to 56",
        "56 to 113",
        "113 to inf",
    }


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        (pd.to_datetime(["2024-05-01", "2024-05-02"] * 114).astype("datetime64[ns]"), {"2024-05-01", "2024-05-02"}),
        (pd.Series([[1], None] * 114), {"[1]", "(missing)"}),
        (pd.Series([1, "1", True, None] * 57), {"1", "True", "(missing)"}),
        (pd.Series([Decimal(number) for number in range(228)]),
         {"0 to 56.75", "56.75 to 113.5", "113.5 to 170.2", "170.2 to 227"}),
    ],
    ids=["nanoseconds", "lists", "mixed", "decimals"],
)  # fmt: skip
def test_groups_are_called_by_what_they_hold(values: Any, groups: set[str]):
    result = evaluate(logistic(), CANCER[1], CANCER[3], by=pd.Series(values, name="g"))
    assert set(result.groups("g")) == groups
    assert sum(result.of("test", "g", group)["accuracy"].rows for group in groups) == 228


def test_of_very_many_groups_only_the_largest_are_looked_for():
    towns = np.array([f"town {number}" for number in range(100_000)] * 2 + ["the city"] * 50, dtype=object)
    began = time.process_time()
    found = grouping_of(None, towns, len(towns), Names())
    assert time.process_time() - began < 3  # a search of all rows for each group takes several
    assert (len(found.groups), found.groups[0][0], len(found.groups[0][1])) == (30, "the city", 50)
    assert found.notes == ("group has 100,001 groups: the 30 largest are shown",)


@pytest.mark.parametrize("by", [3, np.int64(3), "3"])
def test_a_column_may_be_called_by_a_number(by: Any):
    numbered = pd.DataFrame(X4[:, [0, 0, 0, 1]])
    assert evaluate(lambda X: Y4, numbered, Y4, by=by).by == "3"


def test_missing_values_are_a_group():
    by = pd.Series(["a", None] * 114, name="town")
    assert set(evaluate(logistic(), CANCER[1], CANCER[3], by=by).groups("town")) == {"a", "(missing)"}


# Bad input ---------------------------------------------------------------------------------------------------

X4, Y4 = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
TREE = DecisionTreeClassifier().fit(X4, Y4)
LINE = LinearRegression().fit(X4, [0.1, 0.2, 0.3, 0.5])


class Broken:
    classes_ = np.array([0, 1])

    def __init__(self, chances: Any) -> None:
        self.chances = chances

    def predict(self, X: Any) -> Any:
        return Y4

    def predict_proba(self, X: Any) -> Any:
        return np.asarray(self.chances)


class Abstaining:
    classes_ = np.array(["no", "yes"])

    def predict(self, X: Any) -> Any:
        return np.array(["no", None, "yes", None], dtype=object)


def failing(X: Any) -> Any:
    raise ValueError("shapes do not fit\nand more")


@pytest.mark.parametrize(
    ("model", "X", "y", "said"),
    [
        (TREE, X4, [1, 1, 1, 1], "all 4 values in y are 1: two classes at least are needed"),
        (TREE, X4, [0, 1], "X has 4 rows and y 2 values: they must be equal"),
        (TREE, X4[:0], [], "y is empty"),
        (TREE, X4[:1], [1], "X has one row"),
        (TREE, X4, [0, 1, np.nan, 1], "1 of 4 values in y are missing, the first in row 2"),
        (LINE, X4, [0.1, 1, np.inf, 1], "y holds infinite values, the first in row 2"),
        (TREE, X4, [0, 1, 2, 1], "y holds 2, which model does not know (in 1 rows, first in row 2); its classes: 0, 1"),
        (TREE, X4, Y4.reshape(2, 2), "y must hold one value for each row; its shape is (2, 2)"),
        (object(), X4, Y4, "model cannot be asked: object has no predict method and is no function"),
        (LogisticRegression, X4, Y4, "model is a class, not a model"),
        (LogisticRegression(), X4, Y4, "model is not fitted yet: call its fit first"),
        (LINE, X4, ["a", "b", "a", "b"], "model predicts numbers, but y holds 'a', 'b': no numbers"),
        (lambda X: np.array([1.5, np.nan, 2, np.inf]), X4, [1.5, 2.5, 3.5, 4.5],
         "2 of 4 predictions of model are NaN or infinite, the first in row 1"),
        (lambda X: np.zeros(3), X4, Y4, "model gave answers of shape (3,) for 4 rows of X"),
        (lambda X: np.zeros((4, 3)), X4, Y4, "model gives 3 columns for 2 classes in y: 0, 1"),
        (failing, X4, Y4, "model failed on the 4 rows of X: ValueError: shapes do not fit"),
        (Broken(np.full((4, 3), 1 / 3)), X4, Y4, "predict_proba of model has 3 columns for 2 classes: 0, 1"),
        (Broken([[0.5, 0.5], [np.nan, 1], [0, 1], [0, 1]]), X4, Y4,
         "1 of 4 probabilities of model are NaN or infinite, the first in row 1"),
        (Broken(np.array([[0.5, 0.5], [None, 1], [0, 1], [0, 1]], dtype=object)), X4, Y4,
         "1 of 4 probabilities of model are NaN or infinite, the first in row 1"),
        (Broken([["a", "b"]] * 4), X4, Y4, "predict_proba of model gives 'a', 'b': no numbers"),
        (Abstaining(), X4, ["no", "yes", "no", "yes"], "2 of 4 predictions of model are missing, the first in row 1"),
        (Abstaining().predict, X4, ["no", "yes", "no", "yes"],
         "2 of 4 predictions of model are missing, the first in row 1"),
        (lambda X: Y4, X4, ["0", "1", "0", "1"], "model answers with 0, 1; y holds '0', '1'"),
        (TREE, None, Y4, "X is no table of rows but a NoneType"),
        (TREE, np.array(3), Y4, "X is no table of rows but a ndarray"),
        (TREE, X4, [[0], [1, 0], 0, 1], "y must hold one value for each row, not lists of different lengths"),
        (lambda X: [[0], [1, 0], 0, 1], X4, Y4,
         "the answer of model must hold one value for each row, not lists of different lengths"),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_said_in_one_line(model: Any, X: Any, y: Any, said: str):
    with pytest.raises(MisuseError) as caught:
        evaluate(model, X, y)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_seed_below_0_is_said_in_one_line():
    with pytest.raises(MisuseError, match="a seed is a whole number from 0 on, not -1"):
        evaluate(TREE, X4, Y4, seed=-1)


def test_the_users_names_are_in_the_line():
    with pytest.raises(MisuseError, match="X_test has 4 rows and y_test 2 values"):
        evaluate(TREE, X4, [0, 1], names={"data": "X_test", "target": "y_test"})


def test_an_unknown_column_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="no column of X 'mean radios'; did you mean 'mean radius'"):
        evaluate(logistic(), CANCER[1], CANCER[3], by="mean radios")


def test_columns_of_an_array_have_no_names():
    with pytest.raises(MisuseError, match="ndarray without named columns"):
        evaluate(TREE, X4, Y4, by="a")


def test_groups_of_another_length():
    with pytest.raises(MisuseError, match="the groups have 3 values and X has 4 rows"):
        evaluate(TREE, X4, Y4, by=["a", "b", "a"])


def test_training_rows_are_named_where_they_are_wrong():
    with pytest.raises(MisuseError, match="the training rows of model has 4 rows and the training target 3 values"):
        evaluate(TREE, X4, Y4, train=(X4, [0, 1, 1]))
    with pytest.raises(MisuseError, match=r"train=\(X, y\)"):
        evaluate(TREE, X4, Y4, train=X4)


def test_a_baseline_of_other_classes():
    other = DecisionTreeClassifier().fit(X4, [0, 1, 2, 1])
    with pytest.raises(MisuseError, match="baseline knows the classes 0, 1, 2, the model beside it 0, 1"):
        evaluate(TREE, X4, Y4, baseline=other)


def test_probabilities_that_do_not_add_up_only_rank():
    result = evaluate(Broken([[0.9, 0.9], [0.1, 0.8], [0.5, 0.1], [0.2, 0.95]]), X4, Y4)
    assert "roc_auc" in result.metrics
    assert "log_loss" not in result.metrics


def test_equal_targets_have_no_r2():
    result = evaluate(LINE, X4, [2.0, 2.0, 2.0, 2.0])
    assert result.metrics["r2"].value is None
    assert result.headline == "mae"
    assert any("no R²" in note for note in result.notes)


@pytest.mark.parametrize("unit", [1e-30, 1e25])
def test_no_unit_is_too_small_or_too_large_for_an_interval(unit: float):
    y = np.random.default_rng(0).normal(5, 1, 400)
    told = y + np.random.default_rng(1).normal(0, 0.3, 400)
    plain, other = (evaluate(lambda X, s=s: told * s, np.zeros((400, 1)), y * s).metrics for s in (1.0, unit))
    assert other["r2"].low == pytest.approx(plain["r2"].low, rel=1e-4)
    assert other["rmse"].high == pytest.approx(plain["rmse"].high * unit, rel=1e-4)


def test_squares_that_no_float_holds_are_not_defined():
    y = np.arange(1.0, 101) * 1e200
    found = evaluate(lambda X: y * 1.01, np.zeros((100, 1)), y).metrics
    assert (found["rmse"].value, found["r2"].value) == (None, None)
    assert found["mape"].value == pytest.approx(0.01)


@pytest.mark.parametrize("doubt", [0.01, 0.0234, 0.0277, 0.0311, 0.0402])
def test_few_rows_told_rightly_are_no_miscalibration(doubt: float):
    """The likeliest outcome of right probabilities is just what came true."""
    chance = np.array([doubt, 1 - doubt])
    result = evaluate(lambda X: np.column_stack([1 - chance, chance]), X4[:2], Y4[:2])
    assert states(result)["calibration"] == ("ok", "no miscalibration seen")


def test_perfect_answers_are_not_taken_for_certainty():
    assert any("rule of three" in note for note in evaluate(TREE, X4, Y4).notes)


# Faces -------------------------------------------------------------------------------------------------------


def test_the_text_says_the_headline_first():
    lines = evaluate(logistic(), CANCER[1], CANCER[3], names={"model": "clf"}).text().splitlines()
    assert lines[0] == "clf on X, y: two classes, 228 rows; positive class 1"
    assert lines[1].startswith("ROC AUC 0.99")
    assert lines[2].startswith("✓ better than the simplest answer: accuracy 0.9")


def test_the_data_is_plain():
    result = evaluate(logistic(), CANCER[1], CANCER[3], train=(CANCER[0], CANCER[2]), by="mean radius")
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert told["kind"] == "binary"
    frame = result.to_pandas()
    assert len(frame) == len(result.rows()) == len(result.estimates)
    assert set(frame["part"]) == {"test", "train", "naive", "train - test"}


def test_its_rows_are_those_of_the_store():
    rows = evaluate(RandomForestRegressor(5).fit(DIABETES[0], DIABETES[2]), DIABETES[1], DIABETES[3]).rows()
    assert all(set(row) <= set(Evaluation.__dataclass_fields__) for row in rows)


def test_the_same_seed_gives_the_same_result():
    first, second = (evaluate(logistic(), CANCER[1], CANCER[3], seed=4).to_dict() for _ in range(2))
    assert first == second
