"""Random programs run for real: nothing they load from before may be missing from the facts of their text.

The namespace is a subclass of dict, which makes the interpreter ask its `__getitem__` for every global
name, in functions too; class bodies get a namespace that does the same. Every name exists beforehand and
holds a value of its own, so whatever hands out one of those values is a load of what was there before.
"""

from __future__ import annotations

import builtins
import random
import textwrap
import types

import pytest

from mlmagic.analysis import analyse, code_facts

NAMES = list("abcdefgh")
PROGRAMS_PER_SEED = 400


FUNCTIONS = (types.FunctionType, type)


class OutOfFuel(BaseException):
    pass


class Thing:
    """A value that survives whatever the programs do with it, and calls the functions it is given."""

    def __init__(self, rng):
        self.__dict__["rng"] = rng

    def __call__(self, *args, **kwargs):
        for arg in args:
            if isinstance(arg, FUNCTIONS) and self.rng.random() < 0.7:
                arg(*[1] * self.rng.randrange(2))
        if args and isinstance(args[0], FUNCTIONS) and self.rng.random() < 0.7:
            return args[0]
        return self

    def __bool__(self):
        return self.rng.random() < 0.5

    def __iter__(self):
        return iter([1] * self.rng.randrange(3))

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return args[0] is not None and issubclass(args[0], Exception) and self.rng.random() < 0.6

    def __add__(self, other):
        return self

    __radd__ = __iadd__ = __add__

    def __eq__(self, other):
        return self.rng.random() < 0.5

    def __lt__(self, other):
        return self.rng.random() < 0.5

    __gt__ = __lt__
    __hash__ = object.__hash__

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __setattr__(self, name, value):
        pass

    def __getitem__(self, key):
        return self

    def __setitem__(self, key, value):
        pass


class Watched(dict):
    """A namespace that knows which of its first values were asked for, and what was overwritten by then."""

    def __init__(self, rng):
        first = {name: Thing(rng) for name in NAMES}
        super().__init__(first, TICK=self.burn)  # called in every while loop
        self["__builtins__"] = {**vars(builtins), "__build_class__": self.build_class}
        self.first = first
        self.loaded = {}
        self.fuel = 3000

    def changed(self):
        return {name for name in NAMES if self.get(name) is not self.first[name]}

    def burn(self):
        self.fuel -= 1
        if self.fuel < 0:
            raise OutOfFuel

    def build_class(self, body, name, *bases):
        """Make a class whose body asks this namespace, too, for what it has not bound itself."""

        class Body(dict):
            def __missing__(_, key):
                if key not in body.__code__.co_freevars and key in self.first:
                    self[key]
                raise KeyError(key)

        class Meta(type):
            @classmethod
            def __prepare__(cls, name, bases):
                return Body()

        return builtins.__build_class__(body, name, *bases, metaclass=Meta)

    def __getitem__(self, name):
        self.burn()
        value = super().__getitem__(name)
        if name in self.first and value is self.first[name]:
            self.loaded[name] = self.loaded.get(name, set(NAMES)) & self.changed()
        return value


