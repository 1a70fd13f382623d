"""Rows of before and news of running trials → the values of the next trial."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlmagic import _optional
from mlmagic.errors import MissingPackageError, MisuseError
from mlmagic.tuning.space import choice_parameter, float_parameter, int_parameter
from mlmagic.tuning.study import Study
from tests.unit.tuning.searches import X, Y, curve, row, run, search, study

optuna = pytest.importorskip("optuna")

BOTH = {"x": X, "y": Y}
HISTORY = [row(number, {"x": number / 4 - 2, "y": 1.0}, float(number % 5)) for number in range(16)]


def kernels(*options: object):
    return choice_parameter("kernel", list(options))[0]


def inside(study: Study) -> list[optuna.trial.FrozenTrial]:
    """What Optuna knows."""
    return study._study.get_trials()


def draws(study: Study, trials: int = 5) -> list[dict[str, float | int]]:
    found = []
    for _ in range(trials):
        asked = study.ask(BOTH.values())
        study.complete(asked.number, asked.values["x"] ** 2)
        found.append(asked.values)
    return found


# -- from before -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_and_history_give_the_same_draws(sampler):
    one, other = study(sampler), study(sampler)
    for each in (one, other):
        each.restore(HISTORY, [], BOTH)
    assert draws(one) == draws(other)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_resumed_study_does_not_repeat_its_first_draws(sampler):
    first = draws(study(sampler), 4)
    resumed = study(sampler)
    resumed.restore([row(number, values, values["x"] ** 2) for number, values in enumerate(first)], [], BOTH)
    assert not any(values in first for values in draws(resumed, 4))


def test_trials_left_out_count_for_the_seed():
    resumed = study()
    resumed.restore([row(0, {"x": 99.0}, 1.0)], [], BOTH)
    assert inside(resumed) == []
    assert draws(resumed, 1) != draws(study(), 1)


def test_a_restored_study_knows_values_scores_and_curves():
    rows = [
        row(2, {"x": 3.0}, None, "failed"),
        row(0, {"x": 1.0, "y": 2.0}, 0.5),
        row(1, {"x": 2.0}, 0.9, "pruned"),
        row(3, {"x": 0.0}, None, "running"),
        row(4, {"x": 4.0}, math.nan),
    ]
    restored = study()
    restored.restore(rows, [*reversed(curve(1, [1.0, 0.9])), *curve(7, [1.0])], BOTH)
    states = optuna.trial.TrialState
    assert [(trial.params, trial.value, trial.state) for trial in inside(restored)] == [
        ({"x": 1.0, "y": 2.0}, 0.5, states.COMPLETE),
        ({"x": 2.0}, 0.9, states.PRUNED),
        ({"x": 3.0}, None, states.FAIL),
        ({"x": 4.0}, None, states.FAIL),
    ]
    assert inside(restored)[1].intermediate_values == {0: 1.0, 1: 0.9}


def test_trials_outside_the_present_ranges_are_left_out():
    rows = [
        row(0, {"x": 1.0}, 0.1),
        row(1, {"x": 9.0}, 0.2),  # was allowed then
        row(2, {"gone": 1.0}, 0.3),  # no longer swept
        row(3, {"x": "one"}, 0.4),
    ]
    restored = study()
    restored.restore(rows, [], BOTH)
    assert [trial.value for trial in inside(restored)] == [0.1]


def test_choices_survive_a_changed_list():
    rows = [row(number, {"kernel": kernel}, 1.0) for number, kernel in enumerate(["rbf", "linear", "rbf", "poly"])]
    restored = study("tpe")
    changed = kernels("sigmoid", "poly", "rbf")
    restored.restore(rows, [], {"kernel": changed})
    known = [trial.params["kernel"] for trial in inside(restored)]
    assert [changed.labels[number] for number in known] == ["rbf", "rbf", "poly"]
    assert search(restored, lambda kernel: float(kernel), 20, [changed])[-1] in (0.0, 1.0, 2.0)


@pytest.mark.parametrize("pruner", ["halving", "hyperband"])
def test_a_restored_study_goes_on_pruning(pruner):
    curves = [[number / 10 + 1 / (step + 1) for step in range(30)] for number in range(12)]
    rows = [row(number, {"x": 0.0}, values[-1]) for number, values in enumerate(curves)]
    restored = study(pruner=pruner)
    restored.restore(rows, [each for number, values in enumerate(curves) for each in curve(number, values)], {"x": X})
    assert any(run(restored, [9.0] * 30) is not None for _ in range(4))
    assert run(restored, [-1.0] * 30) is None


# -- values ----------------------------------------------------------------------------------------


def test_every_kind_gives_numbers_of_its_kind():
    wanted = [
        float_parameter("lr", 1e-4, 1e-1, log=True),
        int_parameter("depth", 2, 12, step=5),
        int_parameter("width", 1, 512, log=True),
        kernels("rbf", None, 3),
    ]
    for _ in range(15):
        values = study("tpe").ask(wanted).values
        assert 1e-4 <= values["lr"] <= 1e-1
        assert values["depth"] in (2, 7, 12)
        assert 1 <= values["width"] <= 512
        assert values["kernel"] in (0, 1, 2)
        assert [type(value) for value in values.values()] == [float, int, int, int]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_fixed_values_win(sampler):
    one = study(sampler)
    search(one, lambda x, y: x, 12)
    depth = int_parameter("depth", 1, 9)
    asked = one.ask([X, kernels("a", "b", "c")], {"x": 1.25, "kernel": 2, "depth": 7})
    assert asked.values == {"x": 1.25, "kernel": 2}
    assert one.suggest(asked.number, depth) == 7  # met on the way
    assert one.ask([X], {}).values["x"] != 1.25  # the next is drawn again


def test_fixed_values_that_the_range_does_not_hold_are_drawn_instead():
    asked = study().ask([X, kernels("a", "b")], {"x": 7.0, "kernel": 5})
    assert -5 <= asked.values["x"] <= 5
    assert asked.values["kernel"] in (0, 1)


def test_conditional_parameters_belong_to_the_trials_that_asked_for_them():
    one = study("tpe")
    for number in range(24):
        asked = one.ask([X])
        if number % 2:
            one.suggest(asked.number, Y)
        one.complete(asked.number, asked.values["x"] ** 2)
    assert [("y" in trial.params) for trial in inside(one)] == [bool(number % 2) for number in range(24)]


def test_a_name_asked_again_in_a_trial_gives_the_same_value():
    one = study()
    asked = one.ask([X])
    assert one.suggest(asked.number, X) == asked.values["x"]
    assert one.suggest(asked.number, float_parameter("x", 100, 200)) == asked.values["x"]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_ranges_may_change_from_trial_to_trial(sampler):
    one = study(sampler)
    for number in range(30):
        asked = one.ask([float_parameter("x", 0, 1 + number), int_parameter("n", number, 40, step=1 + number % 2)])
        assert 0 <= asked.values["x"] <= 1 + number
        assert number <= asked.values["n"] <= 40
        one.complete(asked.number, asked.values["x"])


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (X, int_parameter("x", 1, 3), "x was an even range of floats in this sweep and is an even range of ints now"),
        (X, float_parameter("x", 1, 3, log=True), "is a logarithmic range of floats now"),
        (
            kernels("a", "b"),
            kernels("a", "c"),
            "was a choice of 'a' | 'b' in this sweep and is a choice of 'a' | 'c' now",
        ),
        (kernels("a"), kernels("a\n" * 99), r"kernel was a choice of 'a' in this sweep and is a choice of 'a\na\n"),
    ],
)
def test_a_name_that_changes_its_kind_is_one_line(before, now, told):
    one = study("tpe")
    asked = one.ask([before])
    one.complete(asked.number, 1.0)
    with pytest.raises(MisuseError) as raised:
        one.ask([now])
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(inside(one)) == 1  # and no trial was opened


# -- what became of them ---------------------------------------------------------------------------


def test_a_step_told_twice_counts_once():
    one = study(pruner="halving")
    number = one.ask([X]).number
    assert not one.report(number, 3, 0.5)
    assert not one.report(number, 3, 99.0)
    assert inside(one)[0].intermediate_values == {3: 0.5}


def test_a_step_below_zero_is_one_line():
    one = study()
    with pytest.raises(MisuseError, match=r"^sweep\.report counts steps from 0, not from -1$"):
        one.report(one.ask([X]).number, -1, 0.5)


def test_a_score_that_is_no_number_is_a_failure():
    one = study("tpe")
    one.complete(one.ask([X]).number, math.nan)
    one.complete(one.ask([X]).number, math.inf)
    assert [trial.state.name for trial in inside(one)] == ["FAIL", "COMPLETE"]


def test_a_pruned_trial_keeps_its_last_value():
    one = study()
    reported, silent = one.ask([X]).number, one.ask([X]).number
    one.report(reported, 5, 0.25)
    one.prune(reported, 0.25)
    one.prune(silent, 0.75)
    one.prune(one.ask([X]).number, None)
    assert [trial.value for trial in inside(one)] == [0.25, 0.75, None]


def test_a_failed_trial_teaches_nothing():
    one = study("tpe")
    for _ in range(30):
        one.fail(one.ask([X]).number)
    other = study("random")
    search(other, lambda x: x, 30, [X])
    assert one.ask([X]) == other.ask([X])  # TPE begins like random


# -- a good guest ----------------------------------------------------------------------------------


def test_nothing_is_written_for_the_user_and_their_verbosity_stays():
    code = """
