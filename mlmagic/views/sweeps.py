"""The step from a sweep to what its reader sees: trials and reports come in, a page of static HTML goes out.

From top to bottom: how it stands, the best trial, pictures of the scores, of the parameters and of the
learning curves, and the trials themselves, best first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlmagic.records import Trial
from mlmagic.results import OUTPUT_LIMIT, TEXT_LIMIT, register_renderer
from mlmagic.tuning.outcome import SweepList, SweepPlan, SweepResult
from mlmagic.views import charts, html
from mlmagic.views import sweep_pictures as pictures
from mlmagic.views.sweep_pictures import MAX_AXES, Scores, names_of, params_in_words, value_in_words

FIRST = 10  # rows of trials in sight

STATES = {
    "running": ("▸", "running"),
    "finished": ("✓", "finished"),
    "stopped": ("■", "stopped"),
    "interrupted": ("■", "interrupted"),
    "failed": ("✗", "failed"),
}
TRIAL_STATES = {
    "complete": "✓ complete",
    "pruned": "○ pruned",
    "running": "▸ running",
    "interrupted": "■ interrupted",
    "failed": "✗ failed",
}

_STYLE = (
    f".mlm-s{{color:{html.TEXT};font:12px/1.5 {html.SANS};font-variant-numeric:tabular-nums;"
    f"max-width:1180px;overflow-x:auto}}"
    ".mlm-s .h{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 12px}.mlm-s .h b{font-size:14px;font-weight:600}"
    f".mlm-s .g{{color:{html.ACCENT};margin-right:5px}}.mlm-s .g.failed{{color:{html.ERROR}}}"
    f".mlm-s .q,.mlm-s p,.mlm-s .k{{color:{html.QUIET}}}.mlm-s.mlm-s p{{margin:6px 0;font:12px/1.5 {html.SANS}}}"
    ".mlm-s .bar{display:flex;height:4px;border-radius:2px;overflow:hidden;max-width:420px;margin:6px 0 2px;"
    "background:color-mix(in srgb,currentColor 14%,transparent)}"
    f".mlm-s .bar i{{background:{html.ACCENT}}}.mlm-s .bar i+i{{opacity:.4}}"
    ".mlm-s .b{display:flex;flex-wrap:wrap;gap:6px 24px;margin:10px 0 14px;padding:0}"
    ".mlm-s .k{display:block;font-size:11px}"
    ".mlm-s .w{display:block;padding:2px 0 0;font-size:14px;line-height:26px}"
    ".mlm-s .v{padding:0;font-size:20px;font-weight:600}"
    ".mlm-s .v span{font-size:12px;line-height:1;font-weight:400;margin-left:8px}"
    ".mlm-s .p{display:flex;flex-wrap:wrap;align-items:flex-end;gap:16px 28px;margin:4px 0 12px}"
    # equal columns in sight and below the fold; the last one takes the errors
    ".mlm-s.mlm-s table{margin:0}.mlm-s table td:not(:last-child),.mlm-s table th:not(:last-child){min-width:66px}"
    ".mlm-s table.mlm-t td:not(:last-child){white-space:nowrap}"
    ".mlm-s table td:last-child{min-width:110px;overflow-wrap:anywhere}"
    f".mlm-s summary{{cursor:pointer;color:{html.QUIET};padding:6px 0}}"
)
_PLAN_STYLE = (
    f".mlm-p table.mlm-t.mlm-t td:nth-child(3){{font-family:{html.MONO};white-space:pre-wrap}}"
    ".mlm-p table.mlm-t.mlm-t td:nth-child(2){white-space:nowrap}"
)


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is drawn: learning curves, lines over the parameters, rows below the fold."""

    curves: int
    lines: int
    rows: int


# From all there is to what always fits.
_DETAILS = (_Detail(40, 150, 50), _Detail(0, 150, 50), _Detail(0, 80, 50), _Detail(0, 30, 20), _Detail(0, 10, 0))


def render(result: SweepResult) -> Mapping[str, str]:
    """The HTML face: as much of it as is light enough."""
    scores = Scores.of(result)
    pages = (_page(scores, detail) for detail in _DETAILS)
    return next(({"text/html": page} for page in pages if _is_light(page)), {})


