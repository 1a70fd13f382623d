"""One run of a cell: what is known when it starts, while it runs, and how it ended; and the record made of that."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlmagic.analysis import CellFacts, CodeFacts
from mlmagic.capture import native
from mlmagic.capture.evidence import Code, Inputs
from mlmagic.capture.ledger import Ledger
from mlmagic.capture.names import Entry
from mlmagic.capture.reach import Reach
from mlmagic.records import Execution, Status


@dataclass(frozen=True, slots=True)
class Cell:
    """What is known of a cell when it starts."""

    source: str  # as it goes into the store
    code: str  # as Python sees it, after IPython's transformation
    cell_id: str | None = None
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended."""

    status: Status
    execution_count: int | None = None
    error: str | None = None
    error_line: int | None = None
    displayed: bool = False  # its last value is now Out[n]
    reused_from: str | None = None  # the execution whose results it took over


@dataclass(slots=True)
class Running:
    """One recording between `begin` and `end`."""

    cell: Cell
    facts: CellFacts
    reach: Reach
    ledger: Ledger
    entries: dict[str, Entry]  # of all names, before it ran
    local_modules: set[str]
    behind: CodeFacts  # of the functions and classes among what it could read
    native_files: tuple[native.States, native.States] | None  # None: it reaches no native reader
    tracking: float  # seconds spent before the cell
    figures: bool  # pyplot had figures open
    modules: int  # how many were loaded
    started_at: float
    clock: float = 0.0
    cpu_clock: float = 0.0
    inputs: Inputs | None = None  # where somebody asked for them
    code: Code | None = None  # with all that it could call, where somebody asked for that
    loaded: frozenset[str] = frozenset()  # packages that were loaded then
    unexplained: set[str] = field(default_factory=set)  # variables used without the text saying so
    drawn_by_import: set[str] = field(default_factory=set)
    stands_for: str | None = None  # code whose results it took over


def execution_of(
    session_id: str, run: Running, outcome: Outcome, ended: float, cpu_ended: float, write_lines: set[int]
) -> Execution:
    """The record of a run that is over; `ended` and `cpu_ended` are readings of the clocks it began with."""
    cell = run.cell
    return Execution(
        execution_id=run.ledger.execution_id,
        session_id=session_id,
        cell_id=cell.cell_id or f"h-{run.facts.source_hash[:16]}",
        execution_count=outcome.execution_count,
        name=cell.name,
        source=cell.source,
        source_hash=run.facts.source_hash,
        started_at=run.started_at,
        seconds=ended - run.clock,
        cpu_seconds=cpu_ended - run.cpu_clock,
        peak_bytes=_peak_bytes(),
        status=outcome.status,
        reused_from=outcome.reused_from,
        error=outcome.error,
        error_line=outcome.error_line,
        tags=dict(cell.tags),
        write_lines=tuple(sorted(line + _blank_above(cell.source) for line in write_lines)),
        tracking_seconds=run.tracking + time.perf_counter() - ended,
        code=run.stands_for,
    )


def _blank_above(source: str) -> int:
    """Lines that IPython drops before it runs a cell: what it runs counts from the first that is not blank."""
    return next((number for number, line in enumerate(source.splitlines()) if line.strip()), 0)


def as_number(value: object) -> float | None:
    """A Python or NumPy number as a float, ``None`` for anything else."""
    scalar = type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    if not scalar and not isinstance(value, (int, float)):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):  # an integer too large, a date, text
        return None


def _peak_bytes() -> int | None:
    """Highest resident size of this process so far."""
    try:
        import resource
    except ImportError:  # Windows has no such figure in the standard library
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
