"""`make demo`: run the tour in fresh kernels and show, in a terminal, what is remembered and what is not redone."""

import json
import os
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import numpy as np
import onnxruntime
from sklearn.datasets import load_breast_cancer

import mlmagic
from benchmarks.load import Spec, load, request
from mlmagic.api.headless import Run
from mlmagic.tuning.outcome import params_in_words

TOUR = Path(__file__).with_name("00_tour.ipynb")
CHANGED = TOUR.with_name("changed.ipynb")  # for a moment: the tour with one cell changed
CHANGE = ("quantile=0.995", "quantile=0.99")
RULES = (
    "SELECT a.name AS rule, r.fired, r.rows, e.execution_count AS model_made_in, left(e.source, 22) AS by_cell "
    "FROM assertion_results r JOIN assertions a USING (assertion_id) JOIN versions v ON v.version_id = r.model_version "
    "JOIN executions e ON e.execution_id = v.execution_id "
    "WHERE r.endpoint_id IS NULL ORDER BY r.at DESC LIMIT 1"
)
QUERY = "SELECT execution_count AS cell, round(1000 * seconds) AS ms, left(source, 50) AS source FROM executions"


def title(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}\n{'-' * len(text)}")


def progress(number: int, total: int, source: str) -> None:
    first = next((line for line in source.splitlines() if line.strip()), "")
    print(f"  [{number:>2}/{total}] {first[:72]}", flush=True)


def tracked() -> list[tuple[str, str]]:
    """The cells under `%%track` of the last run, and what became of each."""
    return [
        (one.cell, one.sentence) for one in mlmagic.reuse("explain").reasons if "not under %%track" not in one.sentence
    ]


def change() -> None:
    """Write the tour with one constant changed."""
    book = nbformat.read(TOUR, as_version=4)
    cell = next(cell for cell in book.cells if CHANGE[0] in cell.source)
    cell.source = cell.source.replace(*CHANGE)
    nbformat.write(book, CHANGED)


def first_run() -> Run:
    title(f"1. The tour, {TOUR.name}, in a fresh kernel")
    if Path(".mlmagic").exists():
        print(f"(results of earlier demos: {mlmagic.reuse('clear')})")
    run = mlmagic.run(TOUR, on_cell=progress)
    if not run.error:
        per_cell, share = 1000 * run.tracking_seconds / run.cells, 100 * run.tracking_seconds / run.seconds
        told = f"tracking cost {per_cell:.1f} ms per cell, {share:.1f} % of {run.seconds:.1f} s"
        print(f"\ncells tracked: {run.cells}; {told}")
    return run


def lineage_and_slice(cells: int) -> str:
    title("2. Where did the model come from?   %lineage model")
    print(mlmagic.lineage("model"))
    title("3. Does the shortest script make it again?   %slice model --run")
    found = mlmagic.slice("model")
    print(f"running {len(found.plan.executions)} of {cells} cells in a fresh process …", flush=True)
    verdict = found.run()
    print(verdict)
    return verdict.verdict


def the_sweep() -> int:
    title("4. What did twenty trials find?   %%sweep tune")
    found = mlmagic.sweeps("tune")
    best = found.best
    shared, statements = found.shared
    print(f"best trial: {found.sweep.objective} = {best.value:.4f} in trial {best.number}: {params_in_words(best)}")
    print(f"{len(found.trials)} trials at {len(found.trials) / found.sweep.seconds:.1f} per second")
    print(f"{shared} of the cell's {statements} statements ran once for all of them")
    return shared


def verdicts() -> bool:
    title("5. Is it right?   %evaluate, %assertions, %drift")
    auc = mlmagic.sql(
        "SELECT value, low, high FROM evaluations WHERE metric = 'roc_auc' AND part = 'test' ORDER BY evaluation_id DESC"
    )
    print(f"AUC {auc.value[0]:.3f}, 95 % interval {auc.low[0]:.3f} to {auc.high[0]:.3f}")
    rules = mlmagic.sql(RULES)
    print(rules.to_string(index=False))
    moved = mlmagic.sql(
        "SELECT count(DISTINCT column_name) AS looked_at, count(DISTINCT column_name) FILTER (drifted) AS drifted FROM drifts"
    )
    print(f"early and late patients: {moved.drifted[0]} of {moved.looked_at[0]} columns have a statistic that drifted")
    return bool(rules.fired[0] > 0 and moved.drifted[0] > 0)


