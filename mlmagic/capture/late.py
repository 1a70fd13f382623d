"""Changes between two cells: threads and tasks still at work, callbacks of widgets.

They belong to the execution before: a new version of its own, or another state of the one it wrote.
"""

from __future__ import annotations

from mlmagic.capture.changes import write_variable
from mlmagic.capture.ledger import Ledger
from mlmagic.capture.live import LiveWatch
from mlmagic.capture.names import Names
from mlmagic.records import Amendment


class LateChanges:
    """Remembers the last execution, so that what happens after it can be put down to it."""

    def __init__(self, names: Names, live: LiveWatch) -> None:
        self._names = names
        self._live = live
        self._execution_id: str | None = None
        self._written: dict[str, str] = {}  # variable -> version that the last execution wrote
        self._watched: set[str] | None = None  # names that something still running may change

    def after(self, ledger: Ledger, reached: set[str]) -> None:
        """A cell has ended: note what it wrote, and what it may go on changing."""
        self._execution_id = ledger.execution_id
        versions = ledger.versions.values()
        self._written = {
            made.name: made.version_id
            for made in versions
            if made.kind == "variable" and made.execution_id == ledger.execution_id
        }
        earlier = self._watched or set()
        self._watched = earlier | reached | self._written.keys() if self._live.running() else None

    def settle(self) -> Amendment | None:
        """What changed since the last execution ended."""
        if self._execution_id is None:
            return None
        ledger = Ledger(self._execution_id)
        bound, gone = self._names.rebound()
        for name in gone:
            version_id = ledger.write("variable", name, None, "delete", version_id=self._version_id(name))
            self._names.forget(name, version_id)
            self._written[name] = version_id
        for name, value in bound.items():
            seen = self._names.look(value)
            write_variable(self._names, ledger, name, seen, "bind", self._version_id(name))
        if self._watched is not None:
            self._recheck(ledger, but=set(bound))
        self._written |= {made.name: made.version_id for made in ledger.versions.values()}
        return ledger.amendment() if ledger else None

    def _recheck(self, ledger: Ledger, but: set[str]) -> None:
        entries = self._names.entries
        watched = {name for name in self._watched or () if name in entries}
        footprints = [entries[name].snapshot for name in watched]
        for name in {*watched, *self._names.sharing(footprints, watched)} - but:
            seen = self._names.look(self._names.namespace[name])
            if seen.opaque or seen.fingerprint != entries[name].snapshot.fingerprint:
                write_variable(self._names, ledger, name, seen, "mutate", self._version_id(name))
        if not self._live.running():
            self._watched = None

    def _version_id(self, name: str) -> str:
        return self._written.get(name) or f"{self._execution_id}-late-{name}"
