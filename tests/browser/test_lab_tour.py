"""What a person sees: the tour in JupyterLab, run from its first cell to its last, light and dark."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TOUR = Path(__file__).parents[2] / "notebooks" / "00_tour.ipynb"
RUN_ALL = """async () => {
    const app = window.jupyterapp;
    await app.commands.execute('notebook:run-all-cells');
}"""
IDLE = "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
CELLS = """() => {
    const book = window.jupyterapp.shell.currentWidget.content;
    return book.widgets.filter(cell => cell.model.type === 'code').map(cell => ({
        prompt: cell.model.executionCount,
        outputs: cell.model.outputs.toJSON(),
    }));
}"""


@pytest.fixture
def notebook(lab, browser_page):
    """The tour open in JupyterLab, its saved outputs cleared, its errors collected."""
    shutil.copy(TOUR, lab.folder)
    browser_page.problems = []
    browser_page.on("pageerror", lambda error: browser_page.problems.append(str(error)))
    browser_page.set_viewport_size({"width": 960, "height": 1000})
    browser_page.goto(f"{lab.url}/lab/tree/{TOUR.name}?token={lab.token}")
    browser_page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    browser_page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=60_000,
    )
    for command in ("notebook:clear-all-cell-outputs", "application:toggle-left-area"):
        browser_page.evaluate("command => window.jupyterapp.commands.execute(command)", command)
    return browser_page


def _run_all(page):
    page.evaluate(RUN_ALL)
    page.wait_for_function(f"() => ({CELLS})().every(cell => cell.prompt !== null)", timeout=120_000)
    page.wait_for_timeout(1000)
    return page.evaluate(CELLS)


def _scroll_to(page, source):
    """Bring the cell whose text begins so to the top; JupyterLab draws only what is near the view."""
    page.evaluate(
        """async source => {
            const book = window.jupyterapp.shell.currentWidget.content;
            const number = book.widgets.findIndex(cell => cell.model.sharedModel.source.startsWith(source));
            book.activeCellIndex = number;
            await book.scrollToItem(number, 'start');
        }""",
        source,
    )
    page.wait_for_timeout(500)


def _picture(page, name):
    """Keep a screenshot where MLMAGIC_SCREENSHOTS names a folder, to be looked at."""
    folder = os.environ.get("MLMAGIC_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")


def test_the_tour_runs_and_shows_its_pictures(notebook):
    cells = _run_all(notebook)
    assert not [out for cell in cells for out in cell["outputs"] if out["output_type"] == "error"]
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        notebook.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        notebook.wait_for_timeout(800)
        short = theme.split()[1].lower()
        _scroll_to(notebook, "%lineage model")
        picture = notebook.locator(".jp-OutputArea svg[role=img]").first
        assert picture.is_visible()
        assert picture.get_attribute("aria-label").startswith("Lineage of model")
        _picture(notebook, f"lineage-{short}")
        _scroll_to(notebook, "%slice model")
        assert notebook.get_by_text("RandomForestClassifier(n_estimators=200").last.is_visible()
        _picture(notebook, f"slice-{short}")
        _scroll_to(notebook, "## 4 · Nothing is computed twice")
        assert notebook.get_by_text("reused, saved").first.is_visible()
        _picture(notebook, f"reused-{short}")
        _scroll_to(notebook, "%reuse explain train")
        assert notebook.locator(".jp-OutputArea table", has_text="ran because X_train changed from shape").is_visible()
        _picture(notebook, f"explain-{short}")
        notebook.locator(".jp-OutputArea table", has_text="saved").last.scroll_into_view_if_needed()
        _picture(notebook, f"ledger-{short}")
        _scroll_to(notebook, "%%sweep tune")
        sweep = notebook.locator(".jp-OutputArea", has_text="tune")
        assert sweep.get_by_text("20 trials").first.is_visible()
        assert notebook.get_by_role("img", name="val_auc by trial").first.is_visible()
        _picture(notebook, f"sweep-{short}")
        _scroll_to(notebook, "%sweeps show --plan")
        assert notebook.locator(".jp-OutputArea table", has_text="each trial").is_visible()
        _picture(notebook, f"sweep-plan-{short}")
        for source, shown, name in (
            ("%evaluate model", "ROC AUC", "evaluate"),
            ("%assertions run", "large_but_benign", "assertions"),
            ("early, late =", "columns drifted", "drift"),
            ("%export model", "rows of X_train", "export"),
            ("%endpoints", "large_but_benign", "endpoints"),
        ):
            _scroll_to(notebook, source)
            assert notebook.locator(".jp-OutputArea", has_text=shown).last.is_visible()
            _picture(notebook, f"{name}-{short}")
        _scroll_to(notebook, "%lineage --sql")
        _picture(notebook, f"sql-{short}")
        _scroll_to(notebook, "%mlmagic")
        assert notebook.locator(".jp-OutputArea table", has_text="cells tracked").is_visible()
        _picture(notebook, f"status-{short}")
    assert notebook.problems == []
    assert notebook.outside == []
