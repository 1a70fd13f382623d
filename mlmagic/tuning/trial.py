"""One trial in its process: values asked of the kernel, the rest of the body run, the score told.

The process was forked for this trial alone and ends with it: whatever the body changes, no other trial sees it.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlmagic._optional import loaded
from mlmagic.capture.behind import code_reach
from mlmagic.capture.modules import LocalModules
from mlmagic.capture.names import is_users_name
from mlmagic.errors import MisuseError
from mlmagic.fingerprint import Scope, snapshot
from mlmagic.tuning.body import SWEEP, Body, compiled
from mlmagic.tuning.space import Number, Parameter, Suggestions
from mlmagic.tuning.state import GONE, UnstorableError, pack_what_travels, storable
from mlmagic.tuning.wire import Channel

_LONGEST_ERROR = 300


class Pruned(BaseException):
    """The trial is not worth going on with; no `except Exception` of the user's stops it."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is told of a trial.

    Attributes
    ----------
    source : str
        The body, as Python.
    left : tuple of int
        Numbers of the statements to run; the others ran once for all.
    stays : mapping
        Variables that could not travel -> why.
    fingerprints : mapping
        Of the variables that the trial starts from.
    made : tuple of str
        Those of them that shared statements made; `check`: tell which of these the trial changed.
    """

    source: str
    left: tuple[int, ...]
    objective: str
    seed: int
    values: Mapping[str, Number] = field(default_factory=dict)
    stays: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str | None] = field(default_factory=dict)
    made: tuple[str, ...] = ()
    check: bool = False

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Task:
        """From a message."""
        return cls(**{**told, "left": tuple(told["left"]), "made": tuple(told.get("made", ()))})


class TrialRun:
    """The trial of a process.

    Parameters
    ----------
    namespace : dict
        The variables that it starts from, and the globals that it runs on.
    """

    def __init__(self, task: Task, body: Body, channel: Channel, namespace: dict[str, Any]) -> None:
        self._task = task
        self._body = body
        self._channel = channel
        self._namespace = namespace
        self._known: dict[str, Number] = {}
        self._last: dict[str, Any] = {}
        self._start = set(namespace) - {SWEEP}

    def run(self) -> None:
        """Run it, tell how it ended, and leave its variables where the kernel wants them."""
        started = time.perf_counter()
        end = self._attempt()
        end["seconds"] = time.perf_counter() - started
        if self._task.check and end["status"] == "complete":
            end["changed"] = self._changed(self._task.made)
        answer = self._channel.ask({"end": end})
        if answer.get("keep"):
            self._channel.send({"kept": self._keep(Path(answer["keep"]))})  # no answer: this process ends now

    # -- the body ----------------------------------------------------------------------------

    def _attempt(self) -> dict[str, Any]:
        seed_generators(self._task.seed)
        self._namespace[SWEEP] = Suggestions(self._ask, self._report)
        nodes = [self._body.statements[number].node for number in self._task.left]
        try:
            exec(compiled(nodes), self._namespace)
            return {"status": "complete", "value": self._score()}
        except Pruned:
            return {"status": "pruned", "value": self._last.get(self._task.objective)}
        except MisuseError as error:
            return {"status": "failed", "error": str(error), "misuse": True}
        except BaseException as error:
            return {"status": "failed", "error": self._described(error)}
        finally:
            self._namespace.pop(SWEEP, None)

    def _ask(self, parameter: Parameter) -> Number:
        name = parameter.name
        if name not in self._known:
            given = self._task.values.get(name)
            if given is None:
                answer = self._channel.ask({"ask": parameter.to_dict()})
                if "error" in answer:
                    raise MisuseError(answer["error"])
                given = answer["value"]
            self._known[name] = given
        return self._known[name]

    def _report(self, step: Any, metrics: Mapping[str, Any]) -> None:
        told = {name: as_score(name, value) for name, value in metrics.items()}
        if not told:
            raise MisuseError("sweep.report tells nothing: name a metric, as in sweep.report(step=1, loss=0.5)")
        if step is not None and (isinstance(step, bool) or as_score("step", step) != int(step)):
            raise MisuseError(f"sweep.report takes a whole number as its step, not {step!r}")
        self._last |= told
        answer = self._channel.ask({"report": told, "step": None if step is None else int(step)})
        if answer["prune"]:
            raise Pruned

    def _score(self) -> float:
        """The variable of the metric's name where the body binds it, else what was reported last."""
        name = self._task.objective
        if name in self._body.binds and name in self._namespace:
            value = self._told_by(self._namespace[name])
        elif name in self._last:
            value = self._last[name]
        else:
            raise MisuseError(f"the body ended without {name}: bind it, or tell it by sweep.report({name}=…)")
        if math.isnan(value):
            raise ArithmeticError(f"{name} is NaN")
        return value

    def _told_by(self, value: Any) -> float:
        """The metric among those that the searched function returned; the others are reported."""
        name = self._task.objective
        if type(value) is not dict or name not in value:
            return as_score(name, value)
        others = {str(key): told for key, told in value.items() if key != name}
        if others:
            self._report(None, others)
        return as_score(name, value[name])

    def _described(self, error: BaseException) -> str:
        """Type, message and line, in one line."""
        lines = [
            line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "<sweep>"
        ]
        where = f" (line {lines[-1]})" if lines else ""
        message = described(error)
        missing = error.name if isinstance(error, NameError) else None
        if missing is not None and missing in self._task.stays:
            message = f"{missing} cannot be sent to a worker: {self._task.stays[missing]}"
        with contextlib.suppress(Exception):  # the body may have closed the stream
            traceback.print_exception(error)
        return f"{message[:_LONGEST_ERROR]}{where}"

    # -- afterwards --------------------------------------------------------------------------

    def _changed(self, names: Iterable[str]) -> list[str]:
        """Variables that are not what they were when the trial began, or of which nobody can tell."""
        scope = Scope(self._namespace, code_reach, LocalModules().is_local)
        before = self._task.fingerprints
        return [
            name
            for name in names
            if name not in self._namespace
            or before.get(name) is None
            or snapshot(self._namespace[name], scope).fingerprint != before[name]
        ]

    def _keep(self, path: Path) -> dict[str, Any]:
        """Write what the body left behind: names it binds, and variables that it, or a shared statement, changed."""
        new = self._namespace.keys() - self._start
        names = self._body.facts.binds.union(new, self._task.made, self._changed(self._task.fingerprints))
        values = storable(self._namespace, sorted(filter(is_users_name, names - {SWEEP})))
        gone = sorted(self._start - self._namespace.keys())
        try:
            unkept = pack_what_travels({**values, GONE: gone}, path)
            return {"unkept": unkept, "names": sorted(values)}
        except (OSError, UnstorableError) as error:
            return {"failure": str(error)}


def described(error: BaseException) -> str:
    """Type and message of an exception in one line, whatever its own `__str__` does."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        lines = []
    kind = type(error).__qualname__
    return f"{kind}: {lines[0]}" if lines else kind


def as_score(name: str, value: Any) -> float:
    """A metric as a number.

    Raises
    ------
    MisuseError
        Where it is none.
    """
    kind = type(value)
    scalar = (
        kind.__module__.partition(".")[0] in ("numpy", "torch", "jax", "jaxlib") and getattr(value, "shape", 0) == ()
    )
    if not scalar and not isinstance(value, (int, float)):
        raise MisuseError(f"the metric {name} is a {kind.__qualname__}, not a number")
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        raise MisuseError(f"the metric {name} is a {kind.__qualname__}, not a number") from None


def seed_generators(seed: int) -> None:
    """Seed the global generators, those of packages that are loaded."""
    random.seed(seed)
    if (numpy := loaded("numpy")) is not None:
        numpy.random.seed(seed)
    if (torch := loaded("torch")) is not None:
        torch.manual_seed(seed)


def leave(status: int = 0) -> None:
    """End the process at once: what the server registered to be done at its end is not this process's to do."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed by the body, or taken away
            stream.flush()
    os._exit(status)
