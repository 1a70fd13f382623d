"""The step from scores to pictures: a sweep's trials come in, its scores, parameters and learning curves go out as SVG.

In all three, trials have the page's accent, the stronger the better, and the best trial its ink.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from mlmagic.records import Trial
from mlmagic.tuning.outcome import SweepResult
from mlmagic.tuning.space import Parameter
from mlmagic.views import charts, html
from mlmagic.views.charts import Point, Scale

MAX_AXES = 12
MAX_DOTS = 1200
MAX_TIPS = 150  # above, the words under the pointer would weigh more than the picture
POINTS = 60  # of one learning curve
SHADES = 5
OUTLINE = (304.0, 200.0)  # of the pictures over trials and over steps
_FLOOR = OUTLINE[1] - 20
TALL = 200.0  # of the picture of the parameters
GAP = 84.0  # between its axes

# Shades of one hue, from faint to full: told apart without colour vision, on light pages and on dark ones.
_SHADES = "".join(
    f".mlm-c .s{place}{{stroke:{html.ACCENT};stroke-opacity:{opacity};stroke-width:{width}}}"
    for place, (opacity, width) in enumerate([(0.16, 1), (0.26, 1), (0.4, 1.1), (0.58, 1.2), (0.85, 1.3)])
)
STYLE = (
    # trials in the page's accent, the best in its ink
    f".mlm-c .dot{{fill:{html.ACCENT};fill-opacity:.62}}"
    f".mlm-c .many{{stroke:{html.ACCENT};stroke-opacity:.62;stroke-width:4}}"
    f".mlm-c .ring{{stroke:{html.ACCENT};stroke-opacity:.5;stroke-width:1.1}}"
    f".mlm-c .x{{stroke:{html.ERROR};stroke-width:1.4}}"
    f".mlm-c .best{{stroke:{html.TEXT};stroke-width:1.6}}.mlm-c .top{{stroke:{html.TEXT};stroke-width:2.4}}"
    f".mlm-c .mark{{fill:{html.TEXT}}}.mlm-c .pr{{stroke:currentColor;stroke-opacity:.3;stroke-dasharray:2 4}}"
    f"{_SHADES}"
)


@dataclass(frozen=True, slots=True)
class Scores:
    """A sweep's trials in order of merit. Scores that are no finite number count as none."""

    result: SweepResult
    ranked: tuple[Trial, ...]
    scored: tuple[Trial, ...]  # complete or pruned, with a score; best first, complete before pruned
    rank: Mapping[str, int]  # complete trials -> how many are better
    sign: int  # times this, lower is better

    @classmethod
    def of(cls, result: SweepResult) -> Scores:
        sign = -1 if result.sweep.direction == "maximize" else 1
        order = ["complete", "pruned", "running", "interrupted", "failed"]

        def merit(trial: Trial) -> tuple[int, bool, float, int]:
            score = charts.finite(trial.value)
            return order.index(trial.status), score is None, sign * (score or 0.0), trial.number

        ranked = tuple(sorted(result.trials, key=merit))
        found = [t for t in ranked if t.status in ("complete", "pruned") and charts.finite(t.value) is not None]
        complete = [trial for trial in found if trial.status == "complete"]
        first: dict[float, int] = {}  # equals share the place of the first of them
        rank = {trial.trial_id: first.setdefault(score_of(trial), place) for place, trial in enumerate(complete)}
        return cls(result, ranked, tuple(found), rank, sign)

    @property
    def best(self) -> Trial | None:
        return next((trial for trial in self.scored if trial.status == "complete"), None)

    @property
    def objective(self) -> str:
        return charts.short(self.result.sweep.objective, 40)

    @property
    def better(self) -> str:
        return "higher is better" if self.sign < 0 else "lower is better"

    @property
    def worse(self) -> str:
        return "low" if self.sign < 0 else "high"

    def range(self) -> tuple[float, float]:
        """Of the scores' axis."""
        return charts.spread((score_of(trial) for trial in self.scored), self.worse)

    def beyond(self) -> str:
        """How many scores the axis has no room for."""
        low, high = self.range()
        count = sum(not low <= score_of(trial) <= high for trial in self.scored)
        return f"{count} far off, drawn at the edge" if count else ""

    def face(self, trial: Trial) -> str:
        """The look of a trial's line: ``top`` the best, ``pr`` a pruned one, else a shade from ``s0`` to ``s4``."""
        if trial is self.best:
            return "top"
        if trial.status == "pruned":
            return "pr"
        place = self.rank.get(trial.trial_id)
        return "s1" if place is None else f"s{SHADES - 1 - place * SHADES // len(self.rank)}"

    def legend(self, shown: Sequence[Trial], of: int) -> list[str]:
        """What the looks mean, as far as they occur, and how many trials are drawn."""
        told = ["stronger: better" if len(shown) > 1 else "", "thick: best" if self.best in shown else ""]
        told.append("dashed: pruned" if any(trial.status == "pruned" for trial in shown) else "")
        return [*told, f"{len(shown)} of {of:,}" if len(shown) < of else ""]

    def tip(self, trial: Trial) -> str:
        value = charts.compact(trial.value)
        return f"trial {trial.number}: {self.objective} {value} ({trial.status}); {params_in_words(trial)}"


