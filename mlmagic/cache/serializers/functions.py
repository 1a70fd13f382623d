"""Functions for the pickle: code, cells and globals in, and the parts that make the same function again out.

The globals are never copied where they are the notebook's or a module's: a function that comes back runs on the same
dict as one that was defined there.
"""

from __future__ import annotations

import builtins
import functools
import gc
import marshal
import sys
import types
from collections.abc import Callable
from operator import attrgetter
from typing import Any

_PARTS = (
    *("__defaults__", "__kwdefaults__", "__doc__", "__module__", "__qualname__", "__type_params__"),
    "__annotate__" if sys.version_info >= (3, 14) else "__annotations__",
)


class OwnGlobals:
    """Stands in the stream for globals that are neither the notebook's nor a module's, as `exec` makes them."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope


def reduce_globals(own: OwnGlobals) -> Any:
    """Empty first, then filled: what is in there may be the function that runs on it."""
    rest = {name: value for name, value in own.scope.items() if name != "__builtins__"}
    found = own.scope.get("__builtins__", builtins)
    usual = found is builtins or found is vars(builtins)
    return make_globals, (None if usual else found,), rest, None, None, dict.update


def make_globals(found: object) -> dict[str, Any]:
    """Globals with nothing but the built-in functions, by default Python's."""
    return {"__builtins__": vars(builtins) if found is None else found}


def module_of(scope: dict[str, Any]) -> str | None:
    """Name of the module whose globals these are, ``None`` where it is none that is loaded."""
    name = scope.get("__name__")
    module = sys.modules.get(name) if type(name) is str else None
    return name if module is not None and vars(module) is scope else None


def state_of(function: types.FunctionType) -> dict[str, Any]:
    """What is set on a function after it was made."""
    parts = {name: getattr(function, name) for name in _PARTS if hasattr(function, name)}
    return {**parts, "__dict__": function.__dict__}


def make_function(
    code: types.CodeType, scope: dict[str, Any], name: str, cells: tuple[types.CellType, ...] | None
) -> types.FunctionType:
    """A function that still lacks its state."""
    return types.FunctionType(code, scope, name, None, cells)


def fill_function(function: types.FunctionType, state: dict[str, Any]) -> None:
    """Give a new function what `state_of` found."""
    function.__dict__.update(state.pop("__dict__"))
    for name, value in state.items():
        setattr(function, name, value)


def reduce_cell(cell: types.CellType) -> Any:
    """Empty first, then filled: functions share cells, and what is in a cell may be the function it belongs to."""
    try:
        content = cell.cell_contents
    except ValueError:
        return types.CellType, ()
    return types.CellType, (), (content,), None, None, fill_cell


def fill_cell(cell: types.CellType, state: tuple[object]) -> None:
    """Put the content into a new cell."""
    (cell.cell_contents,) = state


def reduce_code(code: types.CodeType) -> Any:
    """As Python's own compiled files keep it; whoever loads it runs the same version."""
    return marshal.loads, (marshal.dumps(code),)


Cached = functools._lru_cache_wrapper


def reduce_cached(cached: Any) -> Any:
    """A function with ``lru_cache``, by its function unless it is a module's; what it has cached follows from that."""
    try:
        if (
            attrgetter(cached.__qualname__)(sys.modules[cached.__module__]) is cached
            and cached.__module__ != "__main__"
        ):
            return NotImplemented
    except (AttributeError, KeyError):
        pass
    return make_cached, (cached.__wrapped__, cached.cache_parameters()), cached.__dict__, None, None, fill_cached


def make_cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """The function with an empty cache around it."""
    return functools.lru_cache(**parameters)(function)


def fill_cached(cached: Any, state: dict[str, Any]) -> None:
    """Give a new wrapper what was set on the old one."""
    cached.__dict__.update(state)


def reduce_view(view: Any) -> Any:
    """A view of a dict, with the dict: it shows later changes."""
    (mapping,) = gc.get_referents(view)
    return _METHODS[type(view)], (mapping,)


_METHODS: dict[type, Any] = {
    types.MappingProxyType: types.MappingProxyType,
    type({}.keys()): dict.keys,
    type({}.values()): dict.values,
    type({}.items()): dict.items,
}
VIEWS = tuple(_METHODS)
