"""The step from what a user types to a row: a target's text comes in, a version or an execution goes out."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable

from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.graph import words
from mlmagic.graph.index import Index
from mlmagic.records import Execution, History, Version

_COUNT = re.compile(r"\[?\s*(\d+)\s*\]?")
_LATER = ("metric", "bundle", "endpoint")  # targets whose rows a history does not hold


def resolve(history: History, target: str) -> Version | Execution:
    """The version or execution that `target` names; the newest session that knows it wins.

    Parameters
    ----------
    history
        Rows of one or more sessions.
    target
        A variable, `name@EXECUTION`, `[N]` or `N`, `cell:ID`, a name given by `%%track`, `file:PATH`.
        A bare word is a variable first, then a cell's name, then a file.

    Returns
    -------
    A variable that was deleted gives its last version; `deleted_by` says so.

    Raises
    ------
    UnknownNameError
        Nothing is called that; the nearest name is offered.
    MisuseError
        The kind of target exists but cannot be traced.
    """
    return find(Index.of(history), target)


def find(index: Index, target: str) -> Version | Execution:
    """`resolve` for callers that hold an index already."""
    text = target.strip()
    prefix, colon, rest = text.partition(":")
    if colon and prefix in _LATER:
        raise MisuseError(f"{prefix}:NAME cannot be traced yet; name the variable or the cell instead")
    if colon and prefix == "cell":
        return _cell(index, rest)
    if colon and prefix == "file":
        return _file(index, rest)
    for attempt in (_variable, _named_cell, _any_file, _counted, _by_id, _anything, _at):
        found = attempt(index, text)
        if found is not None:
            return found
    raise UnknownNameError.among("variable, cell or file", text, _known(index))


def deleted_by(index: Index, version: Version) -> Execution | None:
    """The later execution of the same session that deleted the name, if it is still gone at the end."""
    producer = index.producer(version)
    if producer is None:
        return None
    same = [row for row in _versions(index, version.name, version.kind) if _session(index, row) == producer.session_id]
    last = _latest(index, same)
    return index.producer(last) if last is not None and index.is_deletion(last) else None


def newest_session(index: Index) -> str | None:
    """The session that began last."""
    return max((row.session_id for row in index.history.executions), default=None)


def _variable(index: Index, text: str) -> Version | None:
    return _latest_alive(index, _versions(index, text, "variable"))


def _named_cell(index: Index, text: str) -> Execution | None:
    return _last_execution(index, lambda row: row.name == text)


def _any_file(index: Index, text: str) -> Version | None:
    path = posixpath.normpath(text) if text else text
    return _latest_alive(index, (row for row in index.history.versions if row.kind == "file" and _path(row) == path))


def _counted(index: Index, text: str) -> Execution | None:
    found = _COUNT.fullmatch(text)
    if found is None:
        return None
    number = int(found[1])
    execution = _last_execution(index, lambda row: row.execution_count == number)
    if execution is None:
        counts = {row.execution_count for row in index.history.executions if row.execution_count is not None}
        raise UnknownNameError.among("execution", f"[{number}]", (f"[{n}]" for n in sorted(counts)))
    return execution


def _by_id(index: Index, text: str) -> Execution | Version | None:
    return index.executions.get(text) or index.versions.get(text)


def _anything(index: Index, text: str) -> Version | None:
    return _latest_alive(index, _versions(index, text, None))


def _at(index: Index, text: str) -> Version | None:
    """`name@EXECUTION`: the state of the name when that execution had ended."""
    name, at, moment = text.rpartition("@")
    if not at or not name:
        return None
    execution = _moment(index, moment.strip())
    kind = "file" if name.startswith("file:") else None
    place = index.position[execution.execution_id]
    known = [row for row in _versions(index, name.removeprefix("file:"), kind) if _place(index, row) <= place]
    here = [row for row in known if _session(index, row) in (execution.session_id, None)]
    found = _latest_alive(index, (row for row in here if kind or row.kind == "variable")) or _latest_alive(index, here)
    if found is None:
        raise UnknownNameError.among(
            f"variable at {words.count(execution)}", name, _alive_names(index, place, execution.session_id)
        )
    return found


def _moment(index: Index, text: str) -> Execution:
    """The execution after an `@`: its name, `[N]`, N, `cell:ID` or its id."""
    if text.startswith("cell:"):
        return _cell(index, text.removeprefix("cell:"))
    found = _named_cell(index, text) or _counted(index, text) or index.executions.get(text)
    if found is None:
        raise UnknownNameError.among("execution", text, _executions(index))
    return found


def _cell(index: Index, cell_id: str) -> Execution:
    found = _last_execution(index, lambda row: row.cell_id == cell_id)
    if found is None:
        raise UnknownNameError.among("cell", cell_id, (row.cell_id for row in index.history.executions))
    return found


def _file(index: Index, path: str) -> Version:
    found = _any_file(index, path) or _at(index, f"file:{path}")
    if found is None:
        raise UnknownNameError.among("file", path, (row.name for row in index.history.versions if row.kind == "file"))
    return found


def _versions(index: Index, name: str, kind: str | None) -> list[Version]:
    wanted = posixpath.normpath(name) if kind == "file" else name
    rows = index.history.versions
    return [row for row in rows if (kind is None or row.kind == kind) and (row.name == name or _path(row) == wanted)]


def _path(version: Version) -> str | None:
    return posixpath.normpath(version.name) if version.kind == "file" else None


def _latest_alive(index: Index, versions: Iterable[Version]) -> Version | None:
    return _latest(index, (row for row in versions if not index.is_deletion(row)))


def _latest(index: Index, versions: Iterable[Version]) -> Version | None:
    return max(versions, key=lambda row: (_session(index, row) or "", _place(index, row), row.version_id), default=None)


def _last_execution(index: Index, wanted: Callable[[Execution], bool]) -> Execution | None:
    rows = (row for row in index.history.executions if wanted(row))
    return max(rows, key=lambda row: (row.session_id, index.position[row.execution_id]), default=None)


def _session(index: Index, version: Version) -> str | None:
    producer = index.producer(version)
    return producer.session_id if producer else None


def _place(index: Index, version: Version) -> int:
    producer = index.producer(version)
    return index.position[producer.execution_id] if producer else -1


def _alive_names(index: Index, place: int, session: str) -> list[str]:
    rows = (row for row in index.history.versions if row.kind == "variable" and _session(index, row) == session)
    return [row.name for row in rows if _place(index, row) <= place]


def _executions(index: Index) -> list[str]:
    rows = index.history.executions
    return [row.name for row in rows if row.name] + [words.count(row) for row in rows]


def _known(index: Index) -> list[str]:
    variables = [row.name for row in index.history.versions if row.kind == "variable"]
    cells = [row.name for row in index.history.executions if row.name]
    files = [row.name for row in index.history.versions if row.kind == "file"]
    return variables + cells + files + [f"file:{path}" for path in files]
