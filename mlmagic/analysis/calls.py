"""Inside `analysis`: calls that reach variables in other ways than by name: code and queries in strings."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from . import magics
from .expressions import root_name
from .strings import AT_CALLS, FORMULA_CALLS, PLAIN_EVALS, SQL_CALLS, at_names, formula_names, identifiers
from .walker import Walker, handles


@handles("Call")
def _call(walker: Walker, node: ast.Call) -> None:
    if magics.run(walker, node) or _constant_code(walker, node):
        return
    walker.visit(node.func)
    walker.visit_all((*node.args, *node.keywords))
    _note_called(walker, node.func)
    _reflection(walker, node)
    _names_in_strings(walker, node)


def _note_called(walker: Walker, func: ast.expr) -> None:
    name = root_name(func)
    if name is not None and not walker.scope.in_function:
        name = walker.mangle(name)
        if walker.is_global(name):
            walker.tally.call(name, walker.globals_bound)


def _constant_code(walker: Walker, node: ast.Call) -> bool:
    """`exec("...")` with the text in sight is as good as the text itself."""
    match node:
        case ast.Call(func=ast.Name(id="exec" | "eval" as how), args=[ast.Constant(value=str() as text)], keywords=[]):
            pass
        case _:
            return False
    if walker.scope.kind != "module" or how in walker.bound:
        return False
    try:
        tree = ast.parse(text.strip() if how == "eval" else text, mode=how)
    except (SyntaxError, ValueError):
        return False
    walker.tally.use(how, walker.bound)
    walker.visit(tree)
    return True


def _reflection(walker: Walker, node: ast.Call) -> None:
    match node.func:
        case ast.Name(id="vars" | "dir" as name) if not node.args and walker.scope.home.kind == "module":
            walker.tally.dynamic |= name not in walker.bound
        case ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"):
            for module in _texts(node):
                walker.tally.imports.add(module)
                walker.tally.dynamic |= module == "__main__"
        case ast.Attribute(attr="exec" | "eval", value=ast.Name(id="builtins")):
            walker.tally.dynamic = True


def _names_in_strings(walker: Walker, node: ast.Call) -> None:
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            pass
        case _:
            return
    if name in AT_CALLS and isinstance(node.func, ast.Attribute):
        _load_words(walker, node, at_names)
    if (root_name(node.func), name) in PLAIN_EVALS:
        _load_words(walker, node, identifiers)
    if name in FORMULA_CALLS:
        _load_words(walker, node, formula_names)
    if name in SQL_CALLS:
        _note_sql(walker, node)


def _load_words(walker: Walker, node: ast.Call, words: Callable[[str], set[str]]) -> None:
    for text in _texts(node):
        for name in sorted(words(text)):
            walker.load_by_string(name)


def _note_sql(walker: Walker, node: ast.Call) -> None:
    words = {word for text in _texts(node) for word in identifiers(text)}
    walker.tally.sql_names |= {word for word in words - walker.bound if not walker.hides(word)}
    if node.args and not (isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)):
        walker.tally.unknown_sql = True


def _texts(node: ast.Call) -> Iterator[str]:
    """The constant strings among the arguments, and the constant parts of f-strings."""
    for arg in (*node.args, *(keyword.value for keyword in node.keywords)):
        for part in ast.walk(arg):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value
