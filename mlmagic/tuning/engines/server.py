"""The clean process that workers are forked from: commands in over a socket, one child for each stage and trial.

It imports packages and loads variables, and never runs a statement of the user's: a process that has fitted a model
with OpenMP, or touched a GPU, cannot be forked any more. It ends with the kernel; with it go its children, what they
started, and the sweep's folder.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlmagic.capture.behind import code_reach
from mlmagic.capture.modules import LocalModules
from mlmagic.fingerprint import Scope, snapshot
from mlmagic.tuning import plan, state
from mlmagic.tuning.body import Body, read_body
from mlmagic.tuning.trial import Task, TrialRun, leave
from mlmagic.tuning.wire import Channel, Message

HEADER = 16  # bytes that say how long a command is; a descriptor travels with them
_LIKELY_VICTIM = "500"  # before the kernel, should memory run out
_GRACE = 0.5  # seconds for what a trial started to end by itself: joblib's trackers free memory that it shared
_DEATH_SIGNAL, _ADOPT_ORPHANS = 1, 36  # of Linux' prctl
_LINUX = sys.platform == "linux"


class Server:
    """Reads commands until the kernel is gone.

    Parameters
    ----------
    control : socket
        Where they come from.
    scratch : Path
        The sweep's folder.
    """

    def __init__(self, control: socket.socket, scratch: Path) -> None:
        self._control = control
        self._scratch = scratch
        self._kernel = _watch(os.getppid())
        self._helpers: set[int] = set()  # children that importing started
        self._patience = 0.0  # when what trials left behind is killed
        self._children: set[int] = set()
        self._namespace: dict[str, Any] = {}
        self._loaded: Path | None = None
        self._bodies: dict[str, Body] = {}  # by their text, so that trials need not parse it
        self._bell, ring = os.pipe()
        os.set_blocking(ring, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ring)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(self) -> None:
        """Serve; returns when the kernel has closed its end."""
        try:
            while True:
                asked = self._control.fileno()
                ready, _, _ = select.select([asked, self._bell, *self._kernel], [], [], self._pause())
                if self._bell in ready:
                    os.read(self._bell, 4096)
                    self._reap()
                if any(end in ready for end in self._kernel) or (asked in ready and not self._command()):
                    return
        finally:
            self._end_all()

    def _command(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, HEADER, 1)
        if not data:
            return False
        size = int(data)
        text = b""
        while len(text) < size:
            part = self._control.recv(min(size - len(text), 1 << 20))
            if not part:
                return False
            text += part
        command: Message = json.loads(text)
        handle: Callable[..., None] = getattr(self, f"_do_{command.pop('do')}")
        try:
            handle(*descriptors, **command)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    # -- commands ----------------------------------------------------------------------------

    def _do_prepare(self, path: list[str], folder: str, modules: list[str]) -> None:
        """Import what the trials will need."""
        sys.path[:] = path
        with contextlib.suppress(OSError):
            os.chdir(folder)
        failed = [name for name in modules if not _imported(name)]
        self._helpers = _own_children()
        self._tell({"prepared": len(modules) - len(failed), "failed": failed})

    def _do_load(self, file: str) -> None:
        """Take variables into this process, for the trials to inherit."""
        module = _new_main()
        self._namespace = module.__dict__
        self._namespace.update(state.load(Path(file), self._namespace))
        self._loaded = Path(file)
        gc.collect()
        gc.freeze()  # so that the children's collectors leave these pages alone
        self._tell({"loaded": file})

    def _do_kill(self, pid: int) -> None:
        self._kill(pid)

    def _do_split(self, descriptor: int, output: str, environment: dict[str, str], **asked: Any) -> None:
        def split(channel: Channel) -> None:
            os.environ.update(environment)
            _split(channel, **asked)

        self._fork(descriptor, output, split)

    def _do_probe(self, descriptor: int, output: str, environment: dict[str, str], **asked: Any) -> None:
        def probe(channel: Channel) -> None:
            os.environ.update(environment)
            _probe(channel, **asked)

        self._fork(descriptor, output, probe)

    def _do_trial(self, descriptor: int, output: str, file: str, environment: dict[str, str], task: Message) -> None:
        def run(channel: Channel) -> None:
            os.environ.update(environment)
            namespace = self._namespace
            if self._loaded != Path(file):  # it cannot be inherited: loading starts threads
                namespace = _new_main().__dict__
                namespace.update(state.load(Path(file), namespace))
            TrialRun(Task.of(task), body, channel, namespace).run()

        body = self._bodies.get(task["source"]) or self._bodies.setdefault(task["source"], read_body(task["source"]))
        self._fork(descriptor, output, run)

    # -- children ----------------------------------------------------------------------------

    def _fork(self, descriptor: int, output: str, work: Callable[[Channel], None]) -> None:
        pid = os.fork()
        if pid:
            self._children.add(pid)
            return
        status = 1
        channel = Channel.of(os.dup(descriptor))
        try:
            self._become_child(output)
            channel.send({"pid": os.getpid()})
            work(channel)
            status = 0
        except (EOFError, BrokenPipeError):
            status = 2  # the kernel has gone, or wants no more of this
        except BaseException as error:
            _tell_last(channel, error)
        finally:
            try:
                leave(status)
            finally:  # whatever the body did to the streams: this process must not go on as a second server
                os._exit(status or 1)

    def _become_child(self, output: str) -> None:
        os.setpgid(0, 0)  # so that what the body starts can be ended with it
        _ask_linux(_DEATH_SIGNAL, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        self._control.close()
        os.close(self._bell)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_LIKELY_VICTIM)
        Path(output).parent.mkdir(exist_ok=True)  # a trial may have removed it
        file = os.open(output, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._children:
                self._children.discard(pid)
                self._end_group(pid)
                self._tell({"ended": pid, "status": os.waitstatus_to_exitcode(status)})

    # -- ends --------------------------------------------------------------------------------

    def _end_group(self, pid: int) -> None:
        """What a trial started ends with it: asked first, then killed."""
        _signal_group(pid, signal.SIGTERM if _LINUX else signal.SIGKILL)
        self._patience = time.monotonic() + _GRACE

    def _pause(self) -> float | None:
        """Seconds until orphans are looked for; ``None``: there are none."""
        orphans = self._orphans()
        if orphans and time.monotonic() > self._patience:
            _kill_each(orphans)
        return _GRACE / 5 if orphans else None

    def _orphans(self) -> set[int]:
        """What trials started that outlived them: Linux makes them children of this process."""
        return _own_children() - self._children - self._helpers if self._patience else set()

    def _kill(self, pid: int) -> None:
        if pid in self._children:
            _kill_each({pid})

    def _end_all(self) -> None:
        """The kernel is gone: nothing is left, neither a process nor the folder."""
        for pid in self._children:
            _signal_group(pid, signal.SIGTERM if _LINUX else signal.SIGKILL)
        _kill_each(self._children)
        self._patience = time.monotonic() + _GRACE
        while self._reap_quietly():
            time.sleep(0.005)
            if time.monotonic() > self._patience:
                _kill_each(_own_children())
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _reap_quietly(self) -> bool:
        """Whether there are children yet."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            return True
        return False

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(OSError):  # the kernel has gone: the next read says so
            self._control.sendall(json.dumps(message).encode() + b"\n")


