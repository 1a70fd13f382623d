"""The step from a decoded request to the queue: it gets an id, a deadline and its place, or is refused for its size."""

from __future__ import annotations

from itertools import count
from time import time_ns

from mlmagic.bundles.rows import Feeds
from mlmagic.serving.batching import Queue
from mlmagic.serving.heads import Head
from mlmagic.serving.limits import Limits
from mlmagic.serving.requests import Form, RefusedError, Request


class Intake:
    """Lets requests into the queue.

    Parameters
    ----------
    queue : Queue
    limits : Limits
    deadline : float
        Seconds that a request may wait, where it does not say less.
    """

    def __init__(self, queue: Queue, limits: Limits, deadline: float) -> None:
        self._limits, self._deadline = limits, deadline
        self._prefix = f"{time_ns() // 1_000_000:011x}-"  # ids sort by time
        self._numbers = count()
        self.put = queue.put

    def put_row(self, request: Request, form: Form, feeds: Feeds, head: Head) -> None:
        """Queue a request about one row that is an array already; raises `RefusedError` as `take` does."""
        self.take(request, form, 1, head)
        request.feeds = feeds
        self.put(request)

    def take(
        self, request: Request, form: Form, rows: int, head: Head, request_id: str = "", seconds: float | None = None
    ) -> None:
        """Make it a request about rows.

        Raises
        ------
        RefusedError
            It has too many.
        """
        if rows > self._limits.rows:
            raise RefusedError(413, f"{rows} rows; one request may have {self._limits.rows} at most")
        request.ask(request_id or f"{self._prefix}{next(self._numbers):09x}", form, rows)
        asked = seconds if head.seconds is None else head.seconds
        request.deadline = request.arrived + (self._deadline if asked is None else min(asked, self._deadline))
