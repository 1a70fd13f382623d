"""First step of a sweep: the cell's text in; its statements, with every swept value named, out. Nothing is executed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from mlmagic.analysis import CellFacts, analyse
from mlmagic.analysis.source import parse, tree_hash
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.tuning.space import Parameter, Value, choice_parameter, float_parameter, int_parameter

SWEEP = "sweep"  # what the ranges are asked of
KINDS = ("float", "log", "int", "choice")
_LONGEST_TEXT = 100
# Between a statement and a call in it, these do not decide whether the call is made.
_CERTAIN = (
    ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.With, ast.withitem, ast.Call, ast.keyword, ast.Tuple,
    ast.List, ast.Dict, ast.Set, ast.BinOp, ast.UnaryOp, ast.Attribute, ast.Subscript, ast.Starred, ast.NamedExpr,
)  # fmt: skip


@dataclass(slots=True)
class Swept:
    """One call that asks for a value.

    Attributes
    ----------
    node : ast.Call
        In the rewritten tree, where it is given its name.
    name : str
        ``""``: known only when it runs.
    parameter : Parameter or None
        Where its range stands in the text.
    certain : bool
        Every trial asks it, whatever the others' values.
    """

    node: ast.Call
    kind: str
    name: str
    line: int
    parameter: Parameter | None
    certain: bool
    inferred: bool


@dataclass(slots=True)
class Statement:
    """One statement at the top level of the body.

    Attributes
    ----------
    line : int
        Of the body, from 1.
    text : str
        Its first line.
    facts : CellFacts
        What running it could do.
    swept : list of Swept
        The values it asks for.
    """

    number: int
    line: int
    node: ast.stmt
    text: str
    facts: CellFacts
    swept: list[Swept] = field(default_factory=list)


@dataclass(slots=True)
class Body:
    """A sweep's body, ready to be split.

    Attributes
    ----------
    statements : list of Statement
    facts : CellFacts
        Of all of it.
    code_hash : str
        Digest without the ranges: two bodies that differ in ranges only have the same.
    """

    statements: list[Statement]
    facts: CellFacts
    code_hash: str

    @property
    def swept(self) -> list[Swept]:
        """All calls that ask for a value, in order."""
        return [found for statement in self.statements for found in statement.swept]

    @property
    def binds(self) -> frozenset[str]:
        """Variables that running it may bind, itself or through functions that it defines."""
        return self.facts.binds.union(*(own.stores for own in self.facts.functions.values()))

    def parameters(self) -> dict[str, Parameter]:
        """Those whose ranges stand in the text."""
        return {found.name: found.parameter for found in self.swept if found.parameter is not None}

    def certain(self) -> list[Parameter]:
        """Those of them that every trial asks for."""
        found = {one.name: one.parameter for one in self.swept if one.certain and one.parameter is not None}
        return list(found.values())

    def reports(self) -> set[str] | None:
        """Names of the metrics given to `sweep.report`; ``None``: not all stand in the text."""
        found: set[str] = set()
        for call in self._calls("report"):
            if any(keyword.arg is None for keyword in call.keywords):
                return None
            found |= {str(keyword.arg) for keyword in call.keywords}
        return found - {"step"}

    def _calls(self, method: str) -> Iterator[ast.Call]:
        for statement in self.statements:
            for node in ast.walk(statement.node):
                if isinstance(node, ast.Call) and _method_of(node) == method:
                    yield node


def read_body(source: str, transform: Callable[[str], str] | None = None) -> Body:
    """The body of a sweep's cell.

    Parameters
    ----------
    source : str
        As typed, without the magic's own line.
    transform : callable, optional
        Notebook syntax to Python.

    Raises
    ------
    MisuseError, UnknownNameError
        The body cannot be split, or a swept value cannot be named; one line.
    """
    code = transform(source) if transform is not None else source
    try:
        tree = parse(code)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise MisuseError(
            f"the body is no Python: {getattr(error, 'msg', error)}{f' (line {line})' if line else ''}"
        ) from None
    facts = analyse(code)
    _refuse_what_workers_lack(facts, tree)
    lines = code.splitlines()
    statements = [_statement(number, node, lines) for number, node in enumerate(tree.body)]
    body = Body(statements, facts, tree_hash(_Plain().visit(copy.deepcopy(tree))))
    if not body.swept:
        raise MisuseError(
            "nothing is swept: write sweep.float(a, b), sweep.log(a, b), sweep.int(a, b) or sweep.choice([…]) "
            "where a value is to be searched"
        )
    _check_names(body)
    return body


def _refuse_what_workers_lack(facts: CellFacts, tree: ast.Module) -> None:
    if facts.magics:
        name = min(facts.magics)
        what = "a shell command (!)" if name == "!" else f"the magic %{name}"
        raise MisuseError(f"the body uses {what}, which trials cannot: put it into a cell of its own")
    if facts.awaits:
        raise MisuseError("the body awaits at its top level, which trials cannot: use asyncio.run(…)")
    if facts.star_imports:
        raise MisuseError(f"the body has from {min(facts.star_imports)} import *: name what it imports")
    if SWEEP in facts.binds:
        raise MisuseError("the body binds the name sweep, which stands for its ranges: use another name")


def _statement(number: int, node: ast.stmt, lines: list[str]) -> Statement:
    facts = analyse(ast.unparse(node))
    first = lines[node.lineno - 1].strip()
    text = first if len(first) <= _LONGEST_TEXT else f"{first[:_LONGEST_TEXT]}…"
    return Statement(number, node.lineno, node, text, facts, list(_Naming(lines).find(node)))


# -- what a swept value is called ------------------------------------------------------------------


class _Naming:
    """Finds the calls in a statement, and gives each its name and, for choices, what its options are called."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._found: list[Swept] = []

    def find(self, statement: ast.stmt) -> list[Swept]:
        self._visit(statement, "", certain=True)
        return self._found

    def _visit(self, node: ast.AST, hint: str, certain: bool) -> None:
        certain = certain and isinstance(node, _CERTAIN)
        if (method := _method_of(node)) is not None and method != "report":
            assert isinstance(node, ast.Call)
            self._take(node, method, hint, certain)
        for child, called in _children(node, hint):
            self._visit(child, called, certain)

    def _take(self, node: ast.Call, method: str, hint: str, certain: bool) -> None:
        if method not in KINDS:
            raise UnknownNameError.among(f"sweep.{method}: kind of range", method, [*KINDS, "report"])
        given = next((keyword.value for keyword in node.keywords if keyword.arg == "name"), None)
        name = hint
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            name = given.value
        elif given is not None:
            name, certain = "", False
        if not name and given is None:
            raise MisuseError(
                f"sweep.{method}(…) in line {node.lineno} has no name: assign it, pass it by keyword, or say name='…'"
            )
        if given is None:
            node.keywords.append(_keyword("name", name))
        labels = _labels(node) if method == "choice" else None
        if labels is not None and not any(keyword.arg == "labels" for keyword in node.keywords):
            node.keywords.append(_keyword("labels", labels))
        parameter = _literal(node, method, name) if name else None
        self._found.append(Swept(node, method, name, node.lineno, parameter, certain, given is None))