def _imported(name: str) -> bool:
    try:
        importlib.import_module(name)
    except Exception:  # what a package raises when it does not fit here is its own; the body will meet it
        return False
    return True


def _new_main() -> types.ModuleType:
    """A module for the trial's variables: classes of the notebook are found in `__main__`."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    return module


def _ask_linux(what: int, value: int) -> None:
    """`prctl`, where there is one."""
    if not _LINUX:
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(what, value)


def _watch(pid: int) -> list[int]:
    """A descriptor that can be read when a process has ended, also if a copy of it holds its end of the socket."""
    with contextlib.suppress(OSError, AttributeError):  # not Linux, or an old one
        return [os.pidfd_open(pid)]
    return []


def _own_children() -> set[int]:
    """The processes whose parent this one is."""
    found: set[int] = set()
    for told in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(map(int, told.read_text().split()))
    return found


def _kill_each(pids: Iterable[int]) -> None:
    for pid in list(pids):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _tell_last(channel: Channel, error: BaseException) -> None:
    """Say why this process comes to nothing; the whole story goes to its output."""
    with contextlib.suppress(Exception):
        channel.send({"broken": f"{type(error).__name__}: {error}".splitlines()[0][:300]})
    with contextlib.suppress(Exception):
        traceback.print_exception(error)


def threads() -> int:
    """How many threads this process has, those of libraries included."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:  # not Linux: those of Python at least
        import threading

        return threading.active_count()


# -- what children do besides trials ---------------------------------------------------------------


def _split(channel: Channel, source: str, file: str, out: str, forced: dict[str, str], root: str) -> None:
    """Run what the trials can share, and write all variables as it leaves them."""
    namespace = _new_main().__dict__
    start = state.load(Path(file), namespace)
    namespace.update(start)
    statements = read_body(source).statements
    splitter = plan.Splitter(statements, namespace, Path(root), {int(number): why for number, why in forced.items()})
    split = splitter.run()
    spoilt = split.spoilt or _write(namespace, {**start, **split.made}, split, Path(out))
    seen = splitter.recorder.snapshots()
    channel.send(
        {
            "rows": [asdict(row) for row in split.rows],
            "made": split.made,
            "spoilt": {str(number): why for number, why in spoilt.items()},
            "fingerprints": {name: seen[name].fingerprint for name in {**start, **split.made} if name in seen},
        }
    )


def _write(namespace: dict[str, Any], names: dict[str, Any], split: plan.Split, out: Path) -> dict[int, str]:
    """Write the variables; statements whose results cannot travel, and why."""
    values = {name: namespace[name] for name in names if name in namespace}
    try:
        state.pack(values, out)
    except state.UnstorableError as error:
        reason = f"its result cannot be sent to workers: {error}"
    else:
        return {}
    stays = state.pack_what_travels({name: values[name] for name in split.made if name in values}, out)
    found = {split.made[name]: f"{name} cannot be sent to workers: {why}" for name, why in stays.items()}
    return found or dict.fromkeys(split.made.values(), reason)


def _probe(channel: Channel, file: str) -> None:
    """Load the variables once to see what that does: are they what they were, and does it start threads?"""
    namespace = _new_main().__dict__
    before = threads()
    namespace.update(found := state.load(Path(file), namespace))
    started = threads() - before
    scope = Scope(namespace, code_reach, LocalModules().is_local)
    prints = {name: snapshot(value, scope).fingerprint for name, value in found.items()}
    channel.send({"fingerprints": prints, "threads": started})


def _display(*objects: object, **_: object) -> None:
    """What `display` of a notebook comes to in a trial, which nobody watches."""
    print(*objects)  # noqa: T201  into the trial's own output


def main() -> None:
    """Entry of the process: the number of the control socket is its argument."""
    builtins.display = _display  # type: ignore[attr-defined]
    control = socket.socket(fileno=int(sys.argv[1]))
    _ask_linux(_ADOPT_ORPHANS, 1)
    Server(control, Path(sys.argv[2])).run()
    leave()


if __name__ == "__main__":
    # As a module of its own name: `__main__` is going to be the notebook.
    from mlmagic.tuning.engines import server

    server.main()
