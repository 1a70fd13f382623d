"""`mlmagic.sweeps`: what was searched: rows of the store in; lists, results, and the best trial's variables, out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlmagic.api._projects import find_project, open_store
from mlmagic.api.resuming import vault_of
from mlmagic.cache.artifacts import ArtifactError
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.records import ReadHow, Sweep, Trial
from mlmagic.results import Result
from mlmagic.session import Session, require
from mlmagic.store import Store
from mlmagic.tuning.body import read_body, with_values
from mlmagic.tuning.outcome import SweepList, SweepPlan, SweepResult, params_in_words, told
from mlmagic.tuning.space import Parameter
from mlmagic.tuning.state import GONE, load_view
from mlmagic.views import sweeps as _faces  # noqa: F401  draws the results

__all__ = ["sweeps"]

ACTIONS = ("list", "show", "best", "stop", "apply")


def sweeps(name: str | None = None, action: str | None = None, *, plan: bool = False) -> Result | str:
    """Past and running sweeps of the project.

    Parameters
    ----------
    name : str, optional
        Of a sweep; the last one of this name, or of all, is meant.
    action : str, optional
        ``list`` (without a name, the default), ``show`` (with one), ``best``: the best trial's values;
        ``stop``: no further trial of a running sweep starts; ``apply``: the best trial's variables come into the
        notebook, without training anything again.
    plan : bool
        With ``show``: which statements were run once for all trials, and why not the others.

    Raises
    ------
    UnknownNameError
        No such sweep, or action.
    MisuseError
        There is nothing to apply or to stop.
    """
    if name in ACTIONS and action is None:
        name, action = None, name
    action = action or ("show" if name is not None or plan else "list")
    if action not in ACTIONS:
        raise UnknownNameError.among("action of sweeps", action, ACTIONS)
    with open_store() as store:
        if action == "list" and name is None:
            return SweepList(tuple(_result(store, row) for row in reversed(store.sweeps())))
        row = _find(store, name)
        result = _result(store, row)
        if action == "apply":
            return _apply(require(), result)
    if action == "stop":
        return _stop(result.sweep)
    if action == "best":
        return _best(result)
    return SweepPlan(row) if plan else result


def _find(store: Store, name: str | None) -> Sweep:
    known = store.sweeps()
    found = next((row for row in reversed(known) if name is None or name in (row.name, row.sweep_id)), None)
    if found is None:
        if not known:
            raise MisuseError("no sweeps yet: put %%sweep --maximize METRIC on top of a cell")
        raise UnknownNameError.among("sweep", str(name), [row.name for row in reversed(known)])
    return found


def _result(store: Store, row: Sweep) -> SweepResult:
    if row.status == "running" and not vault_of(find_project(), row.sweep_id).is_at_work():
        row = replace(row, status="interrupted")  # its kernel was killed
    return SweepResult(row, tuple(store.trials(row.sweep_id)), tuple(store.reports(row.sweep_id)))


def _scored(result: SweepResult) -> Trial:
    if result.best is None:
        raise MisuseError(f"sweep {result.sweep.name} has no trial with a score")
    return result.best


def _best(result: SweepResult) -> str:
    best = _scored(result)
    return f"{result.sweep.objective} = {told(best.value)} in trial {best.number}: {params_in_words(best)}"


def _stop(row: Sweep) -> str:
    if row.status != "running":
        raise MisuseError(f"sweep {row.name} is not running: it is {row.status}")
    vault_of(find_project(), row.sweep_id).wish.touch()
    return f"sweep {row.name} stops when the trials that are running have ended"


# -- apply -----------------------------------------------------------------------------------------


def _apply(session: Session, result: SweepResult) -> str:
    best = _scored(result)
    code, values = _as_cell(result.sweep, best), _variables(session, result.sweep, best)
    for name in values.pop(GONE, ()):
        session.namespace.pop(name, None)
    session.namespace.update(values)
    session.recorder.label(None, {"sweep": result.sweep.name, "trial": str(best.number)}, (), ())
    session.recorder.repeats(code, _reads(session, result.sweep))
    about = f"trial {best.number} of sweep {result.sweep.name} ({params_in_words(best)})"
    return f"{about}: {', '.join(values) or 'no variables'}"


def _variables(session: Session, sweep: Sweep, best: Trial) -> dict[str, Any]:
    """What the best trial left behind.

    Raises
    ------
    MisuseError
        It is not there, or was not stored by this user.
    """
    vault = vault_of(session.project, sweep.sweep_id)
    if best.artifact is None:
        why = f": {best.error}" if best.error else ""
        raise MisuseError(f"the variables of trial {best.number} of sweep {sweep.name} were not kept{why}")
    if not vault.holds(best.artifact):
        raise MisuseError(f"the variables of trial {best.number} were not stored by you, and are not loaded")
    try:
        view = vault.artifacts.map(best.artifact.partition(":")[0])
    except ArtifactError as error:
        raise MisuseError(f"the variables of trial {best.number} cannot be had: {error}; run the sweep again") from None
    with session.recorder.aside():
        return load_view(view, session.namespace)


def _as_cell(sweep: Sweep, best: Trial) -> str:
    """The body as a cell that does what the trial did."""
    body = read_body(_body_of(sweep.source))
    ranges = {name: Parameter.from_dict(row) for name, row in sweep.space.items()}
    raw = {name: ranges[name].raw(value) for name, value in best.params.items() if name in ranges}
    return with_values(body, {name: value for name, value in raw.items() if value is not None}, best.seed)


def _body_of(source: str) -> str:
    lines = source.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("%%sweep")), None)
    return source if first is None else "\n".join(lines[first + 1 :])


def _reads(session: Session, sweep: Sweep) -> Mapping[str, ReadHow]:
    """Versions that the sweep's cell read: what came of a trial came of these."""
    return {} if sweep.execution_id is None else session.store.reads_of(sweep.execution_id)
