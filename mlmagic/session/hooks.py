"""Between IPython and the session: the moments of a cell, its text, and the one transformer for `%%track`."""

from __future__ import annotations

import traceback
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mlmagic.capture import Cell, Outcome
from mlmagic.records import Status
from mlmagic.session.reuse import ReuseHooks
from mlmagic.session.session import Session
from mlmagic.session.tracking import Tracking, strip_track_line, track_line

_LONGEST_ERROR = 300


class NotebookHooks:
    """Observes a shell's cells for a session; `install` and `remove` undo each other exactly.

    Hooks only observe: what fails in them is told in one line and never stops a cell. The transformer
    only takes our own first line away, so that the body *is* the cell.
    """

    def __init__(
        self, shell: Any, session: Session, redact: Callable[[str], str], reuse: ReuseHooks | None = None
    ) -> None:
        self._shell = shell
        self._session = session
        self._redact = redact
        self._reuse = reuse
        self._depth = 0
        self._nested_failure: Outcome | None = None

    def install(self) -> None:
        self._shell.events.register("pre_run_cell", self.before)
        self._shell.events.register("post_run_cell", self.after)
        self._shell.input_transformers_cleanup.append(strip_track_line)
        if self._reuse is not None:
            self._reuse.install()

    def remove(self) -> None:
        if self._reuse is not None:
            self._reuse.remove()
        self._shell.events.unregister("pre_run_cell", self.before)
        self._shell.events.unregister("post_run_cell", self.after)
        self._shell.input_transformers_cleanup.remove(strip_track_line)

    def before(self, info: Any) -> None:
        """`pre_run_cell`: a cell magic that runs its body through the shell nests, and belongs to its cell."""
        self._depth += 1
        if self._depth > 1 or not self._session.settings.track or not info.store_history:
            return
        self._session.begin(self.cell(info))
        if self._reuse is not None:
            asked = Tracking.of(info.raw_cell)
            self._reuse.before(tracked=asked.tracked, asked=asked.reuse)

    def after(self, result: Any) -> None:
        """`post_run_cell`, also of the cell that loads the extension, whose beginning nobody saw."""
        self._depth = max(0, self._depth - 1)
        outcome = outcome_of(result)
        if self._depth:
            if outcome.status != "ok" and self._nested_failure is None:
                self._nested_failure = replace(outcome, error_line=None)
            return
        failure, self._nested_failure = self._nested_failure, None
        if failure is not None and outcome.status == "ok":  # such as `%%capture`, which shows the error and goes on
            outcome = replace(failure, execution_count=outcome.execution_count, displayed=outcome.displayed)
        if self._reuse is None:
            self._session.end(outcome)
            return
        outcome = self._reuse.outcome(outcome)
        observation = self._session.end(outcome, self._reuse.visible, self._reuse.repeated)
        self._reuse.after(observation)

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
        except Exception:
            return source


def outcome_of(result: Any) -> Outcome:
    """How a cell ended, from IPython's result."""
    error = result.error_before_exec or result.error_in_exec
    raw = getattr(result.info, "raw_cell", None) or ""
    return Outcome(
        status=_status(error),
        execution_count=result.execution_count,
        error=describe_error(error),
        error_line=error_line(error, raw, before=result.error_before_exec is not None),
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


def error_line(error: BaseException | None, source: str, *, before: bool = False) -> int | None:
    """The line of `source`, from 1, whose statement failed; `before` it ran, where it is no Python at all."""
    lines = source.splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)  # IPython drops blank lines above
    if before and isinstance(error, SyntaxError):
        return (error.lineno or 1) + first
    frames = traceback.walk_tb(error.__traceback__ if error is not None else None)
    reached = [line for frame, line in frames if _is_cell(frame)]
    magics = _cell_magics(lines)
    if not reached or not magics:
        return reached[0] + first if reached else None
    if len(reached) <= len(magics):  # the magic itself failed
        return magics[0] + 1
    below = lines[magics[-1] + 1 :]
    blank = next((number for number, line in enumerate(below) if line.strip()), 0)
    return magics[-1] + 1 + blank + reached[len(magics)]


def _cell_magics(lines: list[str]) -> list[int]:
    """Where the cell magics stand, one below the other, from 0; ours is none, as it is taken away."""
    found = []
    for number, line in enumerate(lines):
        if line.startswith("%%"):
            found.append(number)
        elif line.strip():
            break
    return found[1:] if found and track_line(lines) is not None else found


def _is_cell(frame: types.FrameType) -> bool:
    return frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "__main__"
