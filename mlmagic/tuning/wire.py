"""What the kernel and its workers say to each other: plain values in, JSON over a socket, plain values out.

No pickle: a message never runs code. Values travel as files (`state`), of which messages name the paths.
"""

from __future__ import annotations

import json
import os
import socket
from multiprocessing.connection import Connection
from typing import Any

Message = dict[str, Any]


class Channel:
    """One end of a connection, in one process. `EOFError` where the other end is gone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._process = os.getpid()

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """A channel, and the socket that becomes its other end in another process."""
        mine, theirs = socket.socketpair()
        return cls(Connection(mine.detach())), theirs

    @classmethod
    def of(cls, descriptor: int) -> Channel:
        """The end that a descriptor stands for."""
        return cls(Connection(descriptor))

    def fileno(self) -> int:
        return self._connection.fileno()

    def send(self, message: Message) -> None:
        """Raises `OSError` where the other end is gone."""
        self._check_process()
        self._connection.send_bytes(json.dumps(message).encode())

    def receive(self) -> Message:
        """The next message; waits for it."""
        self._check_process()
        try:
            found: Message = json.loads(self._connection.recv_bytes())
        except OSError as error:
            raise EOFError from error
        return found

    def ask(self, message: Message) -> Message:
        """Send, and wait for the answer."""
        self.send(message)
        return self.receive()

    def ready(self, seconds: float = 0.0) -> bool:
        """Whether a message, or the end, can be read."""
        try:
            return self._connection.poll(seconds)
        except OSError:
            return True

    def _check_process(self) -> None:
        """A trial that forks has one score: what its copies say is not heard, nor do they take its answers."""
        if os.getpid() != self._process:
            raise EOFError("this end belongs to the process that was forked")

    def close(self) -> None:
        self._connection.close()
