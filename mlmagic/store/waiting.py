"""How long a question waits for others who use the project's database: pauses that grow, up to a limit."""

from __future__ import annotations

import random
import time

from mlmagic.errors import StoreError

_uneven = random.Random()  # one of our own: the user's generator stays where it is
_FIRST, _GROWTH, _LONGEST = 0.002, 1.6, 0.1  # seconds; a window lasts 1 to 40 ms


class Patience:
    """Waits in growing, uneven pauses until `seconds` have passed in all; then the store is given up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._pause = _FIRST

    @property
    def left(self) -> float:
        """Seconds of waiting that remain."""
        return max(0.0, self._until - time.monotonic())

    def pause(self, holder: str) -> None:
        """Wait a little, or raise `StoreError` naming the `holder` when it has been long enough."""
        if not self.left:
            raise self.over(holder)
        # Uneven, so that processes that met once do not meet at every turn.
        time.sleep(min(self._pause * _uneven.uniform(0.5, 1.5), self.left))
        self._pause = min(self._pause * _GROWTH, _LONGEST)

    def over(self, holder: str) -> StoreError:
        """The error that says who was waited for."""
        return StoreError(
            f"lineage.duckdb is in use by {holder} (waited {self._seconds:g} s); close it there and ask again"
        )
