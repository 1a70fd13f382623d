"""Inside `analysis`: the walk over a syntax tree in the order in which Python would run it.

The walker follows which global names this code has surely bound so far, and notes every load of a global
name together with that set. What each kind of node does stands in `expressions`, `statements`,
`definitions` and `calls`; a handler is registered for the node types it is for.

A name that was bound and then deleted stays in the set: what it meant before the cell is gone either way.
So the set only grows along a path, one pass over a loop's body is enough, and where paths meet it is the
intersection of theirs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .facts import CodeFacts
from .scopes import Scope, mangled
from .tally import DYNAMIC_NAMES, Tally

Handler = Callable[["Walker", Any], None]
_HANDLERS: dict[type, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register a handler for these node types, those among them that this Python has."""

    def register(handler: Handler) -> Handler:
        for name in names:
            kind = getattr(ast, name, None)
            if kind is not None:
                _HANDLERS[kind] = handler
        return handler

    return register


@handles("Load", "Store", "Del", "And", "Or", "Add", "Sub", "Mult", "Div", "Eq", "Lt", "Gt", "Is", "In", "Not")
def _nothing(walker: Walker, node: ast.AST) -> None:
    """Leaves of the tree without a name: only listed because there are so many."""


class Path(NamedTuple):
    """Where one way through the code has come: names surely bound, and whether it goes on from here."""

    bound: frozenset[str]
    live: bool


def meet(paths: Iterable[Path]) -> Path:
    """The state where `paths` come together; those that ended (`raise`, `break`) do not count."""
    paths = list(paths)
    live = [path.bound for path in paths if path.live]
    if live:
        return Path(frozenset.intersection(*live), True)
    # Nothing gets here. Code that follows is looked at all the same: spurious, but never wrong.
    return Path(frozenset.intersection(*(path.bound for path in paths)), False)


@dataclass(slots=True)
class Loop:
    """The ways out of a loop's body."""

    breaks: list[Path] = field(default_factory=list)
    continues: list[Path] = field(default_factory=list)


@dataclass(slots=True)
class Cell:
    """What belongs to the cell as a whole, shared by the walks over its functions."""

    transform: Callable[[str], str] | None = None
    future_annotations: bool = False
    functions: dict[str, CodeFacts] = field(default_factory=dict)
    star_imports: set[str] = field(default_factory=set)
    effects: set[str] = field(default_factory=set)
    magics: set[str] = field(default_factory=set)
    awaits: bool = False
    gone: set[str] = field(default_factory=set)  # deleted somewhere, and not surely bound again since
    classes: int = 0


