"""The step from an evaluation's numbers to pictures: confusion, curves, calibration, residuals and intervals as SVG.

The model has the page's accent; what it is compared with, its ink, dashed or faint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from mlmagic.insight.report import Estimate, EvaluationResult, number
from mlmagic.insight.shapes import METRICS, Bin, Calibration, Curves
from mlmagic.views import charts, html
from mlmagic.views.charts import Point, Scale

MOST_CLASSES = 20
SIDE = 210.0  # of the square that a curve is drawn in
_LEFT, _TOP = 34.0, 8.0
_OUTLINE = (_LEFT + SIDE + 8, _TOP + SIDE + 34)

STYLE = (
    f".mlm-c .curve{{stroke:{html.ACCENT};stroke-width:1.8}}"
    ".mlm-c .than{stroke:currentColor;stroke-opacity:.5;stroke-dasharray:3 4}"
    f".mlm-c .at{{fill:{html.ACCENT}}}.mlm-c .whisker{{stroke:{html.ACCENT};stroke-width:1.4;stroke-opacity:.75}}"
    f".mlm-c .cloud{{stroke:{html.ACCENT};stroke-opacity:.5;stroke-width:4}}"
    f".mlm-c path.bars{{fill:{html.ACCENT};fill-opacity:.35}}"
    f".mlm-c .cell{{fill:{html.ACCENT}}}.mlm-c .wrong{{fill:{html.WARN}}}"
    ".mlm-c .frame{fill:none;stroke:currentColor;stroke-opacity:.14}"
    f".mlm-c text.big{{fill:{html.TEXT};font-size:12px}}.mlm-c text.dim{{fill-opacity:.75}}"
    ".mlm-c .faint{opacity:.45}"
)


# Confusion -------------------------------------------------------------------------------------------------


def confusion(result: EvaluationResult) -> str:
    """Counts of told classes for each true one; the fuller a cell, the more of its row."""
    counts, labels = result.curves.confusion, result.classes
    if not counts or len(labels) > MOST_CLASSES:
        return ""
    wide, high = _cell_size(counts)
    names = [_both_ends(label) for label in labels]
    longest = max(map(charts.width, names)) * 1.08  # they are bold
    left, slanted = longest + 30, longest > wide - 4
    top = 24 + (longest * 0.75 + 8 if slanted else 12)
    size = (left + wide * len(labels) + (longest * 0.75 if slanted else 8), top + high * len(labels) + 6)
    middle = left + wide * len(labels) / 2, top + high * len(labels) / 2
    parts = [charts.label(middle[0], 8, "c", "predicted"), _sideways(9, middle[1])]
    for place, name in enumerate(names):
        parts.append(charts.label(left - 6, top + high * (place + 0.5), "e t", name))
        parts.append(_heading(left + wide * (place + 0.5), top - 8, name, slanted))
    parts += _cells(result, left, top, (wide, high))
    legend = ["share of the row" if wide > 40 else "counts; shares under the pointer"]
    right = sum(row[place] for place, row in enumerate(counts))
    told = f"{right:,} of {sum(map(sum, counts)):,} rows lie on the diagonal."
    return charts.figure("confusion matrix", legend, told, size, parts)


def _both_ends(label: str) -> str:
    """A class's name in few letters: of a long one both ends, for names in rows differ at theirs."""
    told = charts.short(label, 60)
    return told if len(told) <= 13 else f"{told[:6]}…{told[-6:]}"


def _cell_size(counts: Sequence[Sequence[int]]) -> Point:
    many, digits = len(counts), max(charts.width(f"{count:,}") for row in counts for count in row)
    if many <= 4:
        return max(66.0, digits + 16), 44.0
    if many <= 8:
        return max(48.0, digits + 10), 34.0
    return max(24.0, digits + 6), 20.0


def _heading(x: float, y: float, name: str, slanted: bool) -> str:
    if not slanted:
        return charts.label(x, y, "c t", name)
    at = f"{charts.px(x)} {charts.px(y + 4)}"
    return f'<g transform="translate({at}) rotate(-45)">{charts.label(0, 0, "t", name)}</g>'


