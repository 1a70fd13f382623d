"""The panel's comms, spoken to as a page would: marks, deltas, sizes, commands beside a running cell, reconnecting."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient

from mlmagic.panel.wire import COMMANDS, HELLO, LARGEST, PANEL, VERSION
from mlmagic.store import Store
from tests.kernel.kernels import LOAD, Kernel, Rows, until

ALL = ["lineage", "reuse", "sweeps", "checks", "endpoints"]


class Page:
    """What one page knows: the state that it folds from pushes, and its own two comms on threads of their own."""

    def __init__(self, kernel: Kernel, *sections: str) -> None:
        self.kernel = kernel
        self.pushes: list[dict[str, Any]] = []
        self.replies: dict[str, dict[str, Any]] = {}
        self.closed: list[str] = []
        self.state: dict[str, Any] = {}
        self.comms = {COMMANDS: uuid.uuid4().hex, PANEL: uuid.uuid4().hex}
        self.threads = {target: subshell(kernel) for target in self.comms}
        self.client = BlockingKernelClient()  # not the manager's: two clients of one session are one to the kernel
        self.client.load_connection_info(kernel._manager.get_connection_info())
        self.client.start_channels(shell=True, iopub=True, stdin=False, hb=False, control=False)
        time.sleep(0.2)  # a subscription takes a moment, and tells nobody when it is there
        self.send(COMMANDS, "comm_open", {})
        self.send(PANEL, "comm_open", {"type": "showing", "sections": list(sections)})
        self.until(lambda: bool(self.state))

    def send(self, target: str, kind: str, data: dict[str, Any]) -> None:
        content = {"comm_id": self.comms[target], "data": data}
        if kind == "comm_open":
            content["target_name"] = target
        message = self.client.session.msg(kind, content)
        message["header"]["subshell_id"] = self.threads[target]
        self.client.shell_channel.send(message)

    def show(self, *sections: str, timeout: float = 20) -> None:
        """Show other sections, and wait for the snapshot that answers."""
        before = self.snapshots
        self.send(PANEL, "comm_msg", {"type": "showing", "sections": list(sections)})
        self.until(lambda: self.snapshots > before, timeout)

    @property
    def snapshots(self) -> int:
        return sum(push["type"] == "snapshot" for push in self.pushes)

    def ask(self, command: str, timeout: float = 20, **rest: str) -> dict[str, Any]:
        key = self.begin_asking(command, **rest)
        self.until(lambda: key in self.replies, timeout)
        return self.replies[key]

    def begin_asking(self, command: str, **rest: str) -> str:
        key = uuid.uuid4().hex
        self.send(COMMANDS, "comm_msg", {"id": key, "command": command, **rest})
        return key

    def close(self) -> None:
        for target in self.comms:
            self.send(target, "comm_close", {})
        self.client.stop_channels()

    # -- reading ------------------------------------------------------------------------------

    def until(self, condition: Callable[[], bool], timeout: float = 20) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, self.pushes[-3:]
            self.read(0.1)

    def read(self, wait: float) -> None:
        """Take in what comes within `wait` seconds, or is there already."""
        while self.client.iopub_channel.socket.poll(wait * 1000):
            message = self.client.get_iopub_msg(timeout=1)
            wait = 0
            if message["content"].get("comm_id") not in self.comms.values():
                continue
            if message["msg_type"] == "comm_close":
                self.closed.append(message["content"]["comm_id"])
            elif message["content"]["comm_id"] == self.comms[PANEL]:
                self.fold(message["content"]["data"])
            else:
                reply = message["content"]["data"]
                self.replies[reply["id"]] = reply

    def fold(self, push: dict[str, Any]) -> None:
        """As `labextension/src/model.ts` does it."""
        self.pushes.append(push)
        if push["type"] == "snapshot":
            self.state = {**push, "cells": {}, "nodes": {}, "edges": set(), "more": push.get("more", 0)}
        else:
            assert push["seq"] == self.state["seq"] + 1
        state = self.state
        state["seq"], state["running"] = push["seq"], push["running"]
        for kind in ("cells", "nodes"):
            state[kind].update({row["id"]: row for row in push.get(kind, ())})
        for name in push.get("gone", ()):
            state["nodes"].pop(name, None)
            state["edges"] = {edge for edge in state["edges"] if name not in edge}
        state["edges"] |= {tuple(edge) for edge in push.get("edges", ())}
        state["edges"] -= {tuple(edge) for edge in push.get("cut", ())}
        state.update({name: push[name] for name in ("reuse", "sweeps", "checks", "endpoints", "more") if name in push})

    # -- asking the state ---------------------------------------------------------------------

    def mark(self, cell: str) -> dict[str, Any]:
        return dict(self.state["cells"].get(cell, {}))

    def until_ran(self, cell: str, timeout: float = 20) -> dict[str, Any]:
        """The mark of a cell that has ended, once the push of its end is there."""
        self.until(
            lambda: self.state["running"] is None and self.mark(cell).get("status", "running") != "running", timeout
        )
        return self.mark(cell)

    def run(self, cell: str, code: str, **options: Any) -> dict[str, Any]:
        """Run a cell as this page's front end would; its mark."""
        before = self.mark(cell).get("execution")
        self.kernel.run(code, cell_id=cell, **options)
        self.until(lambda: self.mark(cell).get("execution") not in (None, before) and self.state["running"] is None)
        return self.mark(cell)


