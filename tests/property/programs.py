"""Random programs, cell by cell: aliases, containers, nested changes, functions, classes, arrays, frames, failures.

A cell is made from what the names refer to at that moment, so that most of what it does succeeds.
"""

from __future__ import annotations

import random
import textwrap
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

NAMES = list("abcdefgh")
FUNCTIONS = ["f1", "f2", "f3", "f4"]
CLASSES = ["K1", "K2"]
FIRST_CELL = "import numpy as np\nimport pandas as pd"


# What may happen to a value in place: `x` is its name, `n` a number, `v` any value.
CHANGES: dict[str, list[str]] = {
    "list": [
        "{x}.append({v})", "{x} += [{v}]", "{x}.pop()", "{x}[0] = {v}", "{x}.reverse()", "{x}.append(1); {x}.pop()",
        "{x}[:] = list({x})", "del {x}[0]",
    ],
    "dict": ["{x}['k'] = {v}", "{x}.update(k={v})", "{x}.pop('k', None)", "{x}.setdefault('n', [])"],
    "set": ["{x}.add({n})", "{x} |= {{{n}}}", "{x}.discard(1)"],
    "tuple": ["{x} += (1,)"],
    "array": ["{x}[0] = {n}", "{x} += 1", "{x}[:] = {x}", "{x}[-1] *= 2", "{x}.sort()"],
    "frame": [
        "{x}['z'] = {n}", "{x}.iloc[0, 0] = {n}", "{x}.columns = {x}.columns[::-1]", "{x}.loc[1, 'x'] = 7",
        "{x}.attrs['n'] = {n}", "{x}.index = {x}.index + 1", "{x}.head()",
    ],
    "series": ["{x}.iloc[0] = {n}", "{x}.name = 'n{n}'", "{x} += 1"],
    "instance": [
        "{x}.own.append({n})", "{x}.shared.append({n})", "{x}.new = {v}", "{x}.push()", "{x}.own = {v}", "{x}.look()",
    ],
    "class": ["{x}.shared.append({n})", "{x}.extra = {v}", "{x}.shared = []"],
    "int": ["{x} += 1", "{x} -= {n}"],
}  # fmt: skip


def _inner(value: Any) -> object:
    """The part of a container that a nested change would be made to."""
    if isinstance(value, dict):
        return value.get("l")
    return (value[-1] if isinstance(value, tuple) else value[0]) if value else None


def kind(value: object) -> str:
    """What the writer can do with a value."""
    if isinstance(value, bool) or value is None:
        return "other"
    for known in (int, float, list, dict, set, tuple):
        if type(value) is known:
            return known.__name__
    if isinstance(value, np.ndarray):
        return "array" if value.ndim == 1 and value.size else "other"
    if isinstance(value, pd.DataFrame):
        return "frame"
    if isinstance(value, pd.Series):
        return "series"
    if isinstance(value, types.FunctionType):
        return "function"
    if isinstance(value, type):
        return "class"
    return "instance" if type(value).__name__ in CLASSES else "other"


