"""`mlmagic.sweep` and the cell under `%%sweep`: options and the notebook's variables in, a finished sweep out."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from time import time as now
from typing import Any

from mlmagic.analysis import redact
from mlmagic.api.resuming import Earlier, earlier, vault_of
from mlmagic.capture import Recorder
from mlmagic.capture.behind import code_behind
from mlmagic.capture.reach import Reach
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.records import Sweep, new_id
from mlmagic.session import Session, require
from mlmagic.session import resume as current_or_new
from mlmagic.tuning.body import SWEEP, Body, read_body
from mlmagic.tuning.engines import check_engine
from mlmagic.tuning.engines.slots import cores, slots
from mlmagic.tuning.outcome import SweepResult
from mlmagic.tuning.pruners import PRUNERS
from mlmagic.tuning.samplers import SAMPLERS
from mlmagic.tuning.search import Request, Search, Sinks
from mlmagic.tuning.space import choice_parameter, float_parameter, int_parameter
from mlmagic.tuning.vault import Vault
from mlmagic.views.live import Live

__all__ = ["Choice", "Options", "sweep", "sweep_cell"]

_DEFAULT_TRIALS = 20
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|m|min|h)?$")
_UNITS = {None: 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}
_GPU_PACKAGES = frozenset({"torch", "jax", "cupy", "tensorflow", "cuml"})
_OBJECTIVE = "_objective_"


@dataclass(frozen=True, slots=True)
class Options:
    """What a sweep is started with, as the user says it; see `sweep`."""

    name: str | None = None
    maximize: str | None = None
    minimize: str | None = None
    trials: int | None = None
    time: str | float | None = None
    sampler: str = "tpe"
    pruner: str = "none"
    gpus: str = "auto"
    workers: int | None = None
    trial_timeout: str | float | None = None
    engine: str = "local"
    seed: int = 0
    resume: bool = False

    @property
    def objective(self) -> str:
        if bool(self.maximize) == bool(self.minimize):
            raise MisuseError("a sweep needs a metric: --maximize METRIC or --minimize METRIC, one of the two")
        return str(self.maximize or self.minimize)

    def check(self) -> None:
        """Raises `MisuseError` or `UnknownNameError` for what cannot be, before anything runs."""
        if not self.objective.isidentifier():
            raise MisuseError(f"the metric is the name of a variable, not {self.objective!r}")
        for what, given, known in (("sampler", self.sampler, SAMPLERS), ("pruner", self.pruner, PRUNERS)):
            if given not in known:
                raise UnknownNameError.among(what, given, known)
        check_engine(self.engine)
        duration("--trial-timeout", self.trial_timeout)
        if not hasattr(os, "fork"):
            raise MisuseError("sweeps need a system that can fork: Linux or macOS")
        if self.trials is not None and self.trials < 1:
            raise MisuseError(f"--trials takes a whole number from 1 on, not {self.trials}")

    def budget(self) -> dict[str, Any]:
        """How many trials and seconds; where nothing is said, a small number of trials."""
        seconds = duration("--time", self.time)
        trials = self.trials if self.trials is not None or seconds is not None else _DEFAULT_TRIALS
        return {"trials": trials, "seconds": seconds}


def duration(option: str, given: str | float | None) -> float | None:
    """Seconds from `90`, `90s`, `10m` or `2h`."""
    if given is None:
        return None
    found = _TIME.fullmatch(str(given).strip())
    if found is None or float(found[1]) <= 0:
        raise MisuseError(f"{option} takes a time such as 90s, 10m or 2h, not {given!r}")
    return float(found[1]) * _UNITS[found[2]]


# -- the function ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """Options for a parameter of `mlmagic.sweep`; made by `mlmagic.sweep.choice`."""

    options: tuple[Any, ...]
    default: Any = None


@dataclass(frozen=True, slots=True)
class _Range:
    kind: str
    args: tuple[Any, ...]
    given: Mapping[str, Any]


class _Sweep:
    """`mlmagic.sweep`: search the arguments of a function; `float`, `log`, `int` and `choice` make its ranges."""

    def __call__(
        self,
        function: Callable[..., Any],
        space: dict[str, Any],
        *,
        maximize: str | None = None,
        minimize: str | None = None,
        trials: int | None = None,
        time: str | float | None = None,
        sampler: str = "tpe",
        pruner: str = "none",
        gpus: str = "auto",
        workers: int | None = None,
        trial_timeout: str | float | None = None,
        seed: int = 0,
        name: str | None = None,
        resume: bool = False,
    ) -> SweepResult:
        """Search the arguments of a function in worker processes.

        Parameters
        ----------
        function : callable
            Takes the parameters by name; returns the metric, or a dict of metrics. `sweep.report` works inside.
        space : dict
            Parameter -> range: ``mlmagic.sweep.log(1e-4, 1e-1)``, ``.float``, ``.int`` or ``.choice``.
        maximize, minimize : str
            The metric's name; one of the two.
        trials : int, optional
            How many; 20 where neither this nor `time` is given.
        time : str or float, optional
            No trial starts after so many seconds (``"10m"``).
        sampler, pruner : str
            ``tpe`` or ``random``; ``none``, ``hyperband`` or ``halving``.
        gpus : str
            ``auto``, ``all``, ``none`` or numbers; `workers`: trials at a time.
        trial_timeout : str or float, optional
            A trial that takes longer has failed.
        seed : int
            The same seed suggests the same values, as long as trials end in the same order.

        Returns
        -------
        SweepResult

        Raises
        ------
        MisuseError, UnknownNameError
            Options that do not fit; one line.
        """
        called = name or getattr(function, "__name__", None)
        asked = Options(
            called,
            maximize,
            minimize,
            trials,
            time,
            sampler,
            pruner,
            gpus,
            workers,
            trial_timeout,
            "local",
            seed,
            resume,
        )
        if not space:
            raise MisuseError("a sweep needs a space: {'lr': mlmagic.sweep.log(1e-4, 1e-1)}")
        asked.check()
        extra: dict[str, Any] = {_OBJECTIVE: function}
        calls = ", ".join(_argument(key, value, extra) for key, value in space.items())
        session = current_or_new(sys._getframe(1).f_globals)
        return _run(session, f"{asked.objective} = {_OBJECTIVE}({calls})", asked, extra, None)

    def float(self, low: Any, high: Any, *, default: Any = None) -> _Range:
        """A number between two bounds."""
        return _range("float", (low, high), {"default": default})

    def log(self, low: Any, high: Any, *, default: Any = None) -> _Range:
        """The same, drawn evenly on a logarithmic scale."""
        return _range("log", (low, high), {"default": default})

    def int(self, low: Any, high: Any, log: bool = False, step: Any = 1, *, default: Any = None) -> _Range:
        """A whole number between two bounds, both included."""
        return _range("int", (low, high), {"log": log, "step": step, "default": default})

    def choice(self, options: Iterable[Any], *, default: Any = None) -> Choice:
        """One of several options, of any kind."""
        made = Choice(tuple(options), default)
        choice_parameter("sweep.choice", made.options, default=default)
        return made

    def __repr__(self) -> str:
        return "mlmagic.sweep(function, space, maximize=… | minimize=…)"


sweep = _Sweep()


def _range(kind: str, args: tuple[Any, ...], given: Mapping[str, Any]) -> _Range:
    told = {key: value for key, value in given.items() if value not in (None, False) and (key, value) != ("step", 1)}
    make: Any = int_parameter if kind == "int" else float_parameter
    make(f"sweep.{kind}", *args, **told, **({"log": True} if kind == "log" else {}))
    return _Range(kind, args, told)


def _argument(name: str, value: Any, extra: dict[str, Any]) -> str:
    """A parameter as the body of a cell would spell it."""
    if not str(name).isidentifier():
        raise MisuseError(f"parameters are names of arguments, not {name!r}")
    if isinstance(value, Choice):
        extra[f"_options_{name}"] = value.options
        default = f", default=_options_{name}[{_position(value)}]" if value.default is not None else ""
        return f"{name}=sweep.choice(_options_{name}{default})"
    if not isinstance(value, _Range):
        raise MisuseError(f"{name}: a range is expected, as in mlmagic.sweep.log(1e-4, 1e-1), not {value!r}")
    words = [repr(arg) for arg in value.args] + [f"{key}={told!r}" for key, told in value.given.items()]
    return f"{name}=sweep.{value.kind}({', '.join(words)})"


def _position(choice: Choice) -> int:
    parameter, _ = choice_parameter("choice", choice.options, default=choice.default)
    return int(parameter.start)


# -- the cell --------------------------------------------------------------------------------------


def sweep_cell(source: str, options: Options, typed: str, transform: Callable[[str], str] | None = None) -> SweepResult:
    """Search the values that a cell asks for; what it comes to is shown as it grows.

    Parameters
    ----------
    source : str
        The body.
    typed : str
        The whole cell, for the store.
    """
    options.check()
    session = require()
    return _run(session, source, options, {}, Live(), typed=typed, transform=transform)


def _run(
    session: Session,
    source: str,
    options: Options,
    extra: Mapping[str, Any],
    live: Live | None,
    typed: str = "",
    transform: Callable[[str], str] | None = None,
) -> SweepResult:
    body = read_body(source, transform)
    _check_metric(body, options.objective)
    code = transform(source) if transform is not None else source
    found = _reachable(session.recorder, code, extra)
    wanted = {*found.reads, *body.facts.deletes} - {SWEEP}  # to be deleted, it has to be there
    values = {name: session.namespace[name] for name in wanted if name in session.namespace} | dict(extra)
    places = slots(options.workers, options.gpus, wanted=bool(_GPU_PACKAGES & _packages(found, body)))
    row = _row(session, options, body, typed or source, _prints(session, values, extra))
    before = earlier(session, body, row) if options.resume else Earlier(row)
    for trial, reports in before.copied:
        session.tried(trial, metrics=reports)
    request = Request(
        sweep=before.sweep,
        body=body,
        code=code,
        values=values,
        modules=_modules(session.recorder, found, body, values),
        root=session.project.root,
        slots=places,
        threads=max(1, cores() // min(len(places), options.trials or len(places))),
        trial_timeout=duration("--trial-timeout", options.trial_timeout),
        earlier=before.trials,
        reports=before.reports,
    )
    vault = vault_of(session.project, before.sweep.sweep_id)
    with session.recorder.aside(), vault.at_work():
        return Search(request, _sinks(session, vault, live)).run()


def _check_metric(body: Body, objective: str) -> None:
    """Say before anything runs that no trial could have a score."""
    reports = body.reports()
    if objective in body.binds or reports is None or objective in reports or body.facts.dynamic:
        return
    known = sorted(body.binds | reports)
    near = UnknownNameError.among("variable", objective, known) if known else ""
    raise MisuseError(f"the body never binds or reports the metric {objective}: {near}".rstrip(": "))


def _reachable(recorder: Recorder, code: str, extra: Mapping[str, Any]) -> Reach:
    """What the body can read of the notebook, also through functions that are no variables."""
    found = recorder.reachable(code)
    inner = [name for value in extra.values() for name in recorder.look(value).names]
    for name in inner:
        more = recorder.reachable(name)
        found.reads |= more.reads
        found.packages |= more.packages
    for value in extra.values():
        found.packages |= recorder.look(value).packages
    return found


def _prints(session: Session, values: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, str | None]:
    """Fingerprints of what the trials can reach."""
    look = session.recorder.look
    return {name: look(extra[name]).fingerprint if name in extra else _print_of(session, name) for name in values}


def _print_of(session: Session, name: str) -> str | None:
    seen = session.recorder.snapshots().get(name)
    return seen.fingerprint if seen is not None else None


def _packages(found: Reach, body: Body) -> set[str]:
    return found.packages | {name.partition(".")[0] for name in body.facts.imports}


def _modules(recorder: Recorder, found: Reach, body: Body, values: Mapping[str, Any]) -> list[str]:
    """Modules that workers import once, before they are forked: those loaded here that trials can reach."""
    behind = code_behind(values.values()).imports
    packages = {*_packages(found, body), *(name.partition(".")[0] for name in behind), "numpy"}
    packages -= {"__main__", "mlmagic", "IPython", "ipykernel"}
    loaded = [
        name
        for name in list(sys.modules)
        if name.partition(".")[0] in packages and not recorder.scope.is_local(name) and ".tests" not in name
    ]
    # Each trial seeds NumPy's generator, which NumPy itself imports only when it is first asked for.
    return [*dict.fromkeys([*loaded, "numpy.random", *body.facts.imports, *behind])]


def _row(session: Session, options: Options, body: Body, typed: str, inputs: Mapping[str, str | None]) -> Sweep:
    about = {
        "sampler": options.sampler,
        "pruner": options.pruner,
        "seed": options.seed,
        "workers": options.workers,
        "gpus": options.gpus,
        **options.budget(),
    }
    return Sweep(
        sweep_id=new_id(),
        execution_id=session.recorder.execution_id,
        name=options.name or options.objective,
        space={name: parameter.to_dict() for name, parameter in body.parameters().items()},
        objective=options.objective,
        direction="maximize" if options.maximize else "minimize",
        status="running",
        started_at=now(),
        options=about,
        source=redact(typed),
        code_hash=body.code_hash,
        inputs=inputs,
    )


def _sinks(session: Session, vault: Vault, live: Live | None) -> Sinks:
    def progress(result: SweepResult) -> None:
        if live is not None:
            live.show(result, last=not result.live)

    def swept(row: Sweep) -> None:
        plan = [{**told, "text": redact(str(told["text"]))} for told in row.plan]
        session.swept(replace(row, plan=tuple(plan)))

    return Sinks(swept, session.tried, progress, vault.keep, vault.forget, vault.wish.exists)
