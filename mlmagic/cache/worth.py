"""Whether keeping a result pays: the seconds that it would save against those of keeping and loading it.

The rule of HELIX (Xin et al., VLDB 2018) for one cell: keep what costs more to compute than to keep and load.
How fast this machine keeps and loads is learnt from what it has kept and loaded.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlmagic.fingerprint import Snapshot

_FIXED = 0.004  # seconds for a trace and its files, however small
_PER_OBJECT = 2e-6  # seconds to pickle one object and load it again
_LEARNING = 0.3  # weight of the newest measurement
_TELLING = 1 << 20  # bytes below which a measurement says nothing of the rate


@dataclass(slots=True)
class Rates:
    """Bytes per second, as measured here; first, those of a slow disk."""

    keeping: float = 300e6
    loading: float = 600e6

    def learn(self, nbytes: int, keep_seconds: float, load_seconds: float) -> None:
        """Take one more measurement into account."""
        if nbytes >= _TELLING:
            self.keeping += _LEARNING * (nbytes / max(keep_seconds, 1e-6) - self.keeping)
            self.loading += _LEARNING * (nbytes / max(load_seconds, 1e-6) - self.loading)

    def cost(self, nbytes: int, objects: int) -> float:
        """Seconds that keeping a result and loading it once would take."""
        return _FIXED + nbytes / self.keeping + nbytes / self.loading + objects * _PER_OBJECT


def size(snapshot: Snapshot) -> tuple[int, int]:
    """Bytes in buffers, and objects, of a value; an estimate."""
    return sum(high - low for low, high in snapshot.spans), len(snapshot.ids)
