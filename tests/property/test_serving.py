"""Random requests, failures and cancellations: every row's answer is its own; and random bytes: the server lives."""

from __future__ import annotations

import itertools
import json
import random
import selectors
import socket
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import helper

from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.serving import process
from tests.unit.serving import made
from tests.unit.serving.running import Client, request

INLINE = made.FAST
ELSEWHERE = [{"rows": 1, "seconds": 5.0}, {"rows": 64, "seconds": 10.0}]  # beyond what the event loop waits for


def fragile(folder: Path, timing: Any) -> Any:
    """A model of three numbers: their sum and their difference; where the third is not 0 to 9, it fails."""
    nodes = [
        helper.make_node("Split", ["X", "sizes"], ["a", "b", "c"], axis=1),
        helper.make_node("Cast", ["c"], ["place"], to=made.INT),
        helper.make_node("Gather", ["table", "place"], ["looked_up"]),
        helper.make_node("Sum", ["a", "b", "looked_up"], ["sum"]),
        helper.make_node("Sub", ["a", "b"], ["difference"]),
        helper.make_node("Concat", ["sum", "difference"], ["output"], axis=1),
    ]
    weights = [made.weight("sizes", 1, 1, 1, kind=np.int64), made.weight("table", *range(10))]
    content = made.graph(nodes, [made.value("X", made.FLOAT, 3)], [made.value("output", made.FLOAT, 2)], weights)
    schema = Schema(
        "matrix", tuple(Field(name, "float32", "float64") for name in "abc"), (Output("output", "float32", (2,)),),
        "output", "X", (3,), None, False,
    )  # fmt: skip
    return made.put(folder, "fragile", content, schema, timing)


class Asked:
    """A request, and what its answer has to be."""

    def __init__(self, dice: random.Random) -> None:
        self.rows = [[dice.randrange(100_000), dice.randrange(100_000), dice.randrange(10)] for _ in range(_size(dice))]
        self.status = 200
        fate = dice.random()
        if fate < 0.01:
            self.status, self.rows[dice.randrange(len(self.rows))][2] = 500, 12
        elif fate < 0.02:
            self.status, self.rows[dice.randrange(len(self.rows))][1] = 400, dice.choice(["1", None, True, 1e300])
        kind = dice.randrange(4) if self.status != 400 else dice.randrange(2)
        self.text = (_named, _listed, _tensor, _binary)[kind](self.rows)

    def check(self, status: int, head: bytes, body: bytes) -> None:
        assert status == self.status, body
        if status == 200:
            expected = [[a + b + c, a - b] for a, b, c in self.rows]
            assert _answer(head, body) == expected


def _size(dice: random.Random) -> int:
    return 1 if dice.random() < 0.8 else dice.randrange(1, 20) if dice.random() < 0.97 else dice.randrange(20, 400)


def _named(rows: list[list[Any]]) -> bytes:
    return request("POST", "/v1/models/fragile:predict", {"rows": [dict(zip("abc", row, strict=True)) for row in rows]})


def _listed(rows: list[list[Any]]) -> bytes:
    return request("POST", "/v1/models/fragile:predict", {"rows": rows})


def _tensor(rows: list[list[Any]]) -> bytes:
    asked = {"name": "X", "shape": [len(rows), 3], "datatype": "FP32", "data": rows}
    return request("POST", "/v2/models/fragile/infer", {"inputs": [asked]})


def _binary(rows: list[list[Any]]) -> bytes:
    content = np.array(rows, "<f4").tobytes()
    asked = {"name": "X", "shape": [len(rows), 3], "datatype": "FP32", "parameters": {"binary_data_size": len(content)}}
    text = json.dumps({"inputs": [asked], "parameters": {"binary_data_output": True}}).encode()
    return request("POST", "/v2/models/fragile/infer", text + content, inference_header_content_length=len(text))


def _answer(head: bytes, body: bytes) -> list[list[float]]:
    if b"octet-stream" in head:
        length = int(head.partition(b"Inference-Header-Content-Length: ")[2].partition(b"\r\n")[0])
        return np.frombuffer(body[length:], "<f4").reshape(-1, 2).tolist()
    found = json.loads(body)
    if "predictions" in found:
        return found["predictions"]
    (output,) = found["outputs"]
    return np.array(output["data"]).reshape(output["shape"]).tolist()


class Player:
    """One connection that asks several things at a time, checks each answer, and now and then just leaves."""

    def __init__(self, port: int, pool: list[Asked], dice: random.Random) -> None:
        self.pool, self.dice, self.port, self.checked = pool, dice, port, 0
        self.connect()

    def connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setblocking(False)
        self.waiting: list[Asked] = []
        self.read, self.unsent = b"", b""

    def play(self) -> None:
        if len(self.waiting) < 4:
            asked = self.dice.choices(self.pool, k=self.dice.randrange(1, 4))
            self.waiting += asked
            self.unsent += b"".join(one.text for one in asked)
        if self.unsent:
            part = self.unsent if self.dice.random() < 0.9 else self.unsent[: self.dice.randrange(len(self.unsent)) + 1]
            try:
                self.unsent = self.unsent[self.socket.send(part) :]
            except BlockingIOError:
                pass

    def take(self) -> None:
        self.read += self.socket.recv(1 << 18)
        while (end := self.read.find(b"\r\n\r\n") + 4) > 3:
            head = self.read[:end]
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            if len(self.read) < end + length:
                return
            body, self.read = self.read[end : end + length], self.read[end + length :]
            self.waiting.pop(0).check(int(head[9:12]), head, body)
            self.checked += 1


