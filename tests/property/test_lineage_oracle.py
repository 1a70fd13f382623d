"""Random programs against oracles that know nothing of the recorder: changes, reads, and what a slice needs."""

from __future__ import annotations

import ast
import random
import sys
import types
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlmagic.graph import slicing
from tests.cases.notebook import Notebook, names
from tests.property.programs import FIRST_CELL, Writer

PROGRAMS_PER_SEED = 60


class Pristine:
    """An independent, deep account of values: what is equal by it is equal for the program that holds them."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # an identity is that of a living object only

    def of(self, value: Any) -> Any:
        if value is None or type(value) in (int, float, bool, str, bytes) or isinstance(value, np.generic):
            return type(value).__name__, repr(value)
        if type(value) is tuple:
            return "tuple", tuple(map(self.of, value))
        if isinstance(value, (types.ModuleType, types.BuiltinFunctionType)):
            return "by name", value.__name__
        if id(value) in self.seen:
            return "again", self.seen[id(value)]
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        return type(value).__name__, self.parts(value)

    def parts(self, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(map(self.of, value))
        if isinstance(value, dict):
            return tuple((self.of(key), self.of(part)) for key, part in value.items())
        if isinstance(value, set):
            return tuple(sorted(map(repr, value)))
        if isinstance(value, np.ndarray):
            plain = tuple(map(self.of, value.ravel().tolist())) if value.dtype.hasobject else value.tobytes()
            return value.dtype.str, value.shape, plain
        if isinstance(value, pd.DataFrame):
            columns = tuple(self.of(column.to_numpy()) for _, column in value.items())
            return self.index(value.columns), self.index(value.index), self.of(value.attrs), columns, self.added(value)
        if isinstance(value, pd.Series):
            parts = self.of(value.attrs), self.of(value.to_numpy()), self.added(value)
            return repr(value.name), self.index(value.index), *parts
        if isinstance(value, types.FunctionType):
            cells = tuple(self.of(cell.cell_contents) for cell in value.__closure__ or ())
            return _code(value.__code__), self.of(value.__defaults__), cells, self.of(dict(value.__dict__))
        if isinstance(value, type):
            members = {
                name: part for name, part in vars(value).items() if not name.startswith("__") or name == "__init__"
            }
            return value.__qualname__, tuple((name, self.of(members[name])) for name in sorted(members))
        if isinstance(value, BaseException):
            return repr(value.args)
        attributes = getattr(value, "__dict__", {})
        return self.of(type(value)), tuple((name, self.of(attributes[name])) for name in sorted(attributes))

    def added(self, value: Any) -> Any:
        """Attributes that a program set on an object of pandas."""
        return tuple((name, self.of(part)) for name, part in sorted(vars(value).items()) if name[0] != "_")

    @staticmethod
    def index(index: pd.Index) -> Any:
        return repr(index.names), str(index.dtype), tuple(map(repr, index))


def _code(code: types.CodeType) -> Any:
    constants = [_code(part) if isinstance(part, types.CodeType) else repr(part) for part in code.co_consts]
    # not co_code: the compiler treats calls on names that it sees imported in the same text in another way
    return code.co_names, code.co_varnames, tuple(constants)


def account(namespace: dict[str, Any]) -> dict[str, tuple[int, Any]]:
    """Each of the user's names with the identity and the deep content of what it refers to."""
    users = {name: value for name, value in namespace.items() if not name.startswith("_")}
    for name in ("In", "Out", "get_ipython", "exit", "quit"):
        users.pop(name, None)
    return {name: (id(value), Pristine().of(value)) for name, value in users.items()}


def partners(namespace: dict[str, Any]) -> dict[str, set[str]]:
    """Each of the user's names with those that share changeable objects or memory with it."""
    looks = {name: Pristine() for name in account(namespace)}  # all alive at once: identities are told apart
    for name, look in looks.items():
        look.of(namespace[name])
    parts = {name: set(look.seen) | {id(_owner(part)) for part in look.kept} for name, look in looks.items()}
    return {name: {other for other in parts if parts[name] & parts[other]} for name in parts}


