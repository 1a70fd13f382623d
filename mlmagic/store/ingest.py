"""Fourth step of a cell's way: journal events in, rows of the store out; any journal, any number of times.

The rows and the offset they came from are written in one transaction, so a line is in the tables once, whoever
asks and whenever a process dies.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlmagic.journal import Event, Report, read
from mlmagic.journal.events import PARTS
from mlmagic.store.db import Connection
from mlmagic.store.schema import PREDICTIONS, TABLES, Table, quoted

_BATCH = 8 << 20  # bytes of journal that are rows in memory at one time
_WINDOW = 4096  # bytes before an offset that tell whether the journal is still the same

# Where the record goes that an event is about; those it carries in lists go to the tables of the lists' names.
_OWN = {
    "session": ("session", "sessions"),
    "observation": ("execution", "executions"),
    "reuse": ("reuse", "reuses"),
    "sweep": ("sweep", "sweeps"),
    "trial": ("trial", "trials"),
    "assertion": ("assertion", "assertions"),
    "assertion_result": ("result", "assertion_results"),
    "bundle": ("bundle", "bundles"),
    "endpoint": ("endpoint", "endpoints"),
}

_SEGMENT = re.compile(r"(?P<endpoint>.+)\.(?P<number>\d+)\.jsonl")

Row = dict[str, Any]
Key = tuple[Any, ...]


class RewrittenError(Exception):
    """A journal that is partly in the tables is gone or another one now; not one that its endpoint gave up for room."""


@dataclass(frozen=True)
class Tail:
    """What of a journal is not in the tables yet: everything after `offset`."""

    path: Path
    offset: int


@dataclass
class Problems:
    """Lines that held no event, by journal and offset: for one warning, whoever finds them."""

    torn: set[tuple[str, int]] = field(default_factory=set)


def pending(cursor: Connection, folder: Path) -> list[Tail]:
    """The journals of the folder that hold complete lines the tables lack, oldest session first.

    Raises
    ------
    RewrittenError
        If rows in the tables may come from lines that are no longer there.
    """
    while True:
        try:
            return _pending(cursor, folder)
        except FileNotFoundError:  # an endpoint gave a journal up since they were listed: look again
            continue


def _pending(cursor: Connection, folder: Path) -> list[Tail]:
    known = {
        file: (offset, digest)
        for file, offset, digest in cursor.execute('SELECT "file", "offset", digest FROM _journals').fetchall()
    }
    sizes = _sizes(folder)
    gone = {file for file in known if file not in sizes}
    given_up = _given_up(gone, sizes)
    if gone - given_up or any(sizes[file] < offset for file, (offset, _) in known.items() if file not in gone):
        raise RewrittenError
    tails = [Tail(folder / file, known.get(file, (0, 0))[0]) for file in sorted(sizes)]
    grown = [tail for tail in tails if sizes[tail.path.name] > tail.offset]
    if any(_digest(tail.path, tail.offset) != known.get(tail.path.name, (0, 0))[1] for tail in grown):
        raise RewrittenError
    return [tail for tail in grown if _has_line(tail)]


def _given_up(gone: Collection[str], there: Iterable[str]) -> set[str]:
    """Of journals that are gone, those whose endpoint has gone on to a later one: rows that came of them stay."""
    if not gone:
        return set()
    latest: dict[str, int] = {}
    for found in filter(None, map(_SEGMENT.fullmatch, there)):
        latest[found["endpoint"]] = max(latest.get(found["endpoint"], 0), int(found["number"]))
    parts = filter(None, map(_SEGMENT.fullmatch, gone))
    return {part[0] for part in parts if latest.get(part["endpoint"], -1) > int(part["number"])}


def ingest(cursor: Connection, tails: list[Tail], problems: Problems) -> None:
    """Put everything the tails hold into the tables, all or nothing."""
    cursor.begin()
    try:
        for batch in _batches(tails, problems):
            batch.write(cursor)
        cursor.commit()
    except BaseException:
        cursor.close()  # which rolls back, also where the failed transaction refuses a ROLLBACK
        raise


def _batches(tails: list[Tail], problems: Problems) -> Iterator[_Batch]:
    batch = _Batch()
    for tail in tails:
        report = Report()
        begin = tail.offset
        try:
            for event, offset in read(tail.path, tail.offset, report):
                batch.add(event)
                if offset - begin >= _BATCH:
                    batch.reached(tail.path, offset)
                    yield batch
                    batch, begin = _Batch(), offset
            batch.reached(tail.path, report.offset)
        except FileNotFoundError:  # an endpoint gave it up since it was listed
            continue
        problems.torn |= {(tail.path.name, offset) for offset in report.torn}
        if batch.full():
            yield batch
            batch = _Batch()
    yield batch


class _Batch:
    """Rows by table and key: what came last is what counts."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[Key, Row]] = {name: {} for name in TABLES}
        self._predictions: list[Row] = []
        self._ended: dict[str, float] = {}
        self._offsets: dict[str, tuple[int, int]] = {}
        self._count = 0

    def add(self, event: Event) -> None:
        kind = event["event"]
        if kind == "session_ended":
            self._ended[event["session_id"]] = event["at"]
        if kind in _OWN:
            record, table = _OWN[kind]
            self._put(TABLES[table], [event[record]])
        if kind == "predictions":
            self._predictions += _one_by_one(event["predictions"])
        for part in PARTS:
            self._put(TABLES[part], event.get(part, ()))
        self._count += 1

    def _put(self, table: Table, rows: list[Row] | tuple[()]) -> None:
        known, key = self._rows[table.name], table.key
        for row in rows:
            known[tuple(map(row.get, key))] = row

    def reached(self, path: Path, offset: int) -> None:
        try:
            self._offsets[path.name] = (offset, _digest(path, offset))
        except FileNotFoundError:  # given up while it was read: there is nothing left to come back to
            self._offsets.pop(path.name, None)

    def full(self) -> bool:
        return self._count >= 5000 or len(self._predictions) >= 20_000

    def write(self, cursor: Connection) -> None:
        for name, rows in self._rows.items():
            if rows:
                _upsert(cursor, TABLES[name], list(rows.values()))
        if self._predictions:
            _insert(cursor, PREDICTIONS, self._predictions)
        for session_id, at in self._ended.items():
            cursor.execute(
                "UPDATE sessions SET ended_at = make_timestamp((? * 1e6)::BIGINT) WHERE session_id = ?",
                [at, session_id],
            )
        for file, (offset, digest) in self._offsets.items():
            cursor.execute('DELETE FROM _journals WHERE "file" = ?', [file])
            cursor.execute("INSERT INTO _journals VALUES (?, ?, ?)", [file, offset, digest])


