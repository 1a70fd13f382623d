"""Everything that values hold, as lines of text: an account that shares no code with fingerprints or recorders.

Objects are told by the path on which they were first met, so two accounts are equal only where the same names
lead to the same objects. Arrays also tell whose memory they look at, and at which distance.
"""

from __future__ import annotations

import collections
import enum
import functools
import hashlib
import io
import os
import pathlib
import random
import re
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

Line = tuple[str, str]  # path from a name of the notebook, what is there

_SCALARS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), range, slice)
_TOLD = (np.generic, np.dtype, pd.Timestamp, pd.Timedelta, pd.Period, re.Pattern, pathlib.PurePath)
_METHODS = (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)
_MISSING = (type(pd.NA), type(pd.NaT))
_SYSTEM = frozenset({"__dict__", "__weakref__", "__doc__", "__module__", "__slotnames__", "_abc_impl"})
_SHELLS_OWN = frozenset({"__builtins__", "__builtin__", "get_ipython", "exit", "quit", "open", "__warningregistry__"})
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


def without_addresses(text: str) -> str:
    return _ADDRESS.sub("0x", text)


def account(namespace: Mapping[str, Any], but: Callable[[str], bool] = lambda name: False) -> list[Line]:
    """What all names of a notebook refer to, IPython's `Out`, `_`, `In` among them; without names that are `but`."""
    made, limit = Account(namespace), sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        for name in users_names(namespace):
            if not but(name):
                made.tell(name, namespace[name])
    finally:
        sys.setrecursionlimit(limit)
    return [*made.lines, *made.shared_memory()]


def users_names(namespace: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in namespace if name not in _SHELLS_OWN)


def first_difference(one: list[Line], other: list[Line]) -> str | None:
    """Where two accounts part, in one line."""
    if one == other:
        return None
    left, right = dict(one), dict(other)
    for path in [*left, *right]:
        if left.get(path) != right.get(path):
            return f"{path}: {left.get(path, 'nothing')} | {right.get(path, 'nothing')}"
    return "the same lines in another order"


