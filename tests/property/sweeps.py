"""Random sweeps, and what each of their trials does when its cell is run alone.

A case is a notebook's cells and a body, line by line; `«rate»` stands for a swept value. The body is searched under
mlmagic in one world, and run once for each trial, with that trial's values written into it and nothing of mlmagic
around it, in others. Values are put in by text alone, so that the judge shares no code with what it judges.
"""

from __future__ import annotations

import ast
import math
import random
import re
import shutil
import tempfile
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlmagic.api import sweeping
from mlmagic.records import Measure, Trial
from mlmagic.tuning.engines.local import LocalEngine
from mlmagic.tuning.search import Search
from tests.property.contents import Line, account, first_difference
from tests.property.notebooks import CONSTANTS, DATA, FORMS, OBJECTS, CellWriter, data_file
from tests.property.programs import CLASSES, FUNCTIONS, NAMES
from tests.property.worlds import Put, Run, Tracked, World

PREPARED = """import collections, functools, json, os, random, re, zlib
from pathlib import Path
import numpy as np
import pandas as pd
def weigh(*values):
    own = [type(value).__module__ == '__main__' and hasattr(value, '__dict__') for value in values]
    told = [vars(value) if its else value for value, its in zip(values, own)]
    return zlib.crc32(re.sub('0x[0-9a-fA-F]+', '', repr(told)).encode()) % 9973 / 7"""

# Swept value -> what the body asks, and the options of a choice as they stand in the text.
RANGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "rate": ("sweep.log(0.001, 1.0)", ()),
    "share": ("sweep.float(0, 1)", ()),
    "depth": ("sweep.int(1, 6)", ()),
    "kind": ("sweep.choice(['p', 'q', None])", ("'p'", "'q'", "None")),
    "how": ("sweep.choice([abs, [1, 2], {'k': 3}])", ("abs", "[1, 2]", "{'k': 3}")),
}
_HOLE = re.compile("«(\\w+)»")
_EXAMPLE = {"rate": "0.03", "share": "0.5", "depth": "3", "kind": "'p'", "how": "[1, 2]"}

