"""What pages ask on the comm of commands: a request comes in, what the magic of the same name says goes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlmagic.errors import MisuseError, MlmagicError, UnknownNameError
from mlmagic.panel.wire import Reply
from mlmagic.results import Result

# What has to be loaded for an answer. Loading packages is left to the main thread, between two cells.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "lineage": ("mlmagic.api.ancestry",),
    "explain": ("mlmagic.api.reusing",),
    "slice": ("mlmagic.api.slicing",),
    "doctor": ("mlmagic.api.health", "pandas"),
}


def answer(request: Mapping[str, Any]) -> Reply:
    """The reply to a request; what is wrong with it is told in the reply."""
    key = str(request.get("id", ""))
    try:
        found = _asked(request)()
    except MlmagicError as error:
        return Reply(id=key, error=str(error))
    except Exception as error:
        return Reply(id=key, error=f"{request.get('command')} failed ({type(error).__name__}: {error})")
    faces = found._repr_mimebundle_()
    reply = Reply(id=key, text=faces["text/plain"])
    if "text/html" in faces:
        reply["html"] = faces["text/html"]
    return reply


def check(request: Mapping[str, Any]) -> str:
    """The command that is asked for.

    Raises
    ------
    UnknownNameError
        There is no such command.
    """
    command = request.get("command")
    if command not in (*NEEDS, "cancel"):
        raise UnknownNameError.among("command", str(command), (*NEEDS, "cancel"))
    return str(command)


def _asked(request: Mapping[str, Any]) -> Callable[[], Result]:
    import mlmagic

    match check(request):
        case "lineage":
            target = _given(request, "target")
            return lambda: mlmagic.lineage(target)
        case "slice":
            target = _given(request, "target")
            return lambda: mlmagic.slice(target)
        case "explain":
            cell = _given(request, "cell")
            return lambda: _explained(cell)
        case _:
            return mlmagic.doctor


def _explained(cell: str) -> Result:
    import mlmagic

    found = mlmagic.reuse("explain", f"cell:{cell}")
    assert isinstance(found, Result)
    return found


def _given(request: Mapping[str, Any], name: str) -> str:
    found = request.get(name)
    if not isinstance(found, str) or not found.strip():
        raise MisuseError(f"{request.get('command')} needs a {name}")
    return found
