"""An exported model behind `mlmagic serve`, beside the same graph behind other servers: single rows, 64 at a time.

Ours runs as it does for a user, with its log, rules and drift watch; the others do none of that. All answers are
checked against those of the model itself.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.load import Load, Spec, load, request
from benchmarks.serving_peers import (
    PEERS,
    Rows,
    Running,
    free_port,
    read_tensor,
    rows_body,
    running,
    started,
    tensor_body,
)
from benchmarks.table import Row

ROWS = 2_000  # different requests
CONNECTIONS = 64
SECONDS = float(os.environ.get("MLMAGIC_BENCH_SECONDS", "5"))
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Work:
    """A model that was exported, and rows with the answers that are right."""

    name: str
    bundle: Path
    tensor: str
    rows: Rows
    expected: NDArray[np.float64]
    export_seconds: float

    @property
    def model(self) -> Path:
        return self.bundle / "model.onnx"

    @property
    def width(self) -> int:
        return len(self.rows[0])


def measure() -> Iterator[Row]:
    """Requests a second of two models, beside the others; then memory, start and export."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for made in (_forest(folder), _network(folder)):
            yield from _measured(made, folder)


def _forest(folder: Path) -> Work:
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    train = rng.normal(size=(5_000, 30))
    model = RandomForestClassifier(100, random_state=0).fit(train, train[:, 0] + train[:, 1] ** 2 > 1)
    return _exported("forest", model, train, rng.normal(size=(ROWS, 30)), folder)


def _network(folder: Path) -> Work:
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(0)
    train = rng.random((2_000, 784))
    model = MLPClassifier((512, 256), max_iter=2, random_state=0)
    _quietly(lambda: model.fit(train, rng.integers(0, 10, 2_000)))
    return _exported("network", model, train, rng.random((ROWS, 784)), folder)


def _quietly(work: Callable[[], Any]) -> None:
    import warnings

    with warnings.catch_warnings():  # two passes do not converge, and need not
        warnings.simplefilter("ignore")
        work()


def _exported(name: str, model: Any, train: NDArray[Any], rows: NDArray[Any], folder: Path) -> Work:
    import mlmagic

    os.environ["MLMAGIC_HOME"] = str(folder / "project")
    rows = rows.round(4)  # as data comes: pixels and measurements, not 17 digits
    began = time.perf_counter()
    report = mlmagic.export(model, name, holdout=(train[:1_000], model.predict(train[:1_000])))
    seconds = time.perf_counter() - began
    schema = json.loads((Path(report.path) / "schema.json").read_text())
    expected = model.predict_proba(rows.astype(np.float32))
    return Work(name, Path(report.path), schema["tensor"], rows.tolist(), expected, seconds)


# -- ours and theirs -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """How a server did."""

    name: str
    load: Load
    running: Running
    megabytes: float

    @property
    def told(self) -> str:
        shares = f"p50 {self.load.percentile(0.5):.1f} ms, p99 {self.load.percentile(0.99):.1f} ms"
        return f"{self.load.rate:,.0f}/s ({shares})"


def _measured(work: Work, folder: Path) -> Iterator[Row]:
    ours = {}
    for how, path, body, read in (
        ("JSON rows", f"/v1/models/{work.name}:predict", rows_body, _scores),
        ("v2 JSON", f"/v2/models/{work.name}/infer", tensor_body(work.tensor), read_tensor),
    ):
        with _mlmagic(work, path, body, folder / f"{work.name}-{how.replace(' ', '-')}") as server:
            ours[how] = _loaded("mlmagic", work, server, path, body, read)
    others, missing = _others(work, folder)
    yield from _rates(work, ours, others, missing)
    yield from _costs(work, ours["JSON rows"], others)


@contextmanager
def _mlmagic(work: Work, path: str, body: Callable[[Rows], bytes], home: Path) -> Iterator[Running]:
    home.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "mlmagic.cli", "serve", str(work.bundle), "--port", str(port), "--log", str(home)]
    with started(command, port, path, body([[0.5] * work.width]), home, {}) as found:
        if isinstance(found, str):
            raise SystemExit(f"mlmagic {found}")
        yield found


def _scores(answer: bytes) -> Rows:
    return [row["probabilities"] for row in json.loads(answer)["predictions"]]


def _others(work: Work, folder: Path) -> tuple[list[Result], list[str]]:
    found, missing = [], []
    for peer in PEERS:
        with running(peer, work.model, work.tensor, work.width, folder) as server:
            if isinstance(server, str):
                missing.append(server)
            else:
                found.append(_loaded(peer.name, work, server, peer.path, peer.body, peer.read))
    return found, missing


def _loaded(
    name: str,
    work: Work,
    server: Running,
    path: str,
    body: Callable[[Rows], bytes],
    read: Callable[[bytes], Rows],
) -> Result:
    """A server under load; an answer that is wrong ends the benchmark."""
    requests = [request(path, body([row]), server.port) for row in work.rows]
    found = load(Spec(server.port, requests, CONNECTIONS, seconds=SECONDS))
    if found.failed:
        raise SystemExit(f"{name} refused {found.failed} of {found.requests} requests")
    for number, answer in found.answers:
        if not np.allclose(read(answer)[0], work.expected[number], rtol=0, atol=TOLERANCE):
            raise SystemExit(f"{name} gave a wrong answer for row {number}: {answer[:200]!r}")
    return Result(name, found, server, server.megabytes)


# -- the table -------------------------------------------------------------------------------------


def _rates(work: Work, ours: dict[str, Result], others: list[Result], missing: list[str]) -> Iterator[Row]:
    best = max((each.load.rate for each in others), default=0.0)
    beside = "; ".join([*(f"{each.name} {each.told}" for each in others), *missing])
    for how, mine in ours.items():
        ratio = f"{mine.load.rate / best:.1f}× the best" if best else ""
        what = f"{_SAID[work.name]}, {CONNECTIONS} connections, one row as {how}"
        yield Row(what, mine.told, beside, ratio, "≥ 5×", "≥ 8×")
    rate = _raw(work)
    share = f"{ours['JSON rows'].load.rate / rate:.2f}×"
    yield Row(f"{_SAID[work.name]}: raw onnxruntime, one thread, 64 rows a call", f"{rate:,.0f} rows/s", "", share)


_SAID = {"forest": "RandomForest(100) × 30 features", "network": "MLP 784-512-256-10"}


def _raw(work: Work) -> float:
    """Rows a second of the runtime alone, without a server."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(work.model), options, providers=["CPUExecutionProvider"])
    rows = np.array(work.rows, np.float32)[:64]
    session.run(None, {work.tensor: rows})
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < 1:
        session.run(None, {work.tensor: rows})
        calls += 1
    return 64 * calls / (time.perf_counter() - began)


def _costs(work: Work, mine: Result, others: list[Result]) -> Iterator[Row]:
    said = _SAID[work.name]
    memory = "; ".join(f"{each.name} {each.megabytes:.0f}" for each in others)
    yield Row(f"{said}: resident memory, all processes, after the load", f"{mine.megabytes:.0f} MB", memory)
    starts = "; ".join(f"{each.name} {each.running.start_seconds:.1f}" for each in others)
    yield Row(
        f"{said}: from the command to the first answer", f"{mine.running.start_seconds:.1f} s", starts, "", "≈ 1 s"
    )
    yield Row(f"{said}: export, with parity on 1,000 rows", f"{work.export_seconds:.1f} s")
