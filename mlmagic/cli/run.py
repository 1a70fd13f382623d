"""`mlmagic run`: execute a notebook headless, tracked from its first cell."""

from __future__ import annotations

import argparse
import sys

import mlmagic


def declare(parser: argparse.ArgumentParser) -> None:
    """Its arguments and options."""
    parser.add_argument("notebook", metavar="NOTEBOOK", help="the .ipynb file; it is not changed")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the executed notebook here")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def execute(asked: argparse.Namespace) -> int:
    """Do it; the exit status."""

    def progress(number: int, total: int, source: str) -> None:
        first = next((line for line in source.splitlines() if line.strip()), "")
        print(f"[{number}/{total}] {first[:70]}", file=sys.stderr, flush=True)

    found = mlmagic.run(asked.notebook, asked.output, on_cell=None if asked.quiet else progress)
    print(found)
    return 1 if found.error else 0
