"""The first step of a rule: its text comes in; what it needs besides goes out, as far as that can travel.

A rule travels as text: its source, imports from a short list, and plain values. This is what makes the same rule
run in the notebook, in `mlmagic check` and in an endpoint. It is no sandbox: a rule is code, and whoever runs one
has to trust who wrote it.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import copy
import dis
import json
import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from mlmagic.checks.ways_out import is_within, leads_out, ways_out
from mlmagic.config import is_secret
from mlmagic.errors import MisuseError

MODULES = ("math", "numpy", "pandas", "re", "datetime", "statistics", "json", "collections", "itertools")

_LARGEST = 100_000  # characters of all constants as JSON: they are written down with every definition
# What would bring in more than the rule's own record says.
_REACHING_OUT = frozenset(
    "__import__ breakpoint compile delattr eval exec exit getattr globals help input locals open quit setattr "
    "vars".split()
)
_LOADS = frozenset({"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"})
# Annotations are never evaluated, so a rule needs nothing for their sake.
_FLAGS = __future__.annotations.compiler_flag
_FUNCTION = "a rule is a function of inputs and outputs: def rule(inputs, outputs): …"


@dataclass(frozen=True, slots=True)
class Text:
    """A rule's function as text.

    Attributes
    ----------
    name : str
        Of the function.
    source : str
        From its `def` on.
    line : int
        Where that stands in the text it came from, from 1.
    above : int
        Lines of decorators.
    decorators : tuple of str
    """

    name: str
    source: str
    line: int
    above: int = 0
    decorators: tuple[str, ...] = ()


def read_rule(text: str, name: str) -> Text:
    """The function of that name in a text, or its only one.

    Raises
    ------
    MisuseError
        There is none, it is not clear which, or it is none that takes inputs and outputs.
    """
    text = textwrap.dedent(text)
    found = [node for node in _parsed(text).body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    node = next((node for node in found if node.name == name), found[0] if len(found) == 1 else None)
    if node is None:
        names = ", ".join(one.name for one in found)
        raise MisuseError(f"none of the functions is called {name}: {names}" if found else f"no function: {_FUNCTION}")
    _check_signature(node)
    lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
    above = node.lineno - min((decorator.lineno for decorator in node.decorator_list), default=node.lineno)
    decorators = tuple(map(ast.unparse, node.decorator_list))
    return Text(node.name, "\n".join(lines) + "\n", node.lineno, above, decorators)


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise MisuseError(f"the rule does not parse: {error.msg} (line {error.lineno})") from None
    except ValueError as error:  # a null byte
        raise MisuseError(f"the rule does not parse: {error}") from None


def _check_signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    if isinstance(node, ast.AsyncFunctionDef):
        raise MisuseError(f"{node.name} is async: {_FUNCTION}")
    taken = len(node.args.posonlyargs) + len(node.args.args)
    needed = taken - len(node.args.defaults)
    alone = [arg.arg for arg, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if value is None]
    if needed > 2 or (taken < 2 and node.args.vararg is None) or alone:
        raise MisuseError(f"{node.name} takes {', '.join(_arguments(node)) or 'nothing'}: {_FUNCTION}")


def _arguments(node: ast.FunctionDef) -> list[str]:
    return [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]


# -- what it needs ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Needs:
    """What a rule needs besides its own text.

    Attributes
    ----------
    imports : tuple of str
        Import statements.
    constants : mapping
        Name -> plain value.
    obstacles : tuple of str
        What cannot travel.
    """

    imports: tuple[str, ...] = ()
    constants: Mapping[str, Any] = None  # type: ignore[assignment]
    obstacles: tuple[str, ...] = ()


def free_names(source: str) -> set[str]:
    """Names that running the text, or calling its function, loads from outside of it."""
    code = _compiled(source, "<rule>")
    own = {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_NAME"}
    return _loaded(code) - own


def needs(text: Text, available: Mapping[str, Any]) -> Needs:
    """What of its surroundings a rule takes along.

    Parameters
    ----------
    text : Text
    available : mapping
        What its names mean where it was written.
    """
    imports: list[str] = []
    constants: dict[str, Any] = {}
    obstacles = [f"it is decorated by {decorator}" for decorator in text.decorators]
    obstacles += _written_and_imported(_compiled(text.source, "<rule>"))
    obstacles += ways_out(_parsed(text.source))
    for name in sorted(free_names(text.source)):
        if name in available:
            _take(name, available[name], imports, constants, obstacles)
        elif not hasattr(builtins, name):
            obstacles.append(f"{name} is not there")
        elif name in _REACHING_OUT:
            obstacles.append(f"it calls {name}")
    if len(json.dumps(constants)) > _LARGEST:
        obstacles.append(f"its constants are large ({', '.join(constants)})")
    return Needs(tuple(imports), constants, tuple(obstacles))


def _take(name: str, value: Any, imports: list[str], constants: dict[str, Any], obstacles: list[str]) -> None:
    """Put one name where it belongs."""
    statement = _import_of(name, value)
    if statement is not None:
        imports.append(statement)
    elif not _is_plain(value):
        obstacles.append(_why_not(name, value))
    elif is_secret(name):
        obstacles.append(f"{name} may be a secret, which is never written down")
    else:
        constants[name] = copy.deepcopy(value)


def _import_of(name: str, value: Any) -> str | None:
    """The statement that gives the name its meaning, from the modules that may travel."""
    if type(value) is ModuleType:
        if not _may_travel(value.__name__):
            return None
        return f"import {name}" if name == value.__name__ else f"import {value.__name__} as {name}"
    if type(value) in (FunctionType, BuiltinFunctionType) or issubclass(type(value), type):
        homes = [str(getattr(value, "__module__", None) or "")]
    else:
        homes = _homes_in_numpy(value)
    inner = str(getattr(value, "__name__", "")) if homes else ""
    if leads_out(inner) or not any(
        _may_travel(home) and getattr(sys.modules.get(home), inner, None) is value for home in homes
    ):
        return None
    return f"from {homes[0]} import {inner}" + ("" if inner == name else f" as {name}")


def _homes_in_numpy(value: Any) -> list[str]:
    """NumPy's functions are of types of its own: `numpy.sqrt` a ufunc, `numpy.where` one that asks its arguments."""
    if type(value).__module__ != "numpy":
        return []
    kinds = {"ufunc": "numpy", "_ArrayFunctionDispatcher": str(getattr(value, "__module__", ""))}
    return [home for kind, home in kinds.items() if type(value).__name__ == kind]