def _is_light(page: str) -> bool:
    """Whether it fits also beside the longest text, so that the picture is never what gives way."""
    return html.fits(page) and len(page.encode()) <= OUTPUT_LIMIT - TEXT_LIMIT


def render_plan(plan: SweepPlan) -> Mapping[str, str]:
    """The HTML face of a plan: the statements as a table."""
    rows = [
        (
            row.get("line"),
            "● once" if row.get("shared") else "↻ each trial",
            _clipped(str(row.get("text", ""))),
            charts.short(row.get("reason") or "", 200),
        )
        for row in plan.sweep.plan
    ]
    once = sum(bool(row.get("shared")) for row in plan.sweep.plan)
    caption = f"sweep {charts.short(plan.sweep.name, 60)}: {once} of {len(rows)} statements run once for all trials"
    markup = html.table(["line", "runs", "code", "why"], rows, caption, ".to_pandas() has them all")
    page = f'<div class="mlm-p"><style>{_PLAN_STYLE}</style>{markup}</div>'
    return {"text/html": page} if html.fits(page) else {}


def render_list(sweeps: SweepList) -> Mapping[str, str]:
    """The HTML face of a list: a sweep in each row; nothing where there is none, for the text says what to do."""
    if not sweeps.sweeps:
        return {}
    header = ["sweep", "state", "objective", "trials", "failed", "best", "in trial", "with"]
    rows = [_listed(Scores.of(one)) for one in sweeps.sweeps]
    page = (
        f'<div class="mlm-s"><style>{_STYLE}</style>{html.table(header, rows, "", ".to_pandas() has them all")}</div>'
    )
    return {"text/html": page} if html.fits(page) else {}


def _listed(scores: Scores) -> list[object]:
    result, best = scores.result, scores.best
    found = ["", "", ""] if best is None else [charts.compact(best.value), best.number, params_in_words(best)]
    state = " ".join(_state(result.sweep.status))
    objective = f"{result.sweep.direction} {charts.short(result.sweep.objective, 40)}"
    counts = [len(result.trials), result.count("failed")]
    return [charts.short(result.sweep.name, 60), state, objective, *counts, *found]


def _state(status: str) -> tuple[str, str]:
    return STATES.get(status, ("·", charts.short(status, 30)))


def _clipped(text: str) -> str:
    """The first lines of a statement."""
    kept = "\n".join(text.split("\n")[:12])[:600]
    return kept if kept == text else f"{kept} …"


# The page --------------------------------------------------------------------------------------------------


def _page(scores: Scores, detail: _Detail) -> str:
    parts = [_headline(scores.result), _bar(scores.result), _best(scores), _pictures(scores, detail)]
    if scores.ranked:
        parts += [_trials(scores, detail.rows), _note(scores.result, FIRST + detail.rows)]
    return f'<div class="mlm-s"><style>{charts.STYLE}{pictures.STYLE}{_STYLE}</style>{"".join(parts)}</div>'


def _headline(result: SweepResult) -> str:
    glyph, word = _state(result.sweep.status)
    facts = " · ".join(_facts(result))
    return (
        f'<div class="h" role="status"><b>{html.escape(charts.short(result.sweep.name, 60))}</b>'
        f'<span><span class="g {html.escape(word)}" aria-hidden="true">{glyph}</span>{html.escape(word)}</span>'
        f'<span class="q">{html.escape(facts)}</span></div>'
    )


def _facts(result: SweepResult) -> Iterator[str]:
    """Counts and speed."""
    done = len(result.trials) - result.count("running")
    planned = f" of {result.planned:,}" if result.planned is not None and result.planned != done else ""
    yield f"{done:,}{planned} {'trial' if (result.planned if planned else done) == 1 else 'trials'}"
    for status in ("pruned", "failed", "running"):
        if count := result.count(status):
            yield f"{count:,} {status}"
    kept = sum(trial.kept_from is not None for trial in result.trials)
    if kept:
        yield f"{kept:,} from before"
    if result.sweep.seconds and done > kept:
        yield f"{charts.compact((done - kept) / result.sweep.seconds, 2)} trials per second"
    shared, statements = result.shared
    if statements:
        yield f"{shared} of {statements} statements shared"


