"""The step from a lineage to text: an index comes in, aligned lines that any terminal shows go out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mlmagic.graph import words
from mlmagic.graph.index import Index
from mlmagic.records import Execution, Version

MAX_LINES = 200
MAX_DEPTH = 20  # levels of indentation; deeper trees run off every terminal
Maker = Callable[[Version], Execution | None]
LEFT = 66  # columns for names before the cells' column begins; a longer name pushes its own cell to the right
MAX_NAMES = 12  # names in one "uses" line


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tree: what it is, and which cell made it."""

    left: str
    right: str = ""


def draw(index: Index, target: Version | Execution | None, forward: bool, beyond: Mapping[str, Execution]) -> list[str]:
    """The lines of the tree under `target`, or of the whole session in time order when there is none."""
    if target is None:
        return list(_capped(_session(index), "%lineage NAME shows one variable, --as table all of it"))
    branches = _Branches(index, forward, beyond)
    lines = _aligned(branches.walk(target))
    return list(_capped(lines, "--depth N shows the nearest, --as table all of it"))


class _Branches:
    """A walk over the tree, without recursion: a chain of thousands of cells is no error."""

    def __init__(self, index: Index, forward: bool, beyond: Mapping[str, Execution]) -> None:
        self.index = index
        self.forward = forward
        self.beyond = beyond  # executions that are named where the lineage ends, but have no branch
        self.seen: set[str] = set()  # versions and executions that have had their branch

    def walk(self, target: Version | Execution) -> Iterator[Line]:
        children = self._fed_by if self.forward else self._read_for
        waiting: list[tuple[Version | Execution | str, str, str]] = [(target, "", "")]
        while waiting:
            item, head, rest = waiting.pop()
            line, open_ = self._line(item)
            yield Line(head + line.left, line.right)
            if not open_ or isinstance(item, str):
                continue
            below = children(item)
            if below and len(rest) >= 3 * MAX_DEPTH:
                below = ["… deeper: ask for one of the names above, or --as table"]
            for child, last in reversed(list(_with_last(below))):
                waiting.append((child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")))

    def _line(self, item: Version | Execution | str) -> tuple[Line, bool]:
        """The line of an item, and whether its branch is still to be drawn."""
        if isinstance(item, str):
            return Line(item), False
        if isinstance(item, Execution):
            first = not self._been(item.execution_id)
            return Line(words.label(item), _cell(item, named=False)), first
        text = "  ".join(part for part in (words.name(item), words.describe(item)) if part)
        if self._been(item.version_id):
            return Line(f"{words.name(item)}  ↑ above"), False
        producer = self.index.producer(item)
        if producer is None:
            end = self.beyond.get(item.execution_id or "")
            return Line(text, _made_by(self.index, item, end) if end else ""), True
        above = not self.forward and self._been(producer.execution_id)
        return Line(text, _made_by(self.index, item, producer) + (" · ↑ above" if above else "")), not above

    def _been(self, name: str) -> bool:
        been = name in self.seen
        self.seen.add(name)
        return been

    def _read_for(self, item: Version | Execution) -> list[Version | Execution | str]:
        """What the item's execution read: a branch each for values and files, one line for the rest."""
        producer = item if isinstance(item, Execution) else self.index.producer(item)
        if producer is None:
            return []
        loud, quiet = self._by_weight(self.index.read_by(producer.execution_id))
        loud.sort(key=self._age)
        return [*loud, *_uses(quiet, self._maker)]

    def _fed_by(self, item: Version | Execution) -> list[Version | Execution | str]:
        """What readers of the item made of it."""
        if isinstance(item, Execution):
            loud, quiet = self._by_weight(self.index.written_by(item.execution_id))
            return [*loud, *_also(quiet)]
        below: list[Version | Execution | str] = []
        for reader in self.index.readers.get(item.version_id, ()):
            execution = self.index.executions[reader]
            loud, quiet = self._by_weight(self.index.written_by(reader))
            below.extend([*loud, *_also(quiet)] or [f"read by {words.label(execution)}, which wrote no variable"])
        return below

    def _maker(self, version: Version) -> Execution | None:
        return self.index.producer(version) or self.beyond.get(version.execution_id or "")

    def _by_weight(self, versions: Iterable[Version]) -> tuple[list[Version], list[Version]]:
        return _by_weight(versions, self._maker)

    def _age(self, version: Version) -> tuple[bool, int]:
        """Latest made first: the main line of the story comes before its side lines; files close it."""
        producer = self.index.producer(version)
        return version.kind == "file", -self.index.position[producer.execution_id] if producer else 1


def _by_weight(versions: Iterable[Version], maker: Maker) -> tuple[list[Version], list[Version]]:
    """Values and files, oldest first; and what only deserves a mention: imports, random state, environment."""
    loud: list[Version] = []
    quiet: list[Version] = []
    for version in versions:
        aside = version.kind in ("random", "environment") or words.is_imported(version, maker(version))
        (quiet if aside else loud).append(version)
    return sorted(loud, key=lambda row: (row.kind == "file", row.version_id)), quiet


def _uses(versions: list[Version], maker: Maker) -> list[str]:
    """`uses: np, pd from [1]; random state of numpy after [4]` in one line."""
    if not versions:
        return []
    groups: dict[str, list[str]] = {}
    for version in versions[:MAX_NAMES]:
        producer = maker(version)
        word = "after" if version.kind == "random" else "from"
        groups.setdefault(f" {word} {words.count(producer)}" if producer else "", []).append(words.name(version))
    more = f"; {len(versions) - MAX_NAMES} more" if len(versions) > MAX_NAMES else ""
    return ["uses: " + "; ".join(", ".join(names) + cell for cell, names in groups.items()) + more]


def _also(versions: list[Version]) -> list[str]:
    names = [words.name(version) for version in versions]
    more = f", {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ["also changes: " + ", ".join(names[:MAX_NAMES]) + more] if names else []


def _made_by(index: Index, version: Version, producer: Execution) -> str:
    return ("mutated by " if index.mutated(version) else "") + _cell(producer)


def _cell(execution: Execution, named: bool = True) -> str:
    """`[7] train · 0.41 s · ↺ reused`; an unnamed cell is its count alone, its code is for the picture."""
    who = words.count(execution) if execution.name is None else words.label(execution)
    parts = [who if named else "", "" if execution.name == "before" else words.seconds(execution.seconds)]
    return " · ".join(part for part in (*parts, words.status(execution)) if part)


def _session(index: Index) -> Iterator[str]:
    """The whole session, a paragraph per cell: what it read and what it made."""
    executions = [row for row in index.history.executions if index.takes_part(row)]
    if not executions:
        yield "nothing has been recorded yet"
        return
    for execution in executions:
        yield " · ".join(part for part in (words.label(execution, 60), _cell(execution, named=False)) if part)
        loud, _ = _by_weight(index.read_by(execution.execution_id), index.producer)
        yield from _paragraph("reads  ", [_from(index, row) for row in loud])
        made, aside = _by_weight(index.written_by(execution.execution_id), index.producer)
        yield from _paragraph("makes  ", ["  ".join(p for p in (words.name(r), words.describe(r)) if p) for r in made])
        yield from _paragraph("imports", [words.name(row) for row in aside if row.kind in ("variable", "module")])


def _paragraph(word: str, items: list[str]) -> list[str]:
    more = f", {len(items) - MAX_NAMES} more" if len(items) > MAX_NAMES else ""
    return [f"    {word} " + ", ".join(items[:MAX_NAMES]) + more] if items else []


def _from(index: Index, version: Version) -> str:
    producer = index.producer(version)
    return f"{words.name(version)} {words.count(producer)}" if producer else words.name(version)


def _aligned(lines: Iterable[Line]) -> Iterator[str]:
    drawn = list(lines)
    shown = drawn[:MAX_LINES]
    column = max((w for line in shown if line.right and (w := words.width(line.left)) <= LEFT), default=0) + 2
    for line in drawn:
        gap = " " * max(column - words.width(line.left), 2)
        yield f"{line.left}{gap}{line.right}" if line.right else line.left


def _capped(lines: Iterable[str], cure: str) -> Iterator[str]:
    hidden = 0
    for place, line in enumerate(lines):
        if place < MAX_LINES:
            yield line
        else:
            hidden += 1
    if hidden:
        yield f"… {hidden:,} more lines: {cure}"


def _with_last(items: list[Version | Execution | str]) -> Iterator[tuple[Version | Execution | str, bool]]:
    for place, item in enumerate(items):
        yield item, place == len(items) - 1
