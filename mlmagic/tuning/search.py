"""The sweep itself: a body and the variables it can reach in, trials out, one row for each as it starts and ends.

Runs in the kernel and executes nothing of the body. What has to outlive the kernel goes to the sinks as it happens.
"""

from __future__ import annotations

import math
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mlmagic.errors import MisuseError, MlmagicError
from mlmagic.records import Measure, Sweep, Trial, new_id
from mlmagic.tuning.body import Body
from mlmagic.tuning.engines.local import Event, LocalEngine, PreparationError, Worker, WorkerError
from mlmagic.tuning.engines.slots import Slot
from mlmagic.tuning.outcome import SweepResult
from mlmagic.tuning.scratch import scratch_folder
from mlmagic.tuning.space import Number, Parameter
from mlmagic.tuning.state import pack_what_travels
from mlmagic.tuning.study import Study
from mlmagic.tuning.wire import Message

_TICK = 0.25  # seconds between looks at clocks and wishes
_HOPELESS = 10  # trials that all fail, before anything was learnt


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where a search tells what happens.

    Attributes
    ----------
    swept, tried
        Take rows, for the journal.
    progress
        Takes the state so far, for the reader.
    keep
        Stores the file of a trial's variables, and answers with what finds it again.
    forget
        Takes that, where the variables are not wanted any more.
    stopping
        Whether somebody asked the sweep to stop.
    """

    swept: Callable[[Sweep], None]
    tried: Callable[[Trial, Sequence[Measure], Sequence[Measure]], None]
    progress: Callable[[SweepResult], None]
    keep: Callable[[Path], str]
    forget: Callable[[str], None]
    stopping: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be searched.

    Attributes
    ----------
    sweep : Sweep
        The row as it begins; its options hold sampler, pruner, seed, trials and seconds.
    code : str
        The body as Python.
    values : mapping
        The variables that a trial can reach.
    modules : sequence of str
        To be imported before workers are forked.
    earlier : sequence of Trial
        From before, in this sweep's numbering; those in flight are run again with their values.
    """

    sweep: Sweep
    body: Body
    code: str
    values: Mapping[str, object]
    modules: Sequence[str]
    root: Path
    slots: Sequence[Slot]
    threads: int
    trial_timeout: float | None = None
    earlier: Sequence[Trial] = ()
    reports: Sequence[Measure] = ()


@dataclass(slots=True)
class _Running:
    """One trial at work."""

    trial: Trial
    asked: int  # the study's number
    raw: dict[str, Number]
    reports: list[Measure] = field(default_factory=list)


