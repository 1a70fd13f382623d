"""`mlmagic.assertion` and `mlmagic.assertions`: rules for a model's answers, and what they said, with versions."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypeVar

from mlmagic.analysis import redact
from mlmagic.api._projects import open_store
from mlmagic.api._subjects import Subject, subject
from mlmagic.checks.answers import answers_of, frame_of
from mlmagic.checks.assertions import ACTIONS, TIMEOUT, Checked, Rule, run
from mlmagic.checks.flagged import Flagged, worst_rows
from mlmagic.checks.labels import choose
from mlmagic.checks.portable import Text, free_names, read_rule
from mlmagic.checks.verdicts import AssertionList, AssertionReport, CheckReport, Past, RowList, Verdict, rate_in_words
from mlmagic.errors import AssertionFiredError, MisuseError, UnknownNameError
from mlmagic.records import Assertion, AssertionResult, new_id
from mlmagic.results import Result
from mlmagic.session import Session, active, require
from mlmagic.session import resume as current_or_new
from mlmagic.store import Store
from mlmagic.views import assertions as _faces  # noqa: F401  draws the results

__all__ = ["assertion", "assertions", "check_definition", "define"]

Function = TypeVar("Function", bound=Callable[..., Any])

WHAT = ("list", "run", "show", "worst", "label")
_LONGEST = 1e6  # seconds: alarms know no longer ones
_WORST = 10  # rows of each rule that are written down
_NO_RULES = "no assertions yet: put %%assertion NAME on top of a cell with a function of inputs and outputs"

# The cell that made each version of a model that was ever checked.
_MAKERS = """
SELECT v.version_id, v.name AS variable, e.execution_count, e.name AS cell
FROM versions v JOIN executions e ON e.execution_id = v.execution_id
WHERE v.version_id IN (SELECT model_version FROM assertion_results)
"""


# -- definitions -----------------------------------------------------------------------------------


def assertion(name: str | Callable[..., Any], *, on: str | None = None, action: str = "monitor") -> Any:
    """Declare a function to be a model assertion; a decorator that gives the function back as it is.

    Parameters
    ----------
    name : str
        Of the assertion; defined again under it, the new one counts.
    on : str, optional
        Name of the model it belongs to; without, it is run on any.
    action : str
        ``monitor``: what fires is recorded; ``stop``: `assertions("run", …)` raises, too; ``label``, ``correct``:
        recorded as what is to be done with such rows.

    Returns
    -------
    decorator
        For a function of `inputs` (a data frame) and `outputs` (an array) that gives a severity per row, 0 = fine.

    Raises
    ------
    MisuseError, UnknownNameError
        The function is no rule, its source is not to be found, there is no such model or action; one line.

    Examples
    --------
    >>> @mlmagic.assertion("plausible_size", on="model")
    ... def plausible_size(inputs, outputs):
    ...     return (inputs["mean radius"] > 25) & (outputs[:, 1] < 0.5)
    """
    surroundings = sys._getframe(1).f_globals

    def declare(function: Function) -> Function:
        session = current_or_new(surroundings)
        called = name if isinstance(name, str) else function.__name__
        text = _text_of(function)
        check_definition(session, called, on, action)
        define(session, called, text, function, on=on, action=action)
        return function

    return declare(name) if callable(name) else declare


def _text_of(function: Callable[..., Any]) -> Text:
    """The function's own text; our decorator is no part of the rule."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        raise MisuseError("the source of the rule is not to be found: define it with def in a cell or a file") from None
    found = read_rule(source, getattr(function, "__name__", ""))
    others = (one for one in found.decorators if one.partition("(")[0].rpartition(".")[2] != "assertion")
    return replace(found, decorators=tuple(others))


def check_definition(session: Session, name: str, on: str | None, action: str) -> None:
    """Raises `MisuseError` or `UnknownNameError` for what cannot be, before anything runs."""
    if not name or name.startswith("-") or len(name) > 100:
        raise MisuseError(f"an assertion needs a name of at most 100 letters, not {name[:30]!r}")
    if action not in ACTIONS:
        raise UnknownNameError.among("action of an assertion", action, ACTIONS)
    if on is not None and on not in session.namespace:
        raise UnknownNameError.among("model", on, session.recorder.variables())


