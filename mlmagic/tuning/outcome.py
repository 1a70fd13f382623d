"""What a sweep came to, for its reader: rows of the store in, text and data out; `views` draws the pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlmagic.records import Measure, Sweep, Trial, as_json
from mlmagic.results import Result
from mlmagic.tuning.space import Parameter

_SHOWN = 10  # trials in the text face


@dataclass(frozen=True, repr=False)
class SweepResult(Result):
    """One sweep with its trials.

    Attributes
    ----------
    sweep : Sweep
    trials : tuple of Trial
        By number.
    reports : tuple of Measure
        What trials told on their way: `trial_id`, `step`, `name`, `value`.
    live : bool
        It is still going on.
    """

    sweep: Sweep
    trials: tuple[Trial, ...] = ()
    reports: tuple[Measure, ...] = ()
    live: bool = False

    @property
    def best(self) -> Trial | None:
        """The complete trial with the best finite score, the first of equals."""
        return next((trial for trial in self.ranked() if trial.status == "complete" and _is_scored(trial)), None)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The space as far as it is known, in the order of the cell."""
        return {name: Parameter.from_dict(told) for name, told in self.sweep.space.items()}

    def count(self, status: str) -> int:
        """How many trials are in this state."""
        return sum(trial.status == status for trial in self.trials)

    @property
    def planned(self) -> int | None:
        """How many trials it was to run; ``None``: as many as fit in its time."""
        found = self.sweep.options.get("trials")
        return found if isinstance(found, int) else None

    @property
    def shared(self) -> tuple[int, int]:
        """How many of the body's statements ran once for all trials, and how many there are."""
        return sum(bool(row.get("shared")) for row in self.sweep.plan), len(self.sweep.plan)

    @property
    def headline(self) -> str:
        """State, counts and speed in one line."""
        done = len(self.trials) - self.count("running")
        of = f" of {self.planned}" if self.planned is not None and done < self.planned else ""
        parts = [f"{done}{of} trials"]
        counts = {status: self.count(status) for status in ("pruned", "failed", "running")}
        parts += [f"{number} {status}" for status, number in counts.items() if number]
        kept = sum(trial.kept_from is not None for trial in self.trials)
        if kept:
            parts.append(f"{kept} from before")
        if self.sweep.seconds and done > kept:
            parts.append(f"{(done - kept) / self.sweep.seconds:.2g} per second")
        shared, all_statements = self.shared
        if all_statements:
            parts.append(f"{shared} of {all_statements} statements shared")
        return f"sweep {self.sweep.name}: {self.sweep.status}; {', '.join(parts)}"

    def text(self) -> str:
        lines = [self.headline]
        best = self.best
        if best is not None:
            lines.append(
                f"best: {self.sweep.objective} = {told(best.value)} in trial {best.number} ({params_in_words(best)})"
            )
        ranked = self.ranked()
        if ranked:
            lines += ["", *_table(ranked[:_SHOWN], list(self.sweep.space), self.sweep.objective)]
            if len(ranked) > _SHOWN:
                lines.append(f"… {len(ranked) - _SHOWN} more: .to_pandas() has them all")
        return "\n".join(lines)

    def ranked(self) -> list[Trial]:
        """Best first; those without a score at the end, in order."""
        sign = -1 if self.sweep.direction == "maximize" else 1
        order = {"complete": 0, "pruned": 1, "running": 2, "interrupted": 3, "failed": 4}

        def key(trial: Trial) -> tuple[float, float, int]:
            scored = trial.value is not None and _is_scored(trial)
            return (
                order[trial.status] + (0.0 if scored else 0.5),
                sign * (trial.value or 0.0) if scored else 0.0,
                trial.number,
            )

        return sorted(self.trials, key=key)

    def to_dict(self) -> dict[str, Any]:
        return {
            "sweep": as_json(self.sweep),
            "trials": [as_json(trial) for trial in self.trials],
            "reports": [as_json(report) for report in self.reports],
        }

    def to_pandas(self) -> Any:
        import pandas as pd

        names = list(dict.fromkeys(name for trial in self.trials for name in trial.params))
        columns = ["number", *names, self.sweep.objective, "status", "seconds", "seed", "worker", "device", "error"]
        return pd.DataFrame([self._row(trial, names) for trial in self.trials], columns=columns)

    def _row(self, trial: Trial, names: Iterable[str]) -> list[Any]:
        about = [trial.value, trial.status, trial.seconds, trial.seed, trial.worker, trial.device, trial.error]
        return [trial.number, *(trial.params.get(name) for name in names), *about]


