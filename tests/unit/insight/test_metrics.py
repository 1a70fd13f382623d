"""The statistics are scikit-learn's, also with weights, which is what the bootstrap gives them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlmagic.insight.asking import Answers
from mlmagic.insight.bootstrap import values_of
from mlmagic.insight.curves import calibrated, calibration
from mlmagic.insight.metrics import measure_of, running


def binary(seed: int, rows: int, levels: int) -> Answers:
    """Both classes occur; few levels make many equal scores."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(rows) % 3 == 0).astype(int)
    chance = np.clip(np.round((rng.random(rows) + 0.4 * truth) / 1.4 * levels) / levels, 0, 1)
    answers = Answers("binary", truth, (chance > 0.5).astype(int), (0, 1))
    return answers.with_scores(np.column_stack([1 - chance, chance]))


def several(seed: int, rows: int, classes: int) -> Answers:
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(rows) % classes)
    chances = rng.dirichlet(np.ones(classes), rows) + 0.5 * np.eye(classes)[truth]
    chances /= chances.sum(axis=1, keepdims=True)
    return Answers("multiclass", truth, chances.argmax(axis=1), tuple(range(classes))).with_scores(chances)


def drawn(answers: Answers, seed: int, draws: int = 3) -> np.ndarray:
    """Weights as resampling gives them: some rows not at all, every class still there."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, (len(answers), draws)).astype(float)
    for place in np.unique(answers.truth):
        weights[np.flatnonzero(answers.truth == place)[0]] += 1
    return weights


def theirs_of_two(a: Answers, w: np.ndarray) -> dict[str, float]:
    score, told = a.scores[:, 1], {"sample_weight": w, "zero_division": 0}
    return {
        "accuracy": sk.accuracy_score(a.truth, a.told, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(a.truth, a.told, sample_weight=w),
        "precision": sk.precision_score(a.truth, a.told, **told),
        "recall": sk.recall_score(a.truth, a.told, **told),
        "f1": sk.f1_score(a.truth, a.told, **told),
        "mcc": sk.matthews_corrcoef(a.truth, a.told, sample_weight=w),
        "roc_auc": sk.roc_auc_score(a.truth, score, sample_weight=w),
        "average_precision": sk.average_precision_score(a.truth, score, sample_weight=w),
        "log_loss": sk.log_loss(a.truth, a.chances, sample_weight=w, labels=[0, 1]),
        "brier": sk.brier_score_loss(a.truth, score, sample_weight=w),
    }


def theirs_of_several(a: Answers, w: np.ndarray) -> dict[Any, float]:
    labels, told = list(range(len(a.classes))), {"sample_weight": w, "zero_division": 0}
    found: dict[Any, float] = {
        "accuracy": sk.accuracy_score(a.truth, a.told, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(a.truth, a.told, sample_weight=w),
        "f1_macro": sk.f1_score(a.truth, a.told, average="macro", **told),
        "f1_weighted": sk.f1_score(a.truth, a.told, average="weighted", **told),
        "mcc": sk.matthews_corrcoef(a.truth, a.told, sample_weight=w),
        "log_loss": sk.log_loss(a.truth, a.chances, sample_weight=w, labels=labels),
    }
    areas = [sk.roc_auc_score(a.truth == k, a.scores[:, k], sample_weight=w) for k in labels]
    for k, (precision, recall) in enumerate(
        zip(*sk.precision_recall_fscore_support(a.truth, a.told, labels=labels, **told)[:2], strict=True)
    ):
        found |= {("precision", k): precision, ("recall", k): recall, ("roc_auc", k): areas[k]}
    return found | {"roc_auc_ovr": float(np.mean(areas))}


def theirs_of_numbers(a: Answers, w: np.ndarray) -> dict[str, float]:
    return {
        "mae": sk.mean_absolute_error(a.truth, a.told, sample_weight=w),
        "rmse": sk.root_mean_squared_error(a.truth, a.told, sample_weight=w),
        "r2": sk.r2_score(a.truth, a.told, sample_weight=w),
        "median_ae": float(np.median(np.repeat(np.abs(a.truth - a.told), w.astype(int)))),
        "bias": float(np.average(a.told - a.truth, weights=w)),
        "mape": sk.mean_absolute_percentage_error(a.truth, a.told, sample_weight=w),
    }


def assert_equal(ours: dict[Any, np.ndarray], draw: int, theirs: dict[Any, float]) -> None:
    keyed = {key if isinstance(key, tuple) else (key, None): value for key, value in theirs.items()}
    assert set(ours) == set(keyed)
    for key, value in keyed.items():
        assert ours[key][draw] == pytest.approx(value, rel=1e-9, abs=1e-9), key


@given(st.integers(0, 10**6), st.integers(6, 60), st.sampled_from([1, 2, 5, 10**6]))
def test_of_two_classes_all_equal_scikit_learns(seed: int, rows: int, levels: int):
    answers = binary(seed, rows, levels)
    weights = drawn(answers, seed)
    ours = measure_of(answers)(weights)
    for draw in range(weights.shape[1]):
        assert_equal(ours, draw, theirs_of_two(answers, weights[:, draw]))
    assert_equal(values_of(answers), 0, theirs_of_two(answers, np.ones(rows)))


@given(st.integers(0, 10**6), st.integers(12, 60), st.integers(3, 6))
def test_of_several_classes_all_equal_scikit_learns(seed: int, rows: int, classes: int):
    answers = several(seed, rows, classes)
    weights = drawn(answers, seed)
    ours = measure_of(answers)(weights)
    for draw in range(weights.shape[1]):
        assert_equal(ours, draw, theirs_of_several(answers, weights[:, draw]))


@given(st.integers(0, 10**6), st.integers(4, 60))
def test_of_numbers_all_equal_scikit_learns(seed: int, rows: int):
    rng = np.random.default_rng(seed)
    truth = rng.normal(10, 1, rows)
    answers = Answers("regression", truth, truth + rng.normal(0, 1, rows))
    weights = rng.integers(0, 4, (rows, 3)).astype(float)
    weights[:2] += 1
    ours = measure_of(answers)(weights)
    for draw in range(3):
        assert_equal(ours, draw, theirs_of_numbers(answers, weights[:, draw]))


def test_macro_auc_is_scikit_learns_one_vs_rest():
    answers = several(1, 90, 4)
    theirs = sk.roc_auc_score(answers.truth, answers.chances, multi_class="ovr")
    assert values_of(answers)["roc_auc_ovr", None][0] == pytest.approx(theirs)


def test_single_precision_probabilities_are_clipped_as_scikit_learn_does():
    chance = np.array([0.0, 1.0, 0.3, 1.0], dtype=np.float32)
    chances = np.column_stack([1 - chance, chance])
    truth = np.array([1, 1, 0, 0])
    tiny = float(np.finfo(np.float32).eps)
    answers = Answers("binary", truth, (chance > 0.5).astype(int), (0, 1), tiny=tiny).with_scores(chances.astype(float))
    assert values_of(answers)["log_loss", None][0] == pytest.approx(sk.log_loss(truth, chances), rel=1e-5)


@pytest.mark.parametrize("wide", [1, 3, 100])
def test_running_sums_are_numpys(wide: int):
    values = np.random.default_rng(0).integers(0, 9, (20, wide)).astype(float)
    assert (running(values) == np.cumsum(values, axis=0)).all()


def test_percentages_are_left_out_where_the_target_comes_close_to_zero():
    near = Answers("regression", np.array([0.001, 5.0, 6.0]), np.array([1.0, 5.0, 6.0]))
    assert ("mape", None) not in values_of(near)


# Calibration -------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(6, 200), st.sampled_from([3, 20, 10**6]))
def test_the_parts_of_the_brier_score_add_up_to_it(seed: int, rows: int, levels: int):
    answers = binary(seed, rows, levels)
    found = calibration(answers, 0)
    assert found is not None
    reliability, resolution, uncertainty = found.parts
    brier = values_of(answers)["brier", None][0]
    assert reliability - resolution + uncertainty == pytest.approx(brier, abs=1e-12)
    assert sum(one.rows for one in found.bins) == rows


def test_bins_have_equal_mass_and_never_part_equal_probabilities():
    chance = np.linspace(0, 1, 1500)
    assert {one.rows for one in calibrated(chance, chance > 0.5, 0).bins} == {100}
    same = calibrated(np.full(50, 0.3), np.arange(50) < 15, 0)
    assert [one.rows for one in same.bins] == [50]
    assert same.ece == pytest.approx(0, abs=1e-12)


def test_ece_is_the_mean_distance_of_predicted_from_true_shares():
    chance = np.repeat([0.2, 0.9], [30, 10])
    came_true = np.concatenate([np.arange(30) < 12, np.arange(10) < 9])  # 0.4 and 0.9
    assert calibrated(chance, came_true, 0).ece == pytest.approx(0.75 * 0.2)


def test_right_probabilities_stay_below_the_ece_of_chance_in_95_of_100_cases():
    rng = np.random.default_rng(5)
    above = 0
    for _ in range(300):
        chance = rng.beta(1, 3, 200)
        found = calibrated(chance, rng.random(200) < chance, 0)
        above += found.ece > found.by_chance
    assert above / 300 == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 300))


def test_wrong_probabilities_do_not():
    rng = np.random.default_rng(6)
    chance = rng.random(500)
    found = calibrated(chance, rng.random(500) < chance**2, 0)
    assert found.ece > found.by_chance
