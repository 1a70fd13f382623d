from __future__ import annotations

import numpy as np
import pytest

from mlmagic.checks.drift import new_categories
from mlmagic.checks.profile import Profile
from mlmagic.tables import table_of
from tests.unit.checks.drift.columns import both

RNG = np.random.default_rng(0)


def test_unseen_categories_are_counted_and_named():
    found = new_categories.measure(*both(["a", "b"] * 50, ["a"] * 90 + ["z"] * 8 + ["y"] * 2), 0.05)
    assert found.statistic == 0.1
    assert found.words == "10.00% of the rows in unseen categories: 'z', 'y'"
    assert found.p_value < 0.05


def test_none_is_none():
    assert new_categories.measure(*both(["a", "b"] * 50, ["a"] * 90), 0.05).statistic == 0


def test_rare_categories_that_the_other_lacks_are_chance():
    # 100 rows from 2,000 words: nearly every word is new, and that says nothing
    draw = lambda: RNG.integers(0, 200, 150).astype(str)  # noqa: E731
    found = [new_categories.measure(*both(draw(), draw()), 0.05) for _ in range(100)]
    assert min(one.statistic for one in found) > 0.2
    assert np.mean([one.p_value <= 0.05 for one in found]) <= 0.05


def test_the_bound_is_above_the_chance_itself():
    sizes, before, now = np.array([1] * 30 + [2] * 10 + [5] * 4), 40, 30
    owner = np.repeat(np.arange(sizes.size), sizes)
    rows = []
    for _ in range(4_000):
        taken = RNG.permutation(owner.size) < now
        held = np.bincount(owner[taken], minlength=sizes.size)
        rows.append(sizes[held == sizes].sum())
    for count in (15, 18, 22, 26):
        assert new_categories.p_value(count, sizes, before, now) >= np.mean(np.array(rows) >= count)


def test_of_capped_columns_nothing_is_said():
    words = [f"w{number % 1_200}" for number in range(6_000)]
    made = Profile.of(table_of({"x": words}))
    found, _ = made.seen_in(table_of({"x": words}), ["x"], lambda *sides: new_categories.measure(*sides, 0.05))
    assert found == [None]


@pytest.mark.parametrize("flags", [[True] * 20, [False] * 20])
def test_a_truth_that_never_was_is_new(flags):
    assert new_categories.measure(*both(flags, [True] * 30 + [False] * 30), 0.05).statistic == 0.5
