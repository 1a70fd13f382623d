"""NumPy arrays, scalars, dtypes and random generators: bytes as they lie, at memory speed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xxhash import xxh3_64_intdigest

from mlmagic.fingerprint.classes import module_of, package_of, qualname_of
from mlmagic.fingerprint.handlers.code import is_users
from mlmagic.fingerprint.handlers.instances import instance_dict
from mlmagic.fingerprint.registry import handles
from mlmagic.fingerprint.walk import Parts, Walk, fields

_BLOCK = 1 << 20  # bytes copied at a time where an array is not contiguous
_X87_BYTES = 10  # of an 80-bit float's 16; the others are never written

# What array classes keep for themselves: the file and its handle, where a mask came from, what an array was made of.
_HOUSEKEEPING = frozenset({"filename", "_mmap", "_optinfo", "_basedict", "_sharedmask", "_isfield"})


@handles("numpy.ndarray")
def write_ndarray(obj: Any, walk: Walk) -> None:
    import numpy as np

    walk.packages.add("numpy")
    walk.changeable(obj)
    plain = obj if type(obj) is np.ndarray else np.ndarray.view(obj, np.ndarray)
    walk.token("ndarray", dtype_token(plain.dtype), plain.shape)
    _note_memory(plain, walk)
    if type(obj) is not np.ndarray:
        _write_subclass(obj, plain.dtype, walk)
    if plain.dtype.metadata:
        walk.children([fields(plain.dtype.metadata)])
    write_elements(plain, walk)


def _note_memory(plain: Any, walk: Walk) -> None:
    """The bytes viewed, and whoever else owns them: a bytearray, a memory map, an Arrow buffer."""
    import numpy as np

    if plain.size:
        walk.span(*np.lib.array_utils.byte_bounds(plain), plain=True)
        if not plain.flags.c_contiguous:
            walk.orders.append((len(walk.views), *plain.strides))
    owner = plain.base
    while owner is not None:
        if issubclass(type(owner), np.ndarray):
            owner = np.ndarray.base.__get__(owner)
        else:
            walk.changeable(owner)
            owner = owner.obj if type(owner) is memoryview else None


def _write_subclass(obj: Any, dtype: Any, walk: Walk) -> None:
    cls = type(obj)
    walk.token("subclass", module_of(cls), qualname_of(cls))
    attributes = instance_dict(obj)
    walk.changeable(attributes)
    kept = {name: attributes[name] for name in sorted(attributes) if name not in _HOUSEKEEPING}
    if "_fill_value" in kept:
        kept["_fill_value"] = _fill_value(dtype, kept["_fill_value"])
    if attributes.get("filename") is not None and attributes.get("mode") != "c":
        # Two maps of one file show each other's changes; where the file lies is not content.
        walk.ids.add(-xxh3_64_intdigest(str(attributes["filename"]).encode()))
    walk.children([cls if is_users(module_of(cls)) else None, fields(kept)])


def _fill_value(dtype: Any, value: Any) -> Any:
    """A masked array's filler: looking at it sets the default, so the default stands for none."""
    import numpy as np

    default = np.ma.default_fill_value(dtype)
    found = default if value is None else value
    if dtype.hasobject:  # kept as an array of text or of objects, by the way it came about
        return Parts(np.asarray(found, object).ravel().tolist())
    return Parts([np.asarray(found, dtype).tobytes()])


def dtype_token(dtype: Any) -> tuple[Any, ...]:
    """What tells two dtypes apart: byte order, width, unit, and the fields of structures."""
    if dtype.names is not None:
        parts = tuple((name, *dtype_token(dtype.fields[name][0]), *dtype.fields[name][1:]) for name in dtype.names)
        return ("struct", dtype.type.__qualname__, dtype.itemsize, dtype.isalignedstruct, parts)
    if dtype.subdtype is not None:
        return ("sub", dtype_token(dtype.subdtype[0]), dtype.subdtype[1])
    if dtype.kind == "T":
        return ("text", dtype.coerce, repr(getattr(dtype, "na_object", "")))
    return (dtype.str,)


