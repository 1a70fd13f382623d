"""Third step of a cell's way, the only write path: events in, one line each appended to the session's journal.

A line is handed to the operating system before the call returns, so a finished cell survives the death of the process
(kill -9, a crash). It is not forced to the disk, which would cost 4 ms against a few µs: power loss may take it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from mlmagic.journal import events
from mlmagic.records import (
    Amendment,
    Assertion,
    AssertionResult,
    Bundle,
    Drift,
    Endpoint,
    Evaluation,
    Measure,
    Observation,
    Predictions,
    Reuse,
    Session,
    Sweep,
    Trial,
)

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


class Journal:
    """One process's own append-only file; safe to call from several threads.

    A process forked from this one is another process and no session: there, every call does nothing.

    Parameters
    ----------
    folder
        The project's ``journal`` folder, made when the first event comes.
    session_id
        Names the file: ``<session_id>.jsonl``.

    Notes
    -----
    Every method raises `OSError` where the file cannot be written (disk full, no permission). The journal stays sound:
    a line torn that way is closed off by the next one, and a reader drops it.
    """

    def __init__(self, folder: Path, session_id: str) -> None:
        self.path = folder / f"{session_id}.jsonl"
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._file: int | None = None
        self._torn = False  # the file's last line has no end
        self._opening = b""  # the session's own event, for a file that has to be begun again

    def session_started(self, session: Session) -> None:
        """Write that the session begins."""
        line = events.encode(events.session_started(session))
        self._append(line)
        self._opening = line

    def session_ended(self, session_id: str, at: float) -> None:
        """Write that the session ended, `at` in seconds since the epoch."""
        self._append(events.encode(events.session_ended(session_id, at)))

    def observed(self, observation: Observation) -> None:
        """Write what one execution left behind."""
        self._append(events.encode(events.observed(observation)))

    def amended(self, amendment: Amendment) -> None:
        """Write what became known of an execution later: its versions and writes replace those of the same ids."""
        self._append(events.encode(events.amended(amendment)))

    def decided(self, reuse: Reuse) -> None:
        """Write what the cache made of an execution."""
        self._append(events.encode(events.decided(reuse)))

    def swept(self, sweep: Sweep) -> None:
        """Write how a sweep stands: at its start, and whenever its state changes."""
        self._append(events.encode(events.swept(sweep)))

    def tried(self, trial: Trial, params: Iterable[Measure] = (), metrics: Iterable[Measure] = ()) -> None:
        """Write how a trial stands, with its measures: when it starts and when it ends."""
        self._append(events.encode(events.tried(trial, params, metrics)))

    def asserted(self, assertion: Assertion) -> None:
        """Write that a rule was defined."""
        self._append(events.encode(events.asserted(assertion)))

    def checked(self, result: AssertionResult) -> None:
        """Write what a rule said of some rows."""
        self._append(events.encode(events.checked(result)))

    def drifted(self, rows: Iterable[Drift]) -> None:
        """Write what came of comparing data with a reference."""
        self._append(events.encode(events.drifted(rows)))

    def evaluated(self, rows: Iterable[Evaluation]) -> None:
        """Write what came of evaluating a model."""
        self._append(events.encode(events.evaluated(rows)))

    def exported(self, bundle: Bundle) -> None:
        """Write that a model left the notebook."""
        self._append(events.encode(events.exported(bundle)))

    def served(self, endpoint: Endpoint) -> None:
        """Write how an endpoint stands: at its start and at its end."""
        self._append(events.encode(events.served(endpoint)))

    def predicted(self, predictions: Predictions) -> None:
        """Write rows that an endpoint scored."""
        self._append(events.encode(events.predicted(predictions)))

    def close(self) -> None:
        """Release the file; a later event opens it again."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _append(self, line: bytes) -> None:
        if os.getpid() != self._pid:  # asked before the lock, which a fork may have copied while it was held
            return
        with self._lock:
            self._write(self._opened(), line)

    def _opened(self) -> int:
        """The descriptor of a file that is still in the folder."""
        if self._file is not None and os.fstat(self._file).st_nlink == 0:
            self.close()  # the project folder was deleted under a running session: begin anew
            self._start(self._opening)
        elif self._file is None:
            self._start(b"")
        assert self._file is not None
        return self._file

    def _start(self, opening: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, _FLAGS, 0o644)
        self._torn = os.lseek(self._file, 0, os.SEEK_END) > 0 and _last_byte(self._file) != b"\n"
        if opening:
            self._write(self._file, opening)

    def _write(self, file: int, line: bytes) -> None:
        """Append the whole line; a short write is continued, a failed one remembered."""
        rest = memoryview(b"\n" + line if self._torn else line)
        self._torn = True  # until all of it is written: an interrupt may come at any point
        while rest:
            rest = rest[os.write(file, rest) :]
        self._torn = False


def _last_byte(file: int) -> bytes:
    os.lseek(file, -1, os.SEEK_END)
    return os.read(file, 1)
