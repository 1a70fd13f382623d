"""Which statements of a body are shared, and why not the others: each line of a body says it in its comment.

`# once`: run for all trials. `# each: words`: run in each, and the reason has these words.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlmagic.records import Sweep
from mlmagic.tuning.body import read_body
from mlmagic.tuning.engines.local import LocalEngine
from mlmagic.tuning.engines.slots import Slot
from mlmagic.tuning.search import Request, Search, Sinks

NOTEBOOK = """
import functools, helper, os, random, warnings
import numpy as np
import pandas as pd
from pathlib import Path

X, W, Y = np.arange(6.), np.ones(6), [1, 2, 3]
df = pd.DataFrame({'x': [3, 1, 2], 'y': [.5, 1.5, 2.5]})
cfg = {'low': 0.001, 'high': 1.0}
rng = np.random.default_rng(0)
alias = X
SCALE = 2

class Net:
    def __init__(self, width=1): self.width, self.w = width, [0.0]
    def fit(self, X, lr=1.0): self.w.append(lr); return self
    def score(self, X): return float(len(self.w))

class Lossy:
    def __init__(self): self.kept, self.lost = 1, [2]
    def __getstate__(self): return {'kept': self.kept}

class Counting:
    count = 0
    def __init__(self): Counting.count += 1

def clean(values): return values * SCALE
def adds(values, more): values.append(more); return values
def seeded(seed): random.seed(seed); np.random.seed(seed)
def of_rate(values): return values * rate
def forgets(): global SCALE; SCALE = 5
def probe(): return globals().get('later')
def loses(): return Lossy()
def quiet(): np.seterr(all='ignore')
def saves(text): Path('saved.txt').write_text(str(text))
"""

HELPER = """
kept = []

def remember(value):
    kept.append(value)
    return value

def remembered():
    return len(kept)
