"""One request from its last byte to its answer: where it came from, what it asks, how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from mlmagic.serving.packages import orjson

if TYPE_CHECKING:
    from mlmagic.bundles.rows import Feeds
    from mlmagic.serving.writer import Scored

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
JSON = b"application/json"
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_HEAD = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b"
CLOSE, KEEP = b"Connection: close\r\n", b"Connection: keep-alive\r\n"


class RefusedError(Exception):
    """A request that is not answered with what it asks for.

    Parameters
    ----------
    status : int
        Of HTTP.
    message : str
        One line for whoever sent it: what was wrong, and what was expected.
    headers : bytes
        More lines for the answer's head.
    """

    def __init__(self, status: int, message: str, headers: bytes = b"") -> None:
        super().__init__(message)
        self.status, self.headers = status, headers


class Sender(Protocol):
    """Where a request came from."""

    def flush(self) -> None:
        """Send the answers that are next in turn."""

    def count(self, status: int, arrived: float) -> None:
        """Note an answer."""


class Form(Protocol):
    """How a request wants its answer."""

    def add(self, request: Request, scored: Scored, start: int, stop: int) -> None:
        """Take over the request's part of a scored batch, and answer once all parts are there."""


class Request:
    """One request.

    Attributes
    ----------
    sender : Sender
    closing : bytes
        What its answer says about the connection; empty: nothing.
    arrived, deadline : float
        By the monotonic clock.
    data : bytes or None
        The whole answer, once there is one.
    gone : bool
        Nobody waits for it any more: it was answered, or its client left.
    request_id : str
    form : Form
    rows : list or None
        As they were in JSON: objects where `named`, else lists.
    feeds : mapping or None
        The rows as arrays, where it came with arrays.
    suspect : bool
        There may be booleans among its numbers.
    count, taken, done : int
        Its rows; those that went into batches; those with an answer.
    parts : list
        What its form keeps of batches until all have been answered.
    """

    __slots__ = (
        "arrived", "closing", "count", "data", "deadline", "done", "feeds", "form", "gone", "named", "parts",
        "request_id", "rows", "sender", "suspect", "taken",
    )  # fmt: skip

    def __init__(self, sender: Sender, closing: bytes, arrived: float) -> None:
        self.sender = sender
        self.closing = closing
        self.arrived = arrived
        self.deadline = arrived
        self.data: bytes | None = None
        self.gone = False

    def ask(self, request_id: str, form: Form, count: int) -> None:
        """Make it one about rows; `rows` or `feeds` are to be set besides."""
        self.request_id = request_id
        self.form = form
        self.count = count
        self.taken = self.done = 0
        self.rows: list[Any] | None = None
        self.feeds: Feeds | None = None
        self.named = self.suspect = False
        self.parts: list[Any] | None = None

    def answer(self, body: bytes) -> None:
        """Send JSON with status 200."""
        if self.closing:
            self.reply(200, body)
            return
        if self.gone:
            return
        self.gone = True
        self.data = _OK % (len(body), body)
        self.sender.count(200, self.arrived)
        self.sender.flush()

    def reply(self, status: int, body: bytes, kind: bytes = JSON, headers: bytes = b"") -> None:
        """Send anything."""
        if not self.gone:
            self.sender.count(status, self.arrived)
            self.tell(body, kind, status, headers)

    def tell(self, body: bytes, kind: bytes = JSON, status: int = 200, headers: bytes = b"") -> None:
        """Send what is not counted: watching a server must not look like traffic."""
        if self.gone:
            return
        self.gone = True
        reason = REASONS[status].encode()
        self.data = _HEAD % (status, reason, kind, len(body), headers + self.closing, body)
        self.sender.flush()

    def refuse(self, status: int, message: str, headers: bytes = b"") -> None:
        """Send an error."""
        self.reply(status, orjson().dumps({"error": message}), JSON, headers)
