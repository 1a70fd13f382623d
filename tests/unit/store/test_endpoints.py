"""Bundles, endpoints and predictions on their way: events in, rows and the same records out; and journals that go."""

import json
import math

import duckdb
import pytest

from mlmagic.journal import Journal, events
from mlmagic.journal.rotating import RotatingJournal
from mlmagic.records import AssertionResult, Bundle, Drift, Endpoint, Prediction, Predictions
from mlmagic.store import Store, ingest

AT = 1_700_000_000.25
PUBLIC = {
    "bundles": ["bundle_id", "name", "path", "model_version", "created_at", "parity"],
    "endpoints": ["endpoint_id", "bundle_id", "url", "started_at", "ended_at"],
    "predictions": [
        "endpoint_id", "bundle_id", "request_id", "row", "at", "inputs", "outputs", "seconds", "batch_size", "feedback",
    ],
}  # fmt: skip


def bundle(bundle_id: str = "b1", **fields) -> Bundle:
    values = {"name": "churn", "path": "/p/churn/1", "model_version": "e1.model", "created_at": AT, "parity": {"n": 1}}
    return Bundle(bundle_id, **{**values, **fields})


def endpoint(endpoint_id: str = "p1", **fields) -> Endpoint:
    values = {"bundle_id": "b1", "url": "http://127.0.0.1:1", "started_at": AT, "name": "churn", "pid": 7}
    return Endpoint(endpoint_id, **{**values, **fields})


def scored(ages: list, endpoint_id: str = "p1", **fields) -> Predictions:
    values = {
        "bundle_id": "b1",
        "spans": (("r1", 0, len(ages), AT, 0.002, 8),),
        "inputs": {"age": ages},
        "outputs": {"label": ["no"] * len(ages)},
    }
    return Predictions(endpoint_id, **{**values, **fields})


@pytest.mark.parametrize("table", PUBLIC)
def test_the_columns_that_are_public_come_first(store, table):
    assert store.frame(f"FROM {table}").columns.tolist()[: len(PUBLIC[table])] == PUBLIC[table]


# There and back


def test_a_bundle_comes_back_as_the_same_record(store, journal):
    made = bundle(parity={"rows": 100, "largest": 1e-6, "é": [None]}, model="model", version="0a1b", execution_id="e2")
    journal.exported(made)
    assert store.bundles() == [made]


def test_an_endpoint_comes_back_as_it_ended(store, journal):
    journal.served(endpoint())
    assert store.endpoints() == [endpoint()]
    journal.served(endpoint(ended_at=AT + 60, session_id="s1"))
    assert store.endpoints() == [endpoint(ended_at=AT + 60, session_id="s1")]


def test_rows_that_travel_by_column_come_back_one_by_one(store, journal):
    journal.predicted(
        scored(
            [30, None, 50.5],
            spans=(("r1", 4, 2, AT, 0.002, 8), ("r2", 0, 1, AT + 1, 0.003, 1)),
            outputs={"label": ["no", "no", "yes"], "probabilities": [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]},
        )
    )
    assert store.predictions("p1", 10) == [
        Prediction("p1", "b1", "r2", 0, AT + 1, {"age": 50.5}, {"label": "yes", "probabilities": [0.3, 0.7]}, 0.003, 1),
        Prediction("p1", "b1", "r1", 5, AT, {"age": None}, {"label": "no", "probabilities": [0.8, 0.2]}, 0.002, 8),
        Prediction("p1", "b1", "r1", 4, AT, {"age": 30}, {"label": "no", "probabilities": [0.9, 0.1]}, 0.002, 8),
    ]
    assert store.predictions("p1", 1)[0].request_id == "r2"
    assert store.predictions("p2", 10) == []


def test_requests_of_the_same_id_are_all_kept(store, journal):
    for _ in range(2):
        journal.predicted(scored([1]))
        store.sync()
    journal.predicted(scored([1]))
    assert len(store.predictions("p1", 10)) == 3


def test_inputs_and_outputs_can_be_asked_for_in_sql(store, journal):
    journal.predicted(scored([30, 95], outputs={"probabilities": [[0.75, 0.25], [0.25, 0.75]]}))
    found = store.frame(
        "SELECT (inputs->>'age')::INT AS age, (outputs->'probabilities'->>1)::DOUBLE AS p FROM predictions"
    )
    assert found.values.tolist() == [[30, 0.25], [95, 0.75]]


def test_odd_names_and_values_survive(store, journal):
    journal.predicted(scored([1], inputs={'é "x"\n': ["\u0000\udc80😀"], "r": [[1, [2]]], "at": [{"shape": [2]}]}))
    (row,) = store.predictions("p1", 1)
    assert row.inputs['é "x"\n'].startswith("\u0000")
    assert (row.inputs["r"], row.inputs["at"]) == ([1, [2]], {"shape": [2]})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_do_no_harm(store, journal, value):
    journal.predicted(scored([value]))
    (row,) = store.predictions("p1", 1)
    assert float(row.inputs["age"]) == pytest.approx(value, nan_ok=True)


