"""A server in a process of its own: options come in, a running process with its address goes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from mlmagic.errors import MisuseError
from mlmagic.serving.options import ALONE, GRACE, Options

_COMMAND = ("-P", "-m", "mlmagic.serving.server")  # -P: a file named numpy.py in the notebook's folder is not ours


class Process:
    """A server that was started.

    Attributes
    ----------
    url : str
    pid : int
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self._process, self.url, self.pid = process, url, process.pid

    @property
    def alive(self) -> bool:
        """It runs."""
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Its exit status; ``None`` while it runs."""
        return self._process.poll()

    def stop(self, grace: float = GRACE) -> None:
        """End it: it answers what it has; after `grace` seconds it is killed."""
        if os.name == "nt":  # where to terminate is to kill
            self._let_go()
        else:
            self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._let_go()

    def close(self) -> None:
        """End it, as `stop` does."""
        self.stop()

    def _let_go(self) -> None:
        stdin = self._process.stdin
        if stdin is not None:
            with suppress(OSError):
                stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()


def start(options: Options, *, lifeline: bool = True, timeout: float = 30.0, log: Path | None = None) -> Process:
    """A server, once it is ready.

    Parameters
    ----------
    lifeline : bool
        It ends with this process, whatever ends that; else only when told to.
    timeout : float
        Seconds for it to become ready.
    log : Path, optional
        File that its complaints are added to; without, they are dropped.

    Raises
    ------
    MisuseError
        It did not become ready; one line that says why.
    """
    process = _launched(lifeline, log)
    try:
        said = _said(process, options, timeout)
        if "error" in said:
            raise MisuseError(str(said["error"]))
        return Process(process, str(said["url"]))
    except BaseException:
        process.kill()
        Process(process, "").stop()
        raise


def _launched(lifeline: bool, log: Path | None) -> subprocess.Popen[bytes]:
    with open(log or os.devnull, "ab") as errors:
        return subprocess.Popen(
            [sys.executable, *_COMMAND, *([] if lifeline else [ALONE])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C in the starter's terminal is not meant for it
        )


def _said(process: subprocess.Popen[bytes], options: Options, timeout: float) -> Mapping[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):  # then it has ended, and its output says so
        process.stdin.write(json.dumps(options.to_dict()).encode() + b"\n")
        process.stdin.flush()
    line = _line(process.stdout, timeout)
    try:
        said: Mapping[str, Any] = json.loads(line)
    except ValueError:
        status = process.poll()
        how = f"did not become ready within {timeout:g} s" if status is None else f"ended with status {status}"
        raise MisuseError(f"the server {how}") from None
    return said


def _line(stream: IO[bytes], timeout: float) -> bytes:
    """The first line of a pipe; empty where it does not come in time."""
    lines: list[bytes] = []
    reading = threading.Thread(target=lambda: lines.append(stream.readline()), name="server-ready", daemon=True)
    reading.start()
    reading.join(timeout)
    return lines[0] if lines else b""


def is_running(pid: int) -> bool:
    """Whether there is a process of this number, as far as it can be told without harm."""
    if os.name == "nt":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:  # somebody else's
        return True
    except OSError:
        return False
    return True
