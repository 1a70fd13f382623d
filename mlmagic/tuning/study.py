"""The step from trials that ended to the values of the next one: our rows and the workers' news in, numbers out.

Optuna does the thinking, in memory and through ask and tell; what is kept is our rows, from which `Study.restore`
builds it again. Nothing of Optuna's (trials, distributions, errors, warnings) leaves this module.
"""

from __future__ import annotations

import logging
import math
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from mlmagic._optional import need
from mlmagic.errors import MisuseError
from mlmagic.records import Measure, Trial
from mlmagic.tuning.pruners import pruner as pruner_named
from mlmagic.tuning.samplers import sampler as sampler_named
from mlmagic.tuning.space import Number, Parameter, clipped


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial to be run.

    Attributes
    ----------
    number : int
        Optuna's own, by which the study is told about the trial.
    values : dict
        Parameter -> number (of a choice: the number of the option).
    """

    number: int
    values: dict[str, Number]


@dataclass(slots=True)
class _Running:
    trial: Any  # an optuna.Trial
    values: dict[str, Number] = field(default_factory=dict)
    steps: set[int] = field(default_factory=set)


class Study:
    """The search of one sweep. One thread at a time.

    Parameters
    ----------
    name : str
        Hyperband's brackets depend on it: a resumed sweep has the name it had.
    direction : str
    sampler, pruner : str
        A name in `samplers.SAMPLERS` and in `pruners.PRUNERS`.
    seed : int
        With the number of trials known from before it determines the draws.

    Raises
    ------
    UnknownNameError
        For a sampler or a pruner that there is not.
    MissingPackageError
        Without Optuna.
    """

    def __init__(
        self, name: str, direction: Literal["maximize", "minimize"], sampler: str, pruner: str, seed: int
    ) -> None:
        self._sampler, self._seed = sampler, seed
        chosen = sampler_named(sampler, _mixed(seed, 0)), pruner_named(pruner)
        optuna = need("optuna")
        with _unlogged():
            self._study = optuna.create_study(study_name=name, direction=direction, sampler=chosen[0], pruner=chosen[1])
        self._states = optuna.trial.TrialState
        self._met: dict[str, Parameter] = {}
        self._running: dict[int, _Running] = {}

    # -- from before -----------------------------------------------------------------------------

    def restore(self, trials: Sequence[Trial], reports: Sequence[Measure], parameters: Mapping[str, Parameter]) -> None:
        """Learn what trials of before came to; to be called once, before the first `ask`.

        Left out are running trials, and those with a value that the present ranges do not hold or of a parameter that
        is no longer there. All of them count for the seed, so a resumed sweep does not repeat its first draws.

        Parameters
        ----------
        trials : sequence of Trial
        reports : sequence of Measure
            What they told of the objective on their way; other metrics do not belong here.
        parameters : mapping
            The ranges of now, also of conditional parameters as far as they are known.
        """
        told = _by_trial(reports)
        for trial in sorted(trials, key=lambda trial: trial.number):
            values = _fitting(trial.params, parameters)
            if values is not None and trial.status != "running":
                self._replay(trial, told.get(trial.trial_id, ()), [parameters[name] for name in values], values)
        self._study.sampler = sampler_named(self._sampler, _mixed(self._seed, len(trials)))

    def _replay(
        self, trial: Trial, told: Iterable[Measure], parameters: Iterable[Parameter], values: Mapping[str, Number]
    ) -> None:
        # Not `add_trial`: a pruner notes which rungs a trial reached while it is asked about it, nowhere else.
        number = self.ask(parameters, values).number
        for report in told:
            if report.step is not None and report.value is not None:
                self.report(number, report.step, report.value)
        if trial.status == "complete" and trial.value is not None:
            self.complete(number, trial.value)
        elif trial.status == "pruned":
            self.prune(number, trial.value)
        else:
            self.fail(number)

    # -- values ----------------------------------------------------------------------------------

    def ask(self, parameters: Iterable[Parameter], fixed: Mapping[str, Number] | None = None) -> Asked:
        """Open the next trial, with values for the parameters that every trial has.

        `fixed` values are taken instead of draws, here and in `suggest`, where the range then asked for holds them.
        """
        wanted = list(parameters)
        for parameter in wanted:
            self._meet(parameter)  # before there is a trial that nobody would end
        if fixed:
            self._study.enqueue_trial(dict(fixed))
        trial = self._study.ask()
        running = self._running[trial.number] = _Running(trial)
        for parameter in wanted:
            self.suggest(trial.number, parameter)
        return Asked(trial.number, dict(running.values))

    def suggest(self, number: int, parameter: Parameter) -> Number:
        """One more value of a running trial; asked again for a name, the same value again.

        Raises
        ------
        MisuseError
            Where the name stood for another kind of range before. Bounds and steps may change from trial to trial.
        """
        running = self._running[number]
        self._meet(parameter)
        if parameter.name not in running.values:
            _drop_unfit(running.trial, parameter)
            running.values[parameter.name] = _drawn(running.trial, parameter)
        return running.values[parameter.name]

    def _meet(self, parameter: Parameter) -> None:
        _check_alike(self._met.setdefault(parameter.name, parameter), parameter)

    # -- what became of them -----------------------------------------------------------------------

    def report(self, number: int, step: int, value: float) -> bool:
        """Take a value on the trial's way; true where the trial is to end now.

        A step told before is ignored. NaN counts as the worst there is, though not before the pruner compares: a
        training that diverged does not come back, and one that has no score yet mostly has one by then.

        Raises
        ------
        MisuseError
            For a step below 0.
        """
        running = self._running[number]
        if step < 0:
            raise MisuseError(f"sweep.report counts steps from 0, not from {step}")
        if step in running.steps:
            return False
        running.steps.add(step)
        running.trial.report(value, step)
        return bool(running.trial.should_prune())

    def complete(self, number: int, value: float) -> None:
        """The trial ran to its end. NaN cannot be ranked: such a trial counts as failed."""
        if math.isnan(value):
            self.fail(number)
        else:
            self._study.tell(self._running.pop(number).trial, value)

    def prune(self, number: int, value: float | None = None) -> None:
        """The trial ended early; `value` is the last it had, which matters where it reported none."""
        running = self._running.pop(number)
        if value is not None and not running.steps:
            running.trial.report(value, 0)  # pruned trials are ranked by what they reported
        self._study.tell(running.trial, state=self._states.PRUNED)

    def fail(self, number: int) -> None:
        """The trial came to nothing: what it reported still counts for pruning, its values for nothing."""
        self._study.tell(self._running.pop(number).trial, state=self._states.FAIL)


def _mixed(seed: int, known: int) -> int:
    """32 bits from both; neighbouring seeds and counts have nothing in common, as they would with a sum."""
    return zlib.crc32(f"{seed} {known}".encode())


# -- rows of before ----------------------------------------------------------------------------------


def _by_trial(reports: Iterable[Measure]) -> dict[str | None, list[Measure]]:
    told: dict[str | None, list[Measure]] = {}
    for report in sorted(reports, key=lambda report: -1 if report.step is None else report.step):
        told.setdefault(report.trial_id, []).append(report)
    return told


def _fitting(stored: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> dict[str, Number] | None:
    """The numbers behind stored values, ``None`` where the present ranges do not hold them all."""
    values: dict[str, Number] = {}
    for name, value in stored.items():
        raw = parameters[name].raw(value) if name in parameters else None
        if raw is None:
            return None
        values[name] = raw
    return values


# -- a parameter and its draw -------------------------------------------------------------------------


def _drawn(trial: Any, parameter: Parameter) -> Number:
    name, low, high = parameter.name, parameter.low, parameter.high
    if parameter.kind == "choice":
        return int(trial.suggest_categorical(name, list(range(len(parameter.labels)))))
    if parameter.kind == "int":
        return int(trial.suggest_int(name, low, high, log=parameter.log, step=parameter.step))
    return float(trial.suggest_float(name, low, high, log=parameter.log))


def _drop_unfit(trial: Any, parameter: Parameter) -> None:
    """Have a draw instead of a fixed value out of range: Optuna would warn and take it, or raise for a choice.

    It has no public way to take one back. The name is private, so where it is gone Optuna's own way holds.
    """
    fixed = getattr(trial, "_fixed_params", {})
    if parameter.name in fixed and not _holds(parameter, fixed[parameter.name]):
        del fixed[parameter.name]


def _holds(parameter: Parameter, value: Number) -> bool:
    if parameter.kind == "choice":
        return value in range(len(parameter.labels))
    return parameter.raw(value) is not None


def _check_alike(before: Parameter, now: Parameter) -> None:
    if (before.kind, before.log, before.labels) != (now.kind, now.log, now.labels):
        raise MisuseError(
            f"{now.name} was {_in_words(before)} in this sweep and is {_in_words(now)} now: give it another name"
        )


def _in_words(parameter: Parameter) -> str:
    if parameter.kind == "choice":
        return f"a choice of {clipped(' | '.join(map(repr, parameter.labels)))}"
    return f"{'a logarithmic' if parameter.log else 'an even'} range of {parameter.kind}s"


# -- quiet ----------------------------------------------------------------------------------------------


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the line "A new study created in memory" off standard error: all that Optuna logs of what is done here.

    A filter on the one logger that writes it, for this thread and this moment; the user's verbosity stays as it is.
    """
    logger, thread = logging.getLogger("optuna.storages._in_memory"), threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(of_others)
    try:
        yield
    finally:
        logger.removeFilter(of_others)