def define(
    session: Session, name: str, text: Text, live: Callable[..., Any], *, on: str | None = None, action: str = "monitor"
) -> Rule:
    """Keep a rule for this session, and write it down.

    Parameters
    ----------
    text : Text
        Of its function.
    live : callable
        The function itself.
    """
    made = Rule.of_source(name, text, _surroundings(live), action=action, model=on, live=live)
    if redact(made.source) != made.source:
        made = replace(made, portable=False, obstacle="its text may hold a secret, which is never written down")
    rule = replace(made, assertion_id=new_id())
    session.rules.pop(name, None)
    session.rules[name] = rule  # at the end: in the order of their last definitions
    session.asserted(
        Assertion(
            assertion_id=rule.assertion_id,
            name=name,
            model=on,
            model_version=session.recorder.version_of(on) if on is not None else None,
            source=redact(rule.source),
            action=rule.action,
            created_at=time.time(),
            execution_id=session.recorder.execution_id,
            imports=rule.imports,
            constants=rule.constants,
            portable=rule.portable,
            obstacle=rule.obstacle,
        )
    )
    return rule


def _surroundings(function: Callable[..., Any]) -> dict[str, Any]:
    """What the names in a function's text mean."""
    inner = inspect.unwrap(function)
    if not inspect.isfunction(inner):
        return {}
    return {**inner.__globals__, **inspect.getclosurevars(inner).nonlocals}


# -- questions -------------------------------------------------------------------------------------


def assertions(
    action: str = "list",
    model: Any = None,
    data: Any = None,
    *,
    name: str | None = None,
    count: int = 10,
    seed: int = 0,
    timeout: float = TIMEOUT,
    spelled: Mapping[str, str] | None = None,
) -> Result:
    """The project's assertions: run them, or see what they said.

    Parameters
    ----------
    action : str
        ``list``: all of them (the default); ``run``: on a model and its data; ``show``: what they said last, or all
        about one of them; ``worst``: the rows with the highest severities, with their data; ``label``: which rows
        to look at or label next, picked by severity, no two alike.
    model, data
        For ``run``: a model with `predict_proba` or `predict`, or a function; the rows it is to answer for.
    name : str, optional
        Of one assertion.
    count, seed : int
        For ``worst`` and ``label``: how many rows; what picking begins with.
    timeout : float
        For ``run``: seconds after which a rule is stopped.

    Returns
    -------
    Result

    Raises
    ------
    AssertionFiredError
        A rule with the action ``stop`` fired, after everything was recorded.
    MisuseError, UnknownNameError
        No such action or assertion, no model, no rows; one line.
    """
    if action not in WHAT:
        raise UnknownNameError.among("action of assertions", action, WHAT)
    if action == "run":
        return _run(require(), model, data, name, timeout, spelled or {})
    if model is not None or data is not None:
        raise MisuseError(f"{action} takes no model and no data; only run does")
    if count < 1:
        raise MisuseError(f"a number of rows from 1 on is expected, not {count}")
    if seed < 0:
        raise MisuseError(f"a seed is a whole number from 0 on, not {seed}")
    with open_store() as store:
        verdicts = _verdicts(store, _known(store, name))
    if action == "list":
        return AssertionList(tuple(verdicts))
    if action == "show":
        return AssertionReport(verdicts[0]) if name is not None else CheckReport(tuple(verdicts))
    return _worst(verdicts, count) if action == "worst" else _label(verdicts, count, seed)


def _known(store: Store, name: str | None) -> dict[str, list[Assertion]]:
    """Every definition of every rule, or of the rule of this name; in the order of their last definitions."""
    found: dict[str, list[Assertion]] = {}
    for rule in store.assertions():
        found[rule.name] = [*found.pop(rule.name, []), rule]
    if name is None:
        return found
    if name not in found:
        raise UnknownNameError.among("assertion", name, found) if found else MisuseError(_NO_RULES)
    return {name: found[name]}


