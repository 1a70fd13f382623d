"""Rules: what makes one, what travels with it, what it may answer, and that what it does wrong stays its own."""

from __future__ import annotations

import json
import math
import re
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlmagic.checks.answers import answers_of, frame_of
from mlmagic.checks.assertions import Checked, Rule, run
from mlmagic.checks.flagged import Flagged, plain, worst_rows
from mlmagic.checks.limits import TooLongError, limited
from mlmagic.checks.portable import read_rule
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.records import Assertion

ROWS = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "word": ["a", "b", "c", "d"]})
ANSWERS = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
MODULES = {"np": np, "pd": pd}
HEAD = "def rule(inputs, outputs):\n"


def of(body: str, **available: Any) -> Rule:
    """The rule with this body, next to NumPy, pandas and whatever is named."""
    return Rule.of_source("rule", f"{HEAD}    {body}\n", {**MODULES, **available})


def said(body: str, inputs: pd.DataFrame = ROWS, **available: Any) -> Checked:
    return run(of(body, **available), inputs, ANSWERS[: len(inputs)])


# What is a rule


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1", "no function: a rule is a function of inputs and outputs"),
        ("", "no function"),
        ("rule = lambda inputs, outputs: 0", "no function"),
        ("class A:\n    def rule(self, inputs): pass", "no function"),
        ("def one(i, o): pass\ndef two(i, o): pass", "none of the functions is called rule: one, two"),
        ("def rule(i, o) return 0", r"the rule does not parse: .* \(line 1\)"),
        ("def rule(i, o):\n    return (0", r"the rule does not parse: .*"),
        ("def rule(): return 0", "rule takes nothing: a rule is a function of inputs and outputs"),
        ("def rule(inputs): return 0", "rule takes inputs"),
        ("def rule(a, b, c): return 0", "rule takes a, b, c"),
        ("def rule(a, b, *, c): return 0", "rule takes a, b, c"),
        ("async def rule(i, o): return 0", "rule is async"),
        ("\0", "does not parse"),
    ],
)
def test_what_is_no_rule_is_told_in_one_line(text, line):
    with pytest.raises(MisuseError, match=line) as told:
        read_rule(text, "rule")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "signature", ["i, o", "i, /, o", "i, o, more=1", "*rows", "i, *more", "i, o=None", "i, o, *, key=1", "i, o, **more"]
)
def test_any_function_that_takes_two_things_is_a_rule(signature):
    assert read_rule(f"def rule({signature}): return 0", "rule").name == "rule"


def test_the_function_of_the_rules_name_is_meant_else_the_only_one():
    two = "def helper(x): return x\n\ndef rule(i, o):\n    return 0\n"
    assert read_rule(two, "rule").source == "def rule(i, o):\n    return 0\n"
    assert read_rule("import math\ndef other(i, o): return 0", "rule").name == "other"


def test_an_indented_function_is_read_as_its_text_is():
    assert read_rule("    def rule(i, o):\n        return 0\n", "rule").source == "def rule(i, o):\n    return 0\n"


def test_an_unknown_action_is_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'monitor'"):
        Rule.of_source("rule", HEAD + "    return 0", {}, action="monitr")


# What travels with it


def test_modules_functions_of_modules_and_constants_travel():
    made = of("return np.log(sqrt(inputs['size'])) > LIMIT", sqrt=np.sqrt, LIMIT=0.5)
    assert made.portable
    assert made.obstacle is None
    assert set(made.imports) == {"import numpy as np", "from numpy import sqrt"}
    assert made.constants == {"LIMIT": 0.5}


