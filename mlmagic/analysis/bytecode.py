"""Beside the text: the code object of a live function comes in, the same facts as from its source go out.

For functions that earlier cells, or modules, defined: their source may be gone, their code is what runs.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterator

from .facts import CodeFacts
from .strings import AT_CALLS, FORMULA_CALLS, PLAIN_EVALS, SQL_CALLS, at_names, formula_names, identifiers
from .tally import DYNAMIC_ATTRIBUTES, DYNAMIC_NAMES, Tally

_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "STORE_ATTR", "DELETE_ATTR"})

_MAX_KNOWN = 4096
_known: dict[types.CodeType, CodeFacts] = {}


def code_facts(code: types.CodeType) -> CodeFacts:
    """What running `code`, nested functions included, could load from the global namespace and bind in it.

    The code of a whole module counts its own variables as global; so does `exec` with one dictionary.
    """
    facts = _known.get(code)
    if facts is None:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()  # facts are cheap to make again
        facts = _known[code] = _read(code)
    return facts


def _read(code: types.CodeType) -> CodeFacts:
    tally = Tally()
    for part in _parts(code):
        for constant in part.co_consts:
            _note_strings(tally, constant)
        _note_names(tally, part, is_module=part is code and code.co_name == "<module>")
    _note_dynamic(tally)
    _note_names_in_strings(tally)
    return tally.code_facts()


def _parts(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _parts(constant)


def _note_strings(tally: Tally, constant: object) -> None:
    if isinstance(constant, str):
        tally.string(constant)
    elif isinstance(constant, (tuple, frozenset)):
        for item in constant:
            _note_strings(tally, item)


def _note_names(tally: Tally, code: types.CodeType, is_module: bool) -> None:
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        if not isinstance(name, str):
            continue
        opname = instruction.opname
        if opname in _LOADS:
            tally.use(name, frozenset())
        elif opname in _ATTRIBUTES:
            tally.attributes.add(name)
        elif opname == "STORE_GLOBAL" or (is_module and opname == "STORE_NAME"):
            tally.stores.add(name)
        elif opname == "DELETE_GLOBAL" or (is_module and opname == "DELETE_NAME"):
            tally.deletes.add(name)
        elif opname == "IMPORT_NAME":
            tally.imports.add(name)


def _note_dynamic(tally: Tally) -> None:
    main = "__main__" in tally.strings and not {"__import__", "import_module", "modules"}.isdisjoint(
        tally.attributes.union(tally.loads)
    )
    tally.dynamic = (
        main
        or "__main__" in tally.imports
        or not DYNAMIC_NAMES.isdisjoint(tally.loads)
        or not DYNAMIC_ATTRIBUTES.isdisjoint(tally.attributes)
    )


def _note_names_in_strings(tally: Tally) -> None:
    # Which string goes to which call is not worth following through the stack: all of them may.
    called = tally.attributes.union(tally.loads)
    tally.unknown_sql = not SQL_CALLS.isdisjoint(called)
    lookups: list[Callable[[str], set[str]]] = []
    if not AT_CALLS.isdisjoint(tally.attributes):
        lookups.append(at_names)
    if not FORMULA_CALLS.isdisjoint(called):
        lookups.append(formula_names)
    if any(module in tally.loads and name in tally.attributes for module, name in PLAIN_EVALS):
        lookups.append(identifiers)
    for words in lookups:
        for name in set().union(*map(words, tally.strings)):
            tally.use(name, frozenset())
