"""Results of earlier runs in real kernels: the same outputs and values without the run, and a word on why not."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.kernels import Kernel, Reply

QUIET = re.compile(r"reused, saved (\d+(\.\d)? (s|min|ms))")

IMPORTS = """
from IPython.display import HTML, Image, clear_output, display, update_display
import random, sys
import numpy as np
import pandas as pd
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def kernel(project: Path, keeping_all: dict[str, str]) -> Iterator[Kernel]:
    """The kernel in which cells run first; the tests share it, each with names of its own."""
    with Kernel(project, env=keeping_all) as kernel:
        kernel.good(IMPORTS)
        yield kernel


@pytest.fixture(scope="module")
def later(kernel: Kernel, keeping_all: dict[str, str]) -> Iterator[Kernel]:
    """Another kernel of the same project: what it reuses, it has from the first one's files."""
    with Kernel(kernel.folder, env=keeping_all) as later:
        later.good(IMPORTS)
        yield later


@pytest.fixture
def alone(tmp_path: Path, keeping_all: dict[str, str]) -> Iterator[Callable[..., Kernel]]:
    """`alone(...)`: a kernel of this test, in a folder of its own, where everything is kept."""
    with contextlib.ExitStack() as running:

        def start(env: dict[str, str] | None = None, **options: Any) -> Kernel:
            return running.enter_context(Kernel(tmp_path, env=keeping_all | (env or {}), **options))

        yield start


def quiet_line(reply: Reply) -> str | None:
    """What a reused cell says of itself; the last that it shows."""
    if not reply.outputs or reply.outputs[-1]["msg_type"] != "display_data":
        return None
    text = str(reply.outputs[-1]["content"]["data"].get("text/plain", ""))
    return text if QUIET.fullmatch(text) else None


def was_reused(reply: Reply) -> bool:
    return quiet_line(reply) is not None


def shown(reply: Reply) -> list[Any]:
    """What the reader of a notebook sees of a cell, in order, without the quiet line.

    What is printed to the two streams between two displays is sent in any order.
    """
    seen: list[Any] = [{}]
    for made in reply.outputs[:-1] if was_reused(reply) else reply.outputs:
        content = {key: part for key, part in made["content"].items() if key != "execution_count"}
        if made["msg_type"] == "stream":
            seen[-1][content["name"]] = seen[-1].get(content["name"], "") + content["text"]
        else:
            seen += [(made["msg_type"], content), {}]
    return [part for part in seen if part]


def why(kernel: Kernel, cell: str) -> str:
    """The sentence of `%reuse explain` on a cell."""
    return kernel.good(f"%reuse explain {cell}").text.partition(cell)[2].strip()


def kept(folder: Path) -> list[Path]:
    """The files that hold results."""
    artifacts = folder / ".mlmagic" / "artifacts"
    return [path for part in ("traces", "values") for path in (artifacts / part).rglob("*") if path.is_file()]


def reuses(kernel: Kernel, cell: str) -> Reply:
    reply = kernel.good(cell)
    assert was_reused(reply), f"{cell}\nran: {kernel.good('%reuse explain').text.splitlines()[-2:]}"
    return reply


def computes(kernel: Kernel, cell: str) -> Reply:
    reply = kernel.good(cell)
    assert not was_reused(reply), f"{cell}\nwas reused"
    return reply


# The second time


@pytest.mark.parametrize(
    "cell",
    [
        "print('one')\nprint('two', file=sys.stderr)\nprint('three', end='')\nprint('four', file=sys.stderr)",
        "print('first')\ndisplay(1, 'two')\nprint('then')\ndisplay([3])\n4",
        "display('here', display_id='spot')\nprint('between')\nupdate_display('there', display_id='spot')",
        "display({'text/plain': 'raw', 'application/json': {'deep': [1, None, 'ü']}}, raw=True, metadata={'m': 1})",
        "print('gone')\nclear_output()\nprint('kept')",
        "print('soon gone')\nclear_output(wait=True)\ndisplay('instead')",
        "table_ = pd.DataFrame({'n': [1, 2], 'text': ['<a>', 'ü']})\ntable_",
        "display(HTML('<b>bold</b>'))\nHTML('<i>last</i>')",
        "display(Image(data=b'\\x89PNG\\r\\n\\x1a\\n' + bytes(99), format='png'))",
        "Image(data=b'\\x89PNG\\r\\n\\x1a\\n' + bytes(99), format='png')",
        "sys.stdout.write('written\\n')\nsys.stderr.writelines(['a\\n', 'b\\n'])\nsys.stdout.flush()",
        "print('a\\rb\\x1b[31mred\\x1b[0m\\t\\u2603 \\U0001f600')",
        "for number_ in range(300):\n    print(number_)",
        "silent_ = 5;",
        "hidden_ = [5]\nhidden_;",
        "None",
        "'text'",
    ],
)  # fmt: skip
def test_outputs_come_again_in_their_order(kernel, later, cell):
    first = computes(kernel, cell)
    for reply in (reuses(kernel, cell), reuses(later, cell)):
        assert shown(reply) == shown(first)


def test_the_numbers_of_a_restarted_kernel_are_its_own(alone):
    kernel = alone()
    cell = "%%track answer\nanswer = [6 * 7]\nprint('thinking')\nanswer"
    first = computes(kernel, cell)
    kernel.restart()
    kernel.good("'something else'")
    reply = reuses(kernel, cell)
    assert shown(reply) == shown(first)
    (result,) = [made["content"] for made in reply.outputs if made["msg_type"] == "execute_result"]
    assert result["execution_count"] == reply.count
    assert kernel.good(f"Out[{reply.count}] is answer, _ is answer, In[{reply.count}]").text == repr(
        (True, True, "\nanswer = [6 * 7]\nprint('thinking')\nanswer")
    )
    assert kernel.good("answer").text == "[42]"