# What a body does with values that are searched, besides what any cell does; holes in <> as in `notebooks`.
SWEPT = [
    "<t> = rate", "<t> = [rate, <any>]", "<array>[0] = rate", "<list>.append(rate)", "<frame>['z'] = rate",
    "<instance>.new = rate", "<instance>.own.append(rate)", "<frame>.loc[0, 'x'] = share", "<array> *= 1 + rate",
    "<t> = <any> if rate > 0.03 else <any>", "<t> = <any> if kind else <any>", "<t> = {'k': <list>, 'l': [depth]}",
    "if rate > 0.03:\n    <t> = <v>\nelse:\n    <t> = <v>", "if rate < 0.03:\n    <list>.append(<n>)",
    "for _i in range(depth):\n    <list>.append(_i)", "if kind == 'p':\n    <list1>.append(<n>)\n<t> = len(<list1>)",
    "def <f>(v=rate):\n    return [v, <any>]", "def <f>(v=rate):\n    <list>.append(v)\n    return v",
    "def <f>(v=<n>):\n    <array>[0] = rate\n    return v", "<f> = lambda: [rate, <any>]", "<t> = <call>",
    "<t> = <call>", "<call>", "<call>", "def <f>(v=depth):\n    global <t>\n    <t> = v", "<f>, <t> = <f>, rate",
    "class K1:\n    shared = [rate]\n    def __init__(self): self.own = [<any>]\n    def look(self): return self.own",
    "<class>.shared = [rate]", "<class>.shared.append(depth)", "<t> = <class>()", "<t> = <class>()\n<t> = rate",
    "random.seed(depth)", "<t> = np.random.rand(depth)", "<t> = random.random() * rate",
    "<t> = np.random.default_rng(depth).random()", "rng = np.random.default_rng(depth)", "<t> = <rng>.random()",
    "if rate > 0.05:\n    raise ValueError('too fast')", "assert depth < 6", "<t> = [<n>, 2, 3][depth % 4]",
    "<t> = 1 / (depth - 2)", "try:\n    <t> = [<n>][depth % 2]\nexcept IndexError:\n    <t> = <v>",
    "if kind is None:\n    del <list>", "del rate", "<t> = sorted(<list>, key=lambda v: str(v) * depth)",
    "sweep.report(loss=rate * 2)", "sweep.report(step=depth, loss=<n>)", "for _i in range(3): sweep.report(loss=_i)",
    "<t> = dict(rate=rate, of=<any>)", "print(rate, <any>)", "<t> = <t> = rate", "<any>, <t> = rate, <any>",
    "<array1>[:] = <array1> * rate", "<t> = <array1>[1:] if rate > 0.02 else <array1>",
    "np.set_printoptions(precision=depth)",
    "<t> = <array1>[:2] if kind else <array1>\n<list>.append(<n>)", "<frame>.sort_values('y', inplace=depth > 3)",
    "<has_k>['k'] = rate", "<t> = (how, rate)", "<t> = how\n<t> = rate",
    "thing = <list>.append if rate > 0.02 else print",
    "<t> = [rate * v for v in range(depth)]", "(<t> := rate)",
    "with np.errstate(all='ignore'):\n    <t> = np.float64(rate) / 0",
    "<t> = functools.partial(<f0>, rate)", "while depth > 2:\n    depth -= 1\n    <list>.append(depth)",
]  # fmt: skip
# What any cell may do, and trials cannot, or where each process has an answer of its own.
_ELSEWHERE = re.compile(
    r"%%|\b(Out|In|_|display|fresh_\w+|globals|vars|dir|exec|eval|helper|deeper|work|SystemExit|weakref|environ|lock|"
    r"threading|thread|set|frozenset|Colour|link|isinstance|getcwd|not_there|lru_cache|memo|log|glob|mmap_mode|"
    r"stream|memoryview|file)\b|= =|made|listdir|exists|\{[^:{}]+\}"
    r"|Lossy|groupby|np\.ma|del max|\.note\b|'w'|to_csv|json\.dump|np\.save|shutil|rename|os\.|sub/|\bdel nothing"
)
_FAMILIES = {
    "programs": 34, "draws": 8, "constants": 10, "lives": 6, "shapes": 8, "numbers": 9, "tables": 9, "pure": 10,
    "failures": 2, "files": 3, "missing": 2,
}  # fmt: skip
METRIC = "score"


@dataclass(frozen=True)
class Case:
    """One notebook with one sweep."""

    setup: tuple[str, ...]
    body: tuple[str, ...]
    seed: int = 0

    def __str__(self) -> str:
        return "\n\n".join([*self.setup, "%%sweep --maximize score\n" + self.searched])

    @property
    def searched(self) -> str:
        return _HOLE.sub(lambda hole: RANGES[hole[1]][0], "\n".join(self.body))

    def alone(self, params: Mapping[str, Any]) -> str:
        """The body with the values of a trial."""
        return _HOLE.sub(lambda hole: _in_text(hole[1], params), "\n".join(self.body))


def _in_text(name: str, params: Mapping[str, Any]) -> str:
    if name not in params:
        return "this_was_not_asked"
    options = {_label(text): text for text in RANGES[name][1]}
    return options[params[name]] if options else repr(params[name])


def _label(text: str) -> Any:
    """What a choice's option is called: plain values by themselves, all else by its text."""
    try:
        found = ast.literal_eval(text)
    except ValueError:
        return text
    return found if found is None or isinstance(found, (str, int, float)) else text


# Writing


