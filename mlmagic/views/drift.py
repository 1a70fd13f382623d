"""The step from a comparison of two data sets to what its reader sees: verdicts come in, static HTML goes out.

From top to bottom: what it came to, the columns with the worst first, pictures of those that moved, and what a
classifier could tell of all columns together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlmagic.checks.drift.report import ColumnDrift, DriftReport, JointDrift, Measured
from mlmagic.results import OUTPUT_LIMIT, TEXT_LIMIT, register_renderer
from mlmagic.views import charts, html
from mlmagic.views import drift_pictures as pictures

FIRST = 10  # columns in sight
MAX_ROWS = 30  # of those that look least like the reference
VERDICTS = {"drift": ("▲", "drift"), "warn": ("△", "warn"), "unknown": ("?", "unknown"), "ok": ("✓", "ok")}

# heading -> what it says, the methods it stands for, and whether they are shares of rows
EFFECTS: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "PSI": ("population stability index", ("psi",), False),
    "KS": ("largest distance between the distribution functions", ("ks",), False),
    "Wasserstein": ("mean shift of the values, in standard deviations of the reference", ("wasserstein",), False),
    "JS": ("Jensen–Shannon distance, base 2", ("jensen_shannon",), False),
    "Cramér’s V": ("association of category and data set", ("chi_square", "cramers_v"), False),
    "new": ("rows in categories that the reference lacks", ("new_categories",), True),
    "range": ("rows outside the range of the reference", ("range",), True),
    "nulls": ("change in the share of nulls", ("nulls",), True),
}

_LINE = f"color-mix(in srgb,{html.TEXT} 18%,transparent)"
_STYLE = (
    f".mlm-d{{color:{html.TEXT};font:12px/1.5 {html.SANS};font-variant-numeric:tabular-nums;"
    f"max-width:1180px;overflow-x:auto}}"
    ".mlm-d .h{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 12px;margin:0 0 8px}"
    ".mlm-d .h b{font-size:14px;font-weight:600}"
    f".mlm-d .q,.mlm-d p{{color:{html.QUIET}}}.mlm-d.mlm-d p{{margin:6px 0;font:12px/1.5 {html.SANS}}}"
    # the class is named twice to outweigh JupyterLab's own rules
    f".mlm-d.mlm-d h4{{margin:16px 0 6px;font:600 12px/1.5 {html.SANS};color:{html.TEXT}}}"
    f".mlm-d .v{{white-space:nowrap}}.mlm-d i{{font-style:normal;margin-right:5px;color:{html.QUIET}}}"
    f".mlm-d i.drift{{color:{html.ERROR}}}.mlm-d i.warn{{color:{html.WARN}}}.mlm-d i.ok{{color:{html.ACCENT}}}"
    f".mlm-d.mlm-d table{{color:{html.TEXT};font:12px/1.5 {html.SANS};border-collapse:collapse;margin:0;border:0}}"
    ".mlm-d.mlm-d.mlm-d tr{background:transparent}"
    ".mlm-d.mlm-d th,.mlm-d.mlm-d td{text-align:left;vertical-align:top;padding:3px 13px 3px 0;border:0;"
    f"border-bottom:1px solid {_LINE};max-width:none}}"
    f".mlm-d.mlm-d thead th{{color:{html.QUIET};font-weight:600;white-space:nowrap}}"
    ".mlm-d.mlm-d th[scope=row]{font-weight:400;white-space:nowrap}"
    ".mlm-d.mlm-d .n{text-align:right;white-space:nowrap}"
    f".mlm-d.mlm-d td.n{{color:{html.QUIET}}}.mlm-d.mlm-d td.n b{{color:{html.TEXT};font-weight:600}}"
    f".mlm-d.mlm-d td:last-child{{min-width:150px;color:{html.QUIET};overflow-wrap:anywhere}}"
    f".mlm-d summary{{cursor:pointer;color:{html.QUIET};padding:6px 0}}"
    ".mlm-d .p{display:flex;flex-wrap:wrap;align-items:flex-end;gap:16px 28px}"
)


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is shown: rows of the table, pictures of columns."""

    rows: int
    pictures: int


# From all there is to what always fits.
_DETAILS = (_Detail(100, 12), _Detail(50, 12), _Detail(30, 8), _Detail(10, 4), _Detail(5, 0))


def render(report: DriftReport) -> Mapping[str, str]:
    """The HTML face: as much of it as is light enough."""
    pages = (_page(report, detail) for detail in _DETAILS)
    return next(({"text/html": page} for page in pages if _is_light(page)), {})


