"""Alarms without drift: each p-value is below 0.05 in 5 % of the cases, and reports over many columns are quiet.

Where a statistic has steps (KS and range in small or repeating samples, nulls where there are few), 5 % cannot be hit
exactly; such p-values are on the safe side. For these the rate must not be above nominal by more than three
standard errors, and not absurdly far below. The joint test is conservative by design (see its module), and so is the
bound behind new categories.

The sample that always runs is small; `make soak` runs thousands of simulations of each.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from mlmagic.checks.drift import DETECTORS, compare, domain_classifier
from mlmagic.checks.profile import Profile
from mlmagic.tables import table_of

ALPHA = 0.05
SIZES = [(100, 100), (100, 1_000), (1_000, 100), (1_000, 1_000), (1_000, 10_000), (10_000, 10_000)]


def normal(rng, n):
    return rng.normal(size=n)


def heavy(rng, n):
    return np.exp(rng.normal(size=n))


def dice(rng, n):
    return rng.integers(1, 7, n).astype(float)


def holes(rng, n):
    return np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n))


def few_holes(rng, n):
    return np.where(rng.random(n) < 0.01, np.nan, rng.normal(size=n))


def coin(rng, n):
    return rng.random(n) < 0.3


def letters(rng, n):
    return np.array(list("abcdefghij"))[rng.choice(10, n, p=np.arange(1, 11) / 55)]


def words(rng, n):
    return np.minimum(rng.zipf(1.8, n), 900).astype(str)


NORMAL = ("psi", "ks", "wasserstein", "jensen_shannon", "range")
EXACT = {  # the rate is within three standard errors, on both sides
    normal: ("psi", "wasserstein", "jensen_shannon"),
    heavy: ("psi", "jensen_shannon"),
    dice: ("psi", "wasserstein", "jensen_shannon"),
    holes: ("psi", "wasserstein", "jensen_shannon"),
    few_holes: (),
    coin: ("chi_square",),
    letters: ("chi_square",),
    words: ("chi_square",),
}
# The least rate of those on the safe side. KS of normal values: 0.0366 where 100 meet 100, by its steps. Wasserstein of
# heavy tails: the bridge under the pooled sample has tails that single samples lack.
SAFE = {
    normal: {"ks": 0.03, "range": 0.01},
    heavy: {"ks": 0.03, "range": 0.01, "wasserstein": 0.02},
    dice: {"ks": 0.0, "range": 0.0},
    holes: {"ks": 0.03, "range": 0.01, "nulls": 0.03},
    few_holes: {"nulls": 0.0},
    coin: {"new_categories": 0.0},
    letters: {"new_categories": 0.0},
    words: {"new_categories": 0.0},
}


def p_values(draw, n, m, times, seed):
    """P-values of each detector over pairs of samples from one distribution; 1 where there is nothing to test."""
    rng, found = np.random.default_rng([seed, n, m]), defaultdict(list)

    def measure(before, now):
        for name in asked:
            one = DETECTORS[name].measure(before, now, ALPHA)
            found[name].append(1.0 if one is None or one.p_value is None else one.p_value)

    asked = [*EXACT[draw], *SAFE[draw]]
    for _ in range(times):
        made = Profile.of(table_of({"x": draw(rng, n)}))
        made.seen_in(table_of({"x": draw(rng, m)}), ["x"], measure)
    return {name: np.array(values) for name, values in found.items()}


def tolerance(times):
    return 3 * (ALPHA * (1 - ALPHA) / times) ** 0.5


def check_rates(draw, n, m, times):
    for name, values in p_values(draw, n, m, times, seed=8).items():
        rate = float(np.mean(values <= ALPHA))
        assert rate <= ALPHA + tolerance(times), f"{name}: {rate:.4f} of {times} at {n} and {m}"
        least = SAFE[draw].get(name, ALPHA)
        assert rate >= least - tolerance(times), f"{name}: {rate:.4f} of {times} at {n} and {m}"


DRAWS = pytest.mark.parametrize("draw", EXACT, ids=lambda draw: draw.__name__)


@DRAWS
@pytest.mark.parametrize(("n", "m"), [(100, 100), (1_000, 100)])
def test_alarms_without_drift_are_as_rare_as_promised_in_a_sample(draw, n, m):
    check_rates(draw, n, m, 200)


@pytest.mark.soak
@DRAWS
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_alarms_without_drift_are_as_rare_as_promised(draw, n, m):
    check_rates(draw, n, m, 3_000)


# Over many columns


def any_drift(n, m, columns, times, seed):
    """How often a report over so many columns without drift calls any of them drift."""
    rng, alarms = np.random.default_rng([seed, n, m]), 0
    kinds = (normal, holes, letters, dice, few_holes, words, heavy, coin)
    for _ in range(times):
        before, now = ({f"c{at}": kinds[at % len(kinds)](rng, rows) for at in range(columns)} for rows in (n, m))
        alarms += bool(compare(Profile.of(table_of(before)), table_of(now), joint=False).drifted)
    return alarms / times


def test_a_hundred_columns_without_drift_are_quiet_in_a_sample():
    assert any_drift(100, 100, 100, 12, seed=2) <= ALPHA + tolerance(12)


@pytest.mark.soak
@pytest.mark.parametrize(("n", "m", "times"), [(100, 100, 400), (1_000, 100, 200), (1_000, 1_000, 200)])
def test_a_hundred_columns_without_drift_are_quiet(n, m, times):
    assert any_drift(n, m, 100, times, seed=3) <= ALPHA + tolerance(times)


# Jointly


def joint_rate(n, m, columns, times, seed):
    rng, found = np.random.default_rng([seed, n, m]), []
    for number in range(times):
        before, now = (rng.normal(size=(rows, columns)).astype(np.float32) for rows in (n, m))
        told = domain_classifier.tell_apart(before, now, number)
        found.append(domain_classifier._p_value(told.auc, n, m))
    return float(np.mean(np.array(found) <= ALPHA)), float(np.mean(np.array(found) < domain_classifier.LEVEL))


def test_the_joint_test_is_quiet_without_drift_in_a_sample():
    rate, alarms = joint_rate(100, 100, 5, 40, seed=4)
    assert rate <= ALPHA + tolerance(40)
    assert alarms <= 0.05


@pytest.mark.soak
@pytest.mark.parametrize(("n", "m", "columns", "times"), [
    (100, 100, 5, 2_000), (100, 100, 50, 500), (1_000, 100, 5, 500), (1_000, 1_000, 5, 500), (5_000, 5_000, 5, 100),
])  # fmt: skip
def test_the_joint_test_is_quiet_without_drift(n, m, columns, times):
    rate, alarms = joint_rate(n, m, columns, times, seed=5)
    assert rate <= ALPHA + tolerance(times)
    assert rate >= 0.01 - tolerance(times)
    assert alarms <= 0.01 + 3 * (0.01 * 0.99 / times) ** 0.5


# And where there is drift


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (lambda rng: rng.normal(size=1_000), lambda rng: rng.normal(0.5, size=1_000)),
        (lambda rng: rng.normal(size=1_000), lambda rng: rng.normal(0, 1.6, size=1_000)),
        (lambda rng: rng.random(1_000) < 0.3, lambda rng: rng.random(1_000) < 0.55),
        (lambda rng: few_holes(rng, 1_000), lambda rng: holes(rng, 1_000)),
    ],
    ids=["mean", "spread", "share", "nulls"],
)
def test_known_shifts_are_found(before, now):
    rng = np.random.default_rng(6)
    found = [
        compare(Profile.of(table_of({"x": before(rng)})), table_of({"x": now(rng)}), joint=False).drifted
        for _ in range(25)
    ]
    assert found.count(("x",)) >= 24