class SweepWriter(CellWriter):
    """Writes statements of a body."""

    def statement(self) -> str:
        for _ in range(100):
            family = self.rng.choices(list(_FAMILIES), list(_FAMILIES.values()))[0]
            made = super().statement() if family == "programs" else self.filled(self.rng.choice(FORMS[family]))
            if made is not None and not _ELSEWHERE.search(made):
                return made
        return self.binding()

    def swept(self) -> str:
        for _ in range(100):
            made = self.filled(self.rng.choice(SWEPT))
            asked = self.words(made) if made is not None else set()
            enough = bool(asked) or self.rng.random() < 0.05
            if made is not None and enough and all(name in self.namespace for name in asked):
                return made
        return self.statement()

    @staticmethod
    def words(text: str) -> set[str]:
        return set(re.findall(r"\w+", text)) & RANGES.keys()

    def word(self, of: str) -> str | None:
        if of == "f0":
            return self.some("function")
        return super().word(of)

    def asking(self) -> str:
        name = self.rng.choice(list(RANGES))
        forms = [f"{name} = «{name}»"] * 4
        if name not in ("depth", "rate") and "rate" in self.namespace:
            forms.append(f"if rate > 0.03:\n    {name} = «{name}»\nelse:\n    {name} = 2")
        if name == "depth":
            forms.append("given = dict(depth=«depth», also=<any>)".replace("<any>", self.any()))
        return self.rng.choice(forms)


def written(seed: int, folder: Path) -> Case:
    """A notebook and a body, each statement of which fits what those before it leave behind."""
    rng = random.Random(seed)
    writer = SweepWriter(rng)
    with World(folder, closely=False) as world:
        for path in DATA:
            world.do(Put(path, data_file(path, random.Random(seed))))
        setup = [PREPARED]
        world.do(Run(PREPARED))
        for _ in range(rng.randrange(2, 6)):
            writer.namespace = world.namespace
            setup.append("\n".join(_for_setup(writer) for _ in range(rng.choice((1, 2)))))
            world.do(Run(setup[-1]))
        body = _body(writer, world)
    return Case(tuple(setup), tuple(body), seed)


def _for_setup(writer: SweepWriter) -> str:
    """Settings of packages are not among what travels to the workers."""
    made = writer.statement()
    while "set_" in made:
        made = writer.statement()
    return made


def _deletes_unread(statement: str, body: Sequence[str]) -> bool:
    """A name that the body does nothing with but delete it does not travel: every trial fails, and says so."""
    gone = re.findall(r"\bdel (\w+)", statement)
    return any(not re.search(rf"\b{name}\b", "\n".join(body)) for name in gone)


def _body(writer: SweepWriter, world: World) -> list[str]:
    rng = writer.rng
    count = rng.randrange(4, 11)
    asks = {0, *rng.sample(range(count), 2)} if rng.random() < 0.5 else set(rng.sample(range(count), 2))
    body: list[str] = []
    asked: set[str] = set()
    for number in range(count):
        writer.namespace = world.namespace
        made = writer.asking() if number in asks else writer.swept() if rng.random() < 0.4 else writer.statement()
        holes = set(_HOLE.findall(made))
        if holes & asked or _deletes_unread(made, body):
            continue
        asked |= holes
        if _runs(world, made) or rng.random() < 0.2:
            body.append(made)
    if not asked:
        body.insert(0, "rate = «rate»")
    # All of them: what no statement of a body can reach does not travel, and is not what this is about.
    names = [
        name
        for name in (*NAMES, *RANGES, *OBJECTS, *CONSTANTS, *FUNCTIONS, *CLASSES, "given")
        if name in world.namespace
    ]
    rng.shuffle(names)
    return [*body, f"{METRIC} = weigh({', '.join(names)})"]


def _runs(world: World, statement: str) -> bool:
    world.namespace["sweep"] = types.SimpleNamespace(report=lambda *args, **given: None)
    try:
        return world.do(Run(_HOLE.sub(lambda hole: _EXAMPLE[hole[1]], statement))).error is None
    finally:
        world.namespace.pop("sweep", None)


# Searching


