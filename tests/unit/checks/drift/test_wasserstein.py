from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlmagic.checks.drift import wasserstein
from tests.unit.checks.drift.columns import both

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (10, 7), (300, 1_000), (5_000, 20_000)])
@pytest.mark.parametrize("draw", [RNG.normal, lambda size: RNG.integers(0, 5, size).astype(float), RNG.standard_cauchy])
def test_equals_scipys(n, m, draw):
    before, now = draw(size=n), draw(size=m)
    found = wasserstein.distance(np.sort(before), np.sort(now))
    assert found == pytest.approx(stats.wasserstein_distance(before, now), abs=1e-12)


def test_is_in_standard_deviations_whatever_the_unit():
    values = RNG.normal(size=2_000)
    for unit in (1e-9, 1, 1e12):  # a floor in absolute terms would hide the first
        found = wasserstein.measure(*both(unit * values, unit * (values + 0.5)), 0.05)
        assert found.statistic == pytest.approx(0.5 / values.std(), rel=1e-6)


def test_a_constant_reference_is_measured_in_the_pooled_deviation():
    found = wasserstein.measure(*both(np.full(100, 5.0), RNG.normal(6, 0.1, 100)), 0.05)
    assert 1 < found.statistic < 3
    assert wasserstein.measure(*both(np.full(100, 5.0), np.full(100, 5.0)), 0.05) is None


def test_does_not_count_what_chance_gives_few_rows():
    found = [wasserstein.measure(*both(RNG.normal(size=100), RNG.normal(size=100)), 0.05) for _ in range(200)]
    assert np.mean([one.statistic > 0.1 for one in found]) > 0.8
    assert np.mean([one.statistic > one.threshold for one in found]) < 0.1