def subshell(kernel: Kernel) -> str:
    """A thread of its own for a comm, as JupyterLab asks for one."""
    message = kernel.client.session.msg("create_subshell_request", {})
    kernel.client.control_channel.send(message)
    while True:
        reply = kernel.client.get_control_msg(timeout=20)
        if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            return str(reply["content"]["subshell_id"])


@pytest.fixture
def page(new_kernel):
    """A page on a tracked kernel of its own that shows only the marks."""
    shown = Page(new_kernel())
    yield shown
    shown.client.stop_channels()


@pytest.fixture
def pages(new_kernel):
    """`pages(kernel, *sections)`: more pages, closed with the test."""
    opened: list[Page] = []

    def open_page(kernel: Kernel, *sections: str) -> Page:
        opened.append(Page(kernel, *sections))
        return opened[-1]

    yield open_page
    for one in opened:
        one.client.stop_channels()


def comms(kernel: Kernel) -> dict[str, list[str]]:
    """The kernel's open comms by target."""
    message = kernel.client.comm_info()
    while True:
        reply = kernel.client.get_shell_msg(timeout=20)
        if reply["parent_header"].get("msg_id") == message:
            found: dict[str, list[str]] = {}
            for key, one in reply["content"]["comms"].items():
                found.setdefault(one["target_name"], []).append(key)
            return found


def weight(push: dict[str, Any]) -> int:
    return len(json.dumps(push, ensure_ascii=False).encode())


# -- marks ---------------------------------------------------------------------------------------------


def test_a_page_is_greeted_with_the_session_so_far(new_kernel, pages):
    kernel = new_kernel()
    kernel.good("a = 1", cell_id="one")
    page = pages(kernel)
    first = page.pushes[0]
    assert (first["type"], first["version"], first["seq"], first["running"]) == ("snapshot", VERSION, 1, None)
    assert page.mark("one")["status"] == "ok"
    assert page.mark("one")["line"] == "a = 1"
    assert "nodes" not in first
    assert "sweeps" not in first


def test_a_cell_is_marked_while_it_runs_and_when_it_is_over(page):
    sent = page.kernel.send("import time; time.sleep(1)", cell_id="slow")
    page.until(lambda: page.state["running"] == "slow")
    assert page.mark("slow")["status"] == "running"
    page.kernel.wait(sent)
    assert page.until_ran("slow")["seconds"] > 0.9
    assert len(page.pushes) == 3  # the snapshot, its beginning, its end


