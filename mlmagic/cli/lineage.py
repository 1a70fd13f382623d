"""`mlmagic lineage`: where something came from, or what it feeds; SQL over the store."""

from __future__ import annotations

import argparse

import mlmagic
from mlmagic.errors import MisuseError


def declare(parser: argparse.ArgumentParser) -> None:
    """Its arguments and options."""
    parser.add_argument(
        "target", nargs="?", metavar="TARGET", help="a variable, name@EXECUTION, [N], a cell's name, file:PATH"
    )
    parser.add_argument("--forward", action="store_true", help="what TARGET feeds")
    parser.add_argument("--depth", type=int, metavar="N", help="at most N executions away")
    parser.add_argument("--as", dest="face", default="tree", choices=("tree", "table", "json"))
    parser.add_argument("--sql", metavar="QUERY", help="SQL over the store, read-only")


def execute(asked: argparse.Namespace) -> int:
    """Do it; the exit status."""
    if asked.sql is not None:
        print(mlmagic.sql(asked.sql).to_string(index=False))
        return 0
    if asked.depth is not None and asked.depth < 1:
        raise MisuseError(f"--depth takes a whole number from 1 on, not {asked.depth}")
    print(mlmagic.lineage(asked.target, forward=asked.forward, depth=asked.depth).render(asked.face))
    return 0
