"""A trial equals its cell run alone with the same values and seed, whatever was shared: random notebooks and bodies.

A failure prints the smallest case that shows it. The judge is judged, too: wrong plans are planted, and must be found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlmagic.tuning import body as bodies
from mlmagic.tuning.engines.local import LocalEngine
from tests.property.sweeps import PREPARED, Case, OneServer, lie_of, one_server, searched, smallest, written

CASES_PER_SEED = 10
SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(100, 160))]

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # notebooks leave files open
    pytest.mark.usefixtures("open_files_end_here"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneServer]:
    with one_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLMAGIC_KEY_FILE", str(tmp_path / "key"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trial_is_its_cell_run_alone(seed, tmp_path, server):
    for number in range(CASES_PER_SEED):
        case, folder = written(1000 * seed + number, tmp_path / "project"), tmp_path / "project"
        if lie := lie_of(case, folder):
            case = smallest(case, folder)
            pytest.fail(f"{case}\n\n{lie_of(case, folder) or 'not always: ' + lie}", pytrace=False)


def test_statements_of_random_bodies_are_shared(tmp_path, server):
    plans = [searched(written(seed, tmp_path / "project"), tmp_path / "project", trials=1).plan for seed in range(8)]
    rows = [row for plan in plans for row in plan]
    assert sum(row["shared"] for row in rows) > 0.2 * len(rows)


# What random bodies met, or would not meet often


def one(*body: str, setup: str = "") -> Case:
    return Case((PREPARED, *([setup] if setup else [])), body)


CASES = {
    "an alias that only trials make": one(
        "rate = «rate»", "b = a if rate > 0 else None", "b[0] = rate", "c = a.sum()", "score = weigh(a, b, c, rate)",
        setup="a = np.arange(4.)",
    ),
    "a value put into a container by a trial": one(
        "rate = «rate»", "held.append([a, rate][0])", "held[0][0] = rate", "c = a.sum()",
        "score = weigh(a, held, c, rate)", setup="a = np.arange(4.); held = []",
    ),
    "a function of the trials that changes a variable": one(
        "rate = «rate»", "def change(by=rate):\n    a[0] = by", "change()", "c = a.sum()", "score = weigh(a, c, rate)",
        setup="a = np.arange(4.)",
    ),
    "a function of the trials that binds a variable": one(
        "rate = «rate»", "def change(by=rate):\n    global a\n    a = by", "change()", "c = a + 1",
        "score = weigh(a, c, rate)", setup="a = 3",
    ),
    "two closures over one list": one(
        "rate = «rate»", "push(rate)", "c = len(look())", "score = weigh(c, rate, look())",
        setup="def both():\n    s = []\n    return (lambda v: s.append(v)), (lambda: list(s))\npush, look = both()",
    ),
    "a class that counts": one(
        "rate = «rate»", "net = Net(rate)", "c = Net.count", "score = weigh(net, c, rate)",
        setup="class Net:\n    count = 0\n    def __init__(self, v):\n        self.v = v\n        Net.count += 1",
    ),
    "a class that trials change": one(
        "rate = «rate»", "Net.scale = rate", "c = Net().scaled()", "score = weigh(c, rate)",
        setup="class Net:\n    scale = 1\n    def scaled(self): return self.scale * 2",
    ),
    "a function that asks whether a later name is there": one(
        "rate = «rate»", "a = probe() * rate", "later = 5", "score = weigh(a, later, rate)",
        setup="def probe():\n    try:\n        return later\n    except NameError:\n        return 1",
    ),
    "an iterator that trials use up": one(
        "rate = «rate»", "a = next(rest) * rate", "b = next(rest)", "score = weigh(a, b, rate)",
        setup="rest = iter([1, 2, 3])",
    ),
    "a function called like one of Python": one(
        "rate = «rate»", "a = max(rate)", "b = len(seen)", "score = weigh(a, b, rate)",
        setup="seen = []\ndef max(v):\n    seen.append(v)\n    return v",
    ),
    "the state of a global generator": one(
        "state = np.random.get_state()[1].sum()", "rate = «rate»", "a = random.getstate()[1][0]",
        "score = weigh(int(state), a, rate)",
    ),
    "a global generator under another name": one(
        "draw = np.random.mtrand._rand", "rate = «rate»", "a = draw.rand() * rate", "score = weigh(a, rate)",
    ),
    "drawing functions by names of the notebook": one(
        "rate = «rate»", "a = [draw(), rand(), list(a)]", "mix(a[2])", "score = weigh(a, rate)",
        setup="from random import random as draw, shuffle as mix\nfrom numpy.random import rand\na = [1, 2, 3, 4, 5]",
    ),
    "drawing and seeding": one(
        "np.random.seed(3)", "a = np.random.rand(3)", "rate = «rate»", "b = np.random.rand() * rate",
        "c = np.random.default_rng(0).random(2)", "score = weigh(a, b, c, rate)",
    ),
    "an array changed while a draw is made": one(
        "a = shuffled()", "rate = «rate»", "score = weigh(a, rate)",
        setup="a = np.arange(9)\ndef shuffled():\n    np.random.shuffle(a)\n    return a.copy()",
    ),
    "changes in place before and after": one(
        "a *= 2", "rate = «rate»", "c = a * rate", "a += 1", "score = weigh(a, c, rate)", setup="a = np.arange(4.)",
    ),
    "annotations": one(
        "def f(v: int = 3): return v", "rate = «rate»", "def g(v: float = rate): return v",
        "c = [f.__annotations__, g.__annotations__]", "score = weigh(c, rate)",
    ),
    "an exception for some values": one(
        "rate = «rate»", "if rate > 0.02:\n    raise KeyError('much')", "score = weigh(rate)",
    ),
    "what a shared statement changed in place is taken over": one(
        "held.append(3)", "rate = «rate»", "score = weigh(held, rate)", setup="held = []",
    ),
    "what a function of the notebook binds is taken over": one(
        "rate = «rate»", "bind()", "score = weigh(rate)", setup="def bind():\n    global bound\n    bound = rate",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_known_trap(name, tmp_path, server):
    case = CASES[name]
    told = searched(case, tmp_path / "project", trials=3)
    assert told.trials
    assert lie_of(case, tmp_path / "project", told) is None


# The judge is just


@pytest.mark.parametrize("name", ["one that reads a swept value", "one that changes what is shared", "one that draws"])
def test_the_judge_finds_a_statement_that_was_shared_and_should_not(name, tmp_path, server, monkeypatch):
    case, wrong = {
        "one that reads a swept value": (one("rate = «rate»", "a = [rate]", "score = weigh(a, rate)"), 1),
        "one that changes what is shared": (
            one("rate = «rate»", "held.append(rate)", "a = len(held)", "score = weigh(a, rate)", setup="held = []"),
            2,
        ),
        "one that draws": (one("a = np.random.rand()", "rate = «rate»", "score = weigh(a, rate)"), 0),
    }[name]
    original = LocalEngine.launch

    def launch(self: LocalEngine, slot: Any, file: Path, task: Mapping[str, Any]) -> Any:
        """As if the statement had been run for all: with the first trial's value, before anything else."""
        lines = bodies.read_body(task["source"]).statements
        first = {1: "a = [0.03]", 2: "a = len(held)", 0: "a = 0.5"}[wrong]
        text = "\n".join([first, *(ast.unparse(line.node) for line in lines if line.number != wrong)])
        return original(self, slot, file, {**task, "source": text, "left": list(range(len(lines)))})

    monkeypatch.setattr(LocalEngine, "launch", launch)
    assert "score" in (lie_of(case, tmp_path / "project") or "")