def _verdicts(store: Store, known: Mapping[str, Sequence[Assertion]], variable: str | None = None) -> list[Verdict]:
    """What there is to say of rules; `variable`: only of this model."""
    makers = {row["version_id"]: row for row in store.frame(_MAKERS).to_dict("records")} if known else {}
    results: dict[str, list[AssertionResult]] = {name: [] for name in known}
    for row in store.assertion_results(every_row=False):
        maker = makers.get(row.model_version)
        if row.name in results and (variable is None or maker is None or maker["variable"] == variable):
            results[row.name].append(row)
    return [_verdict(rules, results[name], makers) for name, rules in known.items()]


def _verdict(rules: Sequence[Assertion], results: Sequence[AssertionResult], makers: Mapping[str, Any]) -> Verdict:
    by_version: dict[str | None, AssertionResult] = {}
    for row in results:  # oldest first: of each version the last result counts, in the order of these
        by_version.pop(row.model_version, None)
        by_version[row.model_version] = row
    history = tuple(_past(row, makers) for row in by_version.values())
    return Verdict(rules[-1], results[-1] if results else None, history, len(rules))


def _past(row: AssertionResult, makers: Mapping[str, Any]) -> Past:
    maker = makers.get(row.model_version or "")
    about = (row.at, row.model_version, row.data_version, row.rows, row.fired, row.severity_max, row.error)
    return Past(*about, made="an unnamed model" if maker is None else _maker_in_words(maker))


def _maker_in_words(maker: Mapping[str, Any]) -> str:
    count = maker["execution_count"]
    place = f"[{int(count)}]" if count == count and count is not None else ""  # NaN: no number
    cell = maker["cell"] if isinstance(maker["cell"], str) else ""
    return f"{maker['variable']} of cell {' '.join(filter(None, (cell, place))) or 'before'}"


def _worst(verdicts: Iterable[Verdict], count: int) -> RowList:
    rows = [{"assertion": one.rule.name, **row} for one in verdicts if one.last is not None for row in one.last.worst]
    rows.sort(key=lambda row: -row["severity"])
    return RowList("worst rows of the last checks", tuple(rows[:count]))


def _label(verdicts: Sequence[Verdict], count: int, seed: int) -> RowList:
    """From the rows of this kernel's last check, else from those that were written down."""
    import numpy as np

    names = {one.rule.name for one in verdicts}
    session = active()
    if session is not None and session.flagged is not None:
        rows = session.flagged.rows()
        severities = {name: found for name, found in session.flagged.severities.items() if name in names}
    else:
        checks = [one.last for one in verdicts if one.last is not None]
        latest = max((last.at for last in checks), default=0.0)  # rows of one check are of the same data
        told = [(last.name, row) for last in checks if last.at == latest for row in last.worst]
        rows = [{key: row[key] for key in ("row", "inputs", "output")} for _, row in told]
        severities = {
            name: np.array([row["severity"] if name == own else 0.0 for own, row in told]) for name in sorted(names)
        }
    picks = choose(severities, [repr(row["inputs"]) for row in rows], count, seed)
    found = [
        {"assertion": pick.rule, "severity": pick.severity, "chance": pick.chance, **rows[pick.row]} for pick in picks
    ]
    return RowList("rows to look at or label next", tuple(found))


# -- run -------------------------------------------------------------------------------------------


