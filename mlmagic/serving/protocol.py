"""The step from bytes to requests: what a client sends comes in, requests go to handlers, answers go out in order.

One `Connection` for each client. Parsing is done in C, except for heads that were seen before: see `heads`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Any

from mlmagic.serving.heads import Head, too_large
from mlmagic.serving.requests import CLOSE, RefusedError, Request
from mlmagic.serving.shared import Shared, State

_SLICE = 8 << 10  # bytes that are parsed at once: more of them may hold hundreds of requests
_FORGIVEN = 4  # times the largest body that a refused client may still send, until it has read why
_MALFORMED = RefusedError(400, "this is no request of HTTP/1.1")
_NO_UPGRADE = RefusedError(400, "this server speaks HTTP/1.1 only: send no Upgrade, and no CONNECT")
_STOPPING = RefusedError(503, "this server is being stopped")


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, shared: Shared) -> None:
        self._shared, self._limits = shared, shared.limits
        self._known = shared.known
        self._state = State.IDLE
        self._since = shared.now  # when the state began
        self._unread: float | None = None  # since when the client reads no answers
        self._held = False  # not read any further, until answers were sent
        self._rest = b""  # what was read, and waits for its turn
        self._turn: asyncio.Handle | None = None
        self._requests = 0
        self._body: list[bytes] = []
        self._kept = 0  # bytes of a body that is still arriving
        self._head: Head | None = None
        self._refusal: RefusedError | None = None
        self.waiting: deque[Request] = deque()  # in the order of their arrival

    # What the event loop calls

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = self._shared.parser.HttpRequestParser(self)
        others = len(self._shared.connections)
        self._shared.connections.add(self)
        if others >= 2 * self._limits.connections:  # not even time to tell them
            self.abort()
        elif others >= self._limits.connections:
            message = f"there are {self._limits.connections} connections already: try again"
            self._end_with(RefusedError(503, message, b"Retry-After: 1\r\n"))

    def data_received(self, data: bytes) -> None:
        if self._rest:
            self._rest += data
        elif self._state is State.IDLE:
            end = data.find(b"\r\n\r\n") + 4
            head = self._known.get(data[:end])
            if head is not None and len(data) - end == head.length:
                self._begin(head, data[end:])
                return
            self._head = None
            self._parse(data)
            self._learn(data, end)
        elif self._state is State.LINGER:
            self._discard(data)
        elif self._state is not State.CLOSED:
            self._parse(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._state = State.CLOSED
        self._shared.connections.discard(self)
        self._let_go()
        for request in self.waiting:
            if not request.gone:
                request.gone = True
                self._shared.forget(request)
        self.waiting.clear()

    def pause_writing(self) -> None:
        self._unread = self._shared.now
        self._hold()

    def resume_writing(self) -> None:
        self._unread = None
        self._release()

    # What the parser calls

    def on_message_begin(self) -> None:
        self._enter(State.HEAD)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._fed = self._head_bytes = self._body_bytes = self._chunks = 0
        self._head = self._refusal = None

    def on_url(self, part: bytes) -> None:
        self._target += part
        self._fed = 0
        if len(self._target) > self._limits.target:
            raise RefusedError(414, f"the path is longer than {self._limits.target} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fed = 0
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._limits.head:
            raise self._too_much_head()
        if len(self._headers) >= self._limits.headers:
            raise RefusedError(431, f"there are more than {self._limits.headers} headers")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._enter(State.BODY)
        parser = self._parser
        if parser.should_upgrade():
            raise _NO_UPGRADE
        keep = parser.should_keep_alive() and not self._shared.stopping
        try:
            method, version = parser.get_method(), parser.get_http_version()
            self._head = self._shared.gate.pass_(method, self._target, self._headers, version, keep)
        except RefusedError as refusal:
            self._refusal = refusal
            if refusal.status == 413 or any(name.lower() == b"expect" for name, _ in self._headers):
                raise  # before the body is sent
        else:
            if self._head.expects and not self.waiting:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_chunk_header(self) -> None:
        self._chunks += 1
        if self._chunks > self._limits.chunks:
            raise RefusedError(413, f"the body comes in more than {self._limits.chunks} chunks")

    def on_body(self, part: bytes) -> None:
        self._body_bytes += len(part)
        if self._body_bytes > self._limits.body:
            raise too_large(self._limits)
        if self._refusal is None:
            self._keep(part)

    def on_message_complete(self) -> None:
        self._enter(State.IDLE)
        self._requests += 1
        body = self._let_go()
        if self._refusal is not None:
            closing = b"" if self._parser.should_keep_alive() else CLOSE
            self._refuse(self._refusal, closing)
        elif self._head is not None:
            self._begin(self._head, body[0] if len(body) == 1 else b"".join(body))

    # What requests call

    def flush(self) -> None:
        """Send the answers that are next in turn."""
        waiting = self.waiting
        while waiting and (data := waiting[0].data) is not None:
            request = waiting.popleft()
            if self._state is State.CLOSED:
                continue
            self._transport.write(data)
            if request.closing is CLOSE:
                self._finish()
        self._since = self._shared.now
        if self._held:
            self._release()

    def count(self, status: int, arrived: float) -> None:
        """Note an answer."""
        self._shared.metrics.answered(status, monotonic() - arrived)

    # What the server calls

    def check(self, now: float) -> None:
        """End the connection where its client takes too long."""
        limits, passed = self._limits, now - self._since
        if self._unread is not None and now - self._unread > limits.unread_seconds:
            self.abort()
        elif self._state is State.HEAD and passed > limits.head_seconds and not self._held:
            self._late("head", limits.head_seconds)
        elif self._state is State.BODY and passed > limits.body_seconds and not self._held:
            self._late("body", limits.body_seconds)
        elif self._state is State.LINGER and passed > limits.linger_seconds and not self.waiting:
            self.abort()
        elif self._state is State.IDLE and passed > limits.idle_seconds and not self.waiting:
            self._close()

    def stop(self) -> None:
        """Take nothing more; close once all answers were sent."""
        if not self.waiting:
            self._close()
        elif self._state is not State.LINGER:
            for request in self.waiting:
                request.closing = CLOSE if request is self.waiting[-1] else request.closing
            self._transport.pause_reading()

    def abort(self) -> None:
        """End the connection now."""
        self._enter(State.CLOSED)
        self._transport.abort()

    # Its own

    def _parse(self, data: bytes) -> None:
        """Parse as many requests as one client may have in one go; after those of other clients it goes on."""
        last = self._requests + self._limits.pipelined
        for at in range(0, len(data), _SLICE):
            if self._held or self._requests >= last:
                self._rest = data[at:]
                self._hold()
                self._release()
                return
            self._feed(data[at : at + _SLICE])
            if self._state is State.LINGER or self._state is State.CLOSED:
                return

    def _go_on(self) -> None:
        """With what was read before, if answers may be sent again."""
        self._turn = None
        if self._may_go_on() and self._state is not State.LINGER and self._state is not State.CLOSED:
            rest, self._rest = self._rest, b""
            self._held = False  # and yet not read: what is left comes first
            self._parse(rest)
            self._held = True
            self._release()

    def _feed(self, data: bytes) -> None:
        self._fed = len(data)
        try:
            self._parser.feed_data(data)
        except self._shared.parser.HttpParserError as error:
            if self._state is not State.CLOSED and self._state is not State.LINGER:
                self._end_with(self._cause(error))
        else:
            self._check_head()

    def _cause(self, error: Exception) -> RefusedError:
        cause = error.__context__
        if isinstance(cause, RefusedError):
            return cause
        if cause is not None:
            self._shared.complaints.add("a request could not be read", cause)
            return RefusedError(500, "internal error")
        return _MALFORMED

    def _check_head(self) -> None:
        """The parser tells of a header only when it has all of it: what is on its way counts, too."""
        if self._state is State.HEAD:
            self._head_bytes += self._fed
            if self._head_bytes > self._limits.head:
                self._end_with(self._too_much_head())

    def _too_much_head(self) -> RefusedError:
        return RefusedError(431, f"the headers are larger than {self._limits.head} bytes")

    def _learn(self, data: bytes, end: int) -> None:
        """Remember the head, where the data was exactly one request that was let through.

        Of several requests the last one's body is shorter than what follows the first one's head.
        """
        head = self._head if self._state is State.IDLE and end > 3 else None
        if head is not None and len(data) - end == head.length:
            self._shared.learn(data[:end], head)

    def _begin(self, head: Head, body: bytes) -> None:
        request = Request(self, head.closing, monotonic())
        self.waiting.append(request)
        if len(self.waiting) >= self._limits.pipelined:
            self._hold()
        try:
            if self._shared.stopping:
                raise _STOPPING
            head.handle(request, body, head)
        except RefusedError as refusal:
            request.refuse(refusal.status, str(refusal), refusal.headers)
        except Exception as error:  # a defect of ours must not end the server, nor show its insides
            self._shared.complaints.add("a request failed", error)
            request.refuse(500, "internal error")

    def _refuse(self, refusal: RefusedError, closing: bytes) -> None:
        request = Request(self, closing, monotonic())
        self.waiting.append(request)
        if refusal is not _MALFORMED and self._parser.get_method() == b"HEAD":  # whose answers have no body
            request.reply(refusal.status, b"", headers=refusal.headers)
        else:
            request.refuse(refusal.status, str(refusal), refusal.headers)

    def _end_with(self, refusal: RefusedError) -> None:
        """Refuse, and take nothing more from this client."""
        self._enter(State.LINGER)
        self._let_go()
        self._lingered = 0
        self._refuse(refusal, CLOSE)

    def _finish(self) -> None:
        """The last answer is on its way."""
        if self._state is not State.LINGER:
            self._close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()  # the client sees the end, and may still be sending

    def _discard(self, data: bytes) -> None:
        self._lingered += len(data)
        if self._lingered > _FORGIVEN * self._limits.body:
            self.abort()

    def _late(self, part: str, seconds: float) -> None:
        self._end_with(RefusedError(408, f"the request's {part} took longer than {seconds:g} s"))

    def _enter(self, state: State) -> None:
        self._state, self._since = state, self._shared.now

    def _close(self) -> None:
        self._enter(State.CLOSED)
        self._transport.close()

    def _hold(self) -> None:
        if not self._held:
            self._held = True
            self._transport.pause_reading()

    def _release(self) -> None:
        if not self._held or not self._may_go_on() or self._state is State.CLOSED:
            return
        if self._rest:
            self._turn = self._turn or asyncio.get_running_loop().call_soon(self._go_on)
            return
        self._held = False
        self._since = self._shared.now
        self._transport.resume_reading()

    def _may_go_on(self) -> bool:
        return self._unread is None and len(self.waiting) < self._limits.pipelined

    def _keep(self, part: bytes) -> None:
        """Add to the body, unless all bodies together are too many."""
        if self._shared.arriving + len(part) > self._limits.arriving:
            raise RefusedError(503, "too many large requests are arriving: try again", b"Retry-After: 1\r\n")
        self._shared.arriving += len(part)
        self._kept += len(part)
        self._body.append(part)

    def _let_go(self) -> list[bytes]:
        """The parts of the body, which is not arriving any more."""
        self._shared.arriving -= self._kept
        self._kept = 0
        body, self._body = self._body, []
        return body