LIES = {
    "a value": lambda values: {name: value + 1 if type(value) is int else value for name, value in values.items()},
    "an alias": lambda values: {name: value[:] if type(value) is list else value for name, value in values.items()},
    "a missing variable": lambda values: {name: value for name, value in values.items() if name != "a"},
}


@pytest.mark.parametrize("lie", LIES)
def test_the_judge_finds_what_was_taken_over_wrongly(lie, tmp_path, server, monkeypatch):
    from mlmagic.api import searches

    original = searches._variables
    monkeypatch.setattr(searches, "_variables", lambda *given: LIES[lie](original(*given)))
    case = one("rate = «rate»", "n = 3", "a = [n]", "b = a", "score = weigh(a, b, rate)")
    assert "after apply" in (lie_of(case, tmp_path / "project") or "")


def test_the_judge_finds_a_changed_notebook(tmp_path, server, monkeypatch):
    from mlmagic.api import sweeping

    original = sweeping._row

    def row(session: Any, *given: Any) -> Any:
        session.namespace["a"].append(1)
        return original(session, *given)

    monkeypatch.setattr(sweeping, "_row", row)
    case = one("rate = «rate»", "score = weigh(a, rate)", setup="a = []")
    assert "changed the notebook" in (lie_of(case, tmp_path / "project") or "")