def _run(
    session: Session, model: Any, data: Any, name: str | None, timeout: float, spelled: Mapping[str, str]
) -> CheckReport:
    if model is None or data is None:
        raise MisuseError("run takes a model and its data: %assertions run model X_test")
    if not 0 < timeout <= _LONGEST:
        raise MisuseError(f"a timeout takes a number of seconds above 0, at most {_LONGEST:,.0f}, not {timeout:g}")
    about = subject(model, spelled.get("model")), subject(data, spelled.get("data"))
    variable = _variable(session, model, about[0])
    rules, left_out = _chosen(session, variable, about[0].name, name)
    with session.recorder.aside() if session.recorder.running else nullcontext():
        inputs = frame_of(data, about[1].name)
        outputs = answers_of(model, data, len(inputs), name=about[0].name, data_name=about[1].name)
        checked = [run(rule, inputs, outputs, timeout=timeout) for rule in rules]
        session.flagged = Flagged.of(checked, inputs, outputs)
    for rule in rules:
        if not rule.portable:
            session.recorder.reads(f"({', '.join(sorted(free_names(rule.source)))},)")
    _record(session, rules, checked, worst_rows(session.flagged, checked, _WORST), about)
    report = _report(session, rules, checked, about, left_out, inputs, variable)
    _stop_where_asked(rules, checked, report)
    return report


def _variable(session: Session, model: Any, about: Subject) -> str:
    """The model's name among the variables: what rules are `--on`."""
    if about.name in session.namespace:
        return about.name
    named = (rule.model for rule in session.rules.values() if rule.model is not None)
    return next((name for name in named if session.namespace.get(name) is model), about.name)


def _chosen(session: Session, variable: str, model: str, name: str | None) -> tuple[list[Rule], tuple[str, ...]]:
    """The rules to run, and those that would be run if this kernel had run their cells."""
    known = _known(session.store, name)
    mine = [rule for rule in session.rules.values() if rule.model in (None, variable) and name in (None, rule.name)]
    missing = [key for key, of in known.items() if key not in session.rules and of[-1].model in (None, variable)]
    if mine:
        return mine, tuple(missing)
    if missing:
        raise MisuseError(f"this kernel has not run the cells of {', '.join(missing)}: run them, then check again")
    if not known:
        raise MisuseError(_NO_RULES)
    others = ", ".join(f"{key} (on {of[-1].model})" for key, of in list(known.items())[:8])
    raise MisuseError(f"no assertion is on {model}; there are: {others}")


def _record(
    session: Session,
    rules: Sequence[Rule],
    checked: Sequence[Checked],
    worst: Mapping[str, tuple[Mapping[str, Any], ...]],
    about: tuple[Subject, Subject],
) -> None:
    at = time.time()
    for rule, one in zip(rules, checked, strict=True):
        session.checked(
            AssertionResult(
                assertion_id=rule.assertion_id,
                at=at,
                model_version=about[0].version_id,
                data_version=about[1].version_id,
                endpoint_id=None,
                rows=one.rows,
                fired=one.fired,
                severity_max=one.severity_max,
                worst=worst.get(rule.name, ()),
                name=rule.name,
                execution_id=session.recorder.execution_id,
                seconds=one.seconds,
                error=None if one.error is None else redact(one.error),
            )
        )


def _report(
    session: Session,
    rules: Sequence[Rule],
    checked: Sequence[Checked],
    about: tuple[Subject, Subject],
    left_out: tuple[str, ...],
    inputs: Any,
    variable: str,
) -> CheckReport:
    import pandas as pd

    every = _known(session.store, None)
    verdicts = _verdicts(session.store, {rule.name: every[rule.name] for rule in rules}, variable)
    answered = {one.name: one.severities for one in checked if one.severities is not None}
    severities = pd.DataFrame(answered, index=inputs.index)
    return CheckReport(tuple(verdicts), about[0].name, about[1].name, len(inputs), left_out, severities)


def _stop_where_asked(rules: Sequence[Rule], checked: Sequence[Checked], report: CheckReport) -> None:
    fired = [one for rule, one in zip(rules, checked, strict=True) if rule.action == "stop" and one.fired]
    if fired:
        told = "; ".join(
            f"{one.name} fired on {rate_in_words(one.fired, one.rows)}, severity {one.severity_max:g}" for one in fired
        )
        raise AssertionFiredError(f"{told}, of {report.data}: %assertions show {fired[0].name}")
