"""The walk over an object's content: iterative, so depth is no limit, and each shared part is told once.

Handlers write *tokens* (typed, self-delimiting bytes) into one XXH3-128 stream and name the children to
visit next. Two references to one changeable object differ from references to two equal ones, as they do
for the program: the second visit writes the number of the first.
"""

from __future__ import annotations

import gc
import marshal
import types
from collections.abc import Callable, Iterable
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_128

if TYPE_CHECKING:
    from mlmagic.fingerprint.snapshot import Scope

Handler = Callable[[Any, "Walk"], None]

# marshal of format 2 writes these canonically: no references, no interning flags, types kept apart.
SCALARS: frozenset[type] = frozenset({int, float, bool, str, bytes, type(None), complex})
MARSHAL_FORMAT = 2
_CHUNK = 4096
_BULK = 32
_FLUSH = 1 << 16
_REFERENT_LIMIT = 20_000


class Walk:
    """One pass over one object; see :class:`mlmagic.fingerprint.Snapshot` for what it collects."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.ids: set[int] = set()
        self.spans: list[tuple[int, int]] = []
        self.names: set[str] = set()
        self.stores: set[str] = set()
        self.modules: set[str] = set()
        self.packages: set[str] = set()
        self.dynamic = False
        self.environment = False
        self.complete = True
        self._opaque = False
        self._hash = xxh3_128()
        self._buffer = bytearray()
        self._seen: dict[int, int] = {}
        self._kept: list[object] = []  # identities are numbers of live objects only
        self._pure: dict[int, bytes | None] = {}
        self._stack: list[Any] = []

    def run(self, root: object) -> str | None:
        """The digest of `root`, or ``None`` where a part of it is opaque."""
        stack = self._stack
        stack.append(root)
        while stack:
            self._visit(stack.pop())
            if len(self._kept) > self.scope.limit:
                self._opaque, self.complete = True, False
                break
        if self._opaque:
            return None
        self._hash.update(bytes(self._buffer))
        return str(self._hash.hexdigest())

    def _visit(self, obj: Any) -> None:
        cls = type(obj)
        if cls in SCALARS:
            self.scalar(obj)
            return
        known = self._seen.get(id(obj))
        if known is not None:
            self.token("ref", known)
            return
        handler = handler_for(cls)
        if handler not in _VALUE_HANDLERS:
            self.remember(obj)
        mark = len(self._stack)
        try:
            handler(obj, self)
        except Exception:  # noqa: BLE001 - a user's or a package's hook raised: its content is unknown
            del self._stack[mark:]
            self.opaque(obj)

    # -- what handlers call ------------------------------------------------------------------

    def scalar(self, value: object) -> None:
        """Write one exact scalar."""
        self._buffer += marshal.dumps(value, MARSHAL_FORMAT)
        if len(self._buffer) > _FLUSH:
            self._flush()

    def token(self, *parts: object) -> None:
        """Write a typed marker: exact scalars only."""
        self._buffer += marshal.dumps(parts, MARSHAL_FORMAT)
        if len(self._buffer) > _FLUSH:
            self._flush()

    def memory(self, view: Any, nbytes: int) -> None:
        """Write a contiguous buffer without copying it."""
        self.token("memory", nbytes)
        self._flush()
        self._hash.update(view)

    def children(self, objects: Iterable[Any]) -> None:
        """Visit these next, in this order."""
        self._stack.extend(reversed(list(objects)))

    def changeable(self, obj: object) -> None:
        """The object can be changed in place: whoever holds it shares the change."""
        self.ids.add(id(obj))

    def remember(self, obj: object) -> None:
        self._seen[id(obj)] = len(self._seen)
        self._kept.append(obj)

    def span(self, low: int, high: int) -> None:
        """The object owns or views the bytes at addresses ``[low, high)``."""
        if high > low:
            self.spans.append((low, high))

    def code(self, code: types.CodeType) -> None:
        """Code that runs in the user's namespace: note what it can load and bind there."""
        reach = self.scope.code_reach(code)
        self.names |= reach.loads
        self.stores |= reach.stores
        self.dynamic |= reach.dynamic
        self.environment |= reach.environment

    def opaque(self, obj: object) -> None:
        """The content cannot be known; what it refers to is still listed, without asking the object."""
        self._opaque = True
        self.changeable(obj)
        self._list_referents(obj)

    def unordered(self, objects: Iterable[Any]) -> list[bytes]:
        """Sorted digests of parts whose order carries no meaning (a set's elements)."""
        digests = []
        for obj in objects:
            part = Walk(self.scope)
            digest = part.run(obj)
            self._absorb(part)
            self._opaque |= digest is None
            digests.append((digest or "").encode())
        return sorted(digests)

    def bulk(self, values: list[Any] | tuple[Any, ...]) -> bool:
        """Write a sequence at C speed where all its elements are scalars, or flat containers of one type."""
        kinds = set(map(type, values))
        if kinds <= SCALARS:
            self._marshalled(values)
            return True
        if len(values) < _BULK or len(kinds) != 1:
            return False
        kind = kinds.pop()
        if kind not in (dict, list, tuple) or not _all_flat(kind, values):
            return False
        return self._bulk_containers(kind, values)

    # -- inside ------------------------------------------------------------------------------

    def _bulk_containers(self, kind: type, values: list[Any] | tuple[Any, ...]) -> bool:
        if kind is not tuple:
            identities = list(map(id, values))
            unique = set(identities)
            if len(unique) != len(identities) or not unique.isdisjoint(self._seen):
                return False  # shared parts: tell them one by one
            self._seen.update(zip(identities, count(len(self._seen))))
            self.ids |= unique
        self.token("flat", kind.__name__)
        self._marshalled(values)
        return True

    def _marshalled(self, values: list[Any] | tuple[Any, ...]) -> None:
        for start in range(0, len(values), _CHUNK):
            self._buffer += marshal.dumps(values[start : start + _CHUNK], MARSHAL_FORMAT)
            self._flush()

    def pure(self, value: Any, depth: int = 0) -> bytes | None:
        """Digest of an immutable tuple or frozenset tree, ``None`` where anything in it could change.

        Equal tuples get equal digests whether or not the program shares them, which the compiler
        decides by folding constants.
        """
        if type(value) in SCALARS:
            return marshal.dumps(value, MARSHAL_FORMAT)
        if type(value) not in (tuple, frozenset) or depth > 40:
            return None
        if id(value) not in self._pure:
            self._kept.append(value)
            parts = [self.pure(part, depth + 1) for part in value]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                self._pure[id(value)] = None
            else:
                ordered = known if type(value) is tuple else sorted(known)
                joined = marshal.dumps((type(value).__name__, ordered), MARSHAL_FORMAT)
                self._pure[id(value)] = xxh3_128(joined).digest()
        return self._pure[id(value)]

    def _flush(self) -> None:
        self._hash.update(bytes(self._buffer))
        self._buffer.clear()

    def _absorb(self, part: Walk) -> None:
        self.ids |= part.ids
        self.spans += part.spans
        self.names |= part.names
        self.stores |= part.stores
        self.modules |= part.modules
        self.packages |= part.packages
        self.dynamic |= part.dynamic
        self.environment |= part.environment
        self.complete &= part.complete
        self._kept += part._kept

    def _list_referents(self, root: object) -> None:
        """Note everything an opaque object holds, as the garbage collector sees it."""
        queue, seen = [root], {id(root)}
        while queue:
            for held in gc.get_referents(queue.pop()):
                if id(held) in seen or type(held) in SCALARS or _is_module_dict(held, self.scope.namespace):
                    continue
                seen.add(id(held))
                if len(seen) > _REFERENT_LIMIT:
                    self.complete = False
                    return
                self._note_referent(held, queue)

    def _note_referent(self, held: Any, queue: list[Any]) -> None:
        if isinstance(held, types.CodeType):
            self.code(held)
        elif isinstance(held, (type, types.ModuleType)):
            return
        elif handler_for(type(held)) is not _generic():
            self.children([held])  # known kinds list their own buffers and parts
        else:
            self.changeable(held)
            queue.append(held)


