"""Arrow arrays and tables: by value, since raw buffers are not canonical.

Slices share parents, offsets need not start at 0, null slots hold junk, chunking varies and dictionaries
may hold unused entries; so lengths, valid bytes and null positions are written, each as one stream.
"""

from __future__ import annotations

from typing import Any

from xxhash import xxh3_128

from mlmagic.fingerprint.walk import Walk, handles

_LENGTHS = 1 << 17  # row lengths computed at a time


@handles("pyarrow.lib.Table", "pyarrow.lib.RecordBatch")
def write_table(obj: Any, walk: Walk) -> None:
    walk.packages.add("pyarrow")
    walk.token("arrow table", obj.num_rows, [str(name) for name in obj.schema.names])
    metadata = obj.schema.metadata
    walk.token(sorted(metadata.items()) if metadata else None)
    walk.children(obj.columns)


@handles("pyarrow.lib.ChunkedArray")
def write_chunked(obj: Any, walk: Walk) -> None:
    walk.packages.add("pyarrow")
    write_chunks(obj.chunks, obj.type, walk)


@handles("pyarrow.lib.Array")
def write_array(obj: Any, walk: Walk) -> None:
    walk.packages.add("pyarrow")
    write_chunks([obj], obj.type, walk)


@handles("pyarrow.lib.Scalar", value=True)
def write_scalar(obj: Any, walk: Walk) -> None:
    walk.token("arrow scalar", str(obj.type))
    walk.children([obj.as_py()])


@handles("pyarrow.lib.DataType", "pyarrow.lib.Field", "pyarrow.lib.Schema", value=True)
def write_type(obj: Any, walk: Walk) -> None:
    walk.token("arrow type", type(obj).__name__, str(obj))


def write_chunks(chunks: list[Any], kind: Any, walk: Walk) -> None:
    """Write a column given in pieces, as if it were one array without an offset."""
    import pyarrow as pa

    walk.token("arrow", str(kind), sum(len(chunk) for chunk in chunks))
    _write_nulls(chunks, walk)
    types = pa.types
    if types.is_dictionary(kind):
        write_chunks([chunk.dictionary_decode() for chunk in chunks], kind.value_type, walk)
    elif any(test(kind) for test in (types.is_string, types.is_binary, types.is_large_string, types.is_large_binary)):
        _write_binary(chunks, kind, walk)
    elif types.is_boolean(kind):
        _write_fixed([chunk.cast(pa.uint8()) for chunk in chunks], 1, walk)
    elif types.is_primitive(kind) or types.is_decimal(kind) or types.is_fixed_size_binary(kind):
        _write_fixed(chunks, kind.bit_width // 8, walk)
    elif types.is_struct(kind):
        for number in range(kind.num_fields):
            parts = [chunk.flatten()[number] for chunk in chunks]
            write_chunks(parts, kind.field(number).type, walk)
    else:
        for chunk in chunks:  # lists, maps, views, unions: rare enough to go value by value
            walk.children([chunk.to_pylist()])


def _write_nulls(chunks: list[Any], walk: Walk) -> None:
    start, positions = 0, []
    for chunk in chunks:
        if chunk.null_count:
            valid = chunk.is_valid().to_numpy(zero_copy_only=False)
            positions.append((~valid).nonzero()[0] + start)
        start += len(chunk)
    for found in positions:
        walk._flush()
        walk._hash.update(found.tobytes())
    walk.token("nulls", sum(map(len, positions)))


def _filled(chunk: Any) -> Any:
    """Null slots hold junk: write the type's zero there."""
    if not chunk.null_count:
        return chunk
    import pyarrow as pa

    kind = chunk.type
    if pa.types.is_fixed_size_binary(kind):
        return chunk.fill_null(b"\0" * kind.byte_width)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return chunk.fill_null("")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return chunk.fill_null(b"")
    if pa.types.is_decimal(kind):
        return chunk.fill_null(pa.scalar(0).cast(kind))
    width = {1: pa.int8(), 2: pa.int16(), 4: pa.int32(), 8: pa.int64()}[kind.bit_width // 8]
    return chunk.view(width).fill_null(0)


def _write_fixed(chunks: list[Any], width: int, walk: Walk) -> None:
    for chunk in map(_filled, chunks):
        if len(chunk):
            data = memoryview(chunk.buffers()[1])[chunk.offset * width : (chunk.offset + len(chunk)) * width]
            walk._flush()
            walk._hash.update(data)
    walk.token("width", width)


def _write_binary(chunks: list[Any], kind: Any, walk: Walk) -> None:
    """Two streams, so that the place where one chunk ends leaves no trace."""
    import numpy as np
    import pyarrow as pa

    large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    offset_type = np.dtype(np.int64 if large else np.int32)
    lengths, content = xxh3_128(), xxh3_128()
    for chunk in map(_filled, chunks):
        if not len(chunk):
            continue
        _, offsets_buffer, data = chunk.buffers()
        offsets = np.frombuffer(offsets_buffer, offset_type)[chunk.offset : chunk.offset + len(chunk) + 1]
        for start in range(0, len(chunk), _LENGTHS):
            lengths.update(np.diff(offsets[start : start + _LENGTHS + 1]).view(np.uint8))
        if data is not None:
            content.update(memoryview(data)[int(offsets[0]) : int(offsets[-1])])
    walk.token("binary", lengths.digest(), content.digest())
