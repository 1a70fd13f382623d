from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlmagic.checks.drift import chance, chi_square
from tests.unit.checks.drift.columns import both

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("categories", [2, 3, 10, 40])
def test_equals_scipys(categories):
    table = RNG.integers(20, 200, (2, categories))
    expected = stats.chi2_contingency(table, correction=False)
    assert chi_square.chi_square(table) == pytest.approx(expected.statistic)
    assert chance.chi_square(categories - 1).p_value(expected.statistic) == pytest.approx(expected.pvalue)


def test_rare_categories_are_pooled_until_five_are_expected_in_each_row():
    table = np.array([[500, 300, 3, 2, 1, 0], [480, 320, 2, 1, 0, 0]])
    pooled = chi_square.pooled(table)
    assert pooled.tolist() == [[306, 500], [323, 480]]  # 9 rows of rare ones are too few: the next joins them
    enough = chi_square.pooled(np.array([[500, 300, 6, 4], [480, 320, 4, 5]]))
    assert enough.tolist() == [[10, 300, 500], [9, 320, 480]]


def test_cramers_v_is_the_formula_of_methods():
    n, k, chi2 = 1_000, 4, 50.0
    phi2 = chi2 / n - (k - 1) / (n - 1)
    wide = k - (k - 1) ** 2 / (n - 1)
    assert chi_square.cramers_v(chi2, k, n) == pytest.approx((phi2 / min(1 - 1 / (n - 1), wide - 1)) ** 0.5)
    assert chi_square.cramers_v(2.0, k, n) == 0  # less than many categories give by themselves


def test_one_category_is_nothing_to_compare():
    assert chi_square.measure(*both(["a"] * 50, ["a"] * 40), 0.05) is None


def test_the_reference_as_exact_expectation_alarms_at_nothing_and_the_contingency_form_does_not():
    # methods.md, section 2: with K = 10, 1,000 reference rows and 10,000 of now, 99.8 % [measured]
    shares = np.full(10, 0.1)
    theirs = ours = 0
    for _ in range(300):
        before, now = RNG.multinomial(1_000, shares), RNG.multinomial(10_000, shares)
        theirs += stats.chisquare(now, before * 10).pvalue < 0.05
        ours += chance.chi_square(9).p_value(chi_square.chi_square(np.array([before, now]))) < 0.05
    assert theirs > 290
    assert ours < 300 * 0.05 + 3 * (300 * 0.05 * 0.95) ** 0.5


def test_booleans_and_words_are_compared_alike():
    flags, words = RNG.random(500) < 0.3, RNG.random(500) < 0.6
    by_flag = chi_square.measure(*both(flags, words), 0.05)
    by_word = chi_square.measure(*both(flags.astype(str), words.astype(str)), 0.05)
    assert by_flag.statistic == by_word.statistic > 0.2