def test_what_a_cell_showed_is_in_the_history_of_outputs(kernel, later):
    kernel.good("{'history': 1}")
    later.good("'before'")
    reply = reuses(later, "{'history': 1}")
    assert later.good(f"_, __, Out[{reply.count}], _{reply.count}").text == (
        "({'history': 1}, 'before', {'history': 1}, {'history': 1})"
    )


@pytest.mark.parametrize("cell", ["quietly_ = [7];", "quietly_ = [8]\nquietly_;", "quietly_ = [9]\nNone"])
def test_a_cell_that_showed_nothing_leaves_the_history_of_outputs_alone(kernel, later, cell):
    kernel.good(cell)
    later.good("'the last one'")
    reply = reuses(later, cell)
    assert shown(reply) == []
    assert later.good(f"_, {reply.count} in Out").text == "('the last one', False)"


def test_a_quiet_line_says_that_a_cell_was_reused_and_how_to_run_it(kernel):
    kernel.good("lined_ = [1]")
    reply = kernel.good("lined_ = [1]")
    assert QUIET.fullmatch(quiet_line(reply) or "")
    assert "--no-reuse" in reply.outputs[-1]["content"]["data"]["text/html"]
    assert not reply.complaints


def test_a_reuse_is_an_execution_and_lineage_goes_through_it(kernel, later):
    kernel.good("raw_ = [1, 2]")
    kernel.good("%%track doubled\ndoubled_ = [n * 2 for n in raw_]")
    later.good("raw_ = [1, 2]")
    reuses(later, "%%track doubled\ndoubled_ = [n * 2 for n in raw_]")
    computes(later, "used_ = sum(doubled_)")
    rows = later.rows()
    made, again = [row for row in rows.cells if row.name == "doubled"]
    assert (made.status, again.status) == ("ok", "reused")
    assert again.reused_from == made.execution_id
    assert rows.writes(again) == rows.writes(made) == {"doubled_": "bind"}
    assert rows.reads(again) == rows.reads(made) == {"raw_"}
    assert rows.makers(again, "raw_") == {"raw_ = [1, 2]"}
    used = rows.with_source("used_ = sum")
    assert used.session_id == again.session_id
    assert rows.makers(used, "doubled_") == {again.source}
    assert "raw_" in later.good("%lineage used_").text
    assert "doubled_ = [n * 2 for n in raw_]" in later.good("%slice used_").text


def test_comments_layout_and_our_own_line_do_not_count(kernel, later):
    kernel.good("%%track laid\nlaid_ = [1,\n  2]")
    for same in ("laid_ = [1, 2]  # a remark", "# first\n\nlaid_=[1,2]\n", "%%track other --tag a=b\nlaid_ = [1, 2]"):
        reuses(kernel, same)
        reuses(later, same)
    computes(kernel, "laid_ = [2, 1]")


def test_any_earlier_run_counts(kernel, later):
    for value in ("1", "2", "3"):
        kernel.good(f"which_ = {value}")
        computes(kernel, "chosen_ = [which_]")
    for value in ("2", "1", "3"):
        for again in (kernel, later):
            again.good(f"which_ = {value}")
            reuses(again, "chosen_ = [which_]")
            assert again.good("print(chosen_)").printed == f"[{value}]\n"


def test_a_change_that_comes_to_the_same_stops_there(kernel, later):
    cells = ["cut_source_ = [3, 1, 2]", "cut_sorted_ = sorted(cut_source_)", "cut_sum_ = sum(cut_sorted_)"]
    for cell in cells:
        kernel.good(cell)
    kernel.good("cut_source_ = [2, 3, 1]")
    computes(kernel, cells[1])
    reuses(kernel, cells[2])
    later.good("cut_source_ = [1, 3, 2]")
    computes(later, cells[1])
    reuses(later, cells[2])


# What is put in place


def test_values_are_right_and_share_what_they_shared(kernel, later):
    cell = """
        base_ = np.arange(6.0)
        view_ = base_[2:]
        bag_ = {'again': base_, 'list': [view_]}
        frame_ = pd.DataFrame({'a': [1, 2]}, index=['x', 'y'])
        def scaled_(value, by=[2]): return [value * by[0], base_]
        text_, nothing_, number_ = 'ü', None, 10 ** 30
        """
    checks = """
        base_[3] = 50
        print(view_[1], bag_['again'] is base_, bag_['list'][0] is view_, np.shares_memory(view_, base_))
        print(frame_.to_dict(), scaled_(3)[0], scaled_(3)[1] is base_, text_, nothing_, number_)
        """
    computes(kernel, cell)
    reuses(later, cell)
    assert later.good(checks).printed == kernel.good(checks).printed
    assert later.good("print(view_[1])").printed == "50.0\n"


def test_a_change_in_place_is_seen_by_all_who_hold_the_object(kernel, later):
    setting = "grown_ = [1]\nholder_ = {'grown': grown_}\ncounted_ = np.zeros(3)\nwindow_ = counted_[1:]"
    cell = "grown_.append(2)\ncounted_ += 1"
    kernel.good(setting)
    computes(kernel, cell)
    for again in (kernel, later):
        again.good(setting)
        reuses(again, cell)
        seen = again.good(
            "print(grown_, holder_['grown'] is grown_, counted_, window_, np.shares_memory(window_, counted_))"
        ).printed
        assert seen == "[1, 2] True [1. 1. 1.] [1. 1.] True\n"


