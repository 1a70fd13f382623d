"""How large a statistic becomes without drift: the distributions that p-values and critical values come from.

Where a statistic's distribution is only known in the limit, it is simulated with a fixed seed, and a gamma
distribution with the moments of the draws stands for it: smooth in the tail, where thousands of draws end and
where the correction for a hundred columns looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mlmagic._optional import need

Counts = NDArray[np.int64]

DRAWS = 4_000
MANY_DRAWS = 20_000  # where the p-value matters: 4,000 know a tail of 1 % only to within 0.3 of it
_UNDECIDED = (1e-4, 0.2)  # p-values between which more draws could change a verdict
SMALL_BIN = 200  # rows in the average bin, below which shares in bins are simulated
_GRID = 128
_SEED = 20_240_229
_VARIES = 1e-9
_LEAST_SKEWED = 0.1  # all statistics here are skewed to the right; below that the gamma is a normal distribution


@dataclass(frozen=True, slots=True)
class Gamma:
    """A gamma distribution moved by `shift`: chi-square times a factor, and what is close to that."""

    shape: float
    scale: float
    shift: float = 0.0

    @classmethod
    def of(cls, draws: NDArray[np.float64]) -> Gamma | None:
        """With the first three moments of the draws (Pearson's type III); ``None`` where they do not vary."""
        mean, deviation = float(draws.mean()), float(draws.std())
        if not deviation > _VARIES * mean:
            return None
        skewness = max(float((((draws - mean) / deviation) ** 3).mean()), _LEAST_SKEWED)
        shape, scale = 4 / skewness**2, deviation * skewness / 2
        return cls(shape, scale, mean - shape * scale)

    def p_value(self, statistic: float) -> float:
        """Chance of at least this much."""
        return float(need("scipy.special").gammaincc(self.shape, max(statistic - self.shift, 0.0) / self.scale))

    def critical(self, alpha: float) -> float:
        """What is exceeded with probability alpha."""
        return max(0.0, float(need("scipy.special").gammainccinv(self.shape, alpha) * self.scale) + self.shift)


def decided(null: Gamma | None, statistic: float) -> bool:
    """Whether more draws would leave the verdict as it is: such a statistic is common without drift, or unheard of."""
    return null is None or not _UNDECIDED[0] < null.p_value(statistic) < _UNDECIDED[1]


def chi_square(df: int, scale: float = 1.0) -> Gamma:
    """`scale` times a chi-square variable."""
    return Gamma(df / 2, 2 * scale)


# -- shares in bins --------------------------------------------------------------------------------


@lru_cache(maxsize=8)  # several statistics are asked of the same draws
def dealt(before: tuple[int, ...], after: tuple[int, ...], draws: int = DRAWS) -> tuple[Counts, Counts]:
    """Counts in bins if rows were dealt out anew to the two, each of shape (draws, bins).

    Hypergeometric, given both together: for values that repeat.
    """
    rng, reference, current = np.random.default_rng(_SEED), np.array(before), np.array(after)
    now = rng.multivariate_hypergeometric(reference + current, int(current.sum()), draws, method="marginals")
    return reference + current - now, now


@lru_cache(maxsize=8)
def spaced(
    bins: tuple[int, ...], current: int, nulls: tuple[int, int], draws: int = DRAWS
) -> tuple[NDArray[np.float64], Counts]:
    """Counts in bins of continuous values, where the edges are values of the reference; nulls are the last bin.

    The reference's counts are then what they are, and the probabilities of the bins are sums of uniform spacings,
    Dirichlet(r_1, …, r_{B-1}, r_B + 1); the current counts are multinomial. Nulls are dealt out as in `dealt`.

    Parameters
    ----------
    bins : tuple of int
        The reference's counts.
    current : int
        Values of now.
    nulls : tuple of int
        Of the reference and of now.

    References
    ----------
    David, Nagaraja: Order Statistics, 3rd ed. 2003, section 6.4 (spacings).
    """
    rng, reference, values = np.random.default_rng(_SEED), np.array(bins), sum(bins)
    null_now = rng.hypergeometric(sum(nulls), values + current, current + nulls[1], draws)
    null_before = sum(nulls) - null_now
    chances = rng.dirichlet(reference + np.eye(reference.size)[-1], draws)
    now = rng.multinomial(current + nulls[1] - null_now, chances)
    before = reference * ((values + nulls[0] - null_before) / values)[:, None]
    if not any(nulls):
        return before, now
    return np.column_stack([before, null_before]), np.column_stack([now, null_now])


# -- areas between distribution functions ----------------------------------------------------------


@lru_cache(maxsize=1)
def bridges() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A grid on (0, 1), closer at the ends, and the absolute values there of DRAWS Brownian bridges.

    The difference of two empirical distribution functions of n and m values, times sqrt(nm/(n+m)), goes to a Brownian
    bridge at F(x) (Donsker), whatever the distribution F.
    """
    grid = np.sin(np.pi / 2 * np.arange(1, _GRID) / _GRID) ** 2
    steps = np.sqrt(np.diff(np.concatenate([[0.0], grid, [1.0]])))
    walk = np.cumsum(np.random.default_rng(_SEED).standard_normal((DRAWS, _GRID)) * steps, axis=1)
    return grid, np.abs(walk[:, :-1] - grid * walk[:, -1:])


def area(shares: NDArray[np.float64], widths: NDArray[np.float64], scale: float) -> Gamma | None:
    """Distribution of the area between two empirical distribution functions of one distribution.

    Parameters
    ----------
    shares : array
        F on each interval between neighbouring values.
    widths : array
        Lengths of these intervals.
    scale : float
        sqrt(1/n + 1/m).
    """
    grid, heights = bridges()
    nearest = np.searchsorted((grid[1:] + grid[:-1]) / 2, shares)
    return Gamma.of(heights @ np.bincount(nearest, weights=widths, minlength=grid.size) * scale)
