"""How a page ends what runs: a sweep starts no further trial; any other cell is interrupted as Jupyter would do it."""

from __future__ import annotations

import _thread
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from mlmagic._optional import loaded
from mlmagic.errors import MisuseError
from mlmagic.records import Sweep
from mlmagic.session import Session


class Cancel:
    """Ends the running cell, at any time and from any thread.

    Parameters
    ----------
    session : Session
    wake : callable
        Gets the main thread's event loop to look around: a cell that awaits something is told of an interrupt by the
        loop, which the signal alone does not rouse (ipykernel 7.4).
    """

    def __init__(self, session: Session, wake: Callable[[], None] = lambda: None) -> None:
        self._session = session
        self._wake = wake
        self._sweep: Sweep | None = None  # the one that runs
        self._wished = ""  # the sweep that was asked to stop

    def noticed(self, sweep: Sweep) -> None:
        """How a sweep of this kernel stands."""
        self._sweep = sweep if sweep.status == "running" else None

    def over(self) -> None:
        """The cell is over, whatever became of its sweep."""
        self._sweep = None

    def __call__(self) -> str:
        """End what runs; in words, what happens now.

        Raises
        ------
        MisuseError
            Nothing runs.
        """
        sweep = self._sweep
        if sweep is not None and sweep.sweep_id != self._wished:
            self._wished = sweep.sweep_id
            return self._stop(sweep)
        if not runs():
            raise MisuseError("nothing to cancel: no cell is running")
        interrupt()
        self._wake()
        return "the cell is interrupted"

    def _stop(self, sweep: Sweep) -> str:
        from mlmagic.api.resuming import vault_of

        vault_of(self._session.project, sweep.sweep_id).wish.touch()
        return f"sweep {sweep.name} stops when the trials that are running have ended; cancel again to interrupt them"


def runs() -> bool:
    """Whether the kernel's main thread is at work: ipykernel ignores interrupts while it only waits."""
    return signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def interrupt() -> None:
    """Interrupt the main thread, and the processes that it started, as an interrupt from the front end does.

    The signal is sent to the main thread itself, which it wakes from whatever it waits for: one to the process may be
    taken by any other thread, and would be noticed only when the main thread does something of its own accord.
    """
    if os.name == "nt":
        _thread.interrupt_main()
        return
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGINT)
    for process in _started():
        with suppress(OSError):  # it ended at this moment
            os.kill(process, signal.SIGINT)


def _started() -> Iterator[int]:
    """The processes of our group, where that is the kernel's own."""
    psutil = loaded("psutil")  # ipykernel has it
    if psutil is None or os.getpgid(0) != os.getpid():
        return
    for child in psutil.Process().children(recursive=True):
        with suppress(OSError):
            if os.getpgid(child.pid) == os.getpid():
                yield child.pid
