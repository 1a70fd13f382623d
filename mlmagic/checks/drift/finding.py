"""What a detector is, and what it finds in one column before the number of columns is taken into account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Finding:
    """One statistic of one column.

    Attributes
    ----------
    statistic : float
        The effect: how far the two differ.
    p_value : float or None
        Chance of such a statistic, or a greater one, without drift; ``None``: nothing could differ.
    warn, alarm : float
        From which effect on, if it is no chance, it deserves a look, and is drift.
    critical : float
        What chance alone exceeds with probability alpha, in units of the statistic.
    plain : bool
        An effect above `warn` deserves a look whatever its p-value.
    words : str
        The effect as a reader is told it.
    note : str
        What the numbers leave unsaid.
    """

    statistic: float
    p_value: float | None
    warn: float
    alarm: float
    critical: float = 0.0
    plain: bool = False
    words: str = ""
    note: str = ""

    @property
    def threshold(self) -> float:
        """From where on the statistic counts as drift: a notable effect that chance seldom reaches."""
        return max(self.alarm, self.critical)


class Detector(Protocol):
    """A module of this folder: one statistic.

    Attributes
    ----------
    KINDS : tuple of str
        The kinds of column it is for.
    DECIDES : bool
        It can call drift; else, beside others, it only makes a column worth a look.
    """

    KINDS: tuple[str, ...]
    DECIDES: bool

    def measure(self, reference: Any, current: Any, alpha: float) -> Finding | None:
        """The statistic of a column; ``None`` where there is nothing to compare."""
