"""Pipelines over data frames leave the notebook: text, nulls, truths, and whole numbers that are categories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import (
    AdaBoostClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

from mlmagic.bundles.exporters import graph_of
from mlmagic.bundles.graph import ExportError
from mlmagic.bundles.rows import faults, feeds_of
from mlmagic.bundles.scorer import Scorer
from tests.unit.bundles.exported import NUMBERS, TEXTS, earns, gated, people, preparation

SEEN, FRESH = people(0), people(1)
AMOUNT = earns(SEEN)
LABEL = np.where(np.median(AMOUNT) < AMOUNT, "yes", "no")


def logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=300)


def behind(*transformers: Any, model: Any = None, remainder: Any = "drop") -> Any:
    return make_pipeline(
        ColumnTransformer(list(transformers), remainder=remainder), logistic() if model is None else model
    )


def encoded(**options: Any) -> tuple[str, Any, list[str]]:
    return ("texts", OrdinalEncoder(handle_unknown="use_encoded_value", **options), TEXTS)


FILLED = ("numbers", SimpleImputer(strategy="median"), NUMBERS)
ANY = OneHotEncoder(handle_unknown="ignore")

PIPELINES = {
    "linear": make_pipeline(preparation(), logistic()),
    "histogram gradient boosting": make_pipeline(preparation(), HistGradientBoostingClassifier(max_iter=5)),
    "forest behind scaled whole numbers": make_pipeline(preparation(), RandomForestClassifier(9, random_state=0)),
    "SVC": make_pipeline(preparation(), SVC()),
    "one category dropped": make_pipeline(preparation(drop="if_binary"), logistic()),
    "texts filled with a constant": behind(
        ("texts", make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), ANY), TEXTS), FILLED
    ),
    "numbers filled with a constant": behind(
        ("numbers", SimpleImputer(strategy="constant", fill_value=-1.0), NUMBERS), ("t", ANY, ["city"])
    ),
    "scaled and cut off": behind(
        ("numbers", make_pipeline(SimpleImputer(), MinMaxScaler(clip=True)), NUMBERS),
        model=AdaBoostClassifier(n_estimators=5),
    ),
    "nulls among the categories": behind(("texts", ANY, TEXTS), FILLED),
    "codes, nulls kept": behind(
        encoded(unknown_value=-1), ("n", "passthrough", NUMBERS), model=HistGradientBoostingClassifier(max_iter=5)
    ),
    "codes, nulls coded": behind(encoded(unknown_value=-1, encoded_missing_value=-2), FILLED),
    "codes, unknown is null": behind(
        encoded(unknown_value=np.nan), FILLED, model=HistGradientBoostingClassifier(max_iter=5)
    ),
    "truths": behind(("texts", ANY, ["city"]), ("truths", "passthrough", ["member"])),
    "truths among the categories": behind(("texts", ANY, ["city", "member"]), FILLED),
    "bins": behind(
        ("bins", make_pipeline(SimpleImputer(), KBinsDiscretizer(3, strategy="uniform")), ["age"]), ("t", ANY, ["city"])
    ),
    "the remainder scaled": behind(
        ("texts", ANY, TEXTS), remainder=make_pipeline(SimpleImputer(), StandardScaler()), model=logistic()
    ),
    "columns by type": behind(
        ("texts", ANY, make_column_selector(dtype_include=["str", "object"])),
        ("numbers", SimpleImputer(), make_column_selector(dtype_include="number")),
    ),
    "columns by place": behind(("texts", ANY, [1, 3]), ("numbers", SimpleImputer(), slice(2, 3))),
    "columns by mask": behind(("texts", ANY, [False, True, False, True, False, False]), FILLED),
    "union": make_pipeline(
        FeatureUnion([("n", ColumnTransformer([FILLED])), ("t", ColumnTransformer([("t", ANY, ["city"])]))]), logistic()
    ),
    "search": GridSearchCV(make_pipeline(preparation(), logistic()), {"logisticregression__C": [0.1, 1]}, cv=2),
    "calibrated": CalibratedClassifierCV(make_pipeline(preparation(), logistic()), cv=2),
    "votes of pipelines": VotingClassifier(
        [("a", make_pipeline(preparation(), logistic())), ("b", behind(("t", ANY, ["city"]), FILLED))], voting="soft"
    ),
    "stacked pipelines": StackingClassifier(
        [("a", make_pipeline(preparation(), logistic())), ("b", behind(("t", ANY, ["city"]), FILLED))], cv=2
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_over_people_answers_the_same_for_people_it_never_saw(name: str) -> None:
    graph, report = gated(PIPELINES[name].fit(SEEN, LABEL), SEEN, fresh=FRESH)
    assert graph.schema.layout == "columns"
    assert report.sets["fresh"].rows == len(FRESH)
    assert report.sets["fresh"].drift["label"] == 0.0


@pytest.mark.parametrize("model", [Ridge(), TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1)])
def test_a_regression_over_people(model: Any) -> None:
    graph, _ = gated(make_pipeline(preparation(), model).fit(SEEN, AMOUNT), SEEN, fresh=FRESH)
    assert graph.schema.answers == "prediction"


def test_the_schema_tells_names_types_ranges_and_categories() -> None:
    schema = graph_of(PIPELINES["linear"].fit(SEEN, LABEL), SEEN).schema
    assert schema.names == ("age", "job", "hours-per-week", "city")
    assert [field.tensor for field in schema.fields] == ["age", "job", "hours_per_week", "city"]
    assert [field.dtype for field in schema.fields] == ["float64", "str", "int64", "str"]
    hours, job = schema.field("hours-per-week"), schema.field("job")
    assert (hours.type, hours.low, hours.high) == ("float32", 1.0, 59.0)
    assert (job.type, job.categories) == ("string", ("clerk", "cook", "driver"))


def test_a_column_may_be_called_like_an_output() -> None:
    frame = SEEN.rename(columns={"city": "label", "age": "label/sizes"})
    model = behind(("t", ANY, ["label"]), ("n", SimpleImputer(), ["label/sizes"])).fit(frame, LABEL)
    graph, _ = gated(model, frame)
    assert len({field.tensor for field in graph.schema.fields} | {"label", "probabilities"}) == 4


def test_columns_that_the_model_does_not_use_are_not_asked_for() -> None:
    frame = SEEN.assign(since=pd.Timestamp("2024-01-01"))
    graph = graph_of(PIPELINES["linear"].fit(frame, LABEL), frame)
    assert "since" not in graph.schema.names
    assert graph.notes == ("columns that the model does not use are left out: member, region, since",)


def test_a_column_of_times_is_refused_by_name_where_it_is_used() -> None:
    frame = pd.DataFrame({"since": pd.date_range("2024-01-01", periods=9), "n": np.arange(9.0)})
    model = behind(("t", OneHotEncoder(), ["since"]), ("n", StandardScaler(), ["n"])).fit(frame, np.arange(9) % 2)
    with pytest.raises(ExportError, match=r"column 'since' holds times .* turn it into numbers"):
        graph_of(model, frame)


def test_null_is_taken_where_the_model_answers_it_and_the_graph_does_the_same() -> None:
    graph = graph_of(PIPELINES["linear"].fit(SEEN, LABEL), SEEN)
    assert [field.nullable for field in graph.schema.fields] == [True, True, True, True]
    strict = graph_of(behind(("n", StandardScaler(), NUMBERS)).fit(SEEN.fillna({"age": 40.0}), LABEL), SEEN.dropna())
    assert [field.nullable for field in strict.schema.fields] == [False, False]


def test_a_forest_that_was_fitted_with_nulls_sends_them_the_same_way() -> None:
    model = RandomForestClassifier(10, random_state=0).fit(SEEN[NUMBERS], LABEL)
    graph, report = gated(model, SEEN[NUMBERS], fresh=FRESH[NUMBERS])
    assert graph.schema.field("age").nullable
    assert report.sets["fresh"].left_out == 0


def test_a_model_that_refuses_unseen_categories_closes_the_column_with_all_that_its_encoder_knows() -> None:
    model = behind(("texts", OneHotEncoder(), ["city"]), FILLED).fit(SEEN, LABEL)
    only_graz = SEEN[SEEN["city"] == "Graz"]
    graph = graph_of(model, only_graz)
    city = graph.schema.field("city")
    assert city.closed
    assert city.known == {"Graz", "Köln", "Bern"}
    found = faults(graph.schema, feeds_of(graph.schema, FRESH.assign(city=["Oslo", *FRESH["city"][1:]])))
    assert {row: fault.column for row, fault in found.items()} == {0: "city"}


def test_whole_numbers_that_are_categories_stay_whole_and_closed() -> None:
    model = behind(("regions", OneHotEncoder(), ["region"]), FILLED).fit(SEEN, LABEL)
    graph, _ = gated(model, SEEN, fresh=FRESH)
    region = graph.schema.field("region")
    assert (region.type, region.closed, region.known) == ("int64", True, {"1", "2", "3", "4"})
    assert list(faults(graph.schema, feeds_of(graph.schema, FRESH.assign(region=9)))) == list(range(len(FRESH)))


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_texts_of_every_type_of_pandas(dtype: str) -> None:
    seen, fresh = (frame.astype(dict.fromkeys(TEXTS, dtype)) for frame in (SEEN, FRESH))
    graph, _ = gated(PIPELINES["nulls among the categories"].fit(seen, LABEL), seen, fresh=fresh)
    assert graph.schema.field("job").dtype == dtype


def test_nulls_that_are_none() -> None:
    seen, fresh = (
        frame.assign(job=pd.Series([None if pd.isna(one) else one for one in frame["job"]], dtype=object))
        for frame in (SEEN, FRESH)
    )
    graph, _ = gated(PIPELINES["nulls among the categories"].fit(seen, LABEL), seen, fresh=fresh)
    assert graph.schema.field("job").nullable


def test_frames_of_polars_and_tables_of_arrow() -> None:
    polars, arrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    model = PIPELINES["linear"].fit(polars.from_pandas(SEEN), LABEL)
    gated(model, polars.from_pandas(SEEN), fresh=arrow.Table.from_pandas(FRESH))


def test_an_encoder_without_a_column_transformer() -> None:
    texts = make_pipeline(OneHotEncoder(handle_unknown="ignore"), logistic())
    gated(texts.fit(SEEN[TEXTS], LABEL), SEEN[TEXTS], fresh=FRESH[TEXTS])
    mixed = ["city", "region"]
    graph, _ = gated(texts.fit(SEEN[mixed], LABEL), SEEN[mixed], fresh=FRESH[mixed])
    assert [field.type for field in graph.schema.fields] == ["string", "int64"]


def test_a_frame_of_numbers_is_one_matrix_and_truths_are_columns() -> None:
    numbers = make_pipeline(SimpleImputer(), logistic()).fit(SEEN[NUMBERS], LABEL)
    graph, _ = gated(numbers, SEEN[NUMBERS], fresh=FRESH)
    assert (graph.schema.layout, graph.schema.tensor, graph.schema.named) == ("matrix", "input", True)
    truths = [*NUMBERS, "member"]
    model = HistGradientBoostingClassifier(max_iter=3).fit(SEEN[truths], LABEL)
    graph, _ = gated(model, SEEN[truths], fresh=FRESH)
    assert (graph.schema.layout, graph.schema.field("member").dtype) == ("columns", "bool")


def test_an_array_gives_the_columns_names_of_their_own() -> None:
    schema = graph_of(logistic().fit(np.eye(4), [0, 1, 0, 1]), np.eye(4)).schema
    assert (schema.names, schema.named) == (("x0", "x1", "x2", "x3"), False)


@pytest.mark.skipif("MLMAGIC_TEST_DATA" not in os.environ, reason="MLMAGIC_TEST_DATA names no folder of real data")
def test_the_census_pipeline() -> None:
    names = (
        "age workclass fnlwgt education education_num marital_status occupation relationship race sex gain loss hours "
        "country income"
    )
    folder = Path(os.environ["MLMAGIC_TEST_DATA"])
    data = pd.read_csv(
        folder / "adult-train.csv", names=names.split(), skipinitialspace=True, na_values="?", nrows=3000
    )
    X, y = data.drop(columns="income"), data["income"]
    texts, numbers = X.select_dtypes("str").columns.tolist(), X.select_dtypes("number").columns.tolist()
    code = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = Pipeline(
        [
            ("columns", ColumnTransformer([("texts", code, texts), ("numbers", "passthrough", numbers)])),
            ("model", HistGradientBoostingClassifier(max_iter=15)),
        ]
    ).fit(X[:2000], y[:2000])
    graph, report = gated(model, X[:2000], holdout=X[2000:], seen=X[:2000])
    assert graph.schema.field("workclass").nullable
    assert report.sets["holdout"].drift["label"] < 0.01
    answers = Scorer(graph.content, graph.schema).score(feeds_of(graph.schema, X[2000:]))
    assert (answers["label"] == model.predict(X[2000:])).mean() > 0.999


@pytest.mark.skipif("MLMAGIC_TEST_DATA" not in os.environ, reason="MLMAGIC_TEST_DATA names no folder of real data")
def test_rented_bikes() -> None:
    data = pd.read_csv(Path(os.environ["MLMAGIC_TEST_DATA"]) / "bike-sharing-daily.csv")
    X, y = data.drop(columns=["instant", "dteday", "casual", "registered", "cnt"]), data["cnt"]
    model = make_pipeline(
        ColumnTransformer([("season", OneHotEncoder(), ["season", "weathersit"])], remainder="passthrough"),
        HistGradientBoostingRegressor(max_iter=40),
    ).fit(X[:500], y[:500])
    _, report = gated(model, X[:500], holdout=X[500:])
    assert report.sets["holdout"].rows == len(X) - 500
