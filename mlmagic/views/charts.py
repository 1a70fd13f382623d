"""The step from numbers to the marks of an SVG: scales, ticks and words that the pictures of results are made of.

Nothing here knows what the numbers mean. Sizes are in pixels and are not stretched, so words stay readable;
what is too wide for the page is scrolled. Colours come from the page, as everywhere in `views`.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from mlmagic.graph import words
from mlmagic.views import html

Item = TypeVar("Item")
Point = tuple[float, float]

LARGEST = 1e300  # what is beyond leaves no room to compute a width with
LETTER = 6.2  # width of a letter at 11px, rather too much than too little
MANTISSAS = (1, 2, 5)

STYLE = (
    ".mlm-c{margin:0;max-width:100%;overflow-x:auto;overflow-y:hidden}"
    f".mlm-c figcaption{{font:11px/1.5 {html.SANS};color:{html.QUIET};padding:0 0 4px}}"
    f".mlm-c figcaption b{{font-size:12px;font-weight:600;color:{html.TEXT};display:block}}"
    # the class is named twice to outweigh JupyterLab's own rules, here and in `sweeps`
    f".mlm-c.mlm-c svg{{display:block;max-width:none;overflow:visible;"
    f"font:11px {html.SANS};font-variant-numeric:tabular-nums}}"
    f".mlm-c path,.mlm-c circle{{fill:none;stroke-linejoin:round;stroke-linecap:round}}.mlm-c text{{fill:{html.QUIET}}}"
    f".mlm-c .e{{text-anchor:end}}.mlm-c .c{{text-anchor:middle}}.mlm-c .t{{fill:{html.TEXT};font-weight:600}}"
    ".mlm-c .grid{stroke:currentColor;stroke-opacity:.1}.mlm-c .axis{stroke:currentColor;stroke-opacity:.45}"
)


def finite(value: object) -> float | None:
    """The number that can be drawn; ``None`` for anything else: no number, NaN, or too large to compute with."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) <= LARGEST else None  # NaN compares as false


