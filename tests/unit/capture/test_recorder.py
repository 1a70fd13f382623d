"""The recorder's life, and what happens when a recording goes wrong."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from mlmagic.capture import Cell, Outcome, Recorder
from tests.cases.notebook import Notebook, names


@pytest.fixture
def notebook(tmp_path):
    made = Notebook(tmp_path)
    yield made
    made.close()


def test_end_without_begin_is_refused(tmp_path):
    recorder = Recorder({}, tmp_path, "s")
    with pytest.raises(RuntimeError, match="without begin"):
        recorder.end(Outcome("ok"))


def test_what_is_alive_is_adopted_under_before(tmp_path):
    recorder = Recorder({"x": [1], "y": 2, "_secret": 3, "__name__": "__main__"}, tmp_path, "s")
    made = recorder.adopt("x = [1]", but=frozenset({"y"}))
    assert made.execution.name == "before"
    assert {row.name for row in made.versions if row.kind == "variable"} == {"x", "_secret"}


def test_names_left_out_at_adoption_belong_to_the_loading_cell(tmp_path):
    namespace = {"x": [1], "y": 2}
    recorder = Recorder(namespace, tmp_path, "s")
    recorder.adopt("", but=frozenset({"y"}))
    recorder.begin(Cell("y = 2", "y = 2"))
    made = recorder.end(Outcome("ok", 1))
    assert [row.name for row in made.versions if row.kind == "variable"] == ["y"]


def test_the_line_that_wrote_a_file_is_told_as_typed(tmp_path):
    recorder = Recorder({"__name__": "__main__"}, tmp_path, "s")
    recorder.start()
    code = f"x = 1\nopen({str(tmp_path / 'out.txt')!r}, 'w').close()"
    recorder.begin(Cell("\n\n" + code, code))
    exec(compile(code, "<cell>", "exec"), recorder.namespace)
    made = recorder.end(Outcome("ok", 1))
    recorder.stop()
    assert made.execution.write_lines == (4,)


def test_stopping_puts_the_seeding_functions_back(tmp_path):
    import random

    import numpy.random

    originals = random.seed, numpy.random.seed
    recorder = Recorder({}, tmp_path, "s")
    recorder.start()
    assert (random.seed, numpy.random.seed) != originals
    recorder.stop()
    assert (random.seed, numpy.random.seed) == originals


def test_two_recorders_at_once_both_see_seeding(tmp_path):
    import random

    first, second = (Recorder({"__name__": "__main__"}, tmp_path, name) for name in "ab")
    for recorder in (first, second):
        recorder.start()
        recorder.adopt("")
    second.begin(Cell("seed", "seed"))
    random.seed(4)
    random.random()
    made = second.end(Outcome("ok", 1))
    for recorder in (second, first):
        recorder.stop()
    assert [row.name for row in made.versions] == ["random"]
    assert made.reads == ()


def test_a_seeding_function_pickles_as_itself(tmp_path):
    import pickle
    import random

    original = random.seed
    recorder = Recorder({}, tmp_path, "s")
    recorder.start()
    try:
        assert random.seed is not original
        assert random.seed.__doc__ == original.__doc__
        pickle.loads(pickle.dumps(random.seed))(1)
    finally:
        recorder.stop()


def test_a_lost_recording_makes_unknown_what_the_cell_could_reach(notebook, monkeypatch):
    notebook.run("x = [1]; alias = x", "y = [2]")
    recorder = notebook.recorder
    recorder.begin(Cell("x.append(2); z = 1", "x.append(2); z = 1"))
    notebook.namespace["x"].append(2)
    notebook.namespace["z"] = 1
    monkeypatch.setattr(recorder, "_find_changes", lambda run: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        recorder.end(Outcome("ok", 3))
    lost = recorder.lost(Outcome("ok", 3))
    monkeypatch.undo()
    unknown = {row.name: row.fingerprint for row in lost.versions if row.kind == "variable"}
    assert unknown == {"x": None, "z": None}
    notebook._take(lost, 3)
    notebook.count = 3
    assert 3 in notebook.cell("x").sources


def test_a_recording_lost_halfway_writes_no_version_twice(notebook, monkeypatch):
    notebook.run("x = [1]; y = [2]")
    recorder = notebook.recorder
    recorder.begin(Cell("x.append(2); y.append(3)", "x.append(2); y.append(3)"))
    notebook.namespace["x"].append(2)
    notebook.namespace["y"].append(3)
    monkeypatch.setattr(recorder, "_find_randomness", lambda run: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        recorder.end(Outcome("ok", 2))
    lost = recorder.lost(Outcome("ok", 2))
    found = [row.name for row in lost.versions if row.kind == "variable"]
    assert sorted(found) == ["x", "y"]


def test_random_state_is_unknown_after_a_lost_recording(notebook, monkeypatch):
    notebook.run("import random\nrandom.seed(1)")
    recorder = notebook.recorder
    recorder.begin(Cell("random.random()", "random.random()"))
    notebook.namespace["random"].random()
    monkeypatch.setattr(recorder, "_find_changes", lambda run: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        recorder.end(Outcome("ok", 2))
    lost = recorder.lost(Outcome("ok", 2))
    monkeypatch.undo()
    notebook._take(lost, 2)
    notebook.count = 2
    assert 2 in notebook.cell("random.random()").sources


def test_an_abandoned_cells_names_are_found_by_the_next(notebook):
    notebook.cell("x = 1")
    recorder = notebook.recorder
    recorder.begin(Cell("y = [2]", "y = [2]"))
    notebook.namespace["y"] = [2]
    recorder.abandon()
    assert not recorder.running
    assert notebook.cell("y").reads == {("variable", "y")}


def test_a_fork_in_a_cell_leaves_the_parents_recording_alone(notebook):
    ran = notebook.cell("import os\npid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)")
    assert ran.error is None
    assert names(ran.writes) == {"os", "pid"}


def test_what_a_child_process_writes_is_the_cells(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook.cell(
        "import os\npid = os.fork()\nif pid == 0:\n    open('c.txt', 'w').write('x'); os._exit(0)\nos.waitpid(pid, 0)"
    )
    ran = notebook.cell("with open('c.txt') as f: s = f.read()")
    assert ("file", "c.txt") in ran.reads
    assert 1 in ran.sources


def test_measures_are_numbers_or_short_text(notebook):
    notebook.cell("auc = 0.9; model = object(); note = 'a'; api_key = 'secret'")
    recorder = notebook.recorder
    recorder.begin(Cell("pass", "pass", metrics=("auc", "model", "note", "api_key", "absent")))
    made = recorder.end(Outcome("ok", 2))
    assert [(row.name, row.value, row.text) for row in made.metrics] == [
        ("auc", 0.9, None),
        ("model", None, "object"),
        ("note", None, "a"),
    ]


def test_values_that_cannot_be_converted_are_no_measure_and_no_fault(notebook):
    notebook.cell("huge = 10 ** 400")
    recorder = notebook.recorder
    recorder.begin(Cell("pass", "pass", metrics=("huge",)))
    assert [row.name for row in recorder.end(Outcome("ok", 2)).metrics] == ["huge"]


def test_tracking_holds_no_object_of_the_users_alive(notebook):
    import gc
    import weakref

    notebook.cell("class Big: pass\nbig = Big(); box = [big]")
    alive = weakref.ref(notebook.namespace["big"])
    notebook.cell("del big, box")
    gc.collect()
    assert alive() is None


def test_the_audit_hook_survives_odd_arguments(notebook):
    ran = notebook.cell("import os\nfor p in (b'nothing', 99, os.devnull):\n    try: open(p)\n    except OSError: pass")
    assert ran.error is None
    assert notebook.recorder._files.failures == 0


@pytest.mark.skipif(sys.platform != "linux", reason="as seen through /proc")
def test_files_opened_by_the_kernels_own_threads_are_not_the_cells(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    go, done = threading.Event(), threading.Event()

    def housekeeping():
        go.wait(5)
        with open("history.log", "w") as file:
            file.write("x")
        done.set()

    thread = threading.Thread(target=housekeeping)
    thread.start()
    notebook.namespace.update(go=go, done=done)
    ran = notebook.cell("go.set()\nok = done.wait(5)")
    thread.join()
    assert os.path.exists("history.log")
    assert {kind for kind, _ in ran.writes} == {"variable"}


def test_what_our_own_magics_do_is_no_part_of_the_cell(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUR_OWN", "0")
    notebook.cell("import os, random")

    def ours():
        with notebook.recorder.aside():
            os.environ["OUR_OWN"] = "1"
            notebook.namespace["random"].random()
            (tmp_path / "ours.txt").write_text("x")

    notebook.namespace["ours"] = ours
    ran = notebook.cell("ours()\nwith open('mine.txt', 'w') as f: f.write('y')")
    assert set(ran.writes) - {("variable", "ours")} == {("variable", "f"), ("file", "mine.txt")}
    assert not {kind for kind, _ in ran.reads} & {"random", "environment"}


def test_a_variables_version_is_known_also_while_the_cell_that_makes_it_runs(tmp_path):
    namespace = {"__name__": "__main__", "kept": [1], "changed": [1], "bound": [1]}
    recorder = Recorder(namespace, tmp_path, "s")
    before = {row.name: row.version_id for row in recorder.adopt("").versions}
    recorder.begin(Cell("cell", "bound = new = changed; changed.append(2); kept"))
    namespace["bound"] = namespace["new"] = namespace["changed"]
    namespace["changed"].append(2)
    told = {name: recorder.version_of(name) for name in ("kept", "changed", "bound", "new", "nobody", "__name__")}
    made = {row.name: row.version_id for row in recorder.end(Outcome("ok", 1)).versions}
    assert told == {
        "kept": before["kept"], "changed": made["changed"], "bound": made["bound"], "new": made["new"],
        "nobody": None, "__name__": None,
    }  # fmt: skip
    assert {name: recorder.version_of(name) for name in ("kept", "new")} == {"kept": told["kept"], "new": told["new"]}
