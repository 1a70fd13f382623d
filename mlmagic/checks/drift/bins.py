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


def without_drift(
    statistic: Statistic, reference: Numbers, current: Numbers, factor: float, found: float
) -> chance.Gamma | None:
    """How the statistic is distributed without drift; most closely where `found` may or may not be chance.

    In the limit it is (1/n_r + 1/n_c) `factor` times chi-square with (bins - 1) degrees of freedom. With few rows in a
    bin that misses by some per cent (at 100 rows, the 95 % point of PSI is 0.324, not 0.338 [measured]), so it is
    simulated.
    """
    before, now = counts(reference, current)
    filled = int(np.count_nonzero(before + now))
    if min(before.sum(), now.sum()) >= chance.SMALL_BIN * before.size and filled == before.size:
        return chance.chi_square(filled - 1, factor * (1 / before.sum() + 1 / now.sum()))
    deal = _dealing(reference, current)
    null = _simulated(statistic, deal, chance.DRAWS)
    return null if chance.decided(null, found) else _simulated(statistic, deal, chance.MANY_DRAWS)


Deal = tuple[Callable[..., tuple[NDArray[Any], NDArray[Any]]], tuple[Any, ...]]


def _dealing(reference: Numbers, current: Numbers) -> Deal:
    """What deals rows into the bins, and with what arguments."""
    if reference.counts.size < BINS:  # deciles coincide
        before, now = counts(reference, current)
        return chance.dealt, (tuple(before.tolist()), tuple(now.tolist()))
    nulls = reference.nulls, current.nulls
    return chance.spaced, (tuple(reference.counts.tolist()), current.present, nulls)


@lru_cache(maxsize=64)
def _simulated(statistic: Statistic, deal: Deal, draws: int) -> chance.Gamma | None:
    make, arguments = deal
    return chance.Gamma.of(statistic(*make(*arguments, draws)))