def _method_of(node: ast.AST) -> str | None:
    """`log` for ``sweep.log(…)``."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="sweep"), attr=method)):
            return method
    return None


def _children(node: ast.AST, hint: str) -> Iterator[tuple[ast.AST, str]]:
    """What a node consists of, each with the name that a value in this place would have."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(values):
            yield from ((value, _target(target)) for target, value in zip(targets, values, strict=True))
        case ast.Assign(targets=targets, value=value):
            yield value, _target(targets[0])
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield value, _target(target)
        case ast.AugAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
            yield value, _target(target)
        case ast.keyword(arg=str() as name, value=value):
            yield value, name
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                named = isinstance(key, ast.Constant) and isinstance(key.value, str)
                yield value, key.value if named else hint  # type: ignore[union-attr]
        case ast.arguments(posonlyargs=first, args=args, defaults=defaults, kwonlyargs=named_only, kw_defaults=their):
            behind = [*first, *args][len(first) + len(args) - len(defaults) :]
            yield from ((value, arg.arg) for arg, value in zip(behind, defaults, strict=True))
            yield from ((value, arg.arg) for arg, value in zip(named_only, their, strict=True) if value is not None)
        case ast.stmt():
            yield from ((child, "") for child in ast.iter_child_nodes(node))
        case _:
            yield from ((child, hint) for child in ast.iter_child_nodes(node))


def _target(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
    return ""


def _keyword(name: str, value: object) -> ast.keyword:
    made = ast.keyword(arg=name, value=ast.parse(repr(value), mode="eval").body)
    return ast.fix_missing_locations(made)


def _labels(node: ast.Call) -> tuple[Value, ...] | None:
    """What the options of a choice are called, by their text, where they stand in the text."""
    options = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "options"), None)
    if not isinstance(options, (ast.List, ast.Tuple)) or any(isinstance(one, ast.Starred) for one in options.elts):
        return None
    return tuple(map(_option, options.elts))


def _option(node: ast.expr) -> Value:
    """A plain value by itself, anything else by its text."""
    try:
        value = _number(node)
    except ValueError:
        return ast.unparse(node)
    plain = value is None or type(value) in (str, int, float, bool)
    return value if plain else ast.unparse(node)


def _literal(node: ast.Call, method: str, name: str) -> Parameter | None:
    """The range, where it stands in the text; raises where it is wrong."""
    if method == "choice":
        return _literal_choice(node, name)
    try:
        args = [_number(arg) for arg in node.args]
        given = {str(k.arg): _number(k.value) for k in node.keywords if k.arg not in ("name", "labels")}
    except ValueError:
        return None
    make: Any = {"float": float_parameter, "log": float_parameter, "int": int_parameter}[method]
    if method == "log":
        given["log"] = True
    elif method == "int" and len(args) > 2:
        given |= dict(zip(("log", "step"), args[2:4], strict=False))
        args = args[:2]
    low_high = [*args, *(given.pop(key) for key in ("low", "high")[len(args) :] if key in given)]
    try:
        found: Parameter = make(name, *low_high, **given)
    except TypeError:
        raise MisuseError(f"{name}: sweep.{method} takes two bounds, as in sweep.{method}(1, 10)") from None
    return found


