"""Share of values outside the reference's range: what a model has to extrapolate for.

At least 1 % that chance does not explain is drift. Chance explains some: a sample of n continuous values leaves
2 / (n + 1) of the next ones outside on average, and their number k of n_c is beta-binomial (n_c; 2, n_r - 1), without
drift and whatever the distribution. Values that repeat make the p-value conservative.

References
----------
Wilks: Determination of sample sizes for setting tolerance limits. Annals of Mathematical Statistics 12, 1941.
"""

from __future__ import annotations

import numpy as np

from mlmagic._optional import need
from mlmagic.checks.drift.finding import Finding
from mlmagic.checks.profile import Numbers

KINDS: tuple[str, ...] = ("numeric", "datetime")
DECIDES = True
ALARM = 0.01
_TERMS = 20_000  # of the tail that is summed; they shrink by n_c / (n_c + n_r) or faster
_MANY_TIMES = 200  # so much more current than reference rows that the binomial part no longer matters


def p_value(outside: int, before: int, now: int) -> float:
    """Chance of at least so many of `now` values outside the range of `before` others, of one distribution."""
    if outside == 0 or before < 2:
        return 1.0
    special = need("scipy.special")
    if now > _MANY_TIMES * before:
        return float(special.betaincc(2, before - 1, outside / now))
    k = np.arange(outside, min(now, outside + _TERMS) + 1)
    # (k + 1) places for k of them, below and above; then the others in any order
    logs = (
        np.log(k + 1.0)
        + special.gammaln(now + 1)
        - special.gammaln(now - k + 1)
        + np.log(float(before) * (before - 1))
        + special.gammaln(before + now - k - 1)
        - special.gammaln(before + now + 1)
    )
    return float(min(1.0, np.exp(logs).sum()))


def measure(reference: Numbers, current: Numbers, alpha: float) -> Finding | None:
    """The statistic of a column, as `finding.Detector` says."""
    share = current.outside / current.present
    return Finding(
        statistic=share,
        p_value=p_value(current.outside, reference.present, current.present),
        warn=0.0,
        alarm=ALARM,
        words=f"{share:.2%} outside {reference.low:.6g} to {reference.high:.6g}",
    )
