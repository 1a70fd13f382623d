"""What `%mlmagic doctor` says of the panel: installed here or not, a page or none, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlmagic.api import health
from mlmagic.session import Session, set_current
from mlmagic.session.settings import settings


@pytest.fixture
def session(tmp_path):
    made = Session({}, tmp_path / ".mlmagic", settings())
    set_current(made)
    yield made
    set_current(None)
    made.store.close()


@pytest.fixture
def jupyter(tmp_path, monkeypatch):
    """A folder where Jupyter looks for extensions, before all others."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return tmp_path / "jupyter" / "labextensions"


def install(folder: Path, package: str = "mlmagic") -> Path:
    folder.mkdir(parents=True)
    (folder / "install.json").write_text(json.dumps({"packageManager": "python", "packageName": package}))
    return folder


def told(name: str) -> tuple[str, str, str]:
    (found,) = [check for check in health.doctor().checks if check.name == name]
    return found.state, found.found, found.cure


@pytest.mark.parametrize("name", ["mlmagic", "@mlmagic/panel"])
def test_the_panel_is_found_where_jupyter_looks_for_extensions(jupyter, name):
    folder = install(jupyter / name)
    assert told("panel") == ("ok", f"in {folder}", "")


def test_without_the_panel_it_says_where_to_install_it(jupyter, monkeypatch):
    install(jupyter / "other", package="other")
    (jupyter / "broken").mkdir()
    (jupyter / "broken" / "install.json").write_text("{")
    monkeypatch.setattr(health, "_labextension_paths", lambda: [str(jupyter)])
    state, found, cure = told("panel")
    assert (state, found.startswith("not installed in ")) == ("note", True)
    assert "pip install mlmagic in" in cure


def test_an_old_jupyterlab_is_named(jupyter, monkeypatch):
    install(jupyter / "mlmagic")
    versions = {"jupyterlab": "4.5.9"}
    monkeypatch.setattr(health, "_version", versions.get)
    assert told("panel")[::2] == ("note", "it needs JupyterLab ≥ 4.6")


@pytest.mark.parametrize(
    ("pages", "state", "found"),
    [
        (None, "note", "none can connect: this is no Jupyter kernel"),
        (0, "note", "none is connected"),
        (1, "ok", "1 page is connected"),
        (2, "ok", "2 pages are connected"),
    ],
)
def test_pages_are_counted(session, jupyter, pages, state, found):
    session.pages = pages
    assert told("page")[:2] == (state, found)


def test_a_connected_page_shows_that_the_panel_is_installed_where_jupyterlab_runs(session, jupyter, monkeypatch):
    monkeypatch.setattr(health, "_labextension_paths", list)
    session.pages = 1
    assert told("panel")[::2] == ("note", "")
