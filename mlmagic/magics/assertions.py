"""`%%assertion`: a rule that a model's answers keep; `%assertions`: what the rules said, and which rows to look at."""

from __future__ import annotations

import inspect
from typing import Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.errors import MisuseError
from mlmagic.magics._expressions import plain, value_of
from mlmagic.magics._options import cell_in_one_line, completer, one_line, parse
from mlmagic.session import active

ACTIONS = ("monitor", "correct", "label", "stop")
WHAT = ("list", "run", "show", "worst", "label")


@magics_class
class AssertionMagics(Magics):
    """`%%assertion` and `%assertions`."""

    @no_var_expand
    @cell_in_one_line
    @magic_arguments()
    @argument("name", help="what to find it by; the cell's function of that name is the rule, or its only one")
    @argument("--on", metavar="MODEL", help="name of the model that it belongs to (default: any)")
    @argument(
        "--action",
        default="monitor",
        choices=ACTIONS,
        help="monitor (the default): what fires is recorded; stop: %%assertions run fails, too; label, correct: "
        "recorded as what is to be done with such rows",
    )
    @cell_magic
    def assertion(self, line: str, cell: str) -> None:
        """Declare a model assertion: a function of inputs and outputs that gives a severity per row, 0 = fine.

        The cell runs as usual, so the function is there afterwards. Inputs are a data frame, outputs an array: what
        the model's `predict_proba` gives, else its `predict`. The rule's text, what it imports (math, numpy, pandas,
        re, datetime, statistics, json, collections, itertools) and the plain constants that it uses, as they are
        now, make it portable; a rule that needs more runs in this notebook only, and says why.

        Examples::

            %%assertion plausible_size --on model
            def plausible_size(inputs, outputs):
                return (inputs["mean radius"] > 25) & (outputs[:, 1] < 0.5)
        """
        from mlmagic.api.asserting import check_definition, define
        from mlmagic.checks.portable import read_rule
        from mlmagic.session import require

        asked = parse(self.assertion, line)
        session = require()
        name, on = plain(asked.name), asked.on and plain(asked.on)
        code = self._transformed(cell)
        text = read_rule(code, name)
        check_definition(session, name, on, asked.action)
        self._check_clash(text.name, known=name in session.rules)
        self._execute(code)
        define(session, name, text, self._function(text.name), on=on, action=asked.action)
        session.recorder.repeats(code, {})

    def _transformed(self, text: str) -> str:
        shell: Any = self.shell
        return str(shell.input_transformer_manager.transform_cell(text))

    def _check_clash(self, name: str, known: bool) -> None:
        """The rule's function must not take the place of data or of a model; of a function it may, as any `def`."""
        shell: Any = self.shell
        there = shell.user_ns.get(name)
        if there is None or known or inspect.isroutine(there):
            return
        raise MisuseError(f"{name} is a {type(there).__qualname__} here: give the rule's function another name")

    def _execute(self, code: str) -> None:
        """Run the body in the notebook; under a name by which its source is found again."""
        shell: Any = self.shell
        file = shell.compile.cache(code, shell.execution_count, raw_code=code)
        exec(shell.compile(code, file, "exec"), shell.user_ns)

    def _function(self, name: str) -> Any:
        shell: Any = self.shell
        found = shell.user_ns.get(name)
        if not callable(found):
            raise MisuseError(f"after the cell {name} is a {type(found).__qualname__}, no function")
        return found

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument("action", nargs="?", default="list", choices=WHAT, help="list (the default), run, show, worst or label")
    @argument("words", nargs="*", metavar="MODEL X | NAME", help="run: a model and rows for it; else an assertion")
    @argument("--only", metavar="NAME", help="with run: this assertion alone")
    @argument("--rows", type=int, default=10, metavar="N", help="with worst and label: how many (default: 10)")
    @argument("--seed", type=int, default=0, metavar="N", help="with label: what picking begins with")
    @argument("--timeout", type=float, default=10.0, metavar="S", help="with run: seconds for one rule (default: 10)")
    @line_magic
    def assertions(self, line: str) -> Any:
        """Run assertions on a model, and see what they said.

        list: all of them; run: those on MODEL, on the rows of X: expressions of the notebook, in quotes where they
        have spaces; show: what they said last, or all about one; worst: the rows with the highest severities, with
        their data; label: which rows to look at or label next, by severity, no two alike.

        Examples::

            %assertions run model X_test
            %assertions show plausible_size
            %assertions worst --rows 20
            %assertions label --rows 20 --seed 1
        """
        import mlmagic

        asked = parse(self.assertions, line)
        if asked.action == "run":
            return self._run(asked)
        if len(asked.words) > 1:
            given = " ".join(asked.words)
            raise MisuseError(f"%assertions {asked.action} takes the name of one assertion, not {given}")
        name = plain(asked.words[0]) if asked.words else None
        return mlmagic.assertions(asked.action, name=name, count=asked.rows, seed=asked.seed)

    def _run(self, asked: Any) -> Any:
        import mlmagic

        if len(asked.words) != 2:
            raise MisuseError("%assertions run takes a model and its data: %assertions run model X_test")
        model, data = asked.words
        spelled = {"model": plain(model), "data": plain(data)}
        values = value_of(self.shell, model), value_of(self.shell, data)
        only = plain(asked.only) if asked.only else None
        return mlmagic.assertions("run", *values, name=only, timeout=asked.timeout, spelled=spelled)


# -- on Tab ----------------------------------------------------------------------------------------


def _complete_assertions(shell: Any, event: Any) -> list[str]:
    """Actions first; then, for run, variables, and names of assertions for all others."""
    typed = event.text_until_cursor.removesuffix(event.symbol).split()[1:]
    own = completer(AssertionMagics.assertions)(shell, event)
    session = active()
    if session is None or not typed:
        return own
    if typed[0] == "run" and typed[-1] != "--only":
        return [*session.recorder.variables(), *own]
    return [*dict.fromkeys(row.name for row in session.store.assertions()), *own]


COMPLETERS = {
    "assertion": completer(AssertionMagics.assertion, names_after=("--on",)),
    "assertions": _complete_assertions,
}
