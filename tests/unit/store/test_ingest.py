import pytest

from mlmagic.records import Amendment
from mlmagic.store import ingest
from mlmagic.store.schema import TABLES


def test_a_line_is_in_the_tables_once_however_often_it_is_asked_for(store, journal, cell):
    journal.observed(cell("e1", metrics=(("auc", 0.5),)))
    for _ in range(3):
        store.sync()
    journal.observed(cell("e2"))
    store.sync()
    counts = {name: store.frame(f"SELECT count(*) AS n FROM {name}").n[0] for name in TABLES}
    assert counts == {
        "sessions": 0,
        "executions": 2,
        "versions": 2,
        "reads": 0,
        "reuses": 0,
        "writes": 2,
        "params": 0,
        "metrics": 1,
        "sweeps": 0,
        "trials": 0,
        "assertions": 0,
        "assertion_results": 0,
        "drifts": 0,
        "evaluations": 0,
        "bundles": 0,
        "endpoints": 0,
        "predictions": 0,
    }


def test_a_torn_line_is_warned_of_once_and_its_neighbours_stay(store, journal, cell):
    journal.observed(cell("e1"))
    with journal.path.open("ab") as file:
        file.write(b'{"v":1,"event":"observation","execution":{"exec\n')
    journal.observed(cell("e2"))
    with pytest.warns(RuntimeWarning, match=r"^1 damaged line\(s\) of the journal were dropped \(s1\.jsonl\)$"):
        store.sync()
    assert [e.execution_id for e in store.history().executions] == ["e1", "e2"]


def test_a_torn_end_opens_no_writing_window(store, journal, project, cell):
    journal.observed(cell("e1"))
    store.sync()
    written = (project / "lineage.duckdb").stat().st_mtime_ns
    with journal.path.open("ab") as file:
        file.write(b'{"v":1,"event"')
    store.sync()
    store.sync()
    assert (project / "lineage.duckdb").stat().st_mtime_ns == written


def test_big_journals_go_in_by_batches(store, journal, cell, monkeypatch):
    monkeypatch.setattr(ingest, "_BATCH", 2000)
    for number in range(50):
        journal.observed(cell(f"e{number:03}"))
        if number % 10 == 0:
            amended = cell(f"e{number // 2:03}", writes=("x", "late"))
            journal.amended(Amendment(amended.versions, amended.writes))
    history = store.history()
    assert len(history.executions) == 50
    assert len(history.versions) == len(history.writes) == 55


def test_rows_of_an_interrupted_reading_are_not_there_by_halves(store, journal, cell, monkeypatch):
    journal.observed(cell("e1"))
    store.sync()
    journal.observed(cell("e2"))
    write = ingest._Batch.write

    def interrupted(self, cursor):
        write(self, cursor)
        raise KeyboardInterrupt

    monkeypatch.setattr(ingest._Batch, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.sync()
    monkeypatch.undo()
    assert [w.version_id for w in store.history().writes] == ["e1.x", "e2.x"]


def test_values_of_another_type_than_the_column_are_null_not_an_error(store, journal, cell):
    journal.observed(cell("e1", peak_bytes="much", execution_count=1.0))
    (execution,) = store.history().executions
    assert execution.peak_bytes is None
    assert execution.execution_count == 1