def _may_travel(module: str) -> bool:
    return is_within(module, MODULES)


def _is_plain(value: Any) -> bool:
    """Whether JSON brings exactly this value back; a tuple would come back as a list."""
    kind = type(value)
    if kind is list:
        return all(map(_is_plain, value))
    if kind is dict:
        return all(type(key) is str for key in value) and all(map(_is_plain, value.values()))
    return kind in (type(None), bool, int, str) or (kind is float and math.isfinite(value))


def _why_not(name: str, value: Any) -> str:
    kind = type(value)
    if kind is ModuleType:
        return f"it uses {value.__name__}; of modules only {', '.join(MODULES)} travel"
    if callable(value) and leads_out(inner := str(getattr(value, "__name__", ""))):
        return f"it reaches for {inner}, which no rule that travels may"
    if kind is FunctionType:
        return f"it calls {name}, a function of the notebook"
    if issubclass(kind, type):
        return f"it uses {name}, a class of the notebook"
    if kind in (tuple, set, frozenset):
        return f"{name} is a {kind.__name__}; JSON has lists only"
    if kind in (list, dict, float):
        return f"{name} holds what JSON has no form for"
    return f"it uses {name}, a {kind.__qualname__} of the notebook"


def _loaded(code: CodeType) -> set[str]:
    """Names that this code and the code inside it look up globally."""
    steps = list(dis.get_instructions(code))
    found = {step.argval for step in steps if step.opname in _LOADS}
    if code.co_flags & 3 != 3:  # a module or a class body: what it binds itself is looked up there first
        found -= {step.argval for step in steps if step.opname == "STORE_NAME"} | {"__name__", "__qualname__"}
    return found.union(*map(_loaded, _inner(code)))


def _written_and_imported(code: CodeType) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname == "STORE_GLOBAL":
            yield f"it binds {step.argval} in the notebook"
        if step.opname == "IMPORT_NAME" and not _may_travel(step.argval):
            yield f"it imports {step.argval or 'a relative module'}; of modules only {', '.join(MODULES)} travel"
    for inner in _inner(code):
        yield from _written_and_imported(inner)


def _inner(code: CodeType) -> Iterable[CodeType]:
    return (part for part in code.co_consts if isinstance(part, CodeType))


# -- back to a function ----------------------------------------------------------------------------


def build(file: str, source: str, imports: Iterable[str], constants: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of a rule's text, in a namespace that holds nothing but what travels with it.

    Raises
    ------
    MisuseError
        The text needs something else; records may come from anywhere.
    """
    space: dict[str, Any] = {"__name__": "mlmagic_rule"}
    for statement in imports:
        exec(_checked_import(statement), space)
    space.update(copy.deepcopy(dict(constants)))
    text = read_rule(source, "")
    lacking = needs(text, space).obstacles
    if lacking:
        raise MisuseError(f"{text.name} cannot run by itself: {'; '.join(lacking)}")
    exec(_compiled(text.source, file), space)
    made: Callable[..., Any] = space[text.name]
    return made


def _checked_import(statement: str) -> CodeType:
    tree = _parsed(statement)
    match tree.body:
        case [ast.Import(names=names)] if all(_may_travel(alias.name) for alias in names):
            pass
        case [ast.ImportFrom(module=str(module), level=0)] if _may_travel(module) and not [*ways_out(tree)]:
            pass
        case _:
            raise MisuseError(f"a rule may not {statement!r}; of modules only {', '.join(MODULES)} travel")
    return compile(tree, "<import>", "exec", dont_inherit=True)


def _compiled(source: str, file: str) -> CodeType:
    code: CodeType = compile(source, file, "exec", flags=_FLAGS, dont_inherit=True)
    return code
