"""The same graph behind other servers, each written as its manual shows, with onnxruntime on one thread as we use it.

Each peer is a small program in an environment of its own. It is given the model's file, the name of its input, how many
numbers a row has, and a port.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psutil

from benchmarks.peers import installed

RUNTIME = ("onnxruntime", "numpy")
Rows: TypeAlias = list[list[float]]

SESSION = """
import os, sys
import numpy as np
import onnxruntime

MODEL, INPUT, WIDTH, PORT = os.environ["MODEL"], os.environ["INPUT"], int(os.environ["WIDTH"]), int(os.environ["PORT"])
FOLDER = os.environ["FOLDER"]


def session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
"""

FASTAPI = """
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = session()


class Rows(BaseModel):
    rows: list[list[float]]


@app.post("/predict")
async def predict(asked: Rows):
    found = model.run(None, {INPUT: np.array(asked.rows, np.float32)})
    return {"predictions": found[-1].tolist()}


uvicorn.run(app, host="127.0.0.1", port=PORT, loop="uvloop", http="httptools", log_level="critical", access_log=False)
"""

LITSERVE = """
import litserve


class Scoring(litserve.LitAPI):
    def setup(self, device):
        self.model = session()

    def decode_request(self, request):
        return np.array(request["rows"], np.float32)

    def batch(self, inputs):
        return np.concatenate(inputs)

    def predict(self, rows):
        return self.model.run(None, {INPUT: rows})[-1]

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"predictions": [np.atleast_1d(output).tolist()]}


if __name__ == "__main__":
    api = Scoring(max_batch_size=64, batch_timeout=0.001)
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=PORT, generate_client_file=False, num_api_servers=1, log_level="critical"
    )
"""

BENTOML = """
SERVICE = '''
import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, traffic={"timeout": 60})
class Scoring:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.model = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> list:
        return self.model.run(None, {os.environ["INPUT"]: np.array(rows, np.float32)})[-1].tolist()
'''
open(os.path.join(FOLDER, "service.py"), "w").write(SERVICE)
python = sys.executable
os.execv(python, [python, "-m", "bentoml", "serve", "service:Scoring", "--host", "127.0.0.1", "--port", str(PORT)])
"""

MLSERVER = """
import json

RUNTIME = '''
import os

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Scoring(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        found = self._session.run(None, {os.environ["INPUT"]: rows})[-1]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("scores", found)])
'''
SETTINGS = {
    "http_port": PORT, "host": "127.0.0.1", "grpc_port": PORT + 1, "parallel_workers": 0, "metrics_endpoint": None,
    "debug": False,
}
BATCHES = {"name": "scoring", "implementation": "runtime.Scoring", "max_batch_size": 64, "max_batch_time": 0.001}
FILES = {"runtime.py": RUNTIME, "settings.json": json.dumps(SETTINGS), "model-settings.json": json.dumps(BATCHES)}
for name, content in FILES.items():
    open(os.path.join(FOLDER, name), "w").write(content)
os.execv(sys.executable, [sys.executable, "-c", "from mlserver.cli import main; main()", "start", FOLDER])
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to run beside ours.

    Attributes
    ----------
    packages : tuple of str
        What its environment holds besides onnxruntime.
    probe : str
        Python that succeeds where it is installed.
    path : str
        Where it takes requests.
    body : callable
        Rows in, the request's body out.
    read : callable
        An answer's body in, the scores out, one list for each row.
    """

    name: str
    packages: tuple[str, ...]
    probe: str
    program: str
    path: str
    body: Callable[[Rows], bytes]
    read: Callable[[bytes], Rows]


def rows_body(rows: Rows) -> bytes:
    """Rows as most servers take them."""
    return json.dumps({"rows": rows}).encode()


def tensor_body(name: str) -> Callable[[Rows], bytes]:
    """Rows as the Open Inference Protocol takes them, as one tensor of this name."""

    def body(rows: Rows) -> bytes:
        data = [number for row in rows for number in row]
        shape = [len(rows), len(rows[0])]
        return json.dumps({"inputs": [{"name": name, "shape": shape, "datatype": "FP32", "data": data}]}).encode()

    return body


def read_tensor(answer: bytes) -> Rows:
    """The last tensor of an answer in the Open Inference Protocol."""
    tensor = json.loads(answer)["outputs"][-1]
    data = tensor["data"]
    width = len(data) // tensor["shape"][0]
    return [data[at : at + width] for at in range(0, len(data), width)]


def _predictions(answer: bytes) -> Rows:
    found: Rows = json.loads(answer)["predictions"]
    return found


def _bare(answer: bytes) -> Rows:
    found: Rows = json.loads(answer)
    return found


PEERS = (
    Peer(
        "FastAPI", ("fastapi", "uvicorn", "uvloop", "httptools"), "import fastapi, uvicorn, uvloop, httptools",
        FASTAPI, "/predict", rows_body, _predictions,
    ),
    Peer("LitServe", ("litserve",), "import litserve", LITSERVE, "/predict", rows_body, _predictions),
    Peer("BentoML", ("bentoml",), "import bentoml", BENTOML, "/predict", rows_body, _bare),
    Peer(
        "MLServer", ("mlserver",), "import mlserver", MLSERVER, "/v2/models/scoring/infer", tensor_body("rows"),
        read_tensor,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    port: int
    start_seconds: float
    pid: int

    @property
    def megabytes(self) -> float:
        """Resident, of the process and all of its children."""
        root = psutil.Process(self.pid)
        return sum(each.memory_info().rss for each in (root, *root.children(recursive=True))) / 1e6


@contextmanager
def running(peer: Peer, model: Path, tensor: str, width: int, folder: Path) -> Iterator[Running | str]:
    """The peer behind a port of its own, or why it is not there."""
    python, trouble = installed(peer.name.lower(), [*RUNTIME, *peer.packages], f"import onnxruntime; {peer.probe}")
    if python is None:
        yield f"{peer.name} did not install: {trouble[:60]}"
        return
    home = folder / f"{peer.name.lower()}-{width}"
    home.mkdir()
    program = home / "serve.py"
    program.write_text(SESSION + peer.program)
    port = free_port()
    about = {"MODEL": str(model), "INPUT": tensor, "WIDTH": str(width), "PORT": str(port), "FOLDER": str(home)}
    with started([python, str(program)], port, peer.path, peer.body([[0.5] * width]), home, about) as found:
        yield found if isinstance(found, Running) else f"{peer.name} {found}"


@contextmanager
def started(
    command: Sequence[str], port: int, path: str, body: bytes, folder: Path, environment: Mapping[str, str]
) -> Iterator[Running | str]:
    """A server's process once it has answered, or why it did not."""
    began = time.perf_counter()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment, "OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "True"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        if _answers(port, path, body, process):
            yield Running(port, time.perf_counter() - began, process.pid)
        else:
            said = (folder / "log").read_text(errors="replace").strip().splitlines()
            yield f"did not answer: {said[-1][:60] if said else 'it said nothing'}"
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a server with all that it started: some put their workers into groups of their own."""
    with suppress(psutil.NoSuchProcess):
        for each in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                each.kill()
    process.kill()
    process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int, path: str, body: bytes, process: subprocess.Popen[bytes]) -> bool:
    """Whether it answered within a minute."""
    headers = {"Content-Type": "application/json"}
    ends = time.monotonic() + 60
    while time.monotonic() < ends and process.poll() is None:
        try:
            asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
            with urllib.request.urlopen(asked, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    return False
