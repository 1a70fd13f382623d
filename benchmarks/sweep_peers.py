"""The same searches by `%%sweep`, by a pool of processes written by hand, and by Optuna's `n_jobs`.

Each peer is a fresh process that runs a script, written as people write it: the pool prepares the data once, hands it
to each worker once, and asks and tells in the parent; `n_jobs` gets an objective with the preparation inside.

How start-up is counted: before the clock starts, every parent (our kernel too) has done its imports and read its data.
From then on everything counts, for all alike: starting workers and their imports, preparing, searching, closing down.
`searching` leaves out what came before the first trial began in its worker.
"""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from benchmarks.kernels import TimedKernel
from mlmagic.tuning.engines.slots import cores

WORKERS = 2
SAME = 5  # trials of which the values must be the same in all searches; later ones depend on which trial ended first

IMPORTS = """
import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, train_test_split
from sklearn.preprocessing import OneHotEncoder, TargetEncoder
"""
READ = 'adult = pd.read_csv("adult.csv", header=None, skipinitialspace=True)\n'
PREPARE = """
words = list(adult.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in adult.dtypes]])[:-1]
numbers = list(adult.select_dtypes("number"))
pairs = pd.DataFrame({f"{a} & {b}": adult[a] + " & " + adult[b] for a in words for b in words if a < b})
rich = (adult.iloc[:, -1] == ">50K").to_numpy()
train, test = train_test_split(np.arange(len(adult)), test_size=0.25, random_state=0)
folds = KFold(5, shuffle=True, random_state=0)
encoder = TargetEncoder(cv=folds).fit(adult.iloc[train][words], rich[train])
counted = OneHotEncoder(min_frequency=20).fit_transform(pairs)
seen = TruncatedSVD(6, random_state=0).fit_transform(counted)
X = np.hstack([encoder.transform(adult[words]), seen, adult[numbers]])
"""
FIT = """
model = HistGradientBoostingClassifier(
    learning_rate=rate, l2_regularization=penalty, min_samples_leaf=smallest,
    max_iter=12, max_leaf_nodes=15, random_state=0,
).fit(X[train], rich[train])
score = roc_auc_score(rich[test], model.predict_proba(X[test])[:, 1])
"""
# It sleeps for x, or it would sleep once for all trials.
NAP = """
time.sleep(0.001 + 0 * x)
score = -((x - 0.3) ** 2)
"""

# search -> the cell before, and the body under `%%sweep`
CELLS = {
    "adult": (
        IMPORTS + READ,
        f"{PREPARE}rate = sweep.log(0.01, 0.5)\npenalty = sweep.log(0.001, 10)\nsmallest = sweep.int(5, 95)\n{FIT}",
    ),
    "naps": ("import time", f"x = sweep.float(0, 1)\n{NAP}"),
}

# search -> the same as a module that the peers' scripts and their workers import
MODULES = {
    "adult": f"""{IMPORTS}
START = {{"rate": (0.01 * 0.5) ** 0.5, "penalty": (0.001 * 10) ** 0.5, "smallest": 50}}

def read():
    {READ.strip()}
    return adult

def prepare(adult):
{indent(PREPARE, "    ")}
    return X, rich, train, test

def choose(trial):
    return {{
        "rate": trial.suggest_float("rate", 0.01, 0.5, log=True),
        "penalty": trial.suggest_float("penalty", 0.001, 10, log=True),
        "smallest": trial.suggest_int("smallest", 5, 95),
    }}

def score(prepared, rate, penalty, smallest):
    X, rich, train, test = prepared
{indent(FIT, "    ")}
    return score
""",
    "naps": f"""
import time

START = {{"x": 0.5}}

def read():
    return None

def prepare(nothing):
    return None

def choose(trial):
    return {{"x": trial.suggest_float("x", 0, 1)}}

def score(prepared, x):
{indent(NAP, "    ")}
    return score
""",
}

# What workers run: apart from the script, so that they do not import Optuna.
HANDS = """
import importlib
import time


def hold(name, prepared):
    global WORK, PREPARED
    WORK, PREPARED = importlib.import_module(name), prepared


def score(values):
    began = time.time()
    return began, WORK.score(PREPARED, **values)
"""