def test_a_cell_is_stale_once_what_it_read_is_another_and_so_is_what_came_of_it(page):
    page.run("one", "x = 1")
    page.run("two", "y = x + 1")
    page.run("three", "z = y + 1")
    assert [page.mark(cell)["stale"] for cell in ("one", "two", "three")] == [None, None, None]
    count = page.run("one", "x = 2")["count"]
    assert page.mark("two")["stale"] == f"x changed in cell [{count}]"
    assert page.mark("three")["stale"] == f"cell [{page.mark('two')['count']}] that made y is stale"
    page.run("two", "y = x + 1")
    assert page.mark("two")["stale"] is None
    assert "y changed in" in page.mark("three")["stale"]
    page.run("three", "z = y + 1")
    assert page.mark("three")["stale"] is None


def test_an_error_an_interrupt_and_a_reused_result_have_marks_of_their_own(page):
    assert page.run("bad", "1 / 0")["status"] == "error"
    assert page.run("kept", "%%track kept\nimport time; time.sleep(0.5); big = 5")["status"] == "ok"
    mark = page.run("kept", "%%track kept\nimport time; time.sleep(0.5); big = 5")
    assert (mark["status"], mark["name"]) == ("reused", "kept")
    assert mark["saved"] > 0.3
    sent = page.kernel.send("time.sleep(30)", cell_id="long")
    page.until(lambda: page.state["running"] == "long")
    page.kernel.interrupt()
    page.kernel.wait(sent)
    assert page.until_ran("long")["status"] == "interrupted"


def test_a_result_that_cannot_be_reused_says_why_and_a_cheap_one_is_no_trouble(page):
    mark = page.run("out", "%%track --reuse\nimport time; time.sleep(0.3); shell = !echo 1")
    assert mark["unkept"]
    assert page.run("cheap", "%%track --reuse\ncheap = 1")["unkept"] is None
    assert page.run("plain", "import time; time.sleep(0.3); other = !echo 1")["unkept"] is None


def test_a_failing_check_is_marked_on_the_cell_that_made_the_model(page):
    page.run("data", "import pandas as pd\nX = pd.DataFrame({'size': [1.0, 2.0, 3.0]})")
    page.run("model", "def model(rows): return rows['size'].to_numpy()")
    rule = "%%assertion small --on model\ndef small(inputs, outputs):\n    return outputs > 2"
    page.run("rule", rule)
    assert page.mark("model")["failed"] == []
    page.run("check", "%assertions run model X")
    assert page.mark("model")["failed"] == ["small"]
    page.run("model", "def model(rows): return 0 * rows['size'].to_numpy()")
    assert page.mark("model")["failed"] == []
    page.show("checks")
    page.until(lambda: bool(page.state.get("checks")))
    (check,) = page.state["checks"]
    assert (check["name"], check["state"]) == ("small", "bad")


# -- the graph -----------------------------------------------------------------------------------------


def test_the_graph_keeps_its_rows_and_follows_what_cells_read(page):
    (page.kernel.folder / "data.csv").write_text("a\n1\n")
    page.show("lineage")
    page.run("load", "import csv\nrows = list(csv.reader(open('data.csv')))")
    page.run("use", "n = len(rows)")
    assert page.state["edges"] >= {
        ("f:data.csv", "c:load"), ("c:load", "v:rows"), ("v:rows", "c:use"), ("c:use", "v:n")
    }  # fmt: skip
    assert "v:csv" not in page.state["nodes"]
    places = {name: node["row"] for name, node in page.state["nodes"].items()}
    assert places["f:data.csv"] < places["c:load"] < places["v:rows"] < places["c:use"] < places["v:n"]
    page.run("use", "n = 3")
    assert ("v:rows", "c:use") not in page.state["edges"]
    page.run("gone", "del rows")
    assert "v:rows" not in page.state["nodes"]
    assert {name: page.state["nodes"][name]["row"] for name in ("c:load", "v:n")} == {
        "c:load": places["c:load"], "v:n": places["v:n"]
    }  # fmt: skip


