"""IPython's own names (`_`, `Out[3]`, `In`): versions that come to be only when a cell reads them."""

from __future__ import annotations

from collections.abc import Iterable

from mlmagic.capture.ledger import Ledger
from mlmagic.capture.names import ALL_OUTPUTS, INPUT_NAME, LAST_OUTPUTS, OUTPUT_NAME, Names, entry_for
from mlmagic.fingerprint import describe
from mlmagic.records import Version


class Displayed:
    """Which execution displayed which numbered output."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._makers: dict[int, str] = {}

    def add(self, count: int, execution_id: str) -> None:
        self._makers[count] = execution_id
        self._names.entries.pop(f"_{count}", None)

    def read(self, loads: Iterable[str], ledger: Ledger) -> list[str]:
        """Versions for the history names among `loads`, credited to the cells that displayed them.

        Returns the numbered names, which from now on are tracked like any other.
        """
        wanted: set[int] = set()
        for name in loads:
            if INPUT_NAME.match(name):
                ledger.read(ledger.found("variable", "In", None), "name")
            wanted |= self._counts(name)
        return [name for count in sorted(wanted) if (name := self._read_output(count, ledger))]

    def _counts(self, name: str) -> set[int]:
        if OUTPUT_NAME.match(name):
            return {int(name[1:])} & self._makers.keys()
        if name in ALL_OUTPUTS:
            return set(self._makers)
        if name in LAST_OUTPUTS:
            back = LAST_OUTPUTS.index(name) + 1
            return set(sorted(self._makers)[-back:][:1])
        return set()

    def _read_output(self, count: int, ledger: Ledger) -> str | None:
        name = f"_{count}"
        if name not in self._names.namespace:
            return None
        if name not in self._names.entries:
            self._credit(name, self._makers[count], ledger)
        ledger.read(self._names.entries[name].version_id, "name")
        return name

    def _credit(self, name: str, maker: str, ledger: Ledger) -> None:
        value = self._names.namespace[name]
        seen, about = self._names.look(value), describe(name, value)
        version = Version(
            f"{maker}-out", "variable", name, maker, seen.fingerprint, about.type, about.shape, about.nbytes
        )
        ledger.credit(version)
        self._names.entries[name] = entry_for(version.version_id, value, seen)
