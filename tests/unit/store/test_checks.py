"""Assertions, their results, drifts and evaluations on their way: events in, rows and the same records out."""

import json
import math

import pytest

from mlmagic.journal import Journal
from mlmagic.records import Assertion, AssertionResult, Drift, Evaluation
from mlmagic.store import Store
from tests.unit.store.test_sweeps import OLD_LINE

PUBLIC = {
    "assertions": ["assertion_id", "name", "model_version", "source", "action"],
    "assertion_results": [
        "assertion_id", "at", "model_version", "data_version", "endpoint_id", "rows", "fired", "severity_max", "worst",
    ],
    "drifts": [
        "drift_id", "at", "reference", "current", "column_name", "method",
        "statistic", "p_value", "threshold", "drifted",
    ],
}  # fmt: skip
AT = 1_700_000_000.25
SOURCE = "def small(inputs, outputs):\n    return inputs['size'] > LIMIT\n"


def rule(assertion_id: str = "a1", **fields) -> Assertion:
    values = {"model": "model", "model_version": "e1.model", "source": SOURCE, "action": "monitor", "created_at": AT}
    return Assertion(assertion_id, "small", **{**values, **fields})


def result(assertion_id: str = "a1", **fields) -> AssertionResult:
    values = {
        "at": AT + 1, "model_version": "e1.model", "data_version": "e1.X", "endpoint_id": None,
        "rows": 100, "fired": 2, "severity_max": 1.0, "name": "small",
    }  # fmt: skip
    return AssertionResult(assertion_id, **{**values, **fields})


def drift(drift_id: str = "d1", column_name: str | None = "age", method: str = "ks", **fields) -> Drift:
    values = {
        "at": AT, "reference": "train", "current": "today",
        "statistic": 0.25, "p_value": 0.001, "threshold": 0.1, "drifted": True,
    }  # fmt: skip
    return Drift(drift_id, column_name=column_name, method=method, **{**values, **fields})


def evaluation(metric: str = "roc_auc", evaluation_id: str = "v1", **fields) -> Evaluation:
    values = {
        "at": AT, "execution_id": "e1", "model": "model", "data": "X_test", "target": "y_test",
        "model_version": "e1.model", "data_version": "e1.X", "target_version": None,
        "kind": "binary", "part": "test", "rows": 100, "value": 0.9,
    }  # fmt: skip
    return Evaluation(evaluation_id, metric=metric, **{**values, **fields})


@pytest.mark.parametrize("table", PUBLIC)
def test_the_columns_that_are_public_come_first(store, table):
    assert store.frame(f"FROM {table}").columns.tolist()[: len(PUBLIC[table])] == PUBLIC[table]


def test_evaluations_have_every_field_as_a_column(store):
    assert store.frame("FROM evaluations").columns.tolist() == list(Evaluation.__slots__)


def test_columns_are_asked_for_behind_their_table_whatever_words_sql_keeps(store):
    for table in (*PUBLIC, "evaluations"):
        columns = store.frame(f"FROM {table}").columns
        assert store.frame(f"SELECT {', '.join(f't.{column}' for column in columns)} FROM {table} t").empty


# There and back


def test_an_assertion_comes_back_as_the_same_record(store, journal):
    made = rule(
        execution_id="e1",
        imports=("import numpy as np", "from math import sqrt"),
        constants={"LIMIT": 2.5, "names": ["a", None, True], "é\u0000": {"deep": [1, 2.0]}},
        portable=False,
        obstacle="model is a RandomForestClassifier",
    )
    journal.asserted(made)
    assert store.assertions() == [made]


def test_a_result_comes_back_as_the_same_record(store, journal):
    worst = ({"row": 7, "severity": 1.0, "inputs": {"size": 3.5, "word": "é😀", "none": None}, "output": [0.25, 0.75]},)
    made = result(worst=worst, execution_id="e1", seconds=0.25, endpoint_id="p1")
    journal.checked(made)
    assert store.assertion_results() == [made]


def test_a_result_without_an_answer_comes_back_as_the_same_record(store, journal):
    made = result(fired=0, severity_max=None, error="KeyError: size (line 2 of the rule)")
    journal.checked(made)
    assert store.assertion_results() == [made]


