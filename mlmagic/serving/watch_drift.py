"""The step from batches to drift: an endpoint's last rows come in, how far they are from their reference goes out."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.folder import PROFILE, Bundle
from mlmagic.bundles.profiling import profile_in, seen_columns
from mlmagic.bundles.rows import rows_of
from mlmagic.checks.drift import compare
from mlmagic.checks.drift.report import DriftReport
from mlmagic.checks.profile import Profile
from mlmagic.errors import MlmagicError
from mlmagic.records import Drift, new_id
from mlmagic.serving.answered import Answered
from mlmagic.tables.of_arrays import ArraysTable

WINDOW, FEWEST = 5_000, 200  # rows that are compared: the last ones; and how many there have to be
EVERY_ROWS, EVERY_SECONDS = 1_000, 30.0  # new rows, or seconds with some new rows, until the next comparison
FIRST_SECONDS = 2.0  # until the first comparison, which somebody may be waiting for
SHARE = 0.1  # of the watcher's time that goes into comparing
WRITE_SAME, WRITE_CHANGED = 60.0, 5.0  # seconds between two comparisons in the journal


def drift_watch(bundle: Bundle, endpoint_id: str) -> DriftWatch | None:
    """What looks for drift; ``None`` where the bundle has no reference."""
    return DriftWatch(bundle, endpoint_id) if bundle.has(PROFILE) else None


def reference_of(bundle: Bundle) -> Profile:
    """The profile of the data that a bundle was exported with.

    Raises
    ------
    MisuseError
        There is none, or it is damaged.
    """
    return profile_in(bundle.read(PROFILE))


class DriftWatch:
    """A window over an endpoint's rows, compared with the bundle's reference from time to time.

    Parameters
    ----------
    bundle : Bundle
    endpoint_id : str
    """

    def __init__(self, bundle: Bundle, endpoint_id: str) -> None:
        self._schema = bundle.schema
        self._names = f"bundle:{bundle.name}", f"endpoint:{endpoint_id}"
        self._note: str | None = None
        self._reference = self._loaded(bundle)
        self._wanted = frozenset(column.name for column in self._reference.columns) if self._reference else frozenset()
        self._window: deque[dict[str, NDArray[Any]]] = deque()
        self._rows = 0  # in the window
        self._new = 0  # of them since the last comparison
        self._looked, self._took = time.time(), 0.0
        self._report: DriftReport | None = None
        self._at: float | None = None  # of the last comparison
        self._written, self._known = 0.0, ""

    def take(self, answered: Answered) -> None:
        """Add a batch; the oldest rows go."""
        found = seen_columns(self._schema, answered.feeds, answered.answers) if self._wanted else {}
        columns = {name: column for name, column in found.items() if name in self._wanted and column.ndim == 1}
        if not columns:
            return
        self._window.append(columns)
        self._rows += rows_of(columns)
        self._new += rows_of(columns)
        while self._rows - rows_of(self._window[0]) >= WINDOW:
            self._rows -= rows_of(self._window.popleft())

    def look(self, now: float, *, last: bool = False) -> list[Drift]:
        """Compare when enough is new; the rows that are due for the journal."""
        if self._reference is None or not self._is_due(now, last):
            return []
        self._looked, self._new = now, 0
        began = time.perf_counter()
        try:
            self._report = compare(self._reference, self._table(), joint=False)
            self._note = None
        except MlmagicError as error:  # without scipy, or with nothing to compare
            self._note = str(error)
            return []
        finally:
            self._took = time.perf_counter() - began
        self._at = now
        return self._to_write(self._report, now, last)

    def told(self) -> dict[str, Any]:
        """How things stand, as plain values."""
        report = self._report
        return {
            "verdict": None if report is None else "drift" if report.drifted else "ok",
            "columns": 0 if report is None else len(report.columns),
            "drifted": [] if report is None else list(report.drifted),
            "rows": 0 if report is None else report.current_rows,
            "at": self._at,
            "note": self._note or (None if report is not None else f"compared from {FEWEST} rows on"),
        }

    def _loaded(self, bundle: Bundle) -> Profile | None:
        try:
            return reference_of(bundle)
        except MlmagicError as error:
            self._note = str(error)
            return None

    def _is_due(self, now: float, last: bool) -> bool:
        if self._rows < FEWEST or not self._new:
            return False
        passed = now - self._looked
        if self._report is None and passed >= FIRST_SECONDS:
            return True
        return last or (passed >= self._took / SHARE and (self._new >= EVERY_ROWS or passed >= EVERY_SECONDS))

    def _table(self) -> ArraysTable:
        names = self._window[-1]
        return ArraysTable({name: np.concatenate([part[name] for part in self._window]) for name in names})

    def _to_write(self, report: DriftReport, now: float, last: bool) -> list[Drift]:
        """The statistics, where they say something new or a minute has passed."""
        known = repr([(column.name, column.verdict) for column in report.columns])
        wait = WRITE_SAME if known == self._known else WRITE_CHANGED
        if not last and now - self._written < wait:
            return []
        self._written, self._known = now, known
        drift_id = new_id()
        return [
            Drift(
                drift_id, now, *self._names, column.name, one.method, one.statistic, one.p_value, one.threshold,
                one.drifted, one.q_value, note=one.note or None,
            )
            for column in report.columns
            for one in column.measures
        ]  # fmt: skip
