"""Where a value came from, what it feeds, and how that reads."""

from __future__ import annotations

import json
import time

import pytest

from mlmagic.errors import UnknownNameError
from mlmagic.graph import words
from mlmagic.graph.lineage import COLUMNS, Lineage, trace
from mlmagic.graph.tree import MAX_LINES
from mlmagic.records import BEFORE, History
from tests.unit.graph.rows import Rows, breast_cancer


def cells(lineage: Lineage) -> list[int | None]:
    return [row.execution_count for row in lineage.executions]


def diamond() -> History:
    rows = Rows()
    rows.cell("a = 1", "", "a")
    rows.cell("b = a", "a", "b")
    rows.cell("c = a", "a", "c")
    rows.cell("d = b + c", "b c", "d")
    rows.cell("e = d", "d", "e")
    rows.cell("other = 1", "", "other")
    return rows.history()


@pytest.mark.parametrize(
    ("target", "forward", "depth", "expected"),
    [
        ("d", False, None, [1, 2, 3, 4]),
        ("d", False, 1, [4]),
        ("d", False, 2, [2, 3, 4]),
        ("d", False, 0, []),
        ("a", True, None, [2, 3, 4, 5]),
        ("a", True, 1, [2, 3]),
        ("[4]", False, None, [1, 2, 3, 4]),
        ("[4]", True, None, [4, 5]),
        ("other", False, None, [6]),
        ("other", True, None, []),
        (None, False, None, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_the_walk(target: str | None, forward: bool, depth: int | None, expected: list[int]) -> None:
    assert cells(trace(diamond(), target, forward, depth)) == expected


def test_only_versions_on_the_way_belong_to_the_lineage() -> None:
    lineage = trace(breast_cancer().history(), "model")
    names = {row.name for row in lineage.versions}
    assert {"X_train", "y_train", "depth", "data/cancer.csv"} <= names
    assert not names & {"X_test", "y_test", "auc"}


TREE = """\
model  RandomForestClassifier        [7] train · 0.41 s
├─ depth  int 8                      [6] · <1 ms
├─ X_train  DataFrame (426, 30)      [5] split · 3 ms
│  ├─ features  DataFrame (569, 30)  [4] features · 4 ms
│  │  └─ df  DataFrame (569, 32)     [2] · 12 ms
│  │     ├─ file:data/cancer.csv  119 kB
│  │     └─ uses: pd from [1]
│  ├─ y  Series (569,)               [4] features · 4 ms · ↑ above
│  └─ uses: train_test_split from [1]
├─ y_train  Series (426,)            [5] split · 3 ms · ↑ above
└─ uses: RandomForestClassifier from [1]"""


def test_the_tree_of_a_model() -> None:
    assert trace(breast_cancer().history(), "model").text() == TREE


def test_forward_repeats_nothing() -> None:
    text = trace(diamond(), "a", forward=True).text()
    assert text.split("\n")[0].startswith("a")
    assert text.count("d  ↑ above") == 1


def test_mutation_deletion_failure_and_reuse_are_said() -> None:
    rows = Rows()
    rows.cell("a = []", "", {"a": {"type": "list"}})
    rows.cell("a.append(1)", "a", {"a": {"type": "list"}}, how="mutate")
    rows.cell("b = a; 1/0", "a", "b", status="error", error="ZeroDivisionError: division by zero", error_line=1)
    rows.cell("c = b", "b", "c", status="reused", name="again")
    rows.cell("del c", "c", "c", how="delete")
    text = trace(rows.history(), "c").text()
    assert "mutated by [2]" in text
    assert "[3] · 12 ms · ✗ failed" in text
    assert "[4] again · 12 ms · ↺ reused" in text
    assert "(c was deleted by [5] del c; this is its last version)" in text


def test_a_cut_says_so_and_names_what_is_beyond() -> None:
    text = trace(diamond(), "d", depth=1).text()
    assert "[2] · 12 ms" in text
    assert "cut at depth 1" in text


def test_what_was_alive_before_is_named() -> None:
    rows = Rows()
    rows.cell("x = 1", "", "x", name=BEFORE, execution_count=None)
    rows.cell("y = x", "x", "y")
    assert "before mlmagic was loaded" in trace(rows.history(), "y").text()


def test_long_trees_and_deep_trees_stay_readable() -> None:
    rows = Rows()
    rows.cell("v0 = 0", "", "v0")
    for n in range(1, 400):
        rows.cell(f"v{n} = v{n - 1}", f"v{n - 1}", f"v{n}")
    deep = trace(rows.history(), "v399").text().split("\n")
    assert max(map(len, deep)) < 160
    assert "… deeper" in deep[-1]
    wide = Rows()
    for n in range(400):
        wide.cell(f"w{n} = 0", "", f"w{n}")
    wide.cell("total = 0", [f"w{n}" for n in range(400)], "total")
    lines = trace(wide.history(), "total").text().split("\n")
    assert len(lines) == MAX_LINES + 1
    assert lines[-1].startswith("… 201 more lines")
    assert len(trace(wide.history()).text().split("\n")) == MAX_LINES + 1


def test_control_characters_do_not_reach_the_terminal() -> None:
    rows = Rows()
    rows.cell("s = '\x1b[2J'", "", {"s": {"type": "str", "preview": "'\x1b[2J'"}})
    for lineage in (trace(rows.history(), "s"), trace(rows.history())):
        assert "\x1b" not in lineage.text()


def test_data_faces_agree() -> None:
    lineage = trace(diamond(), "d")
    frame = lineage.to_pandas()
    assert list(frame.columns) == list(COLUMNS)
    assert set(zip(frame.child_name, frame.parent_name, strict=True)) == {
        ("b", "a"), ("c", "a"), ("d", "b"), ("d", "c")
    }  # fmt: skip
    data = json.loads(json.dumps(lineage.to_dict()))
    assert data["target"] == "d"
    assert data["direction"] == "backward"
    assert len([n for n in data["nodes"] if n["node"] == "execution"]) == 4
    assert {edge["edge"] for edge in data["edges"]} == {"read", "write"}


def test_the_faces_asked_for() -> None:
    lineage = trace(diamond(), "d")
    assert lineage.render("graph") is lineage
    assert lineage.render("tree").text() == lineage.text()
    assert json.loads(lineage.render("json").text()) == lineage.to_dict()
    assert lineage.render("table").text().split("\n")[0].split() == "made from cell what it is".split()
    with pytest.raises(UnknownNameError, match="did you mean 'table'"):
        lineage.render("tabel")  # type: ignore[arg-type]


def test_an_empty_history_is_no_error() -> None:
    assert trace(History((), (), (), ())).text() == "nothing has been recorded yet"


def test_the_whole_notebook_is_the_newest_session() -> None:
    old, new = Rows("s1"), Rows("s2")
    old.cell("x = 1", "", "x", execution_id="a1")
    new.serial = 50
    new.cell("y = 2", "", "y", execution_id="a2", execution_count=5)
    a, b = old.history(), new.history()
    both = History(a.executions + b.executions, a.versions + b.versions, (), a.writes + b.writes)
    assert cells(trace(both)) == [5]


def test_ten_thousand_cells_are_walked_quickly() -> None:
    rows = Rows()
    rows.cell("x = 0", "", "x")
    for _ in range(10_000):
        rows.cell("x = x + 1", "x", "x")
    history = rows.history()
    start = time.perf_counter()
    lineage = trace(history, "x")
    assert len(lineage.executions) == 10_001
    assert len(lineage.text().split("\n")) <= MAX_LINES + 1
    assert len(trace(history, "x@1", forward=True).executions) == 10_000
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0001, "<1 ms"), (0.0031, "3 ms"), (0.41, "0.41 s"), (3.14, "3.1 s"), (12.4, "12 s"), (75, "1 min 15 s"),
     (7260, "2 h 1 min")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert words.seconds(seconds) == text


@pytest.mark.parametrize(("nbytes", "text"), [(12, "12 B"), (119_300, "119 kB"), (2_400_000, "2.4 MB")])
def test_sizes(nbytes: int, text: str) -> None:
    assert words.size(nbytes) == text
