"""Inside `checks`: a rule's syntax tree comes in; what in it leads to files or to the interpreter goes out.

The modules that a rule may take along reach further than a rule has to: ``pandas.io.common.os``, ``numpy.load``,
``().__class__``. Such names are refused wherever they stand behind a point, whatever stands before it, because nobody
can tell what that will be. This keeps what a rule does to what its record tells; it is no sandbox (pandas, for one,
calls methods by their names in texts), so a rule's author has to be trusted all the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

_MODULES = (
    "builtins codecs compat core ctypes ctypeslib distutils enum f2py functools importlib introspect io npyio os "
    "pathlib pickle shutil subprocess sys testing tool util"
)
_FRAMES = "ag_frame cr_frame f_back f_builtins f_globals f_locals gi_frame tb_frame"
_FILES = (
    "DataSource ExcelFile ExcelWriter HDFStore dump dumps fromfile fromregex genfromtxt load loadtxt memmap save "
    "savetxt savez savez_compressed to_clipboard to_csv to_excel to_feather to_gbq to_hdf to_html to_iceberg to_json "
    "to_latex to_markdown to_orc to_parquet to_pickle to_sql to_stata to_xml tofile"
)
_TEXTS_THAT_RUN = "eval format format_map query"  # the fields of a format look up attributes, too

REFUSED = frozenset(" ".join((_MODULES, _FRAMES, _FILES, _TEXTS_THAT_RUN)).split())


def leads_out(name: str) -> bool:
    """Whether a name behind a point is refused; private ones and Python's own are."""
    return name in REFUSED or name.startswith(("_", "read_"))


def is_within(module: str, roots: tuple[str, ...]) -> bool:
    """Whether a module lies in one of these packages, and in no part of it that leads out."""
    root, *parts = module.split(".")
    return root in roots and not any(part in REFUSED for part in parts)


def ways_out(tree: ast.AST) -> Iterator[str]:
    """What to say of each refused name, once."""
    found = dict.fromkeys(name for node in ast.walk(tree) for name in _names(node) if leads_out(name))
    yield from (f"it reaches for .{name}, which no rule that travels may" + _cure(name) for name in found)


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.Attribute(attr=name):
            return [name]
        case ast.MatchClass(kwd_attrs=names):
            return names
        case ast.ImportFrom(names=aliases):
            return [alias.name for alias in aliases]
    return []


def _cure(name: str) -> str:
    return "" if name.startswith("_") else f" (a column of that name is inputs[{name!r}])"