"""

ROWS: dict[str, str] = {
    # the ordinary cell
    "data before the ranges": """
        data = df.dropna()                       # once
        train, test = data[:2], data[2:]         # once
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = float(train['x'].sum() * rate)   # each: rate flows in
    """,
    "data after the ranges": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        width = sweep.int(1, 9)                  # each: width is chosen here
        data = clean(df['x'].to_numpy())         # once
        train, test = data[:2], data[2:]         # once
        net = Net(width)                         # each: width flows in
        net.fit(train, rate)                     # each: rate, width flow in through net, rate
        score = net.score(test)                  # each: width flows in through net
    """,
    "data between the ranges": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        data = clean(X)                          # once
        width = sweep.int(1, 9)                  # each: width is chosen here
        more = data + 1                          # once
        score = float(more.sum() * rate * width) # each: flow in
    """,
    "seeds": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        random.seed(0)                           # each: it draws random numbers
        np.random.seed(0)                        # each: it draws random numbers
        seeded(3)                                # each: it draws random numbers
        data = clean(X)                          # once
        score = rate                             # each: rate flows in
    """,
    "ranges that a table of the notebook gives": """
        rate = sweep.log(cfg['low'], cfg['high'])   # each: rate is chosen here
        width = sweep.int(1, len(df.columns))       # each: width is chosen here
        low = cfg['low'] * 2                        # once
        data = df.to_numpy()                        # once
        score = rate                                # each: rate flows in
    """,
    "imports inside the body": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        import statistics                        # once
        mean = statistics.fmean(Y)               # once
        score = mean * rate                      # each: rate flows in
    """,
    "functions and classes inside the body": """
        def twice(v): return v * 2               # once
        class Small(Net): pass                   # once
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        net = Small(3)                           # once
        score = twice(rate) + net.width          # each: rate flows in
    """,
    # in place
    "a model that is trained later": """
        net = Net()                              # each: line 3 changes net
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        net.fit(X, rate)                         # each: rate flow in
        score = net.score(X)                     # each: flows in
    """,
    "a change in place before the ranges": """
        X *= 2                                   # once
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = float(X.sum() * rate)            # each: rate flows in
    """,
    "a change in place after what varies": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        part = X[0] * rate                       # each: rate flows in
        X *= 2                                   # each: line 2 uses X before
        score = float(X.sum() * part)            # each: flow in
    """,
    "a change in place that no trial has used before": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        X *= 2                                   # once
        score = float(X.sum() * rate)            # each: rate flows in
    """,
    "an alias": """
        Z = X                                    # each: line 3 changes Z
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        Z[0] = rate                              # each: rate flow in
        total = X.sum()                          # each: line 3 may change X before
        score = float(total)                     # each: total
    """,
    "an alias of the notebook": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        alias[0] = rate                          # each: rate flows in
        total = X.sum()                          # each: line 2 may change X before
        other = W.sum()                          # once
        score = float(total)                     # each: total
    """,
    "an alias that only trials make": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        Z = X if rate > 0 else W                 # each: rate flows in
        Z[0] = 1                                 # each: flows in through Z
        total = W.sum()                          # each: line 3 may change W before
        score = float(total)                     # each: total
    """,
    "a view": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        part = X[1:]                             # each: line 3 changes part
        part[0] = rate                           # each: rate flow in
        total = X.sum()                          # each: line 3 may change X before
        score = float(total)                     # each: total
    """,
    "a function that changes its argument": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        adds(Y, rate)                            # each: rate flows in
        number = len(Y)                          # each: line 2 may change Y before
        score = rate + number                    # each: rate flows in through number, rate
    """,
    "a class that counts": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        made = [Counting(), rate]                # each: rate flows in
        number = Counting.count                  # each: line 2 may change Counting before
        score = rate                             # each: rate flows in
    """,
    "inplace=True": """
        df.sort_values('x', inplace=True)        # each: line 3 changes df
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        df.drop(columns='y', inplace=rate > 0)   # each: rate flow
        columns = list(df.columns)               # each: df
        score = rate                             # each: rate flows in
    """,
    # names
    "a function that reads a swept global": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        data = of_rate(X)                        # each: rate flows in
        score = float(data.sum())                # each: rate flows in through data
    """,
    "a function of the body that reads a swept global": """
        def scaled(v): return v * rate           # once
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = scaled(2)                        # each: rate flows in
    """,
    "a lambda over a swept value": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        scaled = lambda v: v * rate              # once
        plain = lambda v: v * 2                  # once
        number = plain(3)                        # once
        score = scaled(number)                   # each: rate flows in
    """,
    "a swept value in a default argument": """
        def model(rate=sweep.log(1e-3, 1)): return rate   # each: rate is chosen here
        data = clean(X)                                   # once
        score = model()                                   # each: rate flows in through model
    """,
    "a swept value as a keyword": """
        net = Net(width=sweep.int(1, 9))         # each: width is chosen here
        data = clean(X)                          # once
        score = net.fit(data).score(data)        # each: width flows in through net
    """,
    "a class body that reads a swept value": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        class Tuned(Net): step = rate            # each: rate flows in
        score = Tuned().step                     # each: rate flows in through Tuned
    """,
    "a method that reads a swept value": """
        class Tuned(Net):                        # once
            def step(self): return rate
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = Tuned().step()                   # each: rate flows in
    """,
    "the variable of a comprehension": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        squares = [rate for rate in range(3)]    # once
        score = rate                             # each: rate flows in
    """,
    "the variable of a loop": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        for rate in range(3): pass               # each: line 1 uses rate before
        score = rate                             # each: flows in
    """,
    "a walrus": """
        (number := len(Y))                       # once
        if (rate := sweep.log(1e-3, 1)): pass    # each: rate is chosen here
        score = rate + number                    # each: rate flows in
    """,
    "chained assignment": """
        a = b = [1]                              # each: line 3 changes a
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        a.append(rate)                           # each: rate flow in
        number = len(b)                          # each: b flows in
        score = rate                             # each: rate flows in
    """,
    "two names from one tuple": """
        rate, fixed = sweep.log(1e-3, 1), 3      # each: rate is chosen here
        more = fixed + 1                         # each: flows in through fixed
        score = rate                             # each: rate flows in
    """,
    "star arguments": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        given = {'width': 3}                     # once
        fixed = Net(**given)                     # once
        tuned = Net(*[rate])                     # each: rate flows in
        score = tuned.width                      # each: rate flows in through tuned
    """,
    "del of what trials used": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        part = X[0] * rate                       # each: rate flows in
        del X                                    # each: line 2 uses X before
        score = part                             # each: rate flows in through part
    """,
    "del of what nobody used": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        copied = X.copy()                        # once
        del X                                    # once
        score = float(copied.sum() * rate)       # each: rate flows in
    """,
    "a name bound again": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        part = X[0] * rate                       # each: rate flows in
        X = W + 1                                # each: line 2 uses X before
        score = part                             # each: rate flows in through part
    """,
    "a function that binds a global": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        rate > 0 and forgets()                   # each: rate flows in
        data = clean(X)                          # each: rate flows in through SCALE
        score = rate                             # each: rate flows in
    """,
    "a function that looks for names": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        found = probe()                          # each: it runs code made at run time
        score = rate                             # each: rate flows in
    """,
    # blocks
    "try around a swept value": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        try: part = 1 / rate                     # each: rate flows in
        except ZeroDivisionError: part = 0
        try: number = Y[7]                       # once
        except IndexError: number = 0
        score = part + number                    # each: flows in
    """,
    "for and with": """
        total = 0                                # once
        for one in Y: total += one               # once
        with np.errstate(all='ignore'): ratio = X / 2    # once
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        for one in Y: last = one * rate          # each: rate flows in
        score = last + total                     # each: flows in through last
    """,
    "a conditional sweep": """
        kind = sweep.choice(['a', 'b'])                    # each: kind is chosen here
        if kind == 'a': rate = sweep.log(1e-3, 1)          # each: rate is chosen here
        else: rate = 0.5
        data = clean(X)                                    # once
        score = rate                                       # each: flow in
    """,
    "an exception": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        number = Y[7]                            # each: it raises IndexError
        score = rate + number                    # each: flow
    """,
    "the end of the process": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        raise SystemExit(3)                      # each: it raises SystemExit
        score = rate                             # each: rate flows in
    """,
    "a report": """
        sweep.report(step=1, loss=0.5)           # each: it reports
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = rate                             # each: rate flows in
    """,
    # randomness
    "unseeded and seeded draws": """
        noise = np.random.rand(3)                # each: it draws random numbers (numpy)
        pick = random.choice(Y)                  # each: it draws random numbers (random)
        fixed = np.random.default_rng(0).random(3)       # once
        free = np.random.default_rng().random(3)         # each: unseeded randomness
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = rate                             # each: rate flows in
    """,
    "a generator of the notebook": """
        first = rng.random()                     # once
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        part = rng.random() * rate               # each: rate flows in
        last = rng.random()                      # each: line 3 may change rng before
        score = part + last                      # each: flows in
    """,
    "the state of a global generator": """
        state = np.random.get_state()            # each: a global random generator
        held = np.random.mtrand._rand            # each: a global random generator
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = rate                             # each: rate flows in
    """,
    # the world
    "a file that is written": """
        Path('made.txt').write_text('3')         # each: it writes files
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = rate                             # each: rate flows in
    """,
    "a file that is read before a trial writes": """
        text = Path('data.txt').read_text()      # once
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        saves(rate)                              # each: rate flows in
        again = Path('data.txt').read_text()     # each: line 3 may write some before
        score = rate                             # each: rate flows in
    """,
    "settings of packages": """
        pd.set_option('display.precision', 3)    # each: it changes settings of pandas
        data = clean(X)                          # each: line 1 may change settings before
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = rate                             # each: rate flows in
    """,
    "settings in a function": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        if rate > 0: quiet()                     # each: rate flows in
        data = clean(X)                          # each: line 2 may change settings before
        score = rate                             # each: rate flows in
    """,
    "environment variables": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        os.environ['RATE'] = str(rate)           # each: rate flows in
        told = os.environ.get('RATE')            # each: line 2 may change settings before
        score = rate                             # each: rate flows in
    """,
    "what each worker has of its own": """
        device = os.environ.get('CUDA_VISIBLE_DEVICES')   # each: which each worker has of its own
        rate = sweep.log(1e-3, 1)                         # each: rate is chosen here
        score = rate                                      # each: rate flows in
    """,
    "a call whose value is dropped": """
        warnings.simplefilter('ignore')          # each:
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = rate                             # each: rate flows in
    """,
    "printing": """
        print(X)                                 # each: it leaves nothing to be shared
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        print(rate)                              # each: rate flows in
        score = rate                             # each: rate flows in
    """,
    "a generator": """
        rest = (v for v in Y)                    # each: a live or opaque value
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = next(rest) * rate                # each: flow
    """,
    "the clock": """
        import time                              # once
        now = time.time()                        # each: it reads the clock
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = rate                             # each: rate flows in
    """,
    "a local module that trials change": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        part = helper.remember(rate)             # each: rate flows in
        number = helper.remembered()             # each: line 2 may change the module helper before
        data = clean(X)                          # once
        score = rate                             # each: rate flows in
    """,
    "a local module": """
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        number = helper.remembered()             # once
        score = rate + number                    # each: rate flows in
    """,
    "what does not travel as it is": """
        lossy = loses()                          # each: does not come to the workers as it was made
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = rate                             # each: rate flows in
    """,
    "code made at run time": """
        exec(str(Y[0]))                          # each: it runs code made at run time
        rate = sweep.log(1e-3, 1)                # each: rate is chosen here
        score = rate                             # each: rate flows in
    """,
}

Split = Callable[[str], list[tuple[int, str]]]


@pytest.fixture(scope="module")
def helper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module of the project, for the notebook to import."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "helper.py").write_text(HELPER)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield
    sys.modules.pop("helper", None)


@pytest.fixture(scope="module")
def engine(helper: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = LocalEngine([Slot(0)], 1, tmp_path_factory.mktemp("workers"))
    yield engine
    engine.close()


@pytest.fixture
def split(engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Split:
    """The plan of a body that starts from the notebook's variables, as a search makes it."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "data.txt").write_text("3")
    notebook = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    exec(compile(NOTEBOOK, "<notebook>", "exec", dont_inherit=True), vars(notebook))
    values = {name: value for name, value in vars(notebook).items() if name[:2] != "__"}

    def plan(text: str) -> list[tuple[int, str]]:
        search = _search(text, values, tmp_path)
        search._base = tmp_path / "variables"
        search._prepare(engine)
        return [(row["line"], "" if row["shared"] else row["reason"]) for row in search._sweep.plan]

    return plan


