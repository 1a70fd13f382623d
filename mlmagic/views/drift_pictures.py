"""The step from shares to pictures: how rows fall into bins or categories comes in, small SVG pictures go out.

The current data is filled with the page's accent; the reference is an outline in its ink, so it shows on both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from mlmagic.checks.drift.report import ColumnDrift, Shares
from mlmagic.views import charts, html
from mlmagic.views.charts import Scale

SIZE = (264.0, 150.0)  # of one column's picture
MAX_BARS = 8
MAX_NAMES = 10  # columns of the classifier

STYLE = (
    f".mlm-c .cur{{fill:{html.ACCENT};fill-opacity:.55}}"
    f".mlm-c .ref{{stroke:{html.TEXT};stroke-opacity:.8;stroke-width:1.3;stroke-linejoin:miter}}"
    f".mlm-d .k span{{display:inline-block;width:18px;height:9px;margin:0 5px 0 0;box-sizing:border-box}}"
    f".mlm-d .k span+span{{margin-left:0}}.mlm-d .k .r{{border:1.3px solid {html.TEXT}}}"
    f".mlm-d .k .f{{background:{html.ACCENT};opacity:.55;margin-left:14px}}"
)
_FLOOR, _TOP, _ROW = SIZE[1] - 18, 8.0, 16.0
_BAR = 10.0


def percent(share: float) -> str:
    """A share of rows: `12%`, `0.3%`, `<0.1%`."""
    value = 100 * share
    if 0 < abs(value) < 0.1:
        return "<0.1%"
    return f"{value:.0f}%" if abs(value) >= 9.95 else f"{round(value, 1):g}%"


def legend(reference: str, current: str) -> str:
    """What outline and filling stand for."""
    return (
        f'<span class="r" aria-hidden="true"></span>{html.escape(charts.short(reference, 60))} (outline)'
        f'<span class="f" aria-hidden="true"></span>{html.escape(charts.short(current, 60))} (filled)'
    )


def of_column(column: ColumnDrift, glyph: str) -> str:
    """How the column's rows were shared out and are now."""
    shares = column.shares
    if shares is None or not shares.reference:
        return ""
    parts = _bars(shares) if shares.labels else _histogram(shares, column.kind)
    title = f"{glyph} {charts.short(column.name, 30)}"
    return charts.figure(title, [charts.short(column.because, 40)], _told(column), SIZE, parts)


def _told(column: ColumnDrift) -> str:
    return f"{column.verdict}: {charts.short(column.because, 160)}. Shares of the rows, reference and current."


# Numbers: bins side by side --------------------------------------------------------------------------------


def _histogram(shares: Shares, kind: str) -> Iterator[str]:
    """Bins of equal width whatever range they cover: what counts is how many rows fall into each."""
    y = Scale(0, max(*shares.reference, *shares.current, 1e-9), _FLOOR, _TOP)
    x = Scale(0, len(shares.reference), 36, SIZE[0] - 6)
    yield from _levels(x, y)
    wide = x.at(1) - x.at(0)
    gap = min(1.0, wide / 5)
    for place, (was, now) in enumerate(zip(shares.reference, shares.current, strict=True)):
        bar = charts.box(x.at(place) + gap, y.at(now), wide - 2 * gap, _FLOOR - y.at(now))
        yield charts.path("cur", bar, f"{_range(shares.edges, place, kind)}: {percent(was)} → {percent(now)}")
    yield charts.path("ref", _steps(shares.reference, x, y))
    yield charts.path("axis", f"M{charts.px(x.start)} {charts.px(_FLOOR)}H{charts.px(x.end)}")
    yield from _edges(shares.edges, x, kind)


def _levels(x: Scale, y: Scale) -> Iterator[str]:
    ticks = y.ticks(3)
    words = charts.tick_labels([100 * tick for tick in ticks])
    for tick, word in zip(ticks, words, strict=True):
        yield charts.path("grid", f"M{charts.px(x.start)} {charts.px(y.at(tick))}H{charts.px(x.end)}")
        yield charts.label(x.start - 5, y.at(tick), "e", f"{word}%")


def _steps(values: Sequence[float], x: Scale, y: Scale) -> str:
    """The outline of bars that touch."""
    tops = "".join(f"V{charts.px(y.at(value))}H{charts.px(x.at(place + 1))}" for place, value in enumerate(values))
    return f"M{charts.px(x.start)} {charts.px(_FLOOR)}{tops}V{charts.px(_FLOOR)}"


