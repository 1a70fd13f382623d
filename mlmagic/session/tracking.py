"""The first line of a `%%track` cell: its options, read from the text alone, and taken away from the body."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from mlmagic.errors import MisuseError, UnknownNameError

_FIRST_LINE = re.compile(r"^%%track(?=\s|$)(.*)$")
OPTIONS = ("--reuse", "--no-reuse", "--tag", "--metric", "--param")


class _Parser(argparse.ArgumentParser):
    """Argument parser whose complaints are ours: one line, the nearest option named."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (-\S+)", message)
        if unknown:
            raise UnknownNameError.among("option of %%track", unknown[1], OPTIONS)
        raise MisuseError(f"%%track: {message}")


def parser() -> argparse.ArgumentParser:
    """The options of `%%track`."""
    made = _Parser(prog="%%track", add_help=False, allow_abbrev=False)
    made.add_argument("name", nargs="?", help="name to find this cell by: %%lineage NAME")
    made.add_argument(
        "--reuse", action="store_true", default=None, help="take its results from an earlier run, if nothing changed"
    )
    made.add_argument("--no-reuse", dest="reuse", action="store_false", help="run it, whatever is known of it")
    made.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="a label; may be repeated")
    made.add_argument("--metric", action="append", default=[], metavar="NAME", help="variable to keep as a metric")
    made.add_argument("--param", action="append", default=[], metavar="NAME", help="variable to keep as a parameter")
    return made


@dataclass(frozen=True, slots=True)
class Tracking:
    """What the first line of a cell asks for."""

    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    reuse: bool | None = None  # what its own option says
    tracked: bool = False  # there is a `%%track` line

    @classmethod
    def of(cls, source: str) -> Tracking:
        """The options of a cell's first line; nothing where there is none, or it is wrong."""
        line = track_line(source.splitlines())
        if line is None:
            return cls()
        try:
            return cls.parse(line)
        except (MisuseError, UnknownNameError):
            return cls()  # the shell has refused this cell with that message

    @classmethod
    def parse(cls, line: str) -> Tracking:
        """Read the options after ``%%track``.

        Raises
        ------
        MisuseError, UnknownNameError
            An option or value that does not fit.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise MisuseError(f"%%track: {error}") from None
        asked = parser().parse_args(words)
        tags = {}
        for text in asked.tag:
            key, sign, value = text.partition("=")
            if not sign or not key:
                raise MisuseError(f"%%track: --tag takes KEY=VALUE, not {text!r}")
            tags[key] = value
        for name in (*asked.param, *asked.metric):
            if not name.isidentifier():
                raise MisuseError(f"%%track: --param and --metric take the name of a variable, not {name!r}")
        return cls(asked.name, tags, tuple(asked.param), tuple(asked.metric), asked.reuse, tracked=True)


def track_line(lines: list[str]) -> str | None:
    """What follows ``%%track`` on the first line that is not blank, or ``None``."""
    for line in lines:
        if line.strip():
            found = _FIRST_LINE.match(line.rstrip("\n"))
            return found[1] if found else None
    return None


def strip_track_line(lines: list[str]) -> list[str]:
    """Input transformer: the body without its `%%track` line, line numbers kept.

    Raises
    ------
    UsageError
        The options are wrong, or the line stands below a comment, where IPython would not see a magic.
    """
    from IPython.core.error import UsageError

    number = next((number for number, line in enumerate(lines) if line.strip()), None)
    if number is None:
        return lines
    line = track_line(lines)
    if line is None:
        if _misplaced(lines):
            raise UsageError("%%track must be the first line of its cell: move it above the comment")
        return lines
    if line.strip() in ("?", "??"):
        return lines
    try:
        Tracking.parse(line)
    except (MisuseError, UnknownNameError) as problem:
        raise UsageError(str(problem)) from None
    body = lines[number + 1 :]
    first = next((line for line in body if line.strip()), "")
    # A cell magic below ours must come first to be seen as one; elsewhere tracebacks keep their line numbers.
    return body[body.index(first) :] if first.startswith("%%") else [*lines[:number], "\n", *body]


def _misplaced(lines: list[str]) -> bool:
    for line in lines:
        if _FIRST_LINE.match(line.rstrip("\n")):
            return True
        if line.strip() and not line.lstrip().startswith("#"):
            return False
    return False


strip_track_line.has_side_effects = False  # type: ignore[attr-defined]
