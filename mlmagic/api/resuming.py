"""What a sweep goes on with: the rows of the last one of its name in, those that still hold out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlmagic.config import key_path
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.records import Measure, Sweep, Trial, new_id
from mlmagic.session import Session
from mlmagic.session.project import Project
from mlmagic.signing import user_key
from mlmagic.tuning.body import Body
from mlmagic.tuning.space import Parameter
from mlmagic.tuning.vault import Vault


def vault_of(project: Project, sweep_id: str) -> Vault:
    """Where a sweep of this project keeps what outlives it."""
    return Vault(project.folder / "artifacts" / "sweeps" / sweep_id, lambda: user_key(key_path()))


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a sweep begins with.

    Attributes
    ----------
    sweep : Sweep
        Its row: that of the earlier sweep where this goes on with it.
    trials, reports
        Of before, as far as they still hold.
    copied : sequence of (Trial, reports)
        Rows to be written, because they stood under another sweep so far.
    """

    sweep: Sweep
    trials: Sequence[Trial] = ()
    reports: Sequence[Measure] = ()
    copied: Sequence[tuple[Trial, Sequence[Measure]]] = ()


def earlier(session: Session, body: Body, row: Sweep) -> Earlier:
    """What the last sweep of this name leaves to this one."""
    known = session.store.sweeps()
    last = next((one for one in reversed(known) if one.name == row.name), None)
    if last is None:
        raise UnknownNameError.among("sweep to resume called", row.name, [one.name for one in known])
    if vault_of(session.project, last.sweep_id).is_at_work():
        raise MisuseError(f"sweep {row.name} is running in another notebook: %sweeps {row.name} stop ends it there")
    if why := _other_question(last, row):
        session.say(f"sweep {row.name}: nothing of before holds any more: {why}")
        return Earlier(row)
    trials, reports = session.store.trials(last.sweep_id), session.store.reports(last.sweep_id)
    ranges = {name: Parameter.from_dict(told) for name, told in last.space.items()} | body.parameters()
    valid = [trial for trial in trials if _still_valid(trial, ranges)]
    space = {name: parameter.to_dict() for name, parameter in ranges.items()}
    if len(valid) == len(trials):
        again = replace(row, sweep_id=last.sweep_id, started_at=last.started_at, space=space)
        return Earlier(again, trials, reports)
    new = {trial.trial_id: new_id() for trial in valid}
    old_vault, vault = vault_of(session.project, last.sweep_id), vault_of(session.project, row.sweep_id)
    moved = [
        replace(
            trial,
            trial_id=new[trial.trial_id],
            sweep_id=row.sweep_id,
            kept_from=trial.trial_id,
            artifact=vault.take_over(old_vault, trial.artifact),
        )
        for trial in valid
    ]
    told = [replace(one, trial_id=new[str(one.trial_id)]) for one in reports if one.trial_id in new]
    copied = [(trial, [one for one in told if one.trial_id == trial.trial_id]) for trial in moved]
    return Earlier(replace(row, space=space), moved, told, copied)


def _other_question(last: Sweep, row: Sweep) -> str:
    """Why earlier scores do not answer what is asked now; empty where they do."""
    if (last.objective, last.direction) != (row.objective, row.direction):
        return f"it was to {last.direction} {last.objective}"
    if last.code_hash != row.code_hash:
        return "its code changed"
    names = sorted({*last.inputs, *row.inputs})
    changed = (name for name in names if last.inputs.get(name) is None or last.inputs[name] != row.inputs.get(name))
    name = next(changed, None)
    return f"{name} changed, or its content is not known" if name is not None else ""


def _still_valid(trial: Trial, ranges: Mapping[str, Parameter]) -> bool:
    return all(name in ranges and ranges[name].raw(value) is not None for name, value in trial.params.items())
