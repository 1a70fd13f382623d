"""What a cell could load: the names in its text, and whatever the code behind those names loads in turn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlmagic.analysis import CellFacts
from mlmagic.capture.names import Entry
from mlmagic.records import ReadHow

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_AT_NAME = re.compile(r"@([A-Za-z_]\w*)")
_SQL_CALLS = frozenset({"sql", "execute", "query", "from_query"})
_TABULAR = frozenset({"DataFrame", "LazyFrame", "Series", "Table", "RecordBatch", "Dataset", "ndarray", "dict", "list"})


@dataclass(slots=True)
class Reach:
    """What the cell could read, bind and depend on; an upper bound."""

    reads: dict[str, ReadHow] = field(default_factory=dict)
    stores: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)
    dynamic: bool = False
    environment: bool = False
    missing: set[str] = field(default_factory=set)  # names it asks for and that are not there


class _Closure:
    """Follows names through the code they stand for, with what the cell has surely bound on the way."""

    def __init__(self, facts: CellFacts, entries: Mapping[str, Entry]) -> None:
        self.facts = facts
        self.entries = entries
        self.found = Reach()
        self._done: set[tuple[str, frozenset[str]]] = set()

    def follow(self, name: str, bound: frozenset[str], how: ReadHow) -> None:
        queue = [(name, bound, how)]
        while queue:
            name, bound, how = queue.pop()
            if (name, bound) in self._done:
                continue
            self._done.add((name, bound))
            own = self.facts.functions.get(name)
            if own is not None:
                self.found.stores |= own.stores
                self.found.dynamic |= own.dynamic
                queue += [(inner, bound, "closure") for inner in own.loads]
            entry = self.entries.get(name)
            if name in bound:
                continue
            if entry is None:
                self.found.missing.add(name)
            else:
                self._read(name, entry, how)
                queue += [(inner, bound, "closure") for inner in entry.snapshot.names]

    def _read(self, name: str, entry: Entry, how: ReadHow) -> None:
        if self.found.reads.get(name) != "name":
            self.found.reads[name] = how
        seen = entry.snapshot
        self.found.stores |= seen.stores
        self.found.modules |= seen.modules
        self.found.packages |= seen.packages
        self.found.dynamic |= seen.dynamic
        self.found.environment |= seen.environment


def reach(facts: CellFacts, entries: Mapping[str, Entry], namespace: Mapping[str, Any]) -> Reach:
    """Names with a version that the cell could load before binding them itself, and what follows from them.

    Parameters
    ----------
    facts : CellFacts
        The cell's text, analysed.
    entries : mapping
        Names that have a version now.
    namespace : mapping
        The values, consulted only for strings that may name variables (``df.query(text)``, SQL).
    """
    closure = _Closure(facts, entries)
    for name, bound in facts.loads.items():
        closure.follow(name, bound, "name")
    for name in _named_in_text(facts, closure.found, entries, namespace):
        closure.follow(name, frozenset(), "dynamic")
    found = closure.found
    found.dynamic |= facts.dynamic
    if found.dynamic:
        for name in entries:
            if name not in found.reads:
                closure.follow(name, frozenset(), "dynamic")
    found.environment |= bool({"environ", "getenv"} & (facts.attributes | facts.loads.keys()))
    return found


def _named_in_text(
    facts: CellFacts, found: Reach, entries: Mapping[str, Entry], namespace: Mapping[str, Any]
) -> set[str]:
    """Names that pandas and DuckDB look up in their caller's frame, from strings the cell can load."""
    named = {name for name in facts.sql_names if name in entries and _is_tabular(namespace.get(name))}
    texts = [namespace[name] for name in found.reads if type(namespace.get(name)) is str]
    called = facts.attributes | facts.loads.keys()
    if {"query", "eval"} & called:
        named |= {name for text in (*texts, *facts.strings) for name in _AT_NAME.findall(text) if name in entries}
    if _SQL_CALLS & called:
        words = {word for text in texts for word in _IDENTIFIER.findall(text)}
        named |= {word for word in words if word in entries and _is_tabular(namespace.get(word))}
    return named


def _is_tabular(value: object) -> bool:
    return bool({base.__name__ for base in type(value).__mro__} & _TABULAR)
