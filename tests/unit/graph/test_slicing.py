"""Slices: which cells are needed, and that the script really recreates the target."""

from __future__ import annotations

import ast
import json
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.graph import code
from mlmagic.graph.index import Index
from mlmagic.graph.randomness import decode_state, encode_state
from mlmagic.graph.slicing import SlicePlan, notebook, plan, script
from mlmagic.records import BEFORE, History
from tests.unit.graph.rows import SESSION, Rows, breast_cancer


def counts(result: SlicePlan) -> list[int | None]:
    return [row.execution_count for row in result.executions]


def outcome(text: str, folder: Path, expression: str) -> Any:
    """The value of `expression` after the script, run by a fresh interpreter."""
    file = folder / "slice.py"
    file.write_text(f"{text}\nimport json as _json\nprint('RESULT' + _json.dumps({expression}))\n", encoding="utf-8")
    command = [sys.executable, "-W", "error", str(file)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    return json.loads(done.stdout.rpartition("RESULT")[2])


def run(rows: Rows, target: str, folder: Path, expression: str | None = None, **options: Any) -> Any:
    return outcome(script(plan(rows.history(), target, **options)), folder, expression or target.partition("@")[0])


# Which cells -----------------------------------------------------------------------------------------------


def test_only_what_the_target_needs_in_time_order() -> None:
    rows = breast_cancer()
    result = plan(rows.history(), "model")
    assert counts(result) == [1, 2, 4, 5, 6, 7]
    assert [row.name for row in result.inputs] == ["data/cancer.csv"]
    assert result.producer.name == "train"


def test_a_later_overwrite_is_not_needed() -> None:
    rows = Rows()
    rows.cell("x = 1", "", "x")
    rows.cell("y = x", "x", "y")
    rows.cell("x = 9", "", "x")
    assert counts(plan(rows.history(), "y")) == [1, 2]
    assert counts(plan(rows.history(), "x")) == [3]
    assert counts(plan(rows.history(), "x@1")) == [1]


def test_a_file_written_by_a_cell_is_no_input() -> None:
    rows = Rows()
    rows.outside("in.txt")
    rows.cell("open('out.txt', 'w').write(open('in.txt').read())", "file:in.txt", "file:out.txt")
    rows.cell("text = open('out.txt').read()", "file:out.txt", "text")
    result = plan(rows.history(), "text")
    assert counts(result) == [1, 2]
    assert [row.name for row in result.inputs] == ["in.txt"]


def test_an_input_file_cannot_be_sliced() -> None:
    rows = Rows()
    rows.outside("in.txt")
    rows.cell("x = open('in.txt').read()", "file:in.txt", "x")
    with pytest.raises(MisuseError, match=r"no cell made file:in\.txt"):
        plan(rows.history(), "file:in.txt")
    with pytest.raises(UnknownNameError):
        plan(rows.history(), "nothing")


def test_a_reuse_stands_for_itself_when_it_has_reads() -> None:
    rows = Rows()
    rows.cell("x = 1", "", "x")
    rows.cell("y = x + 1", "x", "y")
    rows.cell("y = 0; w = 5", "", "y w")
    rows.cell("y = x + 1", "x", "y", status="reused", reused_from="e00002")
    rows.cell("z = y + w", "y w", "z")
    result = plan(rows.history(), "z")
    assert counts(result) == [1, 3, 4, 5]  # running [2] instead of [4] would leave y = 0 behind


def test_a_reuse_without_reads_is_replaced_by_what_ran() -> None:
    rows = Rows()
    rows.cell("x = 1", "", "x")
    rows.cell("y = x + 1", "x", "y")
    rows.cell("y = x + 1", "", "y", status="reused", reused_from="e00002")
    rows.cell("z = y", "y", "z")
    assert counts(plan(rows.history(), "z")) == [1, 2, 4]


def test_what_was_alive_before_comes_first(tmp_path: Path) -> None:
    rows = Rows()
    rows.cell("base = 20\n%load_ext mlmagic", "", "base", name=BEFORE, execution_count=None)
    rows.cell("x = base + 2", "base", "x")
    text = script(plan(rows.history(), "x"))
    assert "# before mlmagic was loaded" in text
    assert outcome(text, tmp_path, "x") == 22


def test_a_name_of_unknown_origin_is_said() -> None:
    rows = Rows()
    rows.outside("ghost", "variable")
    rows.cell("x = ghost", "ghost", "x")
    result = plan(rows.history(), "x")
    assert [row.name for row in result.unmet] == ["ghost"]
    assert "Of unknown origin" in script(result)


# Random state ----------------------------------------------------------------------------------------------


def drawing(seeded: bool, stored: bool) -> tuple[Rows, dict[str, str], float]:
    """Seed or not, draw in a cell nobody needs, draw the target."""
    rows, artifacts = Rows(), {}
    generator = random.Random(7)
    rows.cell("import random", "", {"random": {"type": "module"}})
    rows.cell("random.seed(7)" if seeded else "pass", "random", "random:random" if seeded else "")
    if not seeded:
        rows.outside("random", "random")
    waste = [generator.random() for _ in range(3)]
    rows.cell("waste = [random.random() for _ in range(3)]", "random random:random", "waste random:random")
    if stored:
        artifacts["states/r3"] = encode_state("random", generator.getstate())
        rows.set_version(rows.latest["random:random"], artifact="states/r3")
    assert waste
    rows.cell("x = random.random()", "random random:random", "x random:random")
    return rows, artifacts, generator.random()


def test_a_seed_is_run_as_code(tmp_path: Path) -> None:
    rows = Rows()
    rows.cell("import random", "", {"random": {"type": "module"}})
    rows.cell("random.seed(7)", "random", "random:random")
    rows.set_version(rows.latest["random:random"], artifact="states/r")  # stored, but the seed is simpler
    rows.cell("x = random.random()", "random random:random", "x random:random")
    result = plan(rows.history(), "x")
    assert counts(result) == [1, 2, 3]
    assert not result.restore
    assert outcome(script(result), tmp_path, "x") == random.Random(7).random()


def test_earlier_draws_are_not_run_when_their_state_is_stored(tmp_path: Path) -> None:
    rows, artifacts, expected = drawing(seeded=True, stored=True)
    result = plan(rows.history(), "x")
    assert counts(result) == [1, 4]
    assert {key: [row.name for row in value] for key, value in result.restore.items()} == {"e00004": ["random"]}
    assert outcome(script(result, artifacts.__getitem__), tmp_path, "x") == expected


def test_earlier_draws_are_run_when_their_state_is_not_stored(tmp_path: Path) -> None:
    rows, _, expected = drawing(seeded=True, stored=False)
    result = plan(rows.history(), "x")
    assert counts(result) == [1, 2, 3, 4]
    assert outcome(script(result), tmp_path, "x") == expected


def test_nothing_is_restored_when_the_last_draw_is_run_anyway(tmp_path: Path) -> None:
    rows, artifacts, _ = drawing(seeded=True, stored=True)
    rows.cell("y = [*waste, x]", "waste x", "y")
    result = plan(rows.history(), "y")
    assert counts(result) == [1, 2, 3, 4, 5]
    assert not result.restore
    generator = random.Random(7)
    value = outcome(script(result, artifacts.__getitem__), tmp_path, "y")
    assert value == [generator.random() for _ in range(4)]


def test_an_unseeded_unstored_state_is_said() -> None:
    rows, _, _ = drawing(seeded=False, stored=False)
    assert [row.kind for row in plan(rows.history(), "x").unmet] == ["random"]


def test_a_state_that_is_gone_is_said_in_the_script(tmp_path: Path) -> None:
    rows, _, _ = drawing(seeded=True, stored=True)
    text = script(plan(rows.history(), "x"))
    assert "# the random state of random before the next cell is no longer stored" in text
    assert isinstance(outcome(text, tmp_path, "x"), float)


def test_numpy_state_is_restored(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    kind, keys, place, has_gauss, cached = np.random.RandomState(3).get_state()
    blob = encode_state("numpy", [kind, keys.tolist(), place, has_gauss, cached])
    rows = Rows()
    rows.cell("import numpy as np", "", {"np": {"type": "module"}})
    rows.outside("numpy", "random", artifact="states/n")
    rows.cell("x = float(np.random.rand())", "np random:numpy", "x random:numpy")
    text = script(plan(rows.history(), "x"), {"states/n": blob}.__getitem__)
    assert outcome(text, tmp_path, "x") == float(np.random.RandomState(3).rand())


def test_torch_state_is_restored(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = torch.Generator().manual_seed(5).get_state()
    blob = encode_state("torch.cpu", bytes(state.tolist()).hex())
    rows = Rows()
    rows.cell("import torch", "", {"torch": {"type": "module"}})
    rows.outside("torch.cpu", "random", artifact="states/t")
    rows.cell("x = float(torch.rand(1))", "torch random:torch.cpu", "x random:torch.cpu")
    text = script(plan(rows.history(), "x"), {"states/t": blob}.__getitem__)
    assert outcome(text, tmp_path, "x") == float(torch.rand(1, generator=torch.Generator().manual_seed(5)))


def test_states_survive_the_round_trip() -> None:
    state = random.Random(1).getstate()
    blob = encode_state("random", state)
    assert decode_state(blob) == [state[0], list(state[1]), state[2]]
    assert not set(blob) & set("\"'\\\n")
    with pytest.raises(UnknownNameError, match=r"did you mean 'torch\.cpu'"):
        encode_state("torch.gpu", [])


# What runs -------------------------------------------------------------------------------------------------

ONE_CELL: Mapping[str, tuple[str, str, Any]] = {
    "track line": ("%%track name --reuse\nx = 1", "x", 1),
    "time cell": ("%%time\nx = 2", "x", 2),
    "capture cell": ("%%capture out\nx = 3\nprint(x)", "x", 3),
    "track then time": ("%%track a\n%%time\nx = 4", "x", 4),
    "time line": ("%time x = 5", "x", 5),
    "time value": ("x = %time 6", "x", 6),
    "plotting": ("%matplotlib inline\nx = 7", "x", 7),
    "shell": ("!echo no\nx = 8", "x", 8),
    "long shell": ("!echo a \\\n  b\nx = 9", "x", 9),
    "timeit line": ("%timeit 1 + 1\nx = 10", "x", 10),
    "indented": ("x = 11\nif x:\n    %time x = 12\n    !ls\nif not x:\n    !ls\n", "x", 12),
    "help": ("x = 13\nx?\n?x\nprint??", "x", 13),
    "automagic": ("pip install nothing\nx = 14", "x", 14),
    "percent operator": ("x = (29\n% 14)", "x", 1),
    "in a string": ('x = """\n%time a\n!b\n"""', "x", "\n%time a\n!b\n"),
    "after a backslash": ("x = 29 \\\n% 14", "x", 1),
    "comment with bracket": ("y = 1 # (\n%matplotlib inline\nx = 16", "x", 16),
    "our questions": ("x = 17\n%lineage x\n%slice x -o a.py\n%mlmagic", "x", 17),
    "await": ("import asyncio\nasync def f():\n    return 18\nx: int = await f()\n[x for _ in 'a']", "x", 18),
    "await in a loop": ("import asyncio\nx = 0\nfor i in range(3):\n    await asyncio.sleep(0)\n    x += i", "x", 3),
    "future": ("from __future__ import annotations\ndef f(a: Never): return 19\nx = f(1)", "x", 19),
    "display": ("display('no')\nx = 20", "x", 20),
    "unicode": ("größe = 'Ü😀'\nx = größe", "x", "Ü😀"),
    "quotes": ("x = '''\"\"\"\\\\'''", "x", '"""\\'),
}


@pytest.mark.parametrize("case", ONE_CELL)
def test_a_cell_as_plain_python(case: str, tmp_path: Path) -> None:
    source, target, value = ONE_CELL[case]
    rows = Rows()
    rows.cell("before = 1", "", "before")
    rows.cell(source, "before", target, name='odd """name\\')
    assert run(rows, target, tmp_path) == value


@pytest.mark.parametrize(
    ("source", "left_out"),
    [
        ("%matplotlib inline\nx = 1", ["%matplotlib inline"]),
        ("files = !ls\nx = 1", ["files = !ls"]),
        ("y = %who_ls\nx = 1", ["y = %who_ls"]),
        ("%%bash\nls\nx", ["%%bash"]),
        ("%%timeit\nx = 1", ["%%timeit"]),
        ("%%track a\n%%html\n<b>", ["%%html"]),
        ("%load_ext mlmagic\n%config MLMagic.x = 1\nx = 1", []),
        ("%load_ext autoreload\nx = 1", ["%load_ext autoreload"]),
        ("!pip install \\\n a\nx = 1", ["!pip install a"]),
        ("x = 'a' != 'b'", []),
        ("x = 5\nx %= 3", []),
    ],
)
def test_what_is_left_out_is_listed(source: str, left_out: list[str]) -> None:
    found = code.plain(source)
    assert list(found.left_out) == left_out
    assert found.text.count("\n") == source.count("\n"), "line numbers must stay"
    ast.parse(found.text)


def test_left_out_lines_stand_in_the_header() -> None:
    rows = Rows()
    rows.cell("%matplotlib inline\nx = 1", "", "x")
    text = script(plan(rows.history(), "x"))
    assert "# left out: %matplotlib inline" in text
    assert "Left out:\n    %matplotlib inline" in text


FAILURES: Mapping[str, tuple[str, int | None, str, Any]] = {
    "half done": ("x = [1]\nx.append(2)\n1 / 0\nx.append(3)", 3, "ZeroDivisionError: division by zero", [1, 2]),
    "inside a loop": ("x = []\nfor i in range(5):\n    x.append(i)\n    assert i < 2", 4, "AssertionError", [0, 1, 2]),
    "long string": ('x = """a\n  b"""\nx += """\n c"""; raise ValueError', 4, "ValueError", "a\n  b\n c"),
    "string inside": ('x = []\nfor _ in "a":\n    x.append("""\n b""")\n    int(x[0])', 5, "ValueError: b", ["\n b"]),
    "own error": ("class Odd(Exception): pass\nx = 1\nraise Odd()\nx = 2", 3, "Odd", 1),
    "line unknown": ("x = 1\nraise KeyError(1)\nx = 2", None, "KeyError: 1", 1),
    "same line": ("x = 1; y = 1 / 0; x = 2", 1, "ZeroDivisionError: division by zero", 1),
    "with magic": ("%matplotlib inline\nx = 1\nint('a')\nx = 2", 3, "ValueError: invalid", 1),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failed_cell_counts_up_to_its_failure(case: str, tmp_path: Path) -> None:
    source, line, error, value = FAILURES[case]
    rows = Rows()
    rows.cell(source, "", "x", status="error", error=error, error_line=line)
    rows.cell("y = x", "x", "y")
    assert run(rows, "y", tmp_path) == value


def test_another_error_than_the_recorded_one_is_not_swallowed(tmp_path: Path) -> None:
    rows = Rows()
    rows.cell("x = 1\nint('a')", "", "x", status="error", error="KeyError: 1", error_line=2)
    with pytest.raises(AssertionError, match="ValueError"):
        run(rows, "x", tmp_path)


def test_an_interrupted_cell_stops_where_it_stopped(tmp_path: Path) -> None:
    rows = Rows()
    rows.cell("x = 1\nwhile True: pass\nx = 2", "", "x", status="interrupted", error_line=2)
    text = script(plan(rows.history(), "x"))
    assert "# interrupted here; not repeated: while True: pass" in text
    assert outcome(text, tmp_path, "x") == 1


@pytest.mark.parametrize("name", ["_", "_1", "Out"])
def test_a_displayed_value_is_kept_for_its_reader(name: str, tmp_path: Path) -> None:
    rows = Rows()
    rows.cell("a = 20\n(a +\n 2)  # shown", "", {"a": {}, name: {}})
    rows.cell("y = Out[1]" if name == "Out" else f"y = {name}", name, "y")
    assert run(rows, "y", tmp_path) == 22


@pytest.mark.parametrize("given", ["argument", "row"])
def test_a_statement_that_only_writes_elsewhere_is_dropped(given: str, tmp_path: Path) -> None:
    rows = Rows()
    source = "x = [1]\nopen(\n  '/no/such/folder/a', 'w')\nx.append(2)"
    rows.cell(source, "", "x", write_lines=(3,) if given == "row" else ())
    lines = {"e00001": frozenset({3})} if given == "argument" else {}
    result = plan(rows.history(), "x", lines)
    assert result.dropped == {"e00001": frozenset({2})}
    assert "open(" in result.left_out
    assert outcome(script(result), tmp_path, "x") == [1, 2]
    assert not plan(rows.history(), "[1]").dropped, "a cell that was asked for keeps all it does"


def test_a_statement_that_writes_a_needed_file_stays(tmp_path: Path) -> None:
    rows = Rows()
    rows.cell(
        "import pathlib\npathlib.Path('a.txt').write_text('1')", "", {"pathlib": {}, "file:a.txt": {}}, write_lines=(2,)
    )
    rows.cell("x = pathlib.Path('a.txt').read_text()", "pathlib file:a.txt", "x")
    result = plan(rows.history(), "x")
    assert not result.dropped
    assert outcome(script(result), tmp_path, "x") == "1"


def test_a_binding_is_never_dropped() -> None:
    rows = Rows()
    rows.cell("x = open('/a', 'w').write('')\n(y := open('/b', 'w'))", "", "x y", write_lines=(1, 2))
    assert not plan(rows.history(), "x").dropped


def test_the_header_says_what_from_where_and_with_what() -> None:
    text = script(plan(breast_cancer().history(), "model"), session=SESSION)
    head = ast.get_docstring(ast.parse(text)) or ""
    assert head.startswith("Recreates model (RandomForestClassifier), as [7] train left it.")
    assert "notebook breast.ipynb, session s1" in head
    assert "data/cancer.csv  119 kB  fingerprint fp-data/cancer.csv" in head
    assert "\n# [5] split\n" in text
    assert text.rstrip().split("\n")[-1].startswith("# model is there now (RandomForestClassifier), fingerprint fp-")


# Notebooks -------------------------------------------------------------------------------------------------


def test_a_slice_as_a_notebook() -> None:
    nbformat = pytest.importorskip("nbformat")
    rows, artifacts, _ = drawing(seeded=True, stored=True)
    rows.cell("%%track last\n%matplotlib inline\nz = x", "x", "z", name="last")
    made = notebook(plan(rows.history(), "z"), artifacts.__getitem__, SESSION)
    nbformat.validate(made)
    sources = [cell["source"] for cell in made["cells"]]
    assert "Recreates `z`" in sources[0]
    assert "%matplotlib inline\nz = x" in sources  # IPython can run its own syntax
    assert any(text.startswith('_restore_random_state("random"') for text in sources)
    assert notebook(plan(rows.history(), "z"), artifacts.__getitem__, SESSION) == made


# Closure ---------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn, reuses: bool = True) -> tuple[History, str]:
    """Random programs: cells that read and write a few names, files and random states, or reuse earlier ones."""
    rows = Rows()
    rows.outside("in.csv")
    rows.outside("random", "random", artifact=draw(st.sampled_from([None, "a"])))
    names = st.sampled_from(["a", "b", "c", "d"])
    for _ in range(draw(st.integers(1, 14))):
        known = [name for name in rows.latest if draw(st.booleans())]
        writes = draw(st.sets(names, min_size=1, max_size=3))
        kinds: dict[str, dict[str, Any]] = {name: {} for name in sorted(writes)}
        if draw(st.integers(0, 3)) == 0:
            kinds["random:random"] = {"artifact": draw(st.sampled_from([None, "a"]))}
        if draw(st.integers(0, 4)) == 0:
            kinds["file:in.csv"] = {}
        earlier = [row.execution_id for row in rows.executions]
        reused = (
            draw(st.sampled_from([None, *earlier])) if reuses and earlier and draw(st.integers(0, 4)) == 0 else None
        )
        status = {"status": "reused", "reused_from": reused} if reused else {}
        rows.cell("pass", known, kinds, **status)
    target = draw(st.sampled_from(sorted(row.version_id for row in rows.versions.values() if row.execution_id)))
    return rows.history(), target


@settings(max_examples=150)
@given(histories())
def test_a_slice_is_closed(case: tuple[History, str]) -> None:
    history, target = case
    result = plan(history, target)
    index = Index.of(history)
    included = {row.execution_id for row in result.executions}
    stands_for = {row.execution_id: _original(index, row.execution_id) for row in history.executions}
    outside = {row.version_id for row in (*result.inputs, *result.unmet, *result.surroundings)}
    written = {row.name for name in included for row in index.written_by(name) if row.kind == "file"}
    for execution in result.executions:
        restored = {row.version_id for row in result.restore.get(execution.execution_id, ())}
        for version in index.read_by(execution.execution_id):
            maker = index.producer(version)
            made = maker is not None and stands_for[maker.execution_id] in included
            external = maker is None and version.kind == "file" and version.name in written
            assert made or external or version.version_id in outside or version.version_id in restored
    assert list(result.executions) == sorted(result.executions, key=lambda row: index.position[row.execution_id])
    ast.parse(script(result, lambda path: "x"))


def _original(index: Index, execution_id: str) -> str:
    """The execution that runs in its place: itself, unless it is a reuse that recorded no reads."""
    row, seen = index.executions[execution_id], {execution_id}
    while row.status == "reused" and not index.read_by(row.execution_id) and row.reused_from not in seen:
        seen.add(row.reused_from or "")
        row = index.executions[row.reused_from or ""]
    return row.execution_id if index.read_by(row.execution_id) else execution_id


@settings(max_examples=150)
@given(histories(reuses=False))
def test_every_cell_of_a_slice_meets_the_versions_it_read(case: tuple[History, str]) -> None:
    history, target = case
    result = plan(history, target)
    index = Index.of(history)
    state = {(row.kind, row.name): row.version_id for row in (*result.inputs, *result.unmet)}
    for execution in result.executions:
        for version in result.restore.get(execution.execution_id, ()):
            state[version.kind, version.name] = version.version_id
        for version in index.read_by(execution.execution_id):
            assert state[version.kind, version.name] == version.version_id
        for version in index.written_by(execution.execution_id):
            state[version.kind, version.name] = version.version_id
    assert target in state.values()
