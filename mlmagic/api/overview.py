"""`mlmagic.status`: what is recorded here, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mlmagic.config import shown_path
from mlmagic.results import Result
from mlmagic.session import require
from mlmagic.session.project import folder_bytes
from mlmagic.views import tables

__all__ = ["Status", "status"]


@dataclass(frozen=True, repr=False)
class Status(Result):
    """The running session in seven figures."""

    path: str
    session: str
    tracking: bool
    cells_tracked: int
    overhead_ms_per_cell: float
    overhead_percent: float  # of the time the cells themselves took
    bytes: int

    def rows(self) -> Iterator[tuple[str, str]]:
        yield "path", shown_path(self.path)
        yield "session", self.session
        yield "tracking", "on" if self.tracking else "off (%mlmagic on)"
        yield "cells tracked", str(self.cells_tracked)
        yield "overhead", f"{self.overhead_ms_per_cell:.1f} ms per cell, {self.overhead_percent:.1f} %"
        yield "size", f"{self.bytes / 1024:,.0f} kB"

    def text(self) -> str:
        return "\n".join(f"{name:<14} {value}" for name, value in self.rows())

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_pandas(self) -> Any:
        import pandas as pd

        return pd.DataFrame([asdict(self)])


tables.register(Status)


def status() -> Status:
    """The running session: where its history is, how many cells it holds, what tracking costs.

    Raises
    ------
    NotActiveError
        Nothing is tracked in this process.
    """
    session = require()
    found = session.store.status(session.session_id)
    cells, seconds, tracking = found["cells_tracked"], found["seconds"], found["tracking_seconds"]
    return Status(
        path=str(session.project.folder),
        session=session.session_id,
        tracking=session.settings.track,
        cells_tracked=cells,
        overhead_ms_per_cell=1000 * tracking / cells if cells else 0.0,
        overhead_percent=100 * tracking / seconds if seconds else 0.0,
        bytes=folder_bytes(session.project.folder),
    )