def _is_light(page: str) -> bool:
    """Whether it fits also beside the longest text, so that the picture is never what gives way."""
    return html.fits(page) and len(page.encode()) <= OUTPUT_LIMIT - TEXT_LIMIT


def _page(report: DriftReport, detail: _Detail) -> str:
    ranked = sorted(report.columns, key=_rank)
    parts = [_headline(report), *(f"<p>{html.escape(charts.short(note, 300))}</p>" for note in report.notes[:5])]
    parts += [_columns(ranked, detail.rows), _moved(report, ranked, detail.pictures)]
    parts.append(_joint(report.joint) if report.joint else "")
    return f'<div class="mlm-d"><style>{charts.STYLE}{pictures.STYLE}{_STYLE}</style>{"".join(parts)}</div>'


def _rank(column: ColumnDrift) -> tuple[int, float]:
    """Worst first: by verdict, then by how far the furthest effect is beyond its threshold."""
    beyond = [
        abs(statistic) / threshold
        for measure in column.measures
        if (statistic := charts.finite(measure.statistic)) is not None
        and (threshold := charts.finite(measure.threshold))
    ]
    return list(VERDICTS).index(column.verdict), -max(beyond, default=0.0)


# What it came to -------------------------------------------------------------------------------------------


def _headline(report: DriftReport) -> str:
    names = f"{_name(report.reference)} → {_name(report.current)}"
    facts = " · ".join(_facts(report))
    return (
        f'<div class="h" role="status"><b>{html.escape(names)}</b>'
        f"<span>{_mark(_worst(report))}{html.escape(_sum(report))}</span>"
        f'<span class="q">{html.escape(facts)}</span></div>'
    )


def _worst(report: DriftReport) -> str:
    """The verdict for the whole; what nobody could look at does not outweigh what is fine."""
    found = {column.verdict for column in report.columns} | ({report.joint.verdict} if report.joint else set())
    return next((verdict for verdict in ("drift", "warn", "ok") if verdict in found), "unknown")


def _sum(report: DriftReport) -> str:
    """`3 of 14 columns drifted, 1 warns, 2 unknown`."""
    counts = {verdict: sum(column.verdict == verdict for column in report.columns) for verdict in VERDICTS}
    of = f"{len(report.columns):,} {'column' if len(report.columns) == 1 else 'columns'}"
    told = f"{counts['drift']:,} of {of} drifted" if counts["drift"] else f"none of {of} drifted"
    told += f", {counts['warn']:,} {'warns' if counts['warn'] == 1 else 'warn'}" if counts["warn"] else ""
    return told + (f", {counts['unknown']:,} unknown" if counts["unknown"] else "")


def _facts(report: DriftReport) -> Iterator[str]:
    yield f"{report.reference_rows:,} rows → {report.current_rows:,} rows"
    if report.joint is not None:
        auc = charts.finite(report.joint.measured.statistic)
        yield f"all columns together: {report.joint.verdict}" + ("" if auc is None else f", AUC {auc:.3f}")
    yield f"alpha {charts.compact(report.alpha)}"


def _name(text: str) -> str:
    return charts.short(text, 60)


def _mark(verdict: str) -> str:
    """The glyph of a verdict; its word stands beside it."""
    return f'<i class="{verdict}" aria-hidden="true">{VERDICTS[verdict][0]}</i>'


# The columns -----------------------------------------------------------------------------------------------


def _columns(ranked: Sequence[ColumnDrift], most: int) -> str:
    """The table of columns, worst first: some in sight, more below the fold."""
    if not ranked:
        return "<p>No columns were compared.</p>"
    effects = [name for name in EFFECTS if any(_of(column, name) for column in ranked)]
    rows = [_row(column, effects) for column in ranked[:most]]
    parts = [_table(effects, rows[:FIRST])]
    if len(rows) > FIRST:
        parts.append(f"<details><summary>{len(rows) - FIRST} more</summary>{_table(effects, rows[FIRST:])}</details>")
    left = len(ranked) - len(rows)
    parts.append(f"<p>… {left:,} more columns: <code>.to_pandas()</code> has them all</p>" if left else "")
    return "".join(parts)


