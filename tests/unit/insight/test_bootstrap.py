"""Intervals hold what they promise: they cover the truth, are the same for the same seed, and pair what is compared."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mlmagic.insight import bootstrap
from mlmagic.insight.asking import Answers
from mlmagic.insight.bootstrap import draws_of, interval, values_of


def scored(rng: np.random.Generator, rows: int, shift: float = 1.5) -> Answers:
    truth = (np.arange(rows) % 5 < 2).astype(int)  # the shares of the classes are given, as in the draws
    score = rng.normal(shift * truth)
    chance = 1 / (1 + np.exp(-score + shift / 2))
    return Answers("binary", truth, (chance > 0.5).astype(int), (0, 1)).with_scores(
        np.column_stack([1 - chance, chance])
    )


def numbers(rng: np.random.Generator, rows: int) -> Answers:
    truth = rng.normal(5, 2, rows)
    return Answers("regression", truth, truth + rng.normal(0.5, 1, rows))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (scored, ("accuracy", "recall", "roc_auc", "average_precision", "log_loss", "brier", "mcc")),
        (numbers, ("mae", "rmse", "r2", "bias", "median_ae")),
    ],
)
def test_the_interval_covers_the_true_value(make, names):
    truth = values_of(make(np.random.default_rng(1), 400_000))
    covered = dict.fromkeys(names, 0)
    for seed in range(150):
        answers = make(np.random.default_rng([7, seed]), 150)
        (drawn,) = draws_of([answers], [seed], 300)
        for name in names:
            low, high = interval(drawn[name, None])
            covered[name] += low <= truth[name, None][0] <= high
    # the promise is 95 %; percentile intervals of 150 rows reach 92 to 95, and 150 trials are 2 % unsure of that
    assert {name: count for name, count in covered.items() if count < 0.9 * 150} == {}


def test_the_same_seed_gives_the_same_interval():
    answers = scored(np.random.default_rng(0), 80)
    first, second, other = (draws_of([answers], [seed])[0]["roc_auc", None] for seed in (3, 3, 4))
    assert (first == second).all()
    assert (first != other).any()


def test_a_rare_class_is_in_every_draw():
    truth = np.zeros(200, dtype=int)
    truth[:2] = 1
    answers = Answers("binary", truth, truth, (0, 1))
    assert (draws_of([answers], [0])[0]["recall", None] == 1).all()


def test_two_models_are_drawn_on_the_same_rows():
    answers = scored(np.random.default_rng(0), 100)
    first, second = draws_of([answers, answers], [0])
    assert all((first[key] == second[key]).all() for key in first)


def test_a_sample_of_many_rows_gives_the_interval_of_all(monkeypatch):
    answers = scored(np.random.default_rng(2), 4_000)
    (every,) = draws_of([answers], [0])
    monkeypatch.setattr(bootstrap, "MOST_ROWS", 1_000)
    (sampled,) = draws_of([answers], [0])
    for name in ("accuracy", "roc_auc", "log_loss"):
        low, high = interval(every[name, None])
        wide = high - low
        assert interval(sampled[name, None]) == pytest.approx((low, high), abs=0.25 * wide)


def test_draws_are_equal_in_blocks_of_any_size(monkeypatch):
    answers = numbers(np.random.default_rng(0), 50)
    monkeypatch.setattr(bootstrap, "_BLOCK", 50 * 7)
    (drawn,) = draws_of([answers], [0], 100)
    assert {len(values) for values in drawn.values()} == {100}


def test_a_statistic_that_is_not_defined_has_no_interval():
    assert interval(np.full(100, np.nan)) is None


@pytest.mark.slow
def test_ten_thousand_rows_take_about_a_second():
    answers = scored(np.random.default_rng(0), 10_000)
    started = time.thread_time()
    draws_of([answers], [0])
    assert time.thread_time() - started < 4  # about 0.7 here; four times that on a slow machine