class OneServer:
    """Workers whose server lives as long as these tests: starting one takes longer than searching with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine: LocalEngine | None = None

    def kind(self) -> type[Search]:
        """A `Search` that works with it."""
        lend = self.lent

        class Borrowing(Search):
            @contextmanager
            def _workers(self) -> Iterator[LocalEngine]:
                with lend(self._request) as engine:
                    self._base = Path(tempfile.mkdtemp(dir=engine._scratch)) / "variables"
                    yield engine
                shutil.rmtree(self._base.parent, ignore_errors=True)

        return Borrowing

    @contextmanager
    def lent(self, request: Any) -> Iterator[LocalEngine]:
        if self._engine is None:
            self._engine = LocalEngine(request.slots, request.threads, Path(tempfile.mkdtemp(dir=self._folder)))
        self._engine.slots = tuple(request.slots)
        try:
            yield self._engine
        finally:
            if self._engine._workers and not self._let_end():
                self.close()

    def _let_end(self) -> bool:
        assert self._engine is not None
        for _ in range(20):
            self._engine.events(0.1)
            if not self._engine._workers:
                return True
        return False

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


@dataclass
class Told:
    """What a sweep came to."""

    trials: Sequence[Trial] = ()
    reports: Sequence[Measure] = ()
    plan: Sequence[Mapping[str, Any]] = ()
    best: Trial | None = None
    refused: str | None = None
    before: list[Line] = field(default_factory=list)  # the notebook's variables before the sweep, after it,
    after: list[Line] = field(default_factory=list)
    applied: list[Line] = field(default_factory=list)  # the best trial's, after they were taken over,
    others: list[Line] = field(default_factory=list)  # and the others then
    names: frozenset[str] = frozenset()  # that were taken over
    touched: str | None = None  # what else the sweep changed


def searched(case: Case, folder: Path, trials: int = 4) -> Told:
    """Search a case as its user would."""
    found = Told()
    with Tracked(folder, closely=False) as world:
        _begin(case, world)
        before, found.before = world.look(), _variables(world)
        magic = f"%%sweep --maximize {METRIC} --trials {trials} --workers 2 --sampler random --seed {case.seed}\n"
        found.refused = world.do(Run(magic + case.searched)).error
        after, found.after = world.look(), _variables(world)
        for part in ("randomness", "files"):
            if getattr(before, part) != getattr(after, part):
                found.touched = part
        shown = sweeping_result(world)
        if shown is not None:
            found.trials, found.reports, found.best = shown.trials, shown.reports, shown.best
            found.plan = shown.sweep.plan
            if found.best is not None:
                _apply(found, world)
    return found


def _apply(found: Told, world: World) -> None:
    seen = world.do(Run("%sweeps apply"))
    found.refused = seen.error
    said = "".join(text for kind, text in seen.events if kind == "stdout")
    found.names = frozenset(said.strip().rpartition("): ")[2].split(", "))
    found.applied, found.others = _parted(world, found.names)


def _parted(world: World, names: frozenset[str]) -> tuple[list[Line], list[Line]]:
    """Variables of these names, and all others."""
    these = account(world.namespace, but=lambda name: _is_nobodys(name) or name not in names)
    others = account(world.namespace, but=lambda name: _is_nobodys(name) or name in names)
    return these, others


def sweeping_result(world: World) -> Any:
    """The last sweep of a notebook as its store tells it."""
    import mlmagic

    try:
        return mlmagic.sweeps(METRIC, "show")
    except mlmagic.errors.MlmagicError:
        return None


def _begin(case: Case, world: World) -> None:
    for path in DATA:
        world.do(Put(path, data_file(path, random.Random(case.seed))))
    for text in case.setup:
        world.do(Run(text))


def _variables(world: World) -> list[Line]:
    return account(world.namespace, but=_is_nobodys)


def _is_nobodys(name: str) -> bool:
    generators = ("draw", "mix", "rand")  # whose state is that of the process, and not taken over
    return name.startswith("_") or name in ("In", "Out", "sweep", "quit", "exit", "open", *generators)


# Running alone


@dataclass
class Alone:
    """What a trial's cell does when it is run alone."""

    error: str | None = None
    value: float | None = None
    reports: list[tuple[int, str, float]] = field(default_factory=list)
    variables: list[Line] = field(default_factory=list)
    others: list[Line] = field(default_factory=list)


def alone(case: Case, trial: Trial, folder: Path, names: frozenset[str]) -> Alone:
    """Run a trial's cell in a plain world."""
    found = Alone()

    def report(step: Any = None, **metrics: Any) -> None:
        number = step if step is not None else 1 + max((one[0] for one in found.reports), default=-1)
        found.reports += [(number, name, float(value)) for name, value in metrics.items()]

    with World(folder, closely=False) as world:
        _begin(case, world)
        world.namespace["sweep"] = types.SimpleNamespace(report=report)
        random.seed(trial.seed)
        np.random.seed(trial.seed)
        error = world.do(Run(case.alone(trial.params))).error
        found.error = error.partition(":")[0] if error is not None else None
        if error is None:
            found.value = float(world.namespace[METRIC])
            found.error = "ArithmeticError" if math.isnan(found.value) else None
        found.variables, found.others = _parted(world, names)
    return found


