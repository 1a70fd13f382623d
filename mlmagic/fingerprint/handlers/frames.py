"""pandas and polars: column by column, from the buffers they already have."""

from __future__ import annotations

from typing import Any

from mlmagic.fingerprint.handlers.arrays import write_plain
from mlmagic.fingerprint.handlers.arrow import write_chunks
from mlmagic.fingerprint.handlers.code import is_users
from mlmagic.fingerprint.handlers.instances import instance_dict
from mlmagic.fingerprint.walk import Walk, handles

# Attributes by which pandas keeps house; anything else in the instance's dict was set by the user.
_HOUSEKEEPING = frozenset(
    "_mgr _item_cache _attrs _flags _name _cache _cacher _is_copy _id _data _no_setting_name _typ _range "
    "_hidden_attrs _references _engine _levels _codes _names _dtype _ndarray _freq _sortorder".split()
)


class Column:
    """A column's values, to be written after its frame's header."""

    __slots__ = ("values",)

    def __init__(self, values: Any) -> None:
        self.values = values


@handles("pandas.DataFrame", "pandas.core.frame.DataFrame")
def write_frame(obj: Any, walk: Walk) -> None:
    walk.packages.add("pandas")
    walk.changeable(obj)
    walk.token("frame", obj.shape, obj.flags.allows_duplicate_labels)
    columns = [Column(series.array) for _, series in obj.items()]
    walk.children([*_extras(obj), obj.index, obj.columns, *columns])


@handles("pandas.Series", "pandas.core.series.Series")
def write_series(obj: Any, walk: Walk) -> None:
    walk.packages.add("pandas")
    walk.changeable(obj)
    walk.token("series", len(obj), obj.flags.allows_duplicate_labels)
    walk.children([*_extras(obj), obj.name, obj.index, Column(obj.array)])


def _extras(obj: Any) -> list[Any]:
    """What a subclass or the user added: class, attributes, ``attrs``."""
    added = {name: value for name, value in instance_dict(obj).items() if name not in _HOUSEKEEPING}
    cls = type(obj)
    users_class = [cls] if is_users(cls.__module__) else [f"{cls.__module__}.{cls.__qualname__}"]
    return [*users_class, added or None, obj.attrs or None]


@handles("pandas.RangeIndex", "pandas.core.indexes.range.RangeIndex")
def write_range_index(obj: Any, walk: Walk) -> None:
    walk.packages.add("pandas")
    walk.changeable(obj)  # its name can be set in place, also through the frame
    walk.token("range index", obj.start, obj.stop, obj.step)
    walk.children([obj.name])


@handles("pandas.MultiIndex", "pandas.core.indexes.multi.MultiIndex")
def write_multi_index(obj: Any, walk: Walk) -> None:
    walk.packages.add("pandas")
    walk.changeable(obj)
    walk.token("multi index", obj.nlevels, len(obj))
    levels = [obj.get_level_values(number) for number in range(obj.nlevels)]
    walk.children([list(obj.names), *(Column(level.array) for level in levels)])


@handles("pandas.Index", "pandas.core.indexes.base.Index")
def write_index(obj: Any, walk: Walk) -> None:
    walk.packages.add("pandas")
    walk.changeable(obj)
    walk.token("index", type(obj).__qualname__, len(obj), getattr(obj, "freqstr", None))
    walk.children([obj.name, Column(obj.array)])


@handles(
    "pandas.api.extensions.ExtensionArray",
    "pandas.core.arrays.base.ExtensionArray",
)
def write_extension_array(obj: Any, walk: Walk) -> None:
    walk.changeable(obj)
    write_values(obj, walk)


@handles(Column)
def write_column(obj: Column, walk: Walk) -> None:
    write_values(obj.values, walk)


def write_values(values: Any, walk: Walk) -> None:
    """Write one column's array by the kind of its dtype."""
    import numpy as np

    dtype = values.dtype
    walk.token("column", type(dtype).__name__, str(dtype), len(values))
    kind = type(values).__name__
    if kind == "NumpyExtensionArray":
        _write_numpy(values.to_numpy(copy=False), walk)
    elif kind in ("DatetimeArray", "TimedeltaArray", "PeriodArray"):
        walk.token(getattr(values, "freqstr", None))
        _write_numpy(np.asarray(values.asi8), walk)
    elif kind == "Categorical":
        walk.token(values.ordered)
        _write_numpy(values.codes, walk)
        walk.children([values.categories])
    elif hasattr(values, "_pa_array"):
        chunked = values._pa_array
        write_chunks(chunked.chunks, chunked.type, walk)
        _arrow_spans(chunked, walk)
    elif hasattr(values, "_mask") and hasattr(values, "_data"):
        mask = values._mask
        _write_numpy(mask, walk)
        data = values._data
        _write_numpy(np.where(mask, np.zeros((), data.dtype), data) if mask.any() else data, walk)
        walk.span(*np.lib.array_utils.byte_bounds(data))
    else:
        walk.children([list(values)])


def _write_numpy(array: Any, walk: Walk) -> None:
    import numpy as np

    if array.dtype.hasobject:
        walk.children([array.tolist()])
        return
    walk.span(*np.lib.array_utils.byte_bounds(array))
    walk.token(array.dtype.str)
    write_plain(array, walk)


def _arrow_spans(chunked: Any, walk: Walk) -> None:
    for chunk in chunked.chunks:
        for buffer in chunk.buffers():
            if buffer is not None:
                walk.span(buffer.address, buffer.address + buffer.size)


@handles(
    "pandas.Timestamp",
    "pandas._libs.tslibs.timestamps.Timestamp",
    "pandas._libs.tslibs.timedeltas.Timedelta",
    "pandas._libs.tslibs.period.Period",
    "pandas._libs.interval.Interval",
    "pandas.core.dtypes.base.ExtensionDtype",
    "pandas.api.extensions.ExtensionDtype",
    "pandas._libs.tslibs.offsets.BaseOffset",
    value=True,
)
def write_pandas_value(obj: Any, walk: Walk) -> None:
    walk.token("pandas value", type(obj).__qualname__, str(obj), str(getattr(obj, "unit", None)))


@handles("pandas._libs.missing.NAType", "pandas._libs.tslibs.nattype.NaTType", value=True)
def write_missing(obj: Any, walk: Walk) -> None:
    walk.token("missing", type(obj).__name__)


@handles("polars.dataframe.frame.DataFrame")
def write_polars_frame(obj: Any, walk: Walk) -> None:
    walk.packages.add("polars")
    walk.changeable(obj)
    walk.token("polars", obj.height, obj.columns, [str(dtype) for dtype in obj.dtypes])
    walk.children([obj.to_arrow()])


@handles("polars.series.series.Series")
def write_polars_series(obj: Any, walk: Walk) -> None:
    walk.packages.add("polars")
    walk.changeable(obj)
    walk.token("polars series", obj.name, len(obj), str(obj.dtype))
    walk.children([obj.to_arrow()])