def test_a_frame_that_was_changed_in_place_stays_the_same_frame(kernel, later):
    setting = "sheet_ = pd.DataFrame({'a': [1, 2]})\nsheets_ = [sheet_]"
    cell = "sheet_['b'] = sheet_['a'] * 2"
    kernel.good(setting)
    computes(kernel, cell)
    later.good(setting)
    reuses(later, cell)
    assert later.good("print(sheets_[0] is sheet_, sheets_[0].to_dict('list'))").printed == (
        "True {'a': [1, 2], 'b': [2, 4]}\n"
    )


def test_a_name_that_was_bound_to_a_living_object_is_bound_to_it_again(kernel, later):
    setting, cell = "owner_ = {'part': [1]}", "borrowed_ = owner_['part']"
    kernel.good(setting)
    computes(kernel, cell)
    later.good(setting)
    reuses(later, cell)
    assert later.good("print(borrowed_ is owner_['part'])").printed == "True\n"


def test_deleted_names_are_deleted_again(kernel, later):
    setting, cell = "doomed_, spared_ = 1, 2", "kept_ = doomed_\ndel doomed_"
    kernel.good(setting)
    computes(kernel, cell)
    later.good(setting)
    reuses(later, cell)
    assert later.good("print('doomed_' in globals(), spared_, kept_)").printed == "False 2 1\n"
    rows = later.rows()
    assert rows.writes([row for row in rows.cells if row.source == cell][-1]) == {"doomed_": "delete", "kept_": "bind"}


@pytest.mark.parametrize(
    ("make", "spoil", "look"),
    [
        ("own_ = np.arange(3)", "own_[0] = 99", "own_.tolist()"),
        ("own_ = np.arange(50_000.0)", "own_ *= 0", "own_[-1]"),
        ("own_ = pd.DataFrame({'a': [1], 'b': ['u']})", "own_.loc[0, 'a'] = 99\nown_['c'] = 1", "own_.to_dict()"),
        ("own_ = pd.Series([1.5, 2.5])", "own_.to_numpy(copy=False).setflags(write=True)\nown_[0] = 9", "own_.sum()"),
        ("own_ = [[1], {'k': [2]}]", "own_[0].append(9)\nown_[1]['k'].clear()", "own_"),
        ("own_ = bytearray(b'abc')", "own_[:] = b'zzz'", "own_"),
        ("import random\nown_ = random.Random(3)", "[own_.random() for _ in range(5)]", "own_.random()"),
        ("def own_(v=[]): v.append(1); return len(v)", "own_()\nown_()", "own_()"),
        ("own_ = [1, 2]\nown_", "Out[max(Out)].append(9)", "own_"),
    ],
)  # fmt: skip
def test_what_the_user_does_to_a_restored_value_never_reaches_the_stored_one(kernel, make, spoil, look):
    kernel.good(make)
    expected = kernel.good(f"print({look})").printed
    for _ in range(2):
        reuses(kernel, make)
        kernel.good(spoil)
        reuses(kernel, make)
        assert kernel.good(f"print({look})").printed == expected


def test_random_state_goes_on_as_after_the_run(kernel, later):
    cells = [
        "np.random.seed(11)\nrandom.seed(12)",
        "drawn_ = np.random.rand(3).tolist(), random.random()",
        "print(np.random.rand(), random.random())",
    ]
    for cell in cells[:2]:
        kernel.good(cell)
    expected = kernel.good(cells[2]).printed
    later.good(cells[0])
    reuses(later, cells[1])
    assert later.good(cells[2]).printed == expected
    kernel.good("np.random.seed(13)")
    computes(kernel, cells[1])


def test_a_generator_of_ones_own_goes_on_as_after_the_run(kernel, later):
    setting, cell, look = (
        "rng_ = np.random.default_rng(5)",
        "picked_ = rng_.integers(1000, size=3)",
        "print(rng_.random())",
    )
    kernel.good(setting)
    computes(kernel, cell)
    expected = kernel.good(look).printed
    later.good(setting)
    reuses(later, cell)
    assert later.good(look).printed == expected


def test_files_that_the_run_wrote_are_there_again(kernel, later):
    folder = kernel.folder
    kernel.good("import pathlib")
    later.good("import pathlib")
    cell = "pathlib.Path('deep').mkdir(exist_ok=True)\npathlib.Path('deep/made_.txt').write_text('[1, 2]');"
    table = "pd.DataFrame({'a': [1]}).to_csv('made_.csv')"
    for made in (cell, table):
        computes(kernel, made)
    (folder / "made_.csv").unlink()
    (folder / "deep" / "made_.txt").write_text("something else")
    for made in (cell, table):
        reuses(later, made)
    assert (folder / "deep" / "made_.txt").read_text() == "[1, 2]"
    assert (folder / "made_.csv").read_text() == ",a\n0,1\n"
    rows = later.rows()
    assert rows.writes(rows.last, "file") == {"made_.csv": "bind"}


def test_a_plot_is_drawn_again(alone):
    pytest.importorskip("matplotlib")
    kernel = alone()
    kernel.good("%matplotlib inline\nimport matplotlib.pyplot as plt")
    cell = "heights = [1, 3, 2]\nplt.plot(heights)\nplt.title('heights')\nplt.show()"
    first = computes(kernel, cell)
    again = reuses(kernel, cell)
    assert "image/png" in shown(first)[0][1]["data"]
    assert shown(again) == shown(first)
    assert kernel.good("print(plt.get_fignums())").printed == "[]\n"


