"""Any group of values: a pickle stream, and beside it the raw memory of its arrays, viewed again where it lies.

A file is a magic number with a version, the stream, the segments, a table that says where each array's elements are,
and the place of that table; the table comes last, like that of a zip archive, because only then is it known.

Loading runs a pickle, and a pickle can run anything. Whoever calls `PickleSerializer.load` has checked before that the
bytes have the digest, and the digest the signature, which this user's own key gave.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import io
import json
import pickle
import struct
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, cast

import cloudpickle
import numpy as np

from mlmagic.cache.serializers import arrays, functions, tensors
from mlmagic.cache.serializers.base import Links, UnstorableError
from mlmagic.cache.serializers.frames import Holdings
from mlmagic.cache.serializers.memory import LOOSE, PLAIN, EntangledError, Memory, Output, Row
from mlmagic.fingerprint import DEFAULT_LIMIT, CodeReach, Scope, snapshot
from mlmagic.fingerprint.classes import lineage_of

_MAGIC = b"mlmagicP\x00\x00\x00\x01"
_END = struct.Struct("<QQ")  # where the stream ends, where the table starts
_PROTOCOL = 5


class PickleSerializer:
    """Everything that can be pickled, with arrays and tensors that share memory as they did."""

    name = "pickle"

    def accepts(self, group: Mapping[str, object]) -> bool:
        return True

    def dump(self, group: Mapping[str, object], file: BinaryIO, links: Links) -> None:
        out = Output(file)
        try:
            _dump(group, out, links)
        except UnstorableError:
            raise
        except EntangledError as found:
            raise UnstorableError(_entangled(group, found)) from None
        except Exception as error:  # whatever the user's __reduce__ or __getstate__ may raise
            if out.refusal is not None:
                raise out.refusal from None
            raise UnstorableError(_in_one_line(error)) from error

    def load(self, buffer: memoryview, links: Links) -> dict[str, object]:
        return _Loading(buffer, links).run()


def _dump(group: Mapping[str, object], out: Output, links: Links) -> None:
    out.write(_MAGIC)
    pickler = (_Pickler if links.token_of is None else _LinkingPickler)(out, links)
    try:
        pickler.dump(dict(group))
        pickler.check_owners()
        stream_end = out.position
        rows = pickler.memory.write(out)
        table_start = out.position
        out.write(json.dumps({"rows": rows, "buffers": pickler.buffers}, separators=(",", ":")).encode())
        out.write(_END.pack(stream_end, table_start))
    finally:
        pickler.let_go()


# -- words ---------------------------------------------------------------------------------------


def _in_one_line(error: Exception) -> str:
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first[:200]}"


def _entangled(group: Mapping[str, object], found: EntangledError) -> str:
    names = [f"`{name}`" for name, value in group.items() if _lies_in(value, found.low, found.high)]
    words = " and ".join(names) if len(names) > 1 else f"arrays in {names[0]}" if names else "its arrays"
    return f"{words} share memory in a way that loading could not bring back"


def _lies_in(value: object, low: int, high: int) -> bool:
    nothing = CodeReach(frozenset(), frozenset(), False, False)
    seen = snapshot(value, Scope({}, lambda code: nothing, lambda name: False, DEFAULT_LIMIT))
    return any(start < high and low < end for start, end in seen.spans)


# -- dumping -------------------------------------------------------------------------------------


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Takes values apart; what it says of an object goes into the stream, its memory to `memory`."""

    def __init__(self, out: Output, links: Links) -> None:
        super().__init__(cast(BinaryIO, out), protocol=_PROTOCOL, buffer_callback=self._take_buffer)
        self.memory = Memory()
        self.buffers: list[int] = []  # numbers of the pieces that pickle itself asks for, in its order
        self._links = links
        self._holdings = Holdings()
        self._owners: dict[int, object] = {}  # what pickle would copy apart from the arrays that view it
        self._scopes: dict[int, functions.OwnGlobals] = {}
        self._kept: list[object] = []
        self._reducers: dict[type, Callable[[Any], Any]] = {
            np.ndarray: self._reduce_array,
            types.FunctionType: self._reduce_function,
            functions.Cached: functions.reduce_cached,
            types.CellType: functions.reduce_cell,
            types.CodeType: functions.reduce_code,
            functions.OwnGlobals: functions.reduce_globals,
            types.ModuleType: _reduce_module,
            memoryview: _refuse_live,
            io.TextIOWrapper: _refuse_live,
            **dict.fromkeys(functions.VIEWS, functions.reduce_view),
            **dict.fromkeys(map(type, _SENTINELS), _reduce_sentinel),
            types.MappingProxyType: functools.partial(_reduce_proxy, super().reducer_override),
        }

    def let_go(self) -> None:
        """Drop every value: the pickler is part of a cycle, and would keep them until the collector comes by."""
        self.clear_memo()
        self.__dict__.clear()

    def reducer_override(self, obj: Any) -> Any:
        cls = type(obj)
        reducer = self._reducers.get(cls)
        if reducer is None:
            reducer = self._reducers[cls] = self._reducer_for(cls)
        return reducer(obj)

    def _reducer_for(self, cls: type) -> Callable[[Any], Any]:
        lineage = lineage_of(cls)
        if type in lineage:
            return self._reduce_class
        if np.ndarray in lineage:
            return self._note_array
        if tensors.is_tensor_class(cls):
            return self._reduce_tensor
        if tensors.is_generator_class(cls):
            return tensors.reduce_generator
        if types.ModuleType in lineage:
            return _reduce_module
        return self._holdings.reducer(cls) or _by_itself

    # Arrays

    def _reduce_array(self, values: Any) -> Any:
        self._note_owner(values)
        if not arrays.is_plain(values):
            return self._note_array(values)
        number = self.memory.add(arrays.piece_of(values, self._holdings.kind_of(values) or PLAIN))
        return _array, (number, values.dtype, values.shape, values.flags.writeable)

    def _note_array(self, values: Any) -> Any:
        """Leave an array to its class, but know its place: another view of it would come back as a copy."""
        plain = np.ndarray.view(values, np.ndarray)
        if plain.nbytes:
            self.memory.add(arrays.place_of(plain, self._holdings.kind_of(values) or LOOSE))
        return NotImplemented

    def _note_owner(self, values: Any) -> None:
        if values.base is not None and (owner := arrays.copied_owner(values)) is not None:
            self._owners[id(owner)] = owner

    def check_owners(self) -> None:
        """Refuse arrays over a bytearray, or functions on a dict, if that came along as a value of its own too."""
        if self._owners and not self._owners.keys().isdisjoint(self.memo.copy()):
            raise UnstorableError(
                "an array or function shares what it works on with a value that would come back as a copy"
            )

    def _take_buffer(self, buffer: pickle.PickleBuffer) -> bool:
        content = buffer.raw()
        if content.nbytes == 0:
            return True  # into the stream
        self._kept.append(buffer)
        self.buffers.append(self.memory.add(arrays.buffer_piece(content)))
        return False

    def _reduce_tensor(self, tensor: Any) -> Any:
        tensors.check_tensor(tensor)
        number = self.memory.add(tensors.piece_of(tensor.detach())) if tensor.numel() else None
        made = _tensor, (number, *tensors.recipe_of(tensor))
        rest = tensors.rest_of(tensor)
        return made if rest is None else (*made, rest, None, None, tensors.fill_tensor)

    # Code

    def _reduce_function(self, function: types.FunctionType) -> Any:
        if function.__globals__ is not self._links.namespace and super().reducer_override(function) is NotImplemented:
            return NotImplemented  # found by its name
        arguments = function.__code__, self._scope_of(function), function.__name__, function.__closure__
        return _function, arguments, functions.state_of(function), None, None, functions.fill_function

    def _scope_of(self, function: types.FunctionType) -> object:
        """What stands for a function's globals: nothing for the notebook's, a name for a module's."""
        scope = function.__globals__
        if scope is self._links.namespace:
            return None
        if (name := functions.module_of(scope)) is not None:
            return name
        self._owners[id(scope)] = scope  # as a value of its own it would come back as another dict
        return self._scopes.setdefault(id(scope), functions.OwnGlobals(scope))

    def _reduce_class(self, cls: type) -> Any:
        """As cloudpickle does, but always as a new class: it would find one that still lives here and set it back."""
        made = super().reducer_override(cls)
        if type(made) is not tuple or made[0].__name__ not in ("_make_skeleton_class", "_make_skeleton_enum"):
            return made
        maker, (*arguments, _tracked, extra), (members, slots), *rest = made
        members.pop("__slotnames__", None)  # what pickling itself leaves on a class
        members = {name: members[name] for name in sorted(members, key=list(vars(cls)).index)}  # as they were defined
        is_tuple = typing.NamedTuple in members.get("__orig_bases__", ())  # sets its own
        if "__slots__" in members and not is_tuple and maker.__name__ == "_make_skeleton_class":
            # Slots are laid out when a class is made; cloudpickle sets the name afterwards, when it means nothing.
            arguments[-1] = {**arguments[-1], "__slots__": members["__slots__"]}
        return maker, (*arguments, None, extra), (members, slots), *rest