class Search:
    """One sweep between its beginning and its end."""

    def __init__(self, request: Request, sinks: Sinks) -> None:
        self._request = request
        self._sinks = sinks
        self._sweep = request.sweep
        known = {name: Parameter.from_dict(told) for name, told in request.sweep.space.items()}
        self._parameters: dict[str, Parameter] = known | request.body.parameters()
        self._restored: frozenset[int] = frozenset()  # numbers of the trials that ended before this run
        self._trials: dict[int, Trial] = {}
        self._reports: list[Measure] = list(request.reports)
        self._running: dict[Worker, _Running] = {}
        self._again: deque[Trial] = deque()
        self._ready: _Running | None = None  # asked for while others run
        self._stays: dict[str, str] = {}
        self._fingerprints: dict[str, str | None] = {}
        self._made: dict[str, int] = {}
        self._forced: dict[int, str] = {}
        self._left: tuple[int, ...] = ()
        self._file = Path()
        self._base = Path()
        self._checked = False
        self._over = ""  # why no further trial starts
        self._started = time.monotonic()
        self._study: Study | None = None
        self._keeper = ThreadPoolExecutor(1)  # storing variables takes time in which trials can be answered
        self._keeping: tuple[int, Future[str]] | None = None  # number of the trial, what finds them again

    def run(self) -> SweepResult:
        """Search until the budget is used up.

        Raises
        ------
        MisuseError
            The body cannot be searched; one line.
        KeyboardInterrupt
            After all workers have ended; what has finished is told.
        """
        status = "failed"
        self._tell_sweep("running")
        try:
            with self._workers() as engine:
                self._prepare(engine)
                try:
                    self._search(engine)
                finally:
                    for worker in self._running:  # where it was interrupted: storing takes time
                        engine.kill(worker, "the sweep was interrupted")
                    self._note_kept(wait=True)  # while there are files
            status = "stopped" if self._over == "stopped" else "finished"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            self._end_running()
            self._keeper.shutdown()
            self._tell_sweep(status)
        if status == "finished" and self._all_failed():
            self._tell_sweep("failed")
            first = next(trial.error for trial in self._trials.values() if trial.error)
            raise MisuseError(f"all trials failed ({len(self._trials)}); the first: {first}")
        return self._result()

    @contextmanager
    def _workers(self) -> Iterator[LocalEngine]:
        try:
            with scratch_folder() as scratch:
                engine = LocalEngine(self._request.slots, self._request.threads, scratch)
                try:
                    self._base = scratch / "variables"
                    yield engine
                finally:
                    engine.close()
        except OSError as error:
            what = f" ({error.filename})" if error.filename else ""
            raise WorkerError(f"the sweep's files cannot be written: {error.strerror or error}{what}") from error

    # -- before the first trial --------------------------------------------------------------

    def _prepare(self, engine: LocalEngine) -> None:
        engine.prepare(self._request.modules)
        self._stays = pack_what_travels(self._request.values, self._base)
        self._study = self._new_study()
        self._split(engine)
        self._tell_sweep("running")

    def _new_study(self) -> Study:
        options = self._sweep.options
        study = Study(
            self._sweep.sweep_id, self._sweep.direction, options["sampler"], options["pruner"], options["seed"]
        )
        done = [trial for trial in self._request.earlier if trial.status not in ("running", "interrupted")]
        objective = [report for report in self._reports if report.name == self._sweep.objective]
        study.restore(done, objective, self._parameters)
        self._trials = {trial.number: trial for trial in done}
        self._restored = frozenset(self._trials)
        self._again.extend(trial for trial in self._request.earlier if trial.status in ("running", "interrupted"))
        return study

    def _split(self, engine: LocalEngine) -> None:
        """Run what is shared, again without what turned out not to be, until nothing speaks against it."""
        for number in range(len(self._request.body.statements) + 1):
            out = self._base.with_name(f"shared-{number}-{len(self._forced)}")
            told = self._split_once(engine, out)
            self._forced |= {int(key): why for key, why in told["spoilt"].items()}
            if told["spoilt"]:
                continue
            seen = engine.probe(out)
            if wrong := self._came_otherwise(told, seen["fingerprints"]):
                self._forced |= wrong
                continue
            self._take(told, out)
            if seen["threads"] == 0:
                engine.load(out)
            return

    def _split_once(self, engine: LocalEngine, out: Path) -> Message:
        asked = {"source": self._request.code, "file": str(self._base), "out": str(out)}
        asked["root"] = str(self._request.root)
        try:
            return engine.split(self._request.trial_timeout, forced=self._forced, **asked)
        except PreparationError as error:  # a shared statement crashed; in the trials that is theirs to tell
            all_of_them = range(len(self._request.body.statements))
            self._forced |= dict.fromkeys(all_of_them, f"what could be shared came to nothing: {error}")
            return engine.split(None, forced=self._forced, **asked)

    def _came_otherwise(self, told: Message, found: Mapping[str, str | None]) -> dict[int, str]:
        """Shared statements whose results are not in the workers what they were where they were made."""
        made = told["made"]
        wrong = [name for name in made if found.get(name) != told["fingerprints"].get(name)]
        return {made[name]: f"{name} does not come to the workers as it was made" for name in wrong}

    def _take(self, told: Message, out: Path) -> None:
        self._file, self._made = out, told["made"]
        self._fingerprints = told["fingerprints"]
        self._left = tuple(row["number"] for row in told["rows"] if not row["shared"])
        plan = [{key: row[key] for key in ("line", "text", "shared", "reason", "seconds")} for row in told["rows"]]
        self._sweep = replace(self._sweep, plan=tuple(plan))

    # -- the loop ----------------------------------------------------------------------------

    def _search(self, engine: LocalEngine) -> None:
        self._started = time.monotonic()
        while True:
            self._launch(engine)
            if not self._running:
                return
            for event in engine.events(0.0 if self._get_ready() else _TICK):
                self._hear(engine, event)
            self._watch(engine)
            self._note_kept()
            self._sinks.progress(self._result(live=True))

    def _launch(self, engine: LocalEngine) -> None:
        busy = {worker.slot.number for worker in self._running}
        for slot in engine.slots:
            if slot.number not in busy and self._wanted():
                self._begin(engine, slot)

    def _wanted(self) -> bool:
        """Whether one more trial is to start now."""
        options, begun = self._sweep.options, len(self._trials) + len(self._running)
        if self._over:
            return False
        if self._sinks.stopping():
            self._over = "stopped"
        elif options["trials"] is not None and begun >= options["trials"]:
            self._over = "all trials have begun"
        elif options["seconds"] is not None and time.monotonic() - self._started >= options["seconds"]:
            self._over = "its time is up"
        elif self._hopeless():
            self._over = "all trials failed"
        return not self._over

    def _hopeless(self) -> bool:
        """Whether many trials have failed and none has come to anything."""
        return len(self._trials) - len(self._restored) >= _HOPELESS and self._all_failed()

    def _all_failed(self) -> bool:
        """Whether every trial of this run failed, and there was one."""
        ended = [trial for number, trial in self._trials.items() if number not in self._restored]
        return bool(ended) and all(trial.status == "failed" for trial in ended)

    def _get_ready(self) -> bool:
        """Ask for the next trial while others run; false where there is nothing to be asked."""
        options, begun = self._sweep.options, len(self._trials) + len(self._running)
        enough = options["trials"] is not None and begun >= options["trials"]
        if self._ready is not None or self._over or enough:
            return False
        self._ready = self._next()
        return True

    def _next(self) -> _Running:
        number, trial_id, fixed = self._begun(), new_id(), {}
        if self._again:
            earlier = self._again.popleft()
            number, trial_id, fixed = earlier.number, earlier.trial_id, self._raw(earlier)
        elif number == 0:
            fixed = {name: parameter.start for name, parameter in self._parameters.items()}
        asked = self._known_study.ask(self._request.body.certain(), fixed)
        trial = Trial(
            trial_id=trial_id,
            sweep_id=self._sweep.sweep_id,
            number=number,
            params={name: self._parameters[name].stored(value) for name, value in asked.values.items()},
            status="running",
            started_at=time.time(),
            seed=trial_seed(int(self._sweep.options["seed"]), number),
        )
        return _Running(trial, asked.number, dict(asked.values))

    @property
    def _known_study(self) -> Study:
        assert self._study is not None
        return self._study

    def _begun(self) -> int:
        numbers = [*self._trials, *(run.trial.number for run in self._running.values())]
        return max([*numbers, *(trial.number for trial in self._request.earlier)], default=-1) + 1

    def _raw(self, trial: Trial) -> dict[str, Number]:
        found = {
            name: self._parameters[name].raw(value) for name, value in trial.params.items() if name in self._parameters
        }
        return {name: value for name, value in found.items() if value is not None}

    def _begin(self, engine: LocalEngine, slot: Slot) -> None:
        run, self._ready = self._ready or self._next(), None
        run.trial = replace(run.trial, worker=slot.number, device=slot.device, started_at=time.time())
        check = not self._checked and bool(self._made)
        self._checked = True
        task = {
            "source": self._request.code,
            "left": list(self._left),
            "objective": self._sweep.objective,
            "seed": run.trial.seed,
            "values": run.raw,
            "stays": self._stays,
            "fingerprints": self._fingerprints,
            "made": list(self._made),
            "check": check,
        }
        self._running[engine.launch(slot, self._file, task)] = run
        self._sinks.tried(run.trial, self._measures(run.trial), [])

    # -- what workers say --------------------------------------------------------------------

    def _hear(self, engine: LocalEngine, event: Event) -> None:
        run = self._running.get(event.worker)
        if run is None:
            return
        if event.message is None and run.trial.value is not None:  # it had its score: only its variables are lost
            self._finish(engine, event.worker, run, self._kept_end(run, {"failure": event.reason}))
            return
        if event.message is None:
            self._finish(engine, event.worker, run, {"status": "failed", "error": event.reason})
            return
        try:
            self._answer(engine, event.worker, run, event.message)
        except OSError:  # it died meanwhile; its end comes as an event
            pass

    def _answer(self, engine: LocalEngine, worker: Worker, run: _Running, message: Message) -> None:
        if "ask" in message:
            worker.channel.send(self._suggest(run, Parameter.from_dict(message["ask"])))
        elif "report" in message:
            worker.channel.send({"prune": self._reported(run, message["report"], message["step"])})
        elif "end" in message:
            end = message["end"]
            keep = end["status"] == "complete" and self._is_best(end["value"], run.trial.number)
            path = worker.output.with_name(f"kept-{run.trial.number}")
            worker.channel.send({"keep": str(path) if keep else None})
            if keep:
                run.trial = replace(run.trial, artifact=str(path))
                self._ended_with(run, end)
            else:
                self._finish(engine, worker, run, end)
        elif "kept" in message:
            self._finish(engine, worker, run, self._kept_end(run, message["kept"]))

    def _kept_end(self, run: _Running, kept: Message) -> Message:
        """The end of a trial whose score was told before its variables were written."""
        return {"status": "complete", "value": run.trial.value, "seconds": run.trial.seconds, "kept": kept}

    def _ended_with(self, run: _Running, end: Message) -> None:
        run.trial = replace(run.trial, value=end["value"], seconds=end["seconds"])
        self._note_changes(end)

    def _suggest(self, run: _Running, parameter: Parameter) -> Message:
        try:
            value = self._known_study.suggest(run.asked, parameter)
        except MisuseError as error:
            return {"error": str(error)}
        self._parameters[parameter.name] = parameter
        run.raw[parameter.name] = value
        run.trial = replace(run.trial, params={**run.trial.params, parameter.name: parameter.stored(value)})
        return {"value": value}

    def _reported(self, run: _Running, metrics: Mapping[str, float], step: int | None) -> bool:
        number = step if step is not None else 1 + max((one.step or 0 for one in run.reports), default=-1)
        for name, value in metrics.items():
            run.reports.append(Measure(self._sweep.execution_id or "", name, value, None, run.trial.trial_id, number))
        score = metrics.get(self._sweep.objective)
        return score is not None and self._known_study.report(run.asked, number, score)

    def _is_best(self, value: float, number: int) -> bool:
        """Whether a trial would come before all that are complete, the first of equals before the others."""
        best = self._result().best
        if not math.isfinite(value) or best is None or best.value is None:
            return math.isfinite(value)
        sign = -1 if self._sweep.direction == "maximize" else 1
        return (sign * value, number) < (sign * best.value, best.number)

    def _finish(self, engine: LocalEngine, worker: Worker, run: _Running, end: Message) -> None:
        """The trial is over: its row, what the study learns, and room for the next."""
        worker.finished = True
        output = engine.tail(worker)
        trial = replace(
            run.trial,
            status=end["status"],
            value=end.get("value"),
            seconds=end.get("seconds", time.monotonic() - worker.started),
            error=end.get("error"),
            output=output if end["status"] == "failed" else output[-500:],
            artifact=None,
        )
        better = "kept" in end and trial.value is not None and self._is_best(trial.value, trial.number)
        if "failure" in end.get("kept", {}):
            trial = replace(trial, error=f"its variables were not kept: {end['kept']['failure']}")
        self._learn(run, trial)
        self._trials[trial.number] = trial
        self._reports += run.reports
        self._sinks.tried(trial, self._measures(trial), self._scores(trial, run.reports))
        del self._running[worker]
        if "kept" in end:
            self._keep(trial, Path(str(run.trial.artifact)), end["kept"], better=better)
        self._note_changes(end)
        if end.get("misuse"):
            self._over = "failed"
            raise MisuseError(trial.error or "the body cannot be searched")

    def _learn(self, run: _Running, trial: Trial) -> None:
        if trial.status == "complete" and trial.value is not None:
            self._known_study.complete(run.asked, trial.value)
        elif trial.status == "pruned":
            self._known_study.prune(run.asked, trial.value)
        else:
            self._known_study.fail(run.asked)

    def _keep(self, trial: Trial, path: Path, kept: Message, *, better: bool) -> None:
        """Have a trial's variables stored where it is the best, in the place of those of the best before it."""
        if "failure" in kept or not path.exists():
            return
        if not better:  # another ended meanwhile
            path.unlink()
            return
        self._note_kept(wait=True)
        self._keeping = trial.number, self._keeper.submit(self._sinks.keep, path)

    def _note_kept(self, *, wait: bool = False) -> None:
        """Note where the best trial's variables are, as soon as they are stored; those of the best before it go."""
        if self._keeping is None or not (wait or self._keeping[1].done()):
            return
        number, future = self._keeping
        earlier = [trial for trial in self._trials.values() if trial.artifact is not None]
        try:
            self._trials[number] = replace(self._trials[number], artifact=future.result())
        except (OSError, MlmagicError) as error:
            why = f"its variables were not kept: {getattr(error, 'strerror', None) or error}"
            self._trials[number] = replace(self._trials[number], error=why)
            earlier = []
        self._keeping = None
        for trial in earlier:
            if trial.artifact != self._trials[number].artifact:
                self._sinks.forget(str(trial.artifact))
            self._trials[trial.number] = replace(trial, artifact=None)
            self._tell_trial(self._trials[trial.number])
        self._tell_trial(self._trials[number])

    def _tell_trial(self, trial: Trial) -> None:
        """Write a finished trial's row again."""
        self._sinks.tried(trial, (), ())

    def _note_changes(self, end: Message) -> None:
        """What the first trial changed of what shared statements made belongs to the trials from now on."""
        for name in end.get("changed", ()):
            if name in self._made:
                self._forced.setdefault(self._made[name], f"the trials change {name}")

    def _watch(self, engine: LocalEngine) -> None:
        limit = self._request.trial_timeout
        if limit is not None:
            for worker, run in self._running.items():
                scored = run.trial.value is not None  # it is writing its variables
                if time.monotonic() - worker.started > limit and not worker.killed and not scored:
                    engine.kill(worker, f"it took longer than --trial-timeout allows ({limit:g} s)")
        if set(self._forced) - set(self._left):
            self._split(engine)
            self._tell_sweep("running")

    # -- rows --------------------------------------------------------------------------------

    def _measures(self, trial: Trial) -> list[Measure]:
        execution_id = self._sweep.execution_id or ""
        return [_measure(execution_id, name, value, trial.trial_id) for name, value in trial.params.items()]

    def _scores(self, trial: Trial, reports: Sequence[Measure]) -> list[Measure]:
        execution_id = self._sweep.execution_id or ""
        own = (
            []
            if trial.value is None
            else [Measure(execution_id, self._sweep.objective, trial.value, None, trial.trial_id)]
        )
        return [*reports, *own]

    def _end_running(self) -> None:
        """Trials that did not come to their end: to be run again by `--resume`."""
        for run in self._running.values():
            status: Literal["complete", "interrupted"] = "interrupted" if run.trial.value is None else "complete"
            trial = replace(run.trial, status=status, artifact=None)
            self._trials[trial.number] = trial
            self._sinks.tried(trial, self._measures(trial), self._scores(trial, run.reports))
        self._running.clear()

    def _tell_sweep(self, status: str) -> None:
        space = {name: parameter.to_dict() for name, parameter in self._parameters.items()}
        seconds = time.monotonic() - self._started
        self._sweep = replace(self._sweep, status=status, space=space, seconds=seconds)
        self._sinks.swept(self._sweep)
        self._sinks.progress(self._result(live=status == "running"))

    def _result(self, live: bool = False) -> SweepResult:
        trials = [*self._trials.values(), *(run.trial for run in self._running.values())]
        reports = [*self._reports, *(report for run in self._running.values() for report in run.reports)]
        sweep = replace(self._sweep, seconds=time.monotonic() - self._started) if live else self._sweep
        ordered = tuple(sorted(trials, key=lambda trial: trial.number))
        return SweepResult(sweep, ordered, tuple(reports), live)


def trial_seed(seed: int, number: int) -> int:
    """32 bits for the generators of a trial."""
    return zlib.crc32(f"{seed}/{number}".encode())


def _measure(execution_id: str, name: str, value: object, trial_id: str) -> Measure:
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return Measure(execution_id, name, number, None if number is not None else str(value), trial_id)