def _search(text: str, values: dict[str, Any], root: Path) -> Search:
    options = {"sampler": "random", "pruner": "none", "seed": 0, "trials": 1, "seconds": None}
    sweep = Sweep("s1", None, "s", {}, "score", "maximize", "running", 0.0, options=options)
    request = Request(sweep, read_body(text), text, values, ["numpy", "pandas"], root, [Slot(0)], 1)
    nothing: Any = lambda *given: None  # noqa: E731
    return Search(request, Sinks(nothing, nothing, nothing, nothing, nothing, lambda: False))


def lines_of(row: str) -> tuple[str, list[tuple[int, str | None]]]:
    """The body, and what its comments expect: a line's number, and words of the reason; ``None``: it is shared."""
    lines = [line[8:] for line in row.strip("\n").rstrip().split("\n")]
    found = []
    for number, line in enumerate(lines, 1):
        if said := re.search(r"# (once|each:\s?)(.*)$", line):
            found.append((number, None if said[1] == "once" else said[2].strip()))
    return "\n".join(line.partition("  #")[0].rstrip() for line in lines), found


@pytest.mark.parametrize("name", ROWS)
def test_what_is_shared(name, split):
    body, expected = lines_of(ROWS[name])
    found = split(body)
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (line, reason), (_, words) in zip(found, expected, strict=True):
        if words is None:
            assert reason == "", f"line {line} is not shared"
        else:
            assert reason, f"line {line} is shared"
            assert words in reason