def score_of(trial: Trial) -> float:
    """The score of a trial that has one."""
    return charts.finite(trial.value) or 0.0


def params_in_words(trial: Trial) -> str:
    """`lr=0.01, depth=3`, the first of them."""
    told = [f"{charts.short(name, 30)}={value_in_words(value)}" for name, value in trial.params.items()]
    return ", ".join(told[:MAX_AXES]) + (", …" if len(told) > MAX_AXES else "")


def value_in_words(value: object) -> str:
    """A parameter's value in one short line."""
    return charts.short(charts.compact(value), 40)


# The scores, trial by trial --------------------------------------------------------------------------------


def over_trials(scores: Scores) -> str:
    """A dot for each trial's score over its number, and the best so far as a line of steps."""
    x, y = _frame(scores)
    parts = [charts.grid(x, y, _FLOOR), *_dots(scores, x, y), _steps(scores, x, y)]
    failed = [trial.number for trial in scores.result.trials if trial.status == "failed"]
    shown = charts.evenly(failed, MAX_DOTS // 4)
    crosses = "".join(f"M{charts.px(x.at(n) - 2.5)} {charts.px(_FLOOR - 4.5)}l5 5m0 -5l-5 5" for n in shown)
    legend = ["line: best so far" if scores.best else "", "○ pruned" if _pruned(scores) else ""]
    legend += ["✗ failed" if failed else "", scores.beyond()]
    parts.append(charts.path("x", crosses))
    return charts.figure(f"{scores.objective} by trial", legend, _told(scores), OUTLINE, parts)


def _frame(scores: Scores) -> tuple[Scale, Scale]:
    """The axes; failed trials lie in a strip below the scores."""
    low, high = scores.range()
    y = Scale(low, high, _FLOOR - (16 if scores.result.count("failed") else 4), 10)
    numbers = [trial.number for trial in scores.result.trials]
    # while it runs, the axis ends where the plan ends, so that the picture grows and does not shrink
    last = max(*numbers, (scores.result.planned or 0) - 1) if scores.result.live else max(numbers)
    return _across(min(numbers), last, y), y


def _across(low: float, high: float, y: Scale) -> Scale:
    """The axis below, from where the words beside the other one end; a lone number stands in its middle."""
    low, high = (low, high) if low < high else (low - 0.5, high + 0.5)
    return Scale(low, high, _room(y.ticks()) + 6, OUTLINE[0] - 8)


def _room(ticks: Sequence[float]) -> float:
    """What the words beside an axis take."""
    return max(map(charts.width, charts.tick_labels(ticks)), default=0) + 8


def _dots(scores: Scores, x: Scale, y: Scale) -> Iterator[str]:
    shown = charts.evenly(scores.scored, MAX_DOTS)
    told = len(shown) <= MAX_TIPS
    complete = [trial for trial in shown if trial.status == "complete"]
    if not told:
        yield charts.path("many", "".join(charts.line([_at(trial, x, y)]) for trial in complete))
    for trial in shown:
        if trial.status == "pruned" or told:
            face, size = ("ring", 2.0) if trial.status == "pruned" else ("dot", 2.3)
            yield charts.circle(face, _at(trial, x, y), size, scores.tip(trial) if told else "")


def _at(trial: Trial, x: Scale, y: Scale) -> Point:
    return x.at(trial.number), y.at(score_of(trial))


def _steps(scores: Scores, x: Scale, y: Scale) -> str:
    """The best so far: level until a trial is better."""
    best = scores.best
    if best is None:
        return ""
    shape, record = "", None
    for trial in sorted((t for t in scores.scored if t.status == "complete"), key=lambda t: t.number):
        here = charts.px(x.at(trial.number)), charts.px(y.at(score_of(trial)))
        if record is None:
            shape, record = f"M{here[0]} {here[1]}", score_of(trial)
        elif scores.sign * score_of(trial) < scores.sign * record:
            shape, record = f"{shape}H{here[0]}V{here[1]}", score_of(trial)
    end = max(trial.number for trial in scores.result.trials)
    mark = charts.circle("mark", _at(best, x, y), 4, f"the best: {scores.tip(best)}")
    return charts.path("best", f"{shape}H{charts.px(x.at(end))}") + mark


def _pruned(scores: Scores) -> bool:
    return any(trial.status == "pruned" for trial in scores.scored)


def _told(scores: Scores) -> str:
    counts = Counter(trial.status for trial in scores.result.trials)
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    best = f" The best is {scores.tip(scores.best)}." if scores.best else ""
    return f"{scores.better}; {told}.{best} The table below has the trials."


# The parameters, side by side ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Axis:
    """One upright axis: its heading, what is written at which height, and where a trial stands on it."""

    name: str
    labels: tuple[tuple[float, str], ...]
    place: Callable[[Trial], float | None]


def over_parameters(scores: Scores, most: int) -> str:
    """A line for each trial through its parameters to its score: the stronger, the better."""
    names = names_of(scores.result)
    if not names:
        return ""
    axes = [_axis(scores, name) for name in names[:MAX_AXES]] + [_score_axis(scores)]
    left = max(_widest(axes[0]) + 8, charts.width(axes[0].name) * 0.6, 12)
    spots = [left + GAP * place for place in range(len(axes))]
    size = (spots[-1] + max(_widest(axes[-1]) + 10, charts.width(axes[-1].name) * 0.6), TALL)
    shown = charts.evenly(scores.scored, most)
    name, mask = charts.mask(_holes(axes, spots), size)
    lines = [mask, f'<g mask="url(#{name})">', *_lines(scores, shown, axes, spots), "</g>"]
    parts = [*lines, *(_upright(axis, x, axis is axes[-1]) for axis, x in zip(axes, spots, strict=True))]
    legend = scores.legend(shown, len(scores.scored))
    legend.append(f"{MAX_AXES} of {len(names)} parameters" if len(names) > MAX_AXES else "")
    return charts.figure(f"{scores.objective} by parameters", legend, _told(scores), size, parts)


def names_of(result: SweepResult) -> list[str]:
    """The parameters, in the order of the cell."""
    return list(dict.fromkeys([*result.sweep.space, *(name for trial in result.trials for name in trial.params)]))


def _axis(scores: Scores, name: str) -> _Axis:
    parameter = scores.result.parameters.get(name)
    values = [trial.params[name] for trial in scores.result.trials if name in trial.params]
    numbers = [number for number in map(charts.finite, values) if number is not None]
    if (
        (parameter is not None and parameter.kind == "choice")
        or len(numbers) < len(values)
        or not (numbers or parameter)
    ):
        return _choices(name, [*(parameter.labels if parameter else ()), *values])
    return _numbers(name, parameter, numbers)


def _choices(name: str, options: Iterable[object]) -> _Axis:
    """The options from top to bottom, in the order of the cell."""
    known = {repr(option): option for option in options}  # 1 and "1" are two
    places = {key: place for place, key in enumerate(known)}
    scale = Scale(-0.5, len(places) - 0.5, _TOP, _BOTTOM)

    def place(trial: Trial) -> float | None:
        return scale.at(places[repr(trial.params[name])]) if name in trial.params else None

    written = charts.evenly(list(known), 8)
    return _Axis(
        _heading(name),
        tuple((scale.at(places[key]), charts.short(value_in_words(known[key]), 10)) for key in written),
        place,
    )


def _numbers(name: str, parameter: Parameter | None, seen: Sequence[float]) -> _Axis:
    """The whole range, and beyond it where trials of an earlier one were kept."""
    bounds = [] if parameter is None else [charts.finite(parameter.low), charts.finite(parameter.high)]
    known = [*(bound for bound in bounds if bound is not None), *seen]
    log = parameter is not None and parameter.log and min(known) > 0
    scale = Scale(*charts.widened(min(known), max(known)), _BOTTOM, _TOP, log)

    def place(trial: Trial) -> float | None:
        value = charts.finite(trial.params.get(name))
        return None if value is None else scale.at(value)

    ticks = scale.ticks(5, whole=parameter is not None and parameter.kind == "int")
    labels = zip(map(scale.at, ticks), charts.tick_labels(ticks), strict=True)
    return _Axis(_heading(name), tuple(labels), place)


def _score_axis(scores: Scores) -> _Axis:
    scale = Scale(*scores.range(), _BOTTOM, _TOP)
    ticks = scale.ticks(5)
    labels = zip(map(scale.at, ticks), charts.tick_labels(ticks), strict=True)
    return _Axis(_heading(scores.objective), tuple(labels), lambda trial: scale.at(score_of(trial)))


_TOP, _BOTTOM = 30.0, TALL - 12


def _heading(name: str) -> str:
    """A name as wide as the gap between axes; of a long one both ends, for names in rows differ at theirs."""
    told = charts.short(name, 60)
    return told if len(told) <= 11 else f"{told[:5]}…{told[-5:]}"


def _widest(axis: _Axis) -> float:
    return max((charts.width(text) for _, text in axis.labels), default=0.0)


def _holes(axes: Sequence[_Axis], spots: Sequence[float]) -> Iterator[tuple[float, float, float, float]]:
    """Where words stand between lines: left of all axes but the first and the last."""
    for axis, x in list(zip(axes, spots, strict=True))[1:-1]:
        for y, text in axis.labels:
            yield x - 8 - charts.width(text), y - 7, charts.width(text) + 4, 14


def _upright(axis: _Axis, x: float, last: bool) -> str:
    heading = charts.label(x, 10, "c t", axis.name)
    shape = f"M{charts.px(x)} {charts.px(_TOP - 6)}V{charts.px(_BOTTOM + 6)}"
    face, at = ("", x + 7) if last else ("e", x - 6)
    return charts.path("axis", shape) + heading + "".join(charts.label(at, y, face, text) for y, text in axis.labels)


def _lines(scores: Scores, shown: Sequence[Trial], axes: Sequence[_Axis], spots: Sequence[float]) -> Iterator[str]:
    """The worst first, so that the best lies on top."""
    tips = len(shown) <= MAX_TIPS
    for trial in reversed(shown):
        yield charts.path(scores.face(trial), _through(trial, axes, spots), scores.tip(trial) if tips else "")


def _through(trial: Trial, axes: Sequence[_Axis], spots: Sequence[float]) -> str:
    """The line through neighbouring axes that the trial has a place on; it ends where it has none."""
    points = [(x, axis.place(trial)) for axis, x in zip(axes, spots, strict=True)]
    runs = [list(run) for has, run in groupby(points, key=lambda point: point[1] is not None) if has]
    # an axis between two gaps has no neighbour: a short stroke says where the trial stands on it
    runs = [run if len(run) > 1 else [(run[0][0] - 4, run[0][1]), (run[0][0] + 4, run[0][1])] for run in runs]
    return "".join(charts.line((x, y) for x, y in run if y is not None) for run in runs)


# What trials told on their way -----------------------------------------------------------------------------


def learning_curves(scores: Scores, most: int) -> str:
    """A line for each trial that told values on its way, over its steps."""
    metric, curves = _reports(scores)
    shown = charts.evenly([trial for trial in scores.ranked if trial.trial_id in curves], most)
    if not shown:
        return ""
    values = [value for trial in shown for _, value in curves[trial.trial_id]]
    steps = [step for trial in shown for step, _ in curves[trial.trial_id]]
    worse = scores.worse if metric == scores.result.sweep.objective else ""
    y = Scale(*charts.spread(values, worse), _FLOOR - 4, 10)
    x = _across(min(steps), max(steps), y)
    parts = [charts.grid(x, y, _FLOOR)]
    for trial in reversed(shown):
        points = ((x.at(step), y.at(value)) for step, value in curves[trial.trial_id])
        parts.append(charts.path(scores.face(trial), charts.line(points), f"trial {trial.number} ({trial.status})"))
    title = f"{charts.short(metric, 40)} by step"
    told = f"{title}, for {len(shown)} trials."
    return charts.figure(title, scores.legend(shown, len(curves)), told, OUTLINE, parts)


def _reports(scores: Scores) -> tuple[str, dict[str, list[Point]]]:
    """The objective, or else what was told most often: trial -> its points by step."""
    told = [(row, charts.finite(row.value)) for row in scores.result.reports if row.trial_id is not None]
    counts = Counter(row.name for row, value in told if value is not None)
    objective = scores.result.sweep.objective
    metric = objective if objective in counts else next((name for name, _ in counts.most_common(1)), "")
    curves: dict[str, list[Point]] = {}
    for row, value in told:
        if row.name == metric and value is not None:
            points = curves.setdefault(row.trial_id or "", [])
            points.append((len(points) if row.step is None else row.step, value))
    return metric, {trial: charts.evenly(sorted(points), POINTS) for trial, points in curves.items()}