def _upsert(cursor: Connection, table: Table, rows: list[Row]) -> None:
    """Insert rows, in place of those with the same keys.

    No index keeps the keys: it would slow every insert to serve the rare amendment.
    """
    keys = {name: table.columns[name] for name in table.key}
    same = " AND ".join(f"t.{quoted(key[0])} IS NOT DISTINCT FROM {_column(key)}" for key in keys.items())
    cursor.execute(
        f"DELETE FROM {table.name} t USING (SELECT unnest(from_json(?, ?)) r) WHERE {same}",
        [_text([{name: row.get(name) for name in keys} for row in rows]), _shape(keys)],
    )
    _insert(cursor, table, rows)


def _insert(cursor: Connection, table: Table, rows: list[Row]) -> None:
    """Add rows. They travel as one JSON text: DuckDB unpacks it 40 times faster than it binds parameters row by row."""
    cursor.execute(
        f"INSERT INTO {table.name} SELECT {', '.join(map(_column, table.columns.items()))} "
        "FROM (SELECT unnest(from_json(?, ?)) r)",
        [_text(rows), _shape(table.columns)],
    )


def _one_by_one(predictions: Event) -> Iterator[Row]:
    """The rows of an event that holds them by column."""
    inputs, outputs = (_rows_of(predictions[side]) for side in ("inputs", "outputs"))
    about = {"endpoint_id": predictions["endpoint_id"], "bundle_id": predictions.get("bundle_id")}
    for request_id, first, count, at, seconds, batch_size in predictions["spans"]:
        batch = {**about, "request_id": request_id, "at": at, "seconds": seconds, "batch_size": batch_size}
        for row in range(first, first + count):
            yield {**batch, "row": row, "inputs": next(inputs, {}), "outputs": next(outputs, {})}


def _rows_of(columns: dict[str, list[Any]]) -> Iterator[Row]:
    names = list(columns)
    return (dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _column(column: tuple[str, str]) -> str:
    name, kind = column
    # TRY: a time that is none (NaN) is NULL, instead of an error that would keep every other row out.
    field = f"r.{quoted(name)}"
    return f"TRY(make_timestamp(({field} * 1e6)::BIGINT))" if kind == "TIMESTAMP" else field


def _shape(columns: dict[str, str]) -> str:
    """The JSON form of the columns: times are seconds since the epoch there."""
    return json.dumps([{name: "DOUBLE" if kind == "TIMESTAMP" else kind for name, kind in columns.items()}])


def _text(rows: list[Row]) -> str:
    text = _encode(rows)
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates, which SQL text cannot hold
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def _sizes(folder: Path) -> dict[str, int]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.name.endswith(".jsonl")}
    except FileNotFoundError:
        return {}


def _digest(path: Path, offset: int) -> int:
    begin = max(0, offset - _WINDOW)
    with path.open("rb") as file:
        file.seek(begin)
        return zlib.crc32(file.read(offset - begin))


def _has_line(tail: Tail) -> bool:
    """Whether a complete line follows; a torn end alone is nothing to open the database for."""
    with tail.path.open("rb") as file:
        file.seek(tail.offset)
        return any(b"\n" in part for part in iter(lambda: file.read(1 << 16), b""))
