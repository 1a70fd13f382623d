"""The step from verdicts to what their reader sees: rules and what they said come in, a page of static HTML goes out.

From top to bottom: how many fired, each rule with its firing rate, the rate by model version, and the worst rows with
their data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mlmagic.checks.verdicts import (
    GLYPHS,
    AssertionList,
    AssertionReport,
    CheckReport,
    RowList,
    Verdict,
    about,
    left_out_in_words,
    row_table,
)
from mlmagic.results import OUTPUT_LIMIT, TEXT_LIMIT, register_renderer
from mlmagic.views import charts, html

_COLUMNS = (30, 12, 5)  # of worst rows: as many as are light enough
_WIDE = 120  # pixels of a bar for all rows

_STYLE = (
    f".mlm-a{{color:{html.TEXT};font:12px/1.5 {html.SANS};font-variant-numeric:tabular-nums;max-width:1180px}}"
    ".mlm-a .h{font-size:14px;font-weight:600}.mlm-a .x{overflow-x:auto}"
    f".mlm-a.mlm-a p,.mlm-a .q{{margin:6px 0;font:12px/1.5 {html.SANS};color:{html.QUIET}}}"
    ".mlm-a.mlm-a table{margin:0 0 8px}.mlm-a td,.mlm-a th{white-space:nowrap}"
    "table.mlm-t.mlm-t td.w{white-space:normal;overflow-wrap:anywhere;min-width:180px}"
    f".mlm-a .fired{{color:{html.WARN}}}.mlm-a .failed{{color:{html.ERROR}}}.mlm-a .fine{{color:{html.ACCENT}}}"
    f".mlm-a .r{{display:inline-block;width:{_WIDE}px;height:6px;margin-right:8px;vertical-align:middle;"
    "background:color-mix(in srgb,currentColor 14%,transparent)}"
    f".mlm-a .r i{{display:block;height:6px;background:{html.WARN}}}"
    f".mlm-a summary{{cursor:pointer;color:{html.QUIET};padding:4px 0}}"
)


def render(report: CheckReport) -> Mapping[str, str]:
    """The HTML face of a check: as much of it as is light enough."""
    if not report.verdicts:
        return {}
    return _lightest(_page(_check(report, columns)) for columns in _COLUMNS)


def render_rule(report: AssertionReport) -> Mapping[str, str]:
    """The HTML face of one rule."""
    return _lightest(_page(_rule(report.verdict, columns)) for columns in _COLUMNS)


def render_list(found: AssertionList) -> Mapping[str, str]:
    """The HTML face of a list: a rule in each row; nothing where there is none, for the text says what to do."""
    if not found.verdicts:
        return {}
    header = ["assertion", "on", "action", "last check", "firing", "portable"]
    rows = (
        _line(
            [charts.short(one.rule.name, 60), one.rule.model or "any model", one.rule.action],
            f"<td>{_state(one)}</td>{_bar(one)}",
            "yes" if one.rule.portable else f"no: {one.rule.obstacle}",
        )
        for one in found.verdicts
    )
    return _lightest([_page([_table(header, rows)])])


def render_rows(found: RowList) -> Mapping[str, str]:
    """The HTML face of rows with their data."""
    if not found.rows:
        return {}
    heading = f'<div class="h">{html.escape(found.purpose)}</div>'
    return _lightest(_page([heading, _rows(found.rows, columns, "")]) for columns in _COLUMNS)


# The page --------------------------------------------------------------------------------------------------


def _lightest(pages: Iterable[str]) -> Mapping[str, str]:
    """The first page that fits also beside the longest text."""
    fitting = (page for page in pages if html.fits(page) and len(page.encode()) <= OUTPUT_LIMIT - TEXT_LIMIT)
    return next(({"text/html": page} for page in fitting), {})


def _page(parts: Iterable[str]) -> str:
    return f'<div class="mlm-a"><style>{html.TABLE_STYLE}{_STYLE}</style>{"".join(parts)}</div>'


def _check(report: CheckReport, columns: int) -> Iterator[str]:
    yield f'<div class="h" role="status">{html.escape(report.headline)}</div>'
    header = ["assertion", "state", "firing", "worst severity", "what it said"]
    yield _table(header, map(_verdict, report.verdicts))
    if report.left_out:
        yield f"<p>{html.escape(left_out_in_words(report.left_out))}</p>"
    for one in report.verdicts:
        if len(one.history) > 1 or (one.last is not None and one.last.worst):
            name = html.escape(charts.short(one.rule.name, 60))
            opened = ' open=""' if one.state == "fired" else ""
            yield f"<details{opened}><summary>{name}: {_what_is_inside(one)}</summary>{_inside(one, columns)}</details>"


def _what_is_inside(one: Verdict) -> str:
    worst = one.last.worst if one.last is not None else ()
    parts = [f"worst rows: {len(worst)}"] if worst else []
    parts += [f"model versions: {len(one.history)}"] if len(one.history) > 1 else []
    return " · ".join(parts)


def _inside(one: Verdict, columns: int) -> str:
    worst = one.last.worst if one.last is not None else ()
    history = _history(one) if len(one.history) > 1 else ""
    return (_rows(worst, columns) if worst else "") + history


def _rule(one: Verdict, columns: int) -> Iterator[str]:
    yield f'<div class="h {_face(one)}" role="status">{html.escape(one.line)}</div>'
    yield "".join(f"<p>{html.escape(charts.short(line, 400))}</p>" for line in about(one))
    yield html.details("the rule", one.rule.source[:20_000])
    if one.history:
        yield _history(one)
    if one.last is not None and one.last.worst:
        yield _rows(one.last.worst, columns)


def _history(one: Verdict) -> str:
    """A row for each version of the model, oldest first."""
    header = ["model", "checked", "firing", "worst severity", "what it said"]
    rows = [
        _line(
            [charts.short(past.made, 60), datetime.fromtimestamp(past.at, UTC).strftime("%Y-%m-%d %H:%M UTC")],
            _bar_of(past.rate),
            charts.compact(past.severity_max) if past.fired else "",
            past.said,
        )
        for past in one.history[-html.MAX_ROWS :]
    ]
    return _table(header, rows, "by model version")


def _rows(rows: Sequence[Mapping[str, Any]], columns: int, caption: str = "worst rows") -> str:
    header, cells = row_table(rows[: html.MAX_ROWS], columns)
    left = max((len(row["inputs"]) for row in rows), default=0) - columns
    note = f"<p>… {left} more columns: .to_dict() has them</p>" if left > 0 else ""
    return _table([charts.short(name, 24) for name in header], (_line(row) for row in cells), caption) + note


# Parts -----------------------------------------------------------------------------------------------------


def _verdict(one: Verdict) -> str:
    severity = "" if one.last is None or not one.last.fired else charts.compact(one.last.severity_max)
    action = "" if one.rule.action == "monitor" else f" [{one.rule.action}]"
    middle = f"<td>{_state(one)}</td>{_bar(one)}"
    return _line([charts.short(one.rule.name, 60) + action], middle, severity, one.said)


def _state(one: Verdict) -> str:
    return f'<span class="{_face(one)}"><span aria-hidden="true">{GLYPHS[one.state]}</span> {one.state}</span>'


def _face(one: Verdict) -> str:
    return one.state if one.state in ("fired", "failed", "fine") else "q"


def _bar(one: Verdict) -> str:
    return _bar_of(one.rate)


def _bar_of(rate: float | None) -> str:
    """The share of rows as a bar and as a number."""
    if rate is None:
        return "<td></td>"
    wide = 0.0 if not rate else max(1.0, 100 * rate)
    return f'<td class="n"><span class="r"><i style="width:{wide:.1f}%"></i></span>{100 * rate:.3g}%</td>'


def _line(before: Sequence[object], middle: str = "", *after: object) -> str:
    """A row: plain cells around some that are marked up already; the last one may be long."""
    first = "".join(f"<td>{html.escape(charts.short(value, 60))}</td>" for value in before)
    last = [f"<td>{html.escape(value)}</td>" for value in after[:-1]]
    last += [f'<td class="w">{html.escape(charts.short(value, 300))}</td>' for value in after[-1:]]
    return f"<tr>{first}{middle}{''.join(last)}</tr>"


def _table(header: Sequence[str], rows: Iterable[str], caption: str = "") -> str:
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    told = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    body = "".join(list(rows)[: html.MAX_ROWS])
    table = f'<table class="mlm-t">{told}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="x">{table}</div>'


register_renderer(CheckReport, render)
register_renderer(AssertionReport, render_rule)
register_renderer(AssertionList, render_list)
register_renderer(RowList, render_rows)
