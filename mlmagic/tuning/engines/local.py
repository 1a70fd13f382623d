"""The kernel's side of the workers on this machine: tasks in, their messages and their ends out.

One child process for each trial, forked from a clean server, so that a trial that crashes, hangs or runs out of memory
is one failed trial.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlmagic.errors import MlmagicError
from mlmagic.tuning.engines.slots import Slot
from mlmagic.tuning.wire import Channel, Message

_HEADER = 16
_GRACE = 1.0  # seconds for the server to end by itself
_SILENCE = 10.0  # seconds that a process may take to end, as large ones do, after its connection has
_TAIL = 2000  # characters of a trial's output that are kept
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "LOKY_MAX_CPU_COUNT",
)  # fmt: skip


class WorkerError(MlmagicError):
    """The workers cannot be had; the text says why."""


class PreparationError(WorkerError):
    """What was to be done before the trials came to nothing; the server lives."""


@dataclass(eq=False, slots=True)
class Worker:
    """One child process at work."""

    slot: Slot
    channel: Channel
    output: Path
    started: float
    pid: int | None = None
    finished: bool = False  # it has said all that was to be said
    gone: bool = False
    killed: str = ""  # why the engine ended it
    broken: str = ""  # what it could not do, in its own words
    silent_since: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What a worker said, or, where `message` is ``None``, how it ended."""

    worker: Worker
    message: Message | None = None
    reason: str = ""


