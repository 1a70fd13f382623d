"""A small model of mixed columns as a graph and as a bundle, for tests: made here, by skl2onnx itself."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlmagic.bundles import folder
from mlmagic.bundles.graph import Graph
from mlmagic.bundles.holdout import Holdout, lines_of, plain_target
from mlmagic.bundles.rows import columns_of, feeds_of, frame_of_columns
from mlmagic.bundles.schema import LABEL, PROBABILITIES, Field, Output, Schema

pytest.importorskip("skl2onnx")

KEY = b"k" * 32
CITIES = ("Bern", "Basel", "Zug")


def people(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    """Rows of ages (whole numbers), incomes (some missing) and cities."""
    random = np.random.default_rng(seed)
    income = random.normal(50, 10, rows).round(2)
    income[::17] = np.nan
    return pd.DataFrame(
        {"age": random.integers(18, 90, rows), "income": income, "city": random.choice(CITIES, rows)},
    )


def leaves(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
    """What is true of them: `leaves` or `stays`."""
    return np.where((rows["age"] > 50) ^ (rows["city"] == "Zug"), "leaves", "stays")


@lru_cache(maxsize=1)
def fitted() -> Any:
    """The model in the notebook."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["age", "income"]), (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["city"])
    )
    return make_pipeline(columns, LogisticRegression()).fit(people(), leaves(people()))


SCHEMA = Schema(
    layout="columns",
    fields=(
        Field("age", "float32", "int64", "age", low=18.0, high=89.0),
        Field("income", "float32", "float64", "income", nullable=True, low=20.0, high=80.0),
        Field("city", "string", "str", "city", categories=CITIES),
    ),
    outputs=(Output(LABEL, "string"), Output(PROBABILITIES, "float32", (2,))),
    answers=PROBABILITIES,
    classes=("leaves", "stays"),
)


@lru_cache(maxsize=1)
def content() -> bytes:
    """The model as ONNX."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    types = {"float32": FloatTensorType, "string": StringTensorType}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = convert_sklearn(
            fitted(),
            "churn",
            [(field.name, types[field.type]([None, 1])) for field in SCHEMA.fields],
            options={"zipmap": False},
            final_types=[(LABEL, StringTensorType([None])), (PROBABILITIES, FloatTensorType([None, 2]))],
            target_opset=17,
        )
    return bytes(made.SerializeToString())


def ask(feeds: Mapping[str, Any]) -> dict[str, Any]:
    """What the model in the notebook answers."""
    rows = frame_of_columns(SCHEMA, columns_of(SCHEMA, feeds))
    return {
        LABEL: fitted().predict(rows).astype(object),
        PROBABILITIES: fitted().predict_proba(rows).astype(np.float32),
    }


def graph() -> Graph:
    """What an exporter would have made of it."""
    return Graph(content(), SCHEMA, "scikit-learn 1.9", "Pipeline of LogisticRegression", ask)


def holdout(rows: int = 60) -> Holdout:
    """Rows that it has not seen, with its answers."""
    data = people(rows, seed=1)
    feeds = feeds_of(SCHEMA, data)
    return Holdout(feeds, ask(feeds), plain_target(leaves(data)))


def files(**more: bytes) -> dict[str, bytes]:
    """The least that a bundle needs, and its holdout."""
    import json

    return {
        folder.MODEL: content(),
        folder.SCHEMA: json.dumps(SCHEMA.to_dict()).encode(),
        folder.HOLDOUT: lines_of(SCHEMA, holdout()),
        **more,
    }


def bundle(home: Path, key: bytes | None = KEY, **more: bytes) -> folder.Bundle:
    """A bundle laid down below a folder."""
    about = {"bundle_id": "b-1", "created_at": 0.0, "model": "model", "model_version": "v-1", "notes": []}
    return folder.write_bundle(home, "churn", files(**more), about, key)
