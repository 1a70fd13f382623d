"""The process of an endpoint: options come in as one line of JSON, a server listens until it is told to stop.

``python -m mlmagic.serving.server`` reads its options from standard input and writes one line when it is ready. Its
standard input then is its lifeline: whoever started it holds the other end, and when that is gone, so is the server.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from mlmagic._optional import need
from mlmagic.bundles.folder import Bundle
from mlmagic.errors import MissingPackageError, MisuseError, MlmagicError
from mlmagic.serving.endpoint import Endpoint, Watcher, opened
from mlmagic.serving.heads import Gate
from mlmagic.serving.limits import Limits
from mlmagic.serving.options import ALONE, LOOPBACK, Options
from mlmagic.serving.protocol import Connection
from mlmagic.serving.shared import Shared

LOG = logging.getLogger("mlmagic.serving")

_TICK = 0.1  # seconds between looks at what takes too long
_BACKLOG = 1_024
_SPARE = 64  # open files besides connections
_STOPPED_BY = (signal.SIGTERM, signal.SIGINT)
_SWITCH = 0.001  # seconds after which the thread that scores may interrupt the one that reads

Announce = Callable[[dict[str, Any]], None]


class Server:
    """An endpoint on a socket.

    Parameters
    ----------
    options : Options
    limits : Limits, optional
        Others than those of the options.
    """

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop, limits: Limits | None = None) -> None:
        check_safe(options)
        self.options, self._loop = options, loop
        limits = limits or Limits.of(options)
        self._limits = limits
        bundle = opened(options)
        self.endpoint = Endpoint(options, bundle, limits, loop)
        gate = Gate(self.endpoint.routes(), self.endpoint.missing, options, limits)
        self._shared = Shared(gate, limits, self.endpoint.metrics, self.endpoint.queue.forget)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Have it end, once what is under way was answered."""
        self._stop.set()

    async def run(self, announce: Announce) -> None:
        """Listen, say so, and serve until stopped.

        Raises
        ------
        MisuseError
            The address cannot be listened on.
        """
        server = await self._listen()
        ticking = self._loop.create_task(self._tick())
        url = url_of(self.options.host, server.sockets[0])
        self.endpoint.watch(watcher_of(self.options, self.endpoint.bundle, url))
        announce({"ready": True, "url": url, "pid": os.getpid()})
        try:
            await self._stop.wait()
        finally:
            server.close()
            await self._finish()
            await ended(ticking)
            self.endpoint.worker.close()
            if self.endpoint.watcher is not None:
                self.endpoint.watcher.close(self._limits.stop_seconds)

    async def _listen(self) -> asyncio.Server:
        options = self.options
        host = "127.0.0.1" if options.host == "localhost" else options.host  # one socket, not one for each family
        connect = partial(Connection, self._shared)
        try:
            return await self._loop.create_server(connect, host or "0.0.0.0", options.port, backlog=_BACKLOG)
        except (OSError, OverflowError) as error:
            raise MisuseError(f"{options.host}:{options.port} cannot be listened on: {_reason(error)}") from error

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._shared.tick()
            self.endpoint.queue.expire()
            self.endpoint.metrics.tick()

    async def _finish(self) -> None:
        """Answer what is under way, for a limited time."""
        self._shared.stopping = True
        for connection in tuple(self._shared.connections):
            connection.stop()
        end = monotonic() + self._limits.stop_seconds
        while self._shared.connections and monotonic() < end:
            await asyncio.sleep(0.01)
        for connection in tuple(self._shared.connections):
            connection.abort()


def _reason(error: Exception) -> str:
    """The system's words; event loops put their own before them."""
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number in errno.errorcode else str(getattr(error, "strerror", None) or error)


