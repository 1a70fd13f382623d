"""What Python and its libraries leave open: the order of sets, and generators that the system seeds.

Text or code object in, yes or no out.
"""

from __future__ import annotations

import ast
import dis
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from types import CodeType

_SETS = frozenset({"set", "frozenset"})
_MAKING = frozenset({"BUILD_SET", "SET_ADD", "SET_UPDATE"})
_GENERATORS = frozenset("Random RandomState default_rng SeedSequence PCG64 PCG64DXSM MT19937 Philox SFC64".split())


def uses_sets(code: CodeType) -> bool:
    """Whether code makes or goes through sets; asking whether something is in a literal one does not count."""
    return _anywhere(code, _uses_sets)


def seeds_nothing(code: CodeType) -> bool:
    """Whether code makes a random generator without giving it a seed: `default_rng()`, `Random()`."""
    return _anywhere(code, _seeds_nothing)


def writes_descriptor(code: CodeType) -> bool:
    """Whether code calls `os.write`, past all streams."""
    return _anywhere(code, _writes_descriptor)


def imported_from(code: CodeType) -> frozenset[str]:
    """Dotted names that code imports by `from module import name`, at any depth."""
    inner = (imported_from(part) for part in code.co_consts if isinstance(part, CodeType))
    return _imported_from(code).union(*inner)


def compiled(source: str) -> CodeType:
    """A cell's text as code; empty where it is none."""
    try:
        code: CodeType = compile(source, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError):
        return compile("", "<cell>", "exec")
    return code


def _anywhere(code: CodeType, found: Callable[[CodeType], bool]) -> bool:
    return found(code) or any(_anywhere(part, found) for part in code.co_consts if isinstance(part, CodeType))


@lru_cache(maxsize=10_000)
def _uses_sets(code: CodeType) -> bool:
    if _SETS & {*code.co_names}:
        return True
    steps = list(dis.get_instructions(code))
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        literal = step.opname == "LOAD_CONST" and isinstance(step.argval, frozenset)
        if step.opname in _MAKING or (literal and (after is None or after.opname != "CONTAINS_OP")):
            return True
    return False


@lru_cache(maxsize=10_000)
def _seeds_nothing(code: CodeType) -> bool:
    """A name of a generator, directly followed by a call without arguments."""
    if not _GENERATORS & {*code.co_names}:
        return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("PRECALL", "CACHE", "PUSH_NULL")]
    return any(
        step.argval in _GENERATORS and after.opname == "CALL" and after.arg == 0
        for step, after in pairwise(steps)
        if isinstance(step.argval, str)
    )


@lru_cache(maxsize=10_000)
def _writes_descriptor(code: CodeType) -> bool:
    if not {"os", "write"} <= {*code.co_names}:
        return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("PRECALL", "CACHE", "PUSH_NULL")]
    return any(step.argval == "os" and after.argval == "write" for step, after in pairwise(steps))


@lru_cache(maxsize=10_000)
def _imported_from(code: CodeType) -> frozenset[str]:
    module, found = "", []
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            module = str(step.argval)
        elif step.opname == "IMPORT_FROM":
            found.append(f"{module}.{step.argval}")
    return frozenset(found)
