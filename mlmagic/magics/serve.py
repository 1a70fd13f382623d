"""`%serve`: a bundle behind an address; `%endpoints`: what runs, how it does, and what it answered."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.magics._expressions import plain
from mlmagic.magics._options import completer, one_line, parse
from mlmagic.session import active

ACTIONS = ("list", "show", "log", "stop")


@magics_class
class ServeMagics(Magics):
    """`%serve` and `%endpoints`."""

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument("bundle", help="a bundle of this project (NAME or NAME/VERSION), or a folder")
    @argument("--port", type=int, default=0, metavar="N", help="to listen on (default: any that is free)")
    @argument("--slo-ms", type=float, default=20.0, metavar="MS", help="milliseconds that a batch may take (20)")
    @argument("--trust", action="store_true", help="run the bundle's Python rules although you did not sign it")
    @argument("--no-log", action="store_true", help="write no predictions to the project's journal")
    @line_magic
    def serve(self, line: str) -> Any:
        """Serve a bundle from a process of its own, on this machine only; it ends with the kernel.

        Gives a handle: `.url`, `.predict(frame)`, `.predict_proba(frame)`, `.status()`, `.stop()`. Predictions come to
        the table `predictions`; for other addresses and a token there are `mlmagic.serve(…)` and `mlmagic serve`.

        Examples::

            %serve churn
            endpoint = %serve churn --port 8080
            endpoint.predict(customers)
            %lineage --sql "SELECT e.source FROM predictions JOIN bundles b USING (bundle_id) JOIN versions v ON v.version_id = b.model_version JOIN executions e ON e.execution_id = v.execution_id LIMIT 1"
        """  # noqa: E501  a line magic is one line
        import mlmagic

        asked = parse(self.serve, line)
        return mlmagic.serve(
            plain(asked.bundle), port=asked.port, slo_ms=asked.slo_ms, trust=asked.trust, log=not asked.no_log
        )

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument(
        "words", nargs="*", metavar="[NAME] [ACTION]", help=f"an endpoint's name, and one of {', '.join(ACTIONS)}"
    )
    @argument("--rows", type=int, default=100, metavar="N", help="with log: how many (100)")
    @line_magic
    def endpoints(self, line: str) -> Any:
        """Look at endpoints, and stop them.

        list: all of them (the default without a name); show: one: requests, times, batches, assertions, drift; log: its
        last predictions with their data; stop: it finishes what it has, and ends.

        Examples::

            %endpoints
            %endpoints churn
            %endpoints churn log --rows 20
            %endpoints churn stop
        """
        import mlmagic

        asked = parse(self.endpoints, line)
        name, action = _name_and_action([plain(word) for word in asked.words])
        found = mlmagic.endpoints(name, action, count=asked.rows)
        if isinstance(found, str):
            sys.stdout.write(f"{found}\n")
            return None
        return found


def _name_and_action(words: list[str]) -> tuple[str | None, str | None]:
    """A name and an action in any order."""
    actions = [word for word in words if word in ACTIONS]
    names = [word for word in words if word not in ACTIONS]
    if len(words) == 2 and not actions:
        raise UnknownNameError.among("action of %endpoints", words[1], ACTIONS)
    if len(words) > 2 or len(names) > 1:
        raise MisuseError(f"%endpoints takes one name and one action, not {' '.join(words)!r}")
    if len(actions) == 2:  # an endpoint called as an action is
        return words[0], words[1]
    return (names[0] if names else None), (actions[0] if actions else None)


# -- on Tab ----------------------------------------------------------------------------------------


def _complete_serve(shell: Any, event: Any) -> list[str]:
    session = active()
    folder = None if session is None else session.project.folder / "bundles"
    names = [path.name for path in sorted(folder.glob("*")) if path.is_dir()] if folder is not None else []
    return [*names, *completer(ServeMagics.serve)(shell, event)]


def _complete_endpoints(shell: Any, event: Any) -> list[str]:
    session = active()
    names = [] if session is None else list(dict.fromkeys(row.name for row in session.store.endpoints()))
    return [*ACTIONS, *names, *completer(ServeMagics.endpoints)(shell, event)]


COMPLETERS = {"serve": _complete_serve, "endpoints": _complete_endpoints}
