"""pandas and polars: column by column, from the buffers they already have."""

from __future__ import annotations

from typing import Any

from xxhash import xxh3_128

from mlmagic.fingerprint.classes import module_of, qualname_of
from mlmagic.fingerprint.handlers.arrays import blocks, dtype_token, write_elements
from mlmagic.fingerprint.handlers.arrow import note_memory, write_chunks
from mlmagic.fingerprint.handlers.code import is_users
from mlmagic.fingerprint.handlers.instances import instance_dict, write_attributes, write_packaged
from mlmagic.fingerprint.registry import handles
from mlmagic.fingerprint.walk import Parts, Walk, fields

# Attributes by which pandas keeps house; anything else in the instance's dict was set by the user.
_FRAME_PARTS = frozenset({"_mgr", "_attrs", "_flags", "_name", "_item_cache", "_is_copy", "_typ"})
_INDEX_PARTS = frozenset(
    "_data _range _name _names _levels _codes sortorder _cache _id _references _no_setting_name".split()
)
_TRANSPOSED = 1 << 20  # bytes hashed at a time where columns lie row by row


class Column:
    """A column's values, to be written after its frame's header."""

    __slots__ = ("digest", "values")

    def __init__(self, values: Any, digest: bytes | None = None) -> None:
        self.values = values
        self.digest = digest  # of its bytes, where they were hashed already


@handles("pandas.DataFrame", "pandas.core.frame.DataFrame")
def write_frame(obj: Any, walk: Walk) -> None:
    manager = instance_dict(obj)["_mgr"]
    columns, index = manager.axes
    _write_shared(obj, walk)
    walk.token("frame", len(columns), len(index))
    walk.children([*_extras(obj, walk), index, columns, *_columns(manager)])


@handles("pandas.Series", "pandas.core.series.Series")
def write_series(obj: Any, walk: Walk) -> None:
    manager = instance_dict(obj)["_mgr"]
    _write_shared(obj, walk)
    walk.token("series", len(manager.axes[0]))
    name = instance_dict(obj).get("_name")
    walk.children([*_extras(obj, walk), name, manager.axes[0], Column(manager.blocks[0].values)])


def _write_shared(obj: Any, walk: Walk) -> None:
    """What frames and series have in common: flags and the class, unless it is pandas' own."""
    walk.packages.add("pandas")
    walk.changeable(obj)
    flags = instance_dict(obj).get("_flags")
    walk.changeable(flags)
    walk.token("pandas", module_of(type(obj)), qualname_of(type(obj)), getattr(flags, "allows_duplicate_labels", None))


def _extras(obj: Any, walk: Walk) -> list[Any]:
    """What a subclass or the user added: class, attributes, ``attrs``."""
    attributes, cls = instance_dict(obj), type(obj)
    walk.changeable(attributes)
    walk.changeable(attributes.get("_attrs"))
    users = cls if is_users(module_of(cls)) else None
    return [users, _added(attributes, _FRAME_PARTS), attributes.get("_attrs") or None]


def _added(attributes: dict[str, Any], known: frozenset[str]) -> Parts:
    return fields({name: attributes[name] for name in sorted(attributes) if name not in known})


def _columns(manager: Any) -> list[Column]:
    """The columns in their order: how they are gathered into blocks is not content."""
    blocks = [_block_columns(block.values) for block in manager.blocks]
    places = zip(manager.blknos, manager.blklocs, strict=True)
    return [blocks[number][place] for number, place in places]


def _block_columns(values: Any) -> list[Column]:
    import numpy as np

    if values.ndim == 1:
        return [Column(values)]
    if type(values) is np.ndarray and _lies_row_by_row(values):
        return [Column(row, digest) for row, digest in zip(values, _row_digests(values), strict=True)]
    return [Column(values[number]) for number in range(len(values))]


def _lies_row_by_row(values: Any) -> bool:
    return bool(values.size and not values.flags.c_contiguous and values.dtype.kind in "iufbc" and values.itemsize < 16)