def test_a_plot_that_the_backend_shows_at_the_end_of_the_cell_is_there_each_time(alone):
    pytest.importorskip("matplotlib")
    kernel = alone()
    kernel.good("%matplotlib inline\nimport matplotlib.pyplot as plt")
    cell = "lengths = [2, 1]\nplt.plot(lengths);"
    pictures = [
        [made for made in kernel.good(cell).outputs if "image/png" in made["content"].get("data", {})] for _ in range(3)
    ]
    assert [len(found) for found in pictures] == [1, 1, 1]
    assert pictures[0][0]["content"]["data"] == pictures[2][0]["content"]["data"]


# Which cells take part


def test_reuse_takes_cells_under_track_by_default(alone):
    kernel = alone({"MLMAGIC_REUSE": "auto"})
    for cell, expected in (
        ("plain = [1]", False),
        ("%%track named\nnamed = [1]", True),
        ("%%track\nother = [1]", True),
    ):
        kernel.good(cell)
        assert was_reused(kernel.good(cell)) is expected
    assert "auto: cells under %%track" in kernel.good("%reuse").text
    assert "not under %%track" in kernel.good("%reuse explain [2]").text
    kernel.good("%reuse on")
    kernel.good("plain = [1]")
    reuses(kernel, "plain = [1]")
    kernel.good("%reuse off")
    computes(kernel, "%%track named\nnamed = [1]")
    assert why(kernel, "named") == "ran: %reuse is off"
    kernel.good("%reuse auto")
    computes(kernel, "plain = [1]")
    reuses(kernel, "%%track named\nnamed = [1]")


def test_what_the_cell_itself_says_wins_over_the_mode(kernel):
    computes(kernel, "%%track own --no-reuse\nown_word_ = [1]")
    computes(kernel, "%%track own --no-reuse\nown_word_ = [1]")
    computes(kernel, "%%track own\nown_word_ = [1]")  # nothing was kept of the others
    reuses(kernel, "%%track own --reuse\nown_word_ = [1]")
    computes(kernel, "%%track own --no-reuse\nown_word_ = [1]")
    assert "--no-reuse" in why(kernel, "own")
    kernel.good("%reuse off")
    try:
        computes(kernel, "%%track own\nown_word_ = [1]")
        reuses(kernel, "%%track own --reuse\nown_word_ = [1]")
    finally:
        kernel.good("%reuse on")


def test_the_ledger_counts_what_was_computed_saved_and_stored(alone):
    kernel = alone()
    kernel.good("first = list(range(1000))")
    kernel.good("second = sum(first)")
    reuses(kernel, "second = sum(first)")
    kernel.good("ledger = %reuse status\nfound = ledger.to_dict()")
    counts = kernel.good("print(found['mode'], found['reused'], found['stored'], found['computed'])").printed
    assert counts == "on 1 2 3\n"  # the cell that loads us is a cell, too
    assert kernel.good("print(found['stored_bytes'] > 0, found['budget_bytes'] >= found['stored_bytes'])").printed == (
        "True True\n"
    )
    faces = kernel.good("%reuse").faces
    assert re.search(r"^saved +\S+ \w+ in 1 reused cell, loading took ", faces["text/plain"], re.MULTILINE)
    assert "<table" in faces["text/html"]
    assert kernel.good("%reuse ;").outputs == []
    kernel.good("frame = ledger.to_pandas()")
    assert kernel.good("print(list(frame['decision']))").printed == "['kept', 'kept', 'reused']\n"


def test_clearing_forgets_everything(alone):
    kernel = alone()
    kernel.good("x = list(range(1000))")
    reuses(kernel, "x = list(range(1000))")
    assert re.fullmatch(r"forgot 1 result, \d+ kB\n", kernel.good("%reuse clear").printed)
    assert not kept(kernel.folder)
    computes(kernel, "x = list(range(1000))")
    reuses(kernel, "x = list(range(1000))")


def test_a_budget_can_be_asked_and_set(alone):
    kernel = alone()
    assert kernel.good("%reuse budget").printed.startswith("results may take 5")
    told = kernel.good("%reuse budget 30MB").printed
    assert told.startswith("results may take 30.0 MB, and take 0 kB")
    kernel.restart()
    assert kernel.good("%reuse budget").printed.startswith("results may take 30.0 MB")
    for size, bytes_ in (("2 GB", "2.0 GB"), ("1.5GB", "1.5 GB"), ("500M", "500.0 MB")):
        assert bytes_ in kernel.good(f"import mlmagic\nprint(mlmagic.reuse('budget', {size!r}))").printed


def test_verifying_computes_every_hit_and_compares(alone):
    kernel = alone()
    kernel.good("import random")
    cells = ["print('sure')\nsure = [1]\nsure", "with open('w.txt', 'w') as file:\n    file.write('1')\ndel file"]
    for cell in cells:
        computes(kernel, cell)
    assert "verify" in kernel.good("%reuse verify").text
    for cell in cells:
        reply = computes(kernel, cell)
        assert reply.complaints == ""
    assert re.search(r"verified +\d hits? computed anew, 0 differences", kernel.good("%reuse").text)
    computes(kernel, "%%track checked\nsure = [1, 2]")
    computes(kernel, "%%track checked\nsure = [1, 2]")
    assert "verif" in why(kernel, "checked")


