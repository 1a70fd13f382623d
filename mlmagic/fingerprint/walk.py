"""The walk over an object's content: iterative, so depth is no limit, and each shared part is told once.

Handlers write *tokens* (typed, self-delimiting bytes) into one XXH3-128 stream and name the children to
visit next. Two references to one changeable object differ from references to two equal ones, as they do
for the program: the second visit writes the number of the first.
"""

from __future__ import annotations

import gc
import marshal
import sys
import types
from collections import Counter
from collections.abc import Iterable
from itertools import chain, count
from typing import Any

from xxhash import xxh3_128

from mlmagic._optional import loaded
from mlmagic.fingerprint.classes import lineage_of, module_of
from mlmagic.fingerprint.registry import generic, handler_for, handles, resolved
from mlmagic.fingerprint.scope import Scope

# marshal of format 2 writes these canonically: no references, no interning flags, types kept apart.
SCALARS: frozenset[type] = frozenset({int, float, bool, str, bytes, type(None), complex})
MARSHAL_FORMAT = 2
# Types are compared by identity throughout: a metaclass may define what hashing a class means.
_SCALAR_IDS = frozenset(map(id, SCALARS))
_TEXT_IDS = frozenset({id(str), id(bytes)})
_FLAT_IDS = frozenset({id(dict), id(list), id(tuple)})
_CHUNK = 4096  # elements marshalled at a time
_BULK = 32
_FLUSH = 1 << 16
_LONG = 1 << 16  # characters or bytes from which a string is written in pieces rather than copied
_REFERENT_LIMIT = 20_000
_SHOWING_MEMORY = frozenset({"mmap", "_ctypes"})  # modules of opaque types that arrays are made over

# To put a set's elements in order, each is looked at on its own before all are visited in full. Numbers of parts:
_LOOKS = (4, 64, 1024)  # looked at of each element; a longer look only at those that were alike so far
_TIES = 100_000  # looked at in all for that
_FEW, _SURFACE, _MANY = 8, 4, 256  # the same for sets inside these: elements, or parts of each
_OUTLINE_DEPTH = 2  # sets within sets
_OUTLINES = 1_000_000  # in all, in one walk


