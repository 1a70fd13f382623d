"""The step from endpoints to what their reader sees: states and logs come in, a page of static HTML goes out.

From top to bottom: how it stands, its traffic in large figures, how many rows its batches had, what its rules said,
what drifted; everything as it was when it was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlmagic.results import OUTPUT_LIMIT, TEXT_LIMIT, register_renderer
from mlmagic.serving.reports import GLYPHS, EndpointList, EndpointReport, PredictionLog, about, when
from mlmagic.serving.states import EndpointState
from mlmagic.views import charts, html

_ROWS = (100, 50, 20, 5)  # of a log: as many as are light enough
_COLUMNS = 30
_WIDE = 120  # pixels of a bar for everything

_STYLE = (
    f".mlm-e{{color:{html.TEXT};font:12px/1.5 {html.SANS};font-variant-numeric:tabular-nums;"
    "max-width:1180px;overflow-x:auto}"
    ".mlm-e .h{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 12px}.mlm-e .h b{font-size:14px;font-weight:600}"
    f".mlm-e .g{{margin-right:5px;color:{html.QUIET}}}.mlm-e .running .g{{color:{html.ACCENT}}}"
    f".mlm-e .gone .g{{color:{html.ERROR}}}.mlm-e .fired{{color:{html.WARN}}}.mlm-e .failed{{color:{html.ERROR}}}"
    f".mlm-e .q,.mlm-e p,.mlm-e .k{{color:{html.QUIET}}}.mlm-e.mlm-e p{{margin:4px 0;font:12px/1.5 {html.SANS}}}"
    ".mlm-e .b{display:flex;flex-wrap:wrap;gap:6px 28px;margin:10px 0 12px;padding:0}"
    ".mlm-e .k{display:block;font-size:11px}.mlm-e .v{display:block;font-size:20px;line-height:28px;font-weight:600}"
    ".mlm-e.mlm-e table{margin:0 0 8px}.mlm-e td,.mlm-e th{white-space:nowrap}"
    "table.mlm-t.mlm-t td.w{white-space:normal;overflow-wrap:anywhere;min-width:180px}"
    f".mlm-e .r{{display:inline-block;width:{_WIDE}px;height:6px;margin-right:8px;vertical-align:middle;"
    "background:color-mix(in srgb,currentColor 14%,transparent)}"
    f".mlm-e .r i{{display:block;height:6px;background:{html.ACCENT}}}.mlm-e .fired .r i{{background:{html.WARN}}}"
    f".mlm-e code{{font:11px {html.MONO}}}"
)


def render(report: EndpointReport) -> Mapping[str, str]:
    """The HTML face of one endpoint."""
    return _lightest([_page(_report(report.one))])


def render_list(found: EndpointList) -> Mapping[str, str]:
    """The HTML face of a list: an endpoint in each row; nothing where there is none, for the text says what to do."""
    if not found.endpoints:
        return {}
    header = [
        "endpoint",
        "state",
        "address",
        "requests",
        "a second",
        "p50",
        "p99",
        "rows a batch",
        "assertions",
        "drift",
    ]
    markup = html.table(header, map(_listed, found.endpoints), "", "mlmagic.endpoints().to_pandas() has them all")
    return _lightest([_page([markup])])


def render_log(log: PredictionLog) -> Mapping[str, str]:
    """The HTML face of a log: outputs first, then what the model was given."""
    if not log.rows:
        return {}
    return _lightest(_page(_log(log, rows)) for rows in _ROWS)


def _lightest(pages: Iterable[str]) -> Mapping[str, str]:
    """The first page that fits also beside the longest text."""
    fitting = (page for page in pages if html.fits(page) and len(page.encode()) <= OUTPUT_LIMIT - TEXT_LIMIT)
    return next(({"text/html": page} for page in fitting), {})


def _page(parts: Iterable[str]) -> str:
    return f'<div class="mlm-e"><style>{html.TABLE_STYLE}{_STYLE}</style>{"".join(parts)}</div>'


# One endpoint ---------------------------------------------------------------------------------------


def _report(one: EndpointState) -> Iterator[str]:
    yield _headline(one)
    yield f'<div class="b">{"".join(_figures(one))}</div>' if one.rows or one.requests else "<p>no requests yet</p>"
    yield _batches(one.live.get("batch_rows") or {})
    yield _rules(one)
    glyph, face = ("▲ ", "fired") if one.drifted else ("", "")
    yield f'<p>drift: <span class="{face}">{glyph}{html.escape(charts.short(one.drift_line, 300))}</span></p>'
    yield "".join(f"<p>{html.escape(charts.short(line, 300))}</p>" for line in about(one))
    name = charts.short(repr(one.name), 80)
    more = f"mlmagic.endpoints({name}, 'log')"
    yield f"<p>its last predictions: <code>{html.escape(more)}</code></p>"


def _headline(one: EndpointState) -> str:
    version = f'<span class="q">{html.escape(one.version)}</span>' if one.version else ""
    address = f"<code>{html.escape(one.endpoint.url)}</code>" if one.state == "running" else ""
    return (
        f'<div class="h {one.state}" role="status"><b>{html.escape(charts.short(one.name, 60))}</b>{version}'
        f'<span><span class="g" aria-hidden="true">{GLYPHS[one.state]}</span>{one.state}</span>{address}</div>'
    )


def _figures(one: EndpointState) -> Iterator[str]:
    p50, p99 = one.times
    what = "request" if one.live else "batch"
    told = (
        ("requests" if one.live else "requests in the log", one.requests),
        ("rows", one.rows),
        ("requests a second", one.requests_per_second),
        (f"p50 of a {what}, ms", p50),
        (f"p99 of a {what}, ms", p99),
        ("rows a batch", one.batch),
    )
    for name, number in told:
        if number is not None:
            yield f'<div><span class="k">{name}</span><span class="v">{charts.compact(number, 3)}</span></div>'


def _batches(sizes: Mapping[str, Any]) -> str:
    """How many batches had how many rows: a bar for each size."""
    total = sum(sizes.values())
    if not total:
        return ""
    bounds = [int(size) for size in sizes]
    rows = [
        f"<tr><td>{_span(bound)}</td><td>{_bar(count / total)}{count:,}</td></tr>"
        for bound, count in zip(bounds, sizes.values(), strict=True)
    ]
    return _table(["rows of a batch", "batches"], rows)


def _span(bound: int) -> str:
    """A histogram's bin by its upper edge, a power of two."""
    low = bound // 2 + 1
    return str(bound) if low >= bound else f"{low:,} to {bound:,}"


