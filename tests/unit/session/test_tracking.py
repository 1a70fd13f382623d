"""The `%%track` line: what it asks for, and what is left of the cell without it."""

from __future__ import annotations

import pytest

from mlmagic.errors import MlmagicError
from mlmagic.session.tracking import Tracking, strip_track_line


def test_options_become_name_tags_params_and_metrics():
    asked = Tracking.parse('train --tag a=1 --tag "b=two words" --param depth --metric auc --metric loss')
    assert asked == Tracking("train", {"a": "1", "b": "two words"}, ("depth",), ("auc", "loss"), None, tracked=True)


@pytest.mark.parametrize(("line", "asked"), [("", None), ("--reuse", True), ("train --no-reuse", False)])
def test_a_cell_may_say_whether_its_results_are_reused(line, asked):
    assert Tracking.parse(line).reuse is asked


def test_a_value_may_hold_an_equals_sign_and_a_later_tag_wins():
    assert Tracking.parse("--tag url=a=b --tag k=1 --tag k=2").tags == {"url": "a=b", "k": "2"}


@pytest.mark.parametrize("line", ["--tag =1", "--tag a", "--metric 1x", "--param a[0]", "--nothing", "a b", "'"])
def test_what_does_not_fit_is_refused_in_one_line(line):
    with pytest.raises(MlmagicError) as refused:
        Tracking.parse(line)
    assert "\n" not in str(refused.value)


def test_a_cell_without_the_line_asks_for_nothing():
    assert Tracking.of("x = 1") == Tracking.of("") == Tracking.of("%%time\nx = 1") == Tracking()


@pytest.mark.parametrize(
    ("cell", "left"),
    [
        (["%%track a\n", "x = 1\n"], ["\n", "x = 1\n"]),
        (["\n", "%%track a\n", "x = 1\n"], ["\n", "\n", "x = 1\n"]),
        (["%%track\n", "%%time\n", "x = 1\n"], ["%%time\n", "x = 1\n"]),
        (["%%track a\n", "\n", "%%time\n", "x = 1\n"], ["%%time\n", "x = 1\n"]),
        (["%%track\n"], ["\n"]),
        (["%%tracked a\n", "x = 1\n"], ["%%tracked a\n", "x = 1\n"]),
        (["x = '''\n", "%%track a\n", "'''\n"], ["x = '''\n", "%%track a\n", "'''\n"]),
        (["%%track?\n"], ["%%track?\n"]),
        ([], []),
    ],
)
def test_only_our_own_first_line_goes_and_line_numbers_stay(cell, left):
    assert strip_track_line(cell) == left
