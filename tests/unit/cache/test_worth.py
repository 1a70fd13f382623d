"""What pays: a result is kept where computing it costs more than keeping it and loading it once."""

from __future__ import annotations

import numpy as np
import pytest

from mlmagic.cache.worth import Rates, size
from mlmagic.fingerprint import snapshot
from tests.unit.cache.made import scope

MIB = 1 << 20


def test_more_bytes_and_more_objects_cost_more() -> None:
    rates = Rates()
    assert 0 < rates.cost(0, 0) < rates.cost(MIB, 1) < rates.cost(100 * MIB, 1) < rates.cost(100 * MIB, 10**6)


def test_the_first_guess_is_a_slow_disk() -> None:
    assert Rates().cost(300_000_000, 0) == pytest.approx(1.5, abs=0.01)


def test_what_was_measured_moves_the_rates_towards_it() -> None:
    rates = Rates(keeping=100.0 * MIB, loading=100.0 * MIB)
    before = rates.cost(10 * MIB, 0)
    for _ in range(20):
        rates.learn(10 * MIB, keep_seconds=0.01, load_seconds=0.005)
    assert rates.keeping == pytest.approx(1000 * MIB, rel=0.01)
    assert rates.loading == pytest.approx(2000 * MIB, rel=0.01)
    assert rates.cost(10 * MIB, 0) < before


def test_small_values_say_nothing_of_the_rate() -> None:
    rates = Rates()
    rates.learn(1000, 1.0, 1.0)
    assert rates == Rates()


def test_no_time_at_all_is_no_error() -> None:
    rates = Rates()
    rates.learn(MIB, 0.0, 0.0)
    assert rates.cost(MIB, 0) > 0


def test_the_size_of_a_value_is_that_of_its_buffers_and_objects() -> None:
    around = scope()
    nbytes, _ = size(snapshot(np.zeros(1000), around))
    assert 8000 <= nbytes < 9000
    few, many = (size(snapshot([[n] for n in range(count)], around))[1] for count in (10, 1000))
    assert many >= few + 990