def play(port: int, count: int, seed: int, connections: int = 32) -> None:
    """So many requests, each answer checked row by row."""
    dice = random.Random(seed)
    pool = [Asked(dice) for _ in range(2_000)]
    players = [Player(port, pool, dice) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        for player in players:
            selector.register(player.socket, selectors.EVENT_READ, player)
            player.play()
        while sum(player.checked for player in players) < count:
            ready = selector.select(20)
            assert ready or any(player.unsent for player in players), "the server has gone silent"
            for key, _ in ready:
                player = key.data
                player.take()
                if dice.random() < 0.003:
                    selector.unregister(player.socket)
                    player.socket.close()
                    player.connect()
                    selector.register(player.socket, selectors.EVENT_READ, player)
            for player in players:
                player.play()
    for player in players:
        player.socket.close()


def served(folder: Path, timing: Any) -> process.Process:
    return process.start(made.options(fragile(folder, timing), log_rows=0, slo_ms=1e6), log=folder / "log")


@pytest.mark.parametrize(
    ("timing", "count"),
    [
        (INLINE, 50_000),
        (ELSEWHERE, 50_000),
        pytest.param(INLINE, 500_000, marks=pytest.mark.soak),
        pytest.param(ELSEWHERE, 500_000, marks=pytest.mark.soak),
    ],
)  # fmt: skip
def test_nobody_ever_gets_anothers_answer(tmp_path, timing, count):
    server = served(tmp_path, timing)
    try:
        play(int(server.url.rpartition(":")[2]), count, seed=count)
    finally:
        server.stop()
    assert server.status == 0


# Random bytes


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    server = served(tmp_path_factory.mktemp("fuzzed"), INLINE)
    yield server
    assert server.alive
    server.stop()


ROWS = [[1, 2, 3], [40, 50, 6]]
GOOD = [_named(ROWS), _listed(ROWS), _tensor(ROWS), _binary(ROWS), request("GET", "/v2"), request("GET", "/metrics")]


def lives(port: int) -> bool:
    client = Client(port)
    answer = client.ask(_listed(ROWS))
    client.close()
    return answer.status == 200 and answer.json["predictions"] == [[6.0, -1.0], [96.0, -10.0]]


def answers_to(port: int, parts: list[bytes]) -> list[int]:
    """Statuses of all that comes back; the client then closes its side, so that nobody waits for more."""
    client = Client(port)
    statuses = []
    try:
        for part in parts:
            client.send(part)
        client.socket.shutdown(socket.SHUT_WR)
        while (answer := client.answer()) is not None:
            statuses.append(answer.status)
            json.loads(answer.body) if answer.headers["content-type"] == "application/json" else None
    except (ConnectionError, AssertionError, OSError):
        pass
    finally:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    return statuses


def mutated(text: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """A request with some of its bytes cut out and others put in."""
    for at, cut, put in changes:
        at %= len(text) + 1
        text = text[:at] + put + text[at + cut :]
    return text


CHANGES = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 20), st.binary(max_size=12)), min_size=1, max_size=4
)
FUZZING = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZING
@given(st.binary(max_size=400))
def test_random_bytes_are_never_the_end(fuzzed, text):
    port = int(fuzzed.url.rpartition(":")[2])
    assert all(status >= 400 for status in answers_to(port, [text]))
    assert lives(port)


@FUZZING
@given(st.sampled_from(GOOD), CHANGES)
@example(GOOD[0], [(0, 0, b"HEAD")])  # no method, and begins like one whose answers have no body
def test_requests_with_some_bytes_changed_are_never_the_end(fuzzed, text, changes):
    port = int(fuzzed.url.rpartition(":")[2])
    assert set(answers_to(port, [mutated(text, changes)])) <= {
        200,
        400,
        401,
        403,
        404,
        405,
        413,
        414,
        415,
        421,
        431,
        500,
    }
    assert lives(port)


@FUZZING
@given(st.lists(st.sampled_from(GOOD), min_size=1, max_size=6), st.lists(st.integers(0, 3_000), max_size=8))
def test_however_requests_are_joined_and_cut_each_is_answered(fuzzed, texts, cuts):
    port = int(fuzzed.url.rpartition(":")[2])
    whole = b"".join(texts)
    at = sorted({cut % len(whole) for cut in cuts} | {0, len(whole)})
    client = Client(port)
    for start, stop in itertools.pairwise(at):
        client.send(whole[start:stop])
    assert [client.answer().status for _ in texts] == [200] * len(texts)
    client.close()


@FUZZING
@given(st.lists(st.integers(1, 200), min_size=1, max_size=10))
def test_however_a_body_is_cut_into_chunks_it_is_read(fuzzed, sizes):
    port = int(fuzzed.url.rpartition(":")[2])
    body = json.dumps({"rows": ROWS}).encode()
    head = request("POST", "/v1/models/fragile:predict", transfer_encoding="chunked")
    chunks, at = [], 0
    for size in [*sizes, len(body)]:
        if chunk := body[at : at + size]:
            chunks.append(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        at += size
    client = Client(port)
    answer = client.ask(head + b"".join(chunks) + b"0\r\n\r\n")
    client.close()
    assert answer.json["predictions"] == [[6.0, -1.0], [96.0, -10.0]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["rows", "inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "a", "b", "c"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@FUZZING
@given(JSON, st.sampled_from(["/v1/models/fragile:predict", "/v2/models/fragile/infer"]))
def test_any_other_json_is_refused_with_a_reason(fuzzed, plain, path):
    port = int(fuzzed.url.rpartition(":")[2])
    for body in (plain, {"rows": plain}, {"inputs": plain}, {"inputs": [plain]}):
        client = Client(port)
        answer = client.ask(request("POST", path, body))
        client.close()
        assert answer.status in (200, 400, 413, 500)
        assert answer.status != 500 or "the model failed" in answer.error
