"""What an endpoint is started with: plain values, handed to the server's process as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mlmagic.errors import MisuseError

_HOST_NAME = re.compile(r"[^\s/:@?#\[\]]+|\[?[0-9a-f.]*:[0-9a-f.]*:[0-9a-f:.]*\]?", re.IGNORECASE)

ALONE = "--alone"  # argument of a server that outlives whoever started it
GRACE = 15.0  # seconds for a server to finish what it has, and its log: more than it takes itself
EVERYWHERE = ("0.0.0.0", "::", "")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Options:
    """How a bundle is served.

    Attributes
    ----------
    bundle : str
        Folder of the bundle, absolute.
    endpoint_id : str
    host : str
        Address to listen on; anything but loopback needs a `token`.
    port : int
        0: any that is free.
    token : str or None
        What `Authorization: Bearer …` has to hold; ``None``: nobody is asked.
    hosts : tuple of str
        Names besides the address itself under which requests may come (the `Host` header).
    trust : bool
        Run the bundle's rules although the user's key did not sign it.
    slo_ms : float
        Time within which a batch is to be answered: caps its size by the bundle's batch-time curve.
    deadline_ms : float
        Time after which a waiting request is given up (504).
    queue_rows : int
        Rows that may wait; beyond, requests are refused (503).
    body_bytes, rows : int
        Largest body; most rows of one request (413).
    connections : int
        Most open at one time.
    journals : str or None
        Folder of journals; ``None``: nothing is logged.
    log_rows : int
        Rows a second that are logged and watched, ten times as many in one go; of more, those that came first.
    threads : int
        Of one call of the model.
    session_id : str or None
        The kernel that starts it, for its record; ``None``: the command line.
    """

    bundle: str
    endpoint_id: str
    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None
    hosts: tuple[str, ...] = ()
    trust: bool = False
    slo_ms: float = 20.0
    deadline_ms: float = 10_000.0
    queue_rows: int = 100_000
    body_bytes: int = 32 << 20
    rows: int = 100_000
    connections: int = 4_096
    journals: str | None = None
    log_rows: int = 2_000
    threads: int = 1
    session_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Options:
        known = {field.name for field in fields(cls)}
        given: dict[str, Any] = {name: value for name, value in plain.items() if name in known}
        return cls(**{**given, "hosts": tuple(given.get("hosts", ()))})


def check_options(options: Options) -> None:
    """Raises `MisuseError` for numbers that cannot be, before anything starts."""
    if not 0 <= options.port < 1 << 16:
        raise MisuseError(f"a port is a number from 0 (any that is free) to 65535, not {options.port}")
    if not 0 < options.slo_ms < 1e6:
        raise MisuseError(f"--slo-ms takes a number of milliseconds above 0, not {options.slo_ms:g}")
    for name in options.hosts:
        if not _HOST_NAME.fullmatch(name):
            raise MisuseError(f"a host is a name or an address, without http:// and port, not {name!r}")
