"""`mlmagic doctor`: check the installation and the project's store, and say what to do."""

from __future__ import annotations

import argparse

import mlmagic


def declare(parser: argparse.ArgumentParser) -> None:
    """Its arguments and options."""
    del parser  # no options


def execute(asked: argparse.Namespace) -> int:
    """Do it; the exit status."""
    del asked
    found = mlmagic.doctor()
    print(found)
    return 0 if found.healthy else 1
