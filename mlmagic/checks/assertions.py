"""The step from a rule to its verdict: a rule, rows and a model's answers come in, one severity per row goes out.

A rule is a function of `inputs` (a data frame) and `outputs` (an array) that returns a severity per row, 0 = fine, as
in Kang et al., *Model Assertions for Monitoring and Improving ML Models* (MLSys 2020). Whatever a rule does wrong
stays its own: it is named, and the other rules run.
"""

from __future__ import annotations

import copy
import inspect
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from mlmagic.checks.limits import TooLongError, limited
from mlmagic.checks.portable import Text, build, needs, read_rule
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.records import Assertion

Action: TypeAlias = Literal["monitor", "correct", "label", "stop"]
ACTIONS: tuple[Action, ...] = get_args(Action)
TIMEOUT = 10.0  # seconds for one rule

_LONGEST = 300  # characters of an error
_FLAT = ("string", "boolean", "decimal", "date", "datetime", "empty")  # objects that nobody can change
_NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


@dataclass(frozen=True, slots=True)
class Rule:
    """A model assertion, ready to run.

    Attributes
    ----------
    name : str
    source : str
        The function's text, from its `def` on.
    function : callable
        Of inputs and outputs.
    action : str
        ``monitor``: recorded; ``stop``: an error when it fires; ``label``, ``correct``: recorded as what is to be done.
    model : str or None
        Name of the model it belongs to; ``None``: any.
    imports, constants
        What it needs besides.
    portable : bool
        The function was made from the text and these alone, so it runs anywhere; `obstacle` says why not.
    file, line
        Where the function's code says that it comes from, and the line of its `def` there.
    """

    name: str
    source: str
    function: Callable[..., Any]
    action: Action = "monitor"
    model: str | None = None
    imports: tuple[str, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    portable: bool = True
    obstacle: str | None = None
    assertion_id: str = ""
    file: str = ""
    line: int = 1

    @classmethod
    def of_source(
        cls,
        name: str,
        text: str | Text,
        available: Mapping[str, Any],
        *,
        action: str = "monitor",
        model: str | None = None,
        live: Callable[..., Any] | None = None,
    ) -> Rule:
        """The rule that a text defines.

        Parameters
        ----------
        name : str
            Of the rule; its function has this name, or is the text's only one.
        text : str or Text
        available : mapping
            What the names in the text mean: modules, constants and whatever else is there.
        live : callable, optional
            The function itself, which runs where the text alone would not do.

        Raises
        ------
        MisuseError, UnknownNameError
            The text is no rule, or needs more than can travel while there is no `live` function.
        """
        if action not in ACTIONS:
            raise UnknownNameError.among("action of an assertion", action, ACTIONS)
        found = read_rule(text, name) if isinstance(text, str) else text
        taken = needs(found, available)
        file = f"<assertion {name}>"
        made = cls(name, found.source, _nothing, action, model, taken.imports, taken.constants, file=file)
        if not taken.obstacles:
            return replace(made, function=build(file, found.source, taken.imports, taken.constants))
        if live is None:
            raise MisuseError(f"rule {name} cannot run by itself: {'; '.join(taken.obstacles)}")
        code = getattr(inspect.unwrap(live), "__code__", None)
        if code is not None:  # a decorated function's code begins above its `def`
            made = replace(made, file=code.co_filename, line=code.co_firstlineno + found.above)
        return replace(made, function=live, portable=False, obstacle="; ".join(taken.obstacles))

    @classmethod
    def of_record(cls, record: Assertion) -> Rule:
        """The rule of a record, from its text alone.

        Raises
        ------
        MisuseError
            It needs more than its record holds.
        """
        if not record.portable:
            raise MisuseError(f"rule {record.name} runs only in its notebook: {record.obstacle}")
        file = f"<assertion {record.name}>"
        function = build(file, record.source, record.imports, record.constants)
        made = cls(record.name, record.source, function, record.action, record.model, record.imports, record.constants)
        return replace(made, assertion_id=record.assertion_id, file=file)


def _nothing(inputs: Any, outputs: Any) -> int:
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What a rule said.

    Attributes
    ----------
    severities : array or None
        Shape (rows,), finite, 0 = fine; ``None``: the rule gave no answer, and `error` says why in one line.
    """

    name: str
    rows: int
    severities: NDArray[np.float64] | None
    error: str | None
    seconds: float

    @property
    def fired(self) -> int:
        """Rows with a severity above 0."""
        return 0 if self.severities is None else int(np.count_nonzero(self.severities))

    @property
    def severity_max(self) -> float | None:
        return None if self.severities is None or not self.rows else float(self.severities.max())

    def worst(self, count: int) -> list[int]:
        """Positions of the rows with the highest severities above 0, the first of equals first."""
        if self.severities is None:
            return []
        order = np.argsort(-self.severities, kind="stable")[:count]
        return [int(row) for row in order if self.severities[row] > 0]


def run(rule: Rule, inputs: Any, outputs: Any, *, timeout: float = TIMEOUT) -> Checked:
    """What a rule says of some rows; it never raises for the rule's own reasons.

    Parameters
    ----------
    inputs : pandas.DataFrame
        The rows; the rule gets a copy.
    outputs : array
        The model's answers, first axis the rows; the rule gets a copy.
    timeout : float
        Seconds after which it is stopped.
    """
    rows = len(inputs)
    given = copied(inputs), np.array(outputs)
    began = time.perf_counter()
    try:
        answer = limited(lambda: rule.function(*given), timeout)
        severities, error = severities_of(answer, inputs), None
    except _NonsenseError as nonsense:
        severities, error = None, str(nonsense)
    except TooLongError:
        severities, error = None, f"stopped after {timeout:g} seconds"
    except KeyboardInterrupt:
        raise
    except BaseException as failure:  # also SystemExit: no rule ends the kernel
        severities, error = None, _in_one_line(failure, rule)
    return Checked(rule.name, rows, severities, error, time.perf_counter() - began)


def copied(inputs: Any) -> Any:
    """The same frame for a rule to do with as it likes; lists and dicts in its cells are copied, too.

    What cannot be copied (locks, generators, files) is shared.
    """
    import pandas as pd

    made = inputs.copy(deep=True)
    for place, kind in enumerate(made.dtypes):
        if kind.name == "object" and pd.api.types.infer_dtype(made.iloc[:, place], skipna=True) not in _FLAT:
            cells = made.iloc[:, place]
            deep = np.fromiter(map(_deep, cells), dtype=object, count=len(cells))
            made.isetitem(place, pd.Series(deep, cells.index, dtype=object))  # `map` would make floats of 1 and None
    return made


def _deep(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # whatever a class of the user's has to say of copies
        return value


def _in_one_line(error: BaseException, rule: Rule) -> str:
    """Type, message and line in the rule; asks no exception of the user's for its text."""
    first = error.args[0] if error.args else None
    lines = first.strip().splitlines() if type(first) is str else [str(first)] if type(first) in _NUMBERS else []
    message = f": {lines[0]}" if lines else ""
    line = _line_of(error, rule)
    where = f" (line {line} of the rule)" if line else ""
    return f"{type(error).__qualname__}{message}"[: _LONGEST - len(where)] + where


def _line_of(error: BaseException, rule: Rule) -> int | None:
    """The line of the rule's text, from 1, that was running."""
    length = rule.source.count("\n")
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line - rule.line + 1 for frame, line in frames if frame.f_code.co_filename == rule.file]
    return next((line for line in reversed(lines) if 1 <= line <= length), None)


