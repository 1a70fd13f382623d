from __future__ import annotations

import math

import numpy as np
import pytest

from mlmagic.checks.drift import jensen_shannon, psi
from tests.unit.checks.drift.columns import both

RNG = np.random.default_rng(0)


def test_psi_by_hand():
    before, now = (50.5 / 101, 50.5 / 101), (80.5 / 101, 20.5 / 101)
    expected = sum((c - r) * math.log(c / r) for r, c in zip(before, now, strict=True))
    assert float(psi.psi(np.array([50, 50]), np.array([80, 20]))) == pytest.approx(expected)


def test_an_empty_bin_is_not_infinite():
    assert math.isfinite(float(psi.psi(np.array([0, 100]), np.array([100, 0]))))


def test_the_mean_without_drift_is_the_formulas():
    found = [psi.measure(*both(RNG.normal(size=1_000), RNG.normal(size=1_000)), 0.05).statistic for _ in range(300)]
    assert np.mean(found) == pytest.approx(0.0180, rel=0.1)  # methods.md, section 2


def test_small_drift_is_eight_times_the_divergence_in_nats():
    before, now = np.full(10, 100_000), np.array([101_000, 99_000] * 5)
    nats = float(jensen_shannon.divergence(before, now)) * math.log(2)
    assert float(psi.psi(before, now)) == pytest.approx(8 * nats, rel=1e-3)


def test_the_threshold_grows_where_there_are_few_rows():
    few, many = (psi.measure(*both(RNG.normal(size=n), RNG.normal(size=n)), 0.05).threshold for n in (100, 5_000))
    assert many == 0.25
    assert few == pytest.approx(0.324, abs=0.01)


def test_nulls_are_a_bin():
    values = RNG.normal(size=1_000)
    holes = np.where(RNG.random(1_000) < 0.4, np.nan, values)
    assert psi.measure(*both(values, holes), 0.05).statistic > 0.25


def test_a_constant_that_becomes_another_is_seen():
    assert psi.measure(*both(np.full(50, 5.0), np.full(50, 5.5)), 0.05).statistic > 1
    assert psi.measure(*both(np.full(50, 5.0), np.full(50, 5.0)), 0.05) is None
