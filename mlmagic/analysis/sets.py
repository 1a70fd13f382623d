"""Whether code makes or goes through sets, whose order Python leaves open: text or code object in, yes or no out."""

from __future__ import annotations

import ast
import dis
from functools import lru_cache
from types import CodeType

_NAMES = frozenset({"set", "frozenset"})
_MAKING = frozenset({"BUILD_SET", "SET_ADD", "SET_UPDATE"})


def text_uses_sets(source: str) -> bool:
    """Whether a cell's text does; asking whether something is in a literal set does not count."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return False
    asked = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and all(isinstance(sign, (ast.In, ast.NotIn)) for sign in node.ops)
        for part in node.comparators
    }
    return any(
        isinstance(node, ast.SetComp)
        or (isinstance(node, ast.Set) and id(node) not in asked)
        or (isinstance(node, ast.Name) and node.id in _NAMES)
        for node in ast.walk(tree)
    )


@lru_cache(maxsize=10_000)
def code_uses_sets(code: CodeType) -> bool:
    """Whether a function's code does, with the functions inside it."""
    if _NAMES & {*code.co_names}:
        return True
    steps = list(dis.get_instructions(code))
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        literal = step.opname == "LOAD_CONST" and isinstance(step.argval, frozenset)
        if step.opname in _MAKING or (literal and (after is None or after.opname != "CONTAINS_OP")):
            return True
    return any(code_uses_sets(part) for part in code.co_consts if isinstance(part, CodeType))