# -- what a rule may answer ------------------------------------------------------------------------


class _NonsenseError(Exception):
    """An answer that is not one severity per row."""


def severities_of(answer: Any, inputs: Any) -> NDArray[np.float64]:
    """A rule's answer as one finite severity per row, shape (rows,), 0 = fine.

    Raises
    ------
    _NonsenseError
        It is something else; the text says what came and what was expected.
    """
    rows = len(inputs)
    found = _as_array(_in_order(answer, inputs), rows)
    if found.ndim == 0 and found.dtype.kind not in "biuf":
        raise _nonsense(f"a {type(answer).__qualname__}", rows)
    if found.ndim > 1:
        raise _nonsense(f"an array of shape {found.shape}", rows)
    if found.ndim == 0 and rows != 1:
        raise _nonsense("one number", rows)
    if found.ndim == 1 and len(found) != rows:
        raise _nonsense(f"{len(found):,} severities", rows)
    severities = _as_numbers(found.reshape(rows), rows)
    for what, wrong in (("NaN", np.isnan(severities)), ("infinity", np.isinf(severities)), ("", severities < 0)):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise _nonsense(f"{what or f'{severities[row]:g}'} in row {row}", rows)
    return severities


def _nonsense(came: str, rows: int) -> _NonsenseError:
    one = "one severity" if rows == 1 else f"{rows:,} severities"
    return _NonsenseError(f"gave {came}; expected {one}, one per row, numbers from 0 = fine upwards")


def _in_order(answer: Any, inputs: Any) -> Any:
    """A Series by the rows' order: where it has their labels in another one, its places mean other rows."""
    import pandas as pd

    if not isinstance(answer, pd.Series) or answer.index.equals(inputs.index) or len(answer) != len(inputs):
        return answer
    if not inputs.index.has_duplicates and set(answer.index) == set(inputs.index):
        raise _nonsense("a Series whose index has the rows in another order", len(inputs))
    return answer


def _as_array(answer: Any, rows: int) -> NDArray[Any]:
    if answer is None:
        raise _nonsense("None (does the rule return something?)", rows)
    if isinstance(answer, (str, bytes, dict, set, frozenset)):
        raise _nonsense(f"a {type(answer).__name__}", rows)
    if getattr(getattr(answer, "dtype", None), "na_value", None) is not None and hasattr(answer, "to_numpy"):
        return np.asarray(answer.to_numpy(dtype=object))  # pandas' own types: NA becomes an object, told below
    try:
        return np.asarray(answer)
    except ValueError:  # rows of different lengths
        raise _nonsense("a ragged list", rows) from None


def _as_numbers(found: NDArray[Any], rows: int) -> NDArray[np.float64]:
    if found.dtype.kind in "biuf":
        return found.astype(np.float64)
    if found.dtype.kind != "O":
        raise _nonsense(f"values of type {found.dtype.name}", rows)
    odd = next((value for value in found if not isinstance(value, _NUMBERS)), None)
    if odd is None and all(value is not None for value in found):
        return np.array([float(value) for value in found], dtype=np.float64)
    raise _nonsense(f"a {type(odd).__name__} among its values", rows)