def _row_digests(values: Any) -> list[bytes]:
    """Digests of columns that lie row by row in memory: all at once, so that memory is read once."""
    import numpy as np

    hashers = [xxh3_128() for _ in values]
    step = max(1, _TRANSPOSED // max(1, len(values) * values.itemsize))
    for start in range(0, values.shape[1], step):
        block = np.ascontiguousarray(values[:, start : start + step]).view(np.uint8)
        for hasher, row in zip(hashers, block, strict=True):
            hasher.update(row)
    return [hasher.digest() for hasher in hashers]


# -- labels ------------------------------------------------------------------------------------


@handles("pandas.RangeIndex", "pandas.core.indexes.range.RangeIndex")
def write_range_index(obj: Any, walk: Walk) -> None:
    attributes = _write_index_header(obj, walk)
    span = attributes["_range"]
    walk.token("range", span.start, span.stop, span.step)


@handles("pandas.MultiIndex", "pandas.core.indexes.multi.MultiIndex")
def write_multi_index(obj: Any, walk: Walk) -> None:
    """By the labels at each level: unused ones and the codes that stand for them are not content."""
    attributes = _write_index_header(obj, walk)
    walk.token("levels", obj.nlevels, len(obj))
    walk.changeable(attributes.get("_names"), quiet=True)
    for codes in attributes["_codes"]:
        _note_memory(codes, walk)
    # The labels are made for the walk: told by a digest, so that nothing of them is taken for the index's own memory.
    walk.copied([obj.get_level_values(number)._data for number in range(obj.nlevels)])
    walk.children([Parts(obj.names)])


@handles("pandas.Index", "pandas.core.indexes.base.Index")
def write_index(obj: Any, walk: Walk) -> None:
    attributes = _write_index_header(obj, walk)
    walk.children([Column(attributes["_data"])])


def _write_index_header(obj: Any, walk: Walk) -> dict[Any, Any]:
    """An index's name can be set in place, also through the frame."""
    walk.packages.add("pandas")
    walk.changeable(obj, quiet=True)
    attributes, cls = instance_dict(obj), type(obj)
    walk.token("index", module_of(cls), qualname_of(cls))
    own_class = cls if is_users(module_of(cls)) else None
    walk.children([own_class, attributes.get("_name"), _added(attributes, _INDEX_PARTS)])
    return attributes


# -- values ------------------------------------------------------------------------------------


@handles("pandas.api.extensions.ExtensionArray", "pandas.core.arrays.base.ExtensionArray")
def write_extension_array(obj: Any, walk: Walk) -> None:
    walk.changeable(obj, quiet=True)
    write_values(obj, walk)


@handles(Column, value=True)
def write_column(obj: Column, walk: Walk) -> None:
    import numpy as np

    if obj.digest is not None:
        _write_numpy_header(obj.values, walk)
        walk.token("digest", obj.digest)
    elif type(obj.values) is np.ndarray:
        _write_numpy(obj.values, walk)
    else:
        walk.changeable(obj.values, quiet=True)
        write_values(obj.values, walk)


def write_values(values: Any, walk: Walk) -> None:
    """Write one extension array by the parts that its kind is made of."""
    kind = type(values).__name__
    if module_of(type(values)).partition(".")[0] != "pandas":
        write_foreign(values, walk)
        return
    walk.packages.add("pandas")
    walk.token("extension", kind, len(values))
    walk.children([values.dtype])
    if "_pa_array" in instance_dict(values):
        chunked = values._pa_array
        write_chunks(chunked.chunks, chunked.type, walk)
        note_memory(chunked.chunks, walk)
    elif "_mask" in instance_dict(values):
        _write_masked(values._data, values._mask, walk)
    elif kind == "IntervalArray":
        walk.children([values._left, values._right])
    elif kind == "SparseArray":
        walk.token(values._sparse_index.length)
        walk.children([Column(values._sparse_values), Column(values._sparse_index.to_int_index().indices)])
    else:  # dates, periods, categories, strings: all on one NumPy array
        walk.token(getattr(values, "freqstr", None))
        _write_numpy(values._ndarray, walk)


def write_foreign(values: Any, walk: Walk) -> None:
    """An extension array of the user's, or of another package's."""
    if is_users(module_of(type(values))):
        write_attributes(values, walk)
    else:
        write_packaged(values, walk)


def _write_masked(data: Any, mask: Any, walk: Walk) -> None:
    """Under the mask lies junk."""
    import numpy as np

    _write_numpy(mask, walk)
    walk.span(*np.lib.array_utils.byte_bounds(data))
    kept = np.where(mask, np.zeros((), data.dtype), data) if mask.any() else data
    walk.token(dtype_token(data.dtype))
    write_elements(kept, walk)


def _note_memory(array: Any, walk: Walk) -> None:
    import numpy as np

    if array.size:
        walk.span(*np.lib.array_utils.byte_bounds(array))


def _write_numpy_header(array: Any, walk: Walk) -> None:
    _note_memory(array, walk)
    walk.token("column", dtype_token(array.dtype), array.shape)


def _digest(array: Any) -> bytes:
    import numpy as np

    hasher = xxh3_128()
    if array.flags.c_contiguous:
        hasher.update(array.reshape(-1).view(np.uint8) if array.nbytes else b"")
    else:
        for block in blocks(array):
            hasher.update(block.view(np.uint8))
    return hasher.digest()


def _write_numpy(array: Any, walk: Walk) -> None:
    """Its bytes as a digest of their own, so that it does not matter in which order columns are read."""
    _write_numpy_header(array, walk)
    if array.dtype.hasobject or array.dtype.char in "gG":
        write_elements(array, walk)
    else:
        walk.token("digest", _digest(array))


@handles("pandas.Timestamp", "pandas._libs.tslibs.timestamps.Timestamp", value=True)
def write_timestamp(obj: Any, walk: Walk) -> None:
    walk.packages.add("pandas")
    walk.token("timestamp", obj._value, obj.unit, obj.fold)
    walk.children([obj.tzinfo])


@handles("pandas.Timedelta", "pandas._libs.tslibs.timedeltas.Timedelta", value=True)
def write_timedelta(obj: Any, walk: Walk) -> None:
    walk.packages.add("pandas")
    walk.token("timedelta", obj._value, obj.unit)


@handles("pandas.Period", "pandas._libs.tslibs.period.Period", value=True)
def write_period(obj: Any, walk: Walk) -> None:
    walk.packages.add("pandas")
    walk.token("period", obj.ordinal, obj.freqstr)


@handles("pandas.Interval", "pandas._libs.interval.Interval", value=True)
def write_interval(obj: Any, walk: Walk) -> None:
    walk.packages.add("pandas")
    walk.token("interval", obj.closed)
    walk.children([obj.left, obj.right])


@handles("pandas.CategoricalDtype", "pandas.core.dtypes.dtypes.CategoricalDtype")
def write_categorical_dtype(obj: Any, walk: Walk) -> None:
    walk.packages.add("pandas")
    walk.token("categories", obj.ordered)
    walk.children([obj.categories])


@handles("pandas.api.extensions.ExtensionDtype", "pandas.core.dtypes.base.ExtensionDtype", value=True)
def write_extension_dtype(obj: Any, walk: Walk) -> None:
    if module_of(type(obj)).partition(".")[0] != "pandas":
        write_foreign(obj, walk)
        return
    walk.packages.add("pandas")
    missing = obj.na_value if hasattr(obj, "storage") else None
    walk.token("dtype", type(obj).__name__, str(obj), getattr(obj, "storage", None))
    walk.children([missing])


@handles("pandas._libs.missing.NAType", "pandas._libs.tslibs.nattype.NaTType", value=True)
def write_missing(obj: Any, walk: Walk) -> None:
    walk.token("missing", type(obj).__name__)


# -- polars ------------------------------------------------------------------------------------


@handles("polars.dataframe.frame.DataFrame")
def write_polars_frame(obj: Any, walk: Walk) -> None:
    walk.packages.add("polars")
    walk.changeable(obj)
    import polars as pl

    columns = pl.DataFrame.get_columns(obj)
    walk.token("polars", qualname_of(type(obj)), pl.DataFrame.height.__get__(obj), len(columns))
    walk.children([type(obj) if is_users(module_of(type(obj))) else None, *columns])


@handles("polars.series.series.Series")
def write_polars_series(obj: Any, walk: Walk) -> None:
    import polars as pl

    walk.packages.add("polars")
    walk.changeable(obj)
    walk.token("polars series", qualname_of(type(obj)), obj.name, len(obj), repr(obj.dtype))
    if obj.dtype == pl.Object:
        walk.children([Parts(obj.to_list())])
        return
    array = pl.Series.to_arrow(obj, compat_level=pl.CompatLevel.newest())  # the level that copies no strings
    note_memory([array], walk)
    write_chunks([array], array.type, walk)
