"""Scalers before histogram gradient boosting go into its thresholds, so that no row changes its way by a rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from mlmagic.bundles.exporters.corrections import steps_of_scaler
from mlmagic.bundles.exporters.folding import unscaled_thresholds
from tests.unit.bundles.exported import gated

SCALERS = [StandardScaler(), StandardScaler(with_mean=False), MinMaxScaler(), RobustScaler(with_centering=False)]
WHOLE = np.random.default_rng(0).integers(0, 90, (400, 3)) * [1.0, 7.0, 1000.0]
EVEN = WHOLE[(WHOLE[:, 0] % 2 == 0)]  # so that odd numbers lie halfway between two that were seen


@pytest.mark.parametrize("scaler", SCALERS, ids=repr)
def test_a_number_is_below_the_unscaled_threshold_where_it_is_scaled_below_the_threshold(scaler: Any) -> None:
    steps = steps_of_scaler(scaler.fit(WHOLE))
    numbers = np.arange(0, 90, dtype=np.float32)
    scaled = scaler.transform(np.column_stack([numbers] * 3).astype(np.float64))[:, 0]
    found = unscaled_thresholds(steps, np.zeros(len(numbers), int), scaled)  # the very numbers are the thresholds
    assert np.array_equal(numbers[:, None] <= found[None], scaled[:, None] <= scaled[None])


@pytest.mark.parametrize(
    "before",
    [
        StandardScaler(),
        make_pipeline(SimpleImputer(), StandardScaler()),
        ColumnTransformer([("b", make_pipeline(SimpleImputer(), RobustScaler()), [1, 2]), ("a", MinMaxScaler(), [0])]),
    ],
    ids=["a scaler", "imputed and scaled", "scaled by columns"],
)
def test_whole_numbers_halfway_between_seen_ones_go_the_same_way(before: Any) -> None:
    steps = before.steps if hasattr(before, "steps") else [("before", before)]
    model = make_pipeline(*(step for _, step in steps), HistGradientBoostingRegressor(max_iter=20))
    model.fit(EVEN, np.sin(EVEN[:, 0]) + EVEN[:, 1])
    _, report = gated(model, EVEN, holdout=WHOLE)
    assert report.sets["holdout"].rows == 400
