"""What pictures are made of: scales that hold any finite number, few round ticks, words with few letters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmagic.views import charts
from mlmagic.views.charts import Scale

numbers = st.floats(-1e300, 1e300)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e305, 10**400, None, "0.5", True])
def test_what_cannot_be_drawn_is_no_number(value: object) -> None:
    assert charts.finite(value) is None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.99581234, "0.9958"), (0.0, "0"), (3, "3"), (12500, "12,500"), (12500.25, "12,500"), (1e-5, "1e-5"),
        (0.0001, "0.0001"), (1234567, "1.235e6"), (-2.5e-7, "-2.5e-7"), (math.nan, "nan"),
        ("rbf", "rbf"), (True, "True"),
    ],
)  # fmt: skip
def test_a_number_has_few_letters(value: object, told: str) -> None:
    assert charts.compact(value) == told


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0.82, 0.98, 0, 1), ["0.85", "0.9", "0.95"]),
        (Scale(0.99981, 0.99984, 0, 1), ["0.99981", "0.99982", "0.99983", "0.99984"]),
        (Scale(0, 39, 0, 1), ["0", "10", "20", "30"]),
        (Scale(1e-4, 1e-1, 0, 1, log=True), ["0.0001", "0.001", "0.01", "0.1"]),
        (Scale(16, 512, 0, 1, log=True), ["20", "50", "100", "200", "500"]),
        (Scale(1e-12, 1e12, 0, 1, log=True), ["1e-12", "1e-7", "0.01", "1,000", "1e8"]),
        (Scale(4, 6, 0, 1, log=True), ["4", "4.5", "5", "5.5", "6"]),
    ],
)
def test_ticks_are_few_round_and_told_apart(scale: Scale, ticks: list[str]) -> None:
    assert charts.tick_labels(scale.ticks()) == ticks


def test_what_is_counted_has_whole_ticks() -> None:
    assert Scale(1, 3, 0, 1).ticks(whole=True) == [1, 2, 3]


def test_equal_factors_are_equal_distances_on_a_log_axis() -> None:
    scale = Scale(1, 100, 0, 200, log=True)
    assert [scale.at(value) for value in (1, 10, 100)] == [0, 100, 200]


def test_what_lies_beyond_an_end_stands_on_it() -> None:
    assert [Scale(0, 1, 100, 0).at(value) for value in (-5, 0.5, 7)] == [100, 50, 0]


@given(st.lists(numbers, min_size=1, max_size=30), st.sampled_from(["", "low", "high"]))
def test_any_finite_values_find_a_place(values: list[float], worse: str) -> None:
    scale = Scale(*charts.spread(values, worse), 0, 100)
    assert all(-0.01 < scale.at(value) < 100.01 for value in values)
    assert len(scale.ticks()) <= 5
    assert len(set(charts.tick_labels(scale.ticks()))) == len(scale.ticks())


def test_one_exploded_loss_does_not_flatten_the_others() -> None:
    losses = [0.30, 0.31, 0.33, 0.35, 0.36, 0.38, 0.41, 1e9]
    assert charts.spread(losses, worse="high")[1] < 1
    assert charts.spread(losses, worse="low")[1] == 1e9, "at the good end nothing is cut off"


def test_thinning_keeps_both_ends() -> None:
    assert charts.evenly(range(1000), 5) == [0, 250, 500, 749, 999]
    assert charts.evenly([1, 2], 5) == [1, 2]


def test_a_single_point_is_a_dot() -> None:
    assert charts.line([(1, 2)]) == "M1 2h0"
    assert charts.line([(1, 2), (3.25, 4)]) == "M1 2 3.2 4"


def test_a_picture_says_what_it_shows_and_is_safe() -> None:
    markup = charts.figure("<auc>", ["line: best", ""], "20 & more", (300, 200), [charts.label(1, 2, "e", "<b>")])
    assert 'role="img" aria-label="&lt;auc&gt;"><title>&lt;auc&gt;</title><desc>20 &amp; more</desc>' in markup
    assert "&lt;b&gt;</text>" in markup
