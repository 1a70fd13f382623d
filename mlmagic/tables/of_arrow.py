"""Tables of Arrow: tables, record batches and datasets; what reads a single Arrow column serves pandas too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from mlmagic.tables import texts, times
from mlmagic.tables.objects import array_of
from mlmagic.tables.table import Column, Kind, Table, names_of, positions


class ArrowTable(Table):
    """The columns of a table or record batch; floats without a copy, text by dictionary encoding."""

    def __init__(self, table: pa.Table | pa.RecordBatch) -> None:
        self._table = table if isinstance(table, pa.Table) else pa.Table.from_batches([table])
        self.columns = _columns(self._table.schema)
        self.rows = self._table.num_rows

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> ArrowTable:
        return ArrowTable(self._table.take(positions(rows, self.rows)))

    def to_pandas(self) -> Any:
        return self._table.to_pandas()

    def _numbers(self, column: Column) -> NDArray[np.float64]:
        return numbers_of(self._read(column))

    def _labels(self, column: Column) -> texts.Labels:
        return labels_of(self._read(column))

    def _read(self, column: Column) -> pa.ChunkedArray:
        return self._table.column(column.name)


class DatasetTable(ArrowTable):
    """The columns of a dataset, each read from its files when it is asked for."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.columns = _columns(dataset.schema)
        self.rows = dataset.count_rows()

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> ArrowTable:
        return ArrowTable(self._dataset.take(pa.array(positions(rows, self.rows))))

    def to_pandas(self) -> Any:
        return self._dataset.to_table().to_pandas()

    def _read(self, column: Column) -> pa.ChunkedArray:
        return self._dataset.to_table(columns={column.name: pc.field(column.name)}).column(0)


def _columns(schema: pa.Schema) -> tuple[Column, ...]:
    names = names_of(schema.names)
    return tuple(Column(name, kind_of(kind), str(kind)) for name, kind in zip(names, schema.types, strict=True))


def kind_of(kind: pa.DataType) -> Kind:
    """The kind of columns of an Arrow type."""
    if types.is_boolean(kind):
        return "boolean"
    if types.is_timestamp(kind) or types.is_date(kind):
        return "datetime"
    counts = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return "numeric" if counts or types.is_duration(kind) or types.is_time(kind) else "categorical"


def numbers_of(values: pa.ChunkedArray) -> NDArray[np.float64]:
    """As in `Table.numbers`."""
    if types.is_temporal(values.type):
        return _seconds(values)
    if not types.is_float64(values.type):
        values = values.cast(pa.float64(), safe=False)  # safe would refuse whole numbers above 2**53
    if values.num_chunks == 1:
        return values.chunk(0).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    return values.to_numpy()  # type: ignore[no-any-return]


def labels_of(values: pa.ChunkedArray) -> texts.Labels:
    """As in `Table.labels`."""
    coded = types.is_dictionary(values.type)
    if not coded and not _is_text(values.type):
        return texts.of_objects(array_of(values.to_pylist()), values.is_null().to_numpy())
    chunks = (values if coded else values.dictionary_encode()).unify_dictionaries().chunks
    if not chunks:
        return np.empty(0, dtype=np.int64), []
    codes = np.concatenate([_codes(chunk.indices) for chunk in chunks])
    dictionary = chunks[0].dictionary
    if _is_text(dictionary.type):
        codes, dictionary = _sorted(codes, dictionary)
    words = [None if word is None else texts.of_value(word) for word in dictionary.to_pylist()]
    return texts.tidy(codes, words)


def _is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _codes(indices: pa.Array) -> NDArray[np.int64]:
    return indices.cast(pa.int64()).fill_null(-1).to_numpy()  # type: ignore[no-any-return]


def _sorted(codes: NDArray[np.int64], dictionary: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """The same with the words in order: by bytes, as Arrow sorts, is the order of Python's strings too."""
    order = pc.array_sort_indices(dictionary).to_numpy()
    places = np.empty(len(order) + 1, dtype=np.int64)
    places[order], places[-1] = np.arange(len(order)), -1
    return places[codes], dictionary.take(pa.array(order))


def _seconds(values: pa.ChunkedArray) -> NDArray[np.float64]:
    if types.is_date(values.type):
        values = values.cast(pa.timestamp("ms"))
    unit = values.type.unit
    wide = values.cast(pa.int32()).cast(pa.int64()) if types.is_time32(values.type) else values.cast(pa.int64())
    return times.seconds(wide.fill_null(times.NOT_A_TIME).to_numpy(), times.PER_SECOND[unit])