class LocalEngine:
    """Workers on this machine.

    Parameters
    ----------
    slots : sequence of Slot
    threads : int
        That numerical libraries may use in one worker.
    scratch : Path
        A folder of this sweep's own.
    """

    def __init__(self, slots: Sequence[Slot], threads: int, scratch: Path) -> None:
        self.slots = tuple(slots)
        self._threads = threads
        self._scratch = scratch
        self._workers: list[Worker] = []
        self._rest = b""
        self._ends: list[Message] = []  # what the server said while something else was waited for
        self._unheard: list[Event] = []  # the same of workers
        self._served = 0
        self._control, theirs = socket.socketpair()
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads)), "MPLBACKEND": "agg"}
        self._log = (scratch / "server.log").open("wb")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlmagic.tuning.engines.server", str(theirs.fileno()), str(scratch)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # the terminal's interrupt is the kernel's to hear
                env={**environment, "PYTHONPATH": os.pathsep.join([_home(), *_given("PYTHONPATH")])},
            )

    # -- the server --------------------------------------------------------------------------

    def prepare(self, modules: Sequence[str]) -> None:
        """Let the server import what trials need, from the places where this process finds it; do not wait for it."""
        self._send({"do": "prepare", "path": sys.path, "folder": os.getcwd(), "modules": list(modules)})

    def load(self, file: Path) -> None:
        """Let the server take a file's variables, for trials to inherit."""
        self._send({"do": "load", "file": str(file)})
        self._await("loaded")

    def split(self, limit: float | None, **asked: Any) -> Message:
        """Run what a body's trials can share, for so many seconds at most; see `mlmagic.tuning.plan`.

        Raises
        ------
        PreparationError
            It crashed, or took longer.
        """
        return self._once("split", limit, **asked)

    def probe(self, file: Path) -> Message:
        """Load a file once, and tell what that does."""
        return self._once("probe", None, file=str(file))

    def _once(self, do: str, limit: float | None, **asked: Any) -> Message:
        """One child with one answer."""
        worker = self._start(self.slots[0], do, {"environment": dict(self.slots[0].environment), **asked})
        while True:
            event = self._first_of(worker)
            if event is None:
                if limit is not None and time.monotonic() - worker.started > limit and not worker.killed:
                    self.kill(worker, f"it took longer than --trial-timeout allows ({limit:g} s)")
                continue
            if event.message is None:
                said = [line for line in self.tail(worker).splitlines()[-1:] if line not in event.reason]
                raise PreparationError("; ".join([f"the workers could not be prepared: {event.reason}", *said]))
            worker.finished = True
            return event.message

    def _first_of(self, worker: Worker) -> Event | None:
        """What a worker said within a while; what others say meanwhile is heard later."""
        events = self._news(0.5)
        mine = next((event for event in events if event.worker is worker), None)
        self._unheard += [event for event in events if event is not mine]
        return mine

    def _await(self, word: str) -> Message:
        while True:
            for message in self._heard(0.5):
                if word in message:
                    return message
                self._ends.append(message)

    # -- trials ------------------------------------------------------------------------------

    def launch(self, slot: Slot, file: Path, task: Mapping[str, Any]) -> Worker:
        """Start a trial."""
        asked = {"file": str(file), "environment": dict(slot.environment), "task": dict(task)}
        return self._start(slot, "trial", asked)

    def _start(self, slot: Slot, do: str, asked: Mapping[str, Any]) -> Worker:
        channel, theirs = Channel.pair()
        self._served += 1
        output = self._scratch / f"output-{self._served}"
        with theirs:
            self._send({"do": do, "output": str(output), **asked}, theirs)
        worker = Worker(slot, channel, output, time.monotonic())
        self._workers.append(worker)
        return worker

    def events(self, seconds: float) -> list[Event]:
        """What was said within this time; returns as soon as there is something."""
        found, self._unheard = self._unheard, []
        return found + self._news(0.0 if found else seconds)

    def _news(self, seconds: float) -> list[Event]:
        channels = {worker.channel.fileno(): worker for worker in self._workers if worker.silent_since is None}
        ready, _, _ = select.select([self._control.fileno(), *channels], [], [], 0.0 if self._ends else seconds)
        found = [event for descriptor in ready if descriptor in channels for event in self._read(channels[descriptor])]
        told, self._ends = self._ends, []
        if self._control.fileno() in ready:
            told += self._heard(0.0)
        for message in told:
            found += self._ended(message)
        return [*found, *self._lost()]

    def _read(self, worker: Worker) -> Iterator[Event]:
        while worker.silent_since is None and worker.channel.ready():
            try:
                message = worker.channel.receive()
            except (EOFError, ValueError):
                worker.silent_since = time.monotonic()
                return
            if "pid" in message:
                self._know(worker, message["pid"])
            elif "broken" in message:
                worker.broken = message["broken"]
            else:
                yield Event(worker, message)

    def _know(self, worker: Worker, pid: int) -> None:
        worker.pid = pid
        if worker.killed:  # before it had said who it is
            self.kill(worker, worker.killed)

    def _ended(self, message: Message) -> Iterator[Event]:
        worker = next((one for one in self._workers if one.pid is not None and one.pid == message.get("ended")), None)
        if worker is None:
            return
        yield from self._read(worker)
        yield from self._bury(worker, _why(message["status"]))

    def _lost(self) -> Iterator[Event]:
        """Workers that fell silent and whose end nobody told: dead before they said who they are, or out of reach."""
        now = time.monotonic()
        for worker in list(self._workers):
            silent = 0.0 if worker.silent_since is None else now - worker.silent_since
            if worker.pid is None and silent > _GRACE:
                yield from self._bury(worker, worker.broken or "its process ended")
            elif silent > _SILENCE and not worker.killed:
                self.kill(worker, "it closed its connection to the kernel")

    def _bury(self, worker: Worker, reason: str) -> Iterator[Event]:
        self._workers.remove(worker)
        worker.channel.close()
        worker.gone = True
        if not worker.finished:
            yield Event(worker, None, worker.killed or worker.broken or reason)

    def kill(self, worker: Worker, why: str) -> None:
        """End a worker; its end comes as an event with this reason."""
        worker.killed = why
        if worker.pid is not None:
            self._send({"do": "kill", "pid": worker.pid})

    def tail(self, worker: Worker) -> str:
        """The end of what a worker printed; its file goes."""
        try:
            with worker.output.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 4 * _TAIL))  # of 4 bytes at most
                text = file.read().decode(errors="replace")
            worker.output.unlink()
        except OSError:
            return ""
        return text[-_TAIL:].strip()

    # -- the wire ----------------------------------------------------------------------------

    def _send(self, command: Message, descriptor: socket.socket | None = None) -> None:
        text = json.dumps(command).encode()
        try:
            header = f"{len(text):<{_HEADER}}".encode()
            socket.send_fds(self._control, [header], [descriptor.fileno()] if descriptor is not None else [])
            self._control.sendall(text)
        except OSError as error:
            raise self._broken() from error

    def _heard(self, seconds: float) -> list[Message]:
        ready, _, _ = select.select([self._control], [], [], seconds)
        if not ready:
            return []
        try:
            part = self._control.recv(1 << 16)
        except ConnectionError as error:
            raise self._broken() from error
        if not part:
            raise self._broken()
        *lines, self._rest = (self._rest + part).split(b"\n")
        return [json.loads(line) for line in lines]

    def _broken(self) -> WorkerError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        said: list[str] = []
        with contextlib.suppress(OSError):
            said = (self._scratch / "server.log").read_text(errors="replace").strip().splitlines()
        why = said[-1] if said else _why(self._process.returncode or 0)
        return WorkerError(f"the workers' server ended: {why}")

    def close(self) -> None:
        """End all workers; what they have not said is lost."""
        self._control.close()  # which the server takes for the end of the kernel
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        if self._process.wait() != 0:  # it did not end its children
            self._kill_workers()
        for worker in self._workers:
            worker.channel.close()
        self._workers.clear()
        self._log.close()

    def _kill_workers(self) -> None:
        for worker in self._workers:
            if worker.pid is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(worker.pid, signal.SIGKILL)


def _why(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
    more = ", as the system does when memory runs out" if -status == signal.SIGKILL else ""
    return f"its process was killed ({name}{more})"


def _home() -> str:
    """Where this package is: the server must be of the same release."""
    return str(Path(__file__).parents[3])


def _given(variable: str) -> list[str]:
    return [text for text in os.environ.get(variable, "").split(os.pathsep) if text]
