"""Which variables a cell changed: rebound names first, then everything it could reach, then whoever shares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlmagic.analysis import CellFacts
from mlmagic.capture.ledger import Ledger
from mlmagic.capture.names import Entry, Names, entry_for
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
    attributes: frozenset[str]  # used by the cell and by the code behind what it reads

    def find(self, upset_elsewhere: list[Snapshot]) -> list[Snapshot]:
        """Write what changed; returns what it shared with others.

        `upset_elsewhere` are footprints of objects outside of the namespace that may have changed.
        """
        entries = self.names.entries
        touched = {name: entries[name].snapshot for name in self.reach.reads if name in entries}
        touched = {name: seen for name, seen in touched.items() if not seen.constant}
        bound, gone = self.names.rebound()
        checked = {*bound, *gone}
        # A rebound name's old object may have been changed before it was let go of.
        upset = upset_elsewhere + [seen for name, seen in touched.items() if name in checked]
        old = dict(entries)
        self._write_rebound(bound, gone)
        moved: list[str] = []
        for name in self._suspects(touched, checked):
            if (self._recheck(name, moved) or self._reaches_leaves(name)) and name in touched:
                upset.append(touched[name])
            checked.add(name)
        if upset:
            for name in self.names.sharing(upset, checked):
                self._recheck(name, moved)
        for name in moved:
            if self._shares_otherwise(name, old):
                self._write_mutation(name, old[name], entries[name].snapshot)
        return upset

    def _write_rebound(self, bound: dict[str, Any], gone: list[str]) -> None:
        """Write the names that refer to another object now, or to none."""
        for name in gone:
            self.names.forget(name, self.ledger.write("variable", name, None, "delete"))
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

    def _shares_otherwise(self, name: str, old: Mapping[str, Entry]) -> bool:
        """Whether equal content is shared with other names than before: `d["x"] = list(d["x"])` cuts an alias.

        Asked when all has been looked at: each side is compared at its own time, since the address of a freed
        object may belong to another by now.
        """
        entries = self.names.entries
        before, now = old[name].snapshot, entries[name].snapshot
        for other in entries.keys() - {name}:
            shared = other in old and before.overlaps(old[other].snapshot)
            if shared != now.overlaps(entries[other].snapshot):
                return True
        return False

    def _reaches_leaves(self, name: str) -> bool:
        """Whether a backward pass from here may have changed tensors that are no part of its own content."""
        if "torch" not in self.names.entries[name].snapshot.packages:
            return False
        value = self.names.namespace[name]
        return "backward" in self.attributes or getattr(value, "grad_fn", None) is not None

    def _recheck(self, name: str, moved: list[str]) -> bool:
        """Look at a name again; whether its content, or the objects inside, are others now.

        Where only the objects are, the name is added to `moved`.
        """
        entry, value = self.names.entries[name], self.names.namespace[name]
        seen, before = self.names.look(value), entry.snapshot
        if seen.opaque or seen.fingerprint != before.fingerprint:
            self._write_mutation(name, entry, seen)
            return True
        self.names.entries[name] = entry_for(entry.version_id, value, seen, entry.before)
        same = seen.ids == before.ids and seen.spans == before.spans
        if not same:
            moved.append(name)
        return not same

    def _write_mutation(self, name: str, before: Entry, seen: Snapshot) -> None:
        for version_id in (before.version_id, *before.before):
            self.ledger.read(version_id, self.reach.reads.get(name, "closure"))
        write_variable(self.names, self.ledger, name, seen, "mutate")


def write_variable(
    names: Names, ledger: Ledger, name: str, seen: Snapshot, how: WriteHow, version_id: str | None = None
) -> None:
    """Write the version of a variable as it is now, and remember what it referred to."""
    value = names.namespace[name]
    made = ledger.write("variable", name, seen.fingerprint, how, describe(name, value), version_id=version_id)
    names.entries[name] = entry_for(made, value, seen)
    names.gone.pop(name, None)