def _sideways(x: float, y: float) -> str:
    """The word beside the rows."""
    return f'<g transform="translate({charts.px(x)} {charts.px(y)}) rotate(-90)">{charts.label(0, 0, "c", "true")}</g>'


def _cells(result: EvaluationResult, left: float, top: float, size: Point) -> Iterator[str]:
    """A rectangle and its words for each pair of classes."""
    roomy = size[0] > 40
    for i, row in enumerate(result.curves.confusion):
        for j, count in enumerate(row):
            share = count / max(sum(row), 1)
            x, y = left + j * size[0], top + i * size[1]
            told = [charts.short(result.classes[place], 30) for place in (i, j)]
            tip = f"true {told[0]}, predicted {told[1]}: {count:,} rows, {share:.1%} of the row"
            yield _box(x, y, size, "cell" if i == j else "wrong", share, tip)
            if not count and not roomy:
                continue  # a wide matrix is mostly zeros: what is left blank lets the errors be seen
            middle = y + size[1] / 2
            yield charts.label(x + size[0] / 2, middle - (7 if roomy else 0), "c big", f"{count:,}")
            yield charts.label(x + size[0] / 2, middle + 8, "c dim", f"{share:.0%}") if roomy else ""


def _box(x: float, y: float, size: Point, face: str, share: float, tip: str) -> str:
    """A cell; an empty one has its outline alone, for a wide matrix is mostly these."""
    wide, high = charts.px(size[0] - 2), charts.px(size[1] - 2)
    area = f'x="{charts.px(x + 1)}" y="{charts.px(y + 1)}" width="{wide}" height="{high}" rx="3"'
    if not share:
        return f'<rect class="frame" {area}/>'
    told = f"<title>{html.escape(tip)}</title>"
    return f'<rect class="{face}" {area} fill-opacity="{0.12 + 0.3 * share:.2f}">{told}</rect>'


# Curves over thresholds ------------------------------------------------------------------------------------


def roc(result: EvaluationResult) -> str:
    """Positives found over false alarms; the diagonal is chance."""
    if not result.curves.roc:
        return ""
    x, y = _unit_axes()
    area = result.metrics["roc_auc"].words
    parts = [_grid(x, y, "share of negatives told positive"), charts.path("than", _straight(x, y, (0, 0), (1, 1)))]
    parts.append(charts.path("curve", charts.line((x.at(a), y.at(b)) for a, b in result.curves.roc)))
    legend = [f"area {area}", "dashed: chance"]
    return charts.figure("ROC: positives found", legend, f"The area under the curve is {area}.", _OUTLINE, parts)


def precision_recall(result: EvaluationResult) -> str:
    """Precision over recall; the level line is the share of positives, which guessing reaches."""
    if not result.curves.precision_recall:
        return ""
    x, y = _unit_axes()
    matrix = result.curves.confusion
    share = sum(matrix[1]) / sum(map(sum, matrix))
    told = result.metrics["average_precision"].words
    parts = [_grid(x, y, "recall"), charts.path("than", _straight(x, y, (0, share), (1, share)))]
    parts.append(charts.path("curve", charts.line((x.at(a), y.at(b)) for a, b in result.curves.precision_recall)))
    legend = [f"average {told}", "dashed: chance"]
    return charts.figure("precision by recall", legend, f"The average precision is {told}.", _OUTLINE, parts)


def _unit_axes() -> tuple[Scale, Scale]:
    return Scale(0, 1, _LEFT, _LEFT + SIDE), Scale(0, 1, _TOP + SIDE, _TOP)


def _straight(x: Scale, y: Scale, start: Point, end: Point) -> str:
    return charts.line([(x.at(start[0]), y.at(start[1])), (x.at(end[0]), y.at(end[1]))])


