"""Inside `analysis`: what each kind of expression loads, and in which order."""

from __future__ import annotations

import ast
from typing import Any

from .scopes import Scope, target_names
from .tally import DYNAMIC_ATTRIBUTES
from .walker import Walker, handles


def root_name(node: ast.AST) -> str | None:
    """The variable that an expression like `a.b[0].c(x).d` begins with."""
    while True:
        match node:
            case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Await(value=value):
                node = value
            case ast.Call(func=func):
                node = func
            case ast.Name(id=name):
                return name
            case _:
                return None


def dotted_path(node: ast.AST) -> str:
    """The attributes an expression follows from its root: `a.b` for `a.b[0].c(x)`; empty without a root."""
    followed: list[str] = []
    while True:
        match node:
            case ast.Attribute(value=value, attr=name):
                followed.append(name)
                node = value
            case ast.Call(func=value) | ast.Subscript(value=value):
                followed.clear()  # what came after is followed from a result
                node = value
            case ast.Await(value=value):
                node = value
            case ast.Name(id=name):
                return ".".join([name, *reversed(followed)])
            case _:
                return ""


def note_effect(walker: Walker, node: ast.AST) -> None:
    """Take down that something reached through the root of `node` may have been changed."""
    name = root_name(node)
    if name is not None and not walker.scope.in_function:
        name = walker.mangle(name)
        if walker.is_global(name):
            _, dot, rest = dotted_path(node).partition(".")
            walker.cell.effects.add(name + dot + rest)


@handles("Name")
def _name(walker: Walker, node: ast.Name) -> None:
    if isinstance(node.ctx, ast.Load):
        walker.load(node.id)
    elif isinstance(node.ctx, ast.Store):
        walker.bind(node.id)
    else:
        walker.delete(node.id)


@handles("Constant")
def _constant(walker: Walker, node: ast.Constant) -> None:
    if isinstance(node.value, str):
        walker.tally.string(node.value)


@handles("Attribute")
def _attribute(walker: Walker, node: ast.Attribute) -> None:
    walker.tally.attributes.add(node.attr)
    if node.attr in DYNAMIC_ATTRIBUTES:
        walker.tally.dynamic = True
    walker.visit(node.value)
    if not isinstance(node.ctx, ast.Load):
        note_effect(walker, node)


@handles("Subscript")
def _subscript(walker: Walker, node: ast.Subscript) -> None:
    walker.visit(node.value)
    walker.visit(node.slice)
    if not isinstance(node.ctx, ast.Load):
        note_effect(walker, node)
    if _is_sys_modules(node.value) and _may_be_main(node.slice):
        walker.tally.dynamic = True


def _is_sys_modules(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "modules"


def _may_be_main(node: ast.AST) -> bool:
    return (isinstance(node, ast.Constant) and node.value == "__main__") or (
        isinstance(node, ast.Name) and node.id == "__name__"
    )


@handles("Dict")
def _dict(walker: Walker, node: ast.Dict) -> None:
    for key, value in zip(node.keys, node.values, strict=True):
        walker.visit(key)
        walker.visit(value)


@handles("NamedExpr")
def _named(walker: Walker, node: ast.NamedExpr) -> None:
    walker.visit(node.value)
    walker.bind(node.target.id)


@handles("BinOp")
def _binary(walker: Walker, node: ast.BinOp) -> None:
    # A sum of many terms leans to the left: go down that side without recursion.
    rights: list[ast.expr] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp):
        rights.append(left.right)
        left = left.left
    walker.visit(left)
    walker.visit_all(reversed(rights))


@handles("BoolOp")
def _short_circuit(walker: Walker, node: ast.BoolOp) -> None:
    walker.visit(node.values[0])
    with walker.maybe():
        walker.visit_all(node.values[1:])


@handles("Compare")
def _compare(walker: Walker, node: ast.Compare) -> None:
    walker.visit(node.left)
    walker.visit(node.comparators[0])
    with walker.maybe():  # a < b < c does not look at c when a >= b
        walker.visit_all(node.comparators[1:])


@handles("IfExp")
def _ternary(walker: Walker, node: ast.IfExp) -> None:
    walker.visit(node.test)
    for branch in (node.body, node.orelse):
        with walker.maybe():
            walker.visit(branch)


@handles("Await")
def _await(walker: Walker, node: ast.Await) -> None:
    note_await(walker)
    walker.visit(node.value)


def note_await(walker: Walker) -> None:
    """Take down that the cell itself has to be awaited."""
    if not walker.scope.in_function:
        walker.cell.awaits = True


@handles("ListComp", "SetComp", "GeneratorExp", "DictComp")
def _comprehension(walker: Walker, node: Any) -> None:
    # A generator runs later than here, when more names are bound: counting it here is the upper bound.
    first, *others = node.generators
    walker.visit(first.iter)  # the only part that sees the names of a class body around it
    if any(part.is_async for part in node.generators) and not isinstance(node, ast.GeneratorExp):
        note_await(walker)
    names = frozenset[str]().union(*(target_names(part.target, walker.klass) for part in node.generators))
    with walker.within(Scope("comprehension", walker.scope, names)), walker.maybe():
        walker.visit(first.target)
        walker.visit_all(first.ifs)
        for part in others:
            walker.visit_all((part.iter, part.target, *part.ifs))
        walker.visit_all((node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,))
