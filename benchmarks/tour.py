"""The tour, tracked: what share of its time tracking took."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mlmagic
from benchmarks.table import Row

TOUR = Path(__file__).parents[1] / "notebooks" / "00_tour.ipynb"


def measure() -> Iterator[Row]:
    """One row: overhead in milliseconds per cell and in percent."""
    with tempfile.TemporaryDirectory() as folder:
        run = mlmagic.run(shutil.copy(TOUR, folder))
    if run.error:
        raise RuntimeError(f"the tour stopped: {run.error}")
    share, each = 100 * run.tracking_seconds / run.seconds, 1000 * run.tracking_seconds / run.cells
    yield Row("tracking on the tour", f"{share:.1f} %, {each:.1f} ms a cell", f"{run.seconds:.1f} s in all", "", "", "")