def served() -> bool:
    title("6. Out of the notebook: the exported model behind HTTP   %export, %serve")
    with mlmagic.serve("tumours") as endpoint:
        rows = real_rows(endpoint.schema.names)
        scores = endpoint.predict_proba(rows)
        print(f"{endpoint}; {len(rows)} real rows scored: {np.mean(scores[:, 1] > 0.5):.0%} benign")
        path, port = "/v1/models/tumours:predict", int(endpoint.url.rpartition(":")[2])
        bodies = [json.dumps({"rows": [row]}).encode() for row in rows.to_dict("records")]
        found = load(Spec(port, [request(path, body, port) for body in bodies], seconds=3))
        right = all(
            np.allclose(json.loads(answer)["predictions"][0]["probabilities"], scores[number], atol=1e-6)
            for number, answer in found.answers
        )
        print(
            f"64 connections, one row a request: {found.rate:,.0f} requests a second, p50 {found.percentile(0.5):.1f} ms, "
            f"p99 {found.percentile(0.99):.1f} ms; {'all answers right' if right else 'WRONG ANSWERS'}"
        )
        print(f"raw onnxruntime, no server, 64 rows a call, one thread: {raw_rate(endpoint, rows):,.0f} rows a second")
    return right and not found.failed


def real_rows(columns: tuple[str, ...]):
    """The tour's data, prepared as the tour does, without clipping."""
    data = load_breast_cancer(as_frame=True).frame
    data["size ratio"] = data["worst radius"] / data["mean radius"]
    data["roughness"] = data["mean concavity"] * data["mean symmetry"]
    return data[list(columns)]


def raw_rate(endpoint, rows) -> float:
    """Rows a second of the runtime alone."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = max(Path(".mlmagic/bundles/tumours").glob("*/model.onnx"), key=lambda path: path.stat().st_mtime)
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    feed = {endpoint.schema.tensor: rows.to_numpy(np.float32)[:64]}
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < 0.5:
        session.run(None, feed)
        calls += 1
    return 64 * calls / (time.perf_counter() - began)


def second_run(first: Run) -> Run:
    title("7. The tour once more, in another fresh kernel")
    run = mlmagic.run(TOUR)
    print(f"{run.reused} of {len(tracked())} cells under %%track reused; saved {run.saved_seconds:.1f} s")
    print(f"(the first run reused {first.reused}, within itself, and saved {first.saved_seconds:.1f} s)")
    return run


def third_run() -> Run:
    title(f"8. One cell changed ({CHANGE[0]} → {CHANGE[1]}): what runs, and why?   %reuse explain")
    change()
    try:
        run = mlmagic.run(CHANGED)
    finally:
        CHANGED.unlink()
    for cell, sentence in tracked():
        print(f"  {cell:<12} {textwrap.shorten(sentence, 150, placeholder=' …')}")
    return run


def main() -> int:
    started = time.perf_counter()
    os.chdir(TOUR.parent)
    first = first_run()
    if first.error:
        print(f"the tour stopped: {first.error}", file=sys.stderr)
        return 1
    verdict = lineage_and_slice(first.cells)
    shared, judged, answered = the_sweep(), verdicts(), served()
    runs = [second_run(first), third_run()]
    title("9. Now you")
    store = Path(".mlmagic/lineage.duckdb").resolve()
    print(
        textwrap.dedent(f"""\
        the store:  {os.path.relpath(store, TOUR.parent.parent)}
        a query:    mlmagic lineage --sql "{QUERY}"   (in notebooks/, with .venv active)
        the tour:   make lab
        """)
    )
    print(f"done in {time.perf_counter() - started:.0f} s")
    good = (
        verdict == "same"
        and shared >= 3
        and judged
        and answered
        and runs[0].reused >= 4
        and not any(run.error for run in runs)
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
