"""A bundle's assertions on the rows of an endpoint."""

import numpy as np
import pytest

from mlmagic.serving.watch_rules import RuleWatch
from tests.unit.serving.watched import AT, MATRIX, bundle, numbers, people, rule

SURE = "def sure(inputs, outputs):\n    return outputs[:, 1] > 0.7\n"
BROKEN = "def broken(inputs, outputs):\n    return inputs['salary'] > 1\n"


def watch(folder, *rules, trusted=True, **fields) -> RuleWatch:
    return RuleWatch(bundle(folder, rules=rules, **fields), "ep1", trusted=trusted)


def test_a_rule_sees_the_rows_with_the_notebooks_types_and_the_answers(tmp_path):
    kinds = (
        "def kinds(inputs, outputs):\n    return [str(inputs.dtypes.astype(str).tolist()) != EXPECTED] * len(inputs)\n"
    )
    expected = str(["int64", "str", "str"])
    made = watch(tmp_path, rule(kinds, "kinds", constants={"EXPECTED": expected}), rule(SURE, "sure"))
    made.take(people([20, 70, 80]))
    made.look(AT, last=True)
    assert [(one["name"], one["rows"], one["fired"], one["error"]) for one in made.told()] == [
        ("kinds", 3, 0, None),
        ("sure", 3, 2, None),
    ]


def test_few_rows_wait_for_more_or_for_two_seconds(tmp_path):
    made = watch(tmp_path, rule())
    made.take(people([95]))
    assert made.look(0.0) == []
    assert made.told()[0]["rows"] == 0
    made.take(people([30] * 199))
    (result,) = made.look(AT)
    assert (result.rows, result.fired) == (200, 1)
    made.take(people([30]))
    made.look(1e12)
    assert made.told()[0]["rows"] == 201


def test_a_result_names_rule_endpoint_model_and_the_worst_rows_by_request(tmp_path):
    severity = "def old(inputs, outputs):\n    return (inputs['age'] - 90).clip(lower=0)\n"
    made = watch(tmp_path, rule(severity))
    made.take(people([20, 91], "r1", first=7, at=AT))
    made.take(people([99], "r2", at=AT + 1))
    (result,) = made.look(AT, last=True)
    assert (result.assertion_id, result.name, result.endpoint_id) == ("a-old", "old", "ep1")
    assert (result.model_version, result.data_version, result.at) == ("e1.model", None, AT + 1)
    assert (result.rows, result.fired, result.severity_max) == (3, 2, 9.0)
    assert [(row["request_id"], row["row"], row["severity"]) for row in result.worst] == [("r2", 0, 9), ("r1", 8, 1)]
    assert result.worst[0]["inputs"] == {"age": 99, "city": "Oslo", "api_token": "…"}
    assert result.worst[0]["output"] == [0.25, 0.75]


def test_results_that_fire_are_written_every_few_seconds_and_others_once_a_minute(tmp_path):
    made = watch(tmp_path, rule())
    made.take(people([20] * 200))
    assert len(made.look(1000.0)) == 1
    made.take(people([20] * 200))
    assert made.look(1059.0) == []
    made.take(people([95] * 200))
    (result,) = made.look(1059.5)
    assert (result.rows, result.fired) == (400, 200)
    made.take(people([95] * 200))
    assert made.look(1060.0) == []
    assert len(made.look(1064.5)) == 1
    assert made.look(2000.0, last=True) == []


def test_a_rule_that_fails_is_named_and_the_others_run(tmp_path):
    made = watch(tmp_path, rule(BROKEN, "broken"), rule())
    made.take(people([95]))
    results = {result.name: result for result in made.look(AT, last=True)}
    assert results["broken"].error.startswith("KeyError: salary")
    assert (results["broken"].fired, results["broken"].severity_max) == (0, None)
    assert results["old"].fired == 1
    assert made.told()[0]["error"].startswith("KeyError")


def test_a_rule_that_is_always_stopped_is_run_no_more(tmp_path, monkeypatch):
    from mlmagic.checks import assertions

    slow = "def slow(inputs, outputs):\n    while True:\n        pass\n"
    made = watch(tmp_path, rule(slow, "slow"), rule())
    monkeypatch.setattr(assertions.run, "__kwdefaults__", {"timeout": 0.05})
    for _ in range(4):
        made.take(people([95]))
        made.look(AT, last=True)
    assert made.not_run == {"slow": "not run any more: stopped after 0.05 seconds, 3 times in a row"}
    assert [(one["name"], one["rows"]) for one in made.told()] == [("old", 4)]


def test_a_bundle_that_nobody_trusts_runs_no_rule(tmp_path):
    made = watch(tmp_path, rule("def old(inputs, outputs):\n    raise SystemExit\n"), trusted=False, signed=False)
    made.take(people([95] * 300))
    assert made.look(AT, last=True) == []
    assert made.told() == []
    assert made.not_run == {
        "old": "the bundle is not signed with your key: serve it with --trust to run its Python rules"
    }


def test_a_rule_that_cannot_travel_is_named_with_its_reason(tmp_path):
    made = watch(tmp_path, rule(portable=False, obstacle="it uses torch"), rule(SURE, "sure"))
    assert made.not_run == {"old": "rule old runs only in its notebook: it uses torch"}
    made.take(people([70]))
    made.look(AT, last=True)
    assert [one["name"] for one in made.told()] == ["sure"]


def test_a_list_of_rules_that_is_damaged_is_said(tmp_path):
    made = bundle(tmp_path, rules=(rule(),))
    (made.path / "assertions.json").write_text("[1]")
    found = RuleWatch(made, "ep1", trusted=True)
    assert "is not the file that was exported" in found.not_run["assertions"]
    found.take(people([95]))
    assert found.look(AT, last=True) == []


@pytest.mark.parametrize("parts", [1, 4])
def test_rows_of_a_matrix_come_with_its_columns_names(tmp_path, parts):
    high = "def high(inputs, outputs):\n    return (inputs['a'] > 5) & (outputs > inputs['b'])\n"
    made = RuleWatch(bundle(tmp_path, MATRIX, (rule(high, "high"),)), "ep1", trusted=True)
    for values in np.split(np.arange(16).reshape(8, 2), parts):
        made.take(numbers(values))
    (result,) = made.look(AT, last=True)
    assert (result.rows, result.fired) == (8, 5)
