"""`mlmagic slice`: the smallest script that recreates something, printed, saved or run."""

from __future__ import annotations

import argparse

import mlmagic


def declare(parser: argparse.ArgumentParser) -> None:
    """Its arguments and options."""
    parser.add_argument("target", metavar="TARGET", help="a variable, name@EXECUTION, [N], a cell's name")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it to FILE.py or FILE.ipynb")
    parser.add_argument("--run", action="store_true", help="execute it in a fresh process and compare")


def execute(asked: argparse.Namespace) -> int:
    """Do it; the exit status."""
    found = mlmagic.slice(asked.target)
    if asked.output:
        print(f"wrote {found.save(asked.output)}")
    if asked.run:
        verdict = found.run()
        print(verdict)
        return 0 if verdict.verdict in ("same", "close") else 1
    if not asked.output:
        print(found.source, end="")
    return 0