def _edges(edges: Sequence[float], x: Scale, kind: str) -> Iterator[str]:
    """As many edges between bins as there is room for."""
    words = [edge_in_words(edge, kind) for edge in edges]
    widest = max(map(charts.width, words), default=0.0)
    room = min(4, max(2, int((x.end - x.start) // (widest + 14))))
    for place in charts.evenly(range(len(edges)), room):
        at = x.at(place + 1)
        yield charts.path("axis", f"M{charts.px(at)} {charts.px(_FLOOR)}v3")
        yield charts.label(min(at, SIZE[0] - charts.width(words[place]) / 2), _FLOOR + 11, "c", words[place])


def _range(edges: Sequence[float], place: int, kind: str) -> str:
    if not edges:
        return "all"
    if place == 0:
        return f"up to {edge_in_words(edges[0], kind)}"
    low = edge_in_words(edges[place - 1], kind)
    return f"{low} to {edge_in_words(edges[place], kind)}" if place < len(edges) else f"above {low}"


def edge_in_words(edge: float, kind: str) -> str:
    """The end of a bin, a time as its day."""
    if kind != "datetime" or not abs(edge) < 1e11:
        return charts.compact(edge, 3)
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=edge)).strftime("%Y-%m-%d")


# Categories: one below the other ---------------------------------------------------------------------------


def _bars(shares: Shares) -> Iterator[str]:
    """The largest categories of either data, by their share in the reference; the others in one."""
    rows = _largest(shares)
    names = [charts.short(name, 14) for name, _, _ in rows]
    x = Scale(0, max(max(was, now) for _, was, now in rows) or 1.0, max(map(charts.width, names)) + 8, SIZE[0] - 84)
    for place, (name, was, now) in enumerate(rows):
        y = _TOP + place * _ROW
        told = f"{percent(was)} → {percent(now)}" if was else f"new, {percent(now)}"
        yield charts.label(x.start - 6, y + _BAR / 2, "e", names[place])
        yield charts.path("cur", charts.box(x.start, y, x.at(now) - x.start, _BAR), f"{charts.short(name, 80)}: {told}")
        yield charts.path("ref", charts.box(x.start, y, x.at(was) - x.start, _BAR))
        yield charts.label(SIZE[0] - 78, y + _BAR / 2, "", told)


def _largest(shares: Shares) -> list[tuple[str, float, float]]:
    rows = list(zip(shares.labels, shares.reference, shares.current, strict=True))
    if len(rows) > MAX_BARS:
        rows.sort(key=lambda row: -max(row[1:]))
        rest = rows[MAX_BARS - 1 :]
        rows = rows[: MAX_BARS - 1]
    else:
        rest = []
    rows.sort(key=lambda row: (-row[1], -row[2]))
    if rest:
        rows.append((f"{len(rest):,} others", sum(row[1] for row in rest), sum(row[2] for row in rest)))
    return rows


# What the classifier looked at -----------------------------------------------------------------------------


def of_importance(columns: Sequence[tuple[str, float]]) -> str:
    """The columns by which the two were told apart, the strongest first."""
    shown = [(name, share) for name, share in columns[:MAX_NAMES] if (charts.finite(share) or 0) > 0]
    if not shown:
        return ""
    names = [charts.short(name, 28) for name, _ in shown]
    wide, high = 420.0, len(shown) * _ROW + 6
    x = Scale(0, max(share for _, share in shown), max(map(charts.width, names)) + 8, wide - 46)
    parts = []
    for place, (name, share) in enumerate(shown):
        y = 2 + place * _ROW
        parts.append(charts.label(x.start - 6, y + _BAR / 2, "e", names[place]))
        tip = f"{charts.short(name, 80)}: {percent(share)}"
        parts.append(charts.path("cur", charts.box(x.start, y, x.at(share) - x.start, _BAR), tip))
        parts.append(charts.label(x.at(share) + 6, y + _BAR / 2, "", percent(share)))
    left = f"{len(shown)} of {len(columns):,}" if len(columns) > len(shown) else ""
    told = ", ".join(f"{name} {percent(share)}" for name, (_, share) in zip(names, shown, strict=True))
    return charts.figure("Told apart by", [left], told, (wide, high), parts)
