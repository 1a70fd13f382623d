"""`%reuse`: results of earlier runs: what they saved, why a cell ran, which cells take part."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.magics._options import completer, one_line, parse

ACTIONS = ("status", "auto", "on", "off", "explain", "verify", "clear", "budget")


@magics_class
class ReuseMagics(Magics):
    """`%reuse`."""

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument(
        "action",
        nargs="?",
        default="status",
        choices=ACTIONS,
        help="status (the default): what was computed, saved, hashed and stored; auto (as it is at first): cells under "
        "%%%%track; on: every cell; off: none; explain: why cells ran or did not; verify: every hit is also computed "
        "anew and compared; clear: forget what is kept; budget: how much may be kept",
    )
    @argument("what", nargs="?", help="for explain, a cell: its name, [N] or cell:ID; for budget, a size: 5GB")
    @line_magic
    def reuse(self, line: str) -> Any:
        """Reuse results of earlier runs, also of earlier kernels.

        A cell's own `%%track --reuse` or `--no-reuse` wins over the mode.

        Examples::

            %reuse                  # what it cost and saved
            %reuse explain          # one sentence for each cell
            %reuse explain train    # the cell under `%%track train`
            %reuse on               # from now on, for every cell
            %reuse budget 5GB
        """
        import mlmagic

        asked = parse(self.reuse, line)
        found = mlmagic.reuse(asked.action, asked.what)
        if isinstance(found, str):
            sys.stdout.write(f"{found}\n")
            return None
        return found


COMPLETERS = {"reuse": completer(ReuseMagics.reuse, names_after=("",))}