class Writer:
    """Writes the next cell for a namespace."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.namespace: Mapping[str, Any] = {}

    def cell(self, namespace: Mapping[str, Any]) -> str:
        self.namespace = namespace
        lines = [self.statement() for _ in range(self.rng.randrange(1, 4))]
        if self.rng.random() < 0.08:
            lines.insert(self.rng.randrange(len(lines) + 1), self.rng.choice(["1 / 0", "raise ValueError", "nothing"]))
        return "\n".join(lines)

    # -- picking -----------------------------------------------------------------------------

    def name(self) -> str:
        return self.rng.choice(NAMES)

    def some(self, *kinds: str) -> str | None:
        """A name that refers to a value of one of these kinds now."""
        found = [name for name in [*NAMES, *FUNCTIONS, *CLASSES] if kind(self.namespace.get(name)) in kinds]
        return self.rng.choice(found) if found else None

    def any(self) -> str:
        found = [name for name in NAMES if name in self.namespace]
        return self.rng.choice(found) if found else "0"

    def number(self) -> str:
        return str(self.rng.randrange(300, 10_000) if self.rng.random() < 0.5 else self.rng.randrange(5))

    # -- expressions -------------------------------------------------------------------------

    def value(self) -> str:
        n = self.any
        makers: list[Callable[[], str]] = [
            self.number,
            self.number,
            n,
            n,
            lambda: f"[{self.number()}, {n()}]",
            lambda: f"[[{self.number()}], {n()}]",
            lambda: f"{{'k': {n()}, 'l': [{self.number()}]}}",
            lambda: f"({n()}, [{self.number()}])",
            lambda: f"{{{self.number()}, {self.number()}}}",
            lambda: f"np.arange({self.rng.randrange(3, 7)}.)",
            lambda: f"pd.DataFrame({{'x': [{self.number()}, 2, 3], 'y': [1.5, 2.5, 3.5]}})",
            self.part,
            self.part,
            self.call,
            lambda: f"len(str(type({n()})))",
        ]
        return self.rng.choice(makers)()

    def part(self) -> str:
        name = self.some("list", "dict", "tuple", "array", "frame", "series", "instance") or "[1]"
        value = self.namespace.get(name)
        match kind(value):
            case "list":
                return self.rng.choice([f"{name}[0]", f"{name}[:]", f"list({name})", f"[v for v in {name}]"])
            case "tuple":
                return f"{name}[{self.rng.randrange(len(value))}]" if value else name
            case "dict":
                return self.rng.choice([f"{name}.get('k')", f"list({name}.values())", f"dict({name})", f"{name}['l']"])
            case "array":
                return self.rng.choice(
                    [f"{name}[1:]", f"{name}[::2]", f"{name} * 2", f"{name}.copy()", f"float({name}.sum())"]
                )
            case "frame":
                return self.rng.choice([f"{name}['x']", f"{name}.copy()", f"{name}.to_numpy()", f"{name}.assign(z=1)"])
            case "series":
                return self.rng.choice([f"{name} + 1", f"{name}.to_numpy()", f"{name}.rename('r')"])
            case "instance":
                return self.rng.choice([f"{name}.own", f"{name}.shared", f"{name}.look()"])
        return name

    def call(self) -> str:
        name = self.some("function")
        if name is None:
            made = self.some("class")
            return f"{made}()" if made else self.number()
        function = self.namespace[name]
        takes = function.__code__.co_argcount - len(function.__defaults__ or ())
        return f"{name}({', '.join(self.any() for _ in range(takes))})"

    # -- statements --------------------------------------------------------------------------

    def statement(self) -> str:
        roll = self.rng.random()
        if roll < 0.34:
            return self.change()
        if roll < 0.60:
            return self.binding()
        if roll < 0.70:
            return self.function()
        if roll < 0.78:
            return self.rng.choice(
                [self.call, self.call, self.part, lambda: f"print({self.any()}, end='')[:0] if 0 else 0"]
            )()
        if roll < 0.82:
            return self.class_()
        if roll < 0.87:
            return f"del {self.some('int', 'list', 'dict', 'array', 'frame', 'tuple') or 'nothing'}"
        return self.compound()

    def binding(self) -> str:
        forms = [
            lambda: f"{self.name()} = {self.value()}",
            lambda: f"{self.name()} = {self.value()}",
            lambda: f"{self.name()} = {self.name()} = {self.value()}",
            lambda: f"{self.name()}, {self.name()} = {self.value()}, {self.value()}",
            lambda: f"{self.any()} = {self.any()}" if self.any() != "0" else "a = 1",
            lambda: f"{self.name()} = {self.name()} = []",
            self.swap,
            lambda: f"({self.name()} := {self.value()})",
        ]
        return self.rng.choice(forms)()

    def swap(self) -> str:
        one, other = self.rng.sample(NAMES, 2)
        return f"{one}, {other} = {other}, {one}"

    def change(self) -> str:
        name = self.some("list", "dict", "set", "array", "frame", "series", "instance", "tuple", "class", "int")
        if name is None:
            return self.binding()
        return self.rng.choice(self.changes(name, self.namespace[name]))

    def changes(self, name: str, value: Any) -> list[str]:
        number = self.number()
        forms = [form.format(x=name, n=number, v=self.value()) for form in CHANGES.get(kind(value), CHANGES["int"])]
        inside = {"list": "{x}[0]", "dict": "{x}['l']", "tuple": "{x}[-1]"}.get(kind(value))
        if inside is not None and type(_inner(value)) is list:
            forms += [f"{inside}.append({{n}})".format(x=name, n=number)] * 4
        return forms

    def function(self) -> str:
        name, n = self.rng.choice(FUNCTIONS), self.any
        change = textwrap.indent(self.change(), "    ")
        names = "global " + ", ".join(NAMES)
        inner = "    def inner():\n        "
        more = self.number()
        forms = [
            f"def {name}(): return {n()}",
            f"def {name}(v): return [v, {n()}]",
            f"def {name}(v):\n    v.append({self.number()}); return v",
            f"def {name}(v={n()}):\n    v.append({self.number()})",
            f"def {name}(v=[]):\n    v.append({self.number()}); return v",
            f"def {name}():\n    {names}\n{change}",
            f"def {name}():\n    {names}\n    {self.name()} = {self.value()}",
            f"def make():\n    s = [{n()}]\n{inner}s.append({more}); return s\n    return inner\n{name} = make()",
            f"def make(s):\n{inner}nonlocal s; s = [s, {more}]; return {n()}\n    return inner\n{name} = make({n()})",
            f"{name} = lambda: {n()}",
            f"def {name}(): return {self.rng.choice(FUNCTIONS[:2])}()",
            f"{name} = {self.rng.choice(FUNCTIONS)}",
        ]
        return self.rng.choice(forms)

    def class_(self) -> str:
        name, n = self.rng.choice(CLASSES), self.any()
        made = self.rng.choice(["", f"\n{self.name()} = {name}()"])
        return (
            f"class {name}:\n    shared = [{self.number()}]\n    def __init__(self): self.own = [{self.number()}]\n"
            f"    def push(self): self.own.append({n}); self.shared.append(1)\n    def look(self): return {n}{made}"
        )

    def compound(self) -> str:
        body, other = (textwrap.indent(self.rng.choice([self.change, self.binding])(), "    ") for _ in range(2))
        test = self.some("int") or "1"
        forms = [
            f"if {test} > 3:\n{body}",
            f"if {test} > 3:\n{body}\nelse:\n{other}",
            f"for i in range(2):\n{body}",
            f"try:\n{body}\nfinally:\n{other}",
            f"try:\n{body}\n    1 / 0\nexcept ZeroDivisionError:\n{other}",
            f"try:\n{body}\nexcept Exception as error:\n{other}",
            f"while True:\n{body}\n    break",
            f"for i in {self.some('list', 'tuple', 'set') or '[]'}:\n{body}\n    break",
        ]
        return self.rng.choice(forms)
