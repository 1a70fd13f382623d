"""Sweeps and trials on their way: events in, rows and the same records out."""

import json
import math

import pytest

from mlmagic.journal import Journal
from mlmagic.records import Measure
from mlmagic.store import Store

PUBLIC = {
    "sweeps": ["sweep_id", "execution_id", "name", "space", "objective", "direction", "status"],
    "trials": ["trial_id", "sweep_id", "number", "params", "status", "value", "seconds", "worker", "device"],
}

# A line as the release before sweeps wrote it: neither the execution's `code` nor an event of a sweep.
OLD_LINE = (
    b'{"v":1,"event":"observation","execution":{"execution_id":"e1","session_id":"s1","cell_id":"c",'
    b'"execution_count":1,"name":null,"source":"x = 1","source_hash":"h","started_at":1700000000.25,"seconds":0.5,'
    b'"cpu_seconds":0.4,"peak_bytes":1000,"status":"ok","reused_from":null,"error":null,"error_line":null,'
    b'"tags":{},"write_lines":[],"tracking_seconds":0.001},"versions":[{"version_id":"e1.x","kind":"variable",'
    b'"name":"x","execution_id":"e1","fingerprint":"f-x","type":"int","shape":null,"nbytes":28,"preview":"1",'
    b'"artifact":null}],"reads":[],"writes":[{"execution_id":"e1","version_id":"e1.x","how":"bind"}],'
    b'"params":[],"metrics":[{"execution_id":"e1","name":"auc","value":0.5,"text":null,"trial_id":null,'
    b'"step":null}]}\n'
)


def told(trial_id: str, name: str = "auc", value: float | None = 0.5, step: int | None = None) -> Measure:
    return Measure("e1", name, value, trial_id=trial_id, step=step)


@pytest.mark.parametrize("table", PUBLIC)
def test_the_columns_that_are_public_come_first(store, table):
    assert store.frame(f"FROM {table}").columns.tolist()[: len(PUBLIC[table])] == PUBLIC[table]


def test_a_sweep_comes_back_as_the_same_record(store, journal, sweep):
    made = sweep(
        space={"lr": {"name": "lr", "kind": "float", "low": 1e-5, "high": 1.0, "labels": []}},
        seconds=12.5,
        options={"sampler": "tpe", "trials": 40, "seconds": None, "devices": ["cpu", "cuda:1"]},
        source="lr = sweep.log(1e-5, 1.0)\n",
        code_hash="c0ffee",
        inputs={"df": "f-df", "opaque": None},
        plan=({"line": 1, "text": "X = prepare(df)", "shared": True, "reason": None, "seconds": 0.25},),
    )
    journal.swept(made)
    assert store.sweeps() == [made]


def test_a_trial_comes_back_as_the_same_record(store, journal, trial):
    made = trial(
        3,
        "failed",
        params={"lr": 1e-5, "depth": 3, "half": 2.0, "act": "relu", "bias": True, "limit": None},
        value=0.25,
        seconds=1.5,
        worker=1,
        device="cuda:1",
        seed=2**62,
        error="ValueError: no",
        output="epoch 1\nepoch 2\n",
        artifact="ab12",
        kept_from="w0-3",
    )
    journal.tried(made)
    assert store.trials("w1") == [made]


def test_fields_that_nobody_filled_come_back_empty(store, journal, sweep, trial):
    journal.swept(sweep(execution_id=None))
    journal.tried(trial())
    assert store.sweeps() == [sweep(execution_id=None)]
    assert store.trials("w1") == [trial()]


