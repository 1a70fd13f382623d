"""The first step of every walk over a history: rows come in, dictionaries that answer in constant time go out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlmagic.records import BEFORE, Execution, History, Read, Version, Write


@dataclass(frozen=True, slots=True)
class Index:
    """Who wrote and who read what; all walks go through here."""

    history: History
    executions: dict[str, Execution]
    versions: dict[str, Version]
    position: dict[str, int]  # execution_id -> place in time
    reads: dict[str, list[Read]]  # execution_id -> what it read
    writes: dict[str, list[Write]]  # execution_id -> what it left behind
    readers: dict[str, list[str]]  # version_id -> executions, in time order
    writer: dict[str, Write]  # version_id -> the row that made it

    @classmethod
    def of(cls, history: History) -> Index:
        """Index the rows; reads and writes that name an unknown execution or version are left aside."""
        executions = {row.execution_id: row for row in history.executions}
        versions = {row.version_id: row for row in history.versions}
        index = cls(
            history, executions, versions, {name: place for place, name in enumerate(executions)}, {}, {}, {}, {}
        )
        for read in history.reads:
            if read.execution_id in executions and read.version_id in versions and not _incidental(read, versions):
                index.reads.setdefault(read.execution_id, []).append(read)
                index.readers.setdefault(read.version_id, []).append(read.execution_id)
        for write in history.writes:
            if write.execution_id in executions and write.version_id in versions:
                index.writes.setdefault(write.execution_id, []).append(write)
                index.writer[write.version_id] = write
        for readers in index.readers.values():
            readers[:] = index.in_time(set(readers))
        return index

    def in_time(self, execution_ids: Iterable[str]) -> list[str]:
        """The executions, earliest first."""
        return sorted(execution_ids, key=self.position.__getitem__)

    def producer(self, version: Version) -> Execution | None:
        """The execution that left this version behind; None for what came from outside."""
        write = self.writer.get(version.version_id)
        return self.executions.get(write.execution_id if write else version.execution_id or "")

    def read_by(self, execution_id: str) -> list[Version]:
        """The versions it read, each once, in the order of the rows."""
        return list(
            {row.version_id: self.versions[row.version_id] for row in self.reads.get(execution_id, ())}.values()
        )

    def written_by(self, execution_id: str) -> list[Version]:
        """The versions it left behind, without deletions."""
        rows = self.writes.get(execution_id, ())
        return [self.versions[row.version_id] for row in rows if row.how != "delete"]

    def takes_part(self, execution: Execution) -> bool:
        """Whether an execution read or left behind anything; `before` only where it owns a variable."""
        name = execution.execution_id
        if execution.name == BEFORE:
            return any(row.kind == "variable" for row in self.written_by(name))
        return execution.status != "ok" or bool(self.reads.get(name) or self.writes.get(name))

    def is_deletion(self, version: Version) -> bool:
        """Whether this version only says that the name is gone."""
        write = self.writer.get(version.version_id)
        return write is not None and write.how == "delete"

    def mutated(self, version: Version) -> bool:
        """Whether this version is an in-place change of the same object."""
        write = self.writer.get(version.version_id)
        return write is not None and write.how == "mutate"


def _incidental(read: Read, versions: dict[str, Version]) -> bool:
    """A draw that a package made while it was imported: recorded, but nothing of the user's depends on it."""
    return read.how == "dynamic" and versions[read.version_id].kind == "random"