def _grid(x: Scale, y: Scale, below: str) -> str:
    """Faint lines and values both ways, and what the lower axis says; in `charts` that one only counts."""
    rows, columns = y.ticks(6), x.ticks(6)
    lines = "".join(f"M{charts.px(x.start)} {charts.px(y.at(tick))}H{charts.px(x.end)}" for tick in rows)
    lines += "".join(f"M{charts.px(x.at(tick))} {charts.px(y.start)}V{charts.px(y.end)}" for tick in columns)
    parts = [charts.path("grid", lines)]
    for tick, told in zip(rows, charts.tick_labels(rows), strict=True):
        parts.append(charts.label(x.start - 5, y.at(tick), "e", told))
    for tick, told in zip(columns, charts.tick_labels(columns), strict=True):
        parts.append(charts.label(x.at(tick), y.start + 11, "c", told))
    parts.append(charts.label((x.start + x.end) / 2, y.start + 27, "c", below))
    return "".join(parts)


# Calibration -----------------------------------------------------------------------------------------------


def calibration(result: EvaluationResult) -> str:
    """What came true over what was predicted, with intervals; right probabilities lie on the diagonal."""
    found = result.curves.calibration
    if found is None:
        return ""
    x, y = _unit_axes()
    parts = [_grid(x, y, _predicted(result)), charts.path("than", _straight(x, y, (0, 0), (1, 1)))]
    parts += [_bin(x, y, one) for one in found.bins]
    legend = [_rows_of_bins(found), "dashed: right"]
    told = f"ECE {number(found.ece)}; by chance up to {number(found.by_chance)}."
    return charts.figure("calibration: share that came true", legend, told, _OUTLINE, parts)


def _predicted(result: EvaluationResult) -> str:
    if result.kind == "binary":
        return f"predicted probability of {charts.short(result.positive, 12)}"
    return "probability of the likeliest class"


def _rows_of_bins(found: Calibration) -> str:
    rows = [one.rows for one in found.bins]
    each = f"{min(rows):,}" if min(rows) == max(rows) else f"{min(rows):,} to {max(rows):,}"
    return f"{len(rows)} bins of {each} rows" if len(rows) > 1 else f"one bin of {each} rows"


def _bin(x: Scale, y: Scale, one: Bin) -> str:
    at = x.at(one.predicted), y.at(one.observed)
    whisker = f"M{charts.px(at[0])} {charts.px(y.at(one.low))}V{charts.px(y.at(one.high))}"
    tip = f"{one.rows:,} rows: predicted {number(one.predicted)}, came true {number(one.observed)}"
    return charts.path("whisker", whisker) + charts.circle("at", at, 3.2, tip)


# Regression ------------------------------------------------------------------------------------------------


def residuals(result: EvaluationResult) -> str:
    """What was predicted too much, over the prediction."""
    points = result.curves.residuals
    if not points:
        return ""
    x = Scale(*charts.widened(min(p for p, _ in points), max(p for p, _ in points)), _LEFT + 20, _LEFT + 300)
    y = Scale(*_range(result.curves), _TOP + SIDE, _TOP)
    parts = [_grid(x, y, "prediction"), charts.path("than", _straight(x, y, (x.low, 0), (x.high, 0)))]
    parts.append(charts.path("cloud", "".join(charts.line([(x.at(a), y.at(b))]) for a, b in points)))
    shown = f"{len(points)} of {result.counts['test']:,} rows" if len(points) < result.counts["test"] else ""
    told = f"The mean residual is {result.metrics['bias'].words}."
    legend = ["prediction − truth", "dashed: exact", shown]
    return charts.figure("residuals by prediction", legend, told, (_LEFT + 312, _OUTLINE[1]), parts)


def _range(curves: Curves) -> Point:
    """The residuals' axis, with 0 on it; the same in both pictures."""
    edges = curves.histogram[0]
    return charts.widened(min(edges[0], 0.0), max(edges[-1], 0.0))


