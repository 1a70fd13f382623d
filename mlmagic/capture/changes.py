"""Which variables a cell changed: rebound names first, then everything it could reach, then whoever shares it."""

from __future__ import annotations

from dataclasses import dataclass

from mlmagic.analysis import CellFacts
from mlmagic.capture.ledger import Ledger
from mlmagic.capture.names import Names, entry_for
from mlmagic.capture.reach import Reach
from mlmagic.fingerprint import Snapshot, describe
from mlmagic.records import WriteHow


@dataclass(frozen=True, slots=True)
class Changes:
    """Finds the changes of one cell among the variables and writes them to its ledger."""

    names: Names
    facts: CellFacts
    reach: Reach
    ledger: Ledger

    def find(self) -> None:
        entries = self.names.entries
        touched = {name: entries[name].snapshot for name in self.reach.reads if name in entries}
        touched = {name: seen for name, seen in touched.items() if not seen.constant}
        bound, gone = self.names.rebound()
        checked = {*bound, *gone}
        # A rebound name's old object may have been changed before it was let go of.
        upset = [seen for name, seen in touched.items() if name in checked]
        for name in self._suspects(touched, checked):
            if self._recheck(name) and name in touched:
                upset.append(touched[name])
            checked.add(name)
        if upset:
            for name in self.names.sharing(upset, checked):
                self._recheck(name)
        for name in gone:
            self.ledger.write("variable", name, None, "delete")
            del entries[name]
        for name, value in bound.items():
            write_variable(self.names, self.ledger, name, self.names.look(value), "bind")

    def _suspects(self, touched: dict[str, Snapshot], checked: set[str]) -> list[str]:
        """Names that still refer to an object at the same address, whose content may be another.

        An address alone proves nothing for names that the cell can rebind: the old object may be gone
        and a new one stand in its place.
        """
        entries = self.names.entries
        bindable = self.facts.binds | self.facts.deletes | self.reach.stores
        possible = list(entries) if self.reach.dynamic else [name for name in bindable if name in entries]
        replaced = [name for name in possible if name not in touched and not entries[name].anchored]
        return [name for name in (*touched, *replaced) if name not in checked]

    def _recheck(self, name: str) -> bool:
        """Look at a name again; whether its content, or what it shares with others, changed."""
        entry, value = self.names.entries[name], self.names.namespace[name]
        seen = self.names.look(value)
        if not seen.opaque and seen.fingerprint == entry.snapshot.fingerprint:
            self.names.entries[name] = entry_for(entry.version_id, value, seen)
            return seen.ids != entry.snapshot.ids or seen.spans != entry.snapshot.spans
        self.ledger.read(entry.version_id, self.reach.reads.get(name, "closure"))
        write_variable(self.names, self.ledger, name, seen, "mutate")
        return True


def write_variable(
    names: Names, ledger: Ledger, name: str, seen: Snapshot, how: WriteHow, version_id: str | None = None
) -> None:
    """Write the version of a variable as it is now, and remember what it referred to."""
    value = names.namespace[name]
    made = ledger.write("variable", name, seen.fingerprint, how, describe(name, value), version_id=version_id)
    names.entries[name] = entry_for(made, value, seen)
