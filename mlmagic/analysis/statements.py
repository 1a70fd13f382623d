"""Inside `analysis`: what each kind of statement binds for sure, and which ways lead through it."""

from __future__ import annotations

import ast
from typing import Any

from .expressions import note_await, note_effect, root_name
from .walker import Loop, Path, Walker, handles, meet

# Calls whose value is dropped without a trace in any variable.
_SHOWING = frozenset({"print", "display", "get_ipython"})

# Context managers that let an exception pass: after `with`, the whole body has run. Anything else may
# swallow one, as contextlib.suppress does.
_PASSING = frozenset(
    "open no_grad enable_grad inference_mode set_grad_enabled autocast device catch_warnings option_context errstate "
    "printoptions rc_context config_context parallel_config parallel_backend threadpool_limits tqdm trange Parallel "
    "ThreadPoolExecutor ProcessPoolExecutor Pool ThreadPool TemporaryDirectory NamedTemporaryFile TemporaryFile Lock "
    "RLock ZipFile TarFile File ExcelWriter ExcelFile HDFStore closing nullcontext redirect_stdout redirect_stderr "
    "chdir scandir track urlopen StringIO BytesIO".split()
)


def _call_name(node: ast.AST) -> str:
    """`c` of `a.b.c(...)`; `style.context` keeps its owner, since so many things are called context."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name
        case ast.Call(func=ast.Attribute(attr="context", value=ast.Attribute(attr="style"))):
            return "rc_context"
        case ast.Call(func=ast.Attribute(attr=name)):
            return name
    return ""


# -- simple statements


@handles("Expr")
def _expression(walker: Walker, node: ast.Expr) -> None:
    value = node.value
    if isinstance(value, ast.Constant):
        return  # a docstring is no path
    walker.visit(value)
    called = value.value if isinstance(value, ast.Await) else value
    if isinstance(called, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        called = called.elt  # [plot(x) for x in xs]
    if isinstance(called, ast.Call) and root_name(called) not in _SHOWING:
        note_effect(walker, called)
    if _ends_cell(value):
        walker.live = False


def _ends_cell(node: ast.AST) -> bool:
    # Not exit() and quit(): a kernel's only ask it to stop once the cell is done.
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="sys"), attr="exit")):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="_exit" | "abort")):
            return True
    return False


@handles("AugAssign")
def _augmented(walker: Walker, node: ast.AugAssign) -> None:
    if isinstance(node.target, ast.Name):
        walker.load(node.target.id)
        walker.visit(node.value)
        walker.bind(node.target.id)
    else:
        walker.visit(node.target)
        walker.visit(node.value)


@handles("Raise")
def _raise(walker: Walker, node: ast.Raise) -> None:
    walker.visit(node.exc)
    walker.visit(node.cause)
    walker.live = False


@handles("Return")
def _return(walker: Walker, node: ast.Return) -> None:
    walker.visit(node.value)
    walker.live = False


@handles("Assert")
def _assert(walker: Walker, node: ast.Assert) -> None:
    with walker.maybe():  # python -O skips it
        walker.visit(node.test)
        walker.visit(node.msg)


@handles("Import")
def _import(walker: Walker, node: ast.Import) -> None:
    for alias in node.names:
        _note_import(walker, alias.name)
        walker.bind(alias.asname or alias.name.partition(".")[0])


@handles("ImportFrom")
def _import_from(walker: Walker, node: ast.ImportFrom) -> None:
    module = "." * node.level + (node.module or "")
    _note_import(walker, module)
    for alias in node.names:
        if alias.name == "*":
            walker.cell.star_imports.add(module)
        else:
            walker.bind(alias.asname or alias.name)
    if module == "__future__" and any(alias.name == "annotations" for alias in node.names):
        walker.cell.future_annotations = True


def _note_import(walker: Walker, module: str) -> None:
    walker.tally.imports.add(module)
    if module == "__main__":
        walker.tally.dynamic = True


# -- branches


@handles("If")
def _if(walker: Walker, node: ast.If) -> None:
    walker.visit(node.test)
    before = walker.here()
    walker.block(node.body)
    after = walker.here()
    walker.go(before)
    walker.block(node.orelse)
    walker.go(meet([after, walker.here()]))


@handles("Match")
def _match(walker: Walker, node: ast.Match) -> None:
    walker.visit(node.subject)
    before = walker.here()
    ends = []
    for case in node.cases:
        walker.go(before)
        walker.depth += 1
        walker.visit(case.pattern)
        walker.visit(case.guard)
        walker.block(case.body)
        walker.depth -= 1
        ends.append(walker.here())
    last = node.cases[-1]
    if last.guard is not None or not _matches_all(last.pattern):
        ends.append(before)
    walker.go(meet(ends))


def _matches_all(pattern: ast.pattern) -> bool:
    match pattern:
        case ast.MatchAs(pattern=inner):
            return inner is None or _matches_all(inner)
        case ast.MatchOr(patterns=patterns):
            return any(_matches_all(inner) for inner in patterns)
    return False


@handles("MatchAs", "MatchStar")
def _match_name(walker: Walker, node: Any) -> None:
    walker.visit(getattr(node, "pattern", None))
    if node.name is not None:
        walker.bind(node.name)


@handles("MatchMapping")
def _match_mapping(walker: Walker, node: ast.MatchMapping) -> None:
    walker.visit_all((*node.keys, *node.patterns))
    if node.rest is not None:
        walker.bind(node.rest)


@handles("MatchOr")
def _match_or(walker: Walker, node: ast.MatchOr) -> None:
    before = walker.here()
    ends = []
    for pattern in node.patterns:
        walker.go(before)
        walker.visit(pattern)
        ends.append(walker.here())
    walker.go(meet(ends))


# -- loops


@handles("For", "AsyncFor")
def _for(walker: Walker, node: Any) -> None:
    if isinstance(node, ast.AsyncFor):
        note_await(walker)
    walker.visit(node.iter)
    before = walker.here()
    walker.depth += 1
    walker.visit(node.target)
    loop, end = _loop_body(walker, node.body)
    walker.depth -= 1
    ends = [end, *loop.continues]
    walker.go(meet(ends if _runs_at_least_once(node.iter) else [before, *ends]))
    _loop_end(walker, node.orelse, loop)


def _runs_at_least_once(node: ast.AST) -> bool:
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return any(not isinstance(item, ast.Starred) for item in items)
        case ast.Constant(value=str() | bytes() as text):
            return len(text) > 0
        case ast.Call(func=ast.Name(id="range"), args=[*args], keywords=[]):
            return _counts(args)
        case ast.Call(func=ast.Name(id="enumerate" | "tqdm" | "reversed"), args=[first, *_]):
            return _runs_at_least_once(first)
    return False


def _counts(args: list[ast.expr]) -> bool:
    """Whether `range(*args)` is known to be non-empty."""
    try:
        values = [ast.literal_eval(arg) for arg in args]
        return len(range(*values)) > 0
    except (ValueError, TypeError, OverflowError):
        return False


@handles("While")
def _while(walker: Walker, node: ast.While) -> None:
    walker.visit(node.test)
    before = walker.here()
    loop, _ = _loop_body(walker, node.body)
    endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
    walker.go(Path(before.bound, before.live and not endless))
    _loop_end(walker, node.orelse, loop)


def _loop_body(walker: Walker, body: list[ast.stmt]) -> tuple[Loop, Path]:
    loop = Loop()
    walker.loops.append(loop)
    walker.block(body)
    walker.loops.pop()
    return loop, walker.here()


def _loop_end(walker: Walker, orelse: list[ast.stmt], loop: Loop) -> None:
    walker.block(orelse)
    walker.go(meet([walker.here(), *loop.breaks]))


@handles("Break", "Continue")
def _jump(walker: Walker, node: ast.AST) -> None:
    if walker.loops:  # outside a loop it is a syntax error that only the compiler sees
        loop = walker.loops[-1]
        (loop.breaks if isinstance(node, ast.Break) else loop.continues).append(walker.here())
    walker.live = False


# -- exceptions


@handles("Try", "TryStar")
def _try(walker: Walker, node: Any) -> None:
    before = walker.here()
    walker.block((*node.body, *node.orelse))
    ends = [walker.here()]
    for handler in node.handlers:
        walker.go(before)  # the body may have stopped anywhere
        walker.visit(handler.type)
        if handler.name is not None:
            walker.bind(handler.name)
        walker.block(handler.body)
        if handler.name is not None:
            walker.delete(handler.name)
        ends.append(walker.here())
    normal = meet(ends)
    walker.go(before)
    walker.block(node.finalbody)
    walker.go(Path(normal.bound | walker.bound, normal.live and walker.live))


@handles("With", "AsyncWith")
def _with(walker: Walker, node: Any) -> None:
    if isinstance(node, ast.AsyncWith):
        note_await(walker)
    swallowed: Path | None = None
    for item in node.items:
        walker.visit(item.context_expr)
        before = walker.here()
        walker.visit(item.optional_vars)
        if swallowed is None and _call_name(item.context_expr) not in _PASSING:
            # Unpacking the value may fail, and is inside what the manager guards.
            swallowed = walker.here() if isinstance(item.optional_vars, ast.Name) else before
    walker.depth += swallowed is not None
    walker.visit_all(node.body)
    walker.depth -= swallowed is not None
    if swallowed is not None:
        walker.go(meet([swallowed, walker.here()]))
