"""`%evaluate`: a model's statistics and pictures."""

from __future__ import annotations

import ast
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.magics._expressions import plain, value_of
from mlmagic.magics._options import completer, one_line, parse


@magics_class
class EvaluateMagics(Magics):
    """`%evaluate`."""

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument("model", help="a fitted model: an expression of the notebook")
    @argument("X", help="the rows it is to answer for")
    @argument("y", help="the true answers")
    @argument("--by", metavar="COLUMN", help="the same for each group of rows: a column of X, or an expression")
    @argument(
        "--train", nargs=2, metavar=("X", "y"), help="the same on the training data beside it; is it over-fitted?"
    )
    @argument("--baseline", metavar="MODEL", help="another model, compared on the same rows")
    @argument("--seed", type=int, default=0, metavar="N", help="of the bootstrap")
    @line_magic
    def evaluate(self, line: str) -> Any:
        """Show how good a model is: statistics with 95 % intervals, and pictures.

        Examples::

            %evaluate model X_test y_test
            %evaluate model X_test y_test --train X_train y_train
            %evaluate model X_test y_test --by sex --baseline old_model
        """
        import mlmagic

        asked = parse(self.evaluate, line)
        spelled = {"model": plain(asked.model), "X": plain(asked.X), "y": plain(asked.y)}
        model, data, target = (value_of(self.shell, text) for text in (asked.model, asked.X, asked.y))
        train = None if asked.train is None else tuple(value_of(self.shell, text) for text in asked.train)
        return mlmagic.evaluate(
            model,
            data,
            target,
            train=train,
            by=None if asked.by is None else self._by(asked.by, data),
            baseline=None if asked.baseline is None else value_of(self.shell, asked.baseline),
            seed=asked.seed,
            spelled=spelled,
        )

    def _by(self, text: str, data: Any) -> Any:
        """A column of the data by that name, else an expression; what is neither is told as a column."""
        shell: Any = self.shell
        name = plain(text)
        columns = getattr(data, "column_names", getattr(data, "columns", ()))  # Arrow; pandas and polars
        if name in map(str, columns):
            return name
        unknown = name.isidentifier() and name not in shell.user_ns
        return name if unknown or not _is_expression(name) else value_of(shell, name)


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True


COMPLETERS = {"evaluate": completer(EvaluateMagics.evaluate, names_after=("", "--train", "--baseline"))}