def test_all_rows_of_a_comparison_travel_in_one_event(store, journal):
    made = [
        drift(),
        drift(method="psi", p_value=None, q_value=0.5, note="12 rows left out"),
        drift(column_name="sex", method="chi_square", reference_version="e1.a", current_version="e2.b"),
        drift(column_name=None, method="domain_classifier", execution_id="e1", drifted=None, statistic=None),
    ]
    journal.drifted(made)
    assert len(journal.path.read_bytes().splitlines()) == 1
    assert store.drifts() == made


def test_all_statistics_of_an_evaluation_travel_in_one_event(store, journal):
    made = [
        evaluation("accuracy", low=0.8, high=0.95),
        evaluation("roc_auc", value=None),
        evaluation("roc_auc", by="sex", group="f"),
        evaluation("roc_auc", by="sex", group="m"),
        evaluation("accuracy", part="train"),
    ]
    journal.evaluated(made)
    assert len(journal.path.read_bytes().splitlines()) == 1
    assert sorted(store.evaluations(), key=made.index) == made


def test_a_comparison_without_rows_is_no_row(store, journal):
    journal.drifted([])
    journal.evaluated([])
    assert store.drifts() == store.evaluations() == []


# Which rows are the same row


@pytest.mark.parametrize("synced", [True, False], ids=["read between", "read at once"])
def test_what_is_written_again_under_its_key_takes_the_place(store, journal, synced):
    for value in (1, 2):
        journal.asserted(rule(action=("monitor", "stop")[value - 1]))
        journal.checked(result(fired=value, data_version=None))
        journal.drifted([drift(column_name=None, statistic=value)])
        journal.evaluated([evaluation(value=value), evaluation(by="sex", group="f", value=value)])
        if synced:
            store.sync()
    assert [row.action for row in store.assertions()] == ["stop"]
    assert [row.fired for row in store.assertion_results()] == [2]
    assert [row.statistic for row in store.drifts()] == [2]
    assert [row.value for row in store.evaluations()] == [2, 2]


def test_results_at_other_times_and_on_other_data_stand_beside_each_other(store, journal):
    for fields in ({}, {"at": AT + 2}, {"data_version": None}, {"model_version": "e2.model"}):
        journal.checked(result(**fields))
    store.sync()
    journal.checked(result("a2"))
    assert len(store.assertion_results()) == 5


def test_a_rule_defined_again_is_another_row(store, journal):
    journal.asserted(rule("a2", created_at=AT + 5))
    journal.asserted(rule("a1"))
    assert [row.assertion_id for row in store.assertions()] == ["a1", "a2"]


# Questions


def test_results_come_oldest_first_and_by_name(store, journal):
    journal.checked(result("a2", at=AT + 9, name="other"))
    journal.checked(result("a1", at=AT + 8))
    journal.checked(result("a1", at=AT + 7))
    assert [row.at for row in store.assertion_results()] == [AT + 7, AT + 8, AT + 9]
    assert [row.at for row in store.assertion_results("small")] == [AT + 7, AT + 8]
    assert store.assertion_results("nobody") == []


def test_worst_rows_can_be_left_to_the_last_result_of_each_rule(store, journal):
    rows = ({"row": 1, "severity": 1.0, "inputs": {}, "output": 0},)
    for at, name in enumerate(("small", "small", "other")):
        journal.checked(result(at=AT + at, name=name, worst=rows))
    assert [row.worst for row in store.assertion_results(every_row=False)] == [(), rows, rows]


def test_drifts_come_by_comparison_with_the_joint_ones_last(store, journal):
    journal.drifted([drift("d2", None, "domain_classifier", at=AT + 1), drift("d2", "a", at=AT + 1)])
    journal.drifted([drift("d1", "b"), drift("d1", "a")])
    assert [(row.drift_id, row.column_name) for row in store.drifts()] == [
        ("d1", "a"), ("d1", "b"), ("d2", "a"), ("d2", None),
    ]  # fmt: skip
    assert [row.column_name for row in store.drifts("d2")] == ["a", None]


def test_one_join_leads_from_a_verdict_to_the_cell_that_made_the_model(store, journal, cell):
    journal.observed(cell("e1", writes=("model", "X"), source="model = fit(X)"))
    journal.checked(result())
    journal.drifted([drift(current_version="e1.X")])
    journal.evaluated([evaluation()])
    asked = "JOIN versions v ON v.version_id = r.{} JOIN executions e ON e.execution_id = v.execution_id"
    for table, about in (
        ("assertion_results", "model_version"),
        ("drifts", "current_version"),
        ("evaluations", "model_version"),
    ):
        found = store.frame(f"SELECT e.source FROM {table} r {asked.format(about)}")
        assert found.source.tolist() == ["model = fit(X)"]