def _table(effects: Sequence[str], rows: Sequence[str]) -> str:
    shown = [f'<th scope="col" class="n" title="{html.escape(EFFECTS[name][0])}">{name}</th>' for name in effects]
    smallest = '<th scope="col" class="n" title="smallest p-value, corrected for the columns looked at">q</th>'
    head = "".join(f'<th scope="col">{name}</th>' for name in ("column", "verdict", "kind"))
    why = '<th scope="col">why</th>'
    return f"<table><thead><tr>{head}{''.join(shown)}{smallest}{why}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row(column: ColumnDrift, effects: Sequence[str]) -> str:
    name = charts.short(column.name, 28)
    tip = f' title="{html.escape(charts.short(column.name, 200))}"' if name != column.name else ""
    verdict = f'<td class="v">{_mark(column.verdict)}{VERDICTS[column.verdict][1]}</td>'
    cells = [_effect(_of(column, effect), EFFECTS[effect][2]) for effect in effects]
    first = column.because.partition(";")[0]  # the statistics after it stand in their own columns
    why = f"<td>{html.escape(charts.short(first, 160))}</td>"
    kind = f"<td>{html.escape(charts.short(column.kind, 20))}</td>"
    return f'<tr><th scope="row"{tip}>{html.escape(name)}</th>{verdict}{kind}{"".join(cells)}{_q(column)}{why}</tr>'


def _of(column: ColumnDrift, effect: str) -> Measured | None:
    return next((measure for measure in column.measures if measure.method in EFFECTS[effect][1]), None)


def _effect(measure: Measured | None, share: bool) -> str:
    """An effect's size, in ink where it counts as drift; the threshold shows under the pointer."""
    value = None if measure is None else charts.finite(measure.statistic)
    if measure is None or value is None:
        return '<td class="n">–</td>' if measure is not None else '<td class="n"></td>'
    told = pictures.percent(value) if share else _number(value)
    limit = charts.finite(measure.threshold)
    tip = "" if limit is None else f' title="counts from {pictures.percent(limit) if share else _number(limit)} on"'
    return f'<td class="n"{tip}>{f"<b>{told}</b>" if measure.drifted else told}</td>'


def _q(column: ColumnDrift) -> str:
    found = [q for measure in column.measures if (q := charts.finite(measure.q_value)) is not None]
    return f'<td class="n">{_chance(min(found)) if found else ""}</td>'


def _number(value: float) -> str:
    """Three decimals, so that a column of them can be read downwards."""
    return f"{value:.3f}" if abs(value) < 1000 else charts.compact(value, 3)


def _chance(value: float) -> str:
    return "&lt;0.001" if value < 0.0005 else f"{value:.3f}"


# Those that moved ------------------------------------------------------------------------------------------


def _moved(report: DriftReport, ranked: Sequence[ColumnDrift], most: int) -> str:
    """A picture of each column that drifted or warns."""
    moved = [column for column in ranked if column.verdict in ("drift", "warn") and column.shares is not None]
    drawn = [pictures.of_column(column, VERDICTS[column.verdict][0]) for column in moved[:most]]
    if not drawn:
        return ""
    left = f", {len(drawn)} of {len(moved):,}" if len(moved) > len(drawn) else ""
    head = f'<h4>Columns that moved{left}</h4><p class="k">{pictures.legend(report.reference, report.current)}</p>'
    return f'{head}<div class="p">{"".join(drawn)}</div>'


# All together ----------------------------------------------------------------------------------------------


def _joint(joint: JointDrift) -> str:
    told = "".join(f"<p>{sentence}</p>" for sentence in _told(joint))
    strongest = pictures.of_importance(joint.columns)
    picture = f'<div class="p">{strongest}</div>' if strongest else ""
    verdict = f"{_mark(joint.verdict)}{VERDICTS[joint.verdict][1]}"
    return f"<h4>All columns together: {verdict}</h4>{told}{picture}"


def _told(joint: JointDrift) -> Iterator[str]:
    """What the classifier found, in sentences."""
    auc = charts.finite(joint.measured.statistic)
    if auc is not None:
        yield f"A classifier tells the two apart with an AUC of {auc:.3f}; 0.5 is by chance, 1 is always."
    if joint.measured.note:
        yield html.escape(charts.short(joint.measured.note, 300))
    if joint.rows:
        shown = ", ".join(map(str, joint.rows[:MAX_ROWS]))
        more = f" and {len(joint.rows) - MAX_ROWS:,} more" if len(joint.rows) > MAX_ROWS else ""
        yield f"Current rows least like the reference, by number: {shown}{more}"
    if joint.left_out:
        names = ", ".join(charts.short(name, 30) for name in joint.left_out[:10])
        more = f" and {len(joint.left_out) - 10:,} more" if len(joint.left_out) > 10 else ""
        yield html.escape(f"Not used, for they differ anyway: {names}{more}")


register_renderer(DriftReport, render)
