"""The panel's own thread: jobs come in from cells and pages, one after the other they are done, apart from both.

So nothing that the panel does holds a cell up, and what it keeps needs no locks. The thread is there before the first
cell: the recorder takes such threads for the kernel's own, and what they do for no work of a cell's.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

Job: TypeAlias = Callable[[], None]

_PATIENCE = 5.0  # seconds that the end of a job is waited for


class Desk:
    """One thread that does jobs in their order; `idle` says what to do when there has been none for some time.

    Parameters
    ----------
    trouble : callable
        Told of each exception that a job raised.
    idle : callable
        Called whenever no job waits. Returns after how many seconds without one it wants to be called again; ``None``:
        not before the next job.
    """

    def __init__(self, trouble: Callable[[Exception], None], idle: Callable[[], float | None]) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._trouble = trouble
        self._idle = idle
        self._thread = threading.Thread(target=self._work, name="mlmagic-panel", daemon=True)
        self.stopped = False

    def start(self) -> None:
        self._thread.start()

    def put(self, job: Job) -> None:
        """Have a job done soon."""
        self._jobs.put(job)

    def stop(self) -> None:
        """Leave undone what has not begun, and wait for what has."""
        self.stopped = True
        self._jobs.put(None)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(_PATIENCE)

    def _work(self) -> None:
        pause: float | None = None
        while not self.stopped:
            try:
                job = self._jobs.get(timeout=pause)
            except queue.Empty:
                job = _nothing
            if job is None or self.stopped:
                return
            self._do(job)
            pause = self._rest() if self._jobs.empty() else 0.0

    def _do(self, job: Job) -> None:
        try:
            job()
        except Exception as error:
            self._trouble(error)

    def _rest(self) -> float | None:
        try:
            pause = self._idle()
        except Exception as error:
            self._trouble(error)
            return None
        return None if pause is None else max(pause, 0.0)


def _nothing() -> None:
    pass
