import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from mlmagic.journal import Journal
from mlmagic.records import Amendment, History, Observation, Version, Write

REPOSITORY = Path(__file__).parents[3]


def test_what_was_journaled_comes_back_as_the_same_records(store, journal, cell, session):
    cells = [
        cell("e1", name="load", tags={"stage": "raw"}, write_lines=(2, 5), tracking_seconds=0.01),
        cell("e2", writes=("y", "z"), reads=("e1.x",), status="error", error="ValueError: no", error_line=3),
    ]
    journal.session_started(session())
    for observation in cells:
        journal.observed(observation)
    assert store.history() == History(
        executions=tuple(c.execution for c in cells),
        versions=tuple(v for c in cells for v in c.versions),
        reads=tuple(r for c in cells for r in c.reads),
        writes=tuple(w for c in cells for w in c.writes),
    )


def test_a_session_sees_its_own_rows_and_the_versions_it_read(store, project, cell):
    first, second = (Journal(project / "journal", name) for name in ("s1", "s2"))
    first.observed(cell("e1", writes=("x", "unread")))
    second.observed(cell("e2", session="s2", writes=("y",), reads=("e1.x",)))
    history = store.history("s2")
    assert [e.execution_id for e in history.executions] == ["e2"]
    assert [v.version_id for v in history.versions] == ["e1.x", "e2.y"]
    assert [e.execution_id for e in store.history().executions] == ["e1", "e2"]
    first.close()
    second.close()


def test_sessions_come_newest_last_with_their_end(store, project, session):
    later, earlier = Journal(project / "journal", "a"), Journal(project / "journal", "b")
    later.session_started(session("a", started_at=20.0))
    earlier.session_started(session("b", started_at=10.0))
    store.sync()
    earlier.session_ended("b", 30.5)
    found = store.sessions()
    assert [s.session_id for s in found] == ["b", "a"]
    assert [s.ended_at for s in found] == [30.5, None]
    assert found[1] == session("a", started_at=20.0)
    later.close()
    earlier.close()


def test_an_amendment_fills_in_what_came_late(store, journal, cell):
    done = cell("e1", writes=("x", "y"))
    unfinished = Version("e1.x", "variable", "x", "e1", None)
    journal.observed(Observation(done.execution, (unfinished,), writes=(Write("e1", "e1.x", "bind"),)))
    store.sync()
    journal.amended(Amendment(done.versions, (Write("e1", "e1.x", "mutate"), Write("e1", "e1.y", "bind"))))
    history = store.history()
    assert history.versions == done.versions
    assert [write.how for write in history.writes] == ["mutate", "bind"]
    assert history.executions == (done.execution,)


def test_an_amendment_in_the_same_reading_counts_as_well(store, journal, cell):
    done = cell("e1")
    journal.observed(Observation(done.execution, (Version("e1.x", "variable", "x", "e1", None),), writes=done.writes))
    journal.amended(Amendment(done.versions, ()))
    assert store.history().versions == done.versions
    assert store.history().writes == done.writes


def test_an_observation_written_twice_counts_once(store, journal, cell):
    for _ in range(2):
        journal.observed(cell("e1", metrics=(("auc", 0.5), ("loss", 0.1))))
        store.sync()
    assert len(store.history().executions) == 1
    assert len(store.frame("FROM metrics")) == 2


def test_status_counts_the_cells_of_one_session(store, journal, project, cell):
    other = Journal(project / "journal", "s2")
    journal.observed(cell("e0", name="before", execution_count=None, seconds=9.0))
    journal.observed(cell("e1", seconds=1.0, tracking_seconds=0.25))
    journal.observed(cell("e2", seconds=2.0, tracking_seconds=0.25))
    other.observed(cell("e3", session="s2", seconds=4.0))
    assert store.status("s1") == {"cells_tracked": 2, "seconds": 3.0, "tracking_seconds": 0.5}
    assert store.status("nobody") == {"cells_tracked": 0, "seconds": 0.0, "tracking_seconds": 0.0}
    other.close()


def test_odd_values_survive_the_way(store, journal, cell):
    metrics = (("nan", math.nan), ("inf", math.inf), ("text", None, "relu"), ("big", 1e300))
    journal.observed(cell("e1", source="a = '\udc80\u0000é😀'\n", metrics=metrics))
    (execution,) = store.history().executions
    assert execution.source == "a = '\ufffd\u0000é😀'\n"
    found = {row.name: row for row in store.frame("FROM metrics").itertuples()}
    assert math.isnan(found["nan"].value)
    assert found["inf"].value == math.inf
    assert found["big"].value == 1e300
    assert found["text"].text == "relu"


