"""What goes on after a cell has returned: threads and tasks that the user's code left running."""

from __future__ import annotations

import asyncio
import threading
from typing import Any


class LiveWatch:
    """Tells the user's threads and tasks from the kernel's own, which were there before."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._house = set(threading.enumerate())
        self._users: set[threading.Thread] = set()

    def begin(self) -> None:
        """A cell begins: threads that appeared between cells are the kernel's."""
        self._users = {thread for thread in self._users if thread.is_alive()}
        self._house = set(threading.enumerate()) - self._users

    def running(self) -> bool:
        """Whether anything that cells started is still at work."""
        self._users |= set(threading.enumerate()) - self._house
        return any(thread.is_alive() for thread in self._users) or self._has_tasks()

    def _has_tasks(self) -> bool:
        try:
            tasks = asyncio.all_tasks()
        except RuntimeError:  # no loop is running here
            return False
        return any(self._is_users(task) for task in tasks)

    def _is_users(self, task: asyncio.Task[Any]) -> bool:
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is None or frame.f_globals is not self._namespace:
            return False
        return bool(frame.f_code.co_name != "<module>")  # that would be the cell itself
