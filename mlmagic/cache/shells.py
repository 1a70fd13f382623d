"""An object's content without its identity: what is kept of an object that a cell changed in place.

The cell's other results refer to the object itself, which exists before the cell and after it; only its content is
new. So the content travels in a shell, an object of the same kind with the same parts, and goes back into the
object that is there then (`inplace.become`).
"""

from __future__ import annotations

import collections
import copy
import ctypes
import random
from collections.abc import Callable, Mapping
from typing import Any

from mlmagic._optional import loaded
from mlmagic.cache.serializers import UnstorableError
from mlmagic.fingerprint.classes import dict_getter, lineage_of, module_of, native_base, qualname_of, slots_of
from mlmagic.fingerprint.snapshot import merge_spans

_PLAIN: dict[type, Callable[[Any], Any]] = {
    list: list,
    dict: dict,
    set: set,
    bytearray: bytearray,
    collections.deque: lambda obj: collections.deque(obj, obj.maxlen),
    collections.OrderedDict: collections.OrderedDict,
    collections.Counter: collections.Counter,
    collections.defaultdict: lambda obj: collections.defaultdict(obj.default_factory, obj),
    random.Random: copy.copy,
}
_NAMED: dict[str, Callable[[Any], Any]] = {
    "numpy.ndarray": lambda obj: obj.view(),
    "numpy.random._generator.Generator": copy.copy,
    "numpy.random.mtrand.RandomState": copy.copy,
    "pandas.DataFrame": lambda obj: obj.copy(deep=False),
    "pandas.core.frame.DataFrame": lambda obj: obj.copy(deep=False),
    "pandas.Series": lambda obj: obj.copy(deep=False),
    "pandas.core.series.Series": lambda obj: obj.copy(deep=False),
    "torch.Tensor": lambda obj: _tensor(obj),
    "torch._tensor.Tensor": lambda obj: _tensor(obj),
}


def shell(obj: Any) -> Any:
    """A new object of the same kind that holds the very same parts.

    Raises
    ------
    UnstorableError
        The kind holds what Python cannot see.
    """
    cls = type(obj)
    if cls in _PLAIN:
        return _PLAIN[cls](obj)
    for base in lineage_of(cls):
        found = _NAMED.get(f"{module_of(base)}.{qualname_of(base)}")
        if found is not None:
            return found(obj)
    return _instance(obj, cls)


def stand_ins(values: Mapping[str, Any]) -> dict[str, Any]:
    """Objects that can take new content in the place of these, which nothing written to them reaches.

    One for all names of an object; arrays that share memory have stand-ins that share memory.
    """
    made = {id(value): _stand_in(value) for value in values.values()}
    arrays = {id(value): value for value in values.values() if is_plain_array(value)}
    made |= _copied_together(arrays)
    return {name: made[id(value)] for name, value in values.items()}


def _stand_in(obj: Any) -> Any:
    found = shell(obj)
    numpy, torch = loaded("numpy"), loaded("torch")
    if numpy is not None and isinstance(obj, numpy.ndarray):
        return obj.copy(order="K")
    if torch is not None and isinstance(obj, torch.Tensor):
        found.data = obj.detach().clone()
        found.grad = None if obj.grad is None else obj.grad.clone()
    return found


def is_plain_array(obj: Any) -> bool:
    """Whether all content lies in memory that new content can be written to."""
    numpy: Any = loaded("numpy")
    return numpy is not None and type(obj) is numpy.ndarray and not obj.dtype.hasobject and obj.size > 0


def _copied_together(arrays: Mapping[int, Any]) -> dict[int, Any]:
    """Copies of arrays that lie to each other as these do: all memory that some of them span is copied once."""
    numpy: Any = loaded("numpy")
    bounds = {key: numpy.lib.array_utils.byte_bounds(array) for key, array in arrays.items()}
    made = {}
    for low, high in merge_spans(list(bounds.values())):
        memory = bytearray(ctypes.string_at(low, high - low))
        for key, array in arrays.items():
            if low <= bounds[key][0] < high:
                offset = array.__array_interface__["data"][0] - low
                made[key] = numpy.ndarray(array.shape, array.dtype, memory, offset, array.strides)
    return made


def _instance(obj: Any, cls: type) -> Any:
    made: Any
    native: Any = native_base(cls)
    refusal = f"it changes a {qualname_of(cls)} in place, whose content cannot be set from outside"
    if native in (list, dict, set):
        made = native.__new__(cls)
        fill: Any = {list: list.extend, dict: dict.update, set: set.update}[native]
        fill(made, obj)
    elif native is None and cls is not object and not issubclass(cls, type):
        try:
            made = object.__new__(cls)
        except TypeError:  # only its own `__new__` may make one
            raise UnstorableError(refusal) from None
    else:
        raise UnstorableError(refusal)
    getter = dict_getter(cls)
    if getter is not None:
        getter.__get__(made).update(getter.__get__(obj))
    for name, member in slots_of(cls):
        if name not in ("__weakref__", "__dict__"):
            try:
                member.__set__(made, member.__get__(obj))
            except AttributeError:  # declared, not set
                continue
    return made


def _tensor(obj: Any) -> Any:
    torch: Any = loaded("torch")
    if type(obj) is torch.nn.Parameter:
        made = torch.nn.Parameter(obj.detach(), obj.requires_grad)
    elif type(obj) is torch.Tensor and obj.is_leaf:
        made = obj.detach().requires_grad_(obj.requires_grad)
    else:
        raise UnstorableError("it changes a tensor in place that is the result of others")
    made.grad = obj.grad
    return made
