"""What the files of this room hand to each other and to `views`: plain values, so that drawing them needs no NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["binary", "multiclass", "regression"]
Point = tuple[float, float]

ENOUGH = 30  # rows; of fewer, a statistic says too little to be judged


@dataclass(frozen=True, slots=True)
class Names:
    """What the user calls things; errors and texts use these words."""

    model: str = "model"
    data: str = "X"
    target: str = "y"
    baseline: str = "baseline"


@dataclass(frozen=True, slots=True)
class Metric:
    """A statistic's name in words; `sign` is 1 where more is better, -1 where less is, 0 where neither."""

    words: str
    sign: int


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric("accuracy", 1),
    "balanced_accuracy": Metric("balanced accuracy", 1),
    "precision": Metric("precision", 1),
    "recall": Metric("recall", 1),
    "f1": Metric("F1", 1),
    "f1_macro": Metric("F1, macro", 1),
    "f1_weighted": Metric("F1, weighted", 1),
    "mcc": Metric("Matthews correlation", 1),
    "roc_auc": Metric("ROC AUC", 1),
    "roc_auc_ovr": Metric("ROC AUC, one-vs-rest", 1),
    "average_precision": Metric("average precision", 1),
    "log_loss": Metric("log loss", -1),
    "brier": Metric("Brier score", -1),
    "reliability": Metric("– reliability", -1),
    "resolution": Metric("– resolution", 1),
    "uncertainty": Metric("– uncertainty", 0),
    "ece": Metric("ECE", -1),
    "mae": Metric("MAE", -1),
    "rmse": Metric("RMSE", -1),
    "r2": Metric("R²", 1),
    "median_ae": Metric("median absolute error", -1),
    "bias": Metric("bias", 0),
    "mape": Metric("MAPE", -1),
}


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows with about the same probability: how many, its mean, the share that came true.

    `low` and `high` are the 95 % interval of that share (Wilson 1927).
    """

    rows: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far probabilities are what they say.

    Attributes
    ----------
    ece : float
        Expected calibration error over bins of equal mass: the mean distance of what was predicted from what came
        true (Naeini et al. 2015).
    by_chance : float
        What the ECE stays below in 95 % of cases where every probability is right (Bröcker & Smith 2007).
    parts : tuple of float
        Reliability, resolution, uncertainty of the Brier score: reliability - resolution + uncertainty is the score
        (Murphy 1973, with the resolution inside bins of Stephenson et al. 2008, without which it does not add up).
    """

    bins: tuple[Bin, ...]
    ece: float
    by_chance: float
    parts: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Curves:
    """What pictures are drawn from; empty where the kind of model has none."""

    confusion: tuple[tuple[int, ...], ...] = ()  # rows: true classes, columns: told
    roc: tuple[Point, ...] = ()  # share of negatives told positive, share of positives found
    precision_recall: tuple[Point, ...] = ()  # recall, precision
    calibration: Calibration | None = None
    residuals: tuple[Point, ...] = ()  # prediction, prediction minus truth
    histogram: tuple[tuple[float, ...], tuple[int, ...]] = ((), ())  # edges and counts of the residuals
