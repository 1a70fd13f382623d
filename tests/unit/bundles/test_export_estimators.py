"""Every kind of estimator leaves the notebook as a graph that answers the same on rows that it never saw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectFromModel, SelectKBest
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.unit.bundles.exported import classes, gated, matrix, target

SEEN, FRESH = matrix(0), matrix(1)
LOGISTIC = LogisticRegression(max_iter=300)


def scaled(*steps: Any) -> Any:
    return make_pipeline(StandardScaler(), *steps)


CLASSIFIERS = {
    "logistic regression": scaled(LOGISTIC),
    "ridge": RidgeClassifier(),
    "stochastic gradient": scaled(SGDClassifier(loss="log_loss", random_state=0)),
    "tree": DecisionTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(10, random_state=0),
    "forest behind a scaler": scaled(RandomForestClassifier(10, random_state=0)),
    "extra trees": ExtraTreesClassifier(10, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=5),
    "histogram gradient boosting": HistGradientBoostingClassifier(max_iter=5),
    "AdaBoost": AdaBoostClassifier(n_estimators=4, random_state=0),
    "SVC": scaled(SVC()),
    "linear SVC": scaled(LinearSVC()),
    "k-NN": scaled(KNeighborsClassifier()),
    "network": scaled(MLPClassifier((6,), random_state=0, tol=0.1)),
    "naive Bayes": GaussianNB(),
    "Bernoulli": BernoulliNB(),
    "multinomial": make_pipeline(MinMaxScaler(), MultinomialNB()),
    "linear discriminant": LinearDiscriminantAnalysis(),
    "quadratic discriminant": QuadraticDiscriminantAnalysis(),
    "soft votes": VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(max_depth=3))], voting="soft"),
    "hard votes": VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(max_depth=3))]),
    "stacked": StackingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(max_depth=3))], LOGISTIC, cv=2),
    "calibrated": CalibratedClassifierCV(GaussianNB(), cv=2),
    "calibrated pipeline": CalibratedClassifierCV(scaled(LOGISTIC), cv=2),
    "calibrated by steps": CalibratedClassifierCV(RandomForestClassifier(5, random_state=0), method="isotonic", cv=2),
    "grid search": GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-6]}, cv=2),
    "random search": RandomizedSearchCV(scaled(LOGISTIC), {"logisticregression__C": [0.1, 1]}, n_iter=1, cv=2),
    "one against the rest": scaled(OneVsRestClassifier(LOGISTIC)),
    "principal components": scaled(PCA(3), LOGISTIC),
    "best columns": scaled(SelectKBest(k=3), LOGISTIC),
    "columns of a forest": scaled(SelectFromModel(RandomForestClassifier(5, random_state=0)), LOGISTIC),
    "polynomials": scaled(PolynomialFeatures(2), LOGISTIC),
    "union": make_pipeline(FeatureUnion([("p", PCA(2)), ("s", RobustScaler())]), StandardScaler(), LOGISTIC),
    "other scalers": make_pipeline(MaxAbsScaler(), Normalizer(), PowerTransformer(), LOGISTIC),
    "bins": make_pipeline(KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"), LOGISTIC),
    "columns by place": make_pipeline(
        ColumnTransformer([("a", StandardScaler(), [2, 0]), ("b", MinMaxScaler(), slice(3, 5))]), LOGISTIC
    ),
    "nothing first": make_pipeline("passthrough", StandardScaler(), LOGISTIC),
}

REGRESSORS = {
    "linear": LinearRegression(),
    "elastic net": ElasticNet(),
    "Huber": scaled(HuberRegressor()),
    "Poisson": scaled(PoissonRegressor()),
    "tree": DecisionTreeRegressor(random_state=0),
    "forest": RandomForestRegressor(8, random_state=0),
    "extra trees": ExtraTreesRegressor(8, random_state=0),
    "gradient boosting": GradientBoostingRegressor(n_estimators=5),
    "histogram gradient boosting": HistGradientBoostingRegressor(max_iter=5),
    "histogram gradient boosting of counts": HistGradientBoostingRegressor(loss="poisson", max_iter=5),
    "bagging": BaggingRegressor(n_estimators=3, random_state=0),
    "SVR": scaled(SVR()),
    "linear SVR": scaled(LinearSVR(random_state=0)),
    "k-NN": scaled(KNeighborsRegressor()),
    "network": scaled(MLPRegressor(hidden_layer_sizes=(6,), random_state=0, tol=10.0)),
    "votes": VotingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3))]),
    "stacked": StackingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3))], Ridge(), cv=2),
    "search": GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2),
    "logarithm of the target": TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
    "scaled target": scaled(TransformedTargetRegressor(Ridge(), transformer=StandardScaler())),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_of_three_texts(name: str) -> None:
    model = CLASSIFIERS[name].fit(SEEN, classes(SEEN, ["low", "middle", "high"]))
    graph, report = gated(model, SEEN, fresh=FRESH)
    assert graph.schema.classes == ("high", "low", "middle")
    assert graph.schema.answers == ("probabilities" if hasattr(model, "predict_proba") else "label")
    assert report.sets["fresh"].rows == len(FRESH)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_of_two_numbers(name: str) -> None:
    graph, _ = gated(CLASSIFIERS[name].fit(SEEN, classes(SEEN, [0, 1])), SEEN, fresh=FRESH)
    assert graph.schema.classes == (0, 1)
    assert graph.schema.output("label").type == "int64"


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_gives_one_number_for_a_row(name: str) -> None:
    y = target(SEEN)
    graph, report = gated(REGRESSORS[name].fit(SEEN, y - y.min() + 1), SEEN, fresh=FRESH)
    assert [(one.name, one.shape) for one in graph.schema.outputs] == [("prediction", ())]
    assert report.sets["fresh"].drift is not None


def test_a_regressor_of_two_targets_gives_two_numbers_for_a_row() -> None:
    model = RandomForestRegressor(4, random_state=0).fit(SEEN, np.column_stack([target(SEEN), -target(SEEN)]))
    graph, _ = gated(model, SEEN, fresh=FRESH)
    assert graph.schema.output("prediction").shape == (2,)


@pytest.mark.parametrize(
    "model", [KMeans(3, n_init=1, random_state=0), IsolationForest(n_estimators=9, random_state=0)]
)
def test_clusters_and_outliers_are_labels(model: Any) -> None:
    graph, _ = gated(model.fit(SEEN), SEEN, fresh=FRESH)
    assert [one.name for one in graph.schema.outputs] == ["label"]


def test_svc_with_probabilities() -> None:
    with pytest.warns(FutureWarning, match="probability"):
        model = scaled(SVC(probability=True, random_state=0)).fit(SEEN, classes(SEEN, ["a", "b", "c"]))
    graph, _ = gated(model, SEEN, fresh=FRESH)
    assert graph.schema.answers == "probabilities"


def test_labels_that_are_truths_come_as_truths_and_whole_floats_as_whole_numbers() -> None:
    truths = classes(SEEN, [False, True])
    graph, _ = gated(scaled(LOGISTIC).fit(SEEN, truths), SEEN, fresh=FRESH)
    assert (graph.schema.classes, graph.schema.output("label").type) == ((False, True), "bool")
    graph, _ = gated(scaled(LOGISTIC).fit(SEEN, truths.astype(float)), SEEN, fresh=FRESH)
    assert (graph.schema.classes, graph.schema.output("label").type) == ((0, 1), "int64")


def test_truths_of_a_boosting_that_weighs_its_votes() -> None:
    graph, _ = gated(AdaBoostClassifier(n_estimators=3).fit(SEEN, classes(SEEN, [False, True])), SEEN, fresh=FRESH)
    assert graph.schema.classes == (False, True)


@pytest.mark.parametrize("weights", [[1, 3], np.array([0.2, 0.8])], ids=["a list", "an array"])
def test_votes_that_weigh_differently(weights: Any) -> None:
    parts = [("a", DecisionTreeRegressor(max_depth=3)), ("b", Ridge())]
    gated(VotingRegressor(parts, weights=weights).fit(SEEN, target(SEEN)), SEEN, fresh=FRESH)


@pytest.mark.parametrize("kind", ["LGBMClassifier", "LGBMRegressor"])
@pytest.mark.parametrize("within", ["alone", "in a pipeline", "calibrated"])
def test_lightgbm(kind: str, within: str) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    boosted(getattr(lightgbm, kind)(n_estimators=5, verbose=-1), kind, within, "lightgbm")


@pytest.mark.parametrize("kind", ["XGBClassifier", "XGBRegressor"])
@pytest.mark.parametrize("within", ["alone", "in a pipeline", "calibrated"])
def test_xgboost(kind: str, within: str) -> None:
    xgboost = pytest.importorskip("xgboost")
    boosted(getattr(xgboost, kind)(n_estimators=5), kind, within, "xgboost")


def boosted(model: Any, kind: str, within: str, library: str) -> None:
    import pandas as pd

    frame, fresh = (pd.DataFrame(X, columns=["a", "b", "c d", "e", "f"]) for X in (SEEN, FRESH))
    y = classes(SEEN, [0, 1, 2]) if kind.endswith("Classifier") else target(SEEN)
    if within == "calibrated":
        if not kind.endswith("Classifier"):
            pytest.skip("a regressor has no probabilities")
        model = CalibratedClassifierCV(model, cv=2)
    graph, _ = gated((model if within != "in a pipeline" else scaled(model)).fit(frame, y), frame, fresh=fresh)
    assert library in graph.framework
    assert graph.schema.layout == "matrix"
