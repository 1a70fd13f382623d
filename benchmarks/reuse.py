"""Results of earlier runs: what reusing them saves, what keeping them costs, beside other caches and plain kernels."""

from __future__ import annotations

import ast
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from benchmarks import reuse_peers
from benchmarks.kernels import TimedKernel
from benchmarks.table import Row

NOTEBOOK = """
# %% imports
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
# %% trips
rng = np.random.default_rng(7)
N = 400_000
zones = np.array([f"zone {number:03d}" for number in range(260)])
trips = pd.DataFrame({
    "picked_up": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 90 * 86_400, N), unit="s"),
    "from_zone": zones[rng.zipf(1.4, N) % 260],
    "to_zone": zones[rng.zipf(1.3, N) % 260],
    "company": rng.choice(["acme", "blue", "city", "delta"], N, p=[0.4, 0.3, 0.2, 0.1]),
    "passengers": rng.integers(1, 6, N),
    "kilometres": rng.gamma(2.0, 2.5, N),
})
hour = trips.picked_up.dt.hour
rush = hour.between(7, 9) | hour.between(16, 19)
trips["minutes"] = trips.kilometres * np.where(rush, 4.1, 2.4) + rng.gamma(2.0, 2.0, N)
trips.head()
# %% features
frame = trips.sort_values("picked_up", ignore_index=True)
frame["hour"], frame["weekday"] = frame.picked_up.dt.hour, frame.picked_up.dt.dayofweek
frame["route"] = frame.from_zone.str.cat(frame.to_zone, sep=" > ")
frame["route_trips"] = frame.groupby("route").minutes.transform("size")
frame["route_minutes"] = frame.groupby("route").minutes.transform("mean")
recent = lambda minutes: minutes.shift().rolling(50, 1).mean()
frame["zone_recent"] = frame.groupby("from_zone").minutes.transform(recent)
frame["busy"] = frame.groupby([frame.picked_up.dt.floor("h"), "from_zone"]).minutes.transform("size")
frame = frame.fillna({"zone_recent": frame.minutes.mean()})
print(frame.shape)
# %% profile
profile = frame.groupby(["company", "weekday", "hour"]).minutes.describe(percentiles=[0.05, 0.5, 0.95])
profile.tail()
# %% split
numeric = ["kilometres", "passengers", "hour", "weekday", "route_trips", "route_minutes", "zone_recent", "busy"]
train, test = train_test_split(frame, test_size=0.25, random_state=1)
X, y = train[numeric], train["minutes"]
X_test, y_test = test[numeric], test["minutes"]
# %% baseline
one_hot = OneHotEncoder(handle_unknown="ignore")
columns = ColumnTransformer([("zones", one_hot, ["from_zone", "to_zone"]), ("rest", StandardScaler(), numeric)])
pipeline = make_pipeline(columns, Ridge(solver="sparse_cg"))
baseline = GridSearchCV(pipeline, {"ridge__alpha": [0.1, 1, 10]}, cv=3, n_jobs=1)
baseline.fit(train.head(80_000), y.head(80_000))
print(baseline.best_params_, round(baseline.best_score_, 3))
# %% forest
forest = RandomForestRegressor(25, min_samples_leaf=20, max_features=0.5, random_state=0, n_jobs=1)
forest.fit(X.head(60_000), y.head(60_000))
round(forest.score(X_test, y_test), 3)
# %% stability
scores = cross_val_score(HistGradientBoostingRegressor(max_iter=80, random_state=0), X, y, cv=4, n_jobs=1)
scores.round(4)
# %% model
LEARNING_RATE = 0.1
model = HistGradientBoostingRegressor(learning_rate=LEARNING_RATE, max_iter=160, random_state=0)
model.fit(X, y)
model
# %% importance
drops = permutation_importance(model, X_test.head(20_000), y_test.head(20_000), n_repeats=5, random_state=0)
importance = pd.Series(drops.importances_mean, numeric).sort_values(ascending=False)
importance
# %% curves
predicted = model.predict(X_test)
residuals = y_test - predicted
density, edges = np.histogram(residuals, bins=200)
errors = pd.DataFrame({"hour": test.hour, "error": residuals.abs()})
by_hour = errors.groupby("hour").error.quantile([0.1, 0.5, 0.9]).unstack()
by_hour.head(3)
# %% summary
guesses = {"baseline": baseline.predict(test), "forest": forest.predict(X_test), "boosting": predicted}
rows = {name: [mean_absolute_error(y_test, guess), r2_score(y_test, guess)] for name, guess in guesses.items()}
summary = pd.DataFrame(rows, ["MAE", "R2"]).T
summary
"""
EDIT = "LEARNING_RATE = 0.1", "LEARNING_RATE = 0.12"

