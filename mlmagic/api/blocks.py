"""`mlmagic.track`: a name for a block of a script, or for the cell it stands in."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mlmagic.analysis import redact
from mlmagic.capture import Cell, Outcome
from mlmagic.errors import UsageProblem
from mlmagic.records import Status
from mlmagic.session import Session, resume
from mlmagic.session.hooks import describe_error

__all__ = ["track"]


@contextmanager
def track(
    name: str | None = None,
    *,
    tags: dict[str, str] | None = None,
    metrics: tuple[str, ...] = (),
    params: tuple[str, ...] = (),
) -> Iterator[None]:
    """Record a block of a script as one execution; in a notebook, name the cell that runs it.

    Parameters
    ----------
    name : str, optional
        What to find it by: ``mlmagic.lineage(name)``.
    tags : dict, optional
        Labels.
    metrics, params : tuple of str
        Variables to keep as metrics and parameters when the block ends.

    Raises
    ------
    UsageProblem
        The block is inside a function, whose variables are no names of the module.

    Examples
    --------
    >>> with mlmagic.track("train", metrics=("auc",)):
    ...     model.fit(X, y)
    ...     auc = score(model)
    """
    frame = sys._getframe(2)
    if frame.f_locals is not frame.f_globals and frame.f_code.co_name != "<module>":
        raise UsageProblem("mlmagic.track: use it at the top level of a script or cell, not inside a function")
    session = resume(frame.f_globals)
    labels = {key: str(value) for key, value in (tags or {}).items()}
    if session.recorder.running:
        session.recorder.label(name, labels, metrics, params)
        yield
        return
    source = _block(frame)
    session.begin(Cell(redact(source), source, None, name, labels, tuple(params), tuple(metrics)))
    try:
        yield
    except BaseException as error:
        _end(session, "interrupted" if isinstance(error, KeyboardInterrupt) else "error", error)
        raise
    _end(session, "ok", None)


def _end(session: Session, status: Status, error: BaseException | None) -> None:
    session.end(Outcome(status, error=describe_error(error)))


def _block(frame: FrameType) -> str:
    """The text of the ``with`` block that is being entered; empty where the source is not to be had."""
    text = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return ""
    blocks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.With, ast.AsyncWith)) and node.lineno <= frame.f_lineno < node.body[0].lineno + 1
    ]
    return "\n".join(ast.unparse(part) for part in blocks[-1].body) if blocks else ""
