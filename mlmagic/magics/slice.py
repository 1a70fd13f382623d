"""`%slice`: the smallest script that recreates something, saved or run."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.magics._options import completer, one_line, parse


@magics_class
class SliceMagics(Magics):
    """`%slice`."""

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument("target", help="what to recreate: a variable, name@EXECUTION, [N], a name given by %%%%track")
    @argument("-o", "--output", metavar="FILE", help="write it to FILE.py or FILE.ipynb")
    @argument(
        "--run",
        action="store_true",
        help="execute it in a fresh process, in a scratch folder with the inputs linked, and compare: "
        "same, close (max difference) or different (first path)",
    )
    @line_magic
    def slice(self, line: str) -> Any:
        """Show the smallest script that recreates TARGET.

        Examples::

            %slice model
            %slice model -o model.py
            %slice model --run
        """
        import mlmagic

        asked = parse(self.slice, line)
        found = mlmagic.slice(asked.target)
        if asked.output:
            sys.stdout.write(f"wrote {found.save(asked.output.strip(chr(34) + chr(39)))}\n")
        if asked.run:
            return found.run()
        return None if asked.output else found


COMPLETERS = {"slice": completer(SliceMagics.slice, names_after=("",))}
