"""What `analysis` hands on: the facts of one cell's text, and of one function's code, as frozen values.

Everything here is an upper bound of what running the code can do to the global namespace, except where
a field says "surely". Names include builtins (`print`, `len`): who knows the namespace intersects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What calling a function, or a method of a class, could do to the global namespace.

    Attributes
    ----------
    loads : frozenset of str
        Global names it could load, those of nested functions included.
    stores, deletes : frozenset of str
        Names it declares `global` and could bind or delete.
    dynamic : bool
        It could load or bind anything: `exec`, `eval`, `globals()`, `get_ipython()`, `import __main__`.
    strings : tuple of str
        String constants (paths, SQL), each once, none longer than 10 000 characters.
    attributes : frozenset of str
        Attribute names it uses.
    imports : frozenset of str
        Dotted names of the modules it imports; relative imports begin with dots.
    sql_names : frozenset of str
        Identifiers in the strings given to `sql`, `query`, `execute`, `from_query`: possible loads of
        tables and data frames, most of them keywords and columns.
    """

    loads: frozenset[str] = _NONE
    stores: frozenset[str] = _NONE
    deletes: frozenset[str] = _NONE
    dynamic: bool = False
    strings: tuple[str, ...] = ()
    attributes: frozenset[str] = _NONE
    imports: frozenset[str] = _NONE
    sql_names: frozenset[str] = _NONE

    @classmethod
    def merged(cls, parts: Iterable[CodeFacts]) -> CodeFacts:
        """The facts of code that could be any of `parts`."""
        parts = tuple(parts)
        if len(parts) == 1:
            return parts[0]
        return cls(
            loads=_NONE.union(*(part.loads for part in parts)),
            stores=_NONE.union(*(part.stores for part in parts)),
            deletes=_NONE.union(*(part.deletes for part in parts)),
            dynamic=any(part.dynamic for part in parts),
            strings=tuple(dict.fromkeys(text for part in parts for text in part.strings)),
            attributes=_NONE.union(*(part.attributes for part in parts)),
            imports=_NONE.union(*(part.imports for part in parts)),
            sql_names=_NONE.union(*(part.sql_names for part in parts)),
        )


@dataclass(frozen=True, slots=True)
class CellFacts:
    """What running one cell could do, from its text alone.

    `dynamic`, `strings`, `attributes`, `imports` and `sql_names` speak of the cell's own statements and of
    those functions of the cell that running it could call; a function that is only defined keeps its
    share in `functions` until a later cell calls it.

    Attributes
    ----------
    source_hash : str
        Equal for texts that differ in comments, blank lines and layout only.
    loads : mapping of str to frozenset of str
        Global name the cell could load before binding it itself -> names surely bound or deleted by this
        cell before every such load. What an earlier cell's function of that name loads in turn is a read
        of this cell unless it is in that set (or, then, among `functions`).
    called : mapping of str to frozenset of str
        The same for names at the root of a call (`f` in `f(x)`, `np` in `np.random.seed(0)`), names the
        cell bound before included.
    functions : mapping of str to CodeFacts
        Name -> what calling the functions, lambdas and classes defined here under it could do.
    binds : frozenset of str
        Names the cell's own statements may bind.
    sure_binds : frozenset of str
        Names surely bound when the cell ran to its end.
    deletes : frozenset of str
        Names the cell's own statements may delete, `except ... as name` included.
    dynamic : bool
        It could load or bind anything.
    star_imports : frozenset of str
        Modules of `from module import *`: it could bind any of their names.
    imports, strings, attributes, sql_names
        As in `CodeFacts`.
    effects : frozenset of str
        Dotted paths of calls whose value is dropped (`pd.set_option` in `pd.set_option(...)`) and of stores
        into attributes and items (`pd.options.display.width = 1`).
    last_effects : frozenset of str
        The same in the cell's last expression, whose value the notebook may show instead.
    magics : frozenset of str
        Names of the magics it runs; `!` stands for a shell command.
    awaits : bool
        It has an `await` outside any function.
    error : str or None
        Why the text does not parse; then all else but `source_hash` is empty.
    """

    source_hash: str
    loads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    called: Mapping[str, frozenset[str]] = field(default_factory=dict)
    functions: Mapping[str, CodeFacts] = field(default_factory=dict)
    binds: frozenset[str] = _NONE
    sure_binds: frozenset[str] = _NONE
    deletes: frozenset[str] = _NONE
    dynamic: bool = False
    star_imports: frozenset[str] = _NONE
    imports: frozenset[str] = _NONE
    strings: tuple[str, ...] = ()
    attributes: frozenset[str] = _NONE
    sql_names: frozenset[str] = _NONE
    effects: frozenset[str] = _NONE
    last_effects: frozenset[str] = _NONE
    magics: frozenset[str] = _NONE
    awaits: bool = False
    error: str | None = None
