"""A server in a thread of the test's own process, and clients that send just the bytes they are told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mlmagic.bundles.folder import Bundle
from mlmagic.serving.limits import Limits
from mlmagic.serving.server import Server
from tests.unit.serving.made import options


class Answer(NamedTuple):
    """One answer of the server."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return self.json["error"]


class Client:
    """One connection."""

    def __init__(self, port: int, seconds: float = 20) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer | None:
        """The next answer; `None`: the server has closed the connection."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                assert not self._read
                return None
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        while len(self._read) < length:
            assert self._more(), "the answer was cut"
        body, self._read = self._read[:length], self._read[length:]
        return Answer(int(first.split()[1]), headers, body)

    def ask(self, data: bytes) -> Answer:
        self.send(data)
        answer = self.answer()
        assert answer is not None, "the connection was closed without an answer"
        return answer

    def close(self) -> None:
        self.socket.close()

    def _more(self) -> bytes:
        try:
            more = self.socket.recv(1 << 20)
        except ConnectionResetError:
            more = b""
        self._read += more
        return more


def request(
    method: str, path: str, body: bytes | Any | None = None, version: str = "1.1", **headers: str | int | None
) -> bytes:
    """The bytes of a request; headers with `_` for `-`, and `None` to leave one out."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    if body is not None:
        headers.setdefault("content_length", len(content))
    headers.setdefault("host", "localhost")
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", ""]).encode() + content


class Running:
    """A server, its bundle, and short ways to ask it."""

    def __init__(self, bundle: Bundle, server: Server, url: str) -> None:
        self.bundle, self.server, self.url = bundle, server, url
        self.port = int(urlsplit(url).port or 0)
        self.predict_path = f"/v1/models/{bundle.name}:predict"
        self.infer_path = f"/v2/models/{bundle.name}/infer"

    @contextlib.contextmanager
    def client(self, seconds: float = 20) -> Iterator[Client]:
        client = Client(self.port, seconds)
        try:
            yield client
        finally:
            client.close()

    def ask(self, data: bytes) -> Answer:
        """On a connection of its own."""
        with self.client() as client:
            return client.ask(data)

    def predict(self, rows: Any, **headers: Any) -> Answer:
        return self.ask(request("POST", self.predict_path, {"rows": rows}, **headers))

    def infer(self, asked: Any, **headers: Any) -> Answer:
        return self.ask(request("POST", self.infer_path, asked, **headers))

    def get(self, path: str) -> Answer:
        return self.ask(request("GET", path))

    def status(self) -> dict[str, Any]:
        return self.get(f"/v1/models/{self.bundle.name}").json["status"]


@contextlib.contextmanager
def running(bundle: Bundle, limits: Limits | None = None, scorer: Any = None, **how: Any) -> Iterator[Running]:
    """A server of a bundle; with `scorer`, that answers in place of the bundle's graph."""
    how.setdefault("log_rows", 0)
    loop = asyncio.new_event_loop()
    ready: dict[str, Any] = {}
    listening = threading.Event()

    def announce(about: dict[str, Any]) -> None:
        ready.update(about)
        listening.set()

    server = Server(options(bundle, **how), loop, limits)
    if scorer is not None:
        server.endpoint.worker.scorer = scorer
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.run(announce)))
    thread.start()
    try:
        assert listening.wait(20)
        yield Running(bundle, server, ready["url"])
    finally:
        loop.call_soon_threadsafe(server.stop)
        thread.join(20)
        assert not thread.is_alive()
        loop.close()
