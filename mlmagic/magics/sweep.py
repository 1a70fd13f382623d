"""`%%sweep`: the cell is the trial; `%sweeps`: what was tried."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from typing import Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from mlmagic.errors import MisuseError
from mlmagic.magics._options import cell_in_one_line, completer, one_line, parse
from mlmagic.session import active

ACTIONS = ("list", "show", "best", "stop", "resume", "apply")


@magics_class
class SweepMagics(Magics):
    """`%%sweep` and `%sweeps`."""

    @no_var_expand
    @cell_in_one_line
    @magic_arguments()
    @argument("name", nargs="?", help="a name to find the sweep by: %%sweeps NAME (default: the metric's)")
    @argument("--maximize", metavar="METRIC", help="variable at the end of the cell, or metric told by sweep.report")
    @argument("--minimize", metavar="METRIC", help="the same, where less is better")
    @argument("--trials", type=int, metavar="N", help="how many trials, those of before included (default: 20)")
    @argument("--time", metavar="T", help="no trial starts after so long: 90s, 10m, 2h")
    @argument("--sampler", default="tpe", metavar="NAME", help="tpe (default) or random")
    @argument("--pruner", default="none", metavar="NAME", help="none (default), hyperband or halving")
    @argument("--gpus", default="auto", metavar="WHICH", help="auto (default), all, none, or numbers: 0,1")
    @argument("--workers", type=int, metavar="N", help="trials at a time (default: one for each core, or GPU)")
    @argument("--trial-timeout", metavar="T", help="a trial that takes longer has failed: 10m")
    @argument("--engine", default="local", metavar="NAME", help="where trials run: local (default)")
    @argument("--seed", type=int, default=0, metavar="N", help="of the search, and of each trial's generators")
    @argument("--resume", action="store_true", help="go on with the last sweep of this name, with all that still holds")
    @cell_magic
    def sweep(self, line: str, cell: str) -> None:
        """Search hyperparameters: the cell's body is the trial.

        Write `sweep.float(a, b)`, `sweep.log(a, b)`, `sweep.int(a, b)` or `sweep.choice([…])` where a value is to be
        searched. Trials run in processes of their own and change nothing in the notebook; what no swept value flows
        into is run once for all of them. `%sweeps apply` brings in the best trial's variables. The first trial takes
        the defaults (`default=`, else the middle), so `--trials 1` runs the cell once with them.

        Examples::

            %%sweep --maximize auc --trials 40
            rate  = sweep.log(1e-3, 1)
            depth = sweep.int(2, 12)
            model = HistGradientBoostingClassifier(learning_rate=rate, max_depth=depth).fit(X, y)
            auc   = roc_auc_score(y_val, model.predict_proba(X_val)[:, 1])
        """
        from mlmagic.api.sweeping import Options, sweep_cell

        asked = vars(parse(self.sweep, line))
        sweep_cell(cell, Options(**asked), f"%%sweep {line}\n{cell}", self._transformed)

    def _transformed(self, text: str) -> str:
        shell: Any = self.shell
        return str(shell.input_transformer_manager.transform_cell(text))

    @no_var_expand
    @one_line
    @magic_arguments()
    @argument("words", nargs="*", metavar="[NAME] [ACTION]", help=f"a sweep's name, and one of {', '.join(ACTIONS)}")
    @argument("--plan", action="store_true", help="with show: which statements ran once, and why not the others")
    @line_magic
    def sweeps(self, line: str) -> Any:
        """Look at sweeps, and take over what they found.

        list: all of them (the default); show: one; best: the best trial's values; stop: no further trial starts (ask
        from another notebook); resume: go on with the cell as it was; apply: the best trial's variables come into
        this notebook. Without a name the last sweep is meant.

        Examples::

            %sweeps
            %sweeps show --plan
            %sweeps tune best
            %sweeps apply
        """
        import mlmagic

        asked = parse(self.sweeps, line)
        name, action = _name_and_action(asked.words)
        if action == "resume":
            return self._resume(name)
        found = mlmagic.sweeps(name, action, plan=asked.plan)
        if isinstance(found, str):
            sys.stdout.write(f"{found}\n")
            return None
        return found

    def _resume(self, name: str | None) -> None:
        import mlmagic

        first, _, body = mlmagic.sweeps(name, "show").sweep.source.partition("\n")  # type: ignore[union-attr]
        words = shlex.split(first)
        if not words or words[0] != "%%sweep":
            raise MisuseError("this sweep was started by mlmagic.sweep(…): call it again with resume=True")
        self.sweep(shlex.join([*words[1:], *(["--resume"] if "--resume" not in words else [])]), body)


def _name_and_action(words: list[str]) -> tuple[str | None, str | None]:
    """A name and an action in any order."""
    actions = [word for word in words if word in ACTIONS]
    names = [word for word in words if word not in ACTIONS]
    if len(words) > 2 or len(names) > 1:
        raise MisuseError(f"%sweeps takes one name and one action, not {' '.join(words)!r}")
    if len(actions) == 2:  # a sweep called as an action is
        return words[0], words[1]
    return (names[0] if names else None), (actions[0] if actions else None)


# -- on Tab ----------------------------------------------------------------------------------------


def _complete_sweep(shell: Any, event: Any) -> list[str]:
    typed = event.text_until_cursor.removesuffix(event.symbol).split()
    return _values(typed[-1] if typed else "") or completer(SweepMagics.sweep)(shell, event) + _names()


def _complete_sweeps(shell: Any, event: Any) -> list[str]:
    return [*ACTIONS, *_names(), *completer(SweepMagics.sweeps)(shell, event)]


def _values(option: str) -> list[str]:
    """What an option can be, where that is one of a few words."""
    from mlmagic.tuning.engines import ENGINES
    from mlmagic.tuning.pruners import PRUNERS
    from mlmagic.tuning.samplers import SAMPLERS

    known: dict[str, Iterable[str]] = {
        "--sampler": SAMPLERS,
        "--pruner": PRUNERS,
        "--engine": ENGINES,
        "--gpus": ("auto", "all", "none"),
    }
    return list(known.get(option, ()))


def _names() -> list[str]:
    """Of the project's sweeps."""
    session = active()
    return [] if session is None else list(dict.fromkeys(row.name for row in session.store.sweeps()))


COMPLETERS = {"sweep": _complete_sweep, "sweeps": _complete_sweeps}
