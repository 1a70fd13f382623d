"""How several values lie in memory: a digest of what they share and of their order, which fingerprints leave out.

`a = [1]; b = a` and `a = [1]; b = [1]` give the same fingerprints, and `b.append(2); print(a)` does not print the
same after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from xxhash import xxh3_128

from mlmagic.fingerprint.scope import Scope
from mlmagic.fingerprint.snapshot import Snapshot
from mlmagic.fingerprint.walk import Parts, Walk

_Area = tuple[int, int, int]  # low, high, number of the value


def share(one: Snapshot, other: Snapshot) -> bool:
    """Whether a write to one could be seen in the other: the same object inside, or the same plain memory."""
    if not (one.complete and other.complete):
        return one.overlaps(other)
    if not one.ids.isdisjoint(other.ids) and (one.ids & other.ids) - (one.quiet & other.quiet):
        return True
    return bool((one.views or other.views) and _meets(one, other))


def _meets(one: Snapshot, other: Snapshot) -> bool:
    """Whether plain memory of one is memory of the other's, plain or not."""
    if not one.overlaps(other):
        return False
    return any(
        low < end and start < high
        for areas, others in ((one.views, other.spans), (other.views, one.spans))
        for low, high in areas
        for start, end in others
    )


def groups(snapshots: Mapping[str, Snapshot]) -> list[list[str]]:
    """Names whose values share anything with each other, directly or through others; every name is in one group."""
    found = {name: [name] for name in snapshots}
    for one, other in combinations(snapshots, 2):
        if found[one] is not found[other] and share(snapshots[one], snapshots[other]):
            merged = sorted([*found[one], *found[other]])
            found.update(dict.fromkeys(merged, merged))
    return list({id(names): names for names in found.values()}.values())


def signature(values: Mapping[str, Any], snapshots: Mapping[str, Snapshot], scope: Scope) -> str | None:
    """A digest of what the values share and of arrays out of C order, ``""`` where nothing; ``None``: unknown.

    Parameters
    ----------
    values, snapshots
        By name; the snapshots are of the values as they are.
    """
    changeable = {name: snapshots[name] for name in sorted(snapshots) if not snapshots[name].constant}
    if not all(seen.complete for seen in changeable.values()):
        return None
    told: list[object] = [*_memory(list(changeable.values()))]
    told += [(name, seen.orders) for name, seen in changeable.items() if seen.orders]
    for names in groups(changeable):
        if len(names) > 1:
            joint = Walk(scope).run(Parts(values[name] for name in names))
            if joint is None:
                return None
            told.append((names, joint))
    return xxh3_128(repr(told).encode()).hexdigest() if told else ""


def _memory(snapshots: Iterable[Snapshot]) -> list[list[_Area]]:
    """How the plain views of some values lie in the memory that they have in common."""
    areas: list[_Area] = sorted(
        (low, high, number) for number, (low, high) in enumerate(area for seen in snapshots for area in seen.views)
    )
    found: list[list[_Area]] = []
    together: list[_Area] = []
    end = -1
    for area in [*areas, (1 << 70, 1 << 70, -1)]:
        if area[0] >= end:
            if len(together) > 1:
                base = together[0][0]
                found.append([(low - base, high - base, number) for low, high, number in together])
            together = []
        together.append(area)
        end = max(end, area[1]) if len(together) > 1 else area[1]
    return sorted(found, key=lambda run: min(number for _, _, number in run))  # not by address
