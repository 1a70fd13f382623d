"""Changes between two cells: threads and tasks still at work, callbacks of widgets.

They belong to the execution that started what is at work, else to the one before: a new version of its own, or
another state of the one it wrote.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mlmagic.capture.changes import write_variable
from mlmagic.capture.ledger import Ledger
from mlmagic.capture.live import LiveWatch
from mlmagic.capture.names import Names
from mlmagic.fingerprint import Snapshot
from mlmagic.records import Amendment, WriteHow


class LateChanges:
    """Remembers the last execution and the last that left something running, to put down to them what happens."""

    def __init__(self, names: Names, live: LiveWatch) -> None:
        self._names = names
        self._live = live
        self._last = _Author()
        self._starter = _Author()

    def after(self, ledger: Ledger, reached: set[str]) -> None:
        """A cell has ended: note what it wrote, and what it may go on changing."""
        versions = [made for made in ledger.versions.values() if made.kind == "variable"]
        written = {made.name: made.version_id for made in versions if made.execution_id == ledger.execution_id}
        self._last = _Author(ledger.execution_id, written, reached | written.keys())
        if self._live.started():
            self._last.watched |= self._starter.watched
            self._starter = self._last
        elif not self._live.running():
            self._starter = _Author()
        else:  # what runs may have been handed what this cell made
            self._starter.watched |= self._last.watched

    def settle(self) -> Amendment | None:
        """What changed since the last execution ended."""
        if not self._last.execution_id:
            return None
        author = self._starter if self._starter.execution_id else self._last
        ledger = Ledger(author.execution_id)
        bound, gone = self._names.rebound()
        for name in gone:
            version_id = author.version_id(name)
            self._names.forget(name, ledger.write("variable", name, None, "delete", version_id=version_id))
        for name, value in bound.items():
            self._write(ledger, author, name, self._names.look(value), "bind")
        if self._starter.execution_id:
            self._recheck(ledger, author, but=set(bound))
        author.written |= {made.name: made.version_id for made in ledger.versions.values()}
        return ledger.amendment() if ledger else None

    def _recheck(self, ledger: Ledger, author: _Author, but: set[str]) -> None:
        entries = self._names.entries
        watched = {name for name in author.watched if name in entries}
        footprints = [entries[name].snapshot for name in watched]
        for name in {*watched, *self._names.sharing(footprints, watched)} - but:
            if entries[name].snapshot.constant:
                continue
            seen = self._names.look(self._names.namespace[name])
            if seen.opaque or seen.fingerprint != entries[name].snapshot.fingerprint:
                self._write(ledger, author, name, seen, "mutate")
        if not self._live.running():
            self._starter = _Author()

    def _write(self, ledger: Ledger, author: _Author, name: str, seen: Snapshot, how: WriteHow) -> None:
        """A version of the author's; readers of it also read what later cells had made of the name by then."""
        earlier = self._names.entries.get(name)
        write_variable(self._names, ledger, name, seen, how, author.version_id(name))
        entry = self._names.entries[name]
        if earlier is not None and how == "mutate":
            found = {made for made in (earlier.version_id, *earlier.before) if made > author.execution_id}
            between = tuple(sorted(made for made in found if not made.startswith(author.execution_id)))
            self._names.entries[name] = replace(entry, before=between)


@dataclass(slots=True)
class _Author:
    """An execution that what happens between cells may be put down to."""

    execution_id: str = ""
    written: dict[str, str] = field(default_factory=dict)  # variable -> the version that it wrote
    watched: set[str] = field(default_factory=set)  # names that what it left running may change

    def version_id(self, name: str) -> str:
        return self.written.get(name) or f"{self.execution_id}-late-{name}"