class Writer:
    """Writes random programs over the same few names."""

    def __init__(self, rng):
        self.rng = rng

    def name(self):
        return self.rng.choice(NAMES)

    def expression(self, depth=2):
        if depth == 0:
            return self.rng.choice([self.name(), self.name(), "1"])
        e = lambda: self.expression(depth - 1)  # noqa: E731
        n = self.name  # containers are not kept: a loop could double them for ever
        forms = [
            lambda: n(),
            lambda: n(),
            lambda: f"{n()}({e()})",
            lambda: f"{n()}()",
            lambda: f"({e()} + {e()})",
            lambda: f"({n()} := {e()})",
            lambda: f"({e()} and {e()})",
            lambda: f"({e()} if {e()} else {e()})",
            lambda: f"({e()} < {e()} < {e()})",
            lambda: f"{n()}(lambda {n()}=1: {e()})",
            lambda: f"{n()}(lambda: {e()})",
            lambda: f"len([{e()} for {n()} in {n()}])",
            lambda: f"len([{e()} for {n()} in [1, 2] if {e()}])",
            lambda: "len({" + f"{e()}: {e()} for {n()} in {n()}" + "})",
            lambda: "len({" + f"1: {e()}, 2: {e()}" + "})",
            lambda: f"sum({e()} for {n()} in {n()} for {n()} in [1, {n()}])",
            lambda: f"{n()}.{n()}",
            lambda: f"{n()}[{e()}]",
            lambda: f"len(f'{{{n()}}}')",
        ]
        return self.rng.choice(forms)()

    def target(self):
        return self.rng.choice(
            [self.name(), self.name(), self.name(), f"{self.name()}.x", f"{self.name()}[0]", f"({self.name()})"]
        )

    def block(self, depth, where):
        count = self.rng.randrange(1, 4)
        return textwrap.indent("\n".join(self.statement(depth - 1, where) for _ in range(count)), "    ")

    def statement(self, depth, where=""):
        simple = [
            lambda: f"{self.target()} = {self.expression()}",
            lambda: f"{self.target()} = {self.expression()}",
            lambda: self.expression(),
            lambda: f"{self.target()} += {self.expression(1)}",
            lambda: f"del {self.name()}",
            lambda: f"{self.name()} = lambda {self.name()}=1: {self.expression()}",
            lambda: f"{self.name()}: {self.name()} = {self.expression(1)}",
            lambda: f"import sys as {self.name()}",
            lambda: f"assert {self.expression(1)}, {self.expression(1)}",
        ]
        if "loop" in where:
            simple += [lambda: "break", lambda: "continue"] * 2
        if "function" in where:
            simple += [lambda: f"return {self.expression()}"]
        if self.rng.random() < 0.15:
            simple += [lambda: f"raise ValueError({self.expression(1)})"] * 2
        if depth == 0 or self.rng.random() < 0.45:
            return self.rng.choice(simple)()
        return self.rng.choice(self.compound(depth, where))()

    def compound(self, depth, where):
        block = lambda where=where: self.block(depth, where)  # noqa: E731
        loop = f"{where} loop"
        return [
            lambda: f"if {self.expression()}:\n{block()}",
            lambda: f"if {self.expression()}:\n{block()}\nelse:\n{block()}",
            lambda: f"for {self.name()} in {self.expression(1)}:\n{block(loop)}",
            lambda: f"for {self.name()} in range(2):\n{block(loop)}\nelse:\n{block()}",
            lambda: f"while {self.expression()}:\n    TICK()\n{block(loop)}",
            lambda: f"while True:\n    TICK()\n{block(loop)}\n    break",
            lambda: f"try:\n{block()}\nexcept Exception as {self.name()}:\n{block()}",
            lambda: f"try:\n{block()}\nexcept ValueError:\n{block()}\nelse:\n{block()}\nfinally:\n{block('')}",
            lambda: f"try:\n{block()}\nfinally:\n{block('')}",
            lambda: f"with {self.expression(1)} as {self.name()}, {self.name()}:\n{block()}",
            lambda: (
                f"match {self.name()}:\n    case {self.name()}.x:\n{self.indented(block())}\n"
                f"    case {self.name()} if {self.expression(1)}:\n{self.indented(block())}"
            ),
            lambda: (
                f"match {self.name()}:\n    case 1 | [_, *{self.name()}]:\n{self.indented(block())}\n"
                f"    case _:\n{self.indented(block())}"
            ),
            lambda: self.function(depth, where),
            lambda: self.function(depth, where),
            lambda: self.class_(depth, where),
        ]

    @staticmethod
    def indented(text):
        return textwrap.indent(text, "    ")

    def decorator(self):
        return f"@{self.name()}\n" if self.rng.random() < 0.2 else ""

    def function(self, depth, where):
        taken = self.name()
        free = [name for name in NAMES if name != taken]
        declared = f"    global {self.rng.choice(free)}\n" if self.rng.random() < 0.4 else ""
        if "function" in where and self.rng.random() < 0.3:
            declared = f"    nonlocal {self.rng.choice(free)}\n"
        head = f"def {self.name()}({taken}={self.name()}, *_):\n"
        if self.rng.random() < 0.3:
            head = f"def {self.name()}({taken}: {self.name()}={self.name()}, **_) -> {self.name()}:\n"
        return f"{self.decorator()}{head}{declared}{self.block(depth, 'function')}"

    def class_(self, depth, where):
        declared = f"    global {self.name()}\n" if self.rng.random() < 0.2 else ""
        return f"{self.decorator()}class {self.name()}:\n{declared}{self.block(depth, 'class')}"

    def program(self):
        return "\n".join(self.statement(3) for _ in range(self.rng.randrange(2, 8)))


def run(program, rng):
    """Run a program as far as it goes; the namespace, and whether it ran to its end."""
    namespace = Watched(rng)
    try:
        exec(compile(program, "<random>", "exec"), namespace)
    except (Exception, OutOfFuel):
        return namespace, False
    return namespace, True


SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(100, 200))]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_facts_bound_what_random_programs_do(seed):
    rng = random.Random(seed)
    finished = loads = 0
    for _ in range(PROGRAMS_PER_SEED):
        program = Writer(rng).program()
        try:
            compile(program, "<random>", "exec")
        except SyntaxError:  # `global x` after use, `:=` on a comprehension's variable: not a program
            continue
        facts = analyse(program)
        for _ in range(3):
            namespace, ended = run(program, rng)
            check(program, facts, namespace, ended)
            finished += ended
            loads += len(namespace.loaded)
    assert finished > 50  # the programs do something
    assert loads > 500


def check(program, facts, namespace, ended):
    missed = namespace.loaded.keys() - facts.loads.keys()
    assert not missed, f"loads {missed} are missing for\n{program}"
    assert not facts.dynamic
    for name, changed in namespace.loaded.items():
        # A name that was given its own old value counts as bound, though nothing shows it: it was loaded.
        unfounded = facts.loads[name] - changed - namespace.loaded.keys()
        assert not unfounded, f"{unfounded} not bound at a load of {name} in\n{program}"
    stored = facts.binds.union(*(part.stores for part in facts.functions.values()))
    removed = facts.deletes.union(*(part.deletes for part in facts.functions.values()))
    assert namespace.changed() <= stored | removed, f"binds {namespace.changed() - stored - removed} in\n{program}"
    if ended:
        assert facts.sure_binds <= namespace.keys(), f"{facts.sure_binds - namespace.keys()} not bound by\n{program}"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_the_text_of_a_function_names_what_its_code_loads(seed):
    rng = random.Random(1000 + seed)
    for _ in range(PROGRAMS_PER_SEED):
        program = Writer(rng).function(3, "")
        if "class " in program:  # code does not tell which names a class body has bound before
            continue
        try:
            code = compile(program, "<random>", "exec")
        except SyntaxError:
            continue
        ((name, text),) = analyse(program).functions.items()
        read = code_facts(next(part for part in code.co_consts if getattr(part, "co_name", None) == name))
        assert read.loads <= text.loads | text.stores | text.deletes, program
        assert read.stores <= text.stores, program
        assert read.deletes <= text.deletes, program
