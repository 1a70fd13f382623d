"""The step that turns an object into a copy of another while it stays the same object: two objects in, one changed.

A cell that changes a list in place leaves other names for that list seeing the change; so must its result from the
cache. Nothing of a user's class is called on the way: content moves through the descriptors of the base classes.
"""

from __future__ import annotations

import _random
import collections
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlmagic._optional import loaded
from mlmagic.cache.serializers import tensors
from mlmagic.fingerprint.classes import dict_getter, lineage_of, native_base, qualname_of, slots_of
from mlmagic.fingerprint.handlers.instances import instance_dict


@dataclass(frozen=True, slots=True)
class _Way:
    """How one kind of object becomes another of its class."""

    become: Callable[[Any, Any], None]
    obstacle: Callable[[Any, Any], str | None] = lambda old, new: None


def obstacle(old: object, new: object) -> str | None:
    """Why `old` could not become `new`, in words; ``None`` where it can. Changes nothing."""
    if old is new:
        return None
    if type(old) is not type(new):
        return f"a {qualname_of(type(old))} cannot become a {qualname_of(type(new))}"
    way = _way_for(type(old))
    if way is None:
        return f"a {qualname_of(type(old))} cannot be changed in place"
    return way.obstacle(old, new)


def become(old: object, new: object) -> None:
    """Give `old` the content of `new`, which is not to be used afterwards: parts of it now belong to `old`.

    Raises
    ------
    TypeError
        Where there is an `obstacle`.
    """
    if old is new:
        return
    if (reason := obstacle(old, new)) is not None:
        raise TypeError(reason)
    way = _way_for(type(old))
    assert way is not None
    way.become(old, new)


def _way_for(cls: type) -> _Way | None:
    """By the class itself where it is known, else by what its instances are made of in C."""
    if (found := _optional_way(cls)) is not None:
        return found
    native = native_base(cls)
    return _INSTANCE if native is None else _CONTAINERS.get(native)


def _optional_way(cls: type) -> _Way | None:
    """The way of a class that NumPy, pandas or torch brought, where they are loaded."""
    if (numpy := loaded("numpy")) is not None:
        if cls is numpy.ndarray:
            return _ARRAY
        if cls is numpy.random.Generator:
            return _GENERATOR
        if cls is numpy.random.RandomState:
            return _RANDOM_STATE
        if numpy.random.BitGenerator in lineage_of(cls):
            return _BIT_GENERATOR
    if (pandas := loaded("pandas")) is not None and not {pandas.DataFrame, pandas.Series}.isdisjoint(lineage_of(cls)):
        return _FRAME
    if (torch := loaded("torch")) is not None and cls in (torch.Tensor, torch.nn.Parameter):
        return _TENSOR
    return None


# -- attributes ----------------------------------------------------------------------------------


def _attributes_obstacle(old: Any, new: Any) -> str | None:
    try:
        getter = dict_getter(type(old))
    except LookupError as error:
        return str(error)
    if getter is not None and not all(type(getter.__get__(obj)) is dict for obj in (old, new)):
        return "its attributes are in no plain dict"
    return None


def _move_attributes(old: Any, new: Any) -> None:
    """Attributes and slots; the dict stays the same, for those who hold it."""
    if (getter := dict_getter(type(old))) is not None:
        attributes = dict(getter.__get__(new))
        kept = getter.__get__(old)
        kept.clear()
        kept.update(attributes)
    for member in _own_slots(type(old)):
        _move_slot(member, old, new)


def _own_slots(cls: type) -> list[Any]:
    """Slots that Python code declared; those of a class in C belong to its content."""
    native = native_base(cls)
    content = lineage_of(native) if native is not None else ()
    return [member for _, member in slots_of(cls) if member.__objclass__ not in content]


def _move_slot(member: Any, old: Any, new: Any) -> None:
    try:
        value = member.__get__(new)
    except AttributeError:  # declared, not set
        try:
            member.__delete__(old)
        except AttributeError:
            pass
    else:
        member.__set__(old, value)


_INSTANCE = _Way(_move_attributes, _attributes_obstacle)


def _with_attributes(
    move: Callable[[Any, Any], None], refuses: Callable[[Any, Any], str | None] = lambda old, new: None
) -> _Way:
    """A way for content in C, extended to subclasses, whose instances have attributes besides."""

    def become_all(old: Any, new: Any) -> None:
        move(old, new)
        _move_attributes(old, new)

    return _Way(become_all, lambda old, new: refuses(old, new) or _attributes_obstacle(old, new))


# -- containers ----------------------------------------------------------------------------------


def _move_list(old: Any, new: Any) -> None:
    list.__setitem__(old, slice(None), list.__getitem__(new, slice(None)))


def _move_dict(old: Any, new: Any) -> None:
    content = dict.copy(new)  # with the hashes, so that no key is asked for its own
    dict.clear(old)
    dict.update(old, content)


def _move_ordered(old: Any, new: Any) -> None:
    base = collections.OrderedDict
    content = [(key, dict.__getitem__(new, key)) for key in base.__iter__(new)]
    base.clear(old)
    for key, value in content:
        base.__setitem__(old, key, value)


def _move_defaultdict(old: Any, new: Any) -> None:
    _move_dict(old, new)
    factory = collections.defaultdict.__dict__["default_factory"]
    factory.__set__(old, factory.__get__(new))


def _move_set(old: Any, new: Any) -> None:
    content = set.copy(new)
    set.clear(old)
    set.update(old, content)


