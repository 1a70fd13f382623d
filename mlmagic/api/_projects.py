"""Whose history is asked for: the running session's, or that of the project in this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlmagic.config import project_folder
from mlmagic.errors import NotActiveError
from mlmagic.records import History
from mlmagic.session import active
from mlmagic.session.project import Project
from mlmagic.store import Store


def find_project(folder: Path | None = None) -> Project:
    """The project of a folder (by default: the running session's, else the working folder's).

    Raises
    ------
    NotActiveError
        There is none.
    """
    session = active()
    if folder is None and session is not None:
        return session.project
    found = project_folder(folder)
    if not (found / "journal").is_dir():
        raise NotActiveError.no_project(str(found.parent))
    return Project(found, found.parent)


@contextmanager
def open_store() -> Iterator[Store]:
    """The store of the project asked about."""
    session = active()
    if session is not None:
        yield session.store
        return
    store = Store(find_project().folder)
    try:
        yield store
    finally:
        store.close()


def history() -> History:
    """The running session's rows; without one, those of the project's sessions."""
    session = active()
    with open_store() as store:
        return store.history(session.session_id if session is not None else None)