@pytest.mark.parametrize(
    ("name", "value", "statement"),
    [
        ("math", math, "import math"),
        ("m", math, "import math as m"),
        ("root", math.sqrt, "from math import sqrt as root"),
        ("Counter", Counter, "from collections import Counter"),
        ("match", re.match, "from re import match"),
        ("where", np.where, "from numpy import where"),
        ("norm", np.linalg.norm, "from numpy.linalg import norm"),
        ("la", np.linalg, "import numpy.linalg as la"),
        ("DataFrame", pd.DataFrame, None),
    ],
)
def test_a_name_that_an_import_gives_its_meaning_travels_as_that_import(name, value, statement):
    made = of(f"return [{name} is None] * len(inputs)", **{name: value})
    assert made.portable
    assert statement is None or made.imports == (statement,)


@pytest.mark.parametrize(
    ("body", "available", "obstacle"),
    [
        ("return frame['size']", {"frame": ROWS}, "it uses frame, a DataFrame of the notebook"),
        ("return model.predict(inputs)", {"model": threading.Thread()}, "it uses model, a Thread of the notebook"),
        ("return helper(inputs)", {"helper": lambda x: x}, "it calls helper, a function of the notebook"),
        ("return Kind(inputs)", {"Kind": type("Kind", (), {})}, "it uses Kind, a class of the notebook"),
        ("return threading.active_count()", {"threading": threading}, "it uses threading; of modules only math, numpy"),
        ("import os\n    return 0", {}, "it imports os; of modules only math, numpy"),
        ("from . import x\n    return 0", {}, "it imports a relative module"),
        ("return nobody", {}, "nobody is not there"),
        ("return open('x')", {}, "it calls open"),
        ("return eval('1')", {}, "it calls eval"),
        ("return [exec('1') for x in inputs]", {}, "it calls exec"),
        ("return getattr(np, 'lo' + 'ad')('x')", {"np": np}, "it calls getattr"),
        ("return np.load('x')", {"np": np}, r"it reaches for \.load, .* \(a column of that name is inputs\['load'\]\)"),
        ("return pd.read_csv('x')", {"pd": pd}, r"it reaches for \.read_csv"),
        ("return read('x')", {"read": pd.read_csv}, "it reaches for read_csv"),
        ("return load('x')", {"load": np.load}, "it reaches for load"),
        ("return pd.io.common.os.getcwd()", {"pd": pd}, r"it reaches for \.os"),
        ("return common", {"common": pd.io.common}, "it uses pandas.io.common"),
        ("return json.codecs.open('x')", {"json": json}, r"it reaches for \.codecs"),
        ("return ().__class__", {}, r"it reaches for \.__class__"),
        ("return sorted.__self__.open('x')", {}, r"it reaches for \.__self__"),
        ("match inputs:\n        case object(__class__=kind): return kind", {}, r"it reaches for \.__class__"),
        ("return '{0.__class__}'.format(inputs)", {}, r"it reaches for \.format"),
        ("return inputs.query('@pd.io')", {}, r"it reaches for \.query"),
        ("return inputs.to_pickle('x')", {}, r"it reaches for \.to_pickle"),
        ("return (x for x in inputs).gi_frame", {}, r"it reaches for \.gi_frame"),
        ("import pandas.io.common\n    return 0", {}, "it imports pandas.io.common"),
        ("from numpy import load\n    return 0", {}, r"it reaches for \.load"),
        ("global seen\n    seen = 1\n    return 0", {}, "it binds seen in the notebook"),
        ("return inputs['size'] > api_token", {"api_token": 5}, "api_token may be a secret"),
        ("return LIMITS[0]", {"LIMITS": (1, 2)}, "LIMITS is a tuple; JSON has lists only"),
        ("return LIMIT", {"LIMIT": math.nan}, "LIMIT holds what JSON has no form for"),
        ("return NAMES", {"NAMES": {1: "a"}}, "NAMES holds what JSON has no form for"),
        ("return LONG", {"LONG": ["word"] * 50_000}, r"its constants are large \(LONG\)"),
    ],
)
def test_what_cannot_travel_is_named_and_the_rule_runs_as_it_is(body, available, obstacle):
    text = f"{HEAD}    {body}\n"
    with pytest.raises(MisuseError, match=f"^rule rule cannot run by itself: {obstacle}"):
        Rule.of_source("rule", text, available)

    def live(inputs: Any, outputs: Any) -> list[int]:
        return [7] * len(inputs)

    made = Rule.of_source("rule", text, available, live=live)
    assert not made.portable
    assert re.match(obstacle, made.obstacle or "")
    assert run(made, ROWS, ANSWERS).severity_max == 7


