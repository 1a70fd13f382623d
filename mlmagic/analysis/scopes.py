"""Inside `analysis`: which names a scope binds, and whether a name seen in it is global."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from .facts import CodeFacts

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(slots=True)
class Scope:
    """One scope of the text, with its place among the others.

    `prefix` sets the names of a class body apart from global names of the same spelling where both are
    followed in one set; `fickle` are those that it also deletes, so that they are never surely its own;
    `functions` and `deferred` say what its methods would do. All four belong to class bodies.
    """

    kind: Literal["module", "function", "class", "comprehension"]
    parent: Scope | None = None
    locals: frozenset[str] = frozenset()
    globals: frozenset[str] = frozenset()
    fickle: frozenset[str] = frozenset()
    prefix: str = ""
    functions: dict[str, CodeFacts] = field(default_factory=dict)
    deferred: list[CodeFacts] = field(default_factory=list)

    def reaches_global(self, name: str) -> bool:
        """Whether a load of `name` here could find a global variable."""
        scope: Scope = self
        while scope.parent is not None:
            if name in scope.globals:
                return True
            if name in scope.locals:
                if scope.kind != "class":
                    return False
                if scope is self:
                    return True  # a class body looks for a name it has not bound yet among the globals
            scope = scope.parent  # methods do not see the names of their class
        return True

    @property
    def home(self) -> Scope:
        """The scope that statements, and `:=` in comprehensions, bind in."""
        scope: Scope = self
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope

    @property
    def in_function(self) -> bool:
        """Whether this code runs only when some function is called."""
        scope: Scope | None = self
        while scope is not None:
            if scope.kind == "function":
                return True
            scope = scope.parent
        return False


def mangled(name: str, klass: str | None) -> str:
    """`name` as the compiler spells it inside class `klass`: `__x` becomes `_Klass__x`."""
    if klass is None or not name.startswith("__") or name.endswith("__") or "." in name:
        return name
    klass = klass.lstrip("_")
    return f"_{klass}{name}" if klass else name


def target_names(target: ast.AST, klass: str | None) -> frozenset[str]:
    """The names bound by assigning to `target`."""
    return frozenset(
        mangled(node.id, klass)
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def parameters(args: ast.arguments) -> list[ast.arg]:
    """Every parameter, in order of their annotations' evaluation."""
    found = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return found + [arg for arg in (args.vararg, args.kwarg) if arg is not None]


def function_scope(
    body: Iterable[ast.AST], parent: Scope, klass: str | None, args: ast.arguments | None = None
) -> Scope:
    """The scope of a function with this body and these parameters."""
    found = _Bindings(klass)
    found.collect(body)
    if args is not None:
        found.bound.update(mangled(arg.arg, klass) for arg in parameters(args))
    return Scope("function", parent, found.locals, frozenset(found.globals))


def class_scope(node: ast.ClassDef, parent: Scope, prefix: str) -> Scope:
    """The scope of a class body; inside it, names are mangled with the class's own name."""
    found = _Bindings(node.name)
    found.collect(node.body)
    return Scope("class", parent, found.locals, frozenset(found.globals), frozenset(found.deleted), prefix)


class _Bindings:
    """The names bound directly in a body: nested functions, classes and lambdas are not entered."""

    def __init__(self, klass: str | None) -> None:
        self.klass = klass
        self.bound: set[str] = set()
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.deleted: set[str] = set()

    @property
    def locals(self) -> frozenset[str]:
        return frozenset(self.bound - self.globals - self.nonlocals)

    def collect(self, nodes: Iterable[ast.AST]) -> None:
        stack = list(nodes)
        while stack:
            node = stack.pop()
            self._note(node)
            stack += _inner(node)

    def _bind(self, name: str | None) -> None:
        if name is not None:
            self.bound.add(mangled(name, self.klass))

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                self._bind(name)
            case ast.Name(id=name, ctx=ast.Del()) | ast.ExceptHandler(name=str() as name):
                self._bind(name)
                self.deleted.add(mangled(name, self.klass))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._bind(node.name)
            case ast.alias():
                self._bind(node.asname or node.name.partition(".")[0])
            case ast.MatchAs() | ast.MatchStar():
                self._bind(node.name)
            case ast.MatchMapping():
                self._bind(node.rest)
            case ast.Global():
                self.globals.update(mangled(name, self.klass) for name in node.names)
            case ast.Nonlocal():
                self.nonlocals.update(mangled(name, self.klass) for name in node.names)


def _inner(node: ast.AST) -> Iterable[ast.AST]:
    """The parts of `node` that bind in the same scope."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [*node.decorator_list, *_signature(node.args), *([node.returns] if node.returns else [])]
    if isinstance(node, ast.Lambda):
        return _signature(node.args)
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    if isinstance(node, _COMPREHENSIONS):
        return _walruses(node)
    return ast.iter_child_nodes(node)


def _signature(args: ast.arguments) -> list[ast.AST]:
    found: list[ast.AST | None] = [*args.defaults, *args.kw_defaults]
    found += [arg.annotation for arg in parameters(args)]
    return [node for node in found if node is not None]


def _walruses(comprehension: ast.AST) -> list[ast.AST]:
    """Targets of `:=` in a comprehension, which bind outside it; its own loop variables do not."""
    found: list[ast.AST] = []
    stack = list(ast.iter_child_nodes(comprehension))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.NamedExpr):
            found.append(node.target)
        stack += _signature(node.args) if isinstance(node, ast.Lambda) else ast.iter_child_nodes(node)
    return found