def histogram(result: EvaluationResult) -> str:
    """How often residuals of each size occur, lying beside their cloud on the same axis."""
    edges, counts = result.curves.histogram
    if not counts:
        return ""
    y = Scale(*_range(result.curves), _TOP + SIDE, _TOP)
    x = Scale(0, max(counts), _LEFT + 20, _LEFT + 150)
    start = charts.px(x.start)
    bars = "".join(
        f"M{start} {charts.px(y.at(low))}H{charts.px(x.at(count))}V{charts.px(y.at(high))}H{start}"
        for (low, high), count in zip(pairwise(edges), counts, strict=True)
        if count
    )
    zero = charts.path("than", f"M{charts.px(x.start)} {charts.px(y.at(0))}H{charts.px(x.end)}")
    parts = [_grid(x, y, "rows"), charts.path("bars", bars), zero]
    told = f"{sum(counts):,} residuals in {len(counts)} bins."
    return charts.figure("residuals", ["how many rows"], told, (_LEFT + 162, _OUTLINE[1]), parts)


# Intervals -------------------------------------------------------------------------------------------------


def intervals(result: EvaluationResult, by: str, name: str, most: int = 30) -> str:
    """A dot with its interval for each class or group, under each other, and a line where all rows together stand."""
    groups = result.groups(by)[:most]
    found = [(group, result.of("test", by, group)) for group in groups]
    known = [(group, row[name]) for group, row in found if name in row and row[name].value is not None]
    if len(known) < 2:
        return ""
    every = result.metrics.get(name) or result.metrics.get(_overall(name))
    labels = [f"{charts.short(group, 22)} ({one.rows:,})" for group, one in known]
    left = max(map(charts.width, labels)) + 10
    x = Scale(*_ends([one for _, one in known], every), left, left + 220)
    floor = 6.0 + 18 * len(known)
    parts = [_upright_grid(x, floor)]
    if every is not None and every.value is not None:
        parts.append(charts.path("than", f"M{charts.px(x.at(every.value))} 2V{charts.px(floor)}"))
    for place, ((group, one), label) in enumerate(zip(known, labels, strict=True)):
        faint = bool((result.judged or {}).get(group)) and by != "class"
        parts.append(_whisker(x, 14.0 + 18 * place, one, label, faint))
    legend = ["(rows)", f"dashed: all, {every.number}" if every is not None and every.value is not None else ""]
    legend.append("faint: too few rows" if _any_faint(result, by, [group for group, _ in known]) else "")
    title = f"{METRICS[name].words} by {charts.short(by, 30)}"
    told = "; ".join(f"{charts.short(group, 30)}: {one.words}" for group, one in known)
    return charts.figure(title, legend, told, (left + 232, floor + 20), parts)


def _overall(name: str) -> str:
    """The statistic of all rows that is the mean of a class's."""
    return {"recall": "balanced_accuracy", "roc_auc": "roc_auc_ovr"}.get(name, "")


def _any_faint(result: EvaluationResult, by: str, groups: Sequence[str]) -> bool:
    return by != "class" and any((result.judged or {}).get(group) for group in groups)


def _ends(known: Sequence[Estimate], every: Estimate | None) -> Point:
    """The axis that all intervals fit on."""
    shown = [*known, every] if every is not None else known
    values = [value for one in shown for value in (one.value, one.low, one.high) if value is not None]
    low, high = charts.widened(min(values), max(values))
    return low - (high - low) * 0.03, high


def _upright_grid(x: Scale, floor: float) -> str:
    ticks = x.ticks(5)
    lines = charts.path("grid", "".join(f"M{charts.px(x.at(tick))} 2V{charts.px(floor)}" for tick in ticks))
    labels = zip(ticks, charts.tick_labels(ticks), strict=True)
    return lines + "".join(charts.label(x.at(tick), floor + 11, "c", told) for tick, told in labels)


def _whisker(x: Scale, y: float, one: Estimate, label: str, faint: bool) -> str:
    value = one.value or 0.0
    low, high = (value if end is None else end for end in (one.low, one.high))
    shape = f"M{charts.px(x.at(low))} {charts.px(y)}H{charts.px(x.at(high))}"
    inside = charts.path("whisker", shape) + charts.circle("at", (x.at(value), y), 3.4, f"{label}: {one.words}")
    return charts.label(x.start - 8, y, "e", label) + (f'<g class="faint">{inside}</g>' if faint else inside)
