"""The panel's step from steps to the graph: cells, and the latest version of each variable and file between them.

A node gets its row when it first appears and keeps it for good, so the picture grows and never moves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mlmagic.graph import words
from mlmagic.panel.steps import Key, Step, key_of, line
from mlmagic.panel.wire import Edge, Node
from mlmagic.records import Amendment, Version

MAX_NODES, MAX_EDGES = 2_000, 8_000
_ABREAST = 6  # nodes in one row
_LABEL, _DETAIL = 60, 60
_MARKS = {"variable": "v", "file": "f", "random": "r", "module": "m"}

# Estimators by the names of their types: the rows know no more of a value than that.
_MODEL = re.compile(
    r"(Classifier|Regressor|Regression|RegressionCV|Pipeline|SearchCV|SV[CR]|KMeans|Mixture|Forest|Booster|Perceptron"
    r"|Ridge|Lasso|ElasticNet|NB|LogReg|Estimator|Model|Network|Net|Sequential|Module)$"
)


@dataclass(frozen=True, slots=True)
class View:
    """The graph at one moment.

    Attributes
    ----------
    more : int
        Nodes left out: those that nothing touched for longest.
    """

    nodes: dict[str, Node]
    edges: dict[Edge, None]
    more: int


class Graph:
    """The graph of one session; fed step by step."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}  # in the order in which they were touched last
        self._rows: dict[str, int] = {}  # also of those that are gone
        self._next = 0
        self._reads: dict[str, tuple[str, ...]] = {}  # cell's node -> nodes that its last run read
        self._writers: dict[str, dict[str, None]] = {}  # data's node -> cells whose work is in its present version
        self._cells: dict[str, str] = {}  # execution -> its cell's node

    # -- feeding -----------------------------------------------------------------------------

    def add(self, step: Step) -> None:
        """An execution ended."""
        execution = step.execution
        cell = f"c:{line(execution.cell_id, 80)}"
        self._cells[execution.execution_id] = cell
        read = [(name, row) for row in step.read if (name := self._known(row)) is not None]
        written = [(made, how) for made, how in step.written if _is_shown(made, step)]
        self._forget_reads(cell)
        if not read and not written and (execution.status == "ok" or not step.is_cell):
            self._nodes.pop(cell, None)
            return
        self._place([name for name, _ in read])
        for name, row in read:
            self._touch(name, self._nodes.get(name) or self._data(name, row, None))
        self._place([cell])
        self._touch(cell, self._cell(cell, step))
        self._reads[cell] = tuple(dict.fromkeys(name for name, _ in read))
        self._place([node_id(made) for made, how in written if how != "delete"])
        for made, how in written:
            self._wrote(cell, made, how)

    def amend(self, amendment: Amendment) -> None:
        """What became known of an execution later."""
        versions = {row.version_id: row for row in amendment.versions}
        for row in amendment.writes:
            cell, made = self._cells.get(row.execution_id), versions.get(row.version_id)
            if cell in self._nodes and made is not None and node_id(made) in self._nodes:
                self._touch(node_id(made), self._data(node_id(made), made, self._nodes[cell]["cell"]))

    # -- asking ------------------------------------------------------------------------------

    def view(self) -> View:
        """As much of it as a page can show."""
        left_out = max(0, len(self._nodes) - MAX_NODES)
        shown = dict(list(self._nodes.items())[left_out:])
        edges = [edge for cell in shown for edge in self._edges_of(cell) if edge[0] in shown and edge[1] in shown]
        return View(shown, dict.fromkeys(edges[-MAX_EDGES:]), left_out)

    # -- inside ------------------------------------------------------------------------------

    def _edges_of(self, name: str) -> Iterable[Edge]:
        yield from ((source, name) for source in self._reads.get(name, ()))
        yield from ((cell, name) for cell in self._writers.get(name, ()))

    def _known(self, version: Version) -> str | None:
        """The node of something that was read; a file that came from outside gets one now."""
        name = node_id(version)
        known = name in self._nodes or version.kind == "file"
        return name if known and version.kind in _MARKS else None

    def _forget_reads(self, cell: str) -> None:
        self._reads.pop(cell, None)

    def _wrote(self, cell: str, made: Version, how: str) -> None:
        name = node_id(made)
        if how == "delete":
            self._nodes.pop(name, None)
            self._writers.pop(name, None)
            return
        goes_on = name in self._reads[cell]  # it changed what was there
        self._writers[name] = {**(self._writers.get(name, {}) if goes_on else {}), cell: None}
        self._touch(name, self._data(name, made, self._nodes[cell]["cell"]))

    def _touch(self, name: str, node: Node) -> None:
        self._nodes.pop(name, None)
        self._nodes[name] = node

    def _place(self, names: Iterable[str]) -> None:
        """Rows for those that are new, below everything that is there; some stand abreast."""
        new = [name for name in dict.fromkeys(names) if name not in self._rows]
        for place, name in enumerate(new):
            self._rows[name] = self._next + place // _ABREAST
        self._next += -(-len(new) // _ABREAST)

    def _cell(self, name: str, step: Step) -> Node:
        execution = step.execution
        return Node(
            id=name,
            kind="cell",
            label=line(words.label(execution, 40), _LABEL),
            cell=execution.cell_id if step.is_cell else None,
            row=self._rows[name],
            seconds=round(execution.seconds, 4),
            status=execution.status,
        )

    def _data(self, name: str, version: Version, cell: str | None) -> Node:
        kind: Any = "model" if version.kind == "variable" and _MODEL.search(version.type or "") else version.kind
        return Node(
            id=name,
            kind=kind,
            label=line(version.name, _LABEL),
            cell=cell,
            row=self._rows[name],
            type=line(version.type, _DETAIL) or None,
            shape=line(version.shape, _DETAIL) or None,
            preview=line(version.preview, _DETAIL) or None,
        )


def node_id(version: Version) -> str:
    """The node that all versions of a name share."""
    key: Key = key_of(version)
    return f"{_MARKS.get(key[0], key[0])}:{line(key[1], 200)}"


def _is_shown(version: Version, step: Step) -> bool:
    """Names that an import merely bound are mentioned nowhere: every cell would hang on them."""
    if not step.is_cell:
        return version.kind == "variable"
    return version.kind in _MARKS and (version.kind != "variable" or not words.is_imported(version, step.execution))