@pytest.mark.parametrize("synced", [True, False], ids=["read between", "read at once"])
def test_the_last_event_of_a_sweep_and_of_a_trial_counts(store, journal, sweep, trial, synced):
    journal.swept(sweep())
    journal.tried(trial(), params=[told("w1-0", "lr", 0.1)])
    if synced:
        store.sync()
    journal.tried(trial(0, "complete", value=0.5), [told("w1-0", "lr", 0.2)], [told("w1-0")])
    journal.swept(sweep(status="finished", seconds=3.0))
    assert store.sweeps() == [sweep(status="finished", seconds=3.0)]
    assert store.trials("w1") == [trial(0, "complete", value=0.5)]
    assert store.frame("FROM params").value.tolist() == [0.2]
    assert store.frame("FROM metrics").value.tolist() == [0.5]


def test_an_end_that_a_kill_tore_leaves_what_stood_before(store, journal, sweep, trial):
    journal.swept(sweep())
    journal.tried(trial())
    whole = journal.path.stat().st_size
    journal.tried(trial(0, "complete", value=0.5), metrics=[told("w1-0")])
    journal.close()
    with journal.path.open("rb+") as file:
        file.truncate(whole + 100)
    assert store.sweeps() == [sweep()]
    assert store.trials("w1") == [trial()]
    assert store.frame("FROM metrics").empty


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_values_that_are_not_finite_come_back_as_floats(store, journal, trial, value):
    journal.tried(trial(0, "complete", value=value), metrics=[told("w1-0", "auc", value, step=0)])
    (found,), (report,) = store.trials("w1"), store.reports("w1")
    assert found.value == pytest.approx(value, nan_ok=True)
    assert report.value == pytest.approx(value, nan_ok=True)


def test_odd_text_survives_the_way(store, journal, sweep, trial):
    journal.swept(sweep(source="'\udc80\u0000é😀'", space={"é\udc80": {"labels": ["\u0000", "NaN"]}}))
    journal.tried(trial(params={"act": '"\udc80'}, output="\x1b[1m\u0000\n"))
    (found,), (tried,) = store.sweeps(), store.trials("w1")
    assert found.source == "'\ufffd\u0000é😀'"
    assert found.space == {"é\ufffd": {"labels": ["\u0000", "NaN"]}}
    assert (tried.params, tried.output) == ({"act": '"\ufffd'}, "\x1b[1m\u0000\n")


def test_trials_come_by_number_and_only_those_of_the_sweep(store, journal, trial):
    for number in (10, 2, 0):
        journal.tried(trial(number))
    journal.tried(trial(1, sweep_id="w2"))
    assert [found.number for found in store.trials("w1")] == [0, 2, 10]
    assert store.trials("nobody") == []


def test_sweeps_come_oldest_first_and_by_the_session_of_their_cell(store, project, cell, sweep):
    first, second = (Journal(project / "journal", name) for name in ("s1", "s2"))
    second.observed(cell("e2", session="s2"))
    second.swept(sweep("w1", execution_id="e2", started_at=30.0))
    first.observed(cell("e1"))
    first.swept(sweep("w3", started_at=10.0))
    first.swept(sweep("w2", started_at=10.0))
    first.swept(sweep("w4", execution_id=None, started_at=20.0))
    assert [found.sweep_id for found in store.sweeps()] == ["w2", "w3", "w4", "w1"]
    assert [found.sweep_id for found in store.sweeps("s1")] == ["w2", "w3"]
    assert [found.sweep_id for found in store.sweeps("s2")] == ["w1"]
    first.close()
    second.close()


def test_reports_are_the_metrics_with_a_step_by_trial_and_step(store, journal, trial):
    steps = [told("w1-2", "loss", 0.75, 0), told("w1-10", "auc", 0.1, 1), told("w1-10", "auc", 0.2, 20)]
    journal.tried(trial(10), metrics=[steps[2], steps[1], told("w1-10", "auc", 0.2)])
    journal.tried(trial(2), metrics=[steps[0]])
    journal.tried(trial(0, sweep_id="w2"), metrics=[told("w2-0", "auc", 0.9, 1)])
    assert store.reports("w1") == steps


