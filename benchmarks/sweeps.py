"""Sweeps: the cell as the trial, beside the same search by hand; what a trial costs; how soon it starts and stops."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks import sweep_peers
from benchmarks.kernels import TimedKernel
from benchmarks.sweep_peers import WORKERS, Run
from benchmarks.table import Row

TRIALS = 30
NAPS = 500
NAP_SECONDS = 0.001
ROUNDS = 3
WORDS = (9, 16, 7, 15, 6, 5, 2, 42)  # how many different words the columns of adult have

# Trials that do not end by themselves, and that Python cannot interrupt while they compute.
ENDLESS_SETUP = """
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
X, y = np.random.default_rng(0).random((20_000, 20)), np.arange(20_000) % 2
"""
ENDLESS = f"""%%sweep --maximize score --trials 4 --workers {WORKERS}
rate = sweep.log(0.01, 0.5)
model = HistGradientBoostingClassifier(learning_rate=rate, max_iter=1_000_000, early_stopping=False).fit(X, y)
score = model.score(X, y)
"""


def measure() -> Iterator[Row]:
    """Rows for a whole search, for what a trial costs, and for the end of a search."""
    with tempfile.TemporaryDirectory() as folder:
        sweep_peers.write_work(folder)
        data = _write_adult(Path(folder) / "adult.csv")
        yield from _search(folder, data)
        for sampler in ("tpe", "random"):
            yield _naps(folder, sampler)
        yield _stop(folder)


def _write_adult(file: Path) -> str:
    """Real data where there is some, else as many rows of the same kind; which of the two."""
    named = os.environ.get("MLMAGIC_TEST_DATA")
    real = Path(named) / "adult-train.csv" if named else None
    if real is not None and real.exists():
        shutil.copyfile(real, file)
        return "adult"
    rng = random.Random(0)
    file.write_text("".join(_made_up(rng) for _ in range(32_561)))
    return "made-up rows"


def _made_up(rng: random.Random) -> str:
    numbers = [rng.randint(17, 90), rng.randint(10_000, 900_000), rng.randint(1, 16), 0, rng.randint(0, 4_000), 40]
    words = [rng.randrange(count) for count in WORDS]
    rich = numbers[2] + words[2] + rng.gauss(0, 4) > 18
    told = [str(number) for number in numbers] + [f"word {number}" for number in words]
    return ", ".join([*told, ">50K" if rich else "<=50K"]) + "\n"


@contextmanager
def _kernel(folder: str) -> Iterator[TimedKernel]:
    """A fresh kernel with the extension."""
    made = TimedKernel(sys.executable, "mlmagic", folder)
    try:
        made.run(f"%env MLMAGIC_KEY_FILE={folder}/key")
        yield made
    finally:
        made.close()


def _ours(folder: str, name: str, sampler: str, trials: int) -> Run:
    with _kernel(folder) as made:
        return sweep_peers.ours(made, name, sampler, trials)


# -- a search with preparing -----------------------------------------------------------------------


def _search(folder: str, data: str) -> Iterator[Row]:
    """The three in turn, so that whatever else this machine does slows down all of them."""
    asked = "adult", "tpe", TRIALS
    ours, pool, optuna = [], [], []
    for _ in range(ROUNDS):
        ours.append(_ours(folder, *asked))
        pool.append(sweep_peers.pool(folder, *asked))
        optuna.append(sweep_peers.optuna(folder, *asked))
        sweep_peers.check_same(ours[-1], pool[-1])
    what = f"sweep of {data}, {TRIALS} trials, {WORKERS} workers"
    for told, name, runs, seconds, goal in (
        ("", "pool by hand", pool, _whole, "≥ 0.8×"),
        (", from the first trial's start", "pool by hand", pool, _searching, "≥ 0.8×"),
        ("", "Optuna n_jobs=2", optuna, _whole, "≥ 2×"),
    ):
        yield _compared(f"{what}{told}", _median(ours, seconds), name, _median(runs, seconds), goal)
    mine, theirs = _median(ours, _first), _median(pool, _first)
    yield Row(
        f"{what}: seconds to the first score",
        f"{mine:.2f} s",
        f"pool by hand {theirs:.2f} s, preparing in both",
        f"{mine / theirs:.2f}×",
    )


def _whole(run: Run) -> float:
    return run.seconds


def _searching(run: Run) -> float:
    return run.searching


def _first(run: Run) -> float:
    return run.first_score


def _median(runs: list[Run], seconds: Callable[[Run], float]) -> float:
    return statistics.median(map(seconds, runs))


def _compared(what: str, ours: float, name: str, theirs: float, goal: str) -> Row:
    speeds = f"{TRIALS / ours:.2f} trials/s, {ours:.1f} s", f"{name} {TRIALS / theirs:.2f} trials/s, {theirs:.1f} s"
    return Row(what, *speeds, f"{theirs / ours:.2f}×", "", goal)


# -- what a trial costs ----------------------------------------------------------------------------


def _naps(folder: str, sampler: str) -> Row:
    """What is left of the seconds of trials that only sleep; start-up is part of it."""
    asked = "naps", sampler, NAPS
    ours, pool = _ours(folder, *asked), sweep_peers.pool(folder, *asked)
    sweep_peers.check_same(ours, pool)
    mine, theirs = _overhead(ours.seconds), _overhead(pool.seconds)
    return Row(
        f"{NAPS} trials of 1 ms, {sampler}: extra per trial",
        f"{mine:.1f} ms, {_overhead(ours.searching):.1f} ms without start-up",
        f"pool by hand {theirs:.1f} ms, {_overhead(pool.searching):.1f} ms",
        f"{mine / theirs:.1f}×",
        "",
        "≤ 50 ms",
    )


def _overhead(seconds: float) -> float:
    """Milliseconds."""
    return 1000 * (seconds - NAPS * NAP_SECONDS / WORKERS) / NAPS


# -- the end ---------------------------------------------------------------------------------------


def _stop(folder: str) -> Row:
    with _kernel(folder) as made:
        made.run(ENDLESS_SETUP)
        found = [_stopped(made) for _ in range(ROUNDS)]
    return Row(
        f"{WORKERS} endless fits: from interrupt to all processes gone",
        f"{statistics.median(found):.2f} s, at most {max(found):.2f} s",
        "",
        "",
        "",
        "≤ 2 s",
    )


def _stopped(made: TimedKernel) -> float:
    """Seconds from the interrupt until neither the server nor a worker of the sweep is there any more."""
    kernel = psutil.Process(int(made.value("__import__('os').getpid()")))
    others = set(kernel.children(recursive=True))
    made.begin(ENDLESS)
    running = _when_trials_run(kernel, others)
    started = time.perf_counter()
    made.interrupt()
    _, alive = psutil.wait_procs(running, timeout=20)
    seconds = time.perf_counter() - started
    if left := {*alive, *kernel.children(recursive=True)} - others:
        raise RuntimeError(f"the interrupt left processes behind: {left}")
    return seconds


def _when_trials_run(kernel: psutil.Process, others: set[psutil.Process]) -> list[psutil.Process]:
    """The server and its workers, a second after there was a worker for each trial."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        running = [one for one in kernel.children(recursive=True) if one not in others]
        if len(running) > WORKERS:
            time.sleep(1)
            return running
        time.sleep(0.05)
    raise RuntimeError("no trial began within a minute")
