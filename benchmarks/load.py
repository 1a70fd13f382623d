"""A client that is no bottleneck: one process, raw sockets, requests made before; every answer is kept for checking.

`python -m benchmarks.load SPEC` reads a pickled `Spec`, loads the server for so many seconds, and writes a `Load` back.
"""

from __future__ import annotations

import pickle
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CHUNKED_END = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Spec:
    """What to send: each of `connections` sends the next of `requests` as soon as its last was answered."""

    port: int
    requests: Sequence[bytes]
    connections: int = 64
    warm_seconds: float = 1.0
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Load:
    """What came back.

    Attributes
    ----------
    answers : set of (int, bytes)
        Which request, and the body that came for it; equal ones once.
    failed : int
        Answers with another status than 200.
    """

    requests: int
    seconds: float
    latencies: Sequence[float]
    answers: set[tuple[int, bytes]]
    failed: int

    @property
    def rate(self) -> float:
        """Requests in a second."""
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share was answered."""
        return 1e3 * statistics.quantiles(self.latencies, n=1000)[round(1000 * share) - 1]


def request(path: str, body: bytes, port: int) -> bytes:
    """One HTTP request with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def load(spec: Spec) -> Load:
    """Load a server from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spec"
        file.write_bytes(pickle.dumps(spec))
        subprocess.run([sys.executable, "-m", "benchmarks.load", str(file)], check=True)
        found = pickle.loads(file.read_bytes())
    assert isinstance(found, Load)
    return found


class _Connection:
    """One socket and the request that is under way on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = 0
        self.sent_at = 0.0
        self.received = b""

    def send(self, number: int, content: bytes) -> None:
        self.number, self.sent_at, self.received = number, time.perf_counter(), b""
        self.socket.sendall(content)

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body, once they are there."""
        self.received += self.socket.recv(1 << 18)
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            if not self.received:
                raise ConnectionError("the server closed a connection")
            return None
        head = self.received[:end].lower()
        at = head.find(b"content-length:")
        if at < 0:
            return (int(head[9:12]), self.received[end + 4 :]) if self.received.endswith(_CHUNKED_END) else None
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        body = self.received[end + 4 :]
        return (int(head[9:12]), body) if len(body) >= length else None


def _run(spec: Spec) -> Load:
    connections = [_Connection(spec.port) for _ in range(spec.connections)]
    by_descriptor = {each.socket.fileno(): each for each in connections}
    poll = select.epoll()
    for number, each in enumerate(connections):
        poll.register(each.socket.fileno(), select.EPOLLIN)
        each.send(number % len(spec.requests), spec.requests[number % len(spec.requests)])
    latencies: list[float] = []
    answers: set[tuple[int, bytes]] = set()
    following, failed = len(connections), 0
    began = time.perf_counter() + spec.warm_seconds
    ends, now = began + spec.seconds, 0.0
    while now < ends:
        for descriptor, _ in poll.poll(1):
            each = by_descriptor[descriptor]
            answer = each.answer()
            if answer is None:
                continue
            now = time.perf_counter()
            if now >= began:
                latencies.append(now - each.sent_at)
                failed += answer[0] != 200
                answers.add((each.number, answer[1]))
            number = following % len(spec.requests)
            following += 1
            each.send(number, spec.requests[number])
    return Load(len(latencies), now - began, latencies, answers, failed)


def main(file: Path) -> None:
    """Run what a file specifies, and put what came of it in its place."""
    file.write_bytes(pickle.dumps(_run(pickle.loads(file.read_bytes()))))


if __name__ == "__main__":
    from benchmarks import load as known  # a pickle names classes by their module

    known.main(Path(sys.argv[1]))
