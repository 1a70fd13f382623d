"""Traces and what there is now, for tests of the cache: plain values, with one line for what matters."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from mlmagic.cache.traces import Trace
from mlmagic.capture import Inputs
from mlmagic.capture.behind import code_reach
from mlmagic.capture.evidence import Present
from mlmagic.fingerprint import Scope


def trace(**parts: Any) -> Trace:
    """A trace of `y = x + 1`, where x was 1, with some parts otherwise."""
    plain: dict[str, Any] = {
        "trace_id": "0001",
        "execution_id": "e1",
        "source_hash": "h1",
        "source": "y = x + 1",
        "python": platform.python_version(),
        "created_at": 1000.0,
        "seconds": 2.0,
        "variables": {"x": "one"},
        "sharing": "apart",
    }
    return Trace(**plain | parts)


def present(root: Path | str = ".", **parts: Any) -> Present:
    """What there is where that trace fits, with some parts otherwise."""
    variables: dict[str, str | None] = parts.pop("variables", {"x": "one"})
    others: dict[str, str] = parts.pop("others", {})
    told: dict[str, dict[str, Any]] = parts.pop("told", {})
    modules: dict[str, str] = parts.pop("modules", {})
    settings: dict[str, str] = parts.pop("settings", {})
    plain: dict[str, Any] = {
        "inputs": Inputs("h1", variables, parts.pop("sharing", "apart")),
        "variable": lambda name: {**variables, **others}.get(name),
        "details": lambda name: told.get(name, {}),
        "random": {},
        "seeds": {},
        "module": modules.get,
        "setting": settings.get,
        "environment": {},
        "root": Path(root),
    }
    return Present(**plain | parts)


def scope(namespace: dict[str, Any] | None = None) -> Scope:
    """The surroundings of values of a notebook where no module is local."""
    return Scope({} if namespace is None else namespace, code_reach, lambda module: False)
