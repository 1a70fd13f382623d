"""`mlmagic.doctor`: is everything in place, and what to do where it is not."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlmagic.config import key_path, project_folder
from mlmagic.errors import MlmagicError
from mlmagic.results import Result
from mlmagic.session import active
from mlmagic.session.project import Project, folder_bytes
from mlmagic.session.reuse import open_cache
from mlmagic.store import Store
from mlmagic.tuning.engines.slots import cores, visible_gpus
from mlmagic.views import tables

__all__ = ["Check", "Diagnosis", "doctor"]

_PACKAGES = (
    "mlmagic", "ipython", "ipykernel", "duckdb", "pandas", "numpy", "jupyterlab", "scikit-learn", "optuna", "torch",
)  # fmt: skip

_LAB = "4.6"  # the oldest JupyterLab that draws the panel

_NEEDED_BY = {"optuna": "%%sweep needs it: pip install 'mlmagic[sweep]'"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    state: str  # "ok", "note" or "problem"
    found: str
    cure: str = ""


_GLYPHS = {"ok": "✓", "note": "·", "problem": "✗"}


@dataclass(frozen=True, repr=False)
class Diagnosis(Result):
    """All checks, problems included."""

    checks: tuple[Check, ...]

    header = ("", "what", "found", "what to do")

    @property
    def healthy(self) -> bool:
        return all(check.state != "problem" for check in self.checks)

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        for check in self.checks:
            yield f"{_GLYPHS[check.state]} {check.state}", check.name, check.found, check.cure

    def text(self) -> str:
        lines = [
            f"{_GLYPHS[check.state]} {check.name:<16} {check.found}{f'  →  {check.cure}' if check.cure else ''}"
            for check in self.checks
        ]
        return "\n".join([*lines, "all is well" if self.healthy else "something needs you: see ✗ above"])

    def to_dict(self) -> dict[str, Any]:
        return {"healthy": self.healthy, "checks": [dict(zip(self.header, row, strict=True)) for row in self.rows()]}

    def to_pandas(self) -> Any:
        import pandas as pd

        return pd.DataFrame(list(self.rows()), columns=list(self.header))


tables.register(Diagnosis)


def doctor() -> Diagnosis:
    """Check the installation, the session and the project's store, and say what to do about each."""
    return Diagnosis((*_versions(), _slots(), *_session(), *_panel(), *_store()))


def _versions() -> Iterator[Check]:
    fits = sys.version_info >= (3, 11)
    yield Check("python", "ok" if fits else "problem", platform.python_version(), "" if fits else "Python ≥ 3.11")
    for package in _PACKAGES:
        version = _version(package)
        if version is not None:
            yield Check(package, "ok", version)
        else:
            yield Check(package, "note", "not installed", _NEEDED_BY.get(package, "only if you use it"))


def _slots() -> Check:
    """Where trials of a sweep would run."""
    if not hasattr(os, "fork"):
        return Check("sweeps", "note", "this system cannot fork", "%%sweep needs Linux or macOS")
    gpus = visible_gpus()
    return Check("sweeps", "ok", f"{cores()} cores" + (f", GPUs {', '.join(gpus)}" if gpus else ", no GPU"))


def _session() -> Iterator[Check]:
    session = active()
    if session is None:
        yield Check("session", "note", "none in this process", "%load_ext mlmagic")
        return
    on = session.settings.track
    yield Check("tracking", "ok" if on else "note", "on" if on else "off", "" if on else "%mlmagic on")
    ids = session.cell_ids_seen
    yield Check(
        "cell ids", "ok" if ids else "note", "seen" if ids else "none seen (headless): cells go by their source"
    )
    if session.project.problem:
        yield Check("project", "problem", session.project.problem, "make the folder writable, or set MLMAGIC_HOME")


def _panel() -> Iterator[Check]:
    """Whether a page of JupyterLab is connected, and whether the panel is installed where this Python is."""
    session = active()
    pages = session.pages if session is not None else None
    lab, found = _version("jupyterlab"), _labextension()
    if found:
        old = lab is not None and _older(lab, _LAB)
        yield Check("panel", "note" if old else "ok", f"in {found}", f"it needs JupyterLab ≥ {_LAB}" if old else "")
    else:
        where = "the environment that JupyterLab runs from" if lab is None else "this environment"
        cure = "" if pages else f"for the panel, pip install mlmagic in {where}, and reload the page"
        yield Check("panel", "note", f"not installed in {sys.prefix}", cure)
    if session is None:
        return
    if pages is None:
        yield Check("page", "note", "none can connect: this is no Jupyter kernel")
    elif pages:
        yield Check("page", "ok", f"{pages} page{' is' if pages == 1 else 's are'} connected")
    else:
        yield Check("page", "note", "none is connected", "open the notebook in JupyterLab with the panel, or reload it")


def _labextension() -> Path | None:
    """The folder of the panel, where JupyterLab looks for such."""
    for place in _labextension_paths():
        for told in (*Path(place).glob("*/install.json"), *Path(place).glob("@*/*/install.json")):
            if _is_ours(told):
                return told.parent
    return None


def _labextension_paths() -> list[str]:
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:  # no Jupyter here
        return []
    return list(jupyter_path("labextensions"))


def _is_ours(told: Path) -> bool:
    try:
        found = json.loads(told.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("packageName") == "mlmagic"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _older(version: str, least: str) -> bool:
    numbers = [[int(part) for part in re.findall(r"\d+", text)[:2]] for text in (version, least)]
    return numbers[0] < numbers[1]


def _store() -> Iterator[Check]:
    session = active()
    folder = session.project.folder if session is not None else project_folder()
    if not (folder / "journal").is_dir():
        yield Check("store", "note", f"no history in {folder.parent}", "%load_ext mlmagic in a notebook there")
        return
    yield Check("project folder", "ok" if os.access(folder, os.W_OK) else "problem", str(folder), "")
    yield _database(folder)
    yield _reuse(folder)


def _reuse(folder: Path) -> Check:
    """Whether results can be kept beyond this session, and how many are."""
    told: list[str] = []
    cache = open_cache(Project(folder, folder.parent), told.append)
    runs, nbytes = cache.kept()
    if told:
        cure = f"make {key_path()} a file that is yours alone, or name another by MLMAGIC_KEY_FILE"
        return Check("reuse", "problem", told[0], cure)
    return Check("reuse", "ok", f"{runs} results kept, {nbytes / 1e6:,.1f} of {cache.budget / 1e6:,.0f} MB")


def _database(folder: Path) -> Check:
    session = active()
    store = session.store if session is not None else Store(folder)
    try:
        sessions = store.sessions()
        count = store.frame("SELECT count(*) AS n FROM executions")["n"][0]
        size = folder_bytes(folder) / 1024
    except MlmagicError as error:
        cure = "delete lineage.duckdb: it is rebuilt from the journals"
        return Check("store", "problem", str(error), cure)
    finally:
        if session is None:
            store.close()
    many = "session" if len(sessions) == 1 else "sessions"
    return Check("store", "ok", f"{len(sessions)} {many}, {count} cells, {size:,.0f} kB")
