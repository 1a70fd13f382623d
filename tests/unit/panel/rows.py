"""Steps by hand: a cell that reads and writes names, as the recorder would tell it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mlmagic.panel.graph import Graph
from mlmagic.panel.marks import Marks
from mlmagic.panel.steps import of_observation
from mlmagic.panel.wire import Cell
from mlmagic.records import Execution, Observation, Read, Version, Write


@dataclass
class Notebook:
    """Cells that run one after the other; both marks and graph follow."""

    marks: Marks = field(default_factory=Marks)
    graph: Graph = field(default_factory=Graph)
    now: dict[str, Version] = field(default_factory=dict)
    count: int = 0

    def run(self, cell: str, reads: str = "", source: str | None = None, status: Any = "ok", **writes: str) -> str:
        """Run a cell that reads these names and leaves these contents behind; a name with a dot is a file's.

        ``x="…"`` binds or changes `x`; ``x=""`` deletes it. Returns the id of the execution.
        """
        observation = self.observation(cell, reads, source, status, **writes)
        step = of_observation(observation, self.marks.versions)
        self.marks.add(step)
        self.graph.add(step)
        return observation.execution.execution_id

    def observation(
        self, cell: str, reads: str = "", source: str | None = None, status: Any = "ok", **writes: str
    ) -> Observation:
        self.count += 1
        name = f"e{self.count:05d}"
        text = source if source is not None else f"{', '.join(writes)} = {reads or 1}"
        execution = Execution(name, "s", cell, self.count, None, text, "hash", 0.0, 1.0, 1.0, None, status)
        read = [self.now.get(one) or self.outside(one, name, "there") for one in reads.split()]
        made = {key.replace("__", "."): content for key, content in writes.items()}
        versions = [Version(f"{name}-{key}", _kind(key), key, name, content or None) for key, content in made.items()]
        how = {row.version_id: "bind" if made[row.name] else "delete" for row in versions}
        self.now |= {row.name: row for row in versions}
        return Observation(
            execution,
            (*versions, *read),
            tuple(Read(name, row.version_id, "name") for row in read),
            tuple(Write(name, row.version_id, how[row.version_id]) for row in versions),  # type: ignore[arg-type]
        )

    def outside(self, path: str, execution: str, content: str) -> Version:
        """A file as somebody else left it; the next cell that reads it meets it."""
        self.now[path] = Version(f"{execution}-{path}-out", _kind(path), path, None, content)
        return self.now[path]

    def mark(self, cell: str) -> Cell:
        return {row["id"]: row for row in self.marks.rows()}[cell]

    def stale(self) -> dict[str, str]:
        return {row["id"]: row["stale"] for row in self.marks.rows() if row["stale"] is not None}


def _kind(name: str) -> Any:
    return "file" if "." in name else "variable"
