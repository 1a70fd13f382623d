"""Arrow arrays and tables: by value, since raw buffers are not canonical.

Slices share parents, offsets need not start at 0, null slots hold junk, chunking varies and dictionaries
may hold unused entries; so lengths, valid bytes and null positions are written, each as one stream over
pieces of bounded size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from xxhash import xxh3_128

from mlmagic.fingerprint.registry import handles
from mlmagic.fingerprint.walk import Parts, Walk

_ROWS = 1 << 16  # rows converted at a time
_BYTES = 1 << 20  # and bytes of strings


@handles("pyarrow.lib.Table", "pyarrow.lib.RecordBatch")
def write_table(obj: Any, walk: Walk) -> None:
    walk.packages.add("pyarrow")
    walk.token("arrow table", obj.num_rows)
    walk.children([obj.schema, *obj.columns])


@handles("pyarrow.lib.ChunkedArray")
def write_chunked(obj: Any, walk: Walk) -> None:
    walk.packages.add("pyarrow")
    note_memory(obj.chunks, walk)
    write_chunks(obj.chunks, obj.type, walk)


@handles("pyarrow.lib.Array")
def write_array(obj: Any, walk: Walk) -> None:
    walk.packages.add("pyarrow")
    note_memory([obj], walk)
    write_chunks([obj], obj.type, walk)


@handles("pyarrow.lib.Buffer")
def write_buffer(obj: Any, walk: Walk) -> None:
    walk.packages.add("pyarrow")
    walk.changeable(obj)
    walk.token("arrow buffer")
    walk.span(obj.address, obj.address + obj.size)
    walk.memory(memoryview(obj), obj.size)


@handles("pyarrow.lib.Scalar", value=True)
def write_scalar(obj: Any, walk: Walk) -> None:
    walk.packages.add("pyarrow")
    walk.token("arrow scalar", str(obj.type))
    walk.copied(obj.as_py())


@handles("pyarrow.lib.DataType", value=True)
def write_type(obj: Any, walk: Walk) -> None:
    walk.packages.add("pyarrow")
    walk.token("arrow type", str(obj))


@handles("pyarrow.lib.Field", "pyarrow.lib.Schema", value=True)
def write_schema(obj: Any, walk: Walk) -> None:
    """Names, types and metadata, which their text would shorten."""
    walk.packages.add("pyarrow")
    metadata = sorted(obj.metadata.items()) if obj.metadata else []
    if hasattr(obj, "nullable"):
        walk.token("arrow field", obj.name, str(obj.type), obj.nullable, metadata)
    else:
        walk.token("arrow schema", metadata)
        walk.children([Parts(obj)])


def note_memory(chunks: list[Any], walk: Walk) -> None:
    """Arrow never changes its buffers, but NumPy arrays under them may."""
    for chunk in chunks:
        for buffer in chunk.buffers():
            if buffer is not None:
                walk.span(buffer.address, buffer.address + buffer.size)
        if hasattr(chunk, "dictionary"):
            note_memory([chunk.dictionary], walk)


def write_chunks(chunks: list[Any], kind: Any, walk: Walk) -> None:
    """Write a column given in pieces, as if it were one array without an offset."""
    import pyarrow as pa

    walk.token("arrow", str(kind), sum(map(len, chunks)))
    types = pa.types
    if types.is_dictionary(kind):
        _write_dictionary(chunks, kind, walk)
        return
    _write_nulls(_pieces(chunks), walk)
    if isinstance(kind, pa.BaseExtensionType):
        write_chunks([chunk.storage for chunk in chunks], kind.storage_type, walk)
    elif _is_binary(kind):
        _write_binary(_pieces(chunks), walk)
    elif types.is_boolean(kind):
        _write_fixed((piece.cast(pa.uint8()) for piece in _pieces(chunks)), 1, walk)
    elif _is_fixed(kind):
        _write_fixed(_pieces(chunks), kind.bit_width // 8, walk)
    elif types.is_struct(kind):
        for number in range(kind.num_fields):
            write_chunks([chunk.flatten()[number] for chunk in chunks], kind.field(number).type, walk)
    elif types.is_list(kind) or types.is_large_list(kind):
        _write_fixed((_lengths(piece) for piece in _pieces(chunks)), 8, walk)
        write_chunks([chunk.flatten() for chunk in chunks], kind.value_type, walk)
    elif not types.is_null(kind):
        # Maps, unions, views of lists: rare enough to go value by value.
        walk.copied([value for piece in _pieces(chunks) for value in piece.to_pylist()])


def _pieces(chunks: list[Any]) -> Iterator[Any]:
    """The chunks in runs of rows, none of them copied."""
    for chunk in chunks:
        for start in range(0, len(chunk), _ROWS):
            yield chunk.slice(start, _ROWS)


def _is_binary(kind: Any) -> bool:
    import pyarrow.types as types

    names = ("is_string", "is_binary", "is_large_string", "is_large_binary", "is_string_view", "is_binary_view")
    return any(getattr(types, name, _never)(kind) for name in names)


def _never(kind: Any) -> bool:
    return False


def _is_fixed(kind: Any) -> bool:
    import pyarrow.types as types

    plain = types.is_primitive(kind) and kind.bit_width in (8, 16, 32, 64)
    return bool(plain or types.is_decimal(kind) or types.is_fixed_size_binary(kind))


def _write_nulls(pieces: Iterable[Any], walk: Walk) -> None:
    start = count = 0
    positions = xxh3_128()
    for piece in pieces:
        if piece.null_count:
            count += piece.null_count
            valid = piece.is_valid().to_numpy(zero_copy_only=False)
            positions.update(((~valid).nonzero()[0] + start).data)
        start += len(piece)
    walk.token("nulls", count, positions.digest())


def _write_dictionary(chunks: list[Any], kind: Any, walk: Walk) -> None:
    """Value by value: the order of a dictionary, its unused entries and how it says null mean nothing here."""
    import pyarrow as pa

    if not _is_binary(kind.value_type):
        write_chunks([chunk.dictionary_decode() for chunk in chunks], kind.value_type, walk)
        return
    words = [chunk.dictionary.cast(pa.large_binary()) for chunk in chunks]
    coded = [pa.DictionaryArray.from_arrays(chunk.indices, word) for chunk, word in zip(chunks, words, strict=True)]
    for write in (_write_nulls, _write_binary):
        write((piece.dictionary_decode() for piece in _pieces(coded)), walk)


def _lengths(piece: Any) -> Any:
    import pyarrow as pa

    return piece.value_lengths().cast(pa.int64()).fill_null(0)


def _filled(chunk: Any) -> Any:
    """Null slots hold junk: write the type's zero there."""
    if not chunk.null_count:
        return chunk
    import pyarrow as pa

    kind = chunk.type
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_decimal(kind):
        width = kind.bit_width // 8
        return chunk.view(pa.binary(width)).fill_null(b"\0" * width)
    number = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width]
    return chunk.view(number).fill_null(0)


