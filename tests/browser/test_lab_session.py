"""A notebook of a person's own in JupyterLab: answers are seen, mistakes are one line, lineage is as it is headless."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.kernel.kernels import Rows

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

WORK = [
    "import random\nrows = [{'x': n, 'y': 2 * n + 1} for n in range(20)]",
    "%%track prepare --tag kind=demo\nrandom.seed(3)\nrandom.shuffle(rows)\ntrain, test = rows[:15], rows[15:]",
    "def fit(data):\n    return {'slope': sum(r['y'] for r in data) / max(1, sum(r['x'] for r in data))}",
    "model = fit(train)\nmodel['seen'] = len(train)",
    "train.append({'x': 0, 'y': 0})",
    "score = sum(abs(model['slope'] * r['x'] - r['y']) for r in test)\nscore",
]
QUESTIONS = """%lineage score
%lineage
%mlmagic
%mlmagic doctor
%slice score
%slice score --run
%lineage scroe""".splitlines()
IDLE = "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
PROMPTS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.executionCount)"""
THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme: `JupyterLab ${theme}`})"
SCROLL = """async source => {
    const book = window.jupyterapp.shell.currentWidget.content;
    const number = book.widgets.findIndex(cell => cell.model.sharedModel.source === source);
    book.activeCellIndex = number;
    await book.scrollToItem(number, 'start');
}"""


def book_of(*cells: str) -> Any:
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


@pytest.fixture
def run_in_lab(lab, browser_page) -> Callable[..., Any]:
    """`run_in_lab(cells)`: the page, after running all cells of a new notebook in JupyterLab."""
    page = browser_page
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda line: page.problems.append(line.text) if line.type == "error" else None)

    def run(cells: list[str]) -> Any:
        nbformat.write(book_of(*cells), lab.folder / "book.ipynb")
        page.set_viewport_size({"width": 1000, "height": 900})
        page.goto(f"{lab.url}/lab/tree/book.ipynb?token={lab.token}")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.wait_for_function(IDLE, timeout=60_000)
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        page.problems.clear()  # what JupyterLab itself says while it starts
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_function(f"() => ({PROMPTS})().every(count => count !== null)", timeout=120_000)
        page.wait_for_timeout(500)
        return page

    return run


def picture(page: Any, name: str) -> None:
    """Keep a screenshot where MLMAGIC_SCREENSHOTS names a folder, to be looked at."""
    folder = os.environ.get("MLMAGIC_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")


def test_answers_are_seen_light_and_dark_and_nothing_is_asked_outside(run_in_lab, lab):
    page = run_in_lab(["%load_ext mlmagic", *WORK, *QUESTIONS])
    outputs = page.locator(".jp-OutputArea-output")
    for theme in ("Light", "Dark"):
        page.evaluate(THEME, theme)
        page.wait_for_timeout(800)
        for number, question in enumerate(QUESTIONS):
            page.evaluate(SCROLL, question)
            page.wait_for_timeout(300)
            picture(page, f"{theme.lower()}-{number}")
        page.evaluate(SCROLL, "%lineage score")
        assert page.locator("svg[role=img][aria-label^='Lineage of score']").is_visible()
        page.evaluate(SCROLL, "%mlmagic doctor")
        assert page.locator("table", has_text="cell ids").is_visible()
        page.evaluate(SCROLL, "%slice score --run")
        assert outputs.get_by_text("score: same").is_visible()
        assert outputs.get_by_text("did you mean 'score'?").is_visible()
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.outside == []
    assert page.problems == []


def test_lineage_is_the_same_as_headless_with_the_cells_own_ids(run_in_lab, lab, run_cells, tmp_path: Path):
    run_in_lab(["%load_ext mlmagic", *WORK])
    headless = tmp_path / "headless"
    headless.mkdir()
    with ThreadPoolExecutor(1) as other:  # in this thread Playwright's event loop is running
        other.submit(run_cells, ["%load_ext mlmagic", *WORK], cwd=headless).result()
    in_lab, alone = Rows.of(lab.folder), Rows.of(headless)
    assert in_lab.edges() == alone.edges()
    ids = [cell["id"] for cell in nbformat.read(lab.folder / "book.ipynb", 4).cells]
    assert [row.cell_id for row in in_lab.cells] == ids
    assert all(row.cell_id == f"h-{row.source_hash[:16]}" for row in alone.cells)
    assert [row.source_hash for row in in_lab.cells] == [row.source_hash for row in alone.cells]


def test_a_failing_cell_stops_run_all_and_is_found(run_in_lab, lab, browser_page):
    cells = ["%load_ext mlmagic", "x = 1", "%%track broken\ny = x / 0"]
    page = run_in_lab(cells)
    assert page.locator(".jp-OutputArea-output", has_text="ZeroDivisionError").count() == 1
    last = Rows.of(lab.folder).last
    assert (last.name, last.status, last.error_line) == ("broken", "error", 2)
