"""How much a client may ask of the server: sizes, counts and seconds, checked while a request is still arriving."""

from __future__ import annotations

from dataclasses import dataclass

from mlmagic.serving.options import Options


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one client, or one request, may take.

    Attributes
    ----------
    body, rows, connections : int
        As in `Options`.
    target, head, headers, chunks : int
        Bytes of the path and query; bytes and number of the headers; pieces of a chunked body.
    pipelined : int
        Requests of one connection that may wait for their answers before it is read no further, and that are taken
        from it before other connections have their turn.
    arriving : int
        Bytes of all bodies that are still arriving, beyond which they are refused.
    head_seconds, body_seconds, idle_seconds, unread_seconds : float
        For a request's head and body to arrive; for a connection to stay open unused; for answers to stay unread.
    linger_seconds : float
        How long what a refused client still sends is thrown away, so that it can read why.
    stop_seconds : float
        For what is under way when the server is stopped.
    """

    body: int = 32 << 20
    rows: int = 100_000
    connections: int = 4_096
    target: int = 2_048
    head: int = 32 << 10
    headers: int = 100
    chunks: int = 16_384
    pipelined: int = 64
    arriving: int = 1 << 30
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 120.0
    unread_seconds: float = 30.0
    linger_seconds: float = 5.0
    stop_seconds: float = 5.0

    @classmethod
    def of(cls, options: Options) -> Limits:
        """Those that somebody chose, and for the others the usual ones."""
        return cls(body=options.body_bytes, rows=options.rows, connections=options.connections)