import warnings
warnings.simplefilter("always")
from tests.unit.tuning.searches import search, study, run
for pruner in ("none", "halving", "hyperband"):
    search(study("tpe", pruner), lambda x, y: x * y, 15)
    one = study("random", pruner)
    [run(one, [float(n)] * 5) for n in range(5)]
import optuna
assert optuna.logging.get_verbosity() == optuna.logging.INFO
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_users_own_studies_are_logged_as_before(caplog):
    logger = logging.getLogger("optuna")
    logger.addHandler(caplog.handler)
    try:
        study("tpe").ask([X])
        assert caplog.messages == []
        optuna.create_study(study_name="mine")
        assert any("mine" in message for message in caplog.messages)
    finally:
        logger.removeHandler(caplog.handler)
    assert not logging.getLogger("optuna.storages._in_memory").filters


def test_a_study_of_the_users_made_in_another_thread_meanwhile_is_logged(caplog, monkeypatch):
    made = optuna.create_study

    def beside(**options: object):
        other = threading.Thread(target=lambda: made(study_name="theirs"))
        other.start()
        other.join()
        return made(**options)

    monkeypatch.setattr(optuna, "create_study", beside)
    logger = logging.getLogger("optuna")
    logger.addHandler(caplog.handler)
    try:
        study(name="ours")
    finally:
        logger.removeHandler(caplog.handler)
    assert [message.rpartition(" ")[2] for message in caplog.messages] == ["theirs"]


def test_random_generators_of_the_user_stay_where_they_are():
    import random

    import numpy as np

    before = random.getstate(), np.random.get_state()[1].tolist()
    search(study("tpe"), lambda x, y: x * y, 15)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_without_optuna_one_line_says_what_brings_it(monkeypatch):
    def missing(name: str):
        raise ImportError(name)

    monkeypatch.setattr(_optional.importlib, "import_module", missing)
    with pytest.raises(MissingPackageError, match=r"optuna is needed for sweeping .*: pip install 'mlmagic\[sweep\]'"):
        study()
