"""`%drift`: has the data moved away from its reference?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.magics._expressions import plain, value_of
from mlmagic.magics._options import completer, one_line, parse
from mlmagic.session import active

_FILES = (".parquet", ".csv", ".profile")


@magics_class
class DriftMagics(Magics):
    """`%drift`."""

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument("reference", help="table, profile, file of one (.parquet, .csv, .profile): what was normal; an endpoint")
    @argument("current", nargs="?", help="table or file: what came")
    @argument("--columns", metavar="NAMES", help="only these: a,b,c")
    @argument("--method", metavar="NAMES", help="only these statistics: psi,ks,chi_square, …")
    @argument("--alpha", type=float, default=0.05, metavar="A", help="false alarms accepted, over all columns (0.05)")
    @argument("--no-joint", action="store_true", help="leave out the classifier that looks at all columns together")
    @argument("--save", metavar="FILE", help="keep REFERENCE's profile in FILE.profile; without CURRENT, do only that")
    @line_magic
    def drift(self, line: str) -> Any:
        """Compare current data with its reference, column by column and jointly.

        With the name of an endpoint alone: the rows that it has logged with what its bundle was exported with.

        Examples::

            %drift train today
            %drift train.parquet today.parquet --columns age,income
            %drift train --save train.profile
            %drift train.profile today
            %drift churn
        """
        import mlmagic

        asked = parse(self.drift, line)
        if asked.current is None and asked.save is None:
            return self._of_endpoint(asked)
        reference = self._given(asked.reference)
        if asked.save is not None:
            reference = self._saved(reference, plain(asked.save))
        if asked.current is None:
            return None
        return mlmagic.drift(
            reference,
            self._given(asked.current),
            columns=_list(asked.columns),
            methods=_list(asked.method),
            alpha=asked.alpha,
            joint=not asked.no_joint,
            spelled={"reference": plain(asked.reference), "current": plain(asked.current)},
        )

    def _of_endpoint(self, asked: Any) -> Any:
        import mlmagic
        from mlmagic.errors import MisuseError

        name = plain(asked.reference)
        shell: Any = self.shell
        name = getattr(shell.user_ns.get(name), "endpoint_id", name)  # what %serve returned
        if name.endswith(_FILES) or (name in shell.user_ns and not _is_endpoint(name)):
            raise MisuseError("%drift takes a reference and current data, %drift train today, or an endpoint's name")
        return mlmagic.drift(
            name,
            columns=_list(asked.columns),
            methods=_list(asked.method),
            alpha=asked.alpha,
            joint=not asked.no_joint,
        )

    def _given(self, text: str) -> Any:
        name = plain(text)
        return Path(name) if name.endswith(_FILES) else value_of(self.shell, text)

    def _saved(self, reference: Any, name: str) -> Any:
        import mlmagic

        path = Path(name)
        path = path if path.suffix == ".profile" else path.with_name(f"{path.name}.profile")
        made = mlmagic.profile(reference)
        made.save(path)
        sys.stdout.write(f"wrote {path}\n")
        return made


def _is_endpoint(name: str) -> bool:
    session = active()
    return session is not None and any(name in (row.name, row.endpoint_id) for row in session.store.endpoints())


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in plain(text).split(",") if part.strip()]


COMPLETERS = {"drift": completer(DriftMagics.drift, names_after=("",))}