async def ended(task: asyncio.Task[None]) -> None:
    """End a task of ours."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def check_safe(options: Options) -> None:
    """Raises `MisuseError` where anybody in the network could ask the model, or nobody could."""
    if not 0 <= options.port < 1 << 16:
        raise MisuseError(f"a port is a number from 0 to 65535, not {options.port}")
    if options.token == "":
        raise MisuseError("the token is empty: give one that cannot be guessed")
    if not is_loopback(options.host) and options.token is None:
        raise MisuseError(
            f"listening on {options.host or 'all addresses'} would answer anybody in the network: set a token, "
            "or listen on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    with suppress(ValueError):
        return host in LOOPBACK or ipaddress.ip_address(host).is_loopback
    return False


def watcher_of(options: Options, bundle: Bundle, url: str) -> Watcher | None:
    """Who watches; nobody where no row is to be looked at."""
    if not options.log_rows:
        return None
    from mlmagic.serving.watch import Watch

    return Watch(options, bundle, url)


def url_of(host: str, listening: Any) -> str:
    """Where clients on this machine reach a socket."""
    address, port = listening.getsockname()[:2]
    if address in ("0.0.0.0", "::"):
        address = "127.0.0.1" if address == "0.0.0.0" else "::1"
    shown = host if host == "localhost" else f"[{address}]" if ":" in address else address
    return f"http://{shown}:{port}"


def serve(options: Options, *, lifeline: bool, announce: Announce) -> int:
    """Serve until told to stop; the process's exit status.

    Parameters
    ----------
    lifeline : bool
        Stop when standard input ends, or whoever started this process has.
    announce : callable
        Given what there is to say: that it is ready, or why it is not.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    try:
        loop = _new_loop()
        allow_connections(options.connections)
        try:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(_run(options, loop, lifeline, announce))
        finally:
            asyncio.set_event_loop(None)
            loop.close()
    except MlmagicError as error:
        announce({"error": str(error)})
        return 2
    return 0


async def _run(options: Options, loop: asyncio.AbstractEventLoop, lifeline: bool, announce: Announce) -> None:
    server = Server(options, loop)
    stop = partial(loop.call_soon_threadsafe, server.stop)
    for number in _STOPPED_BY:
        signal.signal(number, lambda *_: stop()) if os.name == "nt" else loop.add_signal_handler(number, server.stop)
    parent: asyncio.Task[None] | None = None
    if lifeline:
        threading.Thread(target=_hold, args=(stop,), name="lifeline", daemon=True).start()
        parent = loop.create_task(_with_parent(os.getppid(), server.stop))
    sys.setswitchinterval(_SWITCH)
    gc.collect()
    gc.freeze()  # what was loaded stays: it need not be looked through again
    await server.run(announce)
    if parent is not None:
        await ended(parent)
    if os.name != "nt":
        for number in _STOPPED_BY:  # a second one must not make a failure of a clean end
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


def _hold(stop: Callable[[], object]) -> None:
    """Wait for the other end of standard input to close; the system closes it for a process that was killed, too."""
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    with suppress(RuntimeError):  # the loop has ended before
        stop()


async def _with_parent(parent: int, stop: Callable[[], object]) -> None:
    """A child that was forked from the starter holds the lifeline, too, and may outlive it."""
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    stop()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        loop: asyncio.AbstractEventLoop = need("uvloop").new_event_loop()
    except MissingPackageError:
        loop = asyncio.new_event_loop()  # a third as fast, and all there is on Windows
    return loop


def allow_connections(most: int) -> None:
    """Raise the system's limit of open files, as far as it lets us."""
    if os.name == "nt":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _SPARE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(wanted, hard), hard))


def say(about: dict[str, Any]) -> None:
    """One line of JSON on standard output."""
    with suppress(OSError):  # whoever started us is gone, and so shall we be
        os.write(1, json.dumps(about).encode() + b"\n")


def main() -> int:
    """What ``python -m mlmagic.serving.server`` does."""
    try:
        options = Options.from_dict(json.loads(_first_line()))
    except (ValueError, TypeError, AttributeError) as error:
        say({"error": f"the options are no JSON that names a bundle ({error})"})
        return 2
    return serve(options, lifeline=ALONE not in sys.argv[1:], announce=say)


def _first_line() -> bytes:
    """Of standard input, and no byte more than that has: a pipe's write comes whole, or in pieces."""
    line = b""
    while not line.endswith(b"\n") and (more := os.read(0, 65_536)):
        line += more
    return line


if __name__ == "__main__":
    sys.exit(main())