def test_files_and_lineage_are_views_over_reads_and_writes(store, journal, cell):
    journal.observed(cell("e1", writes=("out.csv",), kind="file"))
    journal.observed(cell("e2", writes=("df", "n"), reads=("e1.out.csv",), cell_id="load"))
    files = store.frame("SELECT * FROM files ORDER BY mode")
    assert files.columns.tolist() == ["execution_id", "path", "mode", "fingerprint", "nbytes"]
    assert files.values.tolist() == [
        ["e2", "out.csv", "r", "f-out.csv", 28],
        ["e1", "out.csv", "w", "f-out.csv", 28],
    ]
    lineage = store.frame("SELECT * FROM lineage ORDER BY child_name")
    assert lineage.values.tolist() == [
        ["e2.df", "df", "e1.out.csv", "out.csv", "e2", "load"],
        ["e2.n", "n", "e1.out.csv", "out.csv", "e2", "load"],
    ]


def test_after_a_sync_plain_duckdb_sees_every_cell(store, journal, project, cell, session):
    journal.session_started(session())
    journal.observed(cell("e1", reads=("v0",)))
    store.sync()
    assert not (project / "lineage.duckdb.wal").exists()
    with duckdb.connect(str(project / "lineage.duckdb"), read_only=True) as plain:
        assert plain.execute("SELECT execution_id, epoch(started_at) FROM executions").fetchall() == [
            ("e1", 1_700_000_000.25)
        ]
        assert plain.execute("SELECT environment->>'numpy' FROM sessions").fetchall() == [("2.4.6",)]
        assert plain.execute("FROM lineage").fetchall() == []


def test_an_empty_project_has_an_empty_history(store):
    assert store.history() == History((), (), (), ())
    assert store.sessions() == []


def test_a_deleted_project_takes_its_rows_along(store, journal, project, cell):
    journal.observed(cell("e1"))
    assert len(store.history().executions) == 1
    journal.path.unlink()
    assert store.history().executions == ()


@pytest.mark.parametrize("again", [["e2"], ["e2", "e3", "e4"]], ids=["shorter", "longer"])
def test_a_journal_that_was_written_anew_replaces_its_old_rows(store, journal, cell, again):
    journal.observed(cell("e0"))
    journal.observed(cell("e1"))
    store.sync()
    journal.path.unlink()
    for name in again:
        journal.observed(cell(name))
    assert [e.execution_id for e in store.history().executions] == again


def test_a_closed_store_answers_again_when_asked(store, journal, cell):
    journal.observed(cell("e1"))
    store.sync()
    store.close()
    store.close()
    assert len(store.history().executions) == 1


def test_closing_gives_threads_and_files_back(project, journal, cell):
    from mlmagic.store import Store

    journal.observed(cell("e1"))
    journal.close()
    before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    store = Store(project)
    store.sync()
    store.close()
    assert (len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))) <= before


def test_threads_may_ask_at_once(store, journal, cell):
    counts: list[int] = []

    def ask():
        for number in range(5):
            journal.observed(cell(f"e{threading.get_ident()}-{number}"))
            counts.append(len(store.history().executions))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 20
    assert len(store.history().executions) == 20


def test_two_stores_of_one_process_share_the_file(project, journal, cell):
    from mlmagic.store import Store

    one, two = Store(project), Store(project)
    journal.observed(cell("e1"))
    assert one.history() == two.history()
    journal.observed(cell("e2"))
    assert two.history() == one.history()
    one.close()
    two.close()


def test_neither_pandas_nor_arrow_is_needed_to_bring_the_database_up_to_date(journal, project, cell):
    journal.observed(cell("e1"))
    code = f"""
import pathlib, sys
sys.modules.update(dict.fromkeys(["pandas", "pyarrow", "polars"]))
from mlmagic.store import Store
store = Store(pathlib.Path({str(project)!r}))
store.sync()
print(len(store.history().executions))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_a_child_forked_after_a_question_exits_in_peace(journal, project, cell):
    journal.observed(cell("e1"))
    code = f"""
import os, pathlib, sys
from mlmagic.store import Store
store = Store(pathlib.Path({str(project)!r}))
store.sync()
child = os.fork()
if child == 0:
    assert len(store.history().executions) == 1
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(store.history().executions))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=30)
    assert done.stdout == "7 1\n", done.stderr
