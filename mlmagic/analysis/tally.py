"""Inside `analysis`: what a walk over code has met so far; facts are made from it at the end."""

from __future__ import annotations

from collections.abc import Mapping

from .facts import CodeFacts
from .strings import identifiers

MAX_STRING = 10_000  # characters; longer constants are data, not paths or SQL

# Loading one of these names can reach every global variable.
DYNAMIC_NAMES = frozenset({"exec", "eval", "globals", "get_ipython"})
# Using one of these attributes can: frames, a function's globals, saved interpreter states.
DYNAMIC_ATTRIBUTES = frozenset(
    {"f_globals", "f_locals", "f_back", "__globals__", "user_ns", "user_global_ns"}
    | {"dump_session", "load_session", "dump_module", "load_module"}
)


class Tally:
    """Facts in the making, of a cell or of one function.

    `bound` is always the set of global names surely bound (or deleted) by this code before that point.
    """

    def __init__(self) -> None:
        self.loads: dict[str, frozenset[str]] = {}
        self.uses: dict[str, frozenset[str]] = {}  # as `loads`, with names that were bound before
        self.called: dict[str, frozenset[str]] = {}
        self.stores: set[str] = set()
        self.deletes: set[str] = set()
        self.dynamic = False
        self.strings: dict[str, None] = {}
        self.attributes: set[str] = set()
        self.imports: set[str] = set()
        self.sql_names: set[str] = set()
        self.unknown_sql = False  # a query came from a variable: its text may be any string here

    def use(self, name: str, bound: frozenset[str]) -> bool:
        """Note a load of `name`; True when this says something new."""
        if name not in bound:
            _narrow(self.loads, name, bound)
        return _narrow(self.uses, name, bound)

    def call(self, name: str, bound: frozenset[str]) -> None:
        """Note that `name` stands at the root of a call."""
        _narrow(self.called, name, bound)

    def string(self, text: str) -> None:
        """Note a string constant."""
        if len(text) <= MAX_STRING:
            self.strings[text] = None

    def absorb(self, facts: CodeFacts, bound: frozenset[str]) -> list[str]:
        """Note that code with these facts may run here; names whose loads this says something new of."""
        self.dynamic = self.dynamic or facts.dynamic
        self.strings.update(dict.fromkeys(facts.strings))
        self.attributes |= facts.attributes
        self.imports |= facts.imports
        self.sql_names |= facts.sql_names - bound
        return [name for name in facts.loads if self.use(name, bound)]

    def follow(self, functions: Mapping[str, CodeFacts]) -> None:
        """Absorb, transitively, every one of `functions` whose name is loaded."""
        queue = [name for name in self.uses if name in functions]
        while queue:
            name = queue.pop()
            queue += (new for new in self.absorb(functions[name], self.uses[name]) if new in functions)

    def code_facts(self) -> CodeFacts:
        """What has been noted, as the facts of a function."""
        return CodeFacts(
            loads=frozenset(self.loads),
            stores=frozenset(self.stores),
            deletes=frozenset(self.deletes),
            dynamic=self.dynamic,
            strings=tuple(self.strings),
            attributes=frozenset(self.attributes),
            imports=frozenset(self.imports),
            sql_names=self.all_sql_names(),
        )

    def all_sql_names(self) -> frozenset[str]:
        """Identifiers of the queries; of every string when a query's text was not in sight."""
        if not self.unknown_sql:
            return frozenset(self.sql_names)
        return frozenset(self.sql_names).union(*map(identifiers, self.strings))


def _narrow(points: dict[str, frozenset[str]], name: str, bound: frozenset[str]) -> bool:
    known = points.get(name)
    if known is None:
        points[name] = bound
        return True
    if known <= bound:
        return False
    points[name] = known & bound
    return True
