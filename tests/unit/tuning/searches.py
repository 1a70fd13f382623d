"""Small searches for tests: a study, some rows of before, and curves that are told to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mlmagic.records import Measure, Trial
from mlmagic.tuning.space import Parameter, float_parameter
from mlmagic.tuning.study import Study

X = float_parameter("x", -5, 5)
Y = float_parameter("y", -5, 5)


def study(sampler: str = "random", pruner: str = "none", *, name: str = "s", seed: int = 0, up: bool = False) -> Study:
    return Study(name, "maximize" if up else "minimize", sampler, pruner, seed)


def search(
    study: Study, score: Callable[..., float], trials: int, parameters: Iterable[Parameter] = (X, Y)
) -> list[float]:
    """The scores of so many trials, one after the other."""
    scores = []
    for _ in range(trials):
        asked = study.ask(parameters)
        scores.append(score(**asked.values))
        study.complete(asked.number, scores[-1])
    return scores


def row(number: int, params: Mapping[str, Any], value: float | None = None, status: Any = "complete") -> Trial:
    return Trial(f"t{number}", "s1", number, params, status, 1_700_000_000.0, value)


def curve(number: int, values: Iterable[float]) -> list[Measure]:
    return [Measure("e1", "loss", value, None, f"t{number}", step) for step, value in enumerate(values)]


def run(study: Study, values: Iterable[float]) -> int | None:
    """Tell a curve from step 0 on; the step at which it was pruned, ``None`` where it ran to its end."""
    number, value = study.ask([X]).number, 0.0
    for step, value in enumerate(values):
        if study.report(number, step, value):
            study.prune(number, value)
            return step
    study.complete(number, value)
    return None