def test_a_decorated_function_does_not_travel_without_its_decorator():
    with pytest.raises(MisuseError, match=r"it is decorated by lru_cache\(None\)"):
        Rule.of_source("rule", f"@lru_cache(None)\n{HEAD}    return 0\n", {})


def test_annotations_need_nothing():
    text = "def rule(inputs: Unknown, outputs: 'pd.Series') -> Nothing:\n    return outputs[:, 0]\n"
    assert Rule.of_source("rule", text, {}).portable


def test_own_names_are_no_needs():
    body = """limit = 1
    class Own:
        top = 3
        low = top - 2
    def inner(x):
        return x * limit
    return [inner(x) - Own.low for x in range(1, 5)]"""
    assert of(body).constants == {}
    assert said(body).severities.tolist() == [0, 1, 2, 3]


def test_constants_are_those_of_the_definition():
    limits = [2.0]
    made = of("return inputs['size'] > LIMITS[0]", LIMITS=limits)
    limits[0] = 100.0
    assert run(made, ROWS, ANSWERS).fired == 2


# From its record alone


def record(source: str, **fields: Any) -> Assertion:
    values = {"model": None, "model_version": None, "action": "monitor", "created_at": 0.0}
    return Assertion("a1", "rule", source=source, **{**values, **fields})


def test_a_record_makes_the_same_rule():
    made = of("return np.abs(inputs['size']) * WEIGHT", WEIGHT=2)
    again = Rule.of_record(record(made.source, imports=made.imports, constants=made.constants))
    assert run(again, ROWS, ANSWERS).severities.tolist() == run(made, ROWS, ANSWERS).severities.tolist()


@pytest.mark.parametrize(
    ("source", "fields", "line"),
    [
        (HEAD + "    return 0\n", {"imports": ("import os",)}, "a rule may not 'import os'"),
        (HEAD + "    return 0\n", {"imports": ("import numpy, os",)}, "may not"),
        (HEAD + "    return 0\n", {"imports": ("from os import system",)}, "may not"),
        (HEAD + "    return 0\n", {"imports": ("from . import x",)}, "may not"),
        (HEAD + "    return 0\n", {"imports": ("from statistics import sys",)}, "may not"),
        (HEAD + "    return 0\n", {"imports": ("from numpy import mean, load as mean2",)}, "may not"),
        (HEAD + "    return 0\n", {"imports": ("import pandas.io.common as c",)}, "may not"),
        (HEAD + "    return 0\n", {"imports": ("import math\nimport os",)}, "may not"),
        (HEAD + "    return 0\n", {"imports": ("print(1)",)}, "may not"),
        (HEAD + "    return __import__('os')\n", {}, "it calls __import__"),
        (HEAD + "    import os\n    return 0\n", {}, "it imports os"),
        (HEAD + "    return LIMIT\n", {}, "LIMIT is not there"),
        ("1 + 1", {}, "no function"),
        (HEAD + "    return 0\n", {"portable": False, "obstacle": "it uses df"}, "only in its notebook: it uses df"),
    ],
)
def test_a_record_that_asks_for_more_makes_no_rule(source, fields, line):
    with pytest.raises(MisuseError, match=line):
        Rule.of_record(record(source, **fields))


# What it may answer


