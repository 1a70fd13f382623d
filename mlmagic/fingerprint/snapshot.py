"""What one look at an object tells: its fingerprint, the memory it occupies, and what its code can reach."""

from __future__ import annotations

from dataclasses import dataclass
from types import FunctionType

from mlmagic.fingerprint.classes import module_of
from mlmagic.fingerprint.scope import DEFAULT_LIMIT, CodeReach, Scope
from mlmagic.fingerprint.walk import SCALARS, Walk

# An object of one of these types can never change, nor can anything it holds: identity is equality.
CONSTANT_TYPES: frozenset[type] = SCALARS | {range, type(Ellipsis), type(NotImplemented)}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One object's content and surroundings at one moment.

    Attributes
    ----------
    fingerprint : str or None
        Digest of the content; ``None``: opaque.
    constant : bool
        Nothing in it can change, so the same identity means the same content.
    ids : frozenset of int
        Identities of the changeable objects inside (the object itself included).
    spans : tuple of (int, int)
        Address ranges ``[low, high)`` of the buffers inside, merged and sorted.
    names, stores : frozenset of str
        Global names that code inside could load, or bind through ``global``.
    dynamic : bool
        Code inside could load anything (``exec``, ``globals()``, …).
    environment : bool
        Code inside reads environment variables.
    modules, packages : frozenset of str
        Local modules, and top-level names of installed packages, that code or types inside belong to.
    complete : bool
        False where `ids` and `spans` could not be listed to the end.
    views : tuple of (int, int)
        Of `spans`, those that others would see written at once (not pandas' blocks, which are copied on write),
        one by one in the order of the walk.
    quiet : frozenset of int
        Of `ids`, those that others share without seeing changes: pandas' indexes and columns, as parts of frames.
    orders : tuple
        Strides of the arrays inside that do not lie in C order: equal content, and sums may round otherwise.
    hashed : bool
        A set inside has an order that is another one in each process.
    fickle : bool
        Something inside changes without its content being touched: a weak reference, a function's cache of results.
    """

    fingerprint: str | None
    constant: bool
    ids: frozenset[int] = frozenset()
    spans: tuple[tuple[int, int], ...] = ()
    names: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    dynamic: bool = False
    environment: bool = False
    modules: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    complete: bool = True
    views: tuple[tuple[int, int], ...] = ()
    quiet: frozenset[int] = frozenset()
    orders: tuple[tuple[int, ...], ...] = ()
    hashed: bool = False
    fickle: bool = False

    @property
    def opaque(self) -> bool:
        return self.fingerprint is None

    @property
    def _shareable(self) -> bool:
        return bool(self.ids or self.spans or not self.complete)

    def overlaps(self, other: Snapshot) -> bool:
        """Whether a change inside one could be a change inside the other."""
        if not (self.complete and other.complete):
            return self._shareable and other._shareable
        return not self.ids.isdisjoint(other.ids) or _spans_meet(self.spans, other.spans)


UNKNOWN = Snapshot(fingerprint=None, constant=False, complete=False)  # of a value nobody could look at


def _spans_meet(left: tuple[tuple[int, int], ...], right: tuple[tuple[int, int], ...]) -> bool:
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i][1] <= right[j][0]:
            i += 1
        elif right[j][1] <= left[i][0]:
            j += 1
        else:
            return True
    return False


def merge_spans(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted, with touching ranges joined: the columns of one block become one range."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def snapshot(obj: object, scope: Scope) -> Snapshot:
    """Walk one object.

    Runs no code of the user's own classes: not their ``__eq__``, ``__repr__``, ``__getattr__``,
    ``__reduce__`` or properties.
    """
    walk = Walk(scope)
    digest = walk.run(obj)
    if _is_packages(obj):
        walk.orders, walk.hashed = [], False  # what a package's function keeps for itself; its version vouches for it
    return Snapshot(
        fingerprint=digest,
        constant=digest is not None
        and not (walk.ids or walk.spans or walk.names or walk.modules or walk.stores or walk.dynamic),
        ids=frozenset(walk.ids),
        spans=merge_spans(walk.spans),
        names=frozenset(walk.names),
        stores=frozenset(walk.stores),
        dynamic=walk.dynamic,
        environment=walk.environment,
        modules=frozenset(walk.modules),
        packages=frozenset(walk.packages),
        complete=walk.complete,
        views=tuple(walk.views),
        quiet=frozenset(walk.quiet - {id(obj)}),
        orders=tuple(walk.orders),
        hashed=walk.hashed,
        fickle=walk.fickle,
    )


def _is_packages(obj: object) -> bool:
    """Whether this is a function or class of a package's; asks no class of the user's."""
    if type(obj) is FunctionType:
        return obj.__globals__.get("__name__") != "__main__"
    return issubclass(type(obj), type) and module_of(obj) != "__main__"  # type: ignore[arg-type]


_NO_REACH = CodeReach(frozenset(), frozenset(), False, False)


def fingerprint(obj: object, *, limit: int = DEFAULT_LIMIT) -> str | None:
    """The content digest of any object on its own, or ``None`` where it is opaque."""
    scope = Scope({}, lambda code: _NO_REACH, lambda name: False, limit)
    return Walk(scope).run(obj)
