"""The step from an evaluation to what its reader sees: estimates and verdicts come in, a page of static HTML goes out.

From top to bottom: what was evaluated, the few numbers that count, the verdicts, the pictures, and below the fold
every statistic of every part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlmagic.insight.report import MARKS, Estimate, EvaluationResult, Verdict, number, span
from mlmagic.insight.shapes import METRICS
from mlmagic.results import OUTPUT_LIMIT, TEXT_LIMIT, register_renderer
from mlmagic.views import charts, html
from mlmagic.views import evaluation_pictures as pictures

FIRST: Mapping[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "balanced_accuracy", "accuracy", "f1", "log_loss"),
    "multiclass": ("balanced_accuracy", "accuracy", "f1_macro", "roc_auc_ovr", "log_loss"),
    "regression": ("r2", "rmse", "mae", "median_ae", "bias"),
}
WORDS = 400  # letters of a sentence made with the user's words

_STYLE = (
    f".mlm-e{{color:{html.TEXT};font:12px/1.5 {html.SANS};font-variant-numeric:tabular-nums;"
    f"max-width:1180px;overflow-x:auto}}"
    ".mlm-e .h{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 12px}.mlm-e .h b{font-size:14px;font-weight:600}"
    f".mlm-e.mlm-e p,.mlm-e .q,.mlm-e .k{{color:{html.QUIET}}}.mlm-e.mlm-e p{{margin:4px 0;font:12px/1.5 {html.SANS}}}"
    ".mlm-e .b{display:flex;flex-wrap:wrap;gap:6px 26px;margin:10px 0 10px}.mlm-e .k{display:block;font-size:11px}"
    ".mlm-e .w{display:block;font-size:14px;line-height:26px}.mlm-e .w.v{font-size:20px;font-weight:600}"
    f".mlm-e .i{{display:block;font-size:11px;color:{html.QUIET}}}"
    ".mlm-e .l{margin:0 0 14px}.mlm-e .l div{margin:2px 0;padding-left:20px}.mlm-e .l b{font-weight:600}"
    ".mlm-e .g{display:inline-block;width:20px;margin-left:-20px}"
    # the glyph takes the colour and the word the page's ink: warning colours are too light to read
    f".mlm-e .ok .g{{color:{html.ACCENT}}}.mlm-e .warn .g{{color:{html.WARN}}}.mlm-e .bad .g{{color:{html.ERROR}}}"
    ".mlm-e .p{display:flex;flex-wrap:wrap;align-items:flex-start;gap:16px 30px;margin:4px 0 14px}"
    ".mlm-e.mlm-e table{margin:0 0 6px}.mlm-e table.mlm-t td{white-space:nowrap}"
    f".mlm-e summary{{cursor:pointer;color:{html.QUIET};padding:4px 0}}"
)


def render(result: EvaluationResult) -> Mapping[str, str]:
    """The HTML face; without the pictures of groups and classes where those would weigh too much."""
    pages = (_page(result, drawn) for drawn in (True, False))
    return next(({"text/html": page} for page in pages if _is_light(page)), {})


def _is_light(page: str) -> bool:
    """Whether it fits also beside the longest text."""
    return html.fits(page) and len(page.encode()) <= OUTPUT_LIMIT - TEXT_LIMIT


def _page(result: EvaluationResult, drawn: bool) -> str:
    parts = [_headline(result), _first(result), _verdicts(result), _pictures(result, drawn), *_tables(result)]
    style = f"<style>{charts.STYLE}{pictures.STYLE}{_STYLE}</style>"
    return f'<div class="mlm-e">{style}{"".join(parts)}{_notes(result)}</div>'


def _headline(result: EvaluationResult) -> str:
    about, _, rest = result.title.partition(": ")
    return (
        f'<div class="h"><b>{html.escape(charts.short(about, 120))}</b>'
        f'<span class="q">{html.escape(charts.short(rest, 120))}</span></div>'
    )


def _first(result: EvaluationResult) -> str:
    """The numbers that count, the one that verdicts are about first and large."""
    wanted = dict.fromkeys([result.headline, *FIRST[result.kind]])
    cells = [_number(result.metrics[name], name == result.headline) for name in wanted if name in result.metrics]
    return f'<div class="b">{"".join(cells)}</div>'


def _number(found: Estimate, large: bool) -> str:
    return (
        f'<div><span class="k">{html.escape(METRICS[found.metric].words)}</span>'
        f'<span class="w{" v" if large else ""}">{found.number}</span><span class="i">{found.brackets}</span></div>'
    )


def _verdicts(result: EvaluationResult) -> str:
    inside = "".join(map(_verdict, result.verdicts))
    return f'<div class="l" role="list">{inside}</div>' if inside else ""


def _verdict(found: Verdict) -> str:
    """Glyph, word and colour, and the sentence with the numbers."""
    glyph = f'<span class="g" aria-hidden="true">{MARKS[found.state]}</span>'
    text = html.escape(charts.short(found.text, WORDS))
    word = html.escape(charts.short(found.word, 60))
    return f'<div role="listitem" class="{found.state}">{glyph}<b>{word}</b>: {text}</div>'


def _pictures(result: EvaluationResult, drawn: bool) -> str:
    found = [pictures.confusion(result), pictures.roc(result), pictures.precision_recall(result)]
    found += [pictures.calibration(result), pictures.residuals(result), pictures.histogram(result)]
    beside = list(_of_classes(result)) if drawn else []
    if drawn and result.by:
        beside.append(pictures.intervals(result, result.by, result.shown(result.by)[0]))
    rows = ("".join(row) for row in (found, beside))
    return "".join(f'<div class="p">{inside}</div>' for inside in rows if inside)


def _of_classes(result: EvaluationResult) -> Iterator[str]:
    if result.kind == "multiclass" and len(result.classes) <= pictures.MOST_CLASSES:
        yield pictures.intervals(result, "class", "recall")
        yield pictures.intervals(result, "class", "precision")


# Tables ----------------------------------------------------------------------------------------------------


def _tables(result: EvaluationResult) -> Iterator[str]:
    """Every statistic below the fold; groups in sight, for they were asked for."""
    if result.by:
        yield _grouped(result, result.by)
    if result.groups("class"):
        yield _folded("every class", _grouped(result, "class"))
    header = ["", *(charts.short(result.heading(part), 40) for part in result.parts)]
    yield _folded("every statistic", html.table(header, result.table()))
    if result.curves.calibration is not None:
        yield _folded("calibration bins", _bins(result))


def _folded(summary: str, inside: str) -> str:
    return f"<details><summary>{html.escape(summary)}</summary>{inside}</details>"


def _grouped(result: EvaluationResult, by: str) -> str:
    header, rows = result.grouped(by)
    short = [[charts.short(cell, 60) for cell in row] for row in rows]
    return html.table([charts.short(cell, 40) for cell in header], short, more=".to_pandas() has them all")


def _bins(result: EvaluationResult) -> str:
    found = result.curves.calibration
    rows = [
        [f"{one.rows:,}", number(one.predicted), f"{number(one.observed)} {span(one.low, one.high)}"]
        for one in (found.bins if found is not None else ())
    ]
    return html.table(["rows", "predicted", "came true"], rows)


def _notes(result: EvaluationResult) -> str:
    """What was left out, and how to see everything."""
    told = [*result.notes, *_left_out(result)]
    lines = [f"in brackets: {result.legend}; every number as data: .to_pandas(), .to_dict()"]
    return "".join(f"<p>{html.escape(charts.short(line, WORDS))}</p>" for line in [*told, *lines])


def _left_out(result: EvaluationResult) -> Iterator[str]:
    many = len(result.classes)
    if many > pictures.MOST_CLASSES:
        words = ".curves.confusion and .to_pandas() have them"
        yield f"{many} classes are too many to draw (at most {pictures.MOST_CLASSES}): {words}"


register_renderer(EvaluationResult, render)