class Account:
    """One walk over the values of a notebook."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.lines: list[Line] = []
        self._namespace = namespace
        self._seen: dict[int, str] = {}
        self._kept: list[Any] = []  # an identity is that of a living object only
        self._arrays: list[tuple[str, np.ndarray[Any, Any], bool]] = []  # path, memory, whether a table's

    def tell(self, path: str, value: Any) -> None:
        kind = type(value)
        if kind in _SCALARS or kind in _MISSING:
            self._line(path, f"{kind.__name__} {value!r}")
        elif isinstance(value, _TOLD):
            self._line(path, f"{kind.__name__} {getattr(value, 'dtype', '')} {value!r}")
        elif isinstance(value, (tuple, frozenset, types.CodeType)):  # one or two: nobody can tell by changing it
            self._parts(path, value)
        elif _is_installed(value):
            self._line(path, f"{kind.__name__} {_full_name(value)}")
        elif id(value) in self._seen:
            self._line(path, f"is {self._seen[id(value)]}")
        else:
            self._seen[id(value)] = path
            self._kept.append(value)
            self._parts(path, value)

    def _line(self, path: str, text: str) -> None:
        self.lines.append((path, text))

    def _parts(self, path: str, value: Any) -> None:
        for known, tell in _FAMILIES:
            if isinstance(value, known):
                return tell(self, path, value)
        if type(value).__module__.partition(".")[0] == "torch":
            return self._tensor(path, value)
        if hasattr(value, "__next__") and _is_installed(type(value)):
            return self._iterator(path, value)
        return self._instance(path, value)

    def _all(self, path: str, parts: Mapping[Any, Any]) -> None:
        for name, part in parts.items():
            self.tell(f"{path}.{name}", part)

    # -- containers --------------------------------------------------------------------------

    def _sequence(self, path: str, value: Any) -> None:
        self._line(path, f"{_full_name(type(value))} of {len(value)}, at most {getattr(value, 'maxlen', None)}")
        for number, part in enumerate(value):
            self.tell(f"{path}[{number}]", part)
        self._attributes(path, value)

    def _mapping(self, path: str, value: Any) -> None:
        if value is self._namespace:
            self._line(path, "the notebook's namespace")
            return
        self._line(path, f"{_full_name(type(value))} of {len(value)}")
        self.tell(f"{path}.default", getattr(value, "default_factory", None))
        for number, (key, part) in enumerate(value.items()):
            name = repr(key) if type(key) in _SCALARS else f"#{number}"
            self.tell(f"{path}.key{number}", key)
            self.tell(f"{path}[{name}]", part)
        self._attributes(path, value)

    def _set(self, path: str, value: Any) -> None:
        parts = sorted(without_addresses(repr(part)) for part in value)
        self._line(path, f"{_full_name(type(value))} {parts}")
        instances = [part for part in value if type(part) not in _SCALARS and type(part) is not tuple]
        for number, part in enumerate(sorted(instances, key=lambda part: without_addresses(repr(part)))):
            self.tell(f"{path}.{number}", part)

    def _buffer(self, path: str, value: Any) -> None:
        self._line(path, f"{type(value).__name__} {bytes(value)!r}")

    # -- code --------------------------------------------------------------------------------

    def _function(self, path: str, value: types.FunctionType) -> None:
        self._line(path, f"function {value.__module__}.{value.__qualname__}, names of {self._whose(value)}")
        self.tell(f"{path}.code", value.__code__)
        defaults = [*(value.__defaults__ or ()), "then", *(value.__kwdefaults__ or {}).items()]
        self.tell(f"{path}.defaults", tuple(defaults))
        self.tell(f"{path}.closure", value.__closure__ or ())
        self.tell(f"{path}.annotations", tuple(value.__annotations__.items()))
        self._line(f"{path}.doc", repr(value.__doc__))
        self._all(path, vars(value))

    def _whose(self, value: types.FunctionType) -> str:
        if value.__globals__ is self._namespace:
            return "the notebook"
        owner = sys.modules.get(value.__module__)
        return "its module" if owner is not None and value.__globals__ is vars(owner) else "nobody alive"

    def _code(self, path: str, value: types.CodeType) -> None:
        names = value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars, value.co_argcount
        self._line(path, f"code {value.co_name} {names} {value.co_flags} {value.co_code.hex()}")
        self.tell(f"{path}.constants", value.co_consts)

    def _cell(self, path: str, value: types.CellType) -> None:
        try:
            content = value.cell_contents
        except ValueError:
            self._line(path, "an empty cell")
        else:
            self._line(path, "cell")
            self.tell(f"{path}.content", content)

    def _method(self, path: str, value: Any) -> None:
        self._line(path, f"{type(value).__name__} {value.__name__}")
        self.tell(f"{path}.of", value.__self__)
        self.tell(f"{path}.function", getattr(value, "__func__", None))

    def _wrapper(self, path: str, value: Any) -> None:
        self._line(path, type(value).__name__)
        for name in ("__func__", "fget", "fset", "func", "args", "keywords", "__wrapped__"):
            self.tell(f"{path}.{name}", getattr(value, name, None))
        if hasattr(value, "cache_info"):
            self._line(f"{path}.kept", str(value.cache_info()))

    def _class(self, path: str, value: type) -> None:
        self._line(path, f"{type(value).__name__} {_full_name(value)}")
        self.tell(f"{path}.bases", value.__bases__)
        members = {name: part for name, part in vars(value).items() if name not in _SYSTEM}
        # Where slots are made before the other members, theirs is another place among them, and nothing else.
        order = sorted if "__slots__" in members else list
        self._line(f"{path}.members", str(order(members)))
        self._all(path, {name: part for name, part in members.items() if not isinstance(part, _DESCRIPTORS)})

    def _module(self, path: str, value: types.ModuleType) -> None:
        self._line(path, f"module {value.__name__}")
        names = {name: part for name, part in vars(value).items() if not re.fullmatch("__.*__", name)}
        self._all(path, dict(sorted(names.items())))

    # -- numbers and tables ------------------------------------------------------------------

    def _array(self, path: str, value: np.ndarray[Any, Any]) -> None:
        kind = "" if type(value) is np.ndarray else _full_name(type(value))
        flags = value.flags
        order = "C" * flags.c_contiguous + "F" * flags.f_contiguous + "W" * flags.writeable
        self._line(
            path, f"array {kind} {value.dtype.str}{value.dtype.names or ''} {value.shape} {order} {_digest(value)}"
        )
        if value.dtype.hasobject:
            for number, part in enumerate(value.ravel().tolist()):
                self.tell(f"{path}[{number}]", part)
        if isinstance(value, np.ma.MaskedArray):
            self.tell(f"{path}.mask", np.asarray(value.mask))
        self._arrays.append((path, value, False))

    def _frame(self, path: str, value: pd.DataFrame) -> None:
        self._line(path, f"{_full_name(type(value))} {value.shape} {value.flags}")
        self._index(f"{path}.columns", value.columns)
        self._index(f"{path}.index", value.index)
        for number in range(value.shape[1]):
            self._column(f"{path}[{number}]", value.iloc[:, number].array)
        self.tell(f"{path}.attrs", dict(value.attrs))
        self._added(path, value)

    def _series(self, path: str, value: pd.Series) -> None:
        self._line(path, f"{_full_name(type(value))} {value.shape} named {value.name!r}")
        self._index(f"{path}.index", value.index)
        self._column(f"{path}[:]", value.array)
        self.tell(f"{path}.attrs", dict(value.attrs))
        self._added(path, value)

    def _index(self, path: str, value: pd.Index) -> None:
        names, frequency = list(value.names), getattr(value, "freq", None)
        self._line(path, f"{type(value).__name__} {names} {value.dtype} {frequency} {list(map(repr, value))}")

    def _column(self, path: str, values: Any) -> None:
        plain = values.to_numpy() if type(values).__name__ == "NumpyExtensionArray" else None
        if plain is None or plain.dtype.hasobject:
            more = list(map(repr, values.categories)) if hasattr(values, "categories") else ""
            self._line(path, f"{type(values).__name__} {values.dtype!r} {more}")
            for number, part in enumerate(values):
                self.tell(f"{path}[{number}]", part)
        else:
            self._line(path, f"column {plain.dtype.str} {_digest(plain)}")
            self._arrays.append((path, plain, True))

    def _added(self, path: str, value: Any) -> None:
        """Attributes that a program set on an object of pandas."""
        self._all(path, {name: part for name, part in sorted(vars(value).items()) if name[0] != "_"})

    def _tensor(self, path: str, value: Any) -> None:
        if not hasattr(value, "requires_grad"):
            return self._instance(path, value)
        content = value.detach().cpu()
        self._line(path, f"{type(value).__name__} {value.dtype} {value.device} {value.requires_grad} {value.stride()}")
        return self._array(f"{path}.data", content.numpy())

    def _random(self, path: str, value: Any) -> None:
        state = value.getstate() if isinstance(value, random.Random) else value.state
        self._line(path, f"{_full_name(type(value))} {hashlib.sha1(repr(state).encode()).hexdigest()}")

    def _generator_of_numbers(self, path: str, value: Any) -> None:
        bits = value.bit_generator if isinstance(value, np.random.Generator) else value._bit_generator
        self._line(path, _full_name(type(value)))
        self.tell(f"{path}.bits", bits)

    def shared_memory(self) -> Iterator[Line]:
        """Pairs of arrays that look at the same memory; tables among themselves are copied on write."""
        for number, (path, array, _) in enumerate(self._arrays):
            for other, another, is_table in self._arrays[number + 1 :]:
                if (is_table and self._arrays[number][2]) or not array.size or not another.size:
                    continue
                if np.may_share_memory(array, another) and np.shares_memory(array, another):
                    apart = another.__array_interface__["data"][0] - array.__array_interface__["data"][0]
                    yield f"{path} & {other}", f"share memory, {apart} bytes apart"

    # -- what has a life ---------------------------------------------------------------------

    def _generator(self, path: str, value: types.GeneratorType[Any, Any, Any]) -> None:
        frame = value.gi_frame
        self._line(path, f"generator {value.__qualname__} at {frame.f_lasti if frame else 'its end'}")
        self.tell(f"{path}.code", value.gi_code)
        if frame is not None:
            self._all(path, dict(frame.f_locals))

    def _iterator(self, path: str, value: Any) -> None:
        self._line(path, type(value).__name__)
        try:
            rest = value.__reduce__()
        except TypeError:
            return
        self.tell(f"{path}.rest", tuple(part for part in rest if part is not value))

    def _file(self, path: str, value: Any) -> None:
        place = "" if value.closed or value.writable() else value.tell()
        name = os.path.basename(str(getattr(value, "name", "")))
        self._line(path, f"{type(value).__name__} {name} {getattr(value, 'mode', '')} {value.closed} {place}")

    def _text_in_memory(self, path: str, value: Any) -> None:
        told = "closed" if value.closed else f"{value.getvalue()!r} at {value.tell()}"
        self._line(path, f"{type(value).__name__} {told}")

    def _thread(self, path: str, value: threading.Thread) -> None:
        self._line(path, f"thread {'alive' if value.is_alive() else 'ended'}")

    def _reference(self, path: str, value: weakref.ref[Any]) -> None:
        self._line(path, "weak reference")
        self.tell(f"{path}.to", value())

    def _exception(self, path: str, value: BaseException) -> None:
        self._line(path, f"{_full_name(type(value))}")
        self.tell(f"{path}.args", value.args)
        self._all(path, vars(value))

    def _member(self, path: str, value: enum.Enum) -> None:
        self._line(path, f"{_full_name(type(value))}.{value.name}")
        self.tell(f"{path}.class", type(value))
        self.tell(f"{path}.value", value.value)

    def _instance(self, path: str, value: Any) -> None:
        self._line(path, f"an object of {_full_name(type(value))}")
        self._attributes(path, value)

    def _attributes(self, path: str, value: Any) -> None:
        if not _is_installed(type(value)):
            self.tell(f"{path}.class", type(value))
        self._all(path, getattr(value, "__dict__", {}))
        for kind in type(value).__mro__:
            slots = vars(kind).get("__slots__", ()) if not _is_installed(kind) else ()
            for name in (slots,) if isinstance(slots, str) else slots:
                self.tell(f"{path}.{name}", getattr(value, name, "unset"))


_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType)

# The first family that fits tells the parts. Subclasses stand before what they derive from.
_FAMILIES: list[tuple[Any, Callable[[Account, str, Any], None]]] = [
    (enum.Enum, Account._member),
    (tuple, Account._sequence),
    (list, Account._sequence),
    (collections.deque, Account._sequence),
    ((dict, types.MappingProxyType), Account._mapping),
    ((set, frozenset), Account._set),
    ((bytearray, memoryview), Account._buffer),
    (types.FunctionType, Account._function),
    (types.CodeType, Account._code),
    (types.CellType, Account._cell),
    (_METHODS, Account._method),
    ((staticmethod, classmethod, property, functools.partial, functools._lru_cache_wrapper), Account._wrapper),
    (type, Account._class),
    (types.ModuleType, Account._module),
    (np.ndarray, Account._array),
    (pd.DataFrame, Account._frame),
    (pd.Series, Account._series),
    (pd.Index, Account._index),
    ((random.Random, np.random.BitGenerator, np.random.SeedSequence), Account._random),
    ((np.random.Generator, np.random.RandomState), Account._generator_of_numbers),
    (types.GeneratorType, Account._generator),
    ((io.StringIO, io.BytesIO), Account._text_in_memory),
    (io.IOBase, Account._file),
    (threading.Thread, Account._thread),
    (weakref.ref, Account._reference),
    (BaseException, Account._exception),
]


def _digest(value: np.ndarray[Any, Any]) -> str:
    if value.dtype.hasobject:
        return ""
    few = str(np.asarray(value).ravel()[:4].tolist())
    return f"{few[:60]} {hashlib.sha1(np.asarray(value).tobytes()).hexdigest()[:12]}"


def _is_installed(value: Any) -> bool:
    """Whether this is code of an installed package, or of Python: the same in every run, told by its name."""
    if isinstance(value, types.ModuleType):
        return not _is_of_the_project(value)
    if not isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType, np.ufunc)):
        return False
    if isinstance(value, types.BuiltinFunctionType) and not isinstance(value.__self__, (types.ModuleType, type(None))):
        return False
    name = getattr(value, "__module__", None) or "builtins"
    return name != "__main__" and not _is_of_the_project(sys.modules.get(name))


def _is_of_the_project(module: types.ModuleType | None) -> bool:
    if module is None:
        return True
    if module.__name__ == "__main__":
        return True
    where = getattr(module, "__file__", None)
    return where is not None and "site-packages" not in where and where.startswith(os.getcwd() + os.sep)


def _full_name(value: Any) -> str:
    name = getattr(value, "__qualname__", getattr(value, "__name__", type(value).__name__))
    return f"{getattr(value, '__module__', '')}.{name}"