class Walk:
    """One pass over one object; see :class:`mlmagic.fingerprint.Snapshot` for what it collects."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.ids: set[int] = set()
        self.quiet: set[int] = set()
        self.spans: list[tuple[int, int]] = []
        self.views: list[tuple[int, int]] = []
        self.orders: list[tuple[int, ...]] = []
        self.hashed = False
        self.fickle = False
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
        self.asked = False  # an object was asked for its state, and may have made what it answered for us
        self._pure: dict[int, bytes | None] = {}
        self._stack: list[Any] = []
        self._visited = 0
        self._outlined = 0
        self._depth = 0

    def run(self, root: object) -> str | None:
        """The digest of `root`, or ``None`` where a part of it is opaque."""
        stack = self._stack
        stack.append(root)
        while stack:
            self._visit(stack.pop())
            if self._visited > self.scope.limit:
                self._opaque, self.complete = True, False
                break
        if self.asked:
            self._forget_made()
        if self._opaque:
            return None
        self._flush()
        return str(self._hash.hexdigest())

    def _forget_made(self) -> None:
        """Take objects that exist only for this walk out of what the value occupies: their addresses are free again.

        In the order of the visits, so that what a made container held is seen to be held by nobody, too.
        """
        kept, self._kept = self._kept, []
        kept.reverse()
        made, areas = set(), set()
        nobody = [object()]
        obj = nobody.pop()
        alone = sys.getrefcount(obj)
        while kept:
            obj = kept.pop()
            if sys.getrefcount(obj) == alone:
                made.add(id(obj))
                areas.add(_own_area(obj))
        self.ids -= made
        self.spans = [area for area in self.spans if area not in areas]
        self.views = [area for area in self.views if area not in areas]

    def _visit(self, obj: Any) -> None:
        cls = type(obj)
        if id(cls) in _SCALAR_IDS:
            self.scalar(obj)
            return
        known = self._seen.get(id(obj))
        if known is not None:
            self.token("ref", known)
            return
        self._visited += 1
        _, handler, is_value = resolved(cls)
        if not is_value:
            self.remember(obj)
        mark = len(self._stack)
        try:
            handler(obj, self)
        except Exception:
            del self._stack[mark:]
            self.opaque(obj)

    # -- what handlers write -----------------------------------------------------------------

    def scalar(self, value: Any) -> None:
        """Write one exact scalar."""
        if id(type(value)) in _TEXT_IDS and len(value) > _LONG:
            self._write_long(value)
            return
        self._buffer += marshal.dumps(value, MARSHAL_FORMAT)
        if len(self._buffer) > _FLUSH:
            self._flush()

    def token(self, *parts: Any) -> None:
        """Write a typed marker: exact scalars only, in lists and tuples too."""
        self._buffer += marshal.dumps(parts, MARSHAL_FORMAT)
        if len(self._buffer) > _FLUSH:
            self._flush()

    def memory(self, view: Any, nbytes: int) -> None:
        """Write a contiguous buffer without copying it."""
        self.token("memory", nbytes)
        self.raw(view)

    def raw(self, view: Any) -> None:
        """Write more bytes of a buffer whose length a token has told."""
        self._flush()
        self._hash.update(view)

    def children(self, objects: Iterable[Any]) -> None:
        """Visit these next, in this order."""
        self._stack.extend(reversed(list(objects)))

    def copied(self, value: object) -> None:
        """Write what an object handed out as a copy of its state: the identities inside mean nothing."""
        part = Walk(self.scope)
        digest = part.run(value)
        self._opaque |= digest is None
        self.token("copied", digest)

    def bulk(self, values: list[Any] | tuple[Any, ...]) -> bool:
        """Write a sequence at C speed where all its elements are scalars, or flat containers of one type."""
        kinds = set(map(id, map(type, values)))
        if kinds <= _SCALAR_IDS:
            if kinds & _TEXT_IDS and _longest(kinds, values) > _LONG:
                return False
            self._marshalled(values)
            return True
        if len(values) < _BULK or len(kinds) != 1:
            return False
        kind = type(values[0])
        if id(kind) not in _FLAT_IDS or not _all_flat(kind, values):
            return False
        return self._bulk_containers(kind, values)

    def pure(self, root: Any) -> bytes | None:
        """Digest of an immutable tuple or frozenset tree, ``None`` where anything in it could change.

        Equal tuples get equal digests whether or not the program shares them, which the compiler
        decides by folding constants.
        """
        known, stack = self._pure, [root]
        while stack:
            value = stack[-1]
            if id(value) in known:
                stack.pop()
                continue
            inner = [part for part in value if id(type(part)) not in _SCALAR_IDS]
            if any(type(part) is not tuple and type(part) is not frozenset for part in inner):
                self._know(value, None)
                continue
            pending = [part for part in inner if id(part) not in known]
            if pending:
                stack += pending
            else:
                self._know(value, _joined(value, known))
        return known[id(root)]

    # -- what handlers note ------------------------------------------------------------------

    def changeable(self, obj: object, *, quiet: bool = False) -> None:
        """The object can be changed in place: whoever holds it shares the change.

        `quiet`: its owner copies it, or hands out a view, before anybody could change it for others.
        """
        if obj is not None:
            self.ids.add(id(obj))
            if quiet:
                self.quiet.add(id(obj))

    def held(self, obj: object) -> None:
        """The object is told like its equals, and still is one that several may hold: `is` tells them apart."""
        self.changeable(obj)
        self._kept.append(obj)

    def remember(self, obj: object) -> None:
        """Tell the object once; further references to it are told as such."""
        self._seen[id(obj)] = len(self._seen)
        self._kept.append(obj)

    def tell_again(self, obj: object) -> None:
        """The object turned out to be a value: it is told in full wherever it stands."""
        self._seen.pop(id(obj), None)

    def span(self, low: int, high: int, *, plain: bool = False) -> None:
        """The object owns or views the bytes at addresses ``[low, high)``.

        `plain`: whoever else views them sees a write at once. pandas copies before it writes what it shares,
        and Arrow never writes.
        """
        if high > low:
            self.spans.append((low, high))
            if plain:
                self.views.append((low, high))

    def shown_buffer(self, obj: Any) -> None:
        """Note the memory that a non-empty object shows through the buffer protocol.

        Only NumPy tells addresses; without it nobody but the owner and its memoryviews can share it.
        """
        numpy = loaded("numpy")
        if numpy is not None and hasattr(numpy, "frombuffer"):
            view = memoryview(obj)
            array = numpy.frombuffer(view, numpy.uint8) if view.contiguous and view.nbytes else numpy.asarray(view)
            self.span(*numpy.lib.array_utils.byte_bounds(array), plain=True)

    def set_order(self, elements: set[Any] | frozenset[Any]) -> None:
        """Note the order in which a set's elements come: not its content, and yet what a loop over it sees."""
        if len(elements) < 2:
            return
        if all(map(is_scalar, elements)):
            order = xxh3_128(marshal.dumps(list(elements), MARSHAL_FORMAT)).intdigest()
            self.orders.append((order,))
            self.hashed |= not all(isinstance(part, (int, float)) for part in elements)
        else:
            self.hashed = True

    def code(self, code: types.CodeType) -> None:
        """Code that runs in the user's namespace: note what it can load and bind there."""
        reach = self.scope.code_reach(code)
        self.names |= reach.loads
        self.stores |= reach.stores
        self.dynamic |= reach.dynamic
        self.environment |= reach.environment

    def opaque(self, obj: object) -> None:
        """The content cannot be known; what it refers to is still listed, without asking the object."""
        self.hidden(obj)
        if any(module_of(base) in _SHOWING_MEMORY for base in lineage_of(type(obj))):
            try:
                self.shown_buffer(obj)
            except Exception:  # shows none, or one that NumPy cannot read
                pass
        self.referents(obj)

    def hidden(self, obj: object) -> None:
        """The content cannot be known, nor is what it holds of interest."""
        self._opaque = True
        self.changeable(obj)

    def referents(self, root: object) -> None:
        """Note everything an object holds, as the garbage collector sees it."""
        queue, seen = [root], {id(root)}
        while queue:
            for held in gc.get_referents(queue.pop()):
                if id(held) in seen or id(type(held)) in _SCALAR_IDS or _is_module_dict(held, self.scope.namespace):
                    continue
                seen.add(id(held))
                if len(seen) > _REFERENT_LIMIT:
                    self.complete = False
                    return
                self._note_referent(held, queue)

    # -- sets --------------------------------------------------------------------------------

    def in_order(self, objects: Iterable[Any]) -> list[Any]:
        """A set's elements in an order that follows from their content, as far as a first look tells.

        Elements that look alike stay in the set's own order: another process may then find another digest
        for an equal set, which is a miss and no lie, since all of them are visited in full afterwards.
        """
        elements = list(objects)
        if len(elements) < 2:
            return elements
        if self._depth:
            return self._in_outlined_order(elements)
        keys = [self._outline(element, _LOOKS[0]) for element in elements]
        for allowance in _LOOKS[1:]:
            repeated = {key for key, times in Counter(keys).items() if times > 1}
            if not repeated or len(repeated) * allowance > _TIES:
                break
            for number, key in enumerate(keys):
                if key in repeated:
                    keys[number] += self._outline(elements[number], allowance)
        return _sorted(elements, keys)

    def _in_outlined_order(self, elements: list[Any]) -> list[Any]:
        """The same for a set inside an outline, in bounded time; nothing of it where that does not suffice."""
        few = len(elements) <= _FEW
        if self._depth > _OUTLINE_DEPTH or len(elements) > _MANY:
            return []
        self._depth += not few  # of many elements, only the surface
        keys = [self._outline(element, _FEW if few else _SURFACE) for element in elements]
        self._depth -= not few
        return _sorted(elements, keys)

    def _outline(self, obj: Any, allowance: int) -> bytes:
        """Digest of an object's first parts; leaves the stream and the numbering as they were."""
        outer = self._hash, self._buffer, self._stack
        known, limit = len(self._seen), self._visited + allowance
        self._hash, self._buffer, self._stack = xxh3_128(), bytearray(), [obj]
        self._depth += 1
        before = self._visited
        while self._stack and self._visited < limit and self._outlined < _OUTLINES:
            self._visit(self._stack.pop())
        self._flush()
        found = self._hash.digest()
        self._outlined += self._visited - before
        self._visited = before
        self._depth -= 1
        while len(self._seen) > known:
            self._seen.popitem()
        self._hash, self._buffer, self._stack = outer
        return found

    # -- inside ------------------------------------------------------------------------------

    def _write_long(self, value: str | bytes) -> None:
        self.token("long", type(value).__name__, len(value))
        if isinstance(value, bytes):
            self.raw(value)
            return
        for start in range(0, len(value), _LONG):
            self.raw(value[start : start + _LONG].encode("utf-32-le", "surrogatepass"))

    def _bulk_containers(self, kind: type, values: list[Any] | tuple[Any, ...]) -> bool:
        if kind is not tuple:
            identities = list(map(id, values))
            unique = set(identities)
            if len(unique) != len(identities) or not unique.isdisjoint(self._seen):
                return False  # shared parts: tell them one by one
            self._seen.update(zip(identities, count(len(self._seen))))
            self._kept.append(values)
            self.ids |= unique
        self.token("flat", kind.__name__)
        self._marshalled(values)
        return True

    def _marshalled(self, values: list[Any] | tuple[Any, ...]) -> None:
        for start in range(0, len(values), _CHUNK):
            self._buffer += marshal.dumps(values[start : start + _CHUNK], MARSHAL_FORMAT)
            if len(self._buffer) > _FLUSH:
                self._flush()

    def _know(self, value: Any, digest: bytes | None) -> None:
        self._pure[id(value)] = digest
        self._kept.append(value)

    def _flush(self) -> None:
        self._hash.update(self._buffer)
        self._buffer.clear()

    def _note_referent(self, held: Any, queue: list[Any]) -> None:
        cls = type(held)
        if cls is types.CodeType:
            self.code(held)
        elif issubclass(cls, types.ModuleType):
            return
        elif issubclass(cls, type) or handler_for(cls) is not generic():
            self.children([held])  # known kinds list their own buffers and parts
        else:
            self.changeable(held)
            queue.append(held)


