"""`%export`: a model as a bundle that answers as it does, anywhere."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.errors import MisuseError
from mlmagic.magics._expressions import plain, value_of
from mlmagic.magics._options import completer, one_line, parse


@magics_class
class ExportMagics(Magics):
    """`%export`."""

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument("model", help="a fitted model: an expression of the notebook")
    @argument("name", nargs="?", help="of the bundle (default: the variable's)")
    @argument(
        "--holdout",
        nargs=2,
        metavar=("X", "y"),
        help="rows that it was not fitted on, and their true answers: they prove the bundle, and some go with it",
    )
    @argument("--no-holdout", action="store_true", help="no rows go with it; it is proven on what the notebook holds")
    @argument("--train", metavar="X", help="the rows that it was fitted on: the reference that drift is measured from")
    @line_magic
    def export(self, line: str) -> Any:
        """Export a model as a bundle: a folder with ONNX, schema, holdout rows, assertions, and how it was made.

        The bundle has to answer as the model does: on the holdout, on the training data, and on up to three other
        frames of the notebook with the same columns. Where it does not, nothing is exported, and the first row that
        differs is named. Assertions on the model go with it, as far as they are portable.

        Examples::

            %export model --holdout X_test y_test
            %export model churn --holdout X_test y_test --train X_train
            %export "models['best']" churn --no-holdout --train X_train
        """
        import mlmagic

        asked = parse(self.export, line)
        if asked.no_holdout and asked.holdout is not None:
            raise MisuseError("--holdout X y and --no-holdout exclude each other")
        spelled = {"model": plain(asked.model)}
        holdout: Any = False if asked.no_holdout else None
        if asked.holdout is not None:
            spelled |= {"X": plain(asked.holdout[0]), "y": plain(asked.holdout[1])}
            holdout = tuple(value_of(self.shell, text) for text in asked.holdout)
        if asked.train is not None:
            spelled["train"] = plain(asked.train)
        return mlmagic.export(
            value_of(self.shell, asked.model),
            None if asked.name is None else plain(asked.name),
            holdout=holdout,
            train=None if asked.train is None else value_of(self.shell, asked.train),
            spelled=spelled,
        )


COMPLETERS = {"export": completer(ExportMagics.export, names_after=("", "--holdout", "--train"))}
