"""What goes on after a cell has returned: threads and tasks that the user's code left running."""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from types import FrameType
from typing import Any

# Threads by which packages keep house, told by the module of the thread's class or of the function it runs:
# they live as long as the process and touch nothing of the user's.
_KEEPERS = frozenset(
    "IPython _pydev_bundle _pydevd_bundle anyio debugpy distributed fsspec ipykernel ipywidgets joblib jupyter_client "
    "loky mlmagic opentelemetry prompt_toolkit psutil pydevd sentry_sdk tensorboard tornado tqdm traitlets wandb "
    "watchfiles zmq".split()
)
_POOLS = frozenset({"concurrent.futures.thread", "multiprocessing.pool"})
_LOOPS = frozenset("_worker worker get _handle_workers _handle_tasks _handle_results _wait_for_updates".split())
_WAITING = frozenset({"threading", "queue", "multiprocessing.connection", "multiprocessing.queues", "selectors"})


class LiveWatch:
    """Tells the user's threads and tasks from the kernel's own, which were there before."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._house = set(threading.enumerate())
        self._users: set[threading.Thread] = set()
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()  # threads and tasks that were told once

    def begin(self) -> None:
        """A cell begins: threads that appeared between cells are the kernel's."""
        self._users = {thread for thread in self._users if thread.is_alive()}
        self._house = set(threading.enumerate()) - self._users

    def running(self) -> bool:
        """Whether anything that cells started is still at work."""
        return bool(self._at_work())

    def started(self) -> bool:
        """Whether something is at work that was not when this was asked last."""
        new = [one for one in self._at_work() if one not in self._known]
        self._known.update(new)
        return bool(new)

    def _at_work(self) -> list[Any]:
        alive = set(threading.enumerate())
        self._users = (self._users & alive) | (alive - self._house)
        return [*filter(_may_change_something, self._users), *self._tasks()]

    def is_house(self, ident: int) -> bool:
        """Whether a thread was there before the running cell, and no earlier cell started it."""
        return any(thread.ident == ident for thread in self._house)

    def _tasks(self) -> list[asyncio.Task[Any]]:
        try:
            return [task for task in asyncio.all_tasks() if self._is_users(task)]
        except RuntimeError:  # no loop is running here
            return []

    def _is_users(self, task: asyncio.Task[Any]) -> bool:
        """Whether a coroutine of the notebook's is in this task: directly, awaited by another's, or to be."""
        waiting: Any = task.get_coro()
        while waiting is not None:
            frame = getattr(waiting, "cr_frame", None)
            if frame is not None:
                inside = (getattr(part, "cr_frame", None) for part in frame.f_locals.values())
                if any(map(self._is_notebooks, (frame, *inside))):
                    return True
            waiting = getattr(waiting, "cr_await", None)
        return False

    def _is_notebooks(self, frame: FrameType | None) -> bool:
        """Whether this is the frame of a function of the notebook's; ``<module>`` would be the cell itself."""
        return frame is not None and frame.f_globals is self._namespace and frame.f_code.co_name != "<module>"


def _may_change_something(thread: threading.Thread) -> bool:
    if not thread.is_alive():
        return False
    kind = type(thread).__module__
    home = getattr(getattr(thread, "_target", None), "__module__", None) or kind
    if {str(kind).partition(".")[0], str(home).partition(".")[0]} & _KEEPERS:
        return False
    return not (home in _POOLS and _is_idle(thread))


def _is_idle(thread: threading.Thread) -> bool:
    """Whether a pool's worker only waits for work: none is queued, and nothing stands above its own loop."""
    if any(hasattr(queue, "qsize") and queue.qsize() for queue in getattr(thread, "_args", ())):
        return False
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_globals.get("__name__") in _WAITING:
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__") in _POOLS and frame.f_code.co_name in _LOOPS