class _LinkingPickler(_Pickler):
    """Refers to objects that live in the notebook; apart, because it is asked for every number and text too."""

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) in _ATOMS:
            return None
        if obj is self._links.namespace:
            return _NAMESPACE
        assert self._links.token_of is not None
        return self._links.token_of(obj)


_NAMESPACE = 0  # no token is a number
_ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None)})  # equal ones are as good

# Values that mean something by being the very object.
_SENTINELS: dict[Any, str] = {
    dataclasses.MISSING: "MISSING",
    dataclasses.KW_ONLY: "KW_ONLY",
    getattr(dataclasses, "_HAS_DEFAULT_FACTORY", None): "_HAS_DEFAULT_FACTORY",
}
_SENTINELS.pop(None, None)


def _reduce_sentinel(obj: Any) -> Any:
    return _SENTINELS.get(obj, NotImplemented)


_NO_METADATA = getattr(dataclasses, "_EMPTY_METADATA", None)  # one for all fields of all dataclasses


def _reduce_proxy(otherwise: Callable[[Any], Any], proxy: Any) -> Any:
    if proxy is _NO_METADATA:
        return _no_metadata, ()
    return otherwise(proxy)


def _no_metadata() -> Any:
    return _NO_METADATA


def _by_itself(obj: Any) -> Any:
    return NotImplemented


