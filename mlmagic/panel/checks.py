"""The panel's list of checks: assertions with what they said last, and comparisons of data, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlmagic.checks.verdicts import Past, Verdict, about
from mlmagic.panel.drawn import alone
from mlmagic.panel.lists import MAX_ITEMS, Places, item
from mlmagic.panel.wire import Item
from mlmagic.records import Assertion, AssertionResult, Drift
from mlmagic.session import Session
from mlmagic.views import charts, html

_STATES = {"fine": "good", "fired": "bad", "failed": "warn", "not run": "past"}
_COMPARISONS = 8
_SIZE = (260.0, 96.0)
_STYLE = f".mlm-c .rate{{stroke:{html.WARN};stroke-width:1.6}}.mlm-c .at{{fill:{html.WARN}}}"


def checks(session: Session, places: Places) -> Iterator[Item]:
    """The rules of the project, those that fired last first; then the last comparisons of data."""
    rules = [_rule(one, places) for one in _verdicts(session)]
    yield from sorted(rules, key=lambda one: ["bad", "warn", "good", "past"].index(one["state"]))[:MAX_ITEMS]
    yield from _comparisons(session.store.drifts(), places)


# -- rules -----------------------------------------------------------------------------------------


def _verdicts(session: Session) -> list[Verdict]:
    rules: dict[str, list[Assertion]] = {}
    for rule in session.store.assertions():
        rules.setdefault(rule.name, []).append(rule)
    results: dict[str, list[AssertionResult]] = {}
    for row in session.store.assertion_results(every_row=False):
        results.setdefault(row.name, []).append(row)
    found = [_verdict(of, results.get(name, [])) for name, of in rules.items()]
    return sorted(found, key=lambda one: one.last.at if one.last else one.rule.created_at, reverse=True)


def _verdict(rules: Sequence[Assertion], results: Sequence[AssertionResult]) -> Verdict:
    last: dict[str | None, AssertionResult] = {}
    for row in results:  # oldest first: of each version the last result counts
        last.pop(row.model_version, None)
        last[row.model_version] = row
    return Verdict(rules[-1], results[-1] if results else None, tuple(map(_past, last.values())), len(rules))


def _past(row: AssertionResult) -> Past:
    seen = row.at, row.model_version, row.data_version, row.rows, row.fired, row.severity_max, row.error
    return Past(*seen, made="")


def _rule(one: Verdict, places: Places) -> Item:
    last = one.last
    maker = places.maker_of(last.model_version) or places.maker_of(last.data_version) if last is not None else None
    cell = maker or places.cell_of(one.rule.execution_id)
    return item(
        f"rule:{one.rule.name}",
        one.rule.name,
        _STATES[one.state],
        one.said,
        word=one.state,
        details=about(one),
        cell=cell,
        picture=alone(_rates(one), _STYLE),
    )


def _rates(one: Verdict) -> str:
    """The share of rows that fired, by version of the model; nothing where there is only one."""
    rates = [past.rate for past in one.history if past.rate is not None]
    if len(rates) < 2:
        return ""
    room = charts.width("100%") + 8
    x = charts.Scale(0, len(rates) - 1, room, _SIZE[0] - 8)
    y = charts.Scale(0, max(max(rates), 0.01), _SIZE[1] - 20, 10)
    points = [(x.at(place), y.at(rate)) for place, rate in enumerate(rates)]
    ends = [(y.at(0), "0%"), (y.at(y.high), f"{100 * y.high:.3g}%")]
    parts = [
        charts.path("grid", "".join(f"M{charts.px(x.start)} {charts.px(at)}H{charts.px(x.end)}" for at, _ in ends)),
        *(charts.label(x.start - 6, at, "e", told) for at, told in ends),
        charts.path("rate", charts.line(points)),
        *(charts.circle("at", at, 2.4, f"{100 * rate:.3g}%") for at, rate in zip(points, rates, strict=True)),
        charts.label((x.start + x.end) / 2, _SIZE[1] - 6, "c", "versions of the model"),
    ]
    title = f"rows on which {charts.short(one.rule.name, 40)} fired"
    return charts.figure(title, [], f"From {100 * rates[0]:.3g}% to {100 * rates[-1]:.3g}%.", _SIZE, parts)


# -- comparisons -----------------------------------------------------------------------------------


def _comparisons(rows: Sequence[Drift], places: Places) -> Iterator[Item]:
    """Of the same two data sets, the last comparison."""
    found: dict[tuple[str, str], list[Drift]] = {}
    for row in rows:
        same = found.get((row.reference, row.current), [])
        goes_on = bool(same) and same[0].drift_id == row.drift_id
        found.pop((row.reference, row.current), None)
        found[row.reference, row.current] = [*same, row] if goes_on else [row]
    for of in list(reversed(found.values()))[:_COMPARISONS]:
        yield _comparison(of, places)


def _comparison(rows: Sequence[Drift], places: Places) -> Item:
    columns = {row.column_name for row in rows if row.column_name is not None}
    moved = [row for row in rows if row.drifted]
    names = list(dict.fromkeys(row.column_name or "all columns together" for row in moved))
    first = rows[0]
    whole = f"{len({row.column_name for row in moved} - {None})} of {len(columns)} columns drifted"
    return item(
        f"drift:{first.reference}:{first.current}",
        f"{first.reference} → {first.current}",
        "bad" if moved else "good",
        whole if columns else ("drift" if moved else "no drift"),
        word="drifted" if moved else "no drift",
        details=[_said(name, moved) for name in names],
        cell=places.cell_of(first.execution_id),
    )


def _said(name: str, moved: Sequence[Drift]) -> str:
    said = [
        f"{row.method} {charts.compact(row.statistic, 3)}"
        for row in moved
        if (row.column_name or "all columns together") == name
    ]
    return f"{name}: {', '.join(said)}"
