"""The panel in JupyterLab, in a real Chromium: what opening a long notebook costs, and how soon a mark is there."""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

from benchmarks.table import Row
from tests.conftest import Lab, browser_path, free_port, lab_command, stop, user_folders, wait_until_it_answers

CELLS = 300
OPENED = 7  # times, with and without
RUN = 40  # cells whose marks are timed, after the others have run
INSTALLED = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / "mlmagic" / "package.json"

BOOK = "window.jupyterapp?.shell?.currentWidget"
IDLE = f"() => {BOOK}?.sessionContext?.session?.kernel?.status === 'idle'"
DRAWN = f"() => {BOOK}?.content?.widgets?.length === {CELLS}"
# Milliseconds from the cell's reply to its mark, as the page sees both; a mark that is there before counts as 0.
TO_THE_MARK = f"""async number => {{
    const book = {BOOK}.content;
    const cell = book.widgets[number];
    let marked = null;
    const there = new Promise(resolve => new MutationObserver(() => {{
        if (cell.node.dataset.mlmagicMark === 'ran') {{ marked ??= performance.now(); resolve(); }}
    }}).observe(cell.node, {{attributes: true}}));
    book.activeCellIndex = number;
    await window.jupyterapp.commands.execute('notebook:run-cell');
    const ended = performance.now();
    await there;
    return Math.max(0, marked - ended);
}}"""


def measure() -> Iterator[Row]:
    """Rows for opening, for marks, and for what is pushed."""
    if not INSTALLED.exists():
        yield Row("the panel in JupyterLab", "not built here: it needs Node")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _lab(folder / "without", disabled=True) as lab:
            without = _opening(lab)
        with _lab(folder / "with", disabled=False) as lab:
            yield _opened(without, _opening(lab))
            yield from _marks(lab)
    files = [*INSTALLED.parent.glob("static/*.js")]
    size = sum(file.stat().st_size for file in files) / 1e3
    yield Row("files of the panel that a page loads", f"{size:.0f} kB", "", "", "≤ 500 kB")


@contextmanager
def _lab(folder: Path, *, disabled: bool) -> Iterator[Lab]:
    lab = Lab(f"http://127.0.0.1:{free_port()}", secrets.token_hex(16), folder / "work")
    lab.folder.mkdir(parents=True)
    nbformat.write(_book(), lab.folder / "book.ipynb")
    command = lab_command(lab, folder / "state")
    if disabled:
        config = folder / "state" / "app-settings" / "page_config.json"
        config.write_text(json.dumps({"disabledExtensions": {"mlmagic": True}}))
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, **user_folders(folder / "state")}
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_until_it_answers(lab, server, folder / "log")
            yield lab
        finally:
            stop(server)


def _book() -> Any:
    cells = ["%load_ext mlmagic", *(f"x{number} = {number}" for number in range(1, CELLS))]
    made = [nbformat.v4.new_code_cell(text, id=f"cell-{number}") for number, text in enumerate(cells)]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec})


@contextmanager
def _page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path(), args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 1200, "height": 900})
        browser.close()


def _opening(lab: Lab) -> float:
    """Milliseconds from asking for a notebook's page until its cells are there, the middle of several."""
    taken = []
    with _page() as page:
        for _ in range(OPENED):
            page.goto(f"{lab.url}/lab/tree/book.ipynb?token={lab.token}&reset", wait_until="commit")
            page.wait_for_function(DRAWN, timeout=60_000, polling=10)
            taken.append(page.evaluate("() => performance.now()"))
            page.wait_for_function(IDLE, timeout=60_000)
    return statistics.median(taken[1:])


def _opened(without: float, there: float) -> Row:
    what = f"a notebook of {CELLS} cells opened in JupyterLab, to its last cell"
    return Row(what, f"{there:.0f} ms", f"panel disabled {without:.0f} ms", f"{there / without:.2f}×")


def _marks(lab: Lab) -> Iterator[Row]:
    pushed: list[int] = []
    with _page() as page:
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: _note(frame, pushed)))
        page.goto(f"{lab.url}/lab/tree/book.ipynb?token={lab.token}&reset")
        page.wait_for_function(DRAWN, timeout=60_000)
        page.wait_for_function(IDLE, timeout=60_000)
        first = CELLS - RUN  # of those that have no mark yet, and are timed
        page.evaluate(f"() => {{ const book = {BOOK}.content; book.activeCellIndex = {first}; }}")
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-above')")
        page.wait_for_function(
            f"() => {BOOK}.content.widgets.slice(0, {first}).every(cell => cell.node.dataset.mlmagicMark)",
            timeout=120_000,
        )
        page.evaluate("() => window.jupyterapp.commands.execute('mlmagic:open-panel')")
        page.locator("#mlmagic-panel").wait_for(state="visible")
        page.wait_for_timeout(1_000)
        pushed.clear()
        times = [page.evaluate(TO_THE_MARK, number) for number in range(first, CELLS)]
    times.sort()
    told = f"{statistics.median(times):.0f} ms, at most {times[-1]:.0f}"
    yield Row(f"from a cell's reply to its mark, {CELLS} cells, panel open", told)
    yield Row("pushed for one finished cell, the largest", f"{max(pushed, default=0) / 1e3:.1f} kB", "", "", "≤ 100 kB")


def _note(frame: Any, pushed: list[int]) -> None:
    """The size of a frame that holds a push of ours; frames are JSON, or binary with JSON inside."""
    content = frame.encode() if isinstance(frame, str) else frame
    if b'"seq":' in content or b'"seq": ' in content:
        pushed.append(len(content))
