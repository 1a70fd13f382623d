"""The panel's step from runs and what the cache made of them to the section *Reuse*."""

from __future__ import annotations

from typing import Any

from mlmagic.panel.marks import Marks, Run, unkept
from mlmagic.panel.steps import line
from mlmagic.panel.wire import Reuse
from mlmagic.session import Session

MAX_CELLS = 150
_WHY = 160


def ledger(session: Session, marks: Marks) -> Reuse:
    """What reuse saved in this session, what the project keeps, and what became of each cell; newest last."""
    cache = session.cache
    asked = [(cell, run) for cell, run in marks.runs.items() if run.reuse is not None]
    return Reuse(
        mode=session.settings.reuse,
        saved=round(marks.saved, 3),
        computed=round(marks.computed, 3),
        stored=cache.kept()[1] if cache is not None else 0,
        budget=cache.budget if cache is not None else 0,
        cells=[_row(cell, run) for cell, run in asked[-MAX_CELLS:]],
    )


def _row(cell: str, run: Run) -> dict[str, Any]:
    reuse = run.reuse
    assert reuse is not None
    return {
        "id": cell,
        "count": run.execution.execution_count,
        "line": line(run.execution.name, 40) or run.line,
        "decision": reuse.decision,
        "why": _why(run),
        "seconds": round(reuse.seconds, 4),
        "saved": round(reuse.saved, 4),
        "nbytes": reuse.nbytes,
    }


def _why(run: Run) -> str | None:
    """What changed, or what stands in the way; the whole sentence is what `%reuse explain` says."""
    reuse = run.reuse
    why = (unkept(reuse) or reuse.missed or reuse.unkept) if reuse is not None else None
    return line(why, _WHY) if why else None