def _literal_choice(node: ast.Call, name: str) -> Parameter | None:
    labels = _labels(node)
    if labels is None:
        return None
    default = next((keyword.value for keyword in node.keywords if keyword.arg == "default"), None)
    called = None if default is None else default.value if isinstance(default, ast.Constant) else ast.unparse(default)
    return choice_parameter(name, labels, default=called)[0]


def _number(node: ast.expr) -> Any:
    """The value of an expression made of constants and numbers alone: `1e-4`, `-1`, `2 ** 10`, `True`."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as power)) if abs(power) < 100:
            return _plain_number(left) ** power
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _plain_number(left) * _plain_number(right)
    raise ValueError("not a number")


def _plain_number(node: ast.expr) -> int | float:
    value = _number(node)
    if not isinstance(value, (int, float)):
        raise ValueError("not a number")
    return value


def _check_names(body: Body) -> None:
    known: dict[str, Swept] = {}
    for found in body.swept:
        if not found.name:
            continue
        before = known.setdefault(found.name, found)
        if before is found:
            continue
        alike = ast.dump(before.node) == ast.dump(found.node)
        if not alike or ((before.inferred or found.inferred) and before.line == found.line):
            raise MisuseError(
                f"two swept values are called {found.name} (lines {before.line} and {found.line}): "
                "give one another name with name='…'"
            )


def compiled(nodes: list[ast.stmt]) -> CodeType:
    """Statements of a body as code that runs as it would in the notebook: without the compiler flags of this module."""
    return compile(ast.Module(nodes, []), "<sweep>", "exec", dont_inherit=True)


# -- other forms of the text -----------------------------------------------------------------------


class _Plain(ast.NodeTransformer):
    """The body without its ranges: what a trial does for given values."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        method = _method_of(node)
        if method is None or method == "report":
            return node
        kept = [keyword for keyword in node.keywords if keyword.arg == "name"]
        kind = "number" if method != "choice" else "choice"
        return ast.Call(ast.Name(f"sweep.{kind}", ast.Load()), [], kept)


def with_values(body: Body, raw: Mapping[str, float | int], seed: int | None = None) -> str:
    """The body as a plain cell: every swept value in its place, the generators seeded before it.

    Parameters
    ----------
    raw : mapping
        Parameter -> suggested number (of a choice: the number of the option).
    """
    lines = [] if seed is None else [seeding(body.facts, seed)]
    for statement in body.statements:
        node = _Fixed(raw, body.parameters()).visit(copy.deepcopy(statement.node))
        lines.append(ast.unparse(ast.fix_missing_locations(node)))
    return "\n".join(lines)


def seeding(facts: CellFacts, seed: int) -> str:
    """Code that seeds the generators as a trial does."""
    lines = ["import random", f"random.seed({seed})", "import numpy", f"numpy.random.seed({seed})"]
    if any(name.partition(".")[0] == "torch" for name in facts.imports) or "torch" in facts.loads:
        lines += ["import torch", f"torch.manual_seed({seed})"]
    return "\n".join(lines)


class _Fixed(ast.NodeTransformer):
    """Puts values in the place of the calls that ask for them."""

    def __init__(self, raw: Mapping[str, float | int], parameters: Mapping[str, Parameter]) -> None:
        self._raw = raw
        self._parameters = parameters

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        method = _method_of(node)
        if method is None:
            return node
        if method == "report":
            return ast.Constant(None)
        given = next(k.value for k in node.keywords if k.arg == "name")
        if not isinstance(given, ast.Constant):
            return self._looked_up(node, method, given)
        name = given.value
        known = self._parameters.get(str(name))
        value = self._raw.get(str(name), known.start if known is not None else 0)
        if method != "choice":
            return ast.parse(repr(value), mode="eval").body
        options = node.args[0] if node.args else next(k.value for k in node.keywords if k.arg == "options")
        if isinstance(options, (ast.List, ast.Tuple)) and known is not None:
            return options.elts[int(value)]
        return ast.Subscript(options, ast.Constant(int(value)), ast.Load())

    def _looked_up(self, node: ast.Call, method: str, name: ast.expr) -> ast.expr:
        """The value of a parameter whose name is made at run time."""
        table = ast.parse(repr(dict(self._raw)), mode="eval").body
        value = ast.Subscript(table, name, ast.Load())
        if method != "choice":
            return value
        options = node.args[0] if node.args else next(k.value for k in node.keywords if k.arg == "options")
        return ast.Subscript(options, value, ast.Load())
