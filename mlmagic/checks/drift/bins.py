"""Shares of rows in the reference's bins, which PSI and Jensen–Shannon compare, and how they vary by chance."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.checks.drift import chance
from mlmagic.checks.profile import BINS, Numbers

Counts = NDArray[np.int64]
Statistic = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]]
"""Takes two arrays of counts, bins last; one number for each pair."""


def counts(reference: Numbers, current: Numbers) -> tuple[Counts, Counts]:
    """Rows in each bin; nulls, where there are any, are a bin of their own."""
    if not (reference.nulls or current.nulls):
        return reference.counts, current.counts
    return np.append(reference.counts, reference.nulls), np.append(current.counts, current.nulls)


def without_drift(statistic: Statistic, reference: Numbers, current: Numbers, factor: float) -> chance.Gamma | None:
    """How the statistic is distributed without drift.

    In the limit it is (1/n_r + 1/n_c) `factor` times chi-square with (bins - 1) degrees of freedom. With few rows in a
    bin that misses by some per cent (at 100 rows, the 95 % point of PSI is 0.324, not 0.338 [measured]), so it is
    simulated.
    """
    before, now = counts(reference, current)
    filled = int(np.count_nonzero(before + now))
    if min(before.sum(), now.sum()) >= chance.SMALL_BIN * before.size and filled == before.size:
        return chance.chi_square(filled - 1, factor * (1 / before.sum() + 1 / now.sum()))
    if reference.counts.size < BINS:  # deciles coincide
        return _dealt(statistic, tuple(before.tolist()), tuple(now.tolist()))
    return _spaced(statistic, tuple(reference.counts.tolist()), current.present, (reference.nulls, current.nulls))


@lru_cache(maxsize=64)
def _dealt(statistic: Statistic, before: tuple[int, ...], now: tuple[int, ...]) -> chance.Gamma | None:
    return chance.Gamma.of(statistic(*chance.dealt(before, now)))


@lru_cache(maxsize=64)
def _spaced(statistic: Statistic, before: tuple[int, ...], now: int, nulls: tuple[int, int]) -> chance.Gamma | None:
    return chance.Gamma.of(statistic(*chance.spaced(before, now, nulls)))
