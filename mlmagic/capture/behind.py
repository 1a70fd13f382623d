"""The code behind values: what functions, methods and classes of the notebook, and local modules, hold to be run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType

from mlmagic._optional import loaded
from mlmagic.analysis import CodeFacts, code_facts
from mlmagic.fingerprint import CodeReach


def code_reach(code: CodeType) -> CodeReach:
    """What a live function could load and bind in the user's namespace."""
    facts = code_facts(code)
    reads_environment = bool({"environ", "getenv"} & (facts.attributes | facts.loads))
    return CodeReach(facts.loads | facts.sql_names, facts.stores | facts.deletes, facts.dynamic, reads_environment)


def code_behind(values: Iterable[object]) -> CodeFacts:
    """What the text of functions and classes among `values` says, their names apart."""
    return facts_of(codes_behind(values))


def facts_of(codes: Iterable[CodeType]) -> CodeFacts:
    """The facts of code any of which may run."""
    facts = list(map(code_facts, codes))
    return CodeFacts.merged(facts) if facts else CodeFacts()


def codes_behind(values: Iterable[object]) -> Iterator[CodeType]:
    """Code objects of the notebook's functions, methods and classes among `values`."""
    for value in values:
        if isinstance(value, FunctionType):
            yield value.__code__
        elif isinstance(value, MethodType):
            yield from codes_behind([value.__func__])
        else:
            kind = value if isinstance(value, type) else type(value)
            if kind.__module__ == "__main__":
                yield from _methods(kind)


def written_here(values: Iterable[object]) -> Iterator[CodeType]:
    """The same without functions of packages, whose text is nobody's here."""
    functions = (value.__func__ if isinstance(value, MethodType) else value for value in values)
    return codes_behind(
        value
        for value in functions
        if not isinstance(value, FunctionType) or value.__globals__.get("__name__") == "__main__"
    )


def module_codes(modules: Iterable[str]) -> Iterator[CodeType]:
    """Code objects of the functions and methods that local modules define."""
    for module in map(loaded, modules):
        if not isinstance(module, ModuleType):
            continue
        for value in list(vars(module).values()):
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if isinstance(value, type):
                yield from _methods(value)
            elif isinstance(value, FunctionType):
                yield value.__code__


def _methods(cls: type) -> Iterator[CodeType]:
    """Those written where the class was; not what a decorator of a package added."""
    for part in vars(cls).values():
        if isinstance(part, FunctionType) and part.__globals__.get("__name__") == cls.__module__:
            yield part.__code__