def test_measures_of_trials_stand_beside_those_of_the_cell(store, journal, cell, trial):
    for number in range(2):
        name = f"w1-{number}"
        journal.tried(trial(number), [told(name, "lr", 0.1)], [told(name, step=0), told(name, step=1), told(name)])
    journal.observed(cell("e1", params=(("lr", 0.3),), metrics=(("auc", 0.9),)))
    counts = "SELECT trial_id, count(*) AS n FROM {} GROUP BY trial_id ORDER BY trial_id NULLS FIRST"
    assert store.frame(counts.format("params")).n.tolist() == [1, 1, 1]
    assert store.frame(counts.format("metrics")).n.tolist() == [1, 3, 3]


def test_a_trial_leads_to_the_versions_that_its_sweep_read(store, journal, cell, sweep, trial):
    journal.observed(cell("e0", writes=("df",)))
    journal.swept(sweep(status="finished"))
    journal.tried(trial(0, "complete", value=0.5))
    journal.observed(cell("e1", writes=(), reads=("e0.df",)))
    found = store.frame("""
        SELECT t.trial_id, t.params->>'lr' AS lr, s.name, e.source, v.name AS input
        FROM trials t JOIN sweeps s USING (sweep_id) JOIN executions e USING (execution_id)
        JOIN reads r USING (execution_id) JOIN versions v ON v.version_id = r.version_id
    """)
    assert found.values.tolist() == [["w1-0", "0.1", "mlp", "x = 1", "df"]]


def test_a_store_built_anew_has_the_same_sweeps_and_trials(store, journal, project, cell, sweep, trial):
    journal.observed(cell("e1", code="lr = 0.1"))
    for status in ("running", "finished"):
        journal.swept(sweep(status=status))
        journal.tried(trial(0, "complete", value=0.5), metrics=[told("w1-0", step=1)])
        store.sync()
    found = store.history(), store.sweeps(), store.trials("w1"), store.reports("w1")
    store.close()
    (project / "lineage.duckdb").unlink()
    anew = Store(project)
    assert (anew.history(), anew.sweeps(), anew.trials("w1"), anew.reports("w1")) == found
    anew.close()


@pytest.mark.parametrize(
    "line",
    [
        {"event": "sweep", "sweep": {"sweep_id": "w1"}},
        {"event": "sweep", "sweep": {"sweep_id": "w1", "plan": 5, "space": [1], "inputs": "x", "started_at": "NaN"}},
        {"event": "trial", "trial": {"trial_id": "t", "sweep_id": "w1", "number": 2.5, "params": 5, "seed": 2**70}},
    ],
    ids=["bare", "other kinds", "other numbers"],
)
def test_a_sweep_or_trial_that_holds_something_else_keeps_nothing_else_out(store, journal, cell, line):
    journal.observed(cell("e1"))
    with journal.path.open("ab") as file:
        file.write(json.dumps({"v": 1, **line}).encode() + b"\n")
    journal.observed(cell("e2"))
    assert [row.execution_id for row in store.history().executions] == ["e1", "e2"]
    assert len(store.sweeps()) + len(store.trials("w1")) == 1
    assert [(row.space, row.plan) for row in store.sweeps()] in ([], [({}, ())])


def test_the_code_that_stands_for_a_command_comes_back(store, journal, cell):
    journal.observed(cell("e1", source="%sweeps mlp apply", code="lr = 0.1\n"))
    journal.observed(cell("e2"))
    assert [row.code for row in store.history().executions] == ["lr = 0.1\n", None]


def test_a_journal_of_the_release_before_sweeps_is_read(store, journal, cell):
    journal.path.parent.mkdir(parents=True)
    journal.path.write_bytes(OLD_LINE)
    (execution,) = store.history().executions
    assert execution == cell("e1", tracking_seconds=0.001).execution
    assert execution.code is None
    assert store.frame("SELECT name, value FROM metrics").values.tolist() == [["auc", 0.5]]
