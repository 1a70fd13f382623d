"""The one table every measurement goes into; its columns stay, so that runs can be laid side by side."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version

COLUMNS = ("what", "mlmagic", "beside", "ratio", "now", "goal")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Attributes
    ----------
    what : str
        What was measured, with its size.
    mlmagic : str
        Our figure, with its unit.
    beside : str
        What stands beside it in the same run: no extension, a peer, or the machine's own limit.
    ratio : str
        Ours to theirs.
    now, goal : str
        What must hold today, and where we go.
    """

    what: str
    mlmagic: str
    beside: str = ""
    ratio: str = ""
    now: str = ""
    goal: str = ""

    def cells(self) -> tuple[str, ...]:
        return (self.what, self.mlmagic, self.beside, self.ratio, self.now, self.goal)


def markdown(rows: Iterable[Row]) -> str:
    """The table as Markdown that is also aligned for a terminal."""
    lines = [COLUMNS, *(row.cells() for row in rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(COLUMNS))]
    told = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([told[0], rule, *told[1:]])


def machine() -> str:
    """What the figures were measured on, in one line."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("ipython", "ipykernel", "pandas", "numpy", "duckdb"))
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {packages}"