def _move_deque(old: Any, new: Any) -> None:
    content = list(collections.deque.__iter__(new))
    collections.deque.clear(old)
    collections.deque.extend(old, content)


def _deque_obstacle(old: Any, new: Any) -> str | None:
    limit = collections.deque.__dict__["maxlen"]
    return None if limit.__get__(old) == limit.__get__(new) else "a deque keeps its maxlen"


def _move_bytearray(old: Any, new: Any) -> None:
    bytearray.__setitem__(old, slice(None), bytes(memoryview(new)))


def _bytearray_obstacle(old: Any, new: Any) -> str | None:
    if bytearray.__len__(old) == bytearray.__len__(new):
        return None
    try:  # the only way to learn of views is to be refused
        bytearray.append(old, 0)
    except BufferError:
        return "a bytearray that others view keeps its size"
    bytearray.pop(old)
    return None


def _move_random(old: Any, new: Any) -> None:
    _random.Random.setstate(old, _random.Random.getstate(new))


_CONTAINERS: dict[type, _Way] = {
    list: _with_attributes(_move_list),
    dict: _with_attributes(_move_dict),
    collections.OrderedDict: _with_attributes(_move_ordered),
    collections.defaultdict: _with_attributes(_move_defaultdict),
    set: _with_attributes(_move_set),
    collections.deque: _with_attributes(_move_deque, _deque_obstacle),
    bytearray: _with_attributes(_move_bytearray, _bytearray_obstacle),
    _random.Random: _with_attributes(_move_random),
}


# -- NumPy ---------------------------------------------------------------------------------------


def _array_obstacle(old: Any, new: Any) -> str | None:
    if old.shape != new.shape or old.dtype != new.dtype:
        return f"an array of shape {old.shape} and dtype {old.dtype} keeps them"
    return None if old.flags.writeable else "the array is read-only"


def _move_array(old: Any, new: Any) -> None:
    import numpy as np

    np.copyto(old, new)


def _generator_obstacle(old: Any, new: Any) -> str | None:
    one, other = old.bit_generator, new.bit_generator
    return _bits_obstacle(one, other) if type(one) is type(other) else "a generator keeps its kind of bits"


def _move_generator(old: Any, new: Any) -> None:
    _move_bits(old.bit_generator, new.bit_generator)


def _bits_obstacle(old: Any, new: Any) -> str | None:
    one, spawned = _seed_of(old)
    other, wanted = _seed_of(new)
    return None if one == other and spawned <= wanted else "a generator keeps the seed that it spawns others from"


def _seed_of(bits: Any) -> tuple[str, int]:
    """What a bit generator's seed sequence is, and how many others were made from it."""
    state = dict(getattr(bits.seed_seq, "state", {}))
    spawned = state.pop("n_children_spawned", 0)
    return repr(state), spawned


def _move_bits(old: Any, new: Any) -> None:
    if missing := _seed_of(new)[1] - _seed_of(old)[1]:
        old.seed_seq.spawn(missing)  # the count itself cannot be set
    old.state = new.state


def _random_state_obstacle(old: Any, new: Any) -> str | None:
    same = type(old._bit_generator) is type(new._bit_generator)
    return None if same else "a generator keeps its kind of bits"


def _move_random_state(old: Any, new: Any) -> None:
    old.set_state(new.get_state(legacy=False))


_ARRAY = _Way(_move_array, _array_obstacle)
_GENERATOR = _Way(_move_generator, _generator_obstacle)
_RANDOM_STATE = _Way(_move_random_state, _random_state_obstacle)
_BIT_GENERATOR = _Way(_move_bits, _bits_obstacle)


# -- pandas --------------------------------------------------------------------------------------


def _move_frame(old: Any, new: Any) -> None:
    """What the frame consists of; its ``attrs`` and ``flags`` stay the same objects, for those who hold them."""
    kept, given = instance_dict(old), dict(instance_dict(new))
    attrs, flags = kept.get("_attrs"), kept.get("_flags")
    kept.clear()
    kept.update(given)
    if type(attrs) is dict and type(given.get("_attrs")) is dict:
        _move_dict(attrs, given["_attrs"])
        kept["_attrs"] = attrs
    if flags is not None:  # it knows the frame it belongs to
        flags._allows_duplicate_labels = given["_flags"]._allows_duplicate_labels
        kept["_flags"] = flags


_FRAME = _Way(_move_frame, _attributes_obstacle)


# -- PyTorch -------------------------------------------------------------------------------------


def _tensor_obstacle(old: Any, new: Any) -> str | None:
    if (reason := tensors.obstacle(old) or tensors.obstacle(new)) is not None:
        return f"a tensor cannot be changed: {reason}"
    if old.shape != new.shape or old.dtype != new.dtype:
        return f"a tensor of shape {tuple(old.shape)} and dtype {old.dtype} keeps them"
    if any(size > 1 and stride == 0 for size, stride in zip(old.shape, old.stride(), strict=True)):
        return "the tensor's elements share memory"
    return "the tensor was made for inference only" if old.is_inference() else None


def _move_tensor(old: Any, new: Any) -> None:
    import torch

    with torch.no_grad():
        old.copy_(new)
        if old.grad is not None and new.grad is not None:
            old.grad.copy_(new.grad)
        else:
            old.grad = new.grad
    if old.requires_grad != new.requires_grad:
        old.requires_grad_(new.requires_grad)
    attributes = dict(new.__dict__)
    old.__dict__.clear()
    old.__dict__.update(attributes)


_TENSOR = _Way(_move_tensor, _tensor_obstacle)
