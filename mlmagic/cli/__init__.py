"""The `mlmagic` command: one file per subcommand, each a thin front for one function of `api`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mlmagic.cli import check, doctor, lineage, run, score, serve, slice
from mlmagic.errors import MlmagicError

_COMMANDS = {
    "run": run,
    "lineage": lineage,
    "slice": slice,
    "serve": serve,
    "score": score,
    "check": check,
    "doctor": doctor,
}


def parser() -> argparse.ArgumentParser:
    """The command line: subcommands with their own help."""
    from mlmagic import __version__

    made = argparse.ArgumentParser(prog="mlmagic", description="The notebook remembers: lineage, slices, tracked runs.")
    made.add_argument("--version", action="version", version=f"mlmagic {__version__}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND")
    for name, module in _COMMANDS.items():
        summary = (module.__doc__ or "").partition("\n")[0].partition(": ")[2]
        module.declare(commands.add_parser(name, help=summary, description=summary))
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit status: 0 well, 1 a user's mistake or a failed run, 2 wrong usage."""
    declared = parser()
    asked = declared.parse_args(arguments)
    if asked.command is None:
        declared.print_help()
        return 0
    try:
        return int(_COMMANDS[asked.command].execute(asked))
    except MlmagicError as error:
        print(f"mlmagic: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `mlmagic lineage x | head`
        sys.stderr.close()
        return 0