def _write_fixed(pieces: Iterable[Any], width: int, walk: Walk) -> None:
    walk.token("width", width)
    for piece in map(_filled, pieces):
        if len(piece):
            walk.raw(memoryview(piece.buffers()[1])[piece.offset * width : (piece.offset + len(piece)) * width])


def _write_binary(pieces: Iterable[Any], walk: Walk) -> None:
    """Two streams, so that the place where one chunk ends leaves no trace."""
    import numpy as np
    import pyarrow as pa

    lengths, content = xxh3_128(), xxh3_128()
    for piece in _plain_binary(pieces):
        large = pa.types.is_large_binary(piece.type)
        _, offsets_buffer, data = piece.buffers()
        offsets = np.frombuffer(offsets_buffer, np.int64 if large else np.int32)
        offsets = offsets[piece.offset : piece.offset + len(piece) + 1]
        lengths.update(np.diff(offsets).astype(np.int64).data)
        if data is not None:
            content.update(memoryview(data)[int(offsets[0]) : int(offsets[-1])])
    walk.token("binary", lengths.digest(), content.digest())


def _plain_binary(pieces: Iterable[Any]) -> Iterator[Any]:
    """Strings as their bytes, in the layout with offsets, and nothing where there is null."""
    for piece in pieces:
        if not piece.null_count and not _has_views(piece.type):
            yield _as_bytes(piece)
            continue
        rows = max(1, _BYTES * len(piece) // max(1, piece.nbytes))
        for start in range(0, len(piece), rows):
            part = _as_bytes(piece.slice(start, rows))
            yield part.fill_null(b"") if part.null_count else part


def _has_views(kind: Any) -> bool:
    return str(kind) in ("string_view", "binary_view")


def _as_bytes(piece: Any) -> Any:
    import pyarrow as pa

    types = pa.types
    if types.is_binary(piece.type) or types.is_large_binary(piece.type):
        return piece
    if _has_views(piece.type):
        return piece.cast(pa.large_binary())
    return piece.view(pa.large_binary() if types.is_large_string(piece.type) else pa.binary())
