"""The same expensive functions, each kept by `%%track`, by joblib.Memory and by marimo's cache on disk.

Each peer runs as its manual shows it: joblib wraps the functions of a module, marimo wraps them in a cell of an app.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.kernels import TimedKernel

# function -> what goes in and comes out; the order is that of `inputs()` below
FUNCTIONS = {
    "smooth": "32 MB array → array",
    "by_route": "frame of 500,000 rows → frame",
    "classify": "frame of 8,000 texts → model",
    "squash": "200 MB array → array",
}

WORK = '''
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def inputs():
    rng = np.random.default_rng(0)
    zones = np.array([f"zone {number}" for number in range(200)])
    trips = pd.DataFrame({
        "start": zones[rng.integers(0, 200, 500_000)],
        "end": zones[rng.integers(0, 200, 500_000)],
        "minutes": rng.gamma(2.0, 8.0, 500_000),
    })
    words = np.array([f"word{number}" for number in range(5_000)])
    texts = pd.DataFrame({
        "text": [" ".join(words[rng.zipf(1.3, 40) % 5_000]) for _ in range(8_000)],
        "label": rng.integers(0, 3, 8_000),
    })
    return rng.random(4_000_000), trips, texts, rng.random(25_000_000)


def smooth(numbers):
    """A low-pass filter."""
    spectrum = np.fft.rfft(numbers)
    spectrum[len(spectrum) // 50 :] = 0
    return np.fft.irfft(spectrum, len(numbers))


def by_route(trips):
    """Statistics of each route, beside each trip."""
    found = trips.groupby(["start", "end"]).minutes.agg(["size", "mean", "std", "median"])
    return trips.join(found, on=["start", "end"])


def classify(texts):
    return make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=50)).fit(texts["text"], texts["label"])


def squash(large):
    return np.tanh(large) * np.log1p(large)
'''

TIMING = '''
import json
import sys
import time

import work


def seconds(function, value):
    started = time.perf_counter()
    function(value)
    return time.perf_counter() - started


def plain(name, value):
    """The faster of two runs: the first one also loads what the function needs."""
    return min(seconds(getattr(work, name), value) for _ in range(2))


def measure(kept):
    """Seconds of each function under the cache; in the first process also plain, and again."""
    found = {}
    for name, value in zip(kept, work.inputs()):
        alone = [plain(name, value)] if sys.argv[1] == "first" else []
        found[name] = alone + [seconds(kept[name], value) for _ in range(4 if alone else 1)]
    print(json.dumps(found))
'''

JOBLIB = """
import joblib, timing, work

memory = joblib.Memory("joblib", verbose=0)
timing.measure({name: memory.cache(getattr(work, name)) for name in NAMES})
"""

MARIMO = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import timing
    import work
    kept = {}
    for name in NAMES:
        kept[name] = mo.persistent_cache(getattr(work, name), save_path="marimo_cache")
    timing.measure(kept)
    return


if __name__ == "__main__":
    app.run()
"""

Figures = dict[str, tuple[float, float, float]]  # function -> seconds: that keeping adds, again, in a fresh process


def write_work(folder: str) -> None:
    """The functions as a module that every cache imports."""
    for name, text in (("work", WORK), ("timing", TIMING)):
        (Path(folder) / f"{name}.py").write_text(text)


def joblib(folder: str) -> Figures:
    """`joblib.Memory`, which comes with scikit-learn."""
    return _in_processes("by_joblib", JOBLIB, folder)


def marimo(folder: str) -> Figures | str:
    """`marimo.persistent_cache`; where there is none, why."""
    if not importlib.util.find_spec("marimo"):
        return "marimo not installed"
    try:
        return _in_processes("by_marimo", MARIMO, folder)
    except RuntimeError as error:
        return f"marimo failed: {str(error)[:60]}"


def ours(first: TimedKernel, fresh: TimedKernel) -> Figures:
    """Tracked cells in two kernels of one project; a cell's seconds are those from request to reply."""
    return _figures(_in_kernel(first, "first"), _in_kernel(fresh, "fresh"))


def _in_processes(name: str, text: str, folder: str) -> Figures:
    script = Path(folder) / f"{name}.py"
    script.write_text(text.replace("NAMES", repr(tuple(FUNCTIONS))))
    return _figures(_in_process(script, "first"), _in_process(script, "fresh"))


def _in_process(script: Path, which: str) -> dict[str, list[float]]:
    command = [sys.executable, script.name, which]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=script.parent, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [""])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def _in_kernel(kernel: TimedKernel, which: str) -> dict[str, list[float]]:
    """The same as `measure` in the scripts."""
    kernel.run("import timing, work")
    kernel.run(f"{', '.join(f'for_{name}' for name in FUNCTIONS)} = work.inputs()")
    found = {}
    for name in FUNCTIONS:
        alone = []
        if which == "first":
            kernel.run(f"plain = timing.plain({name!r}, for_{name})")
            alone = [float(kernel.value("plain"))]
        cell = f"%%track {name}\nfound_{name} = work.{name}(for_{name})"
        found[name] = alone + [kernel.run(cell) for _ in range(4 if alone else 1)]
    return found


def _figures(first: dict[str, list[float]], fresh: dict[str, list[float]]) -> Figures:
    return {
        name: (kept - plain, statistics.median(again), fresh[name][0]) for name, (plain, kept, *again) in first.items()
    }