@dataclass(frozen=True, repr=False)
class SweepPlan(Result):
    """Which statements of a sweep's body ran once for all trials, and why not the others."""

    sweep: Sweep

    def text(self) -> str:
        shared = sum(bool(row.get("shared")) for row in self.sweep.plan)
        lines = [f"sweep {self.sweep.name}: {shared} of {len(self.sweep.plan)} statements run once for all trials"]
        lines += [f"  {line:>3}  {how:<10}  {text}{why}" for line, how, text, why in map(_plan_row, self.sweep.plan)]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.sweep.name, "plan": [dict(row) for row in self.sweep.plan]}

    def to_pandas(self) -> Any:
        import pandas as pd

        return pd.DataFrame(self.to_dict()["plan"], columns=["line", "text", "shared", "reason", "seconds"])


@dataclass(frozen=True, repr=False)
class SweepList(Result):
    """The sweeps of a project, newest first."""

    sweeps: tuple[SweepResult, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One for each sweep."""
        return [_summary(one) for one in self.sweeps]

    def text(self) -> str:
        if not self.sweeps:
            return "no sweeps yet: put %%sweep --maximize METRIC on top of a cell"
        return "\n".join(_listed(row) for row in self.rows())

    def to_dict(self) -> dict[str, Any]:
        return {"sweeps": self.rows()}

    def to_pandas(self) -> Any:
        import pandas as pd

        return pd.DataFrame(self.rows())


def _summary(one: SweepResult) -> dict[str, Any]:
    best = one.best
    return {
        "name": one.sweep.name,
        "status": one.sweep.status,
        "objective": f"{one.sweep.direction} {one.sweep.objective}",
        "trials": len(one.trials),
        "failed": one.count("failed"),
        "best": None if best is None else best.value,
        "best_trial": None if best is None else best.number,
        "params": {} if best is None else dict(best.params),
        "seconds": one.sweep.seconds,
        "sweep_id": one.sweep.sweep_id,
    }


def _listed(row: Mapping[str, Any]) -> str:
    best = "" if row["best"] is None else f", best {told(row['best'])} (trial {row['best_trial']})"
    return f"{row['name']}: {row['status']}, {row['objective']}, {row['trials']} trials{best}"


def _plan_row(row: Mapping[str, Any]) -> tuple[Any, str, str, str]:
    why = f"  ({row['reason']})" if row.get("reason") else ""
    return row.get("line"), "once" if row.get("shared") else "each trial", str(row.get("text", "")), why


def _is_scored(trial: Trial) -> bool:
    return trial.value is not None and math.isfinite(trial.value)


def told(value: object) -> str:
    """A number as people write it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def params_in_words(trial: Trial) -> str:
    """`lr=0.01, depth=3`."""
    return ", ".join(f"{name}={told(value)}" for name, value in trial.params.items())


def _table(trials: Sequence[Trial], names: Sequence[str], objective: str) -> list[str]:
    header = ["trial", objective, *names, "status", "seconds"]
    rows = [
        [
            str(trial.number),
            "" if trial.value is None else told(trial.value),
            *(told(trial.params[name]) if name in trial.params else "" for name in names),
            trial.status if trial.error is None else f"{trial.status}: {trial.error}"[:80],
            "" if trial.seconds is None else f"{trial.seconds:.2f}",
        ]
        for trial in trials
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