def _rules(one: EndpointState) -> str:
    rows = []
    for rule in one.rules:
        face = "failed" if rule.error else "fired" if rule.fired else ""
        glyph = "✗ " if rule.error else "▲ " if rule.fired else "✓ "
        share = rule.fired / rule.rows if rule.rows else 0.0
        said = f"{_bar(share)}{rule.fired:,} of {rule.rows:,} rows ({share:.2%})"
        if rule.error:
            said = html.escape(charts.short(rule.error, 200))
        name = html.escape(charts.short(rule.name, 60))
        rows.append(f'<tr class="{face}"><td>{glyph}{name}</td><td class="w">{said}</td></tr>')
    for name, why in one.not_run.items():
        cells = (html.escape(charts.short(text, 200)) for text in (f"○ {name}", f"not run: {why}"))
        rows.append(f"<tr>{''.join(f'<td class=w>{cell}</td>' for cell in cells)}</tr>")
    return _table(["assertion", "fired"], rows) if rows else ""


def _bar(share: float) -> str:
    return f'<span class="r" aria-hidden="true"><i style="width:{100 * min(share, 1):.1f}%"></i></span>'


def _table(header: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    return f'<table class="mlm-t"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


# Several --------------------------------------------------------------------------------------------


def _listed(one: EndpointState) -> list[object]:
    p50, p99 = (None if time is None else f"{time:.3g} ms" for time in one.times)
    rate = None if one.requests_per_second is None else round(one.requests_per_second, 1)
    fired = [f"▲ {rule.name}: {rule.fired / rule.rows:.2%}" for rule in one.rules if rule.fired]
    failed = [f"✗ {rule.name}" for rule in one.rules if rule.error]
    rules = ", ".join([*failed, *fired]) or ("✓ none fired" if one.rules else "")
    return [
        charts.short(f"{one.name} {one.version}", 60),
        f"{GLYPHS[one.state]} {one.state}",
        one.endpoint.url if one.state == "running" else when(one.endpoint.ended_at or one.endpoint.started_at),
        one.requests,
        rate,
        p50,
        p99,
        None if one.batch is None else charts.compact(one.batch, 3),
        charts.short(rules, 120),
        charts.short(
            f"▲ {', '.join(one.drifted)}" if one.drifted else "✓ none" if one.drift.get("verdict") else "", 120
        ),
    ]


def _log(log: PredictionLog, most: int) -> Iterator[str]:
    outputs = list(log.rows[0].outputs)[:_COLUMNS]
    inputs = list(log.rows[0].inputs)[:_COLUMNS]
    header = ["at", *outputs, *inputs]
    rows = [
        [
            when(row.at).removesuffix(" UTC"),
            *(_told(row.outputs.get(name)) for name in outputs),
            *(_told(row.inputs.get(name)) for name in inputs),
        ]
        for row in log.rows[:most]
    ]
    yield html.table([charts.short(name, 40) for name in header], rows, f"last predictions of endpoint {log.name}")
    if len(log.rows) > len(rows):
        name = charts.short(repr(log.name), 80)
        more = f"mlmagic.endpoints({name}, 'log').to_pandas()"
        yield f"<p>all {len(log.rows):,} rows: <code>{html.escape(more)}</code></p>"


def _told(value: Any) -> object:
    if isinstance(value, list) and all(charts.finite(number) is not None for number in value):
        return charts.short(", ".join(charts.compact(number, 3) for number in value), 80)
    return charts.short(charts.compact(value), 60) if value is not None else None


register_renderer(EndpointReport, render)
register_renderer(EndpointList, render_list)
register_renderer(PredictionLog, render_log)
