"""The step from verdicts to work: severities of some rows come in; which rows to look at or label next goes out.

Each pick first takes an assertion, all that still have rows being equally likely, then one of its rows, the likelier
the higher it ranks by severity: the first round of BAL in Kang et al., *Model Assertions for Monitoring and Improving
ML Models* (MLSys 2020, section 3). Later rounds of BAL prefer assertions whose firing falls from round to round; this
needs labels that came back, so it is not done here. What was checked: that likelihoods follow rank, in
``tests/unit/checks/test_labels.py``; the paper's figures were not reproduced.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pick:
    """A row to look at.

    Attributes
    ----------
    row : int
        Its position.
    rule : str
        The assertion that it was picked for.
    severity : float
    chance : float
        With which it was this pick's turn, whichever assertion: what an unbiased estimate needs.
    """

    row: int
    rule: str
    severity: float
    chance: float


def choose(
    severities: Mapping[str, NDArray[np.float64]], same: Sequence[Hashable], count: int, seed: int = 0
) -> list[Pick]:
    """At most so many rows, no two with the same data.

    Parameters
    ----------
    severities : mapping
        Assertion -> severity of each row, 0 = fine.
    same : sequence
        One for each row; rows with equal ones have the same data.
    seed : int
        The same seed picks the same rows.
    """
    rng = np.random.default_rng(seed)
    left = {rule: _ranked(found, same) for rule, found in severities.items()}
    picks: list[Pick] = []
    while len(picks) < count and (left := {rule: rows for rule, rows in left.items() if rows}):
        rule = list(left)[int(rng.integers(len(left)))]
        chances = _by_rank(len(left[rule]))
        row = left[rule][int(rng.choice(len(chances), p=chances))]
        picks.append(Pick(row, rule, float(severities[rule][row]), _chance(row, left)))
        left = {name: [other for other in rows if same[other] != same[row]] for name, rows in left.items()}
    return picks


def _ranked(found: NDArray[np.float64], same: Sequence[Hashable]) -> list[int]:
    """Rows that fired, worst first; of rows with the same data, the first."""
    order = [int(row) for row in np.argsort(-found, kind="stable") if found[row] > 0]
    first: dict[Hashable, int] = {}
    for row in order:
        first.setdefault(same[row], row)
    return list(first.values())


def _by_rank(rows: int) -> NDArray[np.float64]:
    """Chances that fall evenly from the worst row to the last one."""
    weights = np.arange(rows, 0, -1, dtype=np.float64)
    found: NDArray[np.float64] = weights / weights.sum()
    return found


def _chance(row: int, left: Mapping[str, list[int]]) -> float:
    return float(sum(_by_rank(len(rows))[rows.index(row)] for rows in left.values() if row in rows) / len(left))
