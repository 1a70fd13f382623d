"""What a server tells its watcher, and what becomes of it: with a real process on the other side of the pipe."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from mlmagic.serving.watch import Watch, first_rows
from mlmagic.store import Store
from tests.unit.serving.watched import MATRIX, bundle, eventually, numbers, options, people, rule


@pytest.fixture
def watching(tmp_path):
    """`watching(bundle, **options)`: a watch that logs into the project of the test, and is closed after it."""
    made = []

    def start(of, *, log=True, url="http://127.0.0.1:1", **fields) -> Watch:
        made.append(Watch(options(of, tmp_path if log else None, **fields), of, url))
        return made[-1]

    yield start
    for one in made:
        one.close(10)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.close()


def test_every_row_is_in_the_store_with_its_inputs_and_outputs(tmp_path, watching, store):
    watch = watching(bundle(tmp_path))
    watch.tell(people([30, 72.5], "r1"))
    watch.tell(people([float("nan")], "r2", first=5))
    watch.close(10)
    found = store.predictions("ep1", 10)
    assert [(row.request_id, row.row) for row in found] == [("r2", 5), ("r1", 1), ("r1", 0)]
    assert found[0].inputs == {"age": None, "city": "Oslo", "api_token": "…"}
    assert found[1].inputs == {"age": 72.5, "city": "Oslo", "api_token": "…"}
    assert found[1].outputs == {"label": "yes", "probabilities": [0.25, 0.75]}
    assert (found[2].batch_size, found[2].seconds, found[2].bundle_id) == (2, 0.002, "b1")


def test_a_watcher_that_is_told_nothing_for_a_while_is_still_there(tmp_path, watching):
    watch = watching(bundle(tmp_path))
    watch.tell(people([1]))
    eventually(lambda: watch.status()["logged"] == 1)
    time.sleep(1)  # some of its ticks
    watch.tell(people([2]))
    eventually(lambda: watch.status()["logged"] == 2)
    assert watch.status()["watcher"] == "alive"


def test_no_secret_is_written_anywhere(tmp_path, watching):
    watch = watching(bundle(tmp_path, rules=(rule(),)))
    watch.tell(people([95.0]))
    watch.close(10)
    written = b"".join(path.read_bytes() for path in (tmp_path / "journal").iterdir())
    assert b"assertion_result" in written
    assert b"abc123" not in written


def test_an_endpoint_has_its_record_from_its_start_to_its_end(tmp_path, watching, store):
    watch = watching(bundle(tmp_path), session_id="s1")
    (endpoint,) = eventually(store.endpoints)
    assert (endpoint.endpoint_id, endpoint.bundle_id, endpoint.url) == ("ep1", "b1", "http://127.0.0.1:1")
    assert (endpoint.name, endpoint.pid, endpoint.session_id) == ("churn", os.getpid(), "s1")
    assert endpoint.ended_at is None
    watch.close(10)
    (endpoint,) = store.endpoints()
    assert endpoint.ended_at >= endpoint.started_at
    assert watch.status()["watcher"] == "ended"


def test_without_a_log_nothing_is_written_and_rules_run_all_the_same(tmp_path, watching):
    watch = watching(bundle(tmp_path, rules=(rule(),)), log=False)
    watch.tell(people([30, 95]))
    watch.close(10)
    assert watch.status()["assertions"] == [{"name": "old", "rows": 2, "fired": 1, "rate": 0.5, "error": None}]
    assert watch.status()["logged"] == 0
    assert not (tmp_path / "journal").exists()


def test_rows_beyond_the_budget_are_counted_and_not_looked_at(tmp_path, watching, store):
    watch = watching(bundle(tmp_path, MATRIX), log_rows=10)
    watch.tell(numbers(np.arange(500).reshape(250, 2)))
    watch.close(10)
    assert {name: watch.status()[name] for name in ("rows", "logged", "unlogged")} == {
        "rows": 250,
        "logged": 100,
        "unlogged": 150,
    }
    found = store.predictions("ep1", 200)
    assert [row.inputs["a"] for row in reversed(found)] == [2.0 * n for n in range(100)]
    assert {row.batch_size for row in found} == {250}


def test_of_large_rows_only_as_many_are_looked_at_as_are_light_enough(tmp_path, watching):
    watch = watching(bundle(tmp_path, MATRIX), log=False)
    large = np.zeros((64, 1 << 16), dtype=np.float32)  # not what the model takes: what is put aside is weighed before
    answered = numbers(np.zeros((64, 2)))
    watch.tell(type(answered)(answered.at, 0.0, answered.requests, {"X": large}, answered.answers))
    assert 1 <= 64 - watch.status()["unlogged"] < 64


def test_nothing_is_looked_at_where_nothing_may_be(tmp_path, watching):
    watch = watching(bundle(tmp_path, MATRIX), log_rows=0)
    watch.tell(numbers(np.zeros((5, 2))))
    assert (watch.status()["watcher"], watch.status()["unlogged"]) == ("off", 5)


def test_a_watcher_that_is_killed_is_started_again_once_and_said_to_be(tmp_path, watching, store):
    watch = watching(bundle(tmp_path))
    watch.tell(people([1], "r1"))
    eventually(lambda: watch.status()["logged"])
    watch._process.kill()
    eventually(lambda: "started again" in watch.status()["watcher"])
    assert "killed by signal 9" in watch.status()["watcher"]
    watch.tell(people([2], "r2"))
    eventually(lambda: watch.status()["logged"] == 2)
    assert [row.request_id for row in store.predictions("ep1", 10)] == ["r2", "r1"]
    watch._process.kill()
    eventually(lambda: watch.status()["watcher"].startswith("the watcher ended by itself"))
    watch.tell(people([3, 4], "r3"))
    eventually(lambda: watch.status()["unlogged"] == 2)
    assert len(store.endpoints()) == 1


def test_a_watcher_that_stands_still_costs_rows_of_the_log_and_no_time(tmp_path, watching):
    watch = watching(bundle(tmp_path, MATRIX), log_rows=1000)
    eventually(lambda: watch._process is not None)
    os.kill(watch._process.pid, signal.SIGSTOP)
    rows = numbers(np.zeros((100, 2)))
    for _ in range(40):
        watch.tell(rows)
        time.sleep(0.1)
        if watch.status()["unlogged"]:
            break
    waiting = watch._taken - watch._sent - watch._lost
    os.kill(watch._process.pid, signal.SIGCONT)
    assert waiting <= 2100
    eventually(lambda: watch._sent + watch._lost == watch._taken)


def test_closing_ends_a_watcher_that_does_not_answer(tmp_path, watching):
    watch = watching(bundle(tmp_path), log=False)
    eventually(lambda: watch._process is not None)
    os.kill(watch._process.pid, signal.SIGSTOP)
    watch.close(0.5)
    assert watch._process.wait(10) == -signal.SIGKILL
    assert "killed by signal 9" in watch.status()["watcher"]


def test_a_killed_server_takes_its_watcher_along_and_its_end_is_unknown(tmp_path, store):
    bundle(tmp_path)
    script = f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(os.getcwd())!r})
        from tests.unit.serving.watched import bundle, options, people
        from mlmagic.serving.watch import Watch
        made = bundle(Path({str(tmp_path)!r}))
        watch = Watch(options(made, Path({str(tmp_path)!r})), made, "http://127.0.0.1:1")
        watch.tell(people([1.0]))
        while not watch.status()["logged"]:
            time.sleep(0.05)
        print(watch._process.pid, flush=True)
        time.sleep(600)
    """
    server = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    with server:
        watcher = int(server.stdout.readline())
        server.kill()
    eventually(lambda: not _is_running(watcher))
    (endpoint,) = store.endpoints()
    assert endpoint.ended_at is None
    assert len(store.predictions("ep1", 10)) == 1


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # whoever adopts it may not have asked for it yet
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_the_first_rows_of_a_batch_belong_to_its_first_requests():
    answered = numbers(np.arange(10).reshape(5, 2))
    answered = type(answered)(
        answered.at, 0.0, (("r1", 0, 2), ("r2", 7, 2), ("r3", 0, 1)), answered.feeds, answered.answers
    )
    kept = first_rows(answered, 3)
    assert kept.requests == (("r1", 0, 2), ("r2", 7, 1))
    assert kept.feeds["X"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert kept.answers["prediction"].tolist() == [1, 5, 9]
    assert kept.feeds["X"].base is None


@pytest.mark.parametrize("missing", [("sklearn", "IPython", "duckdb", "pandas", "anywidget", "scipy")])
def test_a_watcher_without_rules_needs_none_of_the_notebooks_packages(tmp_path, missing):
    code = f"""
        import sys
        for name in {missing!r}:
            sys.modules[name] = None
        sys.path.insert(0, {str(os.getcwd())!r})
        from pathlib import Path
        from tests.unit.serving.watched import bundle, options, people
        from mlmagic.serving.watcher import Watching
        folder = Path({str(tmp_path)!r})
        made = bundle(folder, reference={{"age": [float(n) for n in range(300)]}})
        watching = Watching(options(made, folder), made, "", 1, 0.0)
        watching.take([(300, people([float(n) for n in range(300)]))])
        watching.end(1.0)
        word = watching.word()
        print(word["logged"], word["drift"]["note"] or word["drift"]["verdict"])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("300 ")
