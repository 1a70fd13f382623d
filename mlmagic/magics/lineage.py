"""`%lineage`: where something came from, what it feeds, and SQL over all of it."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.errors import MisuseError
from mlmagic.magics._options import completer, one_line, parse

FACES = ("graph", "tree", "table", "json")


@magics_class
class LineageMagics(Magics):
    """`%lineage`."""

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument(
        "target",
        nargs="?",
        help="a variable, name@EXECUTION, [N], cell:ID, a name given by %%%%track, file:PATH; "
        "without it, the whole notebook",
    )
    @argument("--forward", action="store_true", help="what TARGET feeds, instead of where it came from")
    @argument("--depth", type=int, metavar="N", help="at most N executions away")
    @argument("--as", dest="face", default="graph", choices=FACES, help="how to show it (default: graph)")
    @argument("--sql", metavar="QUERY", help="SQL over the store, read-only; returns a pandas data frame")
    @line_magic
    def lineage(self, line: str) -> Any:
        """Show where TARGET came from, or what it feeds.

        Examples::

            %lineage model
            %lineage file:data/train.csv --forward
            %lineage [7] --as table
            %lineage --sql "SELECT name, seconds FROM executions ORDER BY seconds DESC"
        """
        import mlmagic

        query = _sql(line)
        if query is not None:
            return mlmagic.sql(query)
        asked = parse(self.lineage, line)
        if asked.depth is not None and asked.depth < 1:
            raise MisuseError(f"--depth takes a whole number from 1 on, not {asked.depth}")
        return mlmagic.lineage(asked.target, forward=asked.forward, depth=asked.depth).render(asked.face)


def _sql(line: str) -> str | None:
    """Everything after ``--sql``, as typed: quotes inside belong to the query."""
    before, option, query = line.partition("--sql")
    if not option:
        return None
    if before.strip():
        raise MisuseError('--sql takes the whole line: %lineage --sql "SELECT …"')
    text = query.strip().removeprefix("=").strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    if not text:
        raise MisuseError('--sql takes a query: %lineage --sql "SELECT * FROM executions"')
    return text


COMPLETERS = {"lineage": completer(LineageMagics.lineage, names_after=("",))}