def test_a_model_without_columns_has_rows_all_the_same(store, journal):
    journal.predicted(scored([1, 2], inputs={}))
    assert [row.inputs for row in store.predictions("p1", 9)] == [{}, {}]


# The joins


def test_one_join_leads_from_a_prediction_to_the_cell_that_made_the_model(store, journal, project, cell):
    journal.observed(cell("e1", writes=("model",), source="model = fit(X)"))
    journal.exported(bundle())
    other = Journal(project / "journal", "p1.000000")
    other.predicted(scored([30, 31]))
    other.close()
    found = store.frame("""
        SELECT p.request_id, p.row, e.source FROM predictions p
        JOIN bundles b USING (bundle_id)
        JOIN versions v ON v.version_id = b.model_version
        JOIN executions e ON e.execution_id = v.execution_id ORDER BY p.row
    """)
    assert found.values.tolist() == [["r1", 0, "model = fit(X)"], ["r1", 1, "model = fit(X)"]]


def test_what_a_log_comes_to_is_told_by_endpoint(store, journal):
    journal.predicted(scored([1, 2], spans=(("r1", 0, 1, AT, 0.001, 1), ("r2", 0, 1, AT + 2, 0.003, 3))))
    journal.predicted(scored([3], "p2"))
    found = store.logged()
    assert set(found) == {"p1", "p2"}
    assert found["p1"] == {
        "rows": 2, "requests": 2, "first": AT, "last": AT + 2, "p50": pytest.approx(0.002),
        "p99": pytest.approx(0.003, rel=0.02), "batch_mean": 2.0, "batch_max": 3,
    }  # fmt: skip


def test_results_of_a_rule_are_summed_by_endpoint(store, journal):
    for at, rows, fired, error in ((0, 100, 2, None), (1, 50, 0, "KeyError: a"), (2, 100, 3, None)):
        journal.checked(AssertionResult("a1", AT + at, None, None, "p1", rows, fired, 1.0, name="old", error=error))
    journal.checked(AssertionResult("a1", AT, "m", None, None, 10, 1, 1.0, name="old"))
    assert store.firing() == [
        {"endpoint_id": "p1", "name": "old", "rows": 250, "fired": 5, "severity_max": 1.0, "error": None}
    ]


def test_of_drift_the_last_comparison_of_each_endpoint_counts(store, journal):
    def compared(drift_id: str, at: float, current: str, *columns: str) -> None:
        journal.drifted(
            [Drift(drift_id, at, "bundle:b", current, name, "psi", 0.1, None, 0.2, False) for name in columns]
        )

    compared("d1", AT, "endpoint:p1", "a", "b")
    compared("d2", AT + 1, "endpoint:p1", "a", "b")
    compared("d3", AT, "endpoint:p2", "a")
    compared("d4", AT + 9, "today", "a")
    assert [(row.drift_id, row.column_name) for row in store.drifting()] == [("d2", "a"), ("d2", "b"), ("d3", "a")]


# Journals that go


@pytest.fixture
def rotating(project):
    made = RotatingJournal(project / "journal", endpoint(), segment_bytes=2_000, kept=2)
    yield made
    made.close()


def fill(rotating: RotatingJournal, rows: int, begin: int = 0) -> None:
    for number in range(begin, begin + rows):
        rotating.write(lambda journal, number=number: journal.predicted(scored([number])))


def segments(project) -> list[str]:
    return sorted(path.name for path in (project / "journal").glob("p1.*.jsonl"))


def test_an_endpoints_journal_is_cut_and_its_oldest_part_given_up(project, rotating, store):
    fill(rotating, 40)
    found = segments(project)
    assert len(found) == 2
    assert "p1.000000.jsonl" not in found
    assert rotating.path.name == found[-1]
    for path in (project / "journal").iterdir():
        first = events.decode(path.read_bytes().splitlines()[0])
        assert first["event"] == "endpoint"
    assert store.endpoints() == [endpoint()]


def test_rows_of_a_part_that_was_given_up_stay(project, rotating, store, journal, cell):
    journal.observed(cell("e1"))
    fill(rotating, 5)
    assert len(store.predictions("p1", 1000)) == 5
    built = (project / "lineage.duckdb").stat().st_ino
    for begin in range(5, 60, 5):
        fill(rotating, 5, begin)
        store.sync()
    assert segments(project)[0] != "p1.000000.jsonl"
    assert sorted(row.inputs["age"] for row in store.predictions("p1", 1000)) == list(range(60))
    assert (project / "lineage.duckdb").stat().st_ino == built
    assert len(store.history().executions) == 1


def test_after_a_rebuild_there_is_what_the_kept_parts_hold(project, rotating, store):
    fill(rotating, 60)
    store.sync()
    (project / "lineage.duckdb").unlink()
    found = sorted(row.inputs["age"] for row in store.predictions("p1", 1000))
    assert 0 < len(found) < 60
    assert found == list(range(60 - len(found), 60))
    assert store.endpoints() == [endpoint()]


