from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from mlmagic.checks.drift import jensen_shannon
from tests.unit.checks.drift.columns import both


@pytest.mark.parametrize("seed", range(10))
def test_equals_scipys(seed):
    rng = np.random.default_rng(seed)
    before, now = rng.integers(0, 50, 12), rng.integers(0, 50, 12)
    expected = jensenshannon(before / before.sum(), now / now.sum(), base=2)
    assert np.sqrt(jensen_shannon.divergence(before, now)) == pytest.approx(expected)


def test_is_one_where_nothing_overlaps():
    assert float(jensen_shannon.divergence(np.array([5, 0]), np.array([0, 3]))) == pytest.approx(1)


def test_does_not_count_what_chance_gives_few_rows():
    rng = np.random.default_rng(0)
    found = [jensen_shannon.measure(*both(rng.normal(size=100), rng.normal(size=100)), 0.05) for _ in range(200)]
    assert np.mean([one.statistic > 0.1 for one in found]) > 0.5
    assert np.mean([one.statistic > one.threshold for one in found]) < 0.1
