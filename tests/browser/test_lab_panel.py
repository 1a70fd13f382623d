"""The panel and the marks in JupyterLab, in a real Chromium: every section and mark, and what kernels go through."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

BUILT = Path(__file__).parents[2] / "mlmagic" / "labextension"
INSTALLED = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / "mlmagic" / "package.json"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not INSTALLED.exists(), reason="the panel is not built and installed (it needs Node)"),
]

IDLE = "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme: `JupyterLab ${theme}`})"
CONTENT = "window.jupyterapp.shell.currentWidget.content"
CELLS = f"{CONTENT}.widgets"
MARKS = f"() => {CELLS}.map(cell => cell.node.dataset.mlmagicMark ?? null)"


def book_of(cells: list[str], kernel: str = "python3") -> Any:
    made = [nbformat.v4.new_code_cell(text, id=f"cell-{number}") for number, text in enumerate(cells)]
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    return nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec})


class Desk:
    """JupyterLab in a page, as a person uses it."""

    def __init__(self, lab: Any, page: Any) -> None:
        self.lab, self.page = lab, page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self._note(f"{error} {error.stack}"))
        page.on(
            "console",
            lambda line: self.problems.append(f"{line.text} {line.location}") if line.type == "error" else None,
        )

    def _note(self, error: str) -> None:
        """Keep an error, but for one of JupyterLab's own: it may take its splash screen away twice."""
        if not ("removeChild" in error and "/static/lab/jlab_core" in error):
            self.problems.append(error)

    def write(self, cells: list[str], name: str = "book", kernel: str = "python3") -> None:
        nbformat.write(book_of(cells, kernel), self.lab.folder / f"{name}.ipynb")

    def open(self, name: str = "book", reset: bool = True) -> Desk:
        self.page.set_viewport_size({"width": 1150, "height": 850})
        query = "&reset" if reset else ""
        self.page.goto(f"{self.lab.url}/lab/tree/{name}.ipynb?token={self.lab.token}{query}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function(IDLE, timeout=60_000)
        self.problems.clear()  # what JupyterLab itself says while it starts
        return self

    def show(self, section: str = "Lineage") -> Any:
        """The open panel, at this section."""
        self.command("mlmagic:open-panel")
        panel = self.page.locator("#mlmagic-panel")
        panel.wait_for(state="visible")
        panel.get_by_role("tab", name=section).click()
        return panel

    def command(self, name: str, wait: bool = False, **arguments: Any) -> None:
        ask = f"window.jupyterapp.commands.execute('{name}', {json.dumps(arguments)})"
        self.page.evaluate(f"() => {{ {'return' if wait else 'void'} {ask} }}")

    def run(self, *numbers: int, wait: bool = True) -> None:
        """Run these cells, one after the other; all without numbers."""
        if not numbers:
            self.command("notebook:run-all-cells", wait=wait)
        for number in numbers:
            self.choose(number)
            self.command("notebook:run-cell", wait=wait)

    def choose(self, number: int) -> None:
        self.page.evaluate(f"() => {{ {CONTENT}.activeCellIndex = {number} }}")

    def edit(self, number: int, text: str) -> None:
        self.page.evaluate(f"text => {CELLS}[{number}].model.sharedModel.setSource(text)", text)

    def kill(self) -> None:
        """End the kernel's process as the system does where memory is short."""
        self.edit(2, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
        self.run(2, wait=False)

    def marks(self, expected: list[str | None], seconds: float = 30) -> None:
        """Wait until the cells have these marks."""
        try:
            same = f"wanted => JSON.stringify(({MARKS})()) === wanted"
            wanted = json.dumps(expected, separators=(",", ":"))
            self.page.wait_for_function(same, arg=wanted, timeout=seconds * 1000)
        except Exception:
            self.picture("panel-failed")
            assert self.page.evaluate(MARKS) == expected
            raise

    def story(self, number: int) -> str:
        """What a mark tells a screen reader."""
        return str(self.page.evaluate(f"() => {CELLS}[{number}].node.getAttribute('aria-description')"))

    def picture(self, name: str) -> None:
        """Keep a screenshot where MLMAGIC_SCREENSHOTS names a folder, to be looked at."""
        if folder := os.environ.get("MLMAGIC_SCREENSHOTS"):
            self.page.wait_for_timeout(300)
            self.page.screenshot(path=f"{folder}/{name}.png")

    def light_and_dark(self, name: str) -> None:
        for theme in ("Dark", "Light"):
            self.page.evaluate(THEME, theme)
            self.page.wait_for_function(f"() => document.body.dataset.jpThemeName === 'JupyterLab {theme}'")
            self.picture(f"{name}-{theme.lower()}")


@pytest.fixture
def desk(lab, browser_page) -> Any:
    desk = Desk(lab, browser_page)
    yield desk
    assert browser_page.outside == []
    assert desk.problems == []


# A kernel side that says what the test wants: for states that take a kernel hours, or a foe.

FAKE = """
import comm, json
said = json.loads({said!r})
pages = []

def opened(page, message):
    pages.append(page)
    page.on_msg(lambda message: page.send(said))
    page.send(said)

def asked(page, message):
    page.on_msg(lambda message: page.send({{"id": message["content"]["data"]["id"], "text": "as told"}}))

comm.get_comm_manager().register_target("mlmagic.panel", opened)
comm.get_comm_manager().register_target("mlmagic.commands", asked)
hello = comm.create_comm(target_name="mlmagic.hello")
"""


def snapshot(**more: Any) -> dict[str, Any]:
    empty = {"nodes": [], "edges": [], "sweeps": [], "checks": [], "endpoints": [], "cells": []}
    fixed = {"type": "snapshot", "version": 1, "seq": 1, "session": "s", "mlmagic": "0", "running": None}
    return fixed | empty | more


def test_the_bundle_is_small():
    assert sum(file.stat().st_size for file in (BUILT / "static").glob("*.js")) < 500_000


def cell(number: int, **more: Any) -> dict[str, Any]:
    fixed = {
        "id": f"cell-{number}",
        "execution": f"e{number}",
        "count": number + 1,
        "name": None,
        "line": f"x{number} = 1",
    }
    rest = {"status": "ok", "seconds": 1.5, "saved": 0, "stale": None, "unkept": None, "failed": [], "source_hash": ""}
    return fixed | rest | more


def item(name: str, state: str, **more: Any) -> dict[str, Any]:
    fixed = {
        "id": name,
        "name": name,
        "state": state,
        "word": f"is {state}",
        "text": f"{name} in a sentence",
        "details": ["one", "two"],
        "cell": "cell-0",
    }
    return fixed | more


FOE = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="200" height="60"
 role="img" aria-label="A picture" onload="window.foe = 1">
<script>window.foe = 2</script><style>@import url(http://foe.invalid/style.css);</style>
<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><img src="x" onerror="window.foe = 3"/></body></foreignObject>
<a xlink:href="javascript:window.foe = 4">
<rect width="90" height="40" fill="currentColor" onclick="window.foe = 5"/></a>
<image href="http://foe.invalid/picture.png"/>
<rect x="100" width="90" height="40" style="fill: url(http://foe.invalid/f)"/>
</svg>"""


def test_marks_and_lists_say_in_words_what_they_show_and_a_picture_runs_nothing(desk: Desk):
    states = ["good", "bad", "warn", "running", "past"]
    said = snapshot(
        running="cell-8",
        cells=[
            cell(1),
            cell(2, status="reused", saved=41.2),
            cell(3, stale="x1 changed in cell [2]"),
            cell(4, unkept="it reads the clock"),
            cell(5, failed=["plausible_size"]),
            cell(6, status="error"),
            cell(7),
        ],
        checks=[item(f"rule_{state}", state, picture=FOE) for state in states],
    )
    desk.write([FAKE.format(said=json.dumps(said)), *(f"x{number} = 1\ny = 2" for number in range(1, 9))])
    panel = desk.open().show("Checks")
    desk.run(0)
    desk.edit(7, "x7 = 3")
    desk.run(7)
    desk.edit(7, "x7 = 4")
    desk.marks([None, "ran", "reused", "stale", "unkept", "failed", "error", "edited", "running"])
    assert desk.story(2) == "Reused, saved 41 s."
    assert desk.story(3) == "Ran in 1.5 s. Stale: x1 changed in cell [2]."
    assert desk.story(4) == "Ran in 1.5 s. Not reusable: it reads the clock."
    assert desk.story(5) == "Ran in 1.5 s. Check failed: plausible_size."
    assert "Edited since it ran" in desk.story(7)
    tooltip = desk.page.locator(".jp-Notebook .jp-Cell").nth(2).locator(".jp-InputPrompt").get_attribute("title")
    assert tooltip == "Reused, saved 41 s."

    entries = panel.locator(".mlmagic-entry")
    entries.nth(4).wait_for()
    for word, glyph, entry in zip(
        ["is good", "is bad", "is warn", "is running", "is past"], "✓✗!…–", entries.all(), strict=True
    ):
        assert entry.locator(".mlmagic-state").inner_text() == f"{glyph} {word}"
    entries.first.locator("summary").click()
    entries.first.get_by_role("img", name="A picture").wait_for()
    assert entries.first.locator("script, foreignObject, image, [onload], [onclick], [href]").count() == 0
    entries.first.locator("rect").first.click(force=True)
    assert desk.page.evaluate("() => window.foe") is None
    desk.light_and_dark("panel-marks")

    desk.command("settingeditor:open", query="Marks on cells")
    desk.page.get_by_role("checkbox", name="Marks on cells").uncheck()
    desk.page.wait_for_function(f"() => ({MARKS})().every(mark => mark === null)")


def test_two_thousand_nodes_stay_usable(desk: Desk):
    count = 2000
    cells = [
        {"id": f"n{n}", "kind": "cell" if n % 2 == 0 else "variable", "label": f"x{n}", "cell": "cell-1", "row": n}
        for n in range(count)
    ]
    edges = [[f"n{n - 1}", f"n{n}"] for n in range(1, count)] + [["n1", f"n{n}"] for n in range(2, count, 2)]
    desk.write([FAKE.format(said=json.dumps(snapshot(nodes=cells, edges=edges, cells=[cell(1)]))), "x1 = 1"])
    panel = desk.open().show()
    desk.run(0)
    graph = panel.get_by_role("listbox")
    panel.locator("[data-node=n0]").wait_for()
    assert panel.locator("*").count() < 900
    graph.focus()
    desk.page.keyboard.press("End")
    panel.locator("[data-node=n1999][aria-selected=true]").wait_for()
    assert panel.locator(".mlmagic-node").count() < 60
    assert "1999 upstream, 0 downstream" in panel.locator(".mlmagic-about").inner_text()
    panel.get_by_role("searchbox").fill("x1234")
    panel.locator("[data-node=n1234][data-found]").wait_for()
    desk.page.keyboard.press("Enter")
    panel.locator("[data-node=n1234][aria-selected=true]").wait_for()
    assert panel.locator("*").count() < 900
    desk.light_and_dark("panel-2000")


# The real kernel side.

LOAD = "%load_ext mlmagic\n%config MLMagic.reuse_min_seconds = 0"
WORK = [
    LOAD,
    "import time\nlimit = 3",
    "%%track slow --reuse\ntime.sleep(1.2)\nrows = [n * limit for n in range(5)]",
    "total = sum(rows)",
    "twice = 2 * total",
    "alone = 'nobody reads this'",
    "%%track clock --reuse\nnow = time.time()",
]
RAN = ["ran", "ran", "ran", "ran", "ran", "ran", "unkept"]


def test_marks_lineage_and_the_ledger_follow_what_runs(desk: Desk):
    desk.write(WORK)
    panel = desk.open().show()
    desk.run()
    desk.marks(RAN)
    desk.run(2)
    desk.marks(["ran", "ran", "reused", "ran", "ran", "ran", "unkept"])
    assert desk.story(2).startswith("Reused, saved 1.")
    assert "time.time" in desk.story(6)

    graph = panel.get_by_role("listbox")
    total = graph.get_by_role("option", name="variable total · int")
    total.click()
    for name, way in {
        "variable rows": "up",
        "variable limit": "up",
        "variable twice": "down",
        "variable alone": None,
    }.items():
        assert graph.get_by_role("option", name=name).get_attribute("data-way") == way
    assert "made in [4]" in panel.locator(".mlmagic-about").inner_text()
    assert "upstream" in graph.get_by_role("option", name="variable limit").get_attribute("aria-label")
    assert desk.page.locator(".jp-Notebook .jp-Cell").nth(3).get_attribute("class").count("jp-mod-active")
    graph.focus()
    desk.page.keyboard.press("ArrowRight")
    graph.locator("[aria-selected=true]", has_text="twice").wait_for()
    before = {
        name: graph.get_by_role("option", name=name).bounding_box() for name in ("variable rows", "variable twice")
    }
    desk.light_and_dark("panel-lineage")

    desk.edit(1, "import time\nlimit = 4")
    desk.marks(["ran", "edited", "reused", "ran", "ran", "ran", "unkept"])
    desk.edit(1, "import time\nlimit = 3")
    desk.marks(["ran", "ran", "reused", "ran", "ran", "ran", "unkept"])
    desk.edit(1, "import time\nlimit = 4")
    desk.run(1)
    desk.marks(["ran", "ran", "stale", "stale", "stale", "ran", "unkept"])
    assert "limit changed in cell [" in desk.story(2)
    assert {name: graph.get_by_role("option", name=name).bounding_box() for name in before} == before

    counts = f"() => {CELLS}.map(cell => cell.model.executionCount)"
    old = desk.page.evaluate(counts)
    desk.command("mlmagic:run-stale", wait=True)
    desk.marks(RAN)
    new = desk.page.evaluate(counts)
    assert [number for number in range(7) if new[number] != old[number]] == [2, 3, 4]
    assert new[2:5] == sorted(new[2:5])

    panel = desk.show("Reuse")
    row = panel.locator("tbody tr", has_text="slow")
    assert row.locator(".mlmagic-decision").inner_text() == "kept"
    assert panel.locator("dl").get_by_text("Kept on disk").is_visible()
    row.get_by_role("button", name="why").click()
    answer = panel.locator(".mlmagic-answer-body")
    answer.get_by_text("limit").first.wait_for()
    desk.light_and_dark("panel-reuse")
    desk.page.keyboard.press("Escape")
    assert panel.locator(".mlmagic-answer").is_hidden()
    assert row.get_by_role("button", name="why").evaluate("button => button === document.activeElement")


def test_commands_ask_the_kernel_and_a_slice_becomes_a_script(desk: Desk):
    desk.write([*WORK[:4], "print(total)"])
    desk.open().page.locator(".jp-NotebookPanel-toolbar [data-jp-item-name=mlmagic]").click()
    panel = desk.page.locator("#mlmagic-panel")
    panel.wait_for(state="visible")
    desk.run()
    desk.marks(["ran"] * 5)
    desk.choose(4)
    desk.page.evaluate(f"() => {CELLS}[4].editor.setCursorPosition({{ line: 0, column: 8 }})")
    desk.page.locator(".jp-Notebook .jp-Cell").nth(4).locator(".jp-InputPrompt").click(button="right")
    desk.page.get_by_role("menuitem", name="mlmagic: lineage of…").click()
    box = desk.page.locator(".jp-Dialog input")
    assert box.input_value() == "total"
    box.press("Enter")
    answer = panel.locator(".mlmagic-answer")
    answer.get_by_role("img", name="Lineage of total").wait_for()
    assert answer.get_by_role("heading", name="Lineage of total").is_visible()
    desk.light_and_dark("panel-answer")

    desk.command("mlmagic:lineage")
    box.fill("totl")
    box.press("Enter")
    answer.get_by_role("alert").get_by_text("did you mean 'total'?").wait_for()

    desk.choose(2)
    desk.command("mlmagic:explain")
    answer.get_by_role("heading", name="Why was this recomputed?").wait_for()
    answer.get_by_text("slow").first.wait_for()
    desk.command("mlmagic:doctor")
    answer.get_by_text("cell ids").first.wait_for()

    desk.command("mlmagic:slice")
    box.fill("total")
    box.press("Enter")
    desk.page.locator(".jp-FileEditor .cm-content", has_text="total = sum(rows)").wait_for()
    for _ in range(50):
        if (desk.lab.folder / "untitled.py").exists() and (desk.lab.folder / "untitled.py").read_text():
            break
        desk.page.wait_for_timeout(100)
    names: dict[str, Any] = {}
    exec((desk.lab.folder / "untitled.py").read_text(), names)
    assert names["total"] == 30


def test_cancel_reaches_a_running_cell_and_the_other_notebook_keeps_its_own_marks(desk: Desk):
    desk.write([LOAD, "import time\ntime.sleep(60)", "after = 1"], "busy")
    desk.write([LOAD, "other = 1"])
    desk.open().run()
    desk.marks(["ran", "ran"])
    desk.command("docmanager:open", wait=True, path="busy.ipynb")
    desk.page.wait_for_function(IDLE)
    panel = desk.show("Checks")
    desk.run(0)
    desk.marks(["ran", None, None])
    desk.run(1, wait=False)
    desk.marks(["ran", "running", None])
    panel.get_by_role("button", name="Cancel").click()
    desk.marks(["ran", "error", None], seconds=15)
    assert "Interrupted after" in desk.story(1)
    assert panel.get_by_role("button", name="Cancel", exact=True).is_hidden()
    desk.command("docmanager:open", wait=True, path="book.ipynb")
    panel.get_by_role("status").filter(has_text="book.ipynb: 2 cells tracked").wait_for()


def test_nothing_is_lost_over_reload_restart_death_and_a_second_tab(desk: Desk):
    desk.write([LOAD, "x = 1", "y = x"])
    panel = desk.open().show()
    desk.run()
    desk.marks(["ran", "ran", "ran"])
    desk.edit(2, "y = x + 1")
    desk.command("docmanager:save", wait=True)
    desk.open(reset=False)
    desk.marks(["ran", "ran", "edited"])
    desk.edit(2, "y = x")
    desk.marks(["ran", "ran", "ran"])
    panel.get_by_role("option", name="variable y").wait_for()

    second = Desk(desk.lab, desk.page.context.browser.new_page())
    second.open()
    second.marks(["ran", "ran", "edited"])  # it has the file's text, which is not what ran
    desk.edit(1, "x = 2")
    desk.run(1)
    desk.marks(["ran", "ran", "stale"])
    second.marks(["ran", "edited", "edited"])
    second.page.close()
    desk.command("docmanager:save", wait=True)

    desk.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    desk.marks([None, None, None])
    panel.get_by_text("mlmagic is installed in this kernel but not loaded").wait_for()
    desk.run()
    desk.marks(["ran", "ran", "ran"])
    panel.get_by_role("option", name="variable y").wait_for()

    desk.kill()
    desk.marks([None, None, None])
    desk.page.locator(".jp-Dialog").get_by_role("button", name="Ok").click()
    desk.page.wait_for_function(IDLE, timeout=60_000)
    desk.edit(2, "y = x")
    desk.run()
    desk.marks(["ran", "ran", "ran"])
    panel.get_by_role("option", name="variable y").wait_for()


def test_one_hint_says_what_to_do_where(desk: Desk):
    folder = desk.lab.folder.parent / "state" / "data" / "kernels" / "elsewhere"
    folder.mkdir(parents=True)
    start = "import sys; sys.modules['mlmagic'] = None; import ipykernel.kernelapp as app; app.launch_new_instance()"
    argv = [sys.executable, "-c", start, "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Elsewhere", "language": "python"}))
    desk.write(["x = 1"], "elsewhere", kernel="elsewhere")
    desk.write([LOAD, "%unload_ext mlmagic"])

    panel = desk.open("elsewhere").show()
    hint = panel.get_by_role("note")
    hint.get_by_text("another environment").wait_for()
    assert hint.locator("code").inner_text() == f"{sys.executable} -m pip install mlmagic"
    desk.light_and_dark("panel-hint")

    desk.command("docmanager:open", wait=True, path="book.ipynb")
    hint.get_by_text("not loaded").wait_for()
    assert hint.locator("code").inner_text() == "%load_ext mlmagic"
    desk.run(0)
    desk.marks(["ran", None])
    hint.wait_for(state="hidden")
    desk.run(1)
    desk.marks([None, None])
    hint.get_by_text("not loaded").wait_for()
    assert hint.count() == 1

    desk.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    panel.get_by_text("book.ipynb: this notebook has no kernel.").wait_for()
    assert hint.is_hidden()


MODEL = [
    LOAD,
    "import numpy as np, pandas as pd\nrng = np.random.default_rng(0)\n"
    "X = pd.DataFrame({'age': rng.integers(18, 90, 600), 'income': rng.normal(50, 10, 600).round(2)})\n"
    "y = np.where(X['age'] + X['income'] > 100, 'leaves', 'stays')",
    "from sklearn.linear_model import LogisticRegression\n"
    "model = LogisticRegression(max_iter=500).fit(X[:400], y[:400])",
    "%%assertion old_leave --on model\ndef old_leave(inputs, outputs):\n"
    "    return (inputs['age'] > 60) & (outputs[:, 0] > 0.5)",
    "%assertions run model X",
    "%%sweep tiny --minimize loss --trials 6 --workers 1 --sampler random\n"
    "value = sweep.float(0, 1)\nloss = (value - 0.3) ** 2",
    "import mlmagic\nbundle = mlmagic.export(model, 'churn', holdout=(X[400:], y[400:]), train=X[:400])",
    "endpoint = %serve churn",
    "answers = endpoint.predict(X)",
]


def test_sweeps_checks_and_endpoints_show_their_state_and_pictures(desk: Desk):
    pytest.importorskip("skl2onnx")
    pytest.importorskip("httptools")
    desk.write(MODEL)
    panel = desk.open().show("Checks")
    desk.run()
    desk.marks(["ran", "failed", "failed", *["ran"] * 6], seconds=60)  # the rows and the model
    assert "Check failed: old_leave." in desk.story(2)

    for section, name, said, pictures in [
        ("Checks", "old_leave", "fired on 253 of 600 rows", 0),
        ("Sweeps", "tiny", "best: ", 1),
        ("Endpoints", "churn", "old_leave fired on 253 of 600 rows", 0),
    ]:
        desk.show(section)
        entry = panel.locator(".mlmagic-entry", has_text=name)
        entry.locator("summary").click()
        entry.get_by_text(said).first.wait_for()
        assert entry.locator("svg").count() == pictures
        desk.light_and_dark(f"panel-{section.lower()}")
        assert entry.get_by_text(said).first.is_visible()  # details stay open over what else happens
    entry.get_by_role("button", name="[3]").click()
    assert desk.page.evaluate(f"() => {CONTENT}.activeCellIndex") == 2