@pytest.mark.parametrize(
    "body",
    [
        "return inputs['size'] > 2",
        "return (inputs['size'] > 2).to_numpy()",
        "return [False, False, True, True]",
        "return (0, 0, 1, 1)",
        "return np.array([0, 0, 1, 1], dtype='uint8')",
        "return np.array([0, 0, 1, 1], dtype='float32')",
        "return pd.Series([0, 0, 1, 1])",
        "return pd.Series([False, False, True, True], dtype='boolean')",
        "return pd.Series([0, 0, 1, 1], dtype='Int64')",
        "return pd.Series([False, 0, 1.0, True], dtype=object)",
        "return pd.Series([0, 0, 1, 1], index=[7, 8, 9, 10])",
        "return outputs[:, 1] > 0.5",
    ],
)
def test_one_severity_for_each_row_is_an_answer(body):
    found = said(body)
    assert found.error is None
    assert found.severities.tolist() == [0, 0, 1, 1]
    assert (found.fired, found.severity_max, found.worst(10)) == (2, 1.0, [2, 3])


def test_one_number_is_an_answer_for_one_row():
    assert said("return 0.5", ROWS[:1]).severities.tolist() == [0.5]
    assert said("return np.bool_(True)", ROWS[:1]).fired == 1


@pytest.mark.parametrize(
    ("body", "came"),
    [
        ("pass", r"None \(does the rule return something\?\)"),
        ("return 1", "one number"),
        ("return True", "one number"),
        ("return [0, 1]", "2 severities"),
        ("return outputs", r"an array of shape \(4, 2\)"),
        ("return inputs[['size']] > 2", r"an array of shape \(4, 1\)"),
        ("return inputs['size'] - 2", "-1 in row 0"),
        ("return np.where(inputs['size'] > 2, np.nan, 0)", "NaN in row 2"),
        ("return [0, np.inf, 0, 0]", "infinity in row 1"),
        ("return pd.Series([0, None, 1, 1], dtype='Int64')", "a NAType among its values"),
        ("return [0, None, 1, 1]", "a NoneType among its values"),
        ("return inputs['word']", "a str among its values"),
        ("return np.array(['a', 'b', 'c', 'd'])", "values of type str"),
        ("return 'fine'", "a str"),
        ("return {'a': 1}", "a dict"),
        ("return (x for x in [0, 0, 1, 1])", "a generator"),
        ("return [[0], [0, 1], [1], [1]]", "a ragged list"),
        ("return outputs[:, 0] * 1j", "values of type complex128"),
        ("return pd.to_datetime(['2020'] * 4)", "values of type datetime64"),
        ("return inputs.sort_values('size', ascending=False)['size']", "a Series whose index has the rows in another"),
    ],
)
def test_anything_else_is_nonsense_and_named(body, came):
    found = said(body)
    assert found.severities is None
    assert (found.fired, found.severity_max, found.worst(5)) == (0, None, [])
    assert re.match(f"gave {came}.*; expected 4 severities, one per row, numbers from 0 = fine", found.error)
    assert "\n" not in found.error


# What it does wrong stays its own


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return inputs['nosuch']", "KeyError: nosuch (line 2 of the rule)"),
        ("x = 1\n    raise ValueError('no\\nwonder')", "ValueError: no (line 3 of the rule)"),
        ("def inner():\n        return 1 / 0\n    return inner()", "ZeroDivisionError: division by zero (line 3"),
        ("raise SystemExit(3)", "SystemExit: 3 (line 2 of the rule)"),
        ("return rule(inputs, outputs)", "RecursionError: maximum recursion depth exceeded"),
        ("return np.linalg.inv(outputs)", "LinAlgError: "),
    ],
)
def test_an_exception_is_named_with_its_line(body, error):
    assert said(body).error.startswith(error)


