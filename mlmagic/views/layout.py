"""The step from a lineage to places: cells and files come in, boxes on a grid and curves between them go out.

Everything is placed once, in time order, looking only at what came before: a picture keeps its shape
when the notebook goes on. Boxes stand in rows, below whatever they read; a curve that has to pass a row
keeps to a column that is empty there, or to the lane between two columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

COLUMNS = 3
WIDTH = 880.0
BOX = 260.0
MARGIN = 18.0
LANE = (WIDTH - 2 * MARGIN - COLUMNS * BOX) / (COLUMNS - 1)  # space between two columns
GAP = 48.0  # between rows: room for a curve and its label
Point = tuple[float, float]
Frame = tuple[float, float, float, float]  # left, top, right, bottom
SPREAD = 26.0  # between two curves that end at the same box


@dataclass(frozen=True, slots=True)
class Item:
    """Something to be placed: a box with a height, below the items it depends on."""

    key: str
    height: float
    after: tuple[str, ...]  # keys of items it depends on, the main one last
    aside: bool = False  # leads nowhere: leaves the middle to the main line


@dataclass(frozen=True, slots=True)
class Link:
    """A connection to be drawn between two items."""

    source: str
    target: str
    label: str = ""
    weight: int = 0  # how much flows: the heaviest link pulls its target below its source


@dataclass(frozen=True, slots=True)
class Box:
    """An item in its place."""

    row: int
    column: int
    x: float
    y: float
    height: float

    @property
    def middle(self) -> float:
        """The horizontal middle."""
        return self.x + BOX / 2


@dataclass(frozen=True, slots=True)
class Curve:
    """A link on its way: a path, where it ends, and where its label has room (None: nowhere)."""

    link: Link
    path: str
    end: tuple[float, float]
    label_at: tuple[float, float] | None
    reach: tuple[float, float]  # its leftmost and rightmost point


@dataclass(slots=True)
class Layout:
    """Everything in its place."""

    boxes: dict[str, Box]
    curves: list[Curve]
    height: float

    def sides(self, least: float) -> tuple[float, float]:
        """Where the drawing begins and ends from left to right, at least so wide: empty columns are left out."""
        frames = [frame(curve.link.label, curve.label_at) for curve in self.curves if curve.label_at]
        lefts = [box.x for box in self.boxes.values()] + [f[0] for f in frames] + [c.reach[0] for c in self.curves]
        rights = [box.x + BOX for box in self.boxes.values()] + [f[2] for f in frames]
        rights += [curve.reach[1] for curve in self.curves]
        left, right = min(lefts, default=0.0) - MARGIN / 2, max(rights, default=WIDTH) + MARGIN / 2
        return left, max(right, left + least)


@dataclass(slots=True)
class _Grid:
    """Which place of which row is taken, and by what."""

    taken: dict[tuple[int, int], str] = field(default_factory=dict)
    at: dict[str, tuple[int, int]] = field(default_factory=dict)
    deepest: int = 0
    latest: int = 0  # the row of the item placed last

    def place(self, item: Item) -> None:
        rows = [self.at[key][0] for key in item.after]
        # nothing climbs far above what ran just before it: time flows down the page
        row = max([max(rows) + 1 if rows else self.latest, self.deepest - 1, 0])
        while not (free := [column for column in range(COLUMNS) if (row, column) not in self.taken]):
            row += 1
        home = self.at[item.after[-1]][1] if item.after else COLUMNS // 2
        column = min(free, key=lambda c: (item.aside and c == COLUMNS // 2, abs(c - home), c != home, -c))
        self.taken[row, column] = item.key
        self.at[item.key] = (row, column)
        self.deepest, self.latest = max(self.deepest, row), row

    def is_open(self, column: int, rows: Iterable[int]) -> bool:
        return all((row, column) not in self.taken for row in rows)


def arrange(items: Sequence[Item], links: Sequence[Link]) -> Layout:
    """Place the items in the order given, then draw the links between them."""
    grid = _Grid()
    for item in items:
        grid.place(item)
    heights = [0.0] * (grid.deepest + 1)
    for item in items:
        row = grid.at[item.key][0]
        heights[row] = max(heights[row], item.height)
    tops = [sum(heights[:row]) + GAP * row for row in range(len(heights))]
    boxes = {item.key: _box(grid.at[item.key], tops, item.height) for item in items}
    router = _Router(grid, tops, heights, boxes)
    curves = router.draw([link for link in links if link.source in boxes and link.target in boxes])
    return Layout(boxes, curves, tops[-1] + heights[-1] if items else 0.0)


def _box(place: tuple[int, int], tops: Sequence[float], height: float) -> Box:
    row, column = place
    return Box(row, column, MARGIN + column * (BOX + LANE), tops[row], height)


class _Router:
    """Finds a way for every link."""

    def __init__(self, grid: _Grid, tops: Sequence[float], heights: Sequence[float], boxes: dict[str, Box]) -> None:
        self.grid = grid
        self.boxes = boxes
        self.tops = tops
        self.bottoms = [top + height for top, height in zip(tops, heights, strict=True)]
        self.tracks: list[tuple[float, int, int]] = []  # x, first and last row of vertical runs
        self.labels: list[Frame] = []

    def draw(self, links: list[Link]) -> list[Curve]:
        short_first = sorted(links, key=lambda link: self._rows(link)[1] - self._rows(link)[0])
        tracks = {link: self._track(link) for link in short_first}
        starts = self._ports(tracks, outgoing=True)
        ends = self._ports(tracks, outgoing=False)
        return [self._curve(link, self._way(link, tracks[link], starts[link], ends[link])) for link in links]

    def _rows(self, link: Link) -> tuple[int, int]:
        return self.boxes[link.source].row, self.boxes[link.target].row

    def _track(self, link: Link) -> float | None:
        """Where a link that passes rows runs straight down; None when it passes none."""
        (first, last), between = self._rows(link), range(self._rows(link)[0] + 1, self._rows(link)[1])
        if not between:
            return None
        start, end = self.boxes[link.source].middle, self.boxes[link.target].middle
        near = [box.middle for box in self.boxes.values() if self.grid.is_open(box.column, between)]
        lanes = [MARGIN / 2, WIDTH - MARGIN / 2]
        lanes += [MARGIN + column * (BOX + LANE) - LANE / 2 for column in range(1, COLUMNS)]
        candidates = sorted({x + shift for x in {*near, *lanes} for shift in (0, -9, 9)})
        candidates = [x for x in candidates if 3 <= x <= WIDTH - 3]
        candidates = [x for x in candidates if not self._touches(x, between)] or candidates
        x = min(candidates, key=lambda x: abs(x - start) + abs(x - end) + 400 * self._crowded(x, first, last))
        self.tracks.append((x, first, last))
        return x

    def _ports(self, tracks: dict[Link, float | None], outgoing: bool) -> dict[Link, float]:
        """Where at its box each link begins or ends: side by side, in the order in which they come."""
        groups: dict[str, list[Link]] = {}
        for link in tracks:
            groups.setdefault(link.source if outgoing else link.target, []).append(link)
        ports = {}
        for key, group in groups.items():
            step = min(SPREAD, (BOX - 40) / len(group))
            group.sort(key=lambda link: self._toward(link, tracks[link], outgoing))
            for place, link in enumerate(group):
                ports[link] = self.boxes[key].middle + (place - (len(group) - 1) / 2) * step
        return ports

    def _toward(self, link: Link, track: float | None, outgoing: bool) -> float:
        if track is not None:
            return track
        return self.boxes[link.target if outgoing else link.source].middle

    def _way(self, link: Link, track: float | None, start: float, end: float) -> list[tuple[float, float]]:
        """Corner points from box to box, top to bottom."""
        first, last = self._rows(link)
        source = self.boxes[link.source]
        way = [(start, source.y + source.height), (start, self.bottoms[first])]
        if track is not None:
            way += [(track, self.tops[first + 1]), (track, self.bottoms[last - 1])]
        return [*way, (end, self.tops[last])]

    def _touches(self, x: float, rows: range) -> bool:
        return any(box.row in rows and box.x - 5 < x < box.x + BOX + 5 for box in self.boxes.values())

    def _crowded(self, x: float, first: int, last: int) -> int:
        return sum(abs(x - other) < 8 and first < below and above < last for other, above, below in self.tracks)

    def _curve(self, link: Link, way: list[tuple[float, float]]) -> Curve:
        (x, y), *rest = way
        path = [f"M{x:.0f} {y:.0f}V{rest[0][1]:.0f}"]
        bends = []
        for (x0, y0), (x1, y1) in zip(rest[::2], rest[1::2], strict=False):
            half = (y1 - y0) / 2
            path.append(f"V{y0:.0f}C{x0:.0f} {y0 + half:.0f} {x1:.0f} {y1 - half:.0f} {x1:.0f} {y1:.0f}")
            bends.append(((x0, y0), (x1, y1)))
        label_at = self._room(link.label, bends) if link.label else None
        across = [x for x, _ in way]
        return Curve(link, "".join(path), way[-1], label_at, (min(across), max(across)))

    def _room(self, label: str, bends: list[tuple[Point, Point]]) -> Point | None:
        """Where on the curve the label covers no other label; near its end if possible."""
        places = [place for bend in reversed(bends) for place in _along(bend, label_width(label) / 2)]
        free = [(x, y, frame) for x, y, frame in places if not any(_overlap(frame, other) for other in self.labels)]
        clear = [place for place in free if not any(self._crosses(place[2], track) for track in self.tracks)]
        if not free:
            return None
        x, y, frame = (clear or free)[0]
        self.labels.append(frame)
        return x, y

    def _crosses(self, frame: Frame, track: tuple[float, int, int]) -> bool:
        x, first, last = track
        return frame[0] < x < frame[2] and self.tops[first + 1] < frame[3] and frame[1] < self.bottoms[last - 1]


def _along(bend: tuple[Point, Point], half: float) -> Iterator[tuple[float, float, Frame]]:
    """Places for a label on a bend, the best first, with the frame each would take."""
    (x0, y0), (x1, y1) = bend
    for share in (0.5, 0.66, 0.34, 0.78, 0.22):
        smooth = share * share * (3 - 2 * share)
        x = min(max(x0 + (x1 - x0) * smooth, half + 2), WIDTH - half - 2)
        y = y0 + (y1 - y0) * share
        yield x, y, _around(x, y, half)


def frame(label: str, at: Point) -> Frame:
    """The room a label takes."""
    return _around(*at, label_width(label) / 2)


def _around(x: float, y: float, half: float) -> Frame:
    return x - half - 5, y - 7, x + half + 5, y + 7


def label_width(label: str) -> float:
    """How wide a label is drawn."""
    return 6.2 * len(label)


def _overlap(one: Frame, other: Frame) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