def test_verifying_says_what_a_hit_would_have_got_wrong(alone, tmp_path):
    kernel = alone()
    # A cell that depends on what nobody can see: an attribute of a module of the standard library.
    kernel.good("import colorsys\ncolorsys.hidden = 1")
    kernel.good("told = [colorsys.hidden]")
    kernel.run("import colorsys\ncolorsys.hidden = 2", silent=True, store_history=False)
    kernel.good("%reuse verify")
    reply = computes(kernel, "told = [colorsys.hidden]")
    if "ran because" in kernel.good("%reuse explain [4]").text:
        pytest.skip("this dependency is seen")
    assert "would have been wrong in this cell: told" in reply.complaints
    assert len(reply.complaints.strip().splitlines()) == 1
    assert "1 difference" in kernel.good("%reuse").text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%reuse statsu", "did you mean 'status'?"),
        ("%reuse onn", "did you mean 'on'?"),
        ("%reuse explian", "did you mean 'explain'?"),
        ("%reuse budgte 5GB", "did you mean 'budget'?"),
        ("%reuse budget lots", "a budget is a size such as 5GB or 500MB, not 'lots'"),
        ("%reuse budget 5XB", "not '5XB'"),
        ("%reuse budget -5GB", "-5GB"),
        ("%reuse explain spelt_wrnog_", "did you mean 'spelt_wrong_'?"),
        ("%reuse explain [99999]", "[99999]"),
        ("%reuse clear everything", "takes nothing more, not 'everything'"),
        ("%reuse on now please", "please"),
        ("%reuse --nothing", "--nothing"),
        ("%%track spelt_wrong_ --resue\npass", "did you mean '--reuse'?"),
    ],
)
def test_a_wrong_word_is_one_line_that_names_the_nearest(kernel, line, told):
    kernel.good("%%track spelt_wrong_\npass")
    reply = kernel.run(line)
    assert reply.status == "error"
    complaint = (reply.complaints or f"{reply.error}").strip()
    assert told in complaint
    assert len(complaint.splitlines()) == 1
    assert not reply.printed


def test_completion_knows_the_words_and_the_cells(kernel):
    kernel.good("%%track completed_\npass")
    assert {"explain", "verify", "budget"} <= set(kernel.complete("%reuse "))
    assert "completed_" in kernel.complete("%reuse explain ")
    assert {"--reuse", "--no-reuse"} <= set(kernel.complete("%%track --"))


def test_an_explanation_is_asked_by_name_number_and_id(kernel):
    reply = kernel.good("%%track asked_for_\nasked_for_ = [1]", cell_id="cell-one")
    for target in ("asked_for_", f"[{reply.count}]", str(reply.count), "cell:cell-one"):
        assert kernel.good(f"%reuse explain {target}").text.startswith(f"[{reply.count}] asked_for_")
    assert len(kernel.good("%reuse explain").text.splitlines()) > 1
    assert "<table" in kernel.good("%reuse explain").faces["text/html"]


# Why a cell ran


def changed(kernel: Kernel, name: str, before: str, after: str, cell: str) -> str:
    """What `%reuse explain` says of a cell that ran after `before`, and again after `after`."""
    kernel.good(before)
    computes(kernel, f"%%track {name}\n{cell}")
    kernel.good(after)
    computes(kernel, f"%%track {name}\n{cell}")
    return why(kernel, name)


@pytest.mark.parametrize(
    ("name", "before", "after", "cell", "told"),
    [
        ("scalar", "rate_ = 0.1", "rate_ = 0.2", "taxed_ = 100 * rate_", "rate_ changed from 0.1 to 0.2"),
        ("text", "mode_ = 'fast'", "mode_ = 'slow'", "how_ = mode_ * 2", "mode_ changed from 'fast' to 'slow'"),
        ("kind", "some_ = 1", "some_ = 1.0", "more_ = some_ + 1", "some_ changed from a value of type int to"),
        (
            "column",
            "df_ = pd.DataFrame({'age': [1, 2], 'name': ['u', 'v']})",
            "df_ = pd.DataFrame({'age': [1, 3], 'name': ['u', 'v']})",
            "ages_ = df_['age'].sum()",
            "df_: column 'age' changed",
        ),
        (
            "columns",
            "wide_ = pd.DataFrame({'a': [1], 'b': [2]})",
            "wide_ = pd.DataFrame({'a': [1], 'c': [2]})",
            "width_ = wide_.shape",
            "wide_: column 'c' new, column 'b' gone",
        ),
        ("shape", "arr_ = np.zeros(3)", "arr_ = np.zeros((3, 2))", "total_ = arr_.sum()", "arr_ changed from shape"),
        (
            "function",
            "def helper_(v):\n    return v + 1",
            "def helper_(v):\n    return v + 2",
            "helped_ = helper_(1)",
            "helper_ changed: line 2 from `return v + 1` to `return v + 2`",
        ),
        (
            "deep",
            "K_ = 2\ndef outer_(v): return v * K_",
            "K_ = 3",
            "reached_ = outer_(1)",
            "K_ changed from 2 to 3",
        ),
        ("seed", "np.random.seed(1)", "np.random.seed(2)", "r_ = np.random.rand(2)", "numpy is another (seed 1 → seed"),
        ("dice", "random.seed(1)", "random.seed(2)", "d_ = random.random()", "random is another (seed 1 → seed 2)"),
        ("sharing", "s_ = [[], []]", "s_ = [[]] * 2", "t_ = len(s_)", "s_ changed"),
        (
            "setting",
            "framed_ = pd.DataFrame({'a': [1 / 3]})",
            "pd.set_option('display.precision', 4)",
            "print(framed_)",
            "settings of pandas changed",
        ),
        (
            "variable",
            "import os\nos.environ['REGION_'] = 'eu'",
            "os.environ['REGION_'] = 'us'",
            "region_ = os.environ['REGION_']",
            "the environment variable REGION_ changed",
        ),
    ],
)  # fmt: skip
def test_an_explanation_names_what_changed(kernel, name, before, after, cell, told):
    sentence = changed(kernel, f"because_{name}", before, after, cell)
    assert sentence.startswith("ran because ")
    assert told in sentence