def test_the_message_of_an_exception_is_never_asked_for():
    class Sly(Exception):
        def __str__(self) -> str:
            raise AssertionError("asked")

    def live(inputs: Any, outputs: Any) -> None:
        raise Sly(inputs)

    made = Rule.of_source("rule", HEAD + "    raise Sly(inputs)\n", {"Sly": Sly}, live=live)
    assert run(made, ROWS, ANSWERS).error.startswith("test_the_message_of_an_exception_is_never_asked_for.<locals>.Sly")


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "while True:\n        try:\n            pass\n        except BaseException:\n            pass",
        "return re.match('(a+)+$', 'a' * 40 + 'b')",
        "return [x for x in iter(int, 1)]",
    ],
    ids=["loop", "catches everything", "regular expression", "endless list"],
)
def test_a_rule_that_hangs_is_stopped(body):
    found = run(of(body, re=re), ROWS, ANSWERS, timeout=0.2)
    assert found.error == "stopped after 0.2 seconds"
    assert found.seconds < 10


def test_what_waits_is_ended_and_alarms_are_as_before():
    rang = []
    earlier = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    pending = signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(TooLongError):
            limited(lambda: time.sleep(60), 0.1)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        deadline = time.monotonic() + 10
        while not rang and time.monotonic() < deadline:
            time.sleep(0.01)
        assert rang
    finally:
        signal.setitimer(signal.ITIMER_REAL, *pending)
        signal.signal(signal.SIGALRM, earlier)


def test_no_alarm_is_left_on_however_short_the_time_is():
    """It may ring before the call begins or after it returned; left on, it would ring in the user's next cell."""
    for number in range(500):
        with suppress(TooLongError):
            limited(lambda: None, 10 ** -(5.2 + number % 8 / 10))
        assert signal.getitimer(signal.ITIMER_REAL)[1] == 0  # pytest's own rings once


def test_a_rule_that_hangs_is_stopped_outside_of_the_main_thread_too():
    found: list[Checked] = []
    work = threading.Thread(target=lambda: found.append(run(of("while True: pass"), ROWS, ANSWERS, timeout=0.2)))
    work.start()
    work.join(30)
    assert found[0].error == "stopped after 0.2 seconds"
    assert not [thread for thread in threading.enumerate() if thread.name == "mlmagic-assertion"]


def test_an_answer_and_an_exception_pass_through_a_thread():
    found: list[Checked] = []
    rules = [of("return inputs['size'] > 2"), of("return 1 / 0")]
    work = threading.Thread(target=lambda: found.extend(run(rule, ROWS, ANSWERS) for rule in rules))
    work.start()
    work.join(30)
    assert [one.fired for one in found] == [2, 0]
    assert found[1].error == "ZeroDivisionError: division by zero (line 2 of the rule)"


def test_an_interrupt_is_the_users():
    def live(inputs: Any, outputs: Any) -> None:
        raise KeyboardInterrupt

    made = Rule.of_source("rule", HEAD + "    return live\n", {"live": live}, live=live)
    with pytest.raises(KeyboardInterrupt):
        run(made, ROWS, ANSWERS)


def test_a_rule_that_changes_what_it_is_given_changes_nothing_of_the_users():
    frame = pd.DataFrame({"size": [1.0, 2.0], "tags": [["a"], {"b": 1}]})
    before, answers = frame.copy(deep=True), ANSWERS[:2].copy()
    before["tags"] = [["a"], {"b": 1}]
    body = """inputs['size'] = 9
    inputs['new'] = 1
    inputs.columns.name = 'x'
    inputs['tags'][0].append('z')
    outputs[:] = 0
    inputs.loc[0, 'size'] = 5
    return [0, 0]"""
    assert run(of(body), frame, answers).error is None
    pd.testing.assert_frame_equal(frame, before)
    assert frame.columns.name is None
    assert answers.tolist() == ANSWERS[:2].tolist()


