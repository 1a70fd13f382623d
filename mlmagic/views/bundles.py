"""The step from an export or a check to what its reader sees: facts come in, a page of static HTML goes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mlmagic.bundles.checked import GLYPHS, CheckedBundle
from mlmagic.bundles.report import ExportReport, input_rows
from mlmagic.bundles.scoring import ScoreReport
from mlmagic.results import register_renderer
from mlmagic.views import charts, html

_FACES = {"ok": "fine", "failed": "failed", "told": "q"}
_STATES = {"ok": "fine", "failed": "failed", "told": "told"}

_STYLE = (
    f".mlm-b{{color:{html.TEXT};font:12px/1.5 {html.SANS};font-variant-numeric:tabular-nums;max-width:1180px}}"
    ".mlm-b .h{font-size:14px;font-weight:600;overflow-wrap:anywhere}.mlm-b .x{overflow-x:auto}"
    ".mlm-b.mlm-b table{margin:6px 0 8px}.mlm-b table.mlm-t td{overflow-wrap:anywhere}"
    ".mlm-b table.mlm-t td:first-child,.mlm-b .s{white-space:nowrap}"
    f".mlm-b .failed{{color:{html.ERROR}}}.mlm-b .fine{{color:{html.ACCENT}}}.mlm-b .q{{color:{html.QUIET}}}"
    f".mlm-b summary{{cursor:pointer;color:{html.QUIET};padding:4px 0}}"
)


def render_export(report: ExportReport) -> Mapping[str, str]:
    """The HTML face of an export: what there is to say, and the inputs below the fold."""
    facts = [(name, charts.short(told, 400)) for name, told in report.facts()]
    parts = [_headline(report.headline), html.key_values(facts)]
    if report.schema.layout != "tensor":
        inputs = html.table(["column", "type", "null", "seen"], input_rows(report.schema), "", ".to_pandas() has all")
        parts.append(f"<details><summary>inputs: {len(report.schema.fields)}</summary>{inputs}</details>")
    return _light(parts)


def render_check(checked: CheckedBundle) -> Mapping[str, str]:
    """The HTML face of a check: a row for each thing that was looked at."""
    head = (
        '<thead><tr><th scope="col">check</th><th scope="col">state</th><th scope="col">what it found</th></tr></thead>'
    )
    table = f'<table class="mlm-t">{head}<tbody>{"".join(_findings(checked))}</tbody></table>'
    return _light([_headline(checked.headline, "" if checked.ok else "failed"), f'<div class="x">{table}</div>'])


def render_score(report: ScoreReport) -> Mapping[str, str]:
    """The HTML face of a scored file: what was written, and the first rows without an answer."""
    first, *_ = report.text().splitlines()
    rows = [(fault.row, fault.column, charts.short(fault.reason, 200)) for fault in report.faults]
    caption = f"{report.nulls:,} rows have no answer; the first, counted from 0"
    return _light([_headline(first), *([html.table(["row", "column", "why"], rows, caption)] if rows else [])])


def _findings(checked: CheckedBundle) -> Iterator[str]:
    for one in checked.findings[: html.MAX_ROWS]:
        name = one.name if one.part == "bundle" else f"{one.part}: {one.name}"
        glyph = f'<span aria-hidden="true">{GLYPHS[one.state]}</span> {_STATES[one.state]}'
        words = html.escape(charts.short(one.words, 600))
        state = f'<td><span class="s {_FACES[one.state]}">{glyph}</span></td>'
        yield f"<tr><td>{html.escape(charts.short(name, 80))}</td>{state}<td>{words}</td></tr>"


def _headline(text: str, face: str = "") -> str:
    return f'<div class="h {face}" role="status">{html.escape(text)}</div>'


def _light(parts: Iterable[str]) -> Mapping[str, str]:
    page = f'<div class="mlm-b"><style>{html.TABLE_STYLE}{_STYLE}</style>{"".join(parts)}</div>'
    return {"text/html": page} if html.fits(page) else {}


register_renderer(ExportReport, render_export)
register_renderer(CheckedBundle, render_check)
register_renderer(ScoreReport, render_score)
