"""`mlmagic score`: a bundle's answers for the rows of a file, CSV or Parquet, larger than memory if need be."""

from __future__ import annotations

import argparse
import sys
import time

import mlmagic
from mlmagic.errors import MisuseError

EVERY = 0.5  # seconds between two words on how far it is


def declare(parser: argparse.ArgumentParser) -> None:
    """Its arguments and options."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder, or its name in this project")
    parser.add_argument("file", metavar="FILE", help="the rows: .csv or .parquet")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="where to write: .csv or .parquet")
    columns = parser.add_mutually_exclusive_group()
    columns.add_argument("--keep", metavar="A,B", help="columns of FILE that stand before the answers (default: all)")
    columns.add_argument("--only-answers", action="store_true", help="no column of FILE")
    parser.add_argument("--batch-rows", type=int, metavar="N", help="rows that are in memory at a time")
    parser.add_argument(
        "--bad-rows",
        choices=("error", "null"),
        default="error",
        help="a row that the model does not take: ends it all (error, the default), or has no answer (null)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def execute(asked: argparse.Namespace) -> int:
    """Do it; the exit status."""
    if asked.batch_rows is not None and asked.batch_rows < 1:
        raise MisuseError(f"--batch-rows takes a whole number from 1 on, not {asked.batch_rows}")
    progress = None if asked.quiet else Progress()
    try:
        found = mlmagic.score(
            asked.bundle,
            asked.file,
            asked.output,
            keep=[] if asked.only_answers else _names(asked.keep),
            batch_rows=asked.batch_rows,
            bad_rows=asked.bad_rows,
            progress=progress,
        )
    finally:
        if progress is not None:
            progress.end()
    print(found)
    return 0


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


class Progress:
    """Says on standard error how many rows are done: on one line of a terminal, or every half minute in a log."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._began = self._told = time.monotonic()
        self._open = False

    def __call__(self, rows: int) -> None:
        """So many rows are done."""
        now = time.monotonic()
        if now - self._told < (EVERY if self._terminal else 60 * EVERY):
            return
        self._told, self._open = now, self._terminal
        line = f"{rows:,} rows, {rows / (now - self._began):,.0f} rows/s"
        print(f"\r{line} " if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._open:
            print(file=sys.stderr)
            self._open = False