def compact(value: object, digits: int = 4) -> str:
    """A number in few letters: `0.9958`, `12,500`, `1e-5`; anything else by its own text."""
    if finite(value) is None or not isinstance(value, (int, float)):
        return str(value)
    if abs(value) < 1e6 and value == int(value):
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e6:
        return f"{float(f'{value:.{digits}g}'):,.15g}"
    mantissa, _, power = f"{value:.{max(digits - 1, 0)}e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(power)}"


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many items, the first and the last among them, at even distances."""
    if len(items) <= most:
        return list(items)
    if most < 2:
        return list(items[:most])
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values stand on an axis.

    Attributes
    ----------
    low, high : float
        The values at its ends.
    start, end : float
        The pixels at its ends.
    log : bool
        Equal factors are equal distances; `low` is above 0.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; what lies beyond an end stands on it."""
        low, high, here = (math.log10(v) if self.log else v for v in (self.low, self.high, self._inside(value)))
        return self.start + (self.end - self.start) * (here - low) / (high - low)

    def _inside(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def ticks(self, most: int = 5, whole: bool = False) -> list[float]:
        """At most so many round values in the range; only whole numbers where that is wanted."""
        found = self._powers(most) if self.log else []
        return found if len(found) > 1 else self._steps(most, 1.0 if whole else 0.0)

    def _steps(self, most: int, least: float) -> list[float]:
        power = math.floor(math.log10((self.high - self.low) / most))
        sizes = [mantissa * 10.0 ** (power + more) for more in (0, 1) for mantissa in MANTISSAS]
        for size in [*(size for size in sizes if size >= least), max(10.0 ** (power + 2), least)]:
            first, last = math.ceil(self.low / size - 1e-6), math.floor(self.high / size + 1e-6)
            if last - first < most:
                return [number * size for number in range(first, last + 1)]
        return []

    def _powers(self, most: int) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        tens = self._among(10.0**power for power in range(first, last + 1))
        if len(tens) > 2:
            return tens[:: math.ceil(len(tens) / most)]
        found = self._among(size * 10.0**power for power in range(first, last + 1) for size in MANTISSAS)
        return found if len(found) <= most else tens

    def _among(self, values: Iterable[float]) -> list[float]:
        return [value for value in values if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Words for ticks: with as few digits as tell each of them rightly."""
    gap = min((abs(b - a) for a, b in pairwise(ticks)), default=0.0)
    for digits in range(1, 16):
        labels = [compact(tick, digits) for tick in ticks]
        if all(
            abs(float(label.replace(",", "")) - tick) <= gap / 100 for label, tick in zip(labels, ticks, strict=True)
        ):
            return labels
    return [compact(tick) for tick in ticks]


def spread(values: Iterable[float], worse: str = "") -> tuple[float, float]:
    """The range an axis needs, never empty; far outliers at the `worse` end (``low``, ``high``) are cut off.

    A loss that once exploded would press all others into one line, so it ends at Tukey's outer fence
    (Exploratory Data Analysis, 1977): three times the middle half's range beyond it.
    """
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    quarter, three = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    fence = 3 * (three - quarter)
    if worse == "high" and fence and high - low > 2 * (three + fence - low):
        high = three + fence
    if worse == "low" and fence and high - low > 2 * (high - quarter + fence):
        low = quarter - fence
    return widened(low, high)


def widened(low: float, high: float) -> tuple[float, float]:
    """The same range, or one around its value where it is too narrow to compute with."""
    size = max(abs(low), abs(high))
    if high - low > 1e-9 * size and high - low > 1e-290:
        return low, high
    room = size * 0.05 if size > 1e-280 else 1.0
    return low - room, high + room


# Marks -----------------------------------------------------------------------------------------------------


def px(value: float) -> str:
    """A pixel in few letters."""
    return f"{value:.1f}".removesuffix(".0")


def line(points: Iterable[Point]) -> str:
    """The path through points; a single one becomes a dot, because lines have round ends."""
    every = [f"{px(x)} {px(y)}" for x, y in points]
    return f"M{' '.join(every)}h0" if len(every) == 1 else f"M{' '.join(every)}" if every else ""


def box(x: float, y: float, wide: float, high: float) -> str:
    """The shape of a bar; one without a width or height is a line."""
    return f"M{px(x)} {px(y)}h{px(wide)}v{px(high)}h{px(-wide)}z"


def path(face: str, shape: str, tip: str = "") -> str:
    """A path of this look; `tip` shows under the pointer."""
    if not shape:
        return ""
    inside = f"><title>{html.escape(tip)}</title></path>" if tip else "/>"
    return f'<path class="{face}" d="{shape}"{inside}'


def circle(face: str, at: Point, radius: float, tip: str = "") -> str:
    """A dot of this look."""
    inside = f"><title>{html.escape(tip)}</title></circle>" if tip else "/>"
    return f'<circle class="{face}" cx="{px(at[0])}" cy="{px(at[1])}" r="{radius:g}"{inside}'


def label(x: float, y: float, face: str, text: str) -> str:
    """Words; `y` is the middle of their height."""
    return f'<text class="{face}" x="{px(x)}" y="{px(y + 3.8)}">{html.escape(text)}</text>' if text else ""


def width(text: str) -> float:
    """About how wide words are."""
    return LETTER * words.width(text)


def short(text: object, columns: int) -> str:
    """Anything as one line of at most so many columns."""
    return words.shorten(words.safe(str(text)[:500]), columns)


def grid(x: Scale, y: Scale, floor: float) -> str:
    """Faint lines with their values: across the picture for `y`, below its floor for `x`, which counts."""
    rows, columns = y.ticks(5), x.ticks(5, whole=True)
    lines = "".join(f"M{px(x.start)} {px(y.at(tick))}H{px(x.end)}" for tick in rows)
    beside = [label(x.start - 6, y.at(tick), "e", told) for tick, told in zip(rows, tick_labels(rows), strict=True)]
    below = [label(x.at(tick), floor + 11, "c", t) for tick, t in zip(columns, tick_labels(columns), strict=True)]
    return path("grid", lines) + "".join(beside + below)


def mask(holes: Iterable[tuple[float, float, float, float]], size: Point) -> tuple[str, str]:
    """A mask's name and markup: marks under it fade where words stand, for nobody knows the page's colour.

    Parameters
    ----------
    holes : iterable of (x, y, width, height)
    size : (width, height)
        Of the picture.
    """
    area = f'x="0" y="0" width="{px(size[0])}" height="{px(size[1])}"'
    black = "".join(
        f'<rect x="{px(x)}" y="{px(y)}" width="{px(wide)}" height="{px(high)}" rx="3" fill="#000" fill-opacity=".86"/>'
        for x, y, wide, high in holes
    )
    name = f"mlm-{zlib.crc32(f'{area}{black}'.encode()):08x}"  # pictures with equal names have equal holes
    return name, f'<mask id="{name}" maskUnits="userSpaceOnUse" {area}><rect {area} fill="#fff"/>{black}</mask>'


def figure(title: str, legend: Iterable[str], description: str, size: Point, parts: Iterable[Any]) -> str:
    """A picture with its heading: what it shows, what its marks mean, and both once more for who cannot see it."""
    known = " · ".join(html.escape(part) for part in legend if part)
    wide, high, told = px(size[0]), px(size[1]), html.escape(title)
    return (
        f'<figure class="mlm-c" style="width:{wide}px"><figcaption><b>{told}</b>{known}</figcaption>'
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'role="img" aria-label="{told}"><title>{told}</title><desc>{html.escape(description)}</desc>'
        f"{''.join(parts)}</svg></figure>"
    )
