"""The packages in C that a server stands on: asked for when one is first needed, and then at hand for every request."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from mlmagic._optional import need
from mlmagic.errors import MissingPackageError


@cache
def orjson() -> ModuleType:
    """JSON, without `NaN` and `Infinity`, at most 1,024 levels deep."""
    return need("orjson")


@cache
def simdjson() -> ModuleType | None:
    """JSON to arrays without objects in between; ``None`` where it is not installed: all works without it."""
    try:
        return need("simdjson")
    except MissingPackageError:
        return None


@cache
def httptools() -> ModuleType:
    """The parser of HTTP."""
    return need("httptools")
