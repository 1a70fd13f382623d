"""What tests of exporters share: small data of every kind, and an export with its gate in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlmagic.bundles.exporters import graph_of
from mlmagic.bundles.graph import Graph
from mlmagic.bundles.parity import ParityReport, check_parity
from mlmagic.bundles.scorer import Scorer

ROWS = 240
NUMBERS = ["age", "hours-per-week"]
TEXTS = ["job", "city"]


def matrix(seed: int = 0, rows: int = ROWS, columns: int = 5) -> np.ndarray:
    """Numbers of several magnitudes."""
    return np.random.default_rng(seed).normal(size=(rows, columns)) * np.logspace(0, 2, columns)


def target(X: np.ndarray) -> np.ndarray:
    """A number that follows from the numbers of a row."""
    return 3 * X[:, 0] + X[:, 1] / 2 + np.sin(X[:, 2]) * 4 + 10


def classes(X: np.ndarray, labels: Any) -> np.ndarray:
    """A label for each row, the same share of each."""
    cuts = np.quantile(target(X), np.linspace(0, 1, len(labels) + 1)[1:-1])
    return np.asarray(labels)[np.searchsorted(cuts, target(X))]


def people(seed: int = 0, rows: int = ROWS, nulls: bool = True) -> pd.DataFrame:
    """A frame as it comes from a CSV file: numbers, text, truths, whole numbers that are categories, and nulls."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": generator.normal(40, 10, rows).round(1),
            "job": generator.choice(["clerk", "cook", "driver"], rows, p=[0.5, 0.3, 0.2]),
            "hours-per-week": generator.integers(1, 60, rows),
            "city": generator.choice(["Graz", "Köln", "Bern"], rows),
            "member": generator.random(rows) > 0.5,
            "region": generator.integers(1, 5, rows),
        }
    )
    if nulls:
        frame.loc[::7, "age"] = np.nan
        frame.loc[3::11, "job"] = None
    return frame


def earns(frame: pd.DataFrame) -> np.ndarray:
    """A number that follows from a row of `people`."""
    age = frame["age"].fillna(40).to_numpy()
    return age + 2 * frame["hours-per-week"].to_numpy() + 10 * (frame["job"] == "clerk").to_numpy() + frame["region"]


def preparation(**encoder: Any) -> ColumnTransformer:
    """What a pipeline over `people` begins with."""
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            (
                "texts",
                make_pipeline(
                    SimpleImputer(strategy="most_frequent"),
                    OneHotEncoder(handle_unknown="ignore", sparse_output=False, **encoder),
                ),
                TEXTS,
            ),
        ]
    )


def gated(model: Any, example: Any, **sets: Any) -> tuple[Graph, ParityReport]:
    """The model's graph, and what the gate says of it on some rows."""
    graph = graph_of(model, example)
    return graph, check_parity(graph, Scorer(graph.content, graph.schema), sets or {"seen": example})
