"""A name and a seed → draws."""

from __future__ import annotations

import pytest

from mlmagic.errors import UnknownNameError
from mlmagic.tuning.samplers import SAMPLERS, sampler
from tests.unit.tuning.searches import X, Y, search, study

pytest.importorskip("optuna")


def bowl(x: float, y: float) -> float:
    return (x - 1) ** 2 + (y + 2) ** 2


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_draw_lies_in_its_range_and_follows_from_the_seed(name):
    drawn = [[study(name, seed=seed).ask([X, Y]).values for _ in range(3)] for seed in (1, 1, 2)]
    assert all(-5 <= value <= 5 for values in drawn[0] for value in values.values())
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_tpe_gets_nearer_to_the_minimum_than_random():
    def best(name: str, seed: int) -> float:
        return min(search(study(name, seed=seed), bowl, 40))

    tpe, random = (sorted(best(name, seed) for seed in range(7)) for name in ("tpe", "random"))
    assert tpe[3] < random[3] / 2


def test_tpe_maximizes_too():
    scores = search(study("tpe", up=True), lambda x, y: -bowl(x, y), 40)
    assert max(scores[20:]) > -1


@pytest.mark.parametrize(("name", "differ"), [("tpe", True), ("random", False)])
def test_tpe_knows_of_running_trials(name, differ):
    alone, beside = study(name), study(name)
    for each in (alone, beside):
        search(each, bowl, 30)
    for _ in range(5):
        beside.ask([X, Y], {"x": 1.0, "y": -2.0})  # draws nothing, and does not end
    assert (alone.ask([X, Y]).values != beside.ask([X, Y]).values) is differ


@pytest.mark.parametrize(("given", "near"), [("tpee", "tpe"), ("randon", "random")])
def test_an_unknown_sampler_names_the_nearest(given, near):
    with pytest.raises(UnknownNameError, match=f"^no sampler '{given}'; did you mean '{near}'"):
        sampler(given, 0)


def test_an_unknown_sampler_far_from_all_lists_them():
    with pytest.raises(UnknownNameError, match="there are: tpe, random"):
        study("bayes")
