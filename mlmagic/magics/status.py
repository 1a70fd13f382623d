"""`%mlmagic`: what is recorded here, on or off, and what is wrong with the installation."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.magics._options import completer, one_line, parse

ACTIONS = ("status", "on", "off", "doctor")


@magics_class
class StatusMagics(Magics):
    """`%mlmagic`."""

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument(
        "action",
        nargs="?",
        default="status",
        choices=ACTIONS,
        help="status (the default): where history is kept and what it costs; on, off: record cells or not; "
        "doctor: check the installation and the store, and say what to do",
    )
    @line_magic
    def mlmagic(self, line: str) -> Any:
        """Ask mlmagic about itself.

        Examples::

            %mlmagic            # path, session, cells tracked, overhead, bytes
            %mlmagic off        # record nothing from the next cell on
            %mlmagic doctor     # what is installed, what is missing, what to do
        """
        import mlmagic

        action = parse(self.mlmagic, line).action
        return {"status": mlmagic.status, "on": mlmagic.on, "off": mlmagic.off, "doctor": mlmagic.doctor}[action]()


COMPLETERS = {"mlmagic": completer(StatusMagics.mlmagic)}