def test_an_explanation_names_a_changed_line(kernel):
    kernel.good("%%track edited_\nlow_ = 1\nhigh_ = low_ + 5", cell_id="edited")
    kernel.good("%%track edited_\nlow_ = 1\nhigh_ = low_ + 6", cell_id="edited")
    assert "line 3 from `high_ = low_ + 5` to `high_ = low_ + 6`" in why(kernel, "edited_")
    kernel.good("%%track edited_\nlow_ = 1\nhigh_ = low_ + 6\nprint(high_)", cell_id="edited")
    assert "line 4 is new: `print(high_)`" in why(kernel, "edited_")


def test_an_explanation_of_code_that_is_new_says_so(kernel):
    computes(kernel, "%%track brand_new_\nbrand_new_ = [1]")
    assert why(kernel, "brand_new_") == "ran: nothing was kept of this code before; its results are kept"
    reuses(kernel, "%%track brand_new_\nbrand_new_ = [1]")
    assert why(kernel, "brand_new_").startswith("reused, saved ")


def test_an_explanation_names_a_changed_file(kernel, project):
    cell = "%%track reading_\nread_ = open('input_.txt').read()"
    (project / "input_.txt").write_text("one")
    computes(kernel, cell)
    reuses(kernel, cell)
    (project / "input_.txt").write_text("two")
    computes(kernel, cell)
    assert "file input_.txt changed" in why(kernel, "reading_")
    (project / "input_.txt").write_text("one")
    reuses(kernel, cell)


def test_an_explanation_names_a_changed_module(kernel, later, project):
    (project / "local_part.py").write_text("def work(v):\n    return v + 1\n")
    kernel.good("import local_part")
    cell = "%%track by_module_\nworked_ = local_part.work(1)"
    computes(kernel, cell)
    (project / "local_part.py").write_text("def work(v):\n    return v + 2\n")
    later.good("import local_part")
    computes(later, cell)
    assert "module local_part changed" in why(later, "by_module_")
    assert later.good("print(worked_)").printed == "3\n"


def test_an_explanation_names_the_version_of_a_package(kernel):
    kernel.good("real_version_ = pd.__version__\nversioned_ = pd.DataFrame({'a': [1]})")
    cell = "%%track with_pandas_\nhead_ = versioned_.head()"
    computes(kernel, cell)
    kernel.run("pd.__version__ = '99.1'", silent=True, store_history=False)
    try:
        computes(kernel, cell)
        sentence = why(kernel, "with_pandas_")
        assert re.search(r"package pandas changed from \S+ to 99\.1", sentence)
    finally:
        kernel.run("pd.__version__ = real_version_", silent=True, store_history=False)


# Cells that are not reused


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a page on this very machine."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


LIVE = "a live or opaque value"
IN_ITS_OWN = "in a cell of its own|into a cell of its own"

