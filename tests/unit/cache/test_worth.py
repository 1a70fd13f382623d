"""What pays: a result is kept where computing it costs more than keeping it and loading it once."""

from __future__ import annotations

import numpy as np
import pytest

from mlmagic.cache.worth import Rates, size
from mlmagic.fingerprint import snapshot
from tests.unit.cache.made import scope

MIB = 1 << 20


def test_more_bytes_and_more_objects_cost_more() -> None:
    costs = [Rates().costs(*size) for size in [(0, 0), (MIB, 1), (100 * MIB, 1), (100 * MIB, 10**6)]]
    keeping, loading = zip(*costs, strict=True)
    assert 0 < keeping[0] < keeping[1] < keeping[2] < keeping[3]
    assert 0 < loading[0] < loading[1] < loading[2] < loading[3]


def test_the_first_guess_is_a_slow_disk() -> None:
    assert Rates().costs(300_000_000, 0) == pytest.approx((1.0, 0.5), abs=0.01)


def test_what_was_measured_moves_the_rates_towards_it() -> None:
    rates = Rates(keeping=100.0 * MIB, loading=100.0 * MIB)
    before = rates.costs(10 * MIB, 0)
    for _ in range(20):
        rates.learn(10 * MIB, keep_seconds=0.01, load_seconds=0.005)
    assert rates.keeping == pytest.approx(1000 * MIB, rel=0.01)
    assert rates.loading == pytest.approx(2000 * MIB, rel=0.01)
    assert rates.fixed == Rates().fixed  # bytes took the time
    keep, load = rates.costs(10 * MIB, 0)
    assert keep < before[0]
    assert load < before[1]


def test_small_results_tell_what_every_result_takes_and_nothing_of_the_rates() -> None:
    rates = Rates()
    for _ in range(20):
        rates.learn(1000, keep_seconds=0.02, load_seconds=0.01)
    assert rates.fixed == pytest.approx(0.03, rel=0.01)
    assert (rates.keeping, rates.loading) == (Rates().keeping, Rates().loading)
    assert rates.costs(0, 0) > Rates().costs(0, 0)


def test_a_small_result_that_took_long_tells_nothing() -> None:
    rates = Rates()
    rates.learn(1000, 1.0, 1.0)
    assert rates == Rates()


def test_no_time_at_all_is_no_error() -> None:
    for nbytes in (0, MIB):
        rates = Rates()
        rates.learn(nbytes, 0.0, 0.0)
        assert min(rates.costs(MIB, 0)) > 0


@pytest.mark.parametrize(("seconds", "pays"), [(1.51, True), (1.49, False), (0.5, False), (0.1, False)])
def test_a_result_that_is_wanted_pays_where_computing_takes_longer_than_keeping_and_loading(
    seconds: float, pays: bool
) -> None:
    assert Rates().pays(seconds, 1.0, 0.5, wanted=True) is pays


@pytest.mark.parametrize(("seconds", "pays"), [(1.51, False), (20.4, False), (20.6, True)])
def test_any_other_result_pays_where_keeping_adds_a_twentieth_at_most(seconds: float, pays: bool) -> None:
    assert Rates().pays(seconds, 1.0, 0.5, wanted=False) is pays


def test_the_size_of_a_value_is_that_of_its_buffers_and_objects() -> None:
    around = scope()
    nbytes, _ = size(snapshot(np.zeros(1000), around))
    assert 8000 <= nbytes < 9000
    few, many = (size(snapshot([[n] for n in range(count)], around))[1] for count in (10, 1000))
    assert many >= few + 990