def test_sections_that_are_not_shown_are_not_told(page):
    page.run("one", "x = 1")
    told = set().union(*page.pushes)
    assert not told & {"nodes", "edges", "reuse", "sweeps", "checks", "endpoints"}
    page.show(*ALL)
    page.until(lambda: all(name in page.state for name in ("reuse", "sweeps", "checks", "endpoints")))
    assert page.state["sweeps"] == page.state["endpoints"] == []
    assert "v:x" in page.state["nodes"]
    assert page.state["reuse"]["mode"] == "auto"
    page.show()
    before = len(page.pushes)
    page.run("two", "y = x")
    assert not set().union(*page.pushes[before:]) & {"nodes", "edges", "reuse", "sweeps", "checks", "endpoints"}


# -- commands ------------------------------------------------------------------------------------------


def test_commands_say_what_the_magics_say(page):
    page.run("one", "x = 1")
    page.run("two", "y = x + 1")
    lineage = page.ask("lineage", target="y")
    assert lineage["text"] == page.kernel.good("%lineage y").text
    assert "<svg" in lineage["html"]
    assert page.ask("slice", target="y")["text"] == page.kernel.good("%slice y").text
    assert "not under %%track" in page.ask("explain", cell="two")["text"]
    assert "1 page is connected" in page.ask("doctor")["text"]


