from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlmagic.checks.drift import nulls
from tests.unit.checks.drift.columns import both


@pytest.mark.parametrize("found", [(0, 3), (2, 9), (10, 10), (30, 60), (95, 80)])
def test_is_fishers_test_less_half_of_what_is_as_likely(found):
    table = np.array([found, (100 - found[0], 120 - found[1])])
    fisher = stats.fisher_exact(table).pvalue
    alike = stats.hypergeom(220, sum(found), 100)
    support = np.arange(0, 101)
    same = support[np.isclose(alike.pmf(support), alike.pmf(found[0]), rtol=1e-7)]
    assert nulls.p_value(found, (100, 120)) == pytest.approx(fisher - alike.pmf(same).sum() / 2)


def test_with_many_nulls_the_two_proportion_test_goes_on_where_the_exact_one_ends():
    exact, near = nulls.p_value((495, 500), (5_000, 4_000)), nulls.p_value((502, 507), (5_070, 4_056))
    assert near == pytest.approx(exact, rel=0.1)


def test_nulls_that_come_are_told():
    values = np.random.default_rng(0).normal(size=400)
    holes = values.copy()
    holes[:40] = np.nan
    found = nulls.measure(*both(values, holes), 0.05)
    assert (found.statistic, found.words) == (0.1, "nulls 0.0% → 10.0%")
    assert found.p_value < 1e-8


@pytest.mark.parametrize("values", [np.ones(20), np.full(20, np.nan)])
def test_no_nulls_or_only_nulls_is_no_test(values):
    assert nulls.measure(*both(values, values), 0.05).p_value is None
