"""`python -m benchmarks [--save FILE]`: measure everything, print one table."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from benchmarks import cells, hashing, reuse, tour
from benchmarks.peers import ipyflow
from benchmarks.table import Row, machine, markdown


def main() -> None:
    about = "What tracking costs and reuse saves, as one table."
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=about)
    parser.add_argument("--save", metavar="FILE", help="write the table to this Markdown file, too")
    asked = parser.parse_args()
    rows: list[Row] = []
    peer = ipyflow()
    for source in (cells.measure(peer), hashing.measure(), tour.measure(), reuse.measure()):
        for row in source:
            print("  ·".ljust(4), row.what, "→", row.mlmagic, file=sys.stderr, flush=True)
            rows.append(row)
    text = f"{machine()}, {datetime.date.today()}\n\n{markdown(rows)}\n"
    print(text)
    if asked.save:
        Path(asked.save).write_text(f"# What tracking costs\n\n`make bench` on {text}")


if __name__ == "__main__":
    main()
