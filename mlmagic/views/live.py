"""The step from a result that is still growing to the page: one output, replaced a few times a second."""

from __future__ import annotations

import time

from mlmagic.results import Result

_PAUSE = 0.4  # seconds between two pictures


class Live:
    """An output of the running cell that shows the latest of several results; nothing outside IPython."""

    def __init__(self) -> None:
        self._handle: object = None
        self._shown_at = 0.0

    def show(self, result: Result, *, last: bool = False) -> None:
        """Put a result in the place of the one before it; too soon after it, only where it is the last."""
        now = time.monotonic()
        if not last and now - self._shown_at < _PAUSE:
            return
        self._shown_at = now
        if self._handle is None:
            self._handle = _displayed(result)
        else:
            self._handle.update(result)  # type: ignore[attr-defined]


def _displayed(result: Result) -> object:
    from IPython.display import display

    return display(result, display_id=True)
