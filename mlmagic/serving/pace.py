"""How long a batch takes: times by number of rows come in; the largest batch goes out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any

from mlmagic.bundles.scorer import Scorer, empty_feeds
from mlmagic.errors import MisuseError

USUAL = 256  # rows of a batch, where no curve tells
_SIZES = (1, 8, 64)  # that are measured at the start
_WEIGHT = 0.05  # of the newest batch, when times here are compared with the curve


class Pace:
    """Expected times.

    Parameters
    ----------
    curve : iterable of (int, float)
        Rows of a batch, and its seconds.
    most : int or None
        Rows of the largest batch; ``None``: the largest one of the curve that stays within `seconds`.
    seconds : float
    """

    def __init__(self, curve: Iterable[tuple[int, float]], seconds: float, most: int | None = None) -> None:
        points = sorted(curve)
        self._rows = [rows for rows, _ in points]
        self._seconds = [took for _, took in points]
        self._factor = 1.0  # this machine, beside the one that the curve is of
        self.most = most or max([rows for rows, took in points if took <= seconds], default=1)

    def expected(self, rows: int) -> float:
        """Seconds that a batch will take."""
        return self._at(rows) * self._factor

    def took(self, rows: int, seconds: float) -> None:
        """Learn from a batch."""
        ratio = min(max(seconds / self._at(rows), 0.05), 20.0)
        self._factor += _WEIGHT * (ratio - self._factor)

    def _at(self, rows: int) -> float:
        """On the line between the neighbouring points; beyond the last one in proportion."""
        at = bisect_left(self._rows, rows)
        if at == len(self._rows):
            return self._seconds[-1] * rows / self._rows[-1]
        if at == 0 or self._rows[at] == rows:
            return self._seconds[at]
        left, right = self._rows[at - 1], self._rows[at]
        share = (rows - left) / (right - left)
        return self._seconds[at - 1] + share * (self._seconds[at] - self._seconds[at - 1])


def pace_of(timing: Any, scorer: Scorer, slo_ms: float) -> Pace:
    """By the bundle's curve, or where it has none by a few batches now, which also warm the model up.

    Raises
    ------
    MisuseError
        The curve is none.
    """
    if timing is None:
        return Pace(_measured(scorer), slo_ms / 1000, USUAL)
    try:
        points = [(int(point["rows"]), float(point["seconds"])) for point in _points(timing)]
        if not points or any(rows < 1 or not 0 < took < 1e6 for rows, took in points):
            raise ValueError(points)
    except (KeyError, TypeError, ValueError) as error:
        raise MisuseError("the bundle's timing.json holds no list of rows and seconds") from error
    _measured(scorer, _SIZES[:1])
    return Pace(points, slo_ms / 1000)


def _points(timing: Any) -> Any:
    return timing["curve"] if isinstance(timing, Mapping) else timing


def _measured(scorer: Scorer, sizes: Iterable[int] = _SIZES) -> list[tuple[int, float]]:
    """What the model takes for rows of zeros; a model that does not take those is timed as slow."""
    curve = []
    for rows in sizes:
        feeds = empty_feeds(scorer.schema, rows)
        try:
            scorer.score(feeds)
            begun = perf_counter()
            scorer.score(feeds)
        except MisuseError:
            return [(1, 0.01)]
        curve.append((rows, max(perf_counter() - begun, 1e-6)))
    return curve
