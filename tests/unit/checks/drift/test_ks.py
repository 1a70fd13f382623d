from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlmagic.checks.drift import ks
from tests.unit.checks.drift.columns import both

SIZES = [(10, 10), (37, 91), (100, 100), (100, 1_000), (250, 300), (1_000, 1_000), (5_000, 20_000)]


def kinds(rng, n):
    return rng.normal(size=n), rng.integers(0, 6, n).astype(float), np.exp(3 * rng.normal(size=n))


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_distance_equals_scipys(n, m):
    rng = np.random.default_rng(n)
    for before, now in zip(kinds(rng, n), kinds(rng, m), strict=True):
        found = ks.distance(np.sort(before), np.sort(now)) / (n * m)
        assert found == pytest.approx(stats.ks_2samp(before, now, method="asymp").statistic)


@pytest.mark.parametrize(("n", "m"), SIZES[:-1])
@pytest.mark.parametrize("shift", [0, 0.1, 0.3])
def test_p_values_equal_scipys_exact_ones(n, m, shift):
    rng = np.random.default_rng(n)
    before, now = np.sort(rng.normal(size=n)), np.sort(rng.normal(shift, size=m))
    expected = stats.ks_2samp(before, now, method="exact").pvalue
    assert ks.p_value(ks.distance(before, now), n, m) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("shift", [0, 0.02, 0.05])
def test_p_values_of_large_samples_are_close_to_scipys(shift):
    rng = np.random.default_rng(1)
    before, now = np.sort(rng.normal(size=5_000)), np.sort(rng.normal(shift, size=20_000))
    expected = stats.ks_2samp(before, now, method="asymp").pvalue
    assert ks.p_value(ks.distance(before, now), 5_000, 20_000) == pytest.approx(expected, rel=0.01)


def test_no_path_leaves_a_corridor_wider_than_the_lattice_and_all_leave_one_of_no_width():
    assert ks.p_value(0, 30, 40) == pytest.approx(1)
    assert ks.p_value(30 * 40, 30, 40) < 1e-12


def test_through_a_profile_the_statistic_is_that_of_the_values():
    rng = np.random.default_rng(2)
    before, now = rng.normal(size=800), rng.normal(0.2, size=900)
    found = ks.measure(*both(before, now), 0.05)
    assert found.statistic == pytest.approx(stats.ks_2samp(before, now).statistic)
    assert found.p_value == pytest.approx(stats.ks_2samp(before, now).pvalue, rel=1e-6)