def test_the_worst_rows_can_be_asked_for_in_sql(store, journal):
    journal.checked(result(worst=({"row": 7, "severity": 1.0, "inputs": {"mean size": 3.5}, "output": 1},)))
    found = store.frame("""
        SELECT w->>'row' AS row, w->'inputs'->>'mean size' AS size
        FROM (SELECT unnest(worst::JSON[]) AS w FROM assertion_results)
    """)
    assert found.values.tolist() == [["7", "3.5"]]


# Odd values, other writers


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_come_back_as_floats(store, journal, value):
    journal.checked(result(severity_max=value))
    journal.drifted([drift(statistic=value)])
    journal.evaluated([evaluation(value=value)])
    found = [store.assertion_results()[0].severity_max, store.drifts()[0].statistic, store.evaluations()[0].value]
    assert found == pytest.approx([value] * 3, nan_ok=True)


@pytest.mark.parametrize(
    "line",
    [
        {"event": "assertion", "assertion": {"assertion_id": "a1"}},
        {
            "event": "assertion",
            "assertion": {"assertion_id": "a1", "imports": 5, "constants": [1], "created_at": "NaN"},
        },
        {"event": "assertion_result", "result": {"assertion_id": "a1"}},
        {"event": "assertion_result", "result": {"assertion_id": "a1", "worst": {"row": 1}, "at": "NaN", "rows": 2.5}},
        {"event": "drift", "drifts": [{"drift_id": "d1"}]},
        {"event": "evaluation", "evaluations": [{"evaluation_id": "v1", "rows": "many"}]},
    ],
    ids=lambda line: line["event"],
)
def test_a_verdict_that_holds_something_else_keeps_nothing_else_out(store, journal, cell, line):
    journal.observed(cell("e1"))
    with journal.path.open("ab") as file:
        file.write(json.dumps({"v": 1, **line}).encode() + b"\n")
    journal.observed(cell("e2"))
    assert [row.execution_id for row in store.history().executions] == ["e1", "e2"]
    found = [*store.assertions(), *store.assertion_results(), *store.drifts(), *store.evaluations()]
    assert len(found) == 1
    assert [(row.imports, row.constants) for row in store.assertions()] in ([], [((), {})])
    assert [row.worst for row in store.assertion_results()] in ([], [()])


@pytest.mark.parametrize(
    "event",
    [
        {"event": "assertion", "assertion": {"name": "small"}},
        {"event": "assertion_result", "result": 5},
        {"event": "drift", "drifts": 5},
        {"event": "evaluation", "evaluations": [5]},
    ],
    ids=lambda event: event["event"],
)
def test_an_event_without_its_records_is_dropped_with_a_warning(store, journal, cell, event):
    journal.observed(cell("e1"))
    with journal.path.open("ab") as file:
        file.write(json.dumps({"v": 1, **event}).encode() + b"\n")
    with pytest.warns(RuntimeWarning, match="1 damaged line"):
        assert [row.execution_id for row in store.history().executions] == ["e1"]


def test_a_store_built_anew_has_the_same_verdicts(store, journal, project):
    for change in range(2):
        journal.asserted(rule(created_at=AT + change))
        journal.checked(result(worst=({"row": 1, "severity": 1.0, "inputs": {}, "output": 0},)))
        journal.drifted([drift(), drift(column_name=None, method="domain_classifier")])
        journal.evaluated([evaluation(), evaluation(by="sex", group="f")])
        store.sync()
    found = store.assertions(), store.assertion_results(), store.drifts(), store.evaluations()
    store.close()
    (project / "lineage.duckdb").unlink()
    anew = Store(project)
    assert (anew.assertions(), anew.assertion_results(), anew.drifts(), anew.evaluations()) == found
    anew.close()


def test_a_journal_of_the_release_before_is_read_beside_one_of_now(store, project):
    (project / "journal").mkdir(parents=True)
    (project / "journal" / "s0.jsonl").write_bytes(OLD_LINE)
    journal = Journal(project / "journal", "s1")
    journal.checked(result())
    assert [row.execution_id for row in store.history().executions] == ["e1"]
    assert store.assertion_results() == [result()]
    journal.close()
