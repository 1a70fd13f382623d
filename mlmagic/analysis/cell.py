"""First step of a cell's way: its text, after IPython's input transformation, comes in; `CellFacts` go out."""

from __future__ import annotations

import ast
from collections.abc import Callable

from . import calls, definitions, expressions, statements  # noqa: F401  they register what each node does
from .facts import CellFacts
from .scopes import Scope
from .source import parse, text_hash, tree_hash
from .walker import Cell, Walker


def analyse(code: str, transform: Callable[[str], str] | None = None) -> CellFacts:
    """What running `code` as a cell could load from the global namespace, bind, change and call.

    Parameters
    ----------
    code : str
        The cell after IPython's input transformation, so plain Python.
    transform : callable, optional
        The same transformation, for the bodies of magics that run code (`%%time`).

    Returns
    -------
    CellFacts
        An upper bound. Text that does not parse gives facts with `error` and nothing else.
    """
    try:
        tree = parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return CellFacts(text_hash(code), error=str(error) or type(error).__name__)
    try:
        return _walked(tree, transform)
    except RecursionError:
        return _nested_too_deep(tree)


def _walked(tree: ast.Module, transform: Callable[[str], str] | None) -> CellFacts:
    cell = Cell(transform)
    walker = Walker(cell, Scope("module"))
    shown = bool(tree.body) and isinstance(tree.body[-1], ast.Expr)
    walker.visit_all(tree.body[:-1] if shown else tree.body)
    effects, cell.effects = frozenset(cell.effects), set()
    walker.visit_all(tree.body[-1:] if shown else [])
    tally = walker.tally
    tally.follow(cell.functions)
    undone = cell.gone.union(*(facts.deletes for facts in cell.functions.values()))
    return CellFacts(
        source_hash=tree_hash(tree),
        loads=tally.loads,
        called=tally.called,
        functions=cell.functions,
        binds=frozenset(tally.stores),
        sure_binds=walker.bound - undone,
        deletes=frozenset(tally.deletes),
        dynamic=tally.dynamic,
        star_imports=frozenset(cell.star_imports),
        imports=frozenset(tally.imports),
        strings=tuple(tally.strings),
        attributes=frozenset(tally.attributes),
        sql_names=tally.all_sql_names(),
        effects=effects,
        last_effects=frozenset(cell.effects),
        magics=frozenset(cell.magics),
        awaits=cell.awaits,
    )


def _nested_too_deep(tree: ast.Module) -> CellFacts:
    """Facts of generated code that nests beyond Python's stack: it may do anything."""
    names = {node.id: node.ctx for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return CellFacts(tree_hash(tree), loads=dict.fromkeys(names, frozenset()), binds=frozenset(names), dynamic=True)
