"""Ranges as they are written → the values they hold."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmagic.errors import MisuseError
from mlmagic.tuning.space import Parameter, Suggestions, choice_parameter, float_parameter, int_parameter

NUMBERS = st.floats(-1e300, 1e300)
POSITIVE = st.floats(1e-300, 1e300)
WHOLE = st.integers(-(2**53), 2**53)
LABELS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@st.composite
def floats(draw: st.DrawFn) -> Parameter:
    log = draw(st.booleans())
    low, high = sorted(draw(st.tuples(*[POSITIVE if log else NUMBERS] * 2)))
    return float_parameter("x", low, high, log=log)


@st.composite
def ints(draw: st.DrawFn) -> Parameter:
    log = draw(st.booleans())
    low, high = sorted(draw(st.tuples(*[st.integers(1, 2**53) if log else WHOLE] * 2)))
    return int_parameter("n", low, high, log=log, step=1 if log else draw(st.integers(1, 1000)))


@st.composite
def choices(draw: st.DrawFn) -> Parameter:
    options = draw(st.lists(LABELS, min_size=1, unique_by=lambda option: (type(option), option)))
    return choice_parameter("c", options)[0]


PARAMETERS = floats() | ints() | choices()


def held(parameter: Parameter) -> st.SearchStrategy[float | int]:
    if parameter.kind == "choice":
        return st.integers(0, len(parameter.labels) - 1)
    if parameter.kind == "float":
        return st.floats(parameter.low, parameter.high)
    steps = (parameter.high - parameter.low) // parameter.step
    return st.integers(0, steps).map(lambda count: parameter.low + count * parameter.step)


# -- values and what is stored of them --------------------------------------------------------------


@given(st.data(), PARAMETERS)
def test_what_is_stored_is_read_back(data, parameter):
    value = data.draw(held(parameter))
    back = parameter.raw(parameter.stored(value))
    assert back == value
    assert isinstance(back, float if parameter.kind == "float" else int)


@given(PARAMETERS)
def test_the_start_lies_in_the_range(parameter):
    assert parameter.raw(parameter.stored(parameter.start)) == parameter.start


@given(PARAMETERS)
def test_a_parameter_survives_the_journal(parameter):
    assert Parameter.from_dict(json.loads(json.dumps(parameter.to_dict()))) == parameter


@pytest.mark.parametrize(
    ("parameter", "start"),
    [
        (float_parameter("x", 0, 10), 5.0),
        (float_parameter("x", 1e-4, 1e-2, log=True), pytest.approx(1e-3)),
        (float_parameter("x", 0, 10, default=2), 2.0),
        (int_parameter("n", 1, 9), 5),
        (int_parameter("n", 1, 100, log=True), 10),
        (int_parameter("n", 0, 100, step=30), 60),  # of 0, 30, 60, 90
        (int_parameter("n", 2, 9, default=3), 3),
        (choice_parameter("c", ["a", "b"])[0], 0),
        (choice_parameter("c", ["a", "b"], default="b")[0], 1),
    ],
)
def test_the_start_is_the_default_the_middle_or_the_first_choice(parameter, start):
    assert parameter.start == start


@pytest.mark.parametrize("stored", [math.nan, math.inf, -math.inf, 3.5, 11, 4, "5", True, None, [5], 10**400])
def test_what_a_range_does_not_hold_has_no_number(stored):
    assert int_parameter("n", 1, 9, step=2).raw(stored) is None


def test_numbers_come_back_in_the_kind_of_the_range():
    assert repr(int_parameter("n", 1, 9).raw(3.0)) == "3"
    assert repr(float_parameter("x", 1, 9).raw(3)) == "3.0"


def test_choices_that_are_equal_and_not_the_same_are_told_apart():
    parameter, options = choice_parameter("c", [1, True, 1.0, "1", None])
    assert options == [1, True, 1.0, "1", None]
    assert [parameter.raw(label) for label in (1, True, 1.0, "1", None, "2")] == [0, 1, 2, 3, 4, None]


def test_objects_are_called_by_their_name_their_label_or_their_place():
    assert choice_parameter("c", [math.sqrt, dict])[0].labels == ("sqrt", "dict")
    assert choice_parameter("c", [[1], [2]])[0].labels == ("option 0", "option 1")
    assert choice_parameter("c", [[1], [2]], labels=["one", "two"])[0].labels == ("one", "two")


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (float_parameter("x", 1e-4, 0.1, log=True), "0.0001 to 0.1, log"),
        (int_parameter("n", 0, 10, step=4), "0 to 8, step 4"),
        (choice_parameter("c", ["a", None])[0], "a | None"),
    ],
)
def test_a_parameter_in_words(parameter, text):
    assert str(parameter) == text


# -- mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: float_parameter("x", 2, 1), "x: sweep.float(2, 1) is empty: the first bound is above the second"),
        (lambda: int_parameter("n", 2, 1), "n: sweep.int(2, 1) is empty: the first bound is above the second"),
        (lambda: float_parameter("x", 0, 1, log=True), "x: a logarithmic range starts above 0, not at 0"),
        (lambda: int_parameter("n", 0, 9, log=True), "n: a logarithmic range starts above 0, not at 0"),
        (lambda: float_parameter("x", "1", 2), "x: sweep.float takes finite numbers, not '1'"),
        (lambda: float_parameter("x", 0, math.inf), "x: sweep.float takes finite numbers, not inf"),
        (lambda: float_parameter("x", 0, [1]), "x: sweep.float takes finite numbers, not a list"),
        (lambda: int_parameter("n", 0, 2.5), "n: sweep.int takes whole numbers, not 2.5"),
        (lambda: int_parameter("n", 0, 2**60), "n: sweep.int takes whole numbers up to 2**53, which floats tell apart"),
        (lambda: float_parameter("x", 0, 10**400), "x: sweep.float takes finite numbers, not an int beyond all"),
        (lambda: float_parameter("x", "1\n" * 99, 1), r"x: sweep.float takes finite numbers, not '1\n1\n"),
        (lambda: choice_parameter("c", ["a\n" * 99] * 2), r"c: sweep.choice has the option 'a\na\n"),
        (lambda: int_parameter("n", 0, 9, step=0), "n: sweep.int takes a step of at least 1, not 0"),
        (lambda: int_parameter("n", 1, 9, log=True, step=2), "n: sweep.int takes either log=True or a step, not both"),
        (lambda: float_parameter("x", 0, 1, default=2), "x: the default 2 lies outside sweep.float(0, 1)"),
        (lambda: int_parameter("n", 0, 9, default=10), "n: the default 10 lies outside sweep.int(0, 9)"),
        (
            lambda: int_parameter("n", 0, 9, step=4, default=3),
            "n: sweep.int with step 4 from 0 never gives its default 3",
        ),
        (lambda: choice_parameter("c", []), "c: sweep.choice has no options"),
        (lambda: choice_parameter("c", "abc"), "c: sweep.choice takes a list of options, not str"),
        (lambda: choice_parameter("c", 3), "c: sweep.choice takes a list of options, not int"),
        (lambda: choice_parameter("c", ["a", "b", "a"]), "c: sweep.choice has the option 'a' twice"),
        (lambda: choice_parameter("c", ["a"], default="b"), "c: the default is none of the options of sweep.choice"),
        (lambda: Suggestions(lambda _: 0, lambda *_: None).float(0, 1), "a swept value has no name here"),
    ],
)
def test_a_mistake_is_one_line(make, told):
    with pytest.raises(MisuseError) as raised:
        make()
    assert str(raised.value).startswith(told)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 200


# -- inside a trial ------------------------------------------------------------------------------------


def test_inside_a_trial_the_words_ask_for_their_parameter():
    asked = []
    sweep = Suggestions(lambda parameter: asked.append(parameter) or 1, lambda *_: None)
    options = [math.sin, math.cos]
    assert sweep.choice(options, name="f") is math.cos
    sweep.log(1e-4, 1e-1, name="lr", default=1e-2)
    sweep.int(2, 12, True, name="depth")
    assert [(each.name, each.kind, each.log) for each in asked] == [
        ("f", "choice", False),
        ("lr", "float", True),
        ("depth", "int", True),
    ]


def test_inside_a_trial_reports_are_passed_on():
    told = []
    Suggestions(lambda _: 0, lambda step, metrics: told.append((step, dict(metrics)))).report(3, loss=0.5, auc=0.9)
    assert told == [(3, {"loss": 0.5, "auc": 0.9})]
