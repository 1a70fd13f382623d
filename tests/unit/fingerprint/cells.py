"""Cells to look at: text is run as a notebook would run it, in a namespace called ``__main__``."""

from __future__ import annotations

from typing import Any

import pytest

from mlmagic.capture.behind import code_reach
from mlmagic.fingerprint import Scope, Snapshot, snapshot

LIBRARIES = {"np": "numpy", "pd": "pandas", "pa": "pyarrow", "pl": "polars", "torch": "torch", "sklearn": "sklearn"}
LIBRARIES |= {"sp": "scipy.sparse", "plt": "matplotlib.pyplot"}


class Notebook:
    """A namespace, what cells do in it, and how it looks to us."""

    def __init__(self, *cells: str) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        for cell in cells:
            self.run(cell)

    def run(self, cell: str) -> Notebook:
        for short, module in LIBRARIES.items():
            if f"{short}." in cell and short not in self.namespace:
                self.namespace[short] = pytest.importorskip(module)
        exec(compile(cell, "<cell>", "exec"), self.namespace)
        return self

    def __getitem__(self, name: str) -> Any:
        return self.namespace[name]

    def look(self, name: str = "x", limit: int = 1_000_000) -> Snapshot:
        scope = Scope(self.namespace, code_reach, lambda module: module.startswith("localmodule"), limit)
        return snapshot(self.namespace[name], scope)

    def digest(self, name: str = "x") -> str | None:
        return self.look(name).fingerprint


def cases(table: str) -> list[Any]:
    """Rows of a table: ``setup | change``, one per line, with ``\\n`` for a new line in a cell."""
    rows: list[Any] = []
    for line in table.strip().splitlines():
        if line.strip() and not line.strip().startswith("#"):
            cells = [cell.strip().replace("\\n", "\n") for cell in line.split(" | ")]
            rows.append(pytest.param(*cells, id=" | ".join(cells).replace("\n", ";")[:110]))
    return rows