def write_elements(array: Any, walk: Walk) -> None:
    """Write a plain array's elements in C order, whatever its strides; bounded copies only."""
    dtype = array.dtype
    if dtype.names is not None and not _is_packed(dtype):
        for name in dtype.names:  # what lies between the fields is junk
            write_elements(array[name], walk)
    elif dtype.hasobject:
        walk.children([Parts(array.ravel().tolist())])
    elif dtype.char in "gG" and dtype.itemsize in (16, 32):
        _write_long_doubles(array, walk)
    else:
        write_plain(array, walk)


def _is_packed(dtype: Any) -> bool:
    """Whether every byte of a structure belongs to exactly one field that has no junk inside."""
    kinds = [dtype.fields[name][0] for name in dtype.names]
    if dtype.hasobject or sum(kind.itemsize for kind in kinds) != dtype.itemsize:
        return False
    return all(kind.base.names is None and kind.base.char not in "gG" for kind in kinds)


def write_plain(array: Any, walk: Walk) -> None:
    """Write an array of plain bytes."""
    import numpy as np

    walk.token("memory", array.nbytes)
    if array.nbytes == 0:
        return
    if array.flags.c_contiguous:
        walk.raw(array.reshape(-1).view(np.uint8))
        return
    for block in blocks(array):
        walk.raw(block.view(np.uint8))


def _write_long_doubles(array: Any, walk: Walk) -> None:
    import numpy as np

    significant = _X87_BYTES if np.finfo(np.longdouble).nmant == 63 else 16
    walk.token("long doubles", array.size)
    for block in blocks(array):
        walk.raw(np.ascontiguousarray(block.view(np.uint8).reshape(-1, 16)[:, :significant]))


def blocks(array: Any) -> Iterator[Any]:
    """The elements in C order, as flat contiguous pieces of about a megabyte."""
    import numpy as np

    if array.nbytes <= _BLOCK or array.ndim == 0:
        yield np.ascontiguousarray(array).reshape(-1)
        return
    size = array.nbytes // len(array)
    if size > _BLOCK:
        for row in array:
            yield from blocks(row)
        return
    rows = max(1, _BLOCK // max(1, size))
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows]).reshape(-1)


@handles("numpy.generic", value=True)
def write_generic(obj: Any, walk: Walk) -> None:
    if is_users(module_of(type(obj))) or obj.dtype.hasobject:
        walk.opaque(obj)
        return
    walk.packages.add(package_of(type(obj)))
    content = obj.tobytes()
    if obj.dtype.char in "gG":
        content = repr(obj).encode()  # its bytes have junk between them
    walk.token("numpy scalar", dtype_token(obj.dtype), content)


@handles("numpy.void")
def write_void(obj: Any, walk: Walk) -> None:
    """A structure's row: a view that writes through."""
    import numpy as np

    walk.changeable(obj)
    array = np.asarray(obj)
    walk.token("void", dtype_token(array.dtype))
    for owner in (obj.base, array):
        if isinstance(owner, np.ndarray):
            _note_memory(owner, walk)
    write_elements(array, walk)


@handles("numpy.dtype", value=True)
def write_dtype(obj: Any, walk: Walk) -> None:
    walk.token("dtype", dtype_token(obj))
    walk.children([fields(obj.metadata or {})])


@handles("numpy.random._generator.Generator")
def write_generator(obj: Any, walk: Walk) -> None:
    walk.packages.add("numpy")
    walk.changeable(obj)
    walk.token("generator")
    walk.children([obj.bit_generator])


@handles("numpy.random.bit_generator.BitGenerator")
def write_bit_generator(obj: Any, walk: Walk) -> None:
    walk.packages.add("numpy")
    walk.changeable(obj)
    walk.token("bit generator")
    walk.copied(obj.state)
    walk.children([obj.seed_seq])


@handles("numpy.random.bit_generator.SeedSequence")
def write_seed_sequence(obj: Any, walk: Walk) -> None:
    walk.packages.add("numpy")
    walk.changeable(obj)
    walk.token("seed sequence")
    walk.copied(obj.state)


@handles("numpy.random.mtrand.RandomState")
def write_random_state(obj: Any, walk: Walk) -> None:
    walk.packages.add("numpy")
    walk.changeable(obj)
    walk.ids.add(id(obj._bit_generator))
    walk.token("random state")
    walk.copied(obj.get_state(legacy=False))
