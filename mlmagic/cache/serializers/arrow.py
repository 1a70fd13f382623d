"""One table alone: an Arrow IPC file, uncompressed, so that a loaded table's columns are the file's bytes.

Only tables that Arrow can hold exactly are accepted; of a pandas frame that is less than it looks like (no objects,
no frequency of an index, no ``attrs``), and what is not accepted here the pickle keeps as exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np

from mlmagic._optional import loaded
from mlmagic.cache.serializers.base import Links, UnstorableError
from mlmagic.cache.serializers.memory import Output

_NOTE = b"mlmagic"  # among the metadata: the variable's name, the library, whether there was other metadata
_MANY = 64  # columns from which on pandas is quicker with blocks than with single columns


class ArrowSerializer:
    """A pandas or polars frame or an Arrow table, alone in its group."""

    name = "arrow"

    def accepts(self, group: Mapping[str, object]) -> bool:
        values = list(group.values())
        return len(values) == 1 and _library_of(values[0]) is not None and find_spec("pyarrow") is not None

    def dump(self, group: Mapping[str, object], file: BinaryIO, links: Links) -> None:
        ((name, value),) = group.items()
        out = Output(file)
        try:
            _write(_noted(_table_of(value), name, value), out)
        except Exception as error:  # each library has errors of its own for what Arrow cannot hold
            if out.refusal is not None:
                raise out.refusal from None
            first = str(error).partition("\n")[0]
            raise UnstorableError(f"Arrow cannot hold `{name}`: {first[:200]}") from error

    def load(self, buffer: memoryview, links: Links) -> dict[str, object]:
        import pyarrow as pa

        table = pa.ipc.open_file(pa.py_buffer(buffer)).read_all()
        metadata = dict(table.schema.metadata)
        note = json.loads(metadata.pop(_NOTE))
        table = table.replace_schema_metadata(metadata if metadata or not note["bare"] else None)
        return {note["name"]: _LOADERS[note["library"]](table, buffer)}


# -- writing -------------------------------------------------------------------------------------


def _library_of(value: Any) -> str | None:
    """Which library's table the value is, ``None`` where it is none that Arrow holds exactly."""
    pandas, polars, pyarrow = loaded("pandas"), loaded("polars"), loaded("pyarrow")
    if pandas is not None and type(value) is pandas.DataFrame:
        return "pandas" if _is_simple(value) else None
    if polars is not None and type(value) is polars.DataFrame:
        return "polars" if polars.Object not in value.dtypes else None
    return "pyarrow" if pyarrow is not None and type(value) is pyarrow.Table else None


def _is_simple(frame: Any) -> bool:
    """Whether a frame is only columns with names and an index without a frequency."""
    columns, index = frame.columns, frame.index
    return (
        0 < len(columns) < _MANY
        and columns.is_unique
        and all(type(name) is str for name in columns)
        and columns.names == [None]
        and (type(index).__name__ in ("RangeIndex", "Index") or getattr(index, "freq", True) is None)
        and not (isinstance(index.dtype, np.dtype) and index.dtype.kind == "O")
        and (index.name is None or type(index.name) is str)
        and all(_is_exact(dtype) for dtype in frame.dtypes)
        and not frame.attrs
        and frame.flags.allows_duplicate_labels
    )


def _is_exact(dtype: Any) -> bool:
    if isinstance(dtype, np.dtype):
        return dtype.kind in "biuf" and dtype.isnative and dtype.itemsize <= 8 or dtype.kind in "mM"
    return type(dtype).__name__ not in (
        "SparseDtype",
        "PeriodDtype",
        "IntervalDtype",
        "NumpyEADtype",
        "CategoricalDtype",
    )


def _table_of(value: Any) -> Any:
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if _library_of(value) == "pandas":
        return pa.Table.from_pandas(value, preserve_index=None)
    polars: Any = loaded("polars")
    return value.to_arrow(compat_level=polars.CompatLevel.newest())


def _noted(table: Any, name: str, value: object) -> Any:
    metadata = table.schema.metadata
    note = json.dumps({"name": name, "library": _library_of(value), "bare": metadata is None})
    return table.replace_schema_metadata({**(metadata or {}), _NOTE: note})


def _write(table: Any, out: Output) -> None:
    import pyarrow as pa

    sink = pa.PythonFile(_Sink(out), mode="w")
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=None)) as writer:
        writer.write_table(table)


class _Sink:
    """What Arrow needs of a file to write to; closing is the caller's."""

    closed = False

    def __init__(self, out: Output) -> None:
        self._out = out

    def write(self, data: Any) -> int:
        return self._out.write(data)

    def tell(self) -> int:
        return self._out.position

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """The file goes on."""


# -- loading -------------------------------------------------------------------------------------


def _load_pandas(table: Any, buffer: memoryview) -> Any:
    """A frame whose columns are the mapped bytes where they can be, and writable everywhere."""
    import pandas as pd

    given = table.to_pandas(split_blocks=True)
    columns = {name: _writable(given[name].array, buffer) for name in given.columns}
    # Each column a block of its own: joined they would be a copy.
    return pd.DataFrame(columns, index=given.index.copy(deep=True), columns=given.columns, copy=False)


def _writable(values: Any, buffer: memoryview) -> Any:
    """The values of a column, in memory that may be written to: pandas marks what comes from Arrow as read-only."""
    import pandas as pd

    if not isinstance(values, pd.arrays.NumpyExtensionArray):
        return values.copy()
    plain = values.to_numpy()
    start = _address(plain) - _address(np.frombuffer(buffer, np.uint8))
    if plain.flags.c_contiguous and 0 <= start <= len(buffer) - plain.nbytes and plain.nbytes:
        return np.ndarray(plain.shape, plain.dtype, buffer, start)
    return plain.copy()


def _address(values: Any) -> int:
    return int(values.__array_interface__["data"][0])


def _load_polars(table: Any, buffer: memoryview) -> Any:
    import polars

    return polars.from_arrow(table, rechunk=False)


def _load_pyarrow(table: Any, buffer: memoryview) -> Any:
    return table


_LOADERS = {"pandas": _load_pandas, "polars": _load_polars, "pyarrow": _load_pyarrow}