def _bar(result: SweepResult) -> str:
    """How far it is, while it runs: what is done, and fainter what is under way."""
    if not result.live or not result.planned:
        return ""
    running = result.count("running")
    done = min(len(result.trials) - running, result.planned)
    parts = (f'<i style="width:{100 * count / result.planned:.1f}%"></i>' for count in (done, running))
    about = f'aria-label="trials" aria-valuemin="0" aria-valuemax="{result.planned}" aria-valuenow="{done}"'
    return f'<div class="bar" role="progressbar" {about}>{"".join(parts)}</div>'


def _best(scores: Scores) -> str:
    """The best trial: its score large, its parameters beside it."""
    best = scores.best
    if best is None:
        return ""
    score = f'{charts.compact(best.value)}<span class="q">trial {best.number}</span>'
    params = list(best.params.items())
    cells = [f'<div>{_key(f"★ best {scores.objective}, {scores.better}")}<span class="w v">{score}</span></div>']
    for name, value in params[:MAX_AXES]:
        cells.append(
            f'<div>{_key(charts.short(name, 30))}<span class="w">{html.escape(value_in_words(value))}</span></div>'
        )
    if len(params) > MAX_AXES:
        cells.append(f"<div>{_key(f'and {len(params) - MAX_AXES} more')}</div>")
    return f'<div class="b">{"".join(cells)}</div>'


def _key(text: str) -> str:
    """The word above a value; no list of terms, which JupyterLab's own style floats."""
    return f'<span class="k">{html.escape(text)}</span>'


def _pictures(scores: Scores, detail: _Detail) -> str:
    if scores.scored:
        drawn = [pictures.over_trials(scores), pictures.over_parameters(scores, detail.lines)]
        words = ""
    else:
        drawn, words = [], f"<p>{html.escape(_no_score(scores.result))}</p>"
    drawn.append(pictures.learning_curves(scores, detail.curves) if detail.curves else "")
    inside = "".join(drawn)
    return words + (f'<div class="p">{inside}</div>' if inside else "")


def _no_score(result: SweepResult) -> str:
    """Why there is no picture."""
    if not result.trials:
        return "No trial has begun yet." if result.live else "No trial was run."
    failed = [trial for trial in result.trials if trial.status == "failed"]
    if len(failed) == len(result.trials):
        first = charts.short(failed[0].error or "no reason is known", 200)
        return f"Nothing to draw: every trial failed. The first: {first}"
    if any(trial.status == "complete" for trial in result.trials):
        return "Nothing to draw: no trial has a finite score."
    return "Nothing to draw yet: no trial has a score."


def _trials(scores: Scores, more: int) -> str:
    """The trials, best first: some in sight, more below the fold."""
    names = names_of(scores.result)[:MAX_AXES]
    header = ["trial", scores.objective, *(charts.short(name, 24) for name in names), "seconds", "state"]
    rows = [_row(trial, names) for trial in scores.ranked[: FIRST + more]]
    table = html.table(header, rows[:FIRST])
    if len(rows) <= FIRST:
        return table
    return f"{table}<details><summary>{len(rows) - FIRST} more</summary>{html.table(header, rows[FIRST:])}</details>"


def _row(trial: Trial, names: Sequence[str]) -> list[object]:
    value = "" if trial.value is None else charts.compact(trial.value)
    params = (value_in_words(trial.params[name]) if name in trial.params else "" for name in names)
    state = TRIAL_STATES[trial.status] + (", from before" if trial.kept_from else "")
    error = f": {charts.short(trial.error, 200)}" if trial.error else ""
    seconds = "" if trial.seconds is None else f"{trial.seconds:.2f}"
    return [trial.number, value, *params, seconds, state + error]


def _note(result: SweepResult, shown: int) -> str:
    """How to see everything."""
    which = f"all {len(result.trials):,} trials" if len(result.trials) > shown else "the trials as data"
    name = charts.short(repr(result.sweep.name), 80)
    return f"<p>{which}: <code>{html.escape(f'mlmagic.sweeps({name}).to_pandas()')}</code></p>"


register_renderer(SweepResult, render)
register_renderer(SweepPlan, render_plan)
register_renderer(SweepList, render_list)
