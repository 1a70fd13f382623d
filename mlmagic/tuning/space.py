"""The search space: what `sweep.log(1e-4, 1e-1)` and its like stand for, in the cell's text and while a trial runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from mlmagic.errors import MisuseError

Value: TypeAlias = "float | int | str | bool | None"  # as it is stored: a number, or the label of a choice

Number: TypeAlias = "float | int"

_MOST = 2**53  # samplers work with floats


@dataclass(frozen=True, slots=True)
class Parameter:
    """One swept value.

    Attributes
    ----------
    name : str
    kind : str
        ``float``, ``int`` or ``choice``.
    low, high : number or None
        Bounds, both included; ``None`` for a choice.
    log : bool
        Drawn evenly on a logarithmic scale.
    step : int
        Between values of an ``int``.
    labels : tuple
        What the options of a choice are called: plain values are called by themselves.
    default : number or None
        Of a choice, the number of the option.
    """

    name: str
    kind: Literal["float", "int", "choice"]
    low: float | int | None = None
    high: float | int | None = None
    log: bool = False
    step: int = 1
    labels: tuple[Value, ...] = ()
    default: float | int | None = None

    @property
    def start(self) -> float | int:
        """What a first trial takes: the default, else the middle (geometric where drawn so), else the first choice."""
        if self.default is not None:
            return self.default
        if self.kind == "choice":
            return 0
        low, high = self._bounds()
        middle = math.exp((math.log(low) + math.log(high)) / 2) if self.log else (low + high) / 2
        if self.kind == "float":
            return min(max(middle, low), high)
        nearest = int(low) + round((middle - low) / self.step) * self.step if self.step > 1 else round(middle)
        return min(max(nearest, int(low)), int(high))  # exp(log(x)) misses x where numbers are great

    def _bounds(self) -> tuple[float | int, float | int]:
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    def stored(self, raw: float | int) -> Value:
        """What the store holds for a suggested value: itself, or the option's label."""
        return self.labels[int(raw)] if self.kind == "choice" else raw

    def raw(self, stored: object) -> float | int | None:
        """The number behind a stored value; ``None`` where this range does not hold it."""
        if self.kind == "choice":
            same = (number for number, label in enumerate(self.labels) if _same(label, stored))
            return next(same, None)
        if isinstance(stored, bool) or not isinstance(stored, (int, float)):
            return None
        low, high = self._bounds()
        if not low <= stored <= high:  # nor is NaN within
            return None
        if self.kind == "int" and (stored != int(stored) or (int(stored) - int(low)) % self.step):
            return None
        return int(stored) if self.kind == "int" else float(stored)

    def to_dict(self) -> dict[str, Any]:
        """As plain values; `from_dict` reads them back."""
        return {key: list(value) if key == "labels" else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Parameter:
        return cls(**{**told, "labels": tuple(told.get("labels", ()))})

    def __str__(self) -> str:
        if self.kind == "choice":
            return " | ".join(map(str, self.labels))
        scale = ", log" if self.log else ""
        step = f", step {self.step}" if self.step > 1 else ""
        return f"{self.low:g} to {self.high:g}{scale}{step}"


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


# -- the ways of writing one -----------------------------------------------------------------------


def float_parameter(name: str, low: Any, high: Any, *, log: bool = False, default: Any = None) -> Parameter:
    """A number between two bounds.

    Raises
    ------
    MisuseError
        Where the range is empty or its bounds are no numbers.
    """
    word = "log" if log else "float"
    low, high = _number(name, word, low), _number(name, word, high)
    _check_range(name, word, low, high, log)
    if default is not None:
        default = _number(name, word, default)
        _check_default(name, word, default, low, high)
    return Parameter(name, "float", low, high, log, default=default)


def int_parameter(
    name: str, low: Any, high: Any, *, log: bool = False, step: Any = 1, default: Any = None
) -> Parameter:
    """A whole number between two bounds; raises like `float_parameter`."""
    low, high, step = (_whole(name, value) for value in (low, high, step))
    _check_range(name, "int", low, high, log)
    if step < 1:
        raise MisuseError(f"{name}: sweep.int takes a step of at least 1, not {step}")
    if log and step > 1:
        raise MisuseError(f"{name}: sweep.int takes either log=True or a step, not both")
    high -= (high - low) % step
    if default is not None:
        default = _whole(name, default)
        _check_default(name, "int", default, low, high)
        if (default - low) % step:
            raise MisuseError(f"{name}: sweep.int with step {step} from {low} never gives its default {default}")
    return Parameter(name, "int", low, high, log, step, default=default)


def choice_parameter(
    name: str, options: Any, *, labels: Sequence[Value] | None = None, default: Any = None
) -> tuple[Parameter, list[Any]]:
    """One of several options, and the options themselves; `default` is one of them.

    Raises
    ------
    MisuseError
        Where there is no option, or two cannot be told apart.
    """
    if isinstance(options, (str, bytes, Mapping)) or not _is_iterable(options):
        raise MisuseError(f"{name}: sweep.choice takes a list of options, not {type(options).__name__}")
    found = list(options)
    if not found:
        raise MisuseError(f"{name}: sweep.choice has no options")
    named = tuple(_label(option, number, labels) for number, option in enumerate(found))
    for number, label in enumerate(named):
        if any(_same(label, other) for other in named[:number]):
            raise MisuseError(f"{name}: sweep.choice has the option {clipped(repr(label))} twice")
    start = None
    if default is not None:
        start = next(
            (number for number, option in enumerate(found) if option is default or _plain_equal(option, default)), None
        )
        if start is None:
            raise MisuseError(f"{name}: the default is none of the options of sweep.choice")
    return Parameter(name, "choice", labels=named, default=start), found


def _label(option: object, number: int, labels: Sequence[Value] | None) -> Value:
    if labels is not None and number < len(labels):
        return labels[number]
    if option is None or type(option) in (str, int, bool) or (type(option) is float and math.isfinite(option)):
        return option  # type: ignore[return-value]
    called = getattr(option, "__qualname__", None)
    return called if type(called) is str else f"option {number}"


def _plain_equal(one: object, other: object) -> bool:
    return type(one) is type(other) and type(one) in (str, int, bool, float, tuple) and one == other


def _is_iterable(value: object) -> bool:
    return hasattr(type(value), "__iter__")


def _number(name: str, word: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, (str, bytes)):
        raise MisuseError(f"{name}: sweep.{word} takes finite numbers, not {_told(value)}")
    return number


def _whole(name: str, value: Any) -> int:
    number = _number(name, "int", value)
    if number != int(number):
        raise MisuseError(f"{name}: sweep.int takes whole numbers, not {_told(value)}")
    if abs(number) > _MOST:
        raise MisuseError(f"{name}: sweep.int takes whole numbers up to 2**53, which floats tell apart")
    return int(number)


def _told(value: object) -> str:
    if type(value) is int and value.bit_length() > 1023:
        return "an int beyond all floats"  # thousands of digits, which Python may refuse to write
    plain = value is None or type(value) in (str, int, float, bool)
    return clipped(repr(value)) if plain else f"a {type(value).__qualname__}"


def clipped(text: str, most: int = 60) -> str:
    """As much of a text as an error line has room for."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _check_range(name: str, word: str, low: float, high: float, log: bool) -> None:
    if low > high:
        raise MisuseError(f"{name}: sweep.{word}({low:g}, {high:g}) is empty: the first bound is above the second")
    if log and low <= 0:
        raise MisuseError(f"{name}: a logarithmic range starts above 0, not at {low:g}")


def _check_default(name: str, word: str, default: float, low: float, high: float) -> None:
    if not low <= default <= high:
        raise MisuseError(f"{name}: the default {default:g} lies outside sweep.{word}({low:g}, {high:g})")


class Suggestions:
    """What the name `sweep` stands for inside a trial.

    Parameters
    ----------
    ask : callable
        Parameter -> the suggested number (of a choice: the number of the option).
    report : callable
        ``(step, metrics)``: takes intermediate values; may end the trial.
    """

    def __init__(self, ask: Callable[[Parameter], Number], report: Callable[[Any, Mapping[str, Any]], None]) -> None:
        self._ask = ask
        self._report = report

    def float(self, low: Any, high: Any, *, default: Any = None, name: str = "") -> Any:
        """A number between `low` and `high`."""
        return self._ask(float_parameter(_named(name), low, high, default=default))

    def log(self, low: Any, high: Any, *, default: Any = None, name: str = "") -> Any:
        """The same, drawn evenly on a logarithmic scale."""
        return self._ask(float_parameter(_named(name), low, high, log=True, default=default))

    def int(self, low: Any, high: Any, log: bool = False, step: Any = 1, *, default: Any = None, name: str = "") -> Any:
        """A whole number between `low` and `high`, both included."""
        return self._ask(int_parameter(_named(name), low, high, log=log, step=step, default=default))

    def choice(
        self, options: Any, *, default: Any = None, name: str = "", labels: Sequence[Value] | None = None
    ) -> Any:
        """One of the options."""
        parameter, found = choice_parameter(_named(name), options, labels=labels, default=default)
        return found[_position(self._ask(parameter))]

    def report(self, step: Any = None, **metrics: Any) -> None:
        """Tell intermediate values, by which learning curves are drawn and hopeless trials end early."""
        self._report(step, metrics)


def _position(number: Number) -> int:
    return int(number)


def _named(name: object) -> str:
    if type(name) is not str or not name:
        raise MisuseError("a swept value has no name here: assign it, pass it by keyword, or say name='…'")
    return name