# Judging


def lie_of(case: Case, folder: Path, told: Told | None = None) -> str | None:
    """The first thing that a sweep shows otherwise than its cells run alone; ``None``: there is none."""
    told = told or searched(case, folder)
    if found := first_difference(told.before, told.after):
        return f"the sweep changed the notebook: {found}"
    if told.touched:
        return f"the sweep changed the notebook's {told.touched}"
    if told.refused is not None and "all trials failed" not in told.refused:
        return f"refused: {told.refused}"
    for trial in told.trials:
        single = alone(case, trial, folder, told.names)
        lie = _otherwise(trial, single, told)
        if lie is not None:
            return f"trial {trial.number} {dict(trial.params)}: {lie} (alone | in the sweep)\n{_plan(told)}"
    return None


def _otherwise(trial: Trial, single: Alone, told: Told) -> str | None:
    if trial.error is not None and "cannot be sent to a worker" in trial.error:
        return None  # as the user is told
    error = None if trial.error is None else trial.error.partition(":")[0].partition(" (line")[0].rpartition(".")[2]
    if error != single.error:
        return f"{single.error} | {trial.error}"
    if error is None and trial.value != single.value:
        return f"{METRIC} = {single.value} | {trial.value}"
    reports = [(one.step, one.name, one.value) for one in told.reports if one.trial_id == trial.trial_id]
    mine = [one for one in reports if one[1] != METRIC]
    if mine != single.reports:
        return f"reports {single.reports} | {mine}"
    if told.best is not None and trial.trial_id == told.best.trial_id:
        apart = first_difference(_laid_out_anew(single.variables), _laid_out_anew(told.applied))
        if apart is None:
            apart = first_difference(single.others, _without_deleted(told.others, single.others))
        return None if apart is None else f"after apply: {apart}"
    return None


def _laid_out_anew(lines: list[Line]) -> list[Line]:
    """A view that is taken over without what it looked at comes back as an array of its own, in C order."""
    return [(path, re.sub(r"^(array .* \([^)]*\)) [CF]*(W?) ", r"\1 \2 ", text)) for path, text in lines]


def _without_deleted(lines: list[Line], alone: list[Line]) -> list[Line]:
    """What the cell deletes stays in the notebook: taking over brings variables, and removes none."""
    there = {re.split(r"[.\[ ]", path)[0] for path, _ in alone}
    return [(path, text) for path, text in lines if re.split(r"[.\[ ]", path)[0] in there]


def _plan(told: Told) -> str:
    return "\n".join(
        f"{'once' if row['shared'] else 'each':5} {row['line']:3} {row['text']}  ({row['reason']})" for row in told.plan
    )


def smallest(case: Case, folder: Path, tries: int = 60) -> Case:
    """A case that still lies, with as few cells and statements as simple dropping gets to."""
    left = tries
    for part in ("body", "setup"):
        number = len(getattr(case, part)) - 1
        while number >= (1 if part == "setup" else 0) and left > 0:
            kept = getattr(case, part)
            shorter = replace(case, **{part: kept[:number] + kept[number + 1 :]})
            left -= 1
            if _is_fit(shorter) and lie_of(shorter, folder):
                case = shorter
            number -= 1
    return case


def _is_fit(case: Case) -> bool:
    return "«" in "".join(case.body) and any(line.startswith(f"{METRIC} =") for line in case.body)


@contextmanager
def one_server(folder: Path) -> Iterator[OneServer]:
    """Searches started by cells work with one server."""
    server, original = OneServer(folder), sweeping.Search
    sweeping.Search = server.kind()  # type: ignore[misc]
    try:
        yield server
    finally:
        sweeping.Search = original  # type: ignore[misc]
        server.close()
