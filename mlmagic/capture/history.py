"""IPython's own names (`_`, `Out[3]`, `In`): versions that come to be only when a cell reads them."""

from __future__ import annotations

from collections.abc import Iterable

from mlmagic.capture.ledger import Ledger
from mlmagic.capture.names import ALL_OUTPUTS, INPUT_NAME, LAST_OUTPUTS, OUTPUT_NAME, Names, entry_for, is_history
from mlmagic.fingerprint import describe
from mlmagic.records import Version


class Displayed:
    """Which execution displayed which numbered output, and which bound a name of IPython's to something else."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._makers: dict[int, str] = {}
        self._taken: dict[str, tuple[str, int]] = {}  # name -> the execution that bound it, identity of the value

    def begin(self) -> None:
        """Let go of names that are IPython's again."""
        for name, (_, identity) in list(self._taken.items()):
            if id(self._names.namespace.get(name)) != identity:
                del self._taken[name]
                self._names.entries.pop(name, None)

    def add(self, count: int, execution_id: str) -> None:
        """`Out[count]` is what this execution displayed."""
        self._makers[count] = execution_id
        self._names.entries.pop(f"_{count}", None)

    def bound(self, binds: Iterable[str], execution_id: str) -> None:
        """The user's own code bound these names, as in ``_, axes = plt.subplots()``."""
        for name in binds:
            if is_history(name) and name in self._names.namespace:
                self._taken[name] = execution_id, id(self._names.namespace[name])

    def read(self, loads: Iterable[str], ledger: Ledger) -> list[str]:
        """Versions for the history names among `loads`, credited to the cells that displayed or bound them.

        Returns the names that the cell reads by them; from now on they are tracked like any other.
        """
        found: dict[str, None] = {}
        for name in filter(is_history, loads):
            if name in self._taken:
                maker, _ = self._taken[name]
                found.update(dict.fromkeys(self._read(name, f"{maker}-{name}", maker, ledger)))
            elif INPUT_NAME.match(name):
                ledger.read(ledger.found("variable", "In", None), "name")
            for count in sorted(self._counts(name)):
                maker = self._makers[count]
                found.update(dict.fromkeys(self._read(f"_{count}", f"{maker}-out", maker, ledger)))
        return list(found)

    def _counts(self, name: str) -> set[int]:
        if name in self._taken:
            return set()
        if OUTPUT_NAME.match(name):
            return {int(name[1:])} & self._makers.keys()
        if name in ALL_OUTPUTS:
            return set(self._makers)
        if name in LAST_OUTPUTS:
            back = LAST_OUTPUTS.index(name) + 1
            return set(sorted(self._makers)[-back:][:1])
        return set()

    def _read(self, name: str, version_id: str, maker: str, ledger: Ledger) -> list[str]:
        """The name, and names whose object it shares where these were changed after it was displayed."""
        names = self._names
        if name not in names.namespace:
            return []
        if name in names.entries:
            return [name]
        value = names.namespace[name]
        seen, about = names.look(value), describe(name, value)
        version = Version(version_id, "variable", name, maker, seen.fingerprint, about.type, about.shape, about.nbytes)
        ledger.credit(version)
        names.entries[name] = entry_for(version.version_id, value, seen)
        sharing = [] if seen.constant else names.sharing([seen], {name})
        return [name, *(other for other in sharing if names.entries[other].version_id > version_id)]
