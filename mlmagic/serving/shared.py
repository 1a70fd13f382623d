"""What all connections of a server share: limits, counts, who answers, and heads of requests that were seen before."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from time import monotonic
from typing import TYPE_CHECKING

from mlmagic.serving.heads import Gate, Head
from mlmagic.serving.limits import Limits
from mlmagic.serving.metrics import Complaints, Metrics
from mlmagic.serving.packages import httptools
from mlmagic.serving.requests import Request

if TYPE_CHECKING:
    from mlmagic.serving.protocol import Connection

_KNOWN = 2_048  # heads that are remembered
_KNOWN_BYTES = 1_024  # of the longest one


class State(Enum):
    """What a connection is waiting for."""

    IDLE = auto()  # a new request; answers may be due
    HEAD = auto()
    BODY = auto()
    LINGER = auto()  # that the client reads why it was refused
    CLOSED = auto()


class Shared:
    """What all connections share.

    Parameters
    ----------
    gate : Gate
    forget : callable
        Told of each request whose client has left.
    """

    def __init__(self, gate: Gate, limits: Limits, metrics: Metrics, forget: Callable[[Request], None]) -> None:
        self.gate, self.limits, self.metrics, self.forget = gate, limits, metrics, forget
        self.complaints = Complaints()
        self.parser = httptools()
        self.connections: set[Connection] = set()
        self.known: dict[bytes, Head] = {}
        self.now = monotonic()  # of the last tick: good enough for limits in seconds
        self.arriving = 0  # bytes of bodies
        self.stopping = False

    def learn(self, text: bytes, head: Head) -> None:
        """Remember a head."""
        if len(text) <= _KNOWN_BYTES:
            if len(self.known) >= _KNOWN:
                self.known.clear()
            self.known[text] = head

    def tick(self) -> None:
        """End connections whose client is too slow."""
        self.now = monotonic()
        for connection in tuple(self.connections):
            connection.check(self.now)
