"""A name and reported values → which trials end early."""

from __future__ import annotations

import math

import pytest

from mlmagic.errors import UnknownNameError
from mlmagic.tuning.pruners import PRUNERS, pruner
from mlmagic.tuning.study import Study
from tests.unit.tuning.searches import run, study

pytest.importorskip("optuna")

STEPS = 30


def falling(end: float) -> list[float]:
    """A clear learning curve: the better its end, the lower all of it."""
    return [end + 1 / (step + 1) for step in range(STEPS)]


def pruned(study: Study, ends: list[float]) -> list[int | None]:
    return [run(study, falling(end)) for end in ends]


def test_no_pruner_prunes_nothing():
    assert pruned(study(), [0, 1, 2, 3, 4, 5]) == [None] * 6


def test_halving_prunes_the_worst_of_clear_curves_and_keeps_the_best():
    assert pruned(study(pruner="halving"), [0.0, 0.5, 0.9, 0.1, 0.8, 0.7, 0.05]) == [None, None, 1, None, 1, 1, None]


def test_halving_keeps_the_highest_where_it_maximizes():
    one = study(pruner="halving", up=True)
    assert [run(one, [-value for value in falling(end)]) for end in (0.0, 0.1, 0.9)] == [None, None, 1]


@pytest.mark.parametrize("name", ["halving", "hyperband"])
def test_nothing_is_pruned_before_a_trial_is_complete(name):
    one = study(pruner=name)
    numbers = [one.ask([]).number for _ in range(6)]
    assert not any(one.report(number, step, float(number)) for number in numbers for step in range(STEPS))


def test_hyperband_prunes_bad_trials_and_never_the_best():
    ends = [(7 * number % 40) / 40 for number in range(40)]
    stopped = pruned(study(pruner="hyperband"), ends)
    assert sum(step is not None for step in stopped) > 10
    assert stopped[ends.index(min(ends))] is None


def test_brackets_of_hyperband_depend_on_the_name_of_the_study():
    ends = [(7 * number % 40) / 40 for number in range(40)]
    first, again, other = (pruned(study(pruner="hyperband", name=name), ends) for name in ("a", "a", "b"))
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", PRUNERS)
def test_infinite_values_are_values(name):
    one = study(pruner=name)
    run(one, falling(0.0))
    run(one, [math.inf] * STEPS)


def test_what_is_not_a_number_is_the_worst():
    one = study(pruner="halving")
    pruned(one, [0.0, 0.5])
    assert run(one, [math.nan] * STEPS) == 1  # the first step at which trials are compared
    assert run(one, [math.nan, *falling(-1)[1:]]) is None  # no score yet at step 0


@pytest.mark.parametrize(("given", "near"), [("hyperbnd", "hyperband"), ("halvng", "halving"), ("nope", "none")])
def test_an_unknown_pruner_names_the_nearest(given, near):
    with pytest.raises(UnknownNameError, match=f"^no pruner '{given}'; did you mean '{near}'"):
        pruner(given)
