"""The step from a server's answers to who looks at them: batches come in, frames to a process of its own go out.

Scoring must never wait for its log, its rules or its statistics, nor share its interpreter with them. So here a batch
is only put aside; a thread hands what came together to the watcher (`mlmagic.serving.watcher`) ten times a second,
and what the watcher cannot take is dropped and counted.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import IO, Any

from mlmagic.bundles.folder import Bundle
from mlmagic.serving.answered import Answered
from mlmagic.serving.options import Options

FLUSH = 0.1  # seconds between two frames
HEAD = struct.Struct("<Q")  # a frame's length; then the frame, a pickle from this user's own process to itself

BURST = 10  # seconds' worth of rows that may come at once: a frame scored whole is logged whole
_BYTES = 1 << 20  # of inputs and answers a second, whatever `log_rows` allows: images are large
_HEAVIEST = 8 << 20  # bytes that may come at once
_STARTS = 2  # the first one, and one more when it died


class Watch:
    """What a server tells its answers to; it logs them, runs the bundle's rules on them and looks for drift.

    Parameters
    ----------
    options : Options
    bundle : Bundle
    url : str
        Where the endpoint answers, for its record.
    """

    def __init__(self, options: Options, bundle: Bundle, url: str = "") -> None:
        self._about: dict[str, Any] = {
            "options": {**options.to_dict(), "token": None},  # which is nothing to a watcher
            "path": str(bundle.path),
            "manifest": dict(bundle.manifest),
            "signed": bundle.signed,
            "url": url,
            "pid": os.getpid(),
            "started_at": time.time(),
        }
        self._rate = options.log_rows
        self._filled_at = time.monotonic()
        self._rows_left, self._bytes_left = float(BURST * self._rate), float(_HEAVIEST)
        self._waiting: deque[tuple[int, int, Answered]] = deque()  # rows taken, rows scored, the batch
        # Each of these is written by one thread alone: the first three by that of the event loop.
        self._told, self._taken, self._refused = 0, 0, 0
        self._sent, self._lost = 0, 0
        self._before = {"logged": 0, "seen": 0}  # by an earlier watcher
        self._word: dict[str, Any] = {}
        self._trouble: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mlmagic-watch", daemon=True)
        if self._rate:
            self._thread.start()

    def tell(self, answered: Answered) -> None:
        """Put a batch aside; of more rows than are looked at, the first ones. Takes microseconds, and never waits."""
        rows = sum(count for _, _, count in answered.requests)
        self._told += rows
        taken = min(rows, self._allowed(answered, rows))
        self._refused += rows - taken
        if taken:
            self._rows_left -= taken
            self._taken += taken
            self._waiting.append((taken, rows, answered if taken == rows else first_rows(answered, taken)))

    def status(self) -> dict[str, Any]:
        """What the watcher said last.

        Returns
        -------
        dict
            ``rows`` (told of), ``logged``, ``seen`` (by all rules), ``unlogged`` (not looked at), ``watcher``
            (``alive``, ``ended``, ``off`` or what went wrong), ``log_error``, ``assertions`` (of each: ``name, rows,
            fired, rate, error``), ``not_run`` (rule -> why), ``drift`` (``verdict, columns, drifted, rows, at, note``;
            ``None``: no reference).
        """
        word = self._word
        return {
            "rows": self._told,
            **{name: before + word.get(name, 0) for name, before in self._before.items()},
            "unlogged": self._refused + self._lost,
            "watcher": self._state(),
            "log_error": word.get("log_error"),
            "assertions": word.get("assertions", []),
            "not_run": word.get("not_run", {}),
            "drift": word.get("drift"),
        }

    def close(self, timeout: float = 5.0) -> None:
        """Hand over what is left and wait until the watcher has written it; after `timeout` seconds it is killed."""
        self._ending.set()
        if not self._thread.ident:
            return
        self._thread.join(timeout)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()
            self._thread.join(1.0)

    # -- in the thread of the event loop -------------------------------------------------------

    def _allowed(self, answered: Answered, rows: int) -> int:
        """How many more rows may be looked at now: a bucket of tokens, of rows and of bytes."""
        now = time.monotonic()
        passed, self._filled_at = now - self._filled_at, now
        self._rows_left = min(BURST * self._rate, self._rows_left + passed * self._rate)
        self._bytes_left = min(_HEAVIEST, self._bytes_left + passed * _BYTES)
        if self._taken - self._sent - self._lost > BURST * self._rate:  # the watcher is behind
            return 0
        each = max(1, sum(array.nbytes for array in (*answered.feeds.values(), *answered.answers.values())) // rows)
        allowed = int(min(self._rows_left, self._bytes_left // each))
        self._bytes_left -= min(rows, allowed) * each
        return allowed

    def _state(self) -> str:
        if not self._rate:
            return "off"
        process = self._process
        if not self._thread.is_alive() or (process is not None and process.returncode is not None):
            return self._trouble or "ended"
        return f"alive, started again: {self._trouble}" if self._trouble else "alive"

    # -- in its own thread ---------------------------------------------------------------------

    def _work(self) -> None:
        for _ in range(_STARTS):
            try:
                process = self._process = _started(self._about)
            except OSError as error:
                self._trouble = f"the watcher could not be started: {error.strerror or error}"
                break
            listener = threading.Thread(target=self._listen, args=(process,), name="mlmagic-watch-word", daemon=True)
            listener.start()
            self._feed(process)
            why = _why(process)
            listener.join()
            if why:
                self._trouble = f"the watcher ended by itself ({self._word.pop('died', why)})"
            if self._ending.is_set():
                return
            self._before = {name: before + self._word.pop(name, 0) for name, before in self._before.items()}
        while not self._ending.wait(FLUSH):  # nobody listens any more
            self._lost += sum(taken for taken, *_ in self._drained())

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        """Hand over frames until the end, or until the watcher has ended."""
        pipe = process.stdin
        assert pipe is not None
        with suppress(OSError), pipe:  # it is gone: asked for below
            ending = False
            while not (ending and not self._waiting):
                ending = self._ending.wait(FLUSH)
                if not self._handed_over(pipe) and process.poll() is not None:
                    return
            _send(pipe, time.time())

    def _handed_over(self, pipe: IO[bytes]) -> int:
        """Send what waits; how many rows that were."""
        batches = [*self._drained()]
        rows = sum(taken for taken, *_ in batches)
        if batches:
            try:
                _send(pipe, [batch for _, *batch in batches])
            except OSError:
                self._lost += rows
                raise
        self._sent += rows
        return rows

    def _drained(self) -> Iterator[tuple[int, int, Answered]]:
        while self._waiting:
            yield self._waiting.popleft()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as words:
            for line in words:
                self._word = self._word | json.loads(line)


def first_rows(answered: Answered, count: int) -> Answered:
    """The first rows of a batch, copied: the rest of it is let go."""
    requests, left = [], count
    for request_id, first, rows in answered.requests:
        if left > 0:
            requests.append((request_id, first, min(rows, left)))
            left -= rows
    feeds = {name: array[:count].copy() for name, array in answered.feeds.items()}
    answers = {name: array[:count].copy() for name, array in answered.answers.items()}
    return replace(answered, requests=tuple(requests), feeds=feeds, answers=answers)


def _started(about: dict[str, Any]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mlmagic.serving.watcher"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # rules may print
        start_new_session=True,  # Ctrl-C is for the server, which then tells its watcher to end
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # found again, and told, when it is fed
        _send(process.stdin, about)
    return process


def _send(pipe: IO[bytes], frame: Any) -> None:
    content = pickle.dumps(frame, protocol=5)
    pipe.write(HEAD.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _why(process: subprocess.Popen[bytes]) -> str:
    """How a process ended; empty where it did as it was told."""
    code = process.wait()
    return f"killed by signal {-code}" if code < 0 else f"exit status {code}" if code else ""
