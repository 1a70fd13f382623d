"""What a user types → which row is meant."""

from __future__ import annotations

import pytest

from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.graph.targets import resolve
from mlmagic.records import Execution, History
from tests.unit.graph.rows import Rows


@pytest.fixture(scope="module")
def history() -> History:
    rows = Rows()
    rows.outside("data/in.csv")
    rows.cell("x = 1", "", "x", name="make")  # e00001
    rows.cell("x = 2; y = x", "x", "x y file:out/y.txt", name="both")  # e00002
    rows.cell("data = read()", "file:data/in.csv", "data")  # e00003
    rows.cell("split = 3", "", "split", name="split")  # e00004
    rows.cell("del y", "y", "y", how="delete")  # e00005
    rows.cell("y_pred = 1", "", {"y_pred": {}, "random:numpy": {}}, name="out/y.txt")  # e00006
    return rows.history()


def meant(history: History, target: str) -> str:
    found = resolve(history, target)
    if isinstance(found, Execution):
        return found.execution_id
    return f"{found.kind}:{found.name}@{found.execution_id}"


@pytest.mark.parametrize(
    ("target", "row"),
    [
        ("x", "variable:x@e00002"),
        ("  x ", "variable:x@e00002"),
        ("x@1", "variable:x@e00001"),
        ("x@[1]", "variable:x@e00001"),
        ("x@make", "variable:x@e00001"),
        ("x@e00002", "variable:x@e00002"),
        ("x@cell:cell-1", "variable:x@e00001"),
        ("x@4", "variable:x@e00002"),  # the state at that moment, whoever made it
        ("[3]", "e00003"),
        ("3", "e00003"),
        ("cell:cell-4", "e00004"),
        ("make", "e00001"),
        ("split", "variable:split@e00004"),  # a bare word is a variable first
        ("out/y.txt", "e00006"),  # then a cell's name
        ("file:out/y.txt", "file:out/y.txt@e00002"),
        ("data/in.csv", "file:data/in.csv@None"),  # then a file
        ("file:./data/in.csv", "file:data/in.csv@None"),
        ("file:data/in.csv@3", "file:data/in.csv@None"),
        ("y", "variable:y@e00002"),  # deleted: its last version
        ("e00002", "e00002"),
        ("numpy", "random:numpy@e00006"),
    ],
)
def test_a_target_means(history: History, target: str, row: str) -> None:
    assert meant(history, target) == row


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("splitt", "no variable, cell or file 'splitt'; did you mean 'split'?"),
        ("[9]", "no execution '[9]'"),
        ("cell:cell-9", "no cell 'cell-9'; did you mean"),
        ("file:data/im.csv", "no file 'data/im.csv'; did you mean 'data/in.csv'?"),
        ("x@nowhere", "no execution 'nowhere'"),
        ("split@1", "no variable at [1] 'split'"),
        ("", "no variable, cell or file ''"),
    ],
)
def test_an_unknown_target_names_the_nearest(history: History, target: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as error:
        resolve(history, target)
    assert str(error.value).startswith(message)


def test_what_a_history_does_not_hold_is_refused(history: History) -> None:
    with pytest.raises(MisuseError, match="metric:NAME cannot be traced yet"):
        resolve(history, "metric:auc")


def test_an_empty_history_says_so() -> None:
    with pytest.raises(UnknownNameError, match="nothing has been recorded yet"):
        resolve(History((), (), (), ()), "x")


def test_the_newest_session_that_knows_the_name_wins() -> None:
    old, new = Rows("s1"), Rows("s2")
    old.cell("x = 1; z = 1", "", "x z", execution_id="a1", execution_count=1)
    new.serial = 50
    new.cell("x = 2", "", "x", execution_id="a2", execution_count=1)
    parts = [old.history(), new.history()]
    both = History(
        parts[0].executions + parts[1].executions, parts[0].versions + parts[1].versions,
        (), parts[0].writes + parts[1].writes,
    )  # fmt: skip
    assert meant(both, "x") == "variable:x@a2"
    assert meant(both, "[1]") == "a2"
    assert meant(both, "z") == "variable:z@a1"