def test_the_last_part_of_an_endpoint_that_is_deleted_takes_its_rows_along(project, rotating, store):
    fill(rotating, 3)
    rotating.close()
    assert len(store.predictions("p1", 10)) == 3
    rotating.path.unlink()
    assert store.predictions("p1", 10) == []


def test_a_sessions_journal_that_is_deleted_takes_its_rows_along_though_its_name_has_a_dot(project, store, cell):
    for name in ("s.1", "s.2.x"):
        journal = Journal(project / "journal", name)
        journal.observed(cell(f"e-{name}", session=name))
        journal.close()
    store.sync()
    (project / "journal" / "s.2.x.jsonl").unlink()
    assert [row.execution_id for row in store.history().executions] == ["e-s.1"]


def test_a_part_that_goes_while_it_is_listed_costs_nothing_else(project, rotating, store, journal, cell, monkeypatch):
    journal.observed(cell("e1"))
    fill(rotating, 20)
    oldest = project / "journal" / segments(project)[0]
    sizes = ingest._sizes

    def then_gone(folder):
        found = sizes(folder)
        oldest.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(ingest, "_sizes", then_gone)
    assert len(store.history().executions) == 1
    assert 0 < len(store.predictions("p1", 100)) < 20


def test_a_part_that_goes_while_it_is_read_costs_nothing_else(project, rotating, store, journal, cell, monkeypatch):
    journal.observed(cell("e1"))
    fill(rotating, 20)
    oldest = project / "journal" / segments(project)[0]
    pending = ingest.pending

    def then_gone(cursor, folder):
        found = pending(cursor, folder)
        oldest.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(ingest, "pending", then_gone)
    assert len(store.history().executions) == 1
    assert 0 < len(store.predictions("p1", 100)) < 20


def test_an_endpoint_that_is_watched_anew_goes_on_in_its_last_part(project, rotating):
    fill(rotating, 40)
    rotating.close()
    second = RotatingJournal(project / "journal", endpoint(), segment_bytes=2_000, kept=2)
    fill(second, 1)
    second.close()
    assert second.path.name == segments(project)[-1]
    assert int(second.path.name.split(".")[1]) >= int(rotating.path.name.split(".")[1])


def test_a_project_that_is_deleted_under_an_endpoint_is_begun_again(project, rotating, store):
    import shutil

    fill(rotating, 2)
    shutil.rmtree(project)
    fill(rotating, 1, 7)
    assert [row.inputs["age"] for row in store.predictions("p1", 9)] == [7]
    assert store.endpoints() == [endpoint()]


# Many, broken, old


def test_many_rows_go_in_by_batches_and_are_all_there(store, journal):
    for number in range(60):
        ages = list(range(number * 1000, number * 1000 + 1000))
        journal.predicted(scored(ages, inputs={"age": ages, **{f"c{at}": ages for at in range(20)}}))
    found = store.frame("SELECT count(*) AS n, count(DISTINCT inputs->>'age') AS ages FROM predictions")
    assert found.values.tolist() == [[60_000, 60_000]]


@pytest.mark.parametrize(
    "change",
    [
        {"spans": [["r1", 0, 2, AT, 0.1, 1]]},
        {"spans": [["r1", 0, "1", AT, 0.1, 1]]},
        {"spans": [["r1", 0]]},
        {"spans": None},
        {"inputs": {"age": "3"}},
        {"outputs": []},
    ],
)
def test_predictions_that_do_not_fit_together_are_a_torn_line(store, journal, change):
    journal.predicted(scored([1]))
    event = json.loads(journal.path.read_bytes())
    event["predictions"] |= change
    with journal.path.open("ab") as file:
        file.write(json.dumps(event).encode() + b"\n")
    with pytest.warns(RuntimeWarning, match="1 damaged line"):
        assert len(store.predictions("p1", 10)) == 1


def test_a_store_of_the_version_before_is_built_anew(project, store, journal):
    journal.served(endpoint())
    store.sync()
    store.close()
    with duckdb.connect(str(project / "lineage.duckdb")) as file:
        file.execute("DROP TABLE predictions")
        file.execute("UPDATE _meta SET schema_version = 4")
    again = Store(project)
    assert again.endpoints() == [endpoint()]
    assert again.predictions("p1", 1) == []
    again.close()


def test_parts_that_could_not_go_on_a_full_disk_go_with_the_next(project, rotating, monkeypatch):
    def full(self, endpoint):
        raise OSError(28, "No space left on device")

    fill(rotating, 5)
    with monkeypatch.context() as disk:
        disk.setattr(Journal, "served", full)
        with pytest.raises(OSError, match="No space"):
            fill(rotating, 40)
    fill(rotating, 40)
    assert len(segments(project)) == 2
