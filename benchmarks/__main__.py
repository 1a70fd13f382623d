"""`python -m benchmarks [--only PART] [--save FILE]`: measure everything, or one part, and print one table."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import assertions, cells, drift, hashing, page, reuse, serving, sweeps, tour
from benchmarks.peers import ipyflow
from benchmarks.table import Row, machine, markdown

PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "cells": lambda: cells.measure(ipyflow()),
    "hashing": hashing.measure,
    "tour": tour.measure,
    "reuse": reuse.measure,
    "sweeps": sweeps.measure,
    "assertions": assertions.measure,
    "drift": drift.measure,
    "serving": serving.measure,
    "page": page.measure,
}


def main() -> None:
    about = "What tracking and sweeps cost and reuse saves, as one table."
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=about)
    parser.add_argument("--only", metavar="PART", action="append", choices=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--save", metavar="FILE", help="write the table to this Markdown file, too")
    asked = parser.parse_args()
    rows: list[Row] = []
    for part in asked.only or PARTS:
        for row in PARTS[part]():
            print("  ·".ljust(4), row.what, "→", row.mlmagic, file=sys.stderr, flush=True)
            rows.append(row)
    text = f"{machine()}, {datetime.date.today()}\n\n{markdown(rows)}\n"
    print(text)
    if asked.save:
        Path(asked.save).write_text(f"# What tracking costs\n\n`make bench` on {text}")


if __name__ == "__main__":
    main()
