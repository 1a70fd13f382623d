"""How every magic reads its line, says what is wrong with it, and completes it."""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import parse_argstring

from mlmagic.errors import MlmagicError, UnknownNameError
from mlmagic.session import active

Magic = TypeVar("Magic", bound=Callable[..., Any])

_UNKNOWN = re.compile(r"unrecognized arguments: (\S+)")
_CHOICE = re.compile(r"argument (\S+): invalid choice: '([^']*)' \(choose from (.*)\)")


def one_line(magic: Magic) -> Magic:
    """Show a user's mistake as one line, without a traceback; a semicolon at the end shows nothing.

    What a magic of ours reads and draws is no part of the cell that it stands in.
    """

    @functools.wraps(magic)
    def wrapped(self: Any, line: str) -> Any:
        silent = _is_silenced(line.strip())
        session = active()
        with session.recorder.aside() if session is not None else nullcontext():
            try:
                found = magic(self, line.strip().removesuffix(";") if silent else line)
            except MlmagicError as error:
                raise UsageError(str(error)) from None
        return None if silent else found

    return wrapped  # type: ignore[return-value]


def cell_in_one_line(magic: Magic) -> Magic:
    """Show a user's mistake in a cell magic as one line; what its body does is part of the cell, errors and all."""

    @functools.wraps(magic)
    def wrapped(self: Any, line: str, cell: str) -> Any:
        try:
            return magic(self, line, cell)
        except MlmagicError as error:
            raise UsageError(str(error)) from None

    return wrapped  # type: ignore[return-value]


def _is_silenced(line: str) -> bool:
    """Whether the line ends in a semicolon of the notebook's, rather than of a query without quotes."""
    return line.endswith(";") and ("--sql" not in line or line[-2:-1] in ("'", '"'))


def parse(magic: Callable[..., Any], line: str) -> argparse.Namespace:
    """The options of a magic's line; a wrong one is named together with the nearest that exists."""
    try:
        found: argparse.Namespace = parse_argstring(magic, line)
    except UsageError as error:
        raise _nearest(magic, str(error)) from None
    return found


def _nearest(magic: Callable[..., Any], message: str) -> Exception:
    unknown = _UNKNOWN.search(message)
    if unknown:
        name = f"option of %{magic.__name__}" if unknown[1].startswith("-") else f"argument of %{magic.__name__}"
        return UnknownNameError.among(name, unknown[1], options(magic))
    choice = _CHOICE.search(message)
    if choice:
        return UnknownNameError.among(f"value of {choice[1]}", choice[2], re.findall(r"'?([\w-]+)'?", choice[3]))
    return UsageError(message)


def options(magic: Callable[..., Any]) -> list[str]:
    """The options a magic knows, as they are typed."""
    parser: argparse.ArgumentParser = magic.parser  # type: ignore[attr-defined]
    return [text for action in parser._actions for text in action.option_strings]


def choices(magic: Callable[..., Any]) -> list[str]:
    """The fixed words a magic's positional argument can be."""
    parser: argparse.ArgumentParser = magic.parser  # type: ignore[attr-defined]
    return [str(word) for action in parser._actions if not action.option_strings for word in action.choices or ()]


def recorded_names() -> list[str]:
    """What a TARGET can be: the variables that have a version, and the names of cells."""
    session = active()
    if session is None:
        return []
    history = session.history()
    cells = [row.name for row in history.executions if row.name]
    return list(dict.fromkeys([*session.recorder.variables(), *cells]))


def completer(magic: Callable[..., Any], *, names_after: tuple[str, ...] = ()) -> Callable[[Any, Any], list[str]]:
    """A Tab completer for a magic: its options, its words, and recorded names.

    `names_after` says which options take a recorded name; ``""`` stands for the magic's own argument.
    """

    def complete(shell: Any, event: Any) -> list[str]:
        typed = event.text_until_cursor.removesuffix(event.symbol).split()
        option = _option(magic, typed[-1] if len(typed) > 1 else "")
        if option is None:
            names = recorded_names() if "" in names_after else []
            return [*choices(magic), *names, *options(magic)]
        names = recorded_names() if set(names_after) & set(option.option_strings) else []
        return [*map(str, option.choices or ()), *names]

    return complete


def _option(magic: Callable[..., Any], word: str) -> argparse.Action | None:
    """The option of this name that waits for a value."""
    parser: argparse.ArgumentParser = magic.parser  # type: ignore[attr-defined]
    found = (action for action in parser._actions if word in action.option_strings and action.nargs != 0)
    return next(found, None)
