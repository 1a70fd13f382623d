"""The step from estimates to verdicts: numbers with intervals come in, one sentence for each question goes out.

A difference counts when its 95 % interval leaves 0 out; over-fitting also has to be large enough to matter.
"""

from __future__ import annotations

from mlmagic.insight.report import Estimate, Verdict, number
from mlmagic.insight.shapes import METRICS, Calibration

MATTERS = 0.02  # of scores that end at 1: a smaller gap between train and test is told, and is no alarm
ROUNDING = 1e-6  # chance is drawn in float32, where of a few rows the likeliest outcome is both sides
RARE = 0.1  # share of the rarest of two classes; of more, a fifth of an equal share, where that is less


def over_fitting(train: Estimate, test: Estimate, difference: Estimate) -> Verdict:
    """Whether the model is better on what it has learned from than on what it has not."""
    words = METRICS[test.metric].words
    told = f"train {words} {train.number}, test {test.number}: difference {difference.words}"
    gap, low, high = difference.value, difference.low, difference.high
    if gap is None or low is None or high is None:
        return Verdict("over-fitting", "warn", "over-fitting cannot be judged", told)
    if METRICS[test.metric].sign < 0:
        gap, low = -gap, -high
    if low <= 0:
        return Verdict("over-fitting", "ok", "no over-fitting seen", told)
    if gap < MATTERS:
        return Verdict("over-fitting", "ok", "hardly over-fitted", told)
    return Verdict("over-fitting", "bad", "over-fitted", told)


def against_naive(found: Estimate, naive: Estimate, how: str) -> Verdict:
    """Whether the model says more than the simplest answer does; `found` is above `naive` where it does."""
    words = METRICS[found.metric].words
    told = f"{words} {found.words}, {how} gives {naive.number}"
    if found.low is None or found.high is None or naive.value is None:
        return Verdict("naive", "warn", "cannot be compared with the simplest answer", told)
    if found.low > naive.value:
        return Verdict("naive", "ok", "better than the simplest answer", told)
    word = "worse than" if found.high < naive.value else "not clearly better than"
    return Verdict("naive", "bad", f"{word} the simplest answer", told)


def imbalance(rarest: str, rows: int, of: int, classes: int, accuracy: Estimate, majority: float) -> Verdict:
    """Whether a class is so rare that accuracy says little."""
    share = rows / of
    told = f"rarest class {rarest} has {share:.1%} of the rows ({rows:,} of {of:,}); accuracy {accuracy.number}, "
    told += f"majority alone {number(majority)}"
    if share < min(RARE, 0.2 / classes if classes > 2 else RARE):
        return Verdict("imbalance", "warn", "imbalanced", f"{told}: look at recall and precision, not at accuracy")
    return Verdict("imbalance", "ok", "classes in fair balance", told)


def calibrated(found: Calibration) -> Verdict:
    """Whether probabilities are further off than chance explains."""
    told = f"ECE {number(found.ece)}; right probabilities would show up to {number(found.by_chance)} by chance"
    if found.ece <= found.by_chance + ROUNDING:
        return Verdict("calibration", "ok", "no miscalibration seen", told)
    if found.ece < MATTERS:
        return Verdict("calibration", "ok", "hardly miscalibrated", told)
    total = sum(one.rows for one in found.bins)
    lean = sum(one.rows * (one.predicted - one.observed) for one in found.bins) / total
    way = (
        ""
        if abs(lean) < found.ece / 2
        else f"; {'too high' if lean > 0 else 'too low'} by {number(abs(lean))} on average"
    )
    return Verdict("calibration", "warn", "miscalibrated", told + way)


def against_baseline(found: Estimate, baseline: Estimate, difference: Estimate, name: str) -> Verdict:
    """Whether the model is better than another one, row by row on the same data."""
    words = METRICS[found.metric].words
    told = f"{words} {found.number}, {name} {baseline.number}: difference {difference.words}"
    if difference.low is None or difference.high is None:
        return Verdict("baseline", "warn", f"cannot be compared with {name}", told)
    low, high = difference.low, difference.high
    if METRICS[found.metric].sign < 0:
        low, high = -high, -low
    if low > 0:
        return Verdict("baseline", "ok", f"better than {name}", told)
    if high < 0:
        return Verdict("baseline", "bad", f"worse than {name}", told)
    return Verdict("baseline", "warn", f"no clear difference from {name}", told)