def test_a_rule_sees_objects_as_they_are():
    """As a copy, but 1 and `None` stay what they are, and what cannot be copied is shared."""
    lock = threading.Lock()
    frame = pd.DataFrame({"size": [1.0, 2.0], "what": pd.Series([1, None], dtype=object), "odd": [lock, lock]})
    body = "return [what is not None and type(what) is int for what in inputs['what']]"
    assert said(body, frame).severities.tolist() == [1, 0]
    assert said("return inputs['odd'].map(lambda odd: odd.locked())", frame).severities.tolist() == [0, 0]


# What is asked of the model


class Both:
    def predict(self, rows: Any) -> list[int]:
        return [1] * len(rows)

    def predict_proba(self, rows: Any) -> Any:
        return np.tile([0.25, 0.75], (len(rows), 1))


class Plain:
    def predict(self, rows: Any) -> Any:
        return rows["size"] * 2


def test_probabilities_are_asked_for_where_there_are_some():
    assert answers_of(Both(), ROWS, 4).shape == (4, 2)
    assert answers_of(Plain(), ROWS, 4).tolist() == [2, 4, 6, 8]
    assert answers_of(lambda rows: [0] * len(rows), ROWS, 4).tolist() == [0] * 4


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (5, "model is a int: a model with predict_proba or predict is expected, or a function"),
        (Both, "model is a class"),
        (lambda rows: rows["nosuch"], "model failed on X: KeyError: 'nosuch'"),
        (lambda rows: [1], r"model gave answers of shape \(1,\) for 4 rows of X"),
        (lambda rows: 1, r"model gave answers of shape \(\) for 4 rows of X"),
    ],
)
def test_a_model_that_cannot_be_asked_is_told_in_one_line(model, line):
    with pytest.raises(MisuseError, match=line):
        answers_of(model, ROWS, 4)


def test_rows_of_any_kind_become_a_frame():
    assert frame_of(ROWS) is ROWS
    assert frame_of(np.ones((2, 3))).shape == (2, 3)
    assert frame_of(["one text", "another"]).iloc[:, 0].tolist() == ["one text", "another"]
    assert frame_of({"a": [1, 2]}).columns.tolist() == ["a"]


@pytest.mark.parametrize("empty", [ROWS[:0], np.ones((0, 3)), []])
def test_no_rows_are_told_in_one_line(empty):
    with pytest.raises(MisuseError, match=r"X has no rows|no table"):
        frame_of(empty)


# Rows that people look at


def test_the_worst_rows_come_with_their_data_as_plain_values():
    rows = ROWS.assign(api_key="hidden", when=pd.Timestamp("2020-01-02"), odd=[object()] * 4, gone=np.nan)
    found = [run(of("return inputs['size']"), rows, ANSWERS)]
    told = worst_rows(Flagged.of(found, rows, ANSWERS), found, 2)["rule"]
    assert [row["row"] for row in told] == [3, 2]
    assert told[0] == {
        "row": 3,
        "severity": 4.0,
        "inputs": {
            "size": 4.0, "word": "d", "api_key": "…", "when": "2020-01-02T00:00:00", "odd": "<object>", "gone": None,
        },
        "output": [0.1, 0.9],
    }  # fmt: skip


def test_no_rule_that_fired_leaves_no_rows():
    found = [run(of("return inputs['size'] > 100"), ROWS, ANSWERS), run(of("return 1 / 0"), ROWS, ANSWERS)]
    flagged = Flagged.of(found, ROWS, ANSWERS)
    assert flagged.rows() == []
    assert worst_rows(flagged, found, 5) == {"rule": ()}


@pytest.mark.parametrize(
    ("value", "told"),
    [(np.float32(0.5), 0.5), (math.nan, None), (math.inf, "inf"), (pd.NA, None), (pd.NaT, None), (True, True),
     ("x" * 999, "x" * 200 + "…"), ([1], "<list>"), (np.int64(3), 3), (b"x", "<bytes>")],
)  # fmt: skip
def test_a_value_becomes_what_json_holds(value, told):
    assert plain(value) == told
