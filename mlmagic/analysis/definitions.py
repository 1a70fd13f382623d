"""Inside `analysis`: functions, classes, lambdas and type aliases: what runs now, and what only when called.

A body that is only defined counts where its name is loaded. Where something else gets hold of it at once,
a decorator or the call that a lambda is passed to, it counts there.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .facts import CodeFacts
from .scopes import Scope, class_scope, function_scope, parameters
from .walker import Walker, handles

# Annotations are evaluated only when somebody asks for them (PEP 649).
LAZY_ANNOTATIONS = sys.version_info >= (3, 14)

# Decorators that keep what they are given and do not call it.
_KEEPING = frozenset(
    "property staticmethod classmethod setter getter deleter abstractmethod cached_property cache lru_cache wraps "
    "dataclass total_ordering contextmanager asynccontextmanager overload override final njit jit".split()
)
# Bases that call no method of a class while it is made; Enum, for one, does.
_QUIET_BASES = frozenset(
    "object type ABC Protocol Generic NamedTuple TypedDict Exception BaseException ValueError TypeError KeyError "
    "RuntimeError Module Dataset IterableDataset Sampler Function LightningModule LightningDataModule BaseEstimator "
    "Thread Process NodeVisitor NodeTransformer dict list tuple set str int float UserDict".split()
)


@handles("FunctionDef", "AsyncFunctionDef")
def _function(walker: Walker, node: Any) -> None:
    walker.visit_all(node.decorator_list)
    _defaults(walker, node.args)
    outer, lazy = _type_parameters(walker, node)
    annotations = [*(arg.annotation for arg in parameters(node.args)), node.returns]
    if LAZY_ANNOTATIONS or walker.cell.future_annotations:
        lazy = CodeFacts.merged([lazy, _facts(walker, annotations, outer)])
    else:
        with walker.within(outer):
            walker.visit_all(annotations)
    scope = function_scope(node.body, outer, walker.klass, node.args)
    facts = CodeFacts.merged([_facts(walker, node.body, scope), lazy])
    if not all(map(_keeps, node.decorator_list)):
        walker.run(facts)
    walker.define(node.name, facts)
    walker.bind(node.name)


@handles("Lambda")
def _lambda(walker: Walker, node: ast.Lambda) -> None:
    walker.run(_lambda_facts(walker, node))


@handles("Assign")
def _assign(walker: Walker, node: ast.Assign) -> None:
    _store(walker, node.value, node.targets)


@handles("AnnAssign")
def _annotated(walker: Walker, node: ast.AnnAssign) -> None:
    if node.value is not None:
        _store(walker, node.value, [node.target])
    elif not isinstance(node.target, ast.Name):
        walker.visit(node.target)
    if walker.scope.kind == "class":
        walker.visit(node.annotation)  # also where it is lazy: dataclass and pydantic ask for it at once
    elif walker.scope.kind == "module" and not (LAZY_ANNOTATIONS or walker.cell.future_annotations):
        walker.visit(node.annotation)


def _store(walker: Walker, value: ast.expr, targets: list[ast.expr]) -> None:
    if isinstance(value, ast.Lambda):
        _assign_lambda(walker, value, targets)
    else:
        walker.visit(value)
    walker.visit_all(targets)


def _assign_lambda(walker: Walker, node: ast.Lambda, targets: list[ast.expr]) -> None:
    """`name = lambda ...` is a definition; stored anywhere else, it may be called from there at any time."""
    facts = _lambda_facts(walker, node)
    for target in targets:
        if isinstance(target, ast.Name):
            walker.define(target.id, facts)
        else:
            walker.run(facts)


@handles("ClassDef")
def _class(walker: Walker, node: ast.ClassDef) -> None:
    walker.visit_all(node.decorator_list)
    outer, lazy = _type_parameters(walker, node)
    with walker.within(outer):
        walker.visit_all((*node.bases, *node.keywords))
    walker.cell.classes += 1
    scope = class_scope(node, outer, f"{walker.cell.classes}.")
    klass, walker.klass = walker.klass, node.name
    with walker.within(scope):
        walker.visit_all(node.body)
    walker.klass = klass
    walker.bound = frozenset(name for name in walker.bound if not name.startswith(scope.prefix))
    facts = CodeFacts.merged([*scope.deferred, lazy])
    if not all(map(_keeps, node.decorator_list)):
        walker.run(facts)
    elif node.keywords or not all(map(_is_quiet, node.bases)):
        _run_while_made(walker, node.name, facts)
    walker.define(node.name, facts)
    walker.bind(node.name)


def _run_while_made(walker: Walker, name: str, facts: CodeFacts) -> None:
    """Count the methods, which `__init_subclass__` or a metaclass might call.

    Their use of the class's own name is left out: nothing calls them in the hope of finding the class that
    had the name before, and every second run of the cell would seem to read the first one's.
    """
    walker.run(replace(facts, loads=facts.loads - {walker.mangle(name)}))


@handles("TypeAlias")
def _type_alias(walker: Walker, node: Any) -> None:
    outer, lazy = _type_parameters(walker, node)
    walker.define(node.name.id, CodeFacts.merged([_facts(walker, [node.value], outer), lazy]))
    walker.bind(node.name.id)


def _facts(walker: Walker, nodes: Iterable[ast.AST | None], scope: Scope) -> CodeFacts:
    """What running `nodes` in `scope` at some later time could do."""
    inner = walker.inner(scope)
    inner.visit_all(nodes)
    return inner.tally.code_facts()


def _lambda_facts(walker: Walker, node: ast.Lambda) -> CodeFacts:
    _defaults(walker, node.args)
    return _facts(walker, [node.body], function_scope([node.body], walker.scope, walker.klass, node.args))


def _defaults(walker: Walker, args: ast.arguments) -> None:
    walker.visit_all((*args.defaults, *args.kw_defaults))


def _type_parameters(walker: Walker, node: Any) -> tuple[Scope, CodeFacts]:
    """The scope of `[T: Bound = Default]`, and what its bounds load when somebody asks for them."""
    params = getattr(node, "type_params", None)
    if not params:
        return walker.scope, CodeFacts()
    names = frozenset(walker.mangle(param.name) for param in params)
    scope = Scope("comprehension", walker.scope, names)
    lazy = [part for param in params for part in ast.iter_child_nodes(param)]
    return scope, _facts(walker, lazy, Scope("function", walker.scope, names))


def _keeps(decorator: ast.AST) -> bool:
    return _last_name(decorator) in _KEEPING


def _is_quiet(base: ast.AST) -> bool:
    name = _last_name(base)
    return name in _QUIET_BASES or name.endswith(("Mixin", "Error", "Warning"))


def _last_name(node: ast.AST) -> str:
    """`c` of `a.b.c`, `a.b.c(...)` and `a.b.c[...]`."""
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return _last_name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""
