"""Between IPython and the session: the moments of a cell, its text, and the one transformer for `%%track`."""

from __future__ import annotations

import traceback
import types
from collections.abc import Callable
from typing import Any

from mlmagic.capture import Cell, Outcome
from mlmagic.records import Status
from mlmagic.session.session import Session
from mlmagic.session.tracking import Tracking, strip_track_line

_LONGEST_ERROR = 300


class NotebookHooks:
    """Observes a shell's cells for a session; `install` and `remove` undo each other exactly.

    Hooks only observe: what fails in them is told in one line and never stops a cell. The transformer
    only takes our own first line away, so that the body *is* the cell.
    """

    def __init__(self, shell: Any, session: Session, redact: Callable[[str], str]) -> None:
        self._shell = shell
        self._session = session
        self._redact = redact
        self._depth = 0
        self._nested_failure: Outcome | None = None

    def install(self) -> None:
        self._shell.events.register("pre_run_cell", self.before)
        self._shell.events.register("post_run_cell", self.after)
        self._shell.input_transformers_cleanup.append(strip_track_line)

    def remove(self) -> None:
        self._shell.events.unregister("pre_run_cell", self.before)
        self._shell.events.unregister("post_run_cell", self.after)
        self._shell.input_transformers_cleanup.remove(strip_track_line)

    def before(self, info: Any) -> None:
        """`pre_run_cell`: a cell magic that runs its body through the shell nests, and belongs to its cell."""
        self._depth += 1
        if self._depth > 1 or not self._session.settings.track or not info.store_history:
            return
        self._session.begin(self.cell(info))

    def after(self, result: Any) -> None:
        """`post_run_cell`, also of the cell that loads the extension, whose beginning nobody saw."""
        self._depth = max(0, self._depth - 1)
        outcome = outcome_of(result)
        if self._depth:
            if outcome.status != "ok" and self._nested_failure is None:
                self._nested_failure = outcome
            return
        failure, self._nested_failure = self._nested_failure, None
        if failure is not None and outcome.status == "ok":
            outcome = Outcome(failure.status, outcome.execution_count, failure.error, None, outcome.displayed)
        self._session.end(outcome)

    def cell(self, info: Any) -> Cell:
        """What is known of a cell from the front end's message and its own first line."""
        raw = info.raw_cell
        code = info.transformed_cell
        if code is None:
            code = self.transformed(raw)
        asked = Tracking.of(raw)
        return Cell(
            source=self._redact(raw),
            code=code,
            cell_id=info.cell_id,
            name=asked.name,
            tags=asked.tags,
            params=asked.params,
            metrics=asked.metrics,
        )

    def transformed(self, source: str) -> str:
        """Notebook syntax to Python; the text itself where it cannot be transformed."""
        try:
            return str(self._shell.input_transformer_manager.transform_cell(source))
        except Exception:  # noqa: BLE001 - the shell will report it to the user in its own way
            return source


def outcome_of(result: Any) -> Outcome:
    """How a cell ended, from IPython's result."""
    error = result.error_before_exec or result.error_in_exec
    return Outcome(
        status=_status(error),
        execution_count=result.execution_count,
        error=describe_error(error),
        error_line=_error_line(error),
        displayed=result.result is not None,
    )


def _status(error: BaseException | None) -> Status:
    if error is None:
        return "ok"
    name = type(error).__name__
    return "interrupted" if isinstance(error, KeyboardInterrupt) or name == "CancelledError" else "error"


def describe_error(error: BaseException | None) -> str | None:
    """Type and message in one line; asks no exception of the user's for its text."""
    if error is None:
        return None
    kind = type(error).__qualname__
    first = error.args[0] if error.args else None
    message = first.strip().splitlines() if type(first) is str else []
    return f"{kind}: {message[0]}"[:_LONGEST_ERROR] if message else kind


def _error_line(error: BaseException | None) -> int | None:
    """The line of the cell that was being executed when it failed."""
    if isinstance(error, SyntaxError) and error.__traceback__ is None:
        return error.lineno
    frames = traceback.walk_tb(error.__traceback__ if error is not None else None)
    lines = [line for frame, line in frames if _is_cell(frame)]
    return lines[0] if lines else None


def _is_cell(frame: types.FrameType) -> bool:
    return frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "__main__"
