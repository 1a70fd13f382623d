"""What the server tells of itself: answers, batches and times are counted here, and read as numbers or Prometheus text.

Counting must cost next to nothing: a few list and dict increments for each request, none of them allocated anew.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from time import monotonic
from typing import Any

LOG = logging.getLogger("mlmagic.serving")

_STEP = 1.1  # between neighbouring edges: quantiles are right within 5 %
_SHOWN = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
SECONDS = tuple(sorted({*_SHOWN, *(1e-5 * _STEP**power for power in range(170))}))  # up to 98 s
ROWS = tuple(1 << power for power in range(18))
_WINDOW = 10.0  # seconds that the present is made of


class Histogram:
    """Counts of numbers between edges."""

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.sum = 0.0

    def add(self, number: float) -> None:
        self.counts[bisect_left(self.edges, number)] += 1
        self.sum += number


def quantile(edges: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """The edge below which a share of the counted numbers lies; ``None`` where there are none."""
    total = sum(counts)
    if not total:
        return None
    at = bisect_left(list(accumulate(counts)), share * total)
    return edges[min(at, len(edges) - 1)]


class Metrics:
    """Counts since the server's start, and of its last seconds."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.seconds = Histogram(SECONDS)
        self.batches = Histogram(ROWS)
        self.rows = 0
        self._past: deque[tuple[float, int, int, list[int]]] = deque(maxlen=int(_WINDOW) + 1)
        self._noted = self._now()
        self._past.append(self._noted)

    def answered(self, status: int, seconds: float) -> None:
        """Note one answer."""
        self.statuses[status] += 1
        if status == 200:
            self.seconds.add(seconds)

    def scored(self, rows: int) -> None:
        """Note one batch."""
        self.batches.add(rows)
        self.rows += rows

    def tick(self) -> None:
        """Once a second or more often: remember where the counts stand."""
        if monotonic() - self._past[-1][0] >= 1:
            self._past.append(self._now())

    def present(self) -> dict[str, Any]:
        """Of the last ten seconds: requests and rows a second; times that half, and all but 1 %, stayed below."""
        then, now = self._past[0], self._now()
        passed = max(now[0] - then[0], 1e-9)
        counts = [new - old for new, old in zip(now[3], then[3], strict=True)]
        times = {name: quantile(SECONDS, counts, share) for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99))}
        return {
            "requests_per_second": round((now[1] - then[1]) / passed, 1),
            "rows_per_second": round((now[2] - then[2]) / passed, 1),
            **{name: None if time is None else round(time * 1000, 3) for name, time in times.items()},
        }

    def total(self) -> dict[str, Any]:
        """Since the start."""
        codes = {str(status): count for status, count in sorted(self.statuses.items())}
        sizes = {str(edge): count for edge, count in zip(ROWS, self.batches.counts, strict=False) if count}
        return {
            "requests": sum(self.statuses.values()),
            "by_status": codes,
            "rows": self.rows,
            "batches": sum(self.batches.counts),
            "batch_rows": sizes,
        }

    def _now(self) -> tuple[float, int, int, list[int]]:
        return monotonic(), sum(self.statuses.values()), self.rows, self.seconds.counts.copy()


def prometheus(metrics: Metrics, gauges: Mapping[str, float], labels: Mapping[str, Mapping[str, float]]) -> bytes:
    """The text that Prometheus reads.

    Parameters
    ----------
    gauges : mapping
        Name -> number.
    labels : mapping
        Name with the name of its label, as ``drift_statistic:column`` -> label's value -> number.
    """
    lines = [
        "# TYPE mlmagic_requests_total counter",
        *(f'mlmagic_requests_total{{code="{code}"}} {count}' for code, count in sorted(metrics.statuses.items())),
        "# TYPE mlmagic_rows_total counter",
        f"mlmagic_rows_total {metrics.rows}",
        *_histogram("mlmagic_request_seconds", metrics.seconds, _SHOWN),
        *_histogram("mlmagic_batch_rows", metrics.batches, ROWS),
    ]
    for name, number in gauges.items():
        lines += [f"# TYPE mlmagic_{name} gauge", f"mlmagic_{name} {number:g}"]
    for name, numbers in labels.items():
        metric, _, label = name.partition(":")
        lines.append(f"# TYPE mlmagic_{metric} gauge")
        lines += [f'mlmagic_{metric}{{{label}="{_escaped(value)}"}} {number:g}' for value, number in numbers.items()]
    return ("\n".join(lines) + "\n").encode()


def _histogram(name: str, histogram: Histogram, shown: Sequence[float]) -> Iterator[str]:
    below = [0, *accumulate(histogram.counts)]
    yield f"# TYPE {name} histogram"
    for edge in shown:
        yield f'{name}_bucket{{le="{edge:g}"}} {below[bisect_left(histogram.edges, edge) + 1]}'
    yield f'{name}_bucket{{le="+Inf"}} {below[-1]}'
    yield f"{name}_sum {histogram.sum:.9g}"
    yield f"{name}_count {below[-1]}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _printable(text: str) -> str:
    """A text with what clients sent in it, in one line and without orders to a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class Complaints:
    """Errors for the log, at most some a second: whoever provokes them must not fill the disk."""

    def __init__(self, a_second: int = 10) -> None:
        self._most, self._left, self._second = a_second, a_second, 0

    def add(self, what: str, error: BaseException) -> None:
        """Write one down, with where it came from."""
        if (second := int(monotonic())) != self._second:
            self._second, self._left = second, self._most
        if self._left > 0:
            self._left -= 1
            LOG.error("%s", _printable(what), exc_info=error)