ORDINARY = (
    "shops_{part} = np.array([f'shop {{number}}' for number in range(50 + {part})])",
    "rng_{part} = np.random.default_rng(START + {part})",
    "orders_{part} = pd.DataFrame({{'shop': shops_{part}[rng_{part}.integers(0, 50, 300_000)], "
    "'price': rng_{part}.gamma(2.0, 10.0, 300_000), 'pieces': rng_{part}.integers(1, 9, 300_000)}})",
    "print(orders_{part}.shape, START)",
    "orders_{part}.head()",
    "sums_{part} = orders_{part}.groupby('shop')[['price', 'pieces']].agg(['mean', 'std', 'median'])",
    "dearest_{part} = orders_{part}.sort_values(['shop', 'price'])",
    "total_{part} = orders_{part}.price.sum() + START",
    "noise_{part} = rng_{part}.normal(size=(1000, 300))\nspread_{part} = np.linalg.svd(noise_{part})[1] + START",
    "counts_{part} = {{shop: len(rows) for shop, rows in orders_{part}.groupby('shop')}}\nlen(counts_{part})",
)
ROUNDS = 4

ALL = {"MLMAGIC_REUSE_MIN_SECONDS": "0"}  # keep whatever can be kept, also where that does not pay

FRAMES = {
    "200 MB frame of floats": "frame = pd.DataFrame(np.random.default_rng(0).random((2_500_000, 10)))",
    "200 MB frame, 3 columns of strings": (
        "words = np.array([f'a text of some length {number:>6}' for number in range(10_000)], object)\n"
        "rng = np.random.default_rng(0)\n"
        "frame = pd.DataFrame({name: pd.array(words[rng.integers(0, 10_000, 1_850_000)], 'str') for name in 'abc'})"
    ),
}


def measure() -> Iterator[Row]:
    """Rows for whole notebooks, single functions, cells that gain nothing, and large frames."""
    yield from _notebook()
    yield from _functions()
    yield _overhead()
    yield from _frames()


