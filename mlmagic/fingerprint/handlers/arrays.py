"""NumPy arrays, scalars, dtypes and random generators: bytes as they lie, at memory speed."""

from __future__ import annotations

from typing import Any

from mlmagic.fingerprint.handlers.code import is_users
from mlmagic.fingerprint.handlers.instances import instance_dict
from mlmagic.fingerprint.walk import Walk, handles

_BLOCK = 1 << 20  # bytes copied at a time where an array is not contiguous


@handles("numpy.ndarray")
def write_ndarray(obj: Any, walk: Walk) -> None:
    walk.packages.add("numpy")
    walk.changeable(obj)
    import numpy as np

    if type(obj) is not np.ndarray:
        _write_subclass(obj, walk)
    walk.token("ndarray", *dtype_token(obj.dtype), obj.shape)
    plain = obj.view(np.ndarray) if type(obj) is not np.ndarray else obj
    if obj.dtype.hasobject:
        walk.children([plain.ravel().tolist()])
    else:
        walk.span(*np.lib.array_utils.byte_bounds(plain))
        write_plain(plain, walk)


def _write_subclass(obj: Any, walk: Walk) -> None:
    cls = type(obj)
    if is_users(cls.__module__):
        walk.children([cls])
    walk.token("subclass", cls.__module__, cls.__qualname__)
    attributes = instance_dict(obj)
    kept = {name: attributes[name] for name in sorted(attributes) if name not in ("_mmap", "_optinfo", "_basedict")}
    walk.children([kept])


def dtype_token(dtype: Any) -> tuple[Any, ...]:
    """What tells two dtypes apart: byte order, width, unit, and the fields of structures."""
    return (dtype.str, repr(dtype.descr) if dtype.names else None)


def write_plain(array: Any, walk: Walk) -> None:
    """Write an array without objects in C order, whatever its strides; bounded copies only."""
    import numpy as np

    if array.size == 0:
        return
    if array.flags.c_contiguous:
        walk.memory(array.reshape(-1).view(np.uint8), array.nbytes)
        return
    walk.token("memory", array.nbytes)
    walk._flush()
    rows = max(1, _BLOCK // max(1, array.nbytes // len(array)))
    for start in range(0, len(array), rows):
        block = np.ascontiguousarray(array[start : start + rows])
        walk._hash.update(block.reshape(-1).view(np.uint8))


@handles("numpy.generic", value=True)
def write_generic(obj: Any, walk: Walk) -> None:
    if obj.dtype.hasobject:
        walk.opaque(obj)
        return
    walk.token("numpy scalar", *dtype_token(obj.dtype), obj.tobytes())


@handles("numpy.dtype", value=True)
def write_dtype(obj: Any, walk: Walk) -> None:
    walk.token("dtype", *dtype_token(obj), repr(obj))


@handles("numpy.random._generator.Generator")
def write_generator(obj: Any, walk: Walk) -> None:
    walk.packages.add("numpy")
    walk.changeable(obj)
    walk.token("generator")
    walk.children([obj.bit_generator])


@handles("numpy.random.bit_generator.BitGenerator")
def write_bit_generator(obj: Any, walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("bit generator")
    walk.children([obj.state])


@handles("numpy.random.mtrand.RandomState")
def write_random_state(obj: Any, walk: Walk) -> None:
    walk.changeable(obj)
    walk.ids.add(id(obj._bit_generator))
    walk.token("random state")
    walk.children([obj.get_state(legacy=False)])
