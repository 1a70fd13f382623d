"""`%%track`: the body is the cell. An input transformer takes the line away; what stands here is its help."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.magics._options import completer


@magics_class
class TrackMagics(Magics):
    """`%%track`."""

    @no_var_expand
    @magic_arguments()
    @argument("name", nargs="?", help="a name to find this cell by: %%lineage NAME, %%slice NAME")
    @argument("--reuse", action="store_true", help="take its results from an earlier run, if nothing changed")
    @argument("--no-reuse", dest="reuse", action="store_false", help="run it, whatever is known of it")
    @argument("--tag", action="append", metavar="KEY=VALUE", help="a label; may be repeated")
    @argument("--metric", action="append", metavar="NAME", help="variable to keep as a metric when the cell ends")
    @argument("--param", action="append", metavar="NAME", help="variable to keep as a parameter when the cell ends")
    @cell_magic
    def track(self, line: str, cell: str) -> Any:
        """Run the cell under a name.

        The cell runs as it would without this line: same output, same exception, same `Out`. Where nothing that
        it reads has changed since an earlier run, also in an earlier kernel, that run's results are put in place
        instead, and one line tells what this saved; `%reuse` says more.

        Examples::

            %%track train --metric auc --tag data=2026-11
            model = fit(X, y)
            auc = score(model)
        """
        raise UsageError("%%track must be the first line of its cell")


COMPLETERS = {"track": completer(TrackMagics.track, names_after=("--metric", "--param"))}