def _all_flat(kind: type, values: Iterable[Any]) -> bool:
    if kind is dict:
        inner: Iterable[Any] = chain(chain.from_iterable(values), chain.from_iterable(map(dict.values, values)))
    else:
        inner = chain.from_iterable(values)
    return set(map(type, inner)) <= SCALARS


def _is_module_dict(obj: object, namespace: dict[str, Any]) -> bool:
    return type(obj) is dict and (obj is namespace or ("__name__" in obj and "__spec__" in obj))


# -- registry --------------------------------------------------------------------------------

_BY_TYPE: dict[type, Handler] = {}
_BY_NAME: dict[str, Handler] = {}  # "module.qualname", so that no package is imported to know it
_RESOLVED: dict[type, Handler] = {}
_VALUE_HANDLERS: set[Handler] = set()  # of immutable values, where sharing means nothing


def handles(*kinds: type | str, value: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler for types, or for ``"module.QualifiedName"`` of types that may not be imported.

    ``value=True`` marks kinds that are immutable through and through: equal copies and shared
    references then get the same digest.
    """

    def register(handler: Handler) -> Handler:
        for kind in kinds:
            if isinstance(kind, str):
                _BY_NAME[kind] = handler
            else:
                _BY_TYPE[kind] = handler
        if value:
            _VALUE_HANDLERS.add(handler)
        _RESOLVED.clear()
        return handler

    return register


def handler_for(cls: type) -> Handler:
    """The handler of the nearest class in the method resolution order, else the generic one."""
    handler = _RESOLVED.get(cls)
    if handler is None:
        if len(_RESOLVED) > 10_000:  # classes made in a loop
            _RESOLVED.clear()
        handler = _RESOLVED[cls] = _resolve(cls)
    return handler


def _resolve(cls: type) -> Handler:
    import mlmagic.fingerprint.handlers  # noqa: F401 - registers the built-in family once

    if cls in _BY_TYPE:
        return _BY_TYPE[cls]
    for base in type.mro(cls) if cls is not type else [type]:
        name = f"{base.__module__}.{base.__qualname__}"
        if name in _BY_NAME:
            return _BY_NAME[name]
    if issubclass(cls, type):
        return _BY_TYPE[type]
    return _generic()


def _generic() -> Handler:
    return _BY_TYPE[object]
