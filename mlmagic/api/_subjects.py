"""What a verdict is about: a value and how the user spelled it in; a name and the version behind it out."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from mlmagic.session import Session, active


@dataclass(frozen=True, slots=True)
class Subject:
    """A value's name, and the version of the variable that it came from; ``None`` where there is none."""

    name: str
    version_id: str | None = None


def subject(value: Any, spelled: str | None = None) -> Subject:
    """The subject for a value; by the expression that gave it where that is known, else by looking for its variable."""
    session = active()
    if spelled is None:
        spelled = _variable(session, value) if session is not None else None
    if spelled is None:
        return Subject(f"a {type(value).__qualname__}")
    root = spelled if spelled.isidentifier() else None if isinstance(value, os.PathLike) else _root(spelled)
    if session is None or root is None or isinstance(session.namespace.get(root), ModuleType):
        return Subject(spelled)
    return Subject(spelled, session.recorder.version_of(root))


def _variable(session: Session, value: Any) -> str | None:
    """The first variable that refers to this very object."""
    named = (name for name, other in list(session.namespace.items()) if other is value and not name.startswith("_"))
    return next(named, None)


def _root(spelled: str) -> str | None:
    """`X_test` of ``X_test[columns]`` and ``X_test.head()``; nothing of ``halved(X_test)``, which may read anything."""
    try:
        tree = ast.parse(spelled.strip(), mode="eval")
    except SyntaxError:
        return None
    node: ast.AST = tree.body
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Call)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return None
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None
