"""Which rows to label next: by severity, no two alike, the same for the same seed."""

from __future__ import annotations

from collections import Counter

import numpy as np

from mlmagic.checks.labels import choose

ROWS = range(6)
SEVERITIES = {"small": np.array([0, 1, 2, 3, 0, 0.0]), "large": np.array([0, 0, 0, 1, 9, 0.0])}


def test_only_rows_that_fired_are_picked_each_once():
    picks = choose(SEVERITIES, ROWS, 10)
    assert sorted(pick.row for pick in picks) == [1, 2, 3, 4]
    assert all(pick.severity == SEVERITIES[pick.rule][pick.row] for pick in picks)


def test_of_rows_with_the_same_data_one_is_picked():
    picks = choose(SEVERITIES, ["x", "a", "a", "b", "b", "x"], 10)
    assert len(picks) == 2
    assert {pick.row for pick in picks} <= {2, 3, 4}


def test_the_same_seed_picks_the_same_rows():
    assert choose(SEVERITIES, ROWS, 3, seed=1) == choose(SEVERITIES, ROWS, 3, seed=1)
    assert len({tuple(pick.row for pick in choose(SEVERITIES, ROWS, 3, seed=seed)) for seed in range(20)}) > 1


def test_nothing_fired_gives_nothing():
    assert choose({"small": np.zeros(6)}, ROWS, 5) == []
    assert choose({}, [], 5) == []


def test_first_picks_follow_the_chances_that_they_tell():
    many = 4000
    firsts = [choose(SEVERITIES, ROWS, 1, seed=seed)[0] for seed in range(many)]
    counts = Counter(pick.row for pick in firsts)
    chances = {pick.row: pick.chance for pick in firsts}
    # small ranks 3, 2, 1 (weights 3, 2, 1 of 6); large ranks 4, 3 (weights 2, 1 of 3); each rule half of the time
    expected = {3: (3 / 6 + 1 / 3) / 2, 2: 2 / 6 / 2, 1: 1 / 6 / 2, 4: 2 / 3 / 2}
    assert all(abs(chances[row] - chance) < 1e-12 for row, chance in expected.items())
    for row, chance in expected.items():
        assert abs(counts[row] / many - chance) < 3 * np.sqrt(chance * (1 - chance) / many)