def _reduce_module(module: types.ModuleType) -> Any:
    if sys.modules.get(module.__name__) is not module:
        raise UnstorableError(f"module {module.__name__} cannot be imported by its name")
    return NotImplemented


def _refuse_live(obj: Any) -> Any:
    if obj in (sys.__stdout__, sys.__stderr__, sys.__stdin__):
        return NotImplemented
    raise UnstorableError(f"it holds a {type(obj).__name__}, which is tied to something outside of it")


# -- loading -------------------------------------------------------------------------------------


class _Loading:
    """One run of a stream over private memory."""

    def __init__(self, buffer: memoryview, links: Links) -> None:
        if bytes(buffer[: len(_MAGIC)]) != _MAGIC:
            raise ValueError("these bytes were not written by this version's pickle serializer")
        stream_end, table_start = _END.unpack_from(buffer, len(buffer) - _END.size)
        table = json.loads(bytes(buffer[table_start : len(buffer) - _END.size]))
        self._buffer = buffer
        self._links = links
        self._rows: list[Row | None] = table["rows"]
        self._buffers: list[int] = table["buffers"]
        self._stream = buffer[len(_MAGIC) : stream_end]
        self._storages = tensors.Storages(buffer)

    def run(self) -> dict[str, object]:
        unpickler = _Unpickler(io.BytesIO(self._stream), map(self._segment, self._buffers), self._makers(), self._links)
        return cast(dict[str, object], unpickler.load())

    def _makers(self) -> dict[str, Callable[..., Any]]:
        return {"_array": self._array, "_tensor": self._tensor, "_function": self._function}

    def _segment(self, number: int) -> memoryview:
        place, _, _, _ = row = self._row(number)
        return self._buffer[place : row[3]]

    def _row(self, number: int) -> Row:
        row = self._rows[number]
        assert row is not None
        return row

    def _array(self, number: int, dtype: Any, shape: tuple[int, ...], writeable: bool) -> Any:
        place, strides, _, _ = self._row(number)
        values: Any = np.ndarray(shape, dtype, self._buffer, place, strides)
        if not writeable:
            values.flags.writeable = False
        return values

    def _tensor(self, number: int | None, *recipe: Any) -> Any:
        return self._storages.tensor(None if number is None else self._row(number), *recipe)

    def _function(self, code: Any, where: Any, name: str, cells: Any) -> Any:
        scope = self._links.namespace if where is None else where
        if type(where) is str:
            scope = vars(importlib.import_module(where))
        return functions.make_function(code, scope, name, cells)


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, buffers: Any, makers: dict[str, Callable[..., Any]], links: Links) -> None:
        super().__init__(stream, buffers=buffers)
        self._makers = makers
        self._links = links

    def find_class(self, module: str, name: str) -> Any:
        if module == __name__ and name in self._makers:
            return self._makers[name]
        return super().find_class(module, name)

    def persistent_load(self, token: Any) -> Any:
        if token == _NAMESPACE:
            return self._links.namespace
        if self._links.value_of is None:
            raise pickle.UnpicklingError("it refers to an object of the notebook, and there is none")
        return self._links.value_of(token)


def _array(*recipe: Any) -> Any:
    """Stands in the stream for `_Loading._array`, and so on."""
    raise pickle.UnpicklingError("only PickleSerializer.load can read this")


def _tensor(*recipe: Any) -> Any:
    return _array(*recipe)


def _function(*recipe: Any) -> Any:
    return _array(*recipe)
