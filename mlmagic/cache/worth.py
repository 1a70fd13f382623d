"""Whether keeping a result pays: the seconds that it would save against those of keeping and loading it.

The rule of HELIX (Xin et al., VLDB 2018) for one cell: keep what costs more to compute than to keep and load, weighted
by how likely it is wanted. How fast this machine keeps and loads is learnt from what it has kept and loaded.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlmagic.fingerprint import Snapshot

_FIXED = 0.006  # seconds for a trace and its files, however small
_LONGEST_FIXED = 0.05  # seconds; a small result that took longer had many objects
# How likely a result is wanted again: surely where the cell asks for it; else so that keeping adds a twentieth at most.
_WANTED, _OTHERWISE = 1.0, 0.05
_PER_OBJECT = 2e-6  # seconds to pickle one object and load it again
_LEARNING = 0.3  # weight of the newest measurement
_TELLING = 1 << 20  # bytes below which a measurement says nothing of the rate


@dataclass(slots=True)
class Rates:
    """Bytes per second, as measured here; first, those of a slow disk."""

    keeping: float = 300e6
    loading: float = 600e6
    fixed: float = _FIXED

    def learn(self, nbytes: int, keep_seconds: float, load_seconds: float) -> None:
        """Take one more measurement into account."""
        if nbytes >= _TELLING:
            self.keeping += _LEARNING * (nbytes / max(keep_seconds, 1e-6) - self.keeping)
            self.loading += _LEARNING * (nbytes / max(load_seconds, 1e-6) - self.loading)
        elif keep_seconds + load_seconds < _LONGEST_FIXED:
            self.fixed += _LEARNING * (keep_seconds + load_seconds - self.fixed)

    def costs(self, nbytes: int, objects: int) -> tuple[float, float]:
        """Seconds that keeping a result, and loading it once, would take."""
        each = objects * _PER_OBJECT
        return self.fixed + nbytes / self.keeping + each, self.fixed / 2 + nbytes / self.loading + each

    def pays(self, seconds: float, keep_seconds: float, load_seconds: float, *, wanted: bool) -> bool:
        """Whether keeping what took `seconds` to compute saves more than it costs; `wanted`: surely used again."""
        return (_WANTED if wanted else _OTHERWISE) * (seconds - load_seconds) > keep_seconds


def size(snapshot: Snapshot) -> tuple[int, int]:
    """Bytes in buffers, and objects, of a value; an estimate."""
    return sum(high - low for low, high in snapshot.spans), len(snapshot.ids)
