"""The step from a model and data to an evaluation: model, X and y in, statistics with intervals and verdicts out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mlmagic.errors import MisuseError
from mlmagic.insight import verdicts
from mlmagic.insight.asking import Answers, ask
from mlmagic.insight.bootstrap import MOST_ROWS, draws_of, interval, values_of
from mlmagic.insight.curves import calibration, curves_of
from mlmagic.insight.groups import Grouping, grouping_of
from mlmagic.insight.metrics import Measured, away_from_zero
from mlmagic.insight.report import Estimate, EvaluationResult, Part, Verdict, number, too_small
from mlmagic.insight.shapes import METRICS, Calibration, Names

__all__ = ["Estimate", "EvaluationResult", "Names", "evaluate"]


def evaluate(
    model: Any,
    X: Any,  # noqa: N803
    y: Any,
    *,
    train: tuple[Any, Any] | None = None,
    by: Any = None,
    baseline: Any = None,
    seed: int = 0,
    names: Names | Mapping[str, str] | None = None,
) -> EvaluationResult:
    """The model's statistics on X and y, with 95 % bootstrap intervals and verdicts.

    Parameters
    ----------
    model : object
        Anything with `predict`, or a function of X. What it is comes from what it says (`classes_`, `predict_proba`,
        scikit-learn's tags), else by what y and its answers look like.
    X, y : table or array, one row for each value
        X goes to the model as it is.
    train : (X, y), optional
        What the model was fitted on: the same statistics beside it, and a verdict on over-fitting.
    by : str or array, optional
        Column of X, or one value for each row: the same for each group, the worst first. Many numbers: by quartile.
    baseline : object, optional
        Another model: its statistics, and the differences with paired intervals. The commonest class or the mean is
        always beside the model.
    seed : int, default 0
    names : Names or mapping, optional
        `model`, `data`, `target`, `baseline`: what the user calls them.

    Raises
    ------
    MisuseError, UnknownNameError
        One line: what cannot be evaluated and why.
    """
    if seed < 0:
        raise MisuseError(f"a seed is a whole number from 0 on, not {seed}")
    called = names if isinstance(names, Names) else Names(**(names or {}))
    answers = ask(model, X, y, called)
    grouping = None if by is None else grouping_of(X, by, len(answers), called)
    learned = None if train is None else _learned(model, train, answers, called)
    other = None if baseline is None else ask(baseline, X, y, replace(called, model=called.baseline), answers)
    return _Evaluation(called, answers, learned, other, grouping, seed).result()


def _learned(model: Any, train: Any, answers: Answers, names: Names) -> Answers:
    known = replace(names, data=f"the training rows of {names.model}", target="the training target")
    if not isinstance(train, tuple) or len(train) != 2:
        raise MisuseError("train takes two things: train=(X, y)")
    return ask(model, train[0], train[1], known, answers)


class _Evaluation:
    """One evaluation under way: the answers, and the draws that estimates and differences share."""

    def __init__(
        self,
        names: Names,
        answers: Answers,
        learned: Answers | None,
        other: Answers | None,
        grouping: Grouping | None,
        seed: int,
    ) -> None:
        self.names, self.answers, self.learned, self.other = names, answers, learned, other
        self.grouping, self.seed = grouping, seed
        self.curves = curves_of(answers, seed)
        self.naive = _naive(answers, answers if learned is None else learned)
        self.drawn = draws_of([answers] if other is None else [answers, other], [seed, 0])
        self.headline = _headline(answers)

    def result(self) -> EvaluationResult:
        overall = [*self._test(), *self._beside()]
        judged, groups = self._groups()
        parts = {"test": self.answers, "train": self.learned, "baseline": self.other}
        return EvaluationResult(
            kind=self.answers.kind,
            names=self.names,
            counts={part: len(one) for part, one in parts.items() if one is not None},
            classes=tuple(map(str, self.answers.classes)),
            positive=str(self.answers.classes[1]) if self.answers.kind == "binary" else None,
            headline=self.headline,
            estimates=(*(e for e in overall if e.by is None), *(e for e in overall if e.by is not None), *groups),
            verdicts=tuple(self._verdicts({(e.part, e.metric): e for e in overall if e.by is None})),
            curves=self.curves,
            naive=_naive_in_words(self.answers, self.naive),
            by=None if self.grouping is None else self.grouping.name,
            judged=judged,
            notes=tuple(dict.fromkeys(self._notes())),
            seed=self.seed,
        )

    def _test(self) -> Iterator[Estimate]:
        yield from estimates(self.answers, "test", self.drawn[0])
        yield from _of_calibration(self.answers, self.curves.calibration, "test")

    def _beside(self) -> Iterator[Estimate]:
        """The same of training rows, of the simplest answer, of the other model; and differences."""
        if self.learned is not None:
            (drawn,) = draws_of([self.learned], [self.seed, 1])
            yield from estimates(self.learned, "train", drawn)
            yield from _of_calibration(self.learned, calibration(self.learned, self.seed), "train")
            key = (self.headline, None)
            values = values_of(self.learned)[key] - values_of(self.answers)[key]
            yield _estimate(self.headline, values, drawn[key] - self.drawn[0][key], "train - test", len(self.answers))
        yield from (e for e in estimates(self.naive, "naive") if e.by is None)
        if self.other is not None:
            yield from (e for e in estimates(self.other, "baseline", self.drawn[1]) if e.by is None)
            yield from _of_calibration(self.other, calibration(self.other, self.seed), "baseline")
            yield from _differences(self.answers, self.other, self.drawn)

    def _groups(self) -> tuple[dict[str, str], list[Estimate]]:
        """Each group's estimates, the worst first; those that cannot be judged at the end."""
        if self.grouping is None:
            return {}, []
        name, sign = self._order()
        judged: dict[str, str] = {}
        found: list[tuple[tuple[bool, float], list[Estimate]]] = []
        for place, (label, rows) in enumerate(self.grouping.groups):
            part = self.answers.take(rows)
            (drawn,) = draws_of([part], [self.seed, 2, place])
            every = [
                replace(e, by=self.grouping.name, group=label) for e in estimates(part, "test", drawn) if e.by is None
            ]
            value = next((e.value for e in every if e.metric == name), None)
            judged[label] = too_small(len(rows)) or ("" if value is not None else "one class only")
            found.append(((bool(judged[label]), 0.0 if value is None else sign * value), every))
        return judged, [estimate for _, every in sorted(found, key=lambda group: group[0]) for estimate in every]

    def _order(self) -> tuple[str, int]:
        """What makes a group the worst; R² compares with the group's own mean, so errors are compared instead."""
        name = "mae" if self.answers.kind == "regression" else self.headline
        return name, METRICS[name].sign

    def _verdicts(self, found: Mapping[tuple[str, str], Estimate]) -> Iterator[Verdict]:
        name = "accuracy" if self.answers.kind != "regression" else "r2" if self.headline == "r2" else ""
        if name:
            words = _naive_in_words(self.answers, self.naive)
            yield verdicts.against_naive(found["test", name], found["naive", name], words)
        if self.other is not None:
            head = self.headline if ("baseline", self.headline) in found else "balanced_accuracy"
            beside, difference = found["baseline", head], found["test - baseline", head]
            yield verdicts.against_baseline(found["test", head], beside, difference, self.names.baseline)
        if self.learned is not None:
            yield verdicts.over_fitting(*(found[part, self.headline] for part in ("train", "test", "train - test")))
        if self.answers.kind != "regression":
            yield self._imbalance(found)
        if self.curves.calibration is not None:
            yield verdicts.calibrated(self.curves.calibration)

    def _imbalance(self, found: Mapping[tuple[str, str], Estimate]) -> Verdict:
        counts = np.bincount(self.answers.truth, minlength=len(self.answers.classes))
        rarest, majority = int(counts.argmin()), float(counts.max() / counts.sum())
        about = (str(self.answers.classes[rarest]), int(counts[rarest]), len(self.answers), len(counts))
        return verdicts.imbalance(*about, found["test", "accuracy"], majority)

    def _notes(self) -> Iterator[str]:
        yield from self.answers.notes
        if self.other is not None:
            yield from (f"{self.names.baseline}: {note}" for note in self.other.notes)
        if self.grouping is not None:
            yield from self.grouping.notes
        yield from _about_classes(self.answers)
        yield from _about_target(self.answers)
        if len(self.answers) > MOST_ROWS:
            yield f"intervals are resampled from {MOST_ROWS:,} of the {len(self.answers):,} rows, and scaled to all"


def estimates(answers: Answers, part: Part, drawn: Measured | None = None) -> list[Estimate]:
    """Every statistic of the answers, with intervals where there are draws; those of single classes too."""
    return [
        _estimate(name, value, None if drawn is None else drawn.get((name, place)), part, *_about(answers, place))
        for (name, place), value in values_of(answers).items()
    ]


def _about(answers: Answers, place: int | None) -> tuple[int, str | None, str | None]:
    """Rows, `by` and `group` of a statistic of all rows or of one class."""
    if place is None:
        return len(answers), None, None
    return int((answers.truth == place).sum()), "class", str(answers.classes[place])


def _estimate(
    name: str, value: Any, drawn: Any, part: Part, rows: int, by: str | None = None, group: str | None = None
) -> Estimate:
    known = float(value[0]) if np.isfinite(value[0]) else None
    low, high = (None if drawn is None or known is None else interval(drawn)) or (None, None)
    return Estimate(name, known, low, high, part, rows, by, group)


def _of_calibration(answers: Answers, found: Calibration | None, part: Part) -> Iterator[Estimate]:
    """Without intervals: resampling adds noise of its own to distances, so its middle lies above the value."""
    if found is None:
        return
    told = {"ece": found.ece}
    if answers.kind == "binary":
        told |= zip(("reliability", "resolution", "uncertainty"), found.parts, strict=True)
    for name, value in told.items():
        yield Estimate(name, value, None, None, part, len(answers))


def _differences(answers: Answers, other: Answers, drawn: Sequence[Measured]) -> Iterator[Estimate]:
    """Of two models, drawn on the same rows each time."""
    first, second = values_of(answers), values_of(other)
    for name, place in first:
        key = (name, place)
        if place is None and key in second:
            values, paired = first[key] - second[key], drawn[0][key] - drawn[1][key]
            yield _estimate(name, values, paired, "test - baseline", len(answers))


def _headline(answers: Answers) -> str:
    """The statistic that verdicts are about: no unit, and no rare class hides from it."""
    if answers.kind == "regression":
        return "r2" if len(np.unique(answers.truth)) > 1 else "mae"
    if answers.kind == "binary" and answers.scores is not None:
        return "roc_auc"
    return "balanced_accuracy"


# The simplest answer ---------------------------------------------------------------------------------------


def _naive(answers: Answers, learned: Answers) -> Answers:
    """Always the commonest class (with the shares as probabilities) or the mean, of the training rows where known."""
    if answers.kind == "regression":
        return replace(answers, told=np.full_like(answers.truth, learned.truth.mean()))
    counts = np.bincount(learned.truth, minlength=len(answers.classes))
    shares = np.tile(counts / counts.sum(), (len(answers), 1))
    told = replace(answers, told=np.full_like(answers.truth, counts.argmax()), chances=None, scores=None)
    if answers.chances is not None:
        return told.with_scores(shares)
    return told if answers.scores is None else replace(told, scores=shares)


def _naive_in_words(answers: Answers, naive: Answers) -> str:
    if answers.kind == "regression":
        return f"always the mean ({number(float(naive.told[0]))})"
    return f"always {answers.classes[naive.told[0]]}"


# What to know ----------------------------------------------------------------------------------------------


def _about_classes(answers: Answers) -> Iterator[str]:
    if answers.kind == "regression":
        return
    absent = [str(label) for place, label in enumerate(answers.classes) if not (answers.truth == place).any()]
    if absent:
        yield f"no row is of class {', '.join(absent[:5])}: means over classes leave it out"
    if (answers.truth == answers.told).all():
        least = 1 - 3 / len(answers)
        yield f"not one error in {len(answers):,} rows: accuracy may still be as low as {least:.3f} (rule of three)"


def _about_target(answers: Answers) -> Iterator[str]:
    if answers.kind != "regression":
        return
    if not away_from_zero(answers.truth):
        yield "no MAPE: the target comes close to 0, where percentages mean nothing"
    if (answers.truth == answers.truth[0]).all():
        yield "no R²: all values of the target are equal"