class Parts(list):  # type: ignore[type-arg]
    """A list made for the walk, of parts of an object: no object of the user's, so without an identity."""


def _own_area(obj: object) -> tuple[int, int]:
    """The memory that an array owns; an impossible one for anything else."""
    numpy = loaded("numpy")
    if numpy is None or not issubclass(type(obj), numpy.ndarray) or numpy.ndarray.base.__get__(obj) is not None:
        return (-1, -1)
    low, high = numpy.lib.array_utils.byte_bounds(obj)
    return int(low), int(high)


def _sorted(elements: list[Any], keys: list[bytes]) -> list[Any]:
    return [elements[number] for number in sorted(range(len(elements)), key=keys.__getitem__)]


def is_scalar(value: object) -> bool:
    """Whether the value is of one of `SCALARS` exactly."""
    return id(type(value)) in _SCALAR_IDS


def fields(mapping: Any) -> Parts:
    """A mapping made for the walk, told by its keys and values."""
    return Parts([Parts(mapping.keys()), Parts(mapping.values())])


def _joined(value: tuple[Any, ...] | frozenset[Any], known: dict[int, bytes | None]) -> bytes | None:
    if type(value) is tuple and all(id(type(part)) in _SCALAR_IDS for part in value):
        return xxh3_128(marshal.dumps(value, MARSHAL_FORMAT)).digest()
    parts = []
    for part in value:
        digest = marshal.dumps(part, MARSHAL_FORMAT) if id(type(part)) in _SCALAR_IDS else known[id(part)]
        if digest is None:
            return None
        parts.append((id(type(part)) in _SCALAR_IDS, digest))
    ordered = parts if type(value) is tuple else sorted(parts)
    return xxh3_128(marshal.dumps((type(value).__name__, ordered), MARSHAL_FORMAT)).digest()


def _longest(kinds: set[int], values: Iterable[Any]) -> int:
    texts = values if kinds <= _TEXT_IDS else (value for value in values if id(type(value)) in _TEXT_IDS)
    return max(map(len, texts), default=0)


def _all_flat(kind: type, values: Iterable[Any]) -> bool:
    if kind is dict:
        inner: Iterable[Any] = chain(chain.from_iterable(values), chain.from_iterable(map(dict.values, values)))
    else:
        inner = chain.from_iterable(values)
    return set(map(id, map(type, inner))) <= _SCALAR_IDS


def _is_module_dict(obj: Any, namespace: dict[str, Any]) -> bool:
    return type(obj) is dict and (obj is namespace or ("__name__" in obj and "__spec__" in obj))


@handles(Parts, value=True)
def write_parts(obj: list[Any], walk: Walk) -> None:
    """Write parts without an identity of their own."""
    walk.token("parts", len(obj))
    if not walk.bulk(obj):
        walk.children(obj)