@pytest.mark.parametrize(
    ("command", "rest", "error"),
    [
        ("lineage", {"target": "nothing_like_it"}, "no variable, cell or file 'nothing_like_it'"),
        ("lineage", {}, "lineage needs a target"),
        ("explain", {"cell": "unknown"}, "no cell 'cell:unknown'"),
        ("linage", {"target": "x"}, "did you mean 'lineage'?"),
        ("cancel", {}, "no cell is running"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_one_line(shared_page, command, rest, error):
    reply = shared_page.ask(command, **rest)
    assert error in reply["error"]
    assert "\n" not in reply["error"]


@pytest.fixture(scope="module")
def shared_page(kernel):
    shown = Page(kernel)
    yield shown
    shown.client.stop_channels()


def test_commands_and_sections_are_served_beside_a_running_cell(page):
    page.run("one", "import time, pandas\nx = 1")
    page.show(*ALL)
    page.until(lambda: "endpoints" in page.state)
    sent = page.kernel.send("for _ in range(100): time.sleep(0.1)", cell_id="long")
    page.until(lambda: page.state["running"] == "long")
    page.show("lineage", timeout=5)
    assert "x" in page.ask("lineage", target="x", timeout=5)["text"]
    assert "doctor" not in page.ask("doctor", timeout=5).get("error", "")
    assert page.state["running"] == "long"
    started = time.monotonic()
    assert "interrupted" in page.ask("cancel", timeout=5)["text"]
    reply = page.kernel.wait(sent)
    assert time.monotonic() - started < 5
    assert reply.status == "error"
    assert page.until_ran("long")["status"] == "interrupted"
    assert page.kernel.good("1 + 1").text == "2"


def test_a_cell_is_recorded_the_same_while_a_page_comes_and_asks(new_kernel, pages, tmp_path):
    """What the panel reads and loads meanwhile is no part of the cell, also where the project has another name."""
    kernel = new_kernel(env={"MLMAGIC_HOME": str(tmp_path / "history")})
    sent = kernel.send("import time, random\nrandom.seed(1)\ntime.sleep(3)\nx = random.random()", cell_id="one")
    page = pages(kernel)
    assert page.state["running"] == "one"
    page.show(*ALL)
    asked = [page.begin_asking("lineage", target="x"), page.begin_asking("doctor")]
    kernel.wait(sent)
    page.until_ran("one")
    page.until(lambda: asked[0] in page.replies and asked[1] in page.replies and "sweeps" in page.state)
    store = Store(tmp_path / "history")
    rows = Rows(store.history())
    store.close()
    cell = rows.with_source("random.seed(1)")
    assert rows.writes(cell) == {"x": "bind", "time": "bind", "random": "bind"}
    assert rows.writes(cell, "random") == {"random": "mutate"}
    assert rows.writes(cell, "file") == rows.writes(cell, "module") == rows.writes(cell, "environment") == {}
    assert rows.reads(cell, None) == set()
    assert kernel.good("x").text == "0.13436424411240122"


def test_what_fails_in_the_panel_is_told_once_and_no_cell_knows_of_it(page):
    page.run("one", "x = 1")
    page.kernel.good("get_ipython()._mlmagic.panel._feed.flush = lambda *given: 1 / 0")
    for number in range(3):
        assert page.kernel.good(f"y = {number}", cell_id="two").outputs == []
    told = "'; '.join(line for line in get_ipython()._mlmagic.session._told if 'panel' in line)"
    assert until(lambda: page.kernel.good(told).text == "'the panel could not be told something '")
    assert page.kernel.good("y").text == "2"
    assert page.kernel.rows().last.source == "y"


# -- coming and going ----------------------------------------------------------------------------------


def test_two_pages_are_told_the_same(page, pages):
    other = pages(page.kernel, "lineage")
    page.run("one", "x = 1")
    other.until_ran("one")
    assert other.mark("one") == page.mark("one")
    assert "v:x" in other.state["nodes"]
    assert page.state["nodes"] == {}
    other.close()
    page.run("two", "y = 1")
    other_pushes = len(other.pushes)
    assert until(lambda: len(comms(page.kernel).get(PANEL, ())) == 1)
    assert len(other.pushes) == other_pushes


def test_a_page_that_missed_something_is_told_all_again(page):
    page.run("one", "x = 1")
    page.show()
    assert page.mark("one")["line"] == "x = 1"
    page.run("two", "y = 1")  # whose push follows on the snapshot's number


def test_without_a_page_nothing_is_held_and_nothing_is_sent(new_kernel, pages):
    kernel = new_kernel()
    assert kernel.good("a = 1", cell_id="one").comms == []
    asked = "import sys; ' '.join(sorted(name for name in sys.modules if name.startswith('mlmagic.panel.')))"
    names = [f"mlmagic.panel.{name}" for name in ("cancel", "desk", "panel", "wire")]
    assert kernel.good(asked).text == repr(" ".join(names))  # nothing else was loaded
    page = pages(kernel)
    page.run("two", "b = 1")
    page.close()
    state = "get_ipython()._mlmagic.panel._feed._state is None, get_ipython()._mlmagic.session.pages"
    assert until(lambda: kernel.good(state).text == "(True, 0)")


def test_of_pages_that_went_without_a_word_only_the_last_are_kept(new_kernel, pages):
    kernel = new_kernel()
    opened = [pages(kernel) for _ in range(10)]
    assert until(lambda: len(comms(kernel)[PANEL]) == 8)
    opened[-1].run("one", "x = 1")
    opened[0].read(0.5)
    assert opened[0].mark("one") == {}
    assert opened[0].comms[PANEL] in opened[0].closed


def test_hello_says_that_the_extension_is_there_until_it_is_unloaded(page):
    assert len(comms(page.kernel)[HELLO]) == 1
    page.kernel.good("%unload_ext mlmagic")
    page.until(lambda: set(page.closed) == set(page.comms.values()))
    assert not {HELLO, PANEL, COMMANDS} & comms(page.kernel).keys()
    assert page.kernel.good("y = 1").complaints == ""
    page.kernel.good(LOAD)
    assert len(comms(page.kernel)[HELLO]) == 1


def test_a_restarted_kernel_begins_without_marks_and_with_the_lists(page, pages):
    page.run("one", "x = 1")
    body = "%%sweep tiny --minimize loss --trials 2 --sampler random\nvalue = sweep.float(0, 1)\nloss = value * x"
    page.run("sweep", body, timeout=90)
    page.show("sweeps")
    page.until(lambda: bool(page.state.get("sweeps")))
    (before,) = page.state["sweeps"]
    assert (before["name"], before["state"], before["cell"]) == ("tiny", "good", "sweep")
    assert before["picture"].startswith("<svg")
    page.kernel.restart()
    after = pages(page.kernel, "sweeps")
    after.until(lambda: bool(after.state.get("sweeps")))
    assert "one" not in after.state["cells"]
    assert [one["name"] for one in after.state["sweeps"]] == ["tiny"]


def test_cancelling_a_sweep_lets_its_trials_end_and_cancelling_again_does_not(page):
    page.show("sweeps")
    body = (
        "%%sweep long --minimize loss --trials 500 --workers 1 --sampler random\n"
        "import time\ntime.sleep({})\nloss = sweep.float(0, 1)"
    )
    sent = page.kernel.send(body.format(0.2), cell_id="sweep")
    page.until(lambda: any(one["state"] == "running" for one in page.state.get("sweeps", ())), 40)
    assert "stops when the trials" in page.ask("cancel")["text"]
    page.kernel.wait(sent)
    page.until(lambda: [one["state"] for one in page.state["sweeps"]] == ["warn"])
    assert "stopped" in page.state["sweeps"][0]["text"]
    sent = page.kernel.send(body.format(60), cell_id="sweep")
    page.until(lambda: any(one["state"] == "running" for one in page.state["sweeps"]), 40)
    page.ask("cancel")
    assert "interrupted" in page.ask("cancel")["text"]
    page.kernel.wait(sent, timeout=30)


# -- sizes ---------------------------------------------------------------------------------------------


def test_pushes_stay_small_for_300_cells_and_wide_data(new_kernel, pages):
    kernel = new_kernel()
    page = pages(kernel, *ALL)
    many = "\n".join(f"name_number_{number} = {number}" for number in range(300))
    page.run("wide", many)
    page.run("reads", f"total = sum([{', '.join(f'name_number_{number}' for number in range(300))}])")
    long_line = "value = " + " + ".join(["0"] * 300)
    for number in range(300):
        last = kernel.send(f"made_{number} = name_number_{number}\n{long_line}", cell_id=uuid.uuid4().hex)
        if number % 50 == 49:  # a socket holds a thousand messages that nobody reads, and drops the others
            kernel.wait(last)
            page.read(0.2)
    page.until(lambda: len(page.state["cells"]) == 303 and page.state["running"] is None, 60)  # one loaded us
    page.run("wide", many.replace("= ", "= 1 + "))  # now 301 cells are stale
    page.until(lambda: sum(row["stale"] is not None for row in page.state["cells"].values()) == 301)
    again = pages(kernel, *ALL)
    again.until(lambda: len(again.state["cells"]) == 303 and len(again.state["edges"]) == len(page.state["edges"]))
    assert again.state["cells"] == page.state["cells"]
    assert again.state["nodes"] == page.state["nodes"]
    assert again.state["edges"] == page.state["edges"]
    assert max(map(weight, page.pushes + again.pushes)) <= LARGEST


# -- where there is no page ----------------------------------------------------------------------------


def test_a_headless_run_shows_nothing_of_the_panel(run_cells):
    book = run_cells([LOAD, "x = 1", "import asyncio\nawait asyncio.sleep(0.1)", "%unload_ext mlmagic"])
    assert [cell.outputs for cell in book.cells] == [[], [], [], []]
    assert "widgets" not in book.metadata


@pytest.mark.parametrize("code", ["await asyncio.sleep(30)", "time.sleep(30)"])
def test_a_cell_that_only_waits_is_cancelled_at_once(page, code):
    sent = page.kernel.send(f"import asyncio, time\nprint('here', flush=True)\n{code}", cell_id="waits")
    page.kernel.wait_for_print(sent, "here")  # an interrupt before the cell's own code would find IPython at work
    assert "interrupted" in page.ask("cancel")["text"]
    page.kernel.wait(sent, timeout=10)
    assert page.until_ran("waits")["status"] == "interrupted"
    assert page.mark("waits")["seconds"] < 10