class Walker:
    """One walk: over the statements of a cell, or over the body of one function."""

    def __init__(self, cell: Cell, scope: Scope, klass: str | None = None) -> None:
        self.cell = cell
        self.scope = scope
        self.klass = klass  # innermost class around this code, for the mangling of names
        self.tally = Tally()
        self.bound: frozenset[str] = frozenset()
        self.live = True
        self.loops: list[Loop] = []
        self.depth = 0  # 0: in statements that run exactly once

    # -- going through the tree

    def visit(self, node: ast.AST | None) -> None:
        if node is None:
            return
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            handler(self, node)
        else:
            self.visit_all(ast.iter_child_nodes(node))

    def visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            self.visit(node)

    def block(self, statements: Iterable[ast.AST]) -> None:
        """Visit statements that need not run exactly once."""
        self.depth += 1
        self.visit_all(statements)
        self.depth -= 1

    def inner(self, scope: Scope) -> Walker:
        """A fresh walk for the body of a function, which runs at some later time."""
        return Walker(self.cell, scope, self.klass)

    # -- paths

    def here(self) -> Path:
        return Path(self.bound, self.live)

    def go(self, path: Path) -> None:
        self.bound, self.live = path

    @contextmanager
    def maybe(self) -> Iterator[None]:
        """Code that may be skipped, without a way out but its end: what it binds is not sure afterwards."""
        before = self.bound
        self.depth += 1
        yield
        self.depth -= 1
        self.bound = before

    @contextmanager
    def within(self, scope: Scope) -> Iterator[None]:
        """Code of another scope that runs here and now."""
        outer, self.scope = self.scope, scope
        yield
        self.scope = outer

    # -- names

    def mangle(self, name: str) -> str:
        return name if self.klass is None else mangled(name, self.klass)

    @property
    def globals_bound(self) -> frozenset[str]:
        """The global names surely bound so far, without those of class bodies."""
        if self.klass is None:
            return self.bound
        return frozenset(name for name in self.bound if "." not in name)

    def is_global(self, name: str) -> bool:
        """Whether loading `name` (mangled) here could find a global variable."""
        scope = self.scope
        if scope.kind == "class" and scope.prefix + name in self.bound:
            return False
        return scope.reaches_global(name)

    def load(self, name: str) -> None:
        name = self.mangle(name)
        scope = self.scope
        if scope.kind == "class" and name in scope.functions:
            self.run(scope.functions[name])
        if self.is_global(name):
            self.load_global(name)

    def load_global(self, name: str) -> None:
        bound = self.globals_bound
        self.tally.use(name, bound)
        if name not in bound and (name in DYNAMIC_NAMES or (name == "locals" and self.scope.home.kind == "module")):
            self.tally.dynamic = True

    def load_by_string(self, name: str) -> None:
        """Load what a library will look up, from a string, in the frame of its caller.

        A frame knows its own names and the global ones; those of the functions around it only if its code
        mentions them, which a string does not.
        """
        if self.hides(name):
            return
        self.load_global(name)

    def hides(self, name: str) -> bool:
        """Whether the frame of this code surely has a local variable of that name."""
        scope = self.scope
        while scope.parent is not None:
            if name in scope.locals:
                return scope.kind != "class" or scope.prefix + name in self.bound
            if scope.kind != "comprehension":
                return False
            scope = scope.parent
        return False

    def bind(self, name: str) -> None:
        name = self.mangle(name)
        if self._settles(name):
            self.tally.stores.add(name)
            if self.depth == 0 and not self.scope.in_function:
                self.cell.gone.discard(name)

    def delete(self, name: str) -> None:
        name = self.mangle(name)
        if self._settles(name):
            self.tally.deletes.add(name)
            self.cell.gone.add(name)

    def _settles(self, name: str) -> bool:
        """Note that the former value of `name` is out of reach from here on; True for a global name."""
        scope = self.scope
        while scope.kind == "comprehension" and scope.parent is not None:
            if name in scope.locals:
                return False  # a comprehension's own variable
            scope = scope.parent
        if scope.kind == "class" and name in scope.locals:
            if name not in scope.fickle:
                self.bound |= {scope.prefix + name}
            return False
        if not scope.reaches_global(name):
            return False
        self.bound |= {name}
        return True

    # -- functions

    def run(self, facts: CodeFacts) -> None:
        """Code with these facts may run here."""
        self.tally.absorb(facts, self.globals_bound)
        if self.scope.in_function:  # the cell's own functions keep theirs under their names
            self.tally.stores |= facts.stores
            self.tally.deletes |= facts.deletes

    def define(self, name: str, facts: CodeFacts) -> None:
        """Code with these facts may run wherever `name` is loaded."""
        name = self.mangle(name)
        scope = self.scope.home
        if scope.in_function:
            self.run(facts)  # nobody outside can say when: count it where it is made
        elif scope.kind == "class" and name in scope.locals:
            scope.deferred.append(facts)
            _add(scope.functions, name, facts)
        else:
            _add(self.cell.functions, name, facts)


def _add(functions: dict[str, CodeFacts], name: str, facts: CodeFacts) -> None:
    functions[name] = CodeFacts.merged([functions[name], facts]) if name in functions else facts
