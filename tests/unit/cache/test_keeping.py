"""Keeping a run and putting it in place again, without a kernel: what comes back is what was, or nothing is kept."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlmagic.cache import Cache, Finished, Keeping
from mlmagic.cache.keeping import Earlier
from mlmagic.capture import Evidence, Inputs, Obstacle
from mlmagic.fingerprint import file_fingerprint, fingerprint, signature, snapshot
from tests.unit.cache.made import present, scope

KEY = b"k" * 32
ABSENT = object()


class Notebook:
    """A namespace whose cells are kept and restored by hand."""

    def __init__(self, folder: Path, **values: Any) -> None:
        self.folder = folder
        self.cache = Cache(folder / "artifacts", folder, KEY)
        self.namespace: dict[str, Any] = dict(values)
        self.scope = scope(self.namespace)

    def snapshots(self) -> dict[str, Any]:
        return {name: snapshot(value, self.scope) for name, value in self.namespace.items()}

    def inputs(self, code: str, *names: str) -> Inputs:
        seen = {name: snapshot(self.namespace[name], self.scope) for name in names}
        values = {name: self.namespace[name] for name in names}
        return Inputs(code, {name: one.fingerprint for name, one in seen.items()}, signature(values, seen, self.scope))

    def keep(
        self,
        code: str,
        *reads: str,
        seconds: float = 9.0,
        wanted: bool = True,
        least: float | None = None,
        outputs: tuple[dict[str, Any], ...] = (),
        shown: tuple[Any, ...] = (),
        **evidence: Any,
    ) -> Keeping:
        """Run `code` and keep it, as a cell that reads `reads`."""
        inputs, before = self.inputs(code, *reads), dict(self.namespace)
        earlier = {name: Earlier(id(before[name]), seen) for name, seen in self.snapshots().items()}
        exec(code, {"np": np, "threading": threading}, self.namespace)
        hows: dict[str, Any] = {
            name: "bind" for name, value in self.namespace.items() if before.get(name, ABSENT) is not value
        }
        hows |= dict.fromkeys(before.keys() - self.namespace.keys(), "delete") | evidence.pop("hows", {})
        run = Finished(
            execution_id="e1",
            source=code,
            seconds=seconds,
            inputs=inputs,
            evidence=Evidence(hows=hows, **evidence),
            namespace=self.namespace,
            snapshots=self.snapshots(),
            renamed={name: found for name, found in earlier.items() if hows.get(name) in ("bind", "delete")},
            scope=self.scope,
            outputs=outputs,
            shown=shown,
            states={},
            seeds={},
            root=self.folder,
            setting=lambda package: "",
        )
        return self.cache.keep(run, wanted=wanted, least_seconds=least)

    def restore(self, code: str, *reads: str) -> bool:
        """Put the results of `code` in place, if a kept run fits."""
        self.shown: tuple[Any, ...] = ()
        now = present(self.folder, inputs=self.inputs(code, *reads))
        self.found = self.cache.find(now, self.namespace, self.snapshots(), self.scope)
        if self.found.prepared is None:
            return False
        self.found.prepared.place_files(self.cache.artifacts, self.folder)
        self.found.prepared.commit()
        self.shown = self.found.prepared.shown
        return True


@pytest.fixture
def book(tmp_path: Path) -> Notebook:
    return Notebook(tmp_path)


def later(book: Notebook, **values: Any) -> Notebook:
    """Another kernel of the same project."""
    return Notebook(book.folder, **values)


@pytest.mark.parametrize(
    "code",
    [
        "y = [1, {'k': (2, None)}]",
        "y = np.arange(5.0)",
        "y = 'text' * 10\nz = b'bytes'",
        "y = {1, 2}\nz = frozenset({3})",
        "y = np.arange(6).reshape(2, 3).T",
    ],
)
def test_values_come_back_as_they_were(book: Notebook, code: str) -> None:
    assert book.keep(code).trace is not None
    other = later(book)
    assert other.restore(code)
    assert {name: fingerprint(value) for name, value in other.namespace.items()} == {
        name: fingerprint(value) for name, value in book.namespace.items()
    }


def test_what_shared_parts_shares_them_again(book: Notebook) -> None:
    code = "y = [1]\nz = {'y': y}\na = np.zeros(4)\nv = a[1:]"
    book.keep(code)
    other = later(book)
    assert other.restore(code)
    assert other.namespace["z"]["y"] is other.namespace["y"]
    assert np.shares_memory(other.namespace["a"], other.namespace["v"])


def test_a_part_of_another_variable_is_the_living_part(book: Notebook) -> None:
    book.namespace["rows"] = [[1], [2]]
    book.keep("first = rows[0]", "rows")
    other = later(book, rows=[[1], [2]])
    assert other.restore("first = rows[0]", "rows")
    assert other.namespace["first"] is other.namespace["rows"][0]


def test_a_bound_method_that_another_variable_holds_is_that_one(book: Notebook) -> None:
    code = "again = [add]\nother, _ = add, 1"
    rows: list[int] = []
    book.namespace.update(rows=rows, add=rows.append)
    book.keep(code, "add", "rows")
    rows = []
    other = later(book, rows=rows, add=rows.append)
    assert other.restore(code, "add", "rows")
    assert other.namespace["other"] is other.namespace["again"][0] is other.namespace["add"]


def test_a_change_in_place_happens_in_place(book: Notebook) -> None:
    book.namespace["rows"] = [1]
    book.keep("rows.append(2)", "rows", hows={"rows": "mutate"})
    other = later(book, rows=[1])
    rows = other.namespace["rows"]
    assert other.restore("rows.append(2)", "rows")
    assert rows == [1, 2]
    assert other.namespace["rows"] is rows


def test_names_that_were_exchanged_refer_to_the_objects_that_are_there(book: Notebook) -> None:
    book.namespace |= {"a": [1], "b": [2]}
    assert book.keep("a, b = b, a", "a", "b").trace is not None
    other = later(book, a=[1], b=[2])
    one, two = other.namespace["a"], other.namespace["b"]
    assert other.restore("a, b = b, a", "a", "b")
    assert other.namespace["a"] is two
    assert other.namespace["b"] is one


def test_names_are_deleted(book: Notebook) -> None:
    book.namespace["x"] = 1
    book.keep("y = x\ndel x", "x")
    other = later(book, x=1)
    assert other.restore("y = x\ndel x", "x")
    assert other.namespace == {"y": 1}


def test_what_was_shown_comes_back_and_is_the_variable_where_it_was(book: Notebook) -> None:
    shown = [1]
    book.namespace["shown"] = shown
    book.keep("y = shown", "shown", shown=(shown,), outputs=({"kind": "result", "data": {}, "metadata": {}},))
    other = later(book, shown=[1])
    assert other.restore("y = shown", "shown")
    assert other.shown[0] is other.namespace["y"] is other.namespace["shown"]


def test_two_restorings_share_nothing(book: Notebook) -> None:
    book.keep("y = [np.zeros(1000), [1]]")
    one, other = later(book), later(book)
    assert one.restore("y = [np.zeros(1000), [1]]")
    one.namespace["y"][0][:] = 9
    one.namespace["y"][1].append(9)
    for again in (one, other):
        assert again.restore("y = [np.zeros(1000), [1]]")
        assert again.namespace["y"][0].sum() == 0
        assert again.namespace["y"][1] == [1]


def test_files_are_written_again_and_folders_made(book: Notebook) -> None:
    (book.folder / "deep").mkdir()
    (book.folder / "deep" / "made.txt").write_text("text")
    digest, _ = file_fingerprint(book.folder / "deep" / "made.txt")
    book.keep("pass", written={"deep/made.txt": digest}, made=("deep",), removed=("gone.txt",))
    (book.folder / "deep" / "made.txt").unlink()
    (book.folder / "deep").rmdir()
    (book.folder / "gone.txt").touch()
    assert later(book).restore("pass")
    assert (book.folder / "deep" / "made.txt").read_text() == "text"
    assert not (book.folder / "gone.txt").exists()


# What is not kept


def test_an_obstacle_is_the_reason(book: Notebook) -> None:
    found = book.keep("y = 1", obstacles=(Obstacle("it reads the clock", "read it elsewhere"),))
    assert (found.trace, found.reason) == (None, "it reads the clock; read it elsewhere")


def test_much_output_is_the_reason(book: Notebook) -> None:
    assert "1 MB" in book.keep("y = 1", outputs=({"kind": "stdout", "text": "x" * 1_200_000},)).reason
    assert book.keep("z = 1", outputs=({"kind": "stdout", "text": "x" * 900_000},)).trace is not None


def test_what_is_cheap_is_not_kept(book: Notebook) -> None:
    reason = book.keep("y = np.zeros(10_000_000)", seconds=0.01).reason
    assert reason.startswith("computing it took 10 ms, keeping and loading would take about ")


@pytest.mark.parametrize(("seconds", "kept"), [(0.1, False), (9.0, True)])
def test_what_no_cell_asked_for_must_pay_many_times_over(book: Notebook, seconds: float, kept: bool) -> None:
    code = "y = np.zeros(2_000_000)"
    found = book.keep(code, seconds=seconds, wanted=False)
    assert (found.trace is not None) is kept
    assert kept or "(%%track keeps what takes longer)" in found.reason
    assert book.keep(f"del y\n{code}", "y", seconds=0.1 if kept else seconds).trace is not None


@pytest.mark.parametrize(("code", "seconds"), [("import json", 9.0), ("def f(): pass", 9.0), ("class C: pass", 9.0)])
def test_imports_and_definitions_are_not_kept_by_the_rule(book: Notebook, code: str, seconds: float) -> None:
    assert book.keep(code, seconds=seconds).reason == "it only imports and defines"


def test_a_definition_beside_a_value_is_kept(book: Notebook) -> None:
    assert "only imports" not in book.keep("def f(): pass\ny = 1").reason


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize(("seconds", "kept"), [(0.5, True), (0.1, False)])
def test_a_users_own_limit_takes_the_place_of_the_rule(
    book: Notebook, seconds: float, kept: bool, wanted: bool
) -> None:
    found = book.keep("y = 1", seconds=seconds, wanted=wanted, least=0.3)
    assert (found.trace is not None) is kept
    assert kept or found.reason == "it took only 0.100 s"


@pytest.mark.parametrize(
    ("code", "word"), [("y = threading.Lock()", "y"), ("y = (n for n in [])", "y"), ("y = [threading.Lock()]", "y")]
)
def test_a_live_value_is_the_reason(book: Notebook, code: str, word: str) -> None:
    found = book.keep(code)
    assert found.trace is None
    assert word in found.reason
    assert not later(book).restore(code)


def test_a_live_value_that_is_shown_is_the_reason(book: Notebook) -> None:
    found = book.keep("y = 1", shown=(threading.Lock(),))
    assert found.reason == "it shows a live or opaque value (lock); end its last line with ;"


def test_a_value_that_does_not_come_back_as_it_was_is_not_kept(book: Notebook) -> None:
    class Lossy:
        def __init__(self) -> None:
            self.kept, self.lost = 1, 2

        def __getstate__(self) -> dict[str, int]:
            return {"kept": 1}

    book.namespace["Lossy"] = Lossy
    found = book.keep("y = Lossy()", "Lossy")
    assert found.trace is None
    assert found.reason


def test_a_full_disk_is_the_reason_and_leaves_no_trace(book: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(book.cache.artifacts, "put", full)
    assert book.keep("y = 1").reason == "it cannot be written (No space left on device)"
    assert not later(book).restore("y = 1")


# What is not found


def test_other_inputs_are_a_miss_that_says_so(book: Notebook) -> None:
    book.namespace["x"] = 1
    book.keep("y = x", "x")
    other = later(book, x=2)
    assert not other.restore("y = x", "x")
    assert [(found.kind, found.name) for found in other.found.differences] == [("variable", "x")]


def test_an_artifact_that_is_gone_is_a_miss_that_says_so(book: Notebook) -> None:
    found = book.keep("y = [1]")
    assert found.trace is not None
    for digest in found.trace.artifacts:
        book.cache.artifacts.remove(digest)
    other = later(book)
    assert not other.restore("y = [1]")
    assert "is missing" in (other.found.unusable or "")


def test_an_older_run_serves_where_the_newer_one_is_damaged(book: Notebook) -> None:
    book.namespace["x"] = 1
    first = book.keep("y = [x]", "x")
    del book.namespace["y"]
    book.keep("y = [x]", "x", outputs=({"kind": "stdout", "text": "newer"},))
    assert first.trace is not None
    assert later(book, x=1).restore("y = [x]", "x")


def test_a_forgotten_run_is_not_offered(book: Notebook) -> None:
    found = book.keep("y = 1")
    assert found.trace is not None
    book.cache.forget(found.trace)
    assert not later(book).restore("y = 1")
    assert not book.cache.known("y = 1")


# The house


def test_everything_can_be_forgotten(book: Notebook) -> None:
    book.keep("y = [1]")
    runs, nbytes = book.cache.kept()
    assert runs == 1
    assert nbytes > 0
    assert book.cache.clear() == nbytes
    assert book.cache.kept() == (0, 0)
    assert book.cache.clear() == 0


def test_everything_can_be_forgotten_while_another_kernel_keeps_something(
    book: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_empty(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))

    book.keep("y = [1]")
    monkeypatch.setattr(os, "rmdir", not_empty)
    book.cache.clear()
    assert book.cache.kept() == (0, 0)


def test_a_budget_is_the_projects(book: Notebook) -> None:
    assert book.cache.budget == 5 * 10**9
    book.cache.set_budget(1000)
    assert later(book).cache.budget == 1000


@pytest.mark.parametrize("text", ["", "lots"])
def test_a_damaged_budget_is_the_first_one(book: Notebook, text: str) -> None:
    book.cache.set_budget(1000)
    (book.folder / "artifacts" / "budget").write_text(text)
    assert book.cache.budget == 5 * 10**9


def test_a_lower_budget_is_kept_at_once_and_from_then_on(book: Notebook) -> None:
    book.keep("a = np.arange(1000.0)")
    freed = book.cache.set_budget(5000)
    assert freed >= 8000
    book.keep("b = np.arange(2000.0)")
    assert book.cache.kept()[1] <= 5000
