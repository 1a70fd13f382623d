import json
import math

import numpy as np
import pytest

from mlmagic.journal import events
from mlmagic.records import (
    Assertion,
    AssertionResult,
    Bundle,
    Drift,
    Endpoint,
    Evaluation,
    Measure,
    Predictions,
    Sweep,
    Trial,
)


def test_an_observation_comes_back_with_every_record(observation):
    event = events.decode(events.encode(events.observed(observation())))
    assert event is not None
    assert event["execution"]["source"] == "x = y"
    assert event["execution"]["tags"] == {"k": "v"}
    assert [len(event[part]) for part in ("versions", "reads", "writes", "params", "metrics")] == [1] * 5


def test_a_line_is_ascii_and_ends_where_the_event_ends(observation):
    line = events.encode(events.observed(observation(source="'é\n\udc80' # \u2028")))
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    event = events.decode(line)
    assert event is not None
    assert event["execution"]["source"] == "'é\n\udc80' # \u2028"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_not_finite_is_written_so_that_any_reader_copes(observation, value):
    line = events.encode(events.observed(observation(metric=value)))
    strict = json.loads(line, parse_constant=pytest.fail)
    assert float(strict["metrics"][0]["value"]) == pytest.approx(value, nan_ok=True)


def test_a_sweep_comes_back_with_every_field(sweep):
    made = sweep("finished", seconds=9.5, options={"trials": 40}, plan=({"line": 1, "shared": True},))
    event = events.decode(events.encode(events.swept(made)))
    assert event is not None
    assert event["event"] == "sweep"
    assert Sweep(**{**event["sweep"], "plan": tuple(event["sweep"]["plan"])}) == made


def test_verdicts_come_back_with_every_field():
    rule = Assertion("a1", "small", "model", "e1.model", "def small(i, o): ...", "stop", 2.0, constants={"LIMIT": [1]})
    said = AssertionResult("a1", 3.0, None, "e1.X", None, 10, 1, 0.5, worst=({"row": 1, "inputs": {"a": None}},))
    moved = Drift("d1", 4.0, "a", "b", None, "domain_classifier", 0.7, 0.01, 0.55, True)
    good = Evaluation("v1", 5.0, None, "m", "X", "y", None, None, None, "binary", "test", 10, "auc", 0.9)
    found = [
        events.decode(events.encode(made))
        for made in (events.asserted(rule), events.checked(said), events.drifted([moved]), events.evaluated([good]))
    ]
    assert [event["event"] for event in found] == ["assertion", "assertion_result", "drift", "evaluation"]
    assert Assertion(**{**found[0]["assertion"], "imports": ()}) == rule
    assert AssertionResult(**{**found[1]["result"], "worst": tuple(found[1]["result"]["worst"])}) == said
    assert [Drift(**row) for row in found[2]["drifts"]] == [moved]
    assert [Evaluation(**row) for row in found[3]["evaluations"]] == [good]


def test_what_became_of_a_model_comes_back_with_every_field():
    left = Bundle("b1", "churn", "/p", "e1.model", 2.0, {"rows": 3}, "model", "0a1b", "e2")
    runs = Endpoint("p1", "b1", "http://127.0.0.1:1", 3.0, 4.0, "churn", 7, "s1")
    rows = Predictions("p1", "b1", (("r1", 0, 2, 3.5, 0.1, 2),), {"age": [1, None]}, {"label": ["a", "b"]})
    found = [
        events.decode(events.encode(made))
        for made in (events.exported(left), events.served(runs), events.predicted(rows))
    ]
    assert [event["event"] for event in found] == ["bundle", "endpoint", "predictions"]
    assert Bundle(**found[0]["bundle"]) == left
    assert Endpoint(**found[1]["endpoint"]) == runs
    spans = tuple(tuple(span) for span in found[2]["predictions"]["spans"])
    assert Predictions(**{**found[2]["predictions"], "spans": spans}) == rows


def test_a_trial_comes_back_with_its_measures(trial):
    made = trial("complete", value=0.9, device="cuda:1")
    lr, auc = Measure("e1", "lr", 0.1, trial_id="t1"), Measure("e1", "auc", 0.9, trial_id="t1", step=3)
    event = events.decode(events.encode(events.tried(made, [lr], [auc])))
    assert event is not None
    assert event["event"] == "trial"
    assert Trial(**event["trial"]) == made
    assert ([Measure(**row) for row in event["params"]], [Measure(**row) for row in event["metrics"]]) == ([lr], [auc])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_trials_value_that_is_not_finite_is_written_so_that_any_reader_copes(trial, value):
    reported = Measure("e1", "loss", value, trial_id="t1", step=0)
    line = events.encode(events.tried(trial("complete", value=value), [], [reported]))
    strict = json.loads(line, parse_constant=pytest.fail)
    for found in (strict["trial"]["value"], strict["metrics"][0]["value"]):
        assert float(found) == pytest.approx(float(value), nan_ok=True)


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64("nan"), np.int64(3), np.bool_(True)])
def test_a_numpy_scalar_is_written_as_a_plain_value(observation, value):
    event = events.decode(events.encode(events.observed(observation(metric=value))))
    assert event is not None
    assert float(event["metrics"][0]["value"]) == pytest.approx(float(value), nan_ok=True)


def test_an_object_is_refused_without_asking_for_its_repr(observation):
    class Secret:
        def __repr__(self):
            pytest.fail("repr of a user's object")

    with pytest.raises(TypeError, match="not Secret"):
        events.encode(events.observed(observation(metric=Secret())))


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{\n",
        b"5\n",
        b"\xff\xfe\n",
        b'{"event":"session"}\n',
        b'{"v":1,"event":"session","session":{}}\n',
        b'{"v":1,"event":"observation","execution":{"execution_id":null}}\n',
        b'{"v":1,"event":"observation","execution":{"execution_id":"e"},"reads":[1]}\n',
        b'{"v":1,"event":"sweep"}\n',
        b'{"v":1,"event":"bundle"}\n',
        b'{"v":1,"event":"endpoint","endpoint":{"url":"u"}}\n',
        b'{"v":1,"event":"predictions","predictions":{"endpoint_id":"p"}}\n',
        b'{"v":1,"event":"sweep","sweep":{"name":"mlp"}}\n',
        b'{"v":1,"event":"trial","trial":{"sweep_id":"w"}}\n',
        b'{"v":1,"event":"trial","trial":{"trial_id":"t"},"metrics":{"auc":1}}\n',
        b'{"v":0,"event":"session_ended","session_id":"s"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_line_without_an_event_is_unreadable(line):
    with pytest.raises(events.UnreadableError):
        events.decode(line)


@pytest.mark.parametrize("line", [b'{"v":99,"event":"session"}', b'{"v":1,"event":"labelled"}'])
def test_an_event_of_a_later_release_is_none(line):
    assert events.decode(line) is None


def test_an_older_event_is_upgraded_step_by_step(monkeypatch):
    def rename(event):  # version 0 said "run" where version 1 says "session_id"
        return {"event": event["event"], "session_id": event["run"], "at": event["at"]}

    monkeypatch.setitem(events.UPGRADES, 0, rename)
    monkeypatch.setitem(events.UPGRADES, -1, lambda event: {**event, "at": 0.0})
    event = events.decode(b'{"v":-1,"event":"session_ended","run":"s"}')
    assert event == {"v": 1, "event": "session_ended", "session_id": "s", "at": 0.0}


def test_every_version_before_the_current_one_has_its_upgrade():
    assert sorted(events.UPGRADES) == list(range(1, events.CURRENT))
