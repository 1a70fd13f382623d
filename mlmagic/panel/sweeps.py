"""The panel's list of sweeps: rows of the store in, one item for each sweep out, with its scores over the trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mlmagic.api.resuming import vault_of
from mlmagic.panel.drawn import alone
from mlmagic.panel.lists import MAX_ITEMS, Places, item
from mlmagic.panel.wire import Item
from mlmagic.records import Sweep, Trial
from mlmagic.session import Session
from mlmagic.tuning.outcome import SweepResult, params_in_words, told
from mlmagic.views import sweep_pictures as pictures

_STATES = {"running": "running", "finished": "good", "failed": "bad"}  # others: warn
_FIRST = 5  # trials among the details

_drawn: dict[tuple[str, float | None], Item] = {}  # of sweeps that are over, which nothing changes any more


def sweeps(session: Session, places: Places) -> Iterator[Item]:
    """The sweeps of the project, newest first."""
    for row in list(reversed(session.store.sweeps()))[:MAX_ITEMS]:
        key = row.sweep_id, row.seconds
        if row.status == "running" or key not in _drawn:
            _drawn[key] = _item(SweepResult(*_rows(session, row)))
        yield Item(**{**_drawn[key], "cell": places.cell_of(row.execution_id)})


def _rows(session: Session, row: Sweep) -> tuple[Sweep, tuple[Trial, ...], tuple[()], bool]:
    live = row.status == "running" and vault_of(session.project, row.sweep_id).is_at_work()
    if row.status == "running" and not live:
        row = replace(row, status="interrupted")  # its kernel was killed
    return row, tuple(session.store.trials(row.sweep_id)), (), live


def _item(result: SweepResult) -> Item:
    sweep = result.sweep
    scores = pictures.Scores.of(result)
    figure = pictures.over_trials(scores) if scores.scored else ""
    state = _STATES.get(sweep.status, "warn")
    text = result.headline.removeprefix(f"sweep {sweep.name}: ")
    picture = alone(figure, pictures.STYLE)
    return item(sweep.sweep_id, sweep.name, state, text, word=sweep.status, details=_details(result), picture=picture)


def _details(result: SweepResult) -> Iterator[str]:
    sweep = result.sweep
    yield f"{sweep.direction} {sweep.objective}"
    for place, trial in enumerate(result.ranked()[:_FIRST]):
        if trial.value is not None:
            best = "best: " if place == 0 and trial is result.best else ""
            yield f"{best}{told(trial.value)} in trial {trial.number} ({params_in_words(trial)})"
    failed = next((trial for trial in result.trials if trial.status == "failed" and trial.error), None)
    if failed is not None:
        yield f"trial {failed.number} failed: {failed.error}"
