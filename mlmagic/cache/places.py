"""Whether objects can take new content where they are: who else holds them, or parts of them, in this notebook.

Whoever holds the object itself sees the change. Whoever holds a part of it keeps that part only if the new content has
it, too: otherwise the cell has to run.
"""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlmagic.cache.inplace import obstacle
from mlmagic.cache.shells import is_plain_array
from mlmagic.cache.traces import Trace
from mlmagic.fingerprint import Scope, Snapshot, share, snapshot

_MOST = 100_000  # objects looked at to see what a holder holds
_APART = (types.ModuleType, type, types.FrameType, types.CodeType)


class UnusableError(Exception):
    """A trace matches, but its results cannot be had or put in place here; the text says why."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A variable that the cell does not write, or a value in IPython's history."""

    name: str
    value: Any
    snapshot: Snapshot


def check_places(
    trace: Trace,
    content: Mapping[str, tuple[Any, Any]],
    namespace: dict[str, Any],
    snapshots: Mapping[str, Snapshot],
    scope: Scope,
) -> None:
    """Raise `UnusableError` where putting a trace's results in place would do other than running the cell.

    Parameters
    ----------
    content
        Variable that the cell changes in place -> the object there, an object with the new content.
    snapshots
        Of the variables that are there now.
    """
    for name, (there, new) in content.items():
        why = obstacle(there, new)
        if why is not None:
            raise UnusableError(f"{name} cannot be changed in place: {why}")
    if not content and not trace.lost:
        return
    holders = list(_holders(trace, namespace, snapshots, scope))
    for name in trace.lost:
        there = id(namespace.get(name))
        for holder in holders:
            if there in holder.snapshot.ids:
                raise UnusableError(f"{holder.name} holds what {name} refers to, and the cell may change it")
    for name, (there, new) in content.items():
        _check_parts(name, there, new, snapshots[name], holders, namespace, scope)


def _holders(
    trace: Trace, namespace: dict[str, Any], snapshots: Mapping[str, Snapshot], scope: Scope
) -> Iterator[Holder]:
    for name, seen in snapshots.items():
        if name not in trace.hows and not seen.constant:
            yield Holder(name, namespace.get(name), seen)
    history = namespace.get("_oh")
    for number, value in history.items() if type(history) is dict else ():
        yield Holder(f"Out[{number}]", value, snapshot(value, scope))


def _check_parts(
    name: str,
    there: Any,
    new: Any,
    before: Snapshot,
    holders: list[Holder],
    namespace: dict[str, Any],
    scope: Scope,
) -> None:
    sharing = [holder for holder in holders if share(holder.snapshot, before)]
    after = snapshot(new, scope).ids if sharing else frozenset()
    for holder in sharing:
        if is_plain_array(there):
            continue  # the new content goes into the memory that the holder sees
        parts = (holder.snapshot.ids & before.ids) - (holder.snapshot.quiet & before.quiet) - {id(there)}
        if id(there) in holder.snapshot.ids:  # then all its parts are there, too: which does it hold besides?
            parts = _held_besides(holder.value, there, parts, namespace)
        keeps = holder.snapshot.complete and parts <= after
        elsewhere = id(there) not in holder.snapshot.ids and _same_memory(holder.snapshot, before)
        if not keeps or elsewhere:
            raise UnusableError(f"{holder.name} shares a part of {name}, which the cell changes in place")


def _held_besides(holder: Any, there: Any, parts: frozenset[int], namespace: dict[str, Any]) -> frozenset[int]:
    """Which of `parts` a value holds by other ways than through the object `there`."""
    own = gc.get_referents(there)  # its dict, its items: kept alive here, so that no number is another's
    queue, seen, found = [holder], {id(holder), id(there)}, set()
    for obj in queue:
        for held in gc.get_referents(obj):
            if id(held) in seen or isinstance(held, _APART) or held is namespace:
                continue
            seen.add(id(held))
            found |= {id(held)} & parts
            queue.append(held)
        if len(seen) > _MOST:
            return parts
    del own
    return frozenset(found)


def _same_memory(one: Snapshot, other: Snapshot) -> bool:
    return any(low < end and start < high for low, high in one.views for start, end in other.views)
