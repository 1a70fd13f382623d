"""Inside `checks`: a function that may never end comes in; its value, or the end of patience, goes out.

Why not a forked child: forking a kernel in which OpenMP or Arrow have started threads hangs the child at its first
use of them, so rules that are in order would hang. Instead the call is interrupted where it runs.

- In the main thread, where kernels run cells, by an alarm: it also ends what waits (`time.sleep`, locks, sockets)
  and what looks for signals in C (regular expressions).
- Elsewhere, and where there are no alarms (Windows), the call runs in a thread of its own, to which an exception is
  sent. What waits in C ends when it returns; until then the thread is left behind, and nobody waits for it.

A single call into C that neither looks for signals nor returns (``sum(itertools.count())``) cannot be ended.
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_AGAIN = 0.1  # seconds: code that catches everything, as `except:` does, is interrupted again
_GRACE = 1.0  # seconds that a thread has to end


class TooLongError(BaseException):
    """Patience is over. No `Exception`, so that code that catches those does not catch this."""


def limited(function: Callable[[], T], seconds: float) -> T:
    """What the function returns, or raises.

    Raises
    ------
    TooLongError
        After so many seconds.
    """
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _by_alarm(function, seconds)
    return _by_thread(function, seconds)


def _by_alarm(function: Callable[[], T], seconds: float) -> T:
    running = False

    def ring(signum: int, frame: FrameType | None) -> None:
        if running:
            raise TooLongError

    began, pending = time.monotonic(), (0.0, 0.0)
    earlier = signal.signal(signal.SIGALRM, ring)
    try:
        try:
            pending = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
            running = True
            return function()
        finally:
            running = False
    finally:  # also where it rang just now, on the way out: an alarm left on would ring in the user's own code
        running = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if earlier is None else earlier)
        if pending[0]:  # somebody else's alarm: it rings when it would have, or at once
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, pending[0] - (time.monotonic() - began)), pending[1])


def _by_thread(function: Callable[[], T], seconds: float) -> T:
    box: list[tuple[bool, Any]] = []

    def work() -> None:
        try:
            box.append((True, function()))
        except BaseException as error:
            box.append((False, error))

    thread = threading.Thread(target=work, name="mlmagic-assertion", daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    finally:
        late = thread.is_alive()
        if late:
            _stop(thread)
    if late or not box:
        raise TooLongError
    good, found = box[0]
    if not good:
        raise found
    return found  # type: ignore[no-any-return]


def _stop(thread: threading.Thread) -> None:
    """Send the thread an exception until it ends, or leave it behind."""
    deadline = time.monotonic() + _GRACE
    while thread.is_alive() and time.monotonic() < deadline:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(TooLongError))
        thread.join(_AGAIN)
