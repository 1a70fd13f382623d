from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlmagic.checks.drift import range as outside
from tests.unit.checks.drift.columns import both

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("before", "now"), [(10, 10), (100, 1_000), (1_000, 100)])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_chance_is_beta_binomial(before, now, count):
    expected = stats.betabinom(now, 2, before - 1).sf(count - 1)
    assert outside.p_value(count, before, now) == pytest.approx(expected, rel=1e-6)


def test_with_much_more_current_data_the_binomial_part_does_not_matter():
    expected = stats.betabinom(30_000, 2, 99).sf(1_499)
    assert outside.p_value(1_500, 100, 30_000) == pytest.approx(expected, rel=0.02)


def test_values_and_infinities_outside_are_counted():
    found = outside.measure(*both(np.linspace(0, 1, 100), [-1.0, 0.5, 2.0, np.inf, np.nan]), 0.05)
    assert found.statistic == 0.75
    assert "outside 0 to 1" in found.words


def test_infinities_are_inside_where_the_reference_had_some():
    found = outside.measure(*both([*np.linspace(0, 1, 100), np.inf], [0.5, np.inf, -np.inf, 3.0]), 0.05)
    assert found.statistic == 0.25