STUDY = """
import importlib
import json
import sys
import time

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
name, sampler, trials = sys.argv[1], sys.argv[2], int(sys.argv[3])
work = importlib.import_module(name)


def new_study():
    make = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}[sampler]
    study = optuna.create_study(direction="maximize", sampler=make(seed=SEED))
    study.enqueue_trial(work.START)
    return study


def tell(study, started, began, first):
    now = time.time()
    print(json.dumps({"seconds": now - started, "first_score": first - started, "searching": now - began,
                      "best": study.best_value, "asked": [trial.params for trial in study.trials]}))
"""

BY_POOL = f"""
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context

import hands
{STUDY}

def search(study, pool):
    begun, running, began, first = 0, {{}}, [], None
    while begun < trials or running:
        while begun < trials and len(running) < WORKERS:
            trial = study.ask()
            running[pool.submit(hands.score, work.choose(trial))] = trial
            begun += 1
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            at, value = future.result()
            first = first or time.time()
            began.append(at)
            study.tell(running.pop(future), value)
    return min(began), first


if __name__ == "__main__":
    data, study = work.read(), new_study()
    started = time.time()
    prepared = work.prepare(data)
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), hands.hold, (name, prepared)) as pool:
        began, first = search(study, pool)
    tell(study, started, began, first)
"""

BY_OPTUNA = f"""
{STUDY}
data, study, ends = work.read(), new_study(), []


def objective(trial):
    return work.score(work.prepare(data), **work.choose(trial))


started = time.time()
study.optimize(objective, n_trials=trials, n_jobs=WORKERS, callbacks=[lambda study, trial: ends.append(time.time())])
tell(study, started, started, ends[0])
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One search.

    Attributes
    ----------
    seconds : float
        From its start to its end, start-up of workers and preparing included.
    first_score : float
        Seconds from its start to the first score.
    searching : float
        Seconds from the beginning of the first trial in its worker to the end.
    best : float
        The best score.
    asked : tuple of dict
        The values of the first trials.
    """

    seconds: float
    first_score: float
    searching: float
    best: float
    asked: tuple[dict[str, float], ...]


def write_work(folder: str) -> None:
    """The modules and scripts of the peers."""
    texts = {**MODULES, "hands": HANDS, "by_pool": BY_POOL, "by_optuna": BY_OPTUNA}
    for name, text in texts.items():
        filled = text.replace("SEED", str(seed())).replace("WORKERS", str(WORKERS))
        (Path(folder) / f"{name}.py").write_text(filled)


def seed() -> int:
    """What `--seed 0` becomes for Optuna's samplers: the peers draw the same first values."""
    return zlib.crc32(b"0 0")


def ours(made: TimedKernel, name: str, sampler: str, trials: int) -> Run:
    """The cell in a kernel; its seconds are those from request to reply."""
    setup, body = CELLS[name]
    made.run(setup)
    started = time.time()
    seconds = made.run(f"%%sweep --maximize score --trials {trials} --workers {WORKERS} --sampler {sampler}\n{body}")
    trials_of_last = "__import__('mlmagic').sweeps(None, 'show').trials"
    found = ast.literal_eval(
        made.value(f"[(it.started_at, it.seconds, it.value, it.params) for it in {trials_of_last}]")
    )
    began, took, scores, asked = zip(*found, strict=True)
    first_score = min(map(sum, zip(began, took, strict=True))) - started
    return Run(seconds, first_score, started + seconds - min(began), max(scores), asked[:SAME])


def pool(folder: str, name: str, sampler: str, trials: int) -> Run:
    """A pool of processes, written by hand."""
    return _in_process("by_pool", folder, name, sampler, trials)


def optuna(folder: str, name: str, sampler: str, trials: int) -> Run:
    """`study.optimize(…, n_jobs=2)`: threads of one process."""
    return _in_process("by_optuna", folder, name, sampler, trials)


def check_same(one: Run, other: Run) -> None:
    """Raises `RuntimeError` where two runs did not search the same."""
    for values, others in zip(one.asked, other.asked, strict=True):
        if any(not math.isclose(value, others[name], rel_tol=1e-9) for name, value in values.items()):
            raise RuntimeError(f"not the same search: {values}, {others}")


def _in_process(script: str, folder: str, *words: str | int) -> Run:
    # As many threads to a worker as `%%sweep` gives: two fits that take all cores each would wait for each other.
    environment = {**os.environ, "OMP_NUM_THREADS": str(max(1, cores() // WORKERS))}
    command = [sys.executable, f"{script}.py", *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [""])[-1])
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return Run(**{**told, "asked": tuple(told["asked"][:SAME])})