# name: (cells before, the cell, what it does, what would cure it)
NOT_REUSED: dict[str, tuple[str, str, str, str]] = {
    "generator": ("", "g_ = (n for n in range(3))", f"it writes g_, {LIVE} (generator)", "; ."),
    "reads-generator": ("i_ = (n for n in range(9))", "n_ = next(i_)", f"it reads i_, {LIVE} (generator)", ""),
    "socket": ("import socket", "s_ = socket.socket()", f"it writes s_, {LIVE} (socket)", "; ."),
    "handle": ("open('h_.txt', 'w').close()", "h_ = open('h_.txt')", f"it writes h_, {LIVE}", "; ."),
    "thread": (
        "import threading",
        "t_ = threading.Thread(target=len, args=('',))\nt_.start()\nt_.join()",
        f"it writes t_, {LIVE} (Thread)",
        "",
    ),
    "lock": ("import threading", "l_ = threading.Lock()", f"it writes l_, {LIVE} (lock)", "; ."),
    "reads-lock": ("import threading\nl_ = threading.Lock()", "with l_: u_ = 1", f"it reads l_, {LIVE} (lock)", ""),
    "running-thread": (
        "import threading, time\nready_ = threading.Event()",
        "def wait_(): ready_.wait(30)\nthreading.Thread(target=wait_).start()",
        "",
        "",
    ),
    "network": (
        "import urllib.request\naddress_ = 'SERVER'",
        "page_ = urllib.request.urlopen(address_).read()",
        "it uses the network",
        "save what it fetches to a file, in a cell of its own",
    ),
    "network-in-a-function": (
        "import urllib.request\ndef fetch_(): return urllib.request.urlopen('SERVER').read()",
        "page_ = fetch_()",
        "it uses the network",
        "save what it fetches to a file",
    ),
    "clock": ("import time", "now_ = time.time()", "it reads the clock", "read it in a cell of its own"),
    "today": ("from datetime import datetime", "now_ = datetime.now()", "it reads the clock", IN_ITS_OWN),
    "clock-in-a-function": ("import time\ndef stamp_(): return time.time()", "at_ = stamp_()", "the clock", ""),
    "input": (
        "",
        "try:\n    given_ = input('? ')\nexcept Exception:\n    given_ = None",
        "it asks for input (input)",
        IN_ITS_OWN,
    ),
    "shell": ("", "!true", "it runs a shell command (!)", IN_ITS_OWN),
    "shell-output": ("", "listed_ = !echo hi", "it runs a shell command (!)", IN_ITS_OWN),
    "magic": ("", "%time timed_ = 5", "it uses the magic %time", IN_ITS_OWN),
    "cell-magic": ("", "%%time\ntimed_ = 5", "it uses the magic %time", ""),
    "capture": ("", "%%capture\nprint('inside')", "it uses the magic %capture", ""),
    "option": ("", "pd.set_option('display.width', NUMBER)", "it changes settings of pandas", IN_ITS_OWN),
    "style": (
        "import matplotlib.pyplot as plt",
        "plt.style.use(['ggplot', 'classic', 'bmh'][NUMBER % 3])",
        "it changes settings of matplotlib",
        IN_ITS_OWN,
    ),
    "unseeded": ("", "lucky_ = np.random.default_rng().random()", "unseeded randomness", "give it a seed"),
    "secrets": ("import secrets", "drawn_ = secrets.token_hex(3)", "", ""),
    "output": ("", "print('x' * 1_100_000)", "its output is larger than 1 MB", ""),
    "widget": (
        "",
        "display({'application/vnd.jupyter.widget-view+json': {'model_id': 'm'}, 'text/plain': 'w'}, raw=True)",
        "it shows a widget, which is live",
        "",
    ),
    "process": ("import subprocess", "done_ = subprocess.run(['true']).returncode", "it starts another process", ""),
    "environment": ("import os", "os.environ['SET_'] = 'NUMBER'", "it changes the environment variable SET_", ""),
    "folder": ("import os", "os.chdir('..' if NUMBER % 2 else PROJECT)", "it changes the working folder", ""),
    "exec": ("code_ = 'made_ = 1'", "exec(code_)", "it runs code made at run time", ""),
    "star": ("", "from math import *", "it has a star import", "name what it imports"),
    "address": ("", "where_ = id(np)", "it asks for id()", ""),
    "out": ("5", "six_ = _ + 1", "it reads IPython's _", "give the value a name"),
    "dropped": (
        "class Hidden_:\n    def touch(self): pass\nhidden_ = Hidden_()",
        "hidden_.touch()",
        "hidden_.touch(…) drops its value and changed nothing in sight",
        IN_ITS_OWN,
    ),
    "secret": ("", "api_key = 'NUMBER'", "it writes api_key, whose name says that it is secret", IN_ITS_OWN),
    "shown-live": ("", "(n for n in range(2))", f"it shows {LIVE} (generator)", "end its last line with ;"),
    "descriptor": ("import os", "count_ = os.write(1, b'past every stream')", "", ""),
    "original-stream": ("import sys", "count_ = sys.__stdout__.write('past our stream')", "", ""),
    "await": ("import asyncio", "slept_ = await asyncio.sleep(0, 5)", "it awaits", ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", NOT_REUSED)
def test_what_cannot_be_reused_runs_each_time_and_says_why(kernel, server, kind):
    before, cell, what, cure = NOT_REUSED[kind]
    if before:
        kernel.good(before.replace("SERVER", server))
    for number in (0, 1, 0):  # a cell that changes something changes it each time
        text = cell.replace("NUMBER", str(100 + number)).replace("PROJECT", repr(str(kernel.folder)))
        computes(kernel, f"%%track why-{kind}\n{text}")
    sentence = why(kernel, f"why-{kind}")
    if kind == "running-thread":
        kernel.good("ready_.set()")
    assert "; cannot be reused: " in sentence
    reason = sentence.partition("; cannot be reused: ")[2]
    assert what in reason
    assert re.search(cure, reason), f"no cure is named: {reason}"


def test_a_model_fitted_with_what_nobody_seeded_is_not_reused_until_it_is(alone):
    pytest.importorskip("sklearn")
    kernel = alone()
    kernel.good("from sklearn.ensemble import RandomForestRegressor as Forest")
    fit = "%%track fitted\nforest = Forest(2{}).fit([[1], [2], [3]], [1, 2, 3])\nprint(forest.predict([[1.4]]))"
    computes(kernel, fit.format(""))
    computes(kernel, fit.format(""))
    sentence = why(kernel, "fitted")
    assert "cannot be reused: unseeded randomness (the generator of numpy)" in sentence
    assert "np.random.seed(0), or pass random_state=0" in sentence
    first = computes(kernel, fit.format(", random_state=0"))
    assert reuses(kernel, fit.format(", random_state=0")).printed == first.printed


def test_a_cell_that_raises_raises_each_time(kernel):
    cell = "%%track raising_\ntried_ = [1]\nprint('so far')\nraise ValueError('broken')"
    for _ in range(2):
        reply = kernel.run(cell)
        assert reply.error == "ValueError: broken"
        assert reply.printed == "so far\n"
        assert "----> 4 raise ValueError" in re.sub(r"\x1b\[[0-9;]*m", "", reply.traceback)
    assert "cannot be reused: it raised ValueError" in why(kernel, "raising_")


def test_a_refused_input_raises_each_time(kernel):
    for _ in range(2):
        assert "StdinNotImplementedError" in (kernel.run("%%track refused_\nname_ = input('? ')").error or "")
    assert "it raised StdinNotImplementedError" in why(kernel, "refused_")


def test_a_failure_stops_the_cells_behind_it(kernel):
    slowly = "%%track failing_\nimport time\ntime.sleep(1)\n1 / 0"  # the next cell is waiting by then
    failing, behind = kernel.send(slowly), kernel.send("behind_ = 1")
    assert kernel.wait(failing).error == "ZeroDivisionError: division by zero"
    assert kernel.wait(behind).status == "aborted"
    assert kernel.run("behind_").status == "error"


def test_a_cell_that_was_interrupted_runs_again(kernel):
    kernel.good("import time\ndef wait_for_(seconds): time.sleep(seconds)")
    message = kernel.send("%%track stopped_\nprint('now', flush=True)\nwait_for_(60)")
    kernel.wait_for_print(message, "now")
    kernel.interrupt()
    assert kernel.wait(message).status == "error"
    for _ in range(2):
        kernel.run("pass")
    assert "cannot be reused: it was interrupted" in why(kernel, "stopped_")


def test_a_cheap_cell_is_not_stored(alone):
    kernel = alone({"MLMAGIC_REUSE_MIN_SECONDS": ""})
    kernel.good("import numpy as np")
    for _ in range(2):
        computes(kernel, "%%track cheap\ncheap = np.zeros(20_000_000)")  # made sooner than it is written
    assert re.search(
        r"; not kept: computing it took \d+ ms, keeping and loading would take about", why(kernel, "cheap")
    )
    assert not kept(kernel.folder)
    slow = "%%track costly\ntotal = 0\nfor n in range(3_000_000):\n    total += n"
    computes(kernel, slow)
    reuses(kernel, slow)


def test_a_secret_is_never_written_down(alone):
    kernel = alone()
    secret = "s3cr3t-0123456789"
    kernel.good("secret_parts = ['s3cr3t', '0123456789']")
    for _ in range(2):
        kernel.good("api_key = '-'.join(secret_parts)")
        kernel.good("password_length = len(api_key)")
        kernel.good("length = len(api_key)")
        kernel.good("shown_length = [length]")
    reuses(kernel, "shown_length = [length]")
    assert kernel.good("print(length)").printed == f"{len(secret)}\n"
    for path in (kernel.folder / ".mlmagic").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


# Surroundings


ORIGINALS = """
def originals_():
    import os, random, sys
    import numpy.random.bit_generator
    shell = get_ipython()
    parts = [
        sys.stdout.write, sys.stderr.write, shell.display_pub.publish, shell.display_pub.clear_output,
        shell.displayhook.write_format_data, shell.displayhook.start_displayhook, shell.displayhook.finish_displayhook,
        os.urandom, random._urandom, random.seed, numpy.random.bit_generator.randbits, numpy.random.seed,
        *shell.ast_transformers,
    ]
    owners = [sys.stdout, sys.stderr, shell.display_pub, shell.displayhook]
    own = [sorted(name for name in vars(owner) if callable(vars(owner)[name])) for owner in owners]
    return [f"{part.__module__} {type(part).__name__} {getattr(part, '__qualname__', '')}" for part in parts] + own
"""


def test_unloading_takes_every_wrapper_away(alone):
    kernel = alone(load=False)
    kernel.good(ORIGINALS)
    before = kernel.good("originals_()").text
    kernel.good("%load_ext mlmagic")
    cells = ["print('one')\nx = [1]\nx", "import random\nrandom.seed(1)\ny = random.random()", "1 / 0"]
    for cell in [*cells, *cells]:
        kernel.run(cell)
    kernel.good("%reuse")
    assert kernel.good("originals_()").text != before
    kernel.good("%unload_ext mlmagic")
    assert kernel.good("originals_()").text == before
    assert kernel.good("print('one')\nx = [1]\nx").printed == "one\n"


def test_between_cells_nothing_is_wrapped_around_the_outputs(kernel):
    ask = "import sys\nprint(sys.stdout.write.__module__, 'publish' in vars(get_ipython().display_pub))"
    assert kernel.good(ask).printed == "mlmagic.session.outputs True\n"
    assert kernel.run(ask, silent=True, store_history=False).printed == "IPython.core.interactiveshell False\n"


def test_a_notebook_without_cell_ids_is_reused(run_cells, keeping_all, tmp_path):
    cells = [
        "%load_ext mlmagic",
        "%%track numbers\nnumbers = list(range(10))\nprint('made')",
        "%%track total\ntotal = sum(numbers)\ntotal",
    ]
    first, again = (run_cells(cells, cwd=tmp_path, env=keeping_all) for _ in range(2))
    for cell, repeated in zip(first.cells[1:], again.cells[1:], strict=True):
        told = repeated.outputs[-1]
        assert QUIET.fullmatch(told["data"]["text/plain"])
        assert repeated.outputs[:-1] == cell.outputs


def test_a_cell_inside_capture_runs_and_is_captured(kernel):
    for _ in range(2):
        reply = kernel.good("%%track captured_\n%%capture taken_\nprint('inside')\ndisplay('shown')")
        assert reply.outputs == []
        assert kernel.good("print(repr(taken_.stdout), len(taken_.outputs))").printed == "'inside\\n' 1\n"


def test_silent_requests_do_not_take_part(kernel):
    kernel.good("unheard_ = [1]")
    reply = kernel.run("unheard_ = [1]", silent=True, store_history=False)
    assert reply.outputs == []
    assert kernel.good("print(unheard_)").printed == "[1]\n"
