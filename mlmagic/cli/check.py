"""`mlmagic check`: does a bundle hold what it promises, on this machine; and does a file of rows fit it?"""

from __future__ import annotations

import argparse

import mlmagic


def declare(parser: argparse.ArgumentParser) -> None:
    """Its arguments and options."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder, or its name in this project")
    parser.add_argument("file", nargs="?", metavar="FILE", help="rows to hold against it: .csv or .parquet")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run the bundle's assertions although your key did not sign it: they are Python code of its maker",
    )


def execute(asked: argparse.Namespace) -> int:
    """Do it; the exit status: 1 where something failed."""
    found = mlmagic.check(asked.bundle, asked.file, trust=asked.trust)
    print(found)
    return 0 if found.ok else 1
