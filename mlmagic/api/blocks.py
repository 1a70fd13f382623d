"""`mlmagic.track`: a name for a block of a script, or for the cell it stands in."""

from __future__ import annotations

import ast
import itertools
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TypeGuard

from mlmagic.analysis import redact
from mlmagic.capture import Cell, Outcome
from mlmagic.errors import MisuseError
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
    MisuseError
        The block is inside a function, whose variables are no names of the module.

    Examples
    --------
    >>> with mlmagic.track("train", metrics=("auc",)):
    ...     model.fit(X, y)
    ...     auc = score(model)
    """
    frame = sys._getframe(2)
    if frame.f_locals is not frame.f_globals and frame.f_code.co_name != "<module>":
        raise MisuseError("mlmagic.track: use it at the top level of a script or cell, not inside a function")
    text = _Text.around(frame)
    session = resume(frame.f_globals, text.above)
    session.end_gap()
    labels = {key: str(value) for key, value in (tags or {}).items()}
    if session.recorder.running:
        session.recorder.label(name, labels, metrics, params)
        yield
        return
    session.begin(Cell(redact(text.block), text.block, None, name, labels, tuple(params), tuple(metrics)))
    try:
        yield
    except BaseException as error:
        _end(session, "interrupted" if isinstance(error, KeyboardInterrupt) else "error", error)
        raise
    _end(session, "ok", None)
    session.begin_gap(text.below)


def _end(session: Session, status: Status, error: BaseException | None) -> None:
    session.end(Outcome(status, error=describe_error(error)))


@dataclass(frozen=True, slots=True)
class _Text:
    """A script's text around the block that is being entered; empty where the source is not to be had."""

    above: str = ""  # what runs before it
    block: str = ""
    below: str = ""  # what may run before the next block

    @classmethod
    def around(cls, frame: FrameType) -> _Text:
        try:
            module = ast.parse("".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals)))
        except SyntaxError:
            return cls()
        blocks = [node for node in ast.walk(module) if _is_with(node) and _enters(node, frame.f_lineno)]
        if not blocks:
            return cls()
        block = blocks[-1]
        place = next(n for n, node in enumerate(module.body) if (node.end_lineno or 0) >= block.lineno)
        # Inside a loop or a condition, all of it stands around the block.
        around = [node for node in module.body[place : place + 1] if node is not block]
        below = itertools.takewhile(lambda node: not _holds_block(node), module.body[place + 1 :])
        return cls(_source(module.body[:place] + around), _source(block.body), _source([*around, *below]))


def _is_with(node: ast.AST) -> TypeGuard[ast.With | ast.AsyncWith]:
    return isinstance(node, (ast.With, ast.AsyncWith))


def _enters(block: ast.With | ast.AsyncWith, line: int) -> bool:
    return block.lineno <= line <= block.body[0].lineno


def _holds_block(statement: ast.stmt) -> bool:
    calls = (item.context_expr for node in ast.walk(statement) if _is_with(node) for item in node.items)
    return any(isinstance(call, ast.Call) and ast.unparse(call.func).endswith("track") for call in calls)


def _source(statements: list[ast.stmt]) -> str:
    return "\n".join(map(ast.unparse, statements))