def _owner(value: Any) -> Any:
    """The array whose memory a view looks at."""
    while isinstance(value, np.ndarray) and value.base is not None:
        value = value.base
    return value


class Traced(dict):  # type: ignore[type-arg]
    """A namespace that knows which of the values it had before a cell were asked for."""

    def __init__(self) -> None:
        super().__init__(__name__="__main__", __builtins__=__builtins__)
        self.first: dict[str, Any] = {}
        self.loaded: set[str] = set()

    def begin(self) -> None:
        self.first = dict(self)
        self.loaded = set()

    def __setitem__(self, name: str, value: Any) -> None:
        self.first.pop(name, None)  # bound by the cell, to the same object perhaps
        super().__setitem__(name, value)

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if self.first.get(name, self) is value:
            self.loaded.add(name)
        return value


def run_traced(text: str, namespace: Traced) -> set[str]:
    """Names whose value from before the cell was asked for."""
    namespace.begin()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for node in ast.parse(text).body:  # as IPython does: `global x` in a function changes how a module binds x
                exec(compile(ast.Module([node], []), "<traced>", "exec"), namespace)
        except Exception as error:
            error.__traceback__ = None
    return {name for name in namespace.loaded if not name.startswith("__")}


def run_slice(notebook: Notebook, name: str) -> Any:
    """The deep content of a variable that its slice recreates in an empty namespace."""
    plan = slicing.plan(notebook.history(), name)
    text = slicing.script(plan, notebook.artifacts.__getitem__)
    module = types.ModuleType("__main__")
    before, sys.modules["__main__"] = sys.modules["__main__"], module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(text, "<slice>", "exec"), vars(module))
    except Exception as error:
        raise AssertionError(f"the slice of {name} failed: {error!r}\n{text}") from error
    finally:
        sys.modules["__main__"] = before
    assert name in vars(module), f"the slice of {name} does not make it\n{text}"
    return Pristine().of(vars(module)[name]), text


def check_program(seed: int, root: Any) -> tuple[int, int]:
    """Run one random program and hold it against every oracle; returns how many writes and reads there were."""
    rng = random.Random(seed)
    writer, traced, notebook = Writer(rng), Traced(), Notebook(root)
    cells, writes, reads = [FIRST_CELL], 0, 0
    try:
        notebook.cell(FIRST_CELL)
        run_traced(FIRST_CELL, traced)
        for _ in range(rng.randrange(3, 12)):
            text = writer.cell(notebook.namespace)
            cells.append(text)
            before, shared = account(notebook.namespace), partners(notebook.namespace)
            ran = notebook.cell(text)
            after, sharing = account(notebook.namespace), partners(notebook.namespace)
            wanted = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
            listing = "\n".join(f"--- [{n}]\n{cell}" for n, cell in enumerate(cells, 1))
            told = f"seed {seed}, error {ran.error!r}\n{listing}"
            assert wanted <= names(ran.writes), f"missed writes {wanted - names(ran.writes)}: {told}"
            apart = {name for name in after if shared.get(name) != sharing[name]}
            assert names(ran.writes) <= wanted | apart, f"false writes {names(ran.writes) - wanted - apart}: {told}"
            loaded = run_traced(text, traced) & before.keys()
            assert loaded <= names(ran.reads), f"reads {loaded - names(ran.reads)} missed: {told}"
            writes, reads = writes + len(wanted), reads + len(loaded)
        for name, (_, content) in sorted(account(notebook.namespace).items()):
            if name not in ("np", "pd", "error"):
                remade, text = run_slice(notebook, name)
                assert remade == content, f"the slice of {name} made {remade}, not {content}:\n{text}\n{told}"
    finally:
        notebook.close()
    return writes, reads


SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(100, 150))]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs(seed, tmp_path):
    writes = reads = 0
    for program in range(PROGRAMS_PER_SEED):
        more = check_program(1000 * seed + program, tmp_path)
        writes, reads = writes + more[0], reads + more[1]
    assert writes > 5 * PROGRAMS_PER_SEED  # the programs do something
    assert reads > 5 * PROGRAMS_PER_SEED