@contextmanager
def _project(*kernels: str | None, **environment: str) -> Iterator[list[TimedKernel]]:
    """Fresh kernels in one folder of their own, each with its extension."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        yield [closing.enter_context(_kernel(folder, extension, **environment)) for extension in kernels]


@contextmanager
def _kernel(folder: str, extension: str | None, **environment: str) -> Iterator[TimedKernel]:
    """A fresh kernel in a folder that others use, too; one thread, as waiting for others is no work."""
    made = TimedKernel(sys.executable, None, folder)
    try:
        for name, value in {"MLMAGIC_KEY_FILE": f"{folder}/key", "OMP_NUM_THREADS": "1", **environment}.items():
            made.run(f"%env {name}={value}")
        if extension:
            made.run(f"%load_ext {extension}")
        yield made
    finally:
        made.close()


# -- a notebook ----------------------------------------------------------------------------------


def _notebook() -> Iterator[Row]:
    """A notebook in fresh kernels: without us, kept, reused, reused after one constant of its last model changed."""
    cells = dict(part.split("\n", 1) for part in NOTEBOOK.split("# %% ")[1:])
    tracked = {name: f"%%track {name}\n{text}" for name, text in cells.items()}
    edited = {name: text.replace(*EDIT) for name, text in tracked.items()}
    with tempfile.TemporaryDirectory() as folder:
        plain, _, _ = _run(folder, None, cells)
        first, first_wall, _ = _run(folder, "mlmagic", tracked)
        second, second_wall, ran = _run(folder, "mlmagic", tracked)
        again, _, ran_again_here = _run(folder, "mlmagic", tracked, passes=2)
        third, _, ran_again = _run(folder, "mlmagic", edited)
    what = f"notebook of {len(cells)} cells, scikit-learn"
    yield _compared(f"{what}: first run, results kept", sum(first.values()), "plain", sum(plain.values()))
    yield Row(
        f"{what}: run again in the same kernel",
        f"{sum(again.values()):.2f} s; ran: {ran_again_here}",
        f"first {sum(first.values()):.1f} s",
        f"{sum(first.values()) / sum(again.values()):.1f}×",
        "",
        "≥ 20×",
    )
    total, imports = sum(second.values()), second["imports"]
    yield Row(
        f"{what}: second run, fresh kernel",
        f"{total:.2f} s, {imports:.2f} s of it imports; ran: {ran}",
        f"first {sum(first.values()):.1f} s",
        f"{sum(first.values()) / total:.1f}×, without imports "
        f"{(sum(first.values()) - first['imports']) / (total - imports):.0f}×",
        "",
        "≥ 20×",
    )
    yield Row(
        f"{what}: the same with start of kernel and extension",
        f"{second_wall:.2f} s",
        f"first {first_wall:.1f} s",
        f"{first_wall / second_wall:.1f}×",
    )
    yield Row(
        f"{what}: one constant of the last model edited",
        f"{sum(third.values()):.2f} s; ran: {ran_again}",
        f"first {sum(first.values()):.1f} s",
        f"{sum(first.values()) / sum(third.values()):.1f}×",
    )


def _run(
    folder: str, extension: str | None, cells: dict[str, str], passes: int = 1
) -> tuple[dict[str, float], float, str]:
    """Seconds of each cell, seconds of all from the start of the kernel, and names of the cells that were computed.

    Of several passes in the kernel, the cells' seconds are those of the last.
    """
    started = time.perf_counter()
    with _kernel(folder, extension) as made:
        for _ in range(passes):
            seconds = {name: made.run(text) for name, text in cells.items()}
        wall = time.perf_counter() - started
        return seconds, wall, _computed(made) if extension else ""


def _computed(made: TimedKernel) -> str:
    cells = "[(row['cell'].split()[-1], row['decision']) for row in __import__('mlmagic').reuse().cells]"
    return ", ".join(name for name, decision in ast.literal_eval(made.value(cells)) if decision != "reused") or "none"


def _compared(what: str, seconds: float, name: str, other: float) -> Row:
    return Row(what, f"{seconds:.1f} s", f"{name} {other:.1f} s", f"{seconds / other:.2f}×")


# -- functions -----------------------------------------------------------------------------------


def _functions() -> Iterator[Row]:
    """What keeping adds to the first run, the next run in the same process, and the first in a fresh one."""
    with tempfile.TemporaryDirectory() as folder:
        reuse_peers.write_work(folder)
        with _kernel(folder, "mlmagic", **ALL) as first, _kernel(folder, "mlmagic", **ALL) as fresh:
            ours = reuse_peers.ours(first, fresh)
        joblib, marimo = reuse_peers.joblib(folder), reuse_peers.marimo(folder)
    for name, what in reuse_peers.FUNCTIONS.items():
        peers = f"joblib {_told(joblib[name])}"
        peers += f"; {marimo}" if isinstance(marimo, str) else f"; marimo {_told(marimo[name])}"
        ratios = [_faster(ours[name], joblib[name], "joblib")]
        ratios += [] if isinstance(marimo, str) else [_faster(ours[name], marimo[name], "marimo")]
        yield Row(f"{what}: again / fresh process / keeping adds", _told(ours[name]), peers, ", ".join(ratios))


def _told(figures: tuple[float, float, float]) -> str:
    keeping, again, fresh = figures
    return f"{1000 * again:.0f} / {1000 * fresh:.0f} / {1000 * keeping:+.0f} ms"


def _faster(ours: tuple[float, float, float], theirs: tuple[float, float, float], name: str) -> str:
    return f"{theirs[1] / ours[1]:.1f}× / {theirs[2] / ours[2]:.1f}× {name}"


# -- nothing to gain -----------------------------------------------------------------------------


def _overhead() -> Row:
    """Cells whose inputs are others each time, run in turn in three kernels: plain, reuse off, reuse on."""
    cells = [cell.format(part=part) for part in range(4) for cell in ORDINARY]
    with _project(None, "mlmagic", "mlmagic") as (plain, off, on):
        off.run("%reuse off")
        on.run("%reuse on")
        kernels = [plain, off, on]
        for made in kernels:
            made.run("import numpy as np, pandas as pd")
        found: dict[tuple[int, int], list[float]] = {}
        for number in range(ROUNDS + 1):
            for made in kernels:
                made.run(f"START = {number}")
            for place, cell in enumerate(cells):
                for made in kernels[number % 3 :] + kernels[: number % 3]:
                    seconds = made.run(cell)
                    if number:  # nobody has seen the cells in the first round
                        found.setdefault((kernels.index(made), place), []).append(seconds)
        kept = float(on.value("__import__('mlmagic').reuse().keep_seconds")) / (ROUNDS + 1)
    alone, without, all_of_it = (
        sum(statistics.median(found[number, place]) for place in range(len(cells))) for number in range(3)
    )
    return Row(
        f"{len(cells)} ordinary cells, nothing to reuse: %reuse on",
        f"{100 * (all_of_it / without - 1):+.1f} %, keeping {100 * kept / without:.1f} %",
        f"off {without:.2f} s, plain {alone:.2f} s",
        f"{all_of_it / without:.3f}× off, {all_of_it / alone:.3f}× plain",
        "",
        "≤ +5 %",
    )


# -- large frames --------------------------------------------------------------------------------


def _frames() -> Iterator[Row]:
    """Hits on large frames, beside one pass over as many bytes."""
    from xxhash import xxh3_128

    raw = random.randbytes(200_000_000)
    hashed, copied = _best(lambda: xxh3_128(raw)), _best(lambda: bytearray(raw))
    for what, cell in FRAMES.items():
        with _project("mlmagic", "mlmagic", **ALL) as (first, fresh):
            for made in (first, fresh):
                made.run("import numpy as np, pandas as pd")
            computed = first.run(f"%%track\n{cell}")
            warm = statistics.median(first.run(f"%%track\n{cell}") for _ in range(5))
            cold = fresh.run(f"%%track\n{cell}")
        yield Row(
            f"hit on a {what}: again / fresh kernel",
            f"{1000 * warm:.0f} / {1000 * cold:.0f} ms",
            f"xxh3 {1000 * hashed:.0f} ms, copy {1000 * copied:.0f} ms, kept in {1000 * computed:.0f} ms",
            f"{warm / hashed:.1f}× / {cold / hashed:.1f}× xxh3",
            "",
            "memory speed",
        )


def _best(work: Callable[[], object]) -> float:
    found = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)
