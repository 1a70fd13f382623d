"""The one current session of this process; only `extension`, `magics` and `api` ask for it."""

from __future__ import annotations

import atexit
import sys
from pathlib import Path
from typing import Any

from mlmagic.config import project_folder
from mlmagic.errors import NotActiveError
from mlmagic.session.session import Session
from mlmagic.session.settings import settings

_current: Session | None = None


def active() -> Session | None:
    """The current session, if there is one."""
    return _current


def require() -> Session:
    """The current session.

    Raises
    ------
    NotActiveError
        Nothing is tracked in this process.
    """
    if _current is None:
        raise NotActiveError.no_session()
    return _current


def set_current(session: Session | None) -> None:
    """Make this the current session, closed when the process ends; ``None``: there is none."""
    global _current
    _current = session
    if session is None:
        atexit.unregister(_at_exit)
    else:
        atexit.register(_at_exit)


def resume(namespace: dict[str, Any] | None = None, source: str = "") -> Session:
    """The current session, or a new one for a script: its module's names, its folder's project.

    `source` is the text of the script that has run so far.
    """
    if _current is not None:
        return _current
    names = namespace if namespace is not None else vars(sys.modules["__main__"])
    session = Session(names, project_folder(Path.cwd()), settings())
    session.start(source)
    set_current(session)
    return session


def _at_exit() -> None:
    if _current is not None:
        _current.close()
        set_current(None)
