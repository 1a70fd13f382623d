"""The step from a lineage to its picture: rows come in, a static inline SVG with its text twin goes out.

Cells are rounded boxes that flow down in time order, with the variables they made as chips; files are
sheets with a folded corner; imports are one quiet line on top. The picture needs no script, takes its
colours from the page, and says everything by shape or word as well as by colour.
"""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlmagic.graph import code, words
from mlmagic.graph.index import Index
from mlmagic.graph.lineage import Lineage
from mlmagic.records import BEFORE, Execution, History, Version, Write
from mlmagic.results import register_renderer
from mlmagic.views import html, layout
from mlmagic.views.layout import BOX, Box, Curve, Item, Link

MAX_NODES = 60
MAX_CHIPS = 5
HEAD, CHIP, FOOT = 28.0, 21.0, 6.0  # heights inside a box
FILE_HEIGHT = 40.0
STRIP = 19.0  # height of a line of the imports strip
NARROW, WIDE_STRIP = 260.0, 560.0  # least widths: of a legend, of the imports strip
TEXT_LIMIT = 20_000  # bytes of the text twin

_STYLE = (
    f".mlm-g{{max-width:900px;color:{html.TEXT}}}"
    f".mlm-g svg{{display:block;width:100%;height:auto;font:12px {html.SANS}}}"
    ".mlm-g text{fill:currentColor}"
    f".mlm-g .m{{font-family:{html.MONO};font-size:11px}}"
    f".mlm-g .q{{fill:{html.QUIET};font-size:11px}}"
    ".mlm-g .b{font-weight:600}.mlm-g .e{text-anchor:end}.mlm-g .c{text-anchor:middle}"
    ".mlm-g .box{fill:currentColor;fill-opacity:.035;stroke:currentColor;stroke-opacity:.38}"
    f".mlm-g .chip{{fill:{html.ACCENT};fill-opacity:.13}}"
    f".mlm-g .hit{{fill:{html.ACCENT};fill-opacity:.24;stroke:{html.ACCENT};stroke-width:1.6}}"
    f".mlm-g .t{{stroke:{html.ACCENT};stroke-opacity:1;stroke-width:2.2}}"
    f".mlm-g .x{{stroke:{html.ERROR};stroke-opacity:1;stroke-width:1.6;stroke-dasharray:5 3}}"
    f".mlm-g .w{{fill:none;stroke:{html.ACCENT};stroke-width:1.5;stroke-opacity:.9}}"
    ".mlm-g .r{fill:none;stroke:currentColor;stroke-opacity:.55;stroke-dasharray:2 4}"
    f".mlm-g .a{{fill:{html.ACCENT}}}.mlm-g .ar{{fill:currentColor;fill-opacity:.55}}"
    f".mlm-g .l{{font:10.5px {html.MONO};text-anchor:middle}}"
    f".mlm-g p{{font:12px {html.SANS};color:{html.QUIET};margin:4px 0}}"
)


def render(lineage: Lineage) -> Mapping[str, str]:
    """The HTML face: the picture, notes, and the tree folded below; nothing where nothing was recorded."""
    if not lineage.executions and not lineage.versions:
        return {}
    text = _clipped(lineage.text())
    for limit in (MAX_NODES, MAX_NODES // 3):
        markup = _page(lineage, text, limit)
        if html.fits(markup):
            return {"text/html": markup}
    return {}


def _page(lineage: Lineage, text: str, limit: int) -> str:
    scene = _Scene.of(lineage, limit)
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in (*scene.notes, *lineage.notes))
    return (
        f'<div class="mlm-g"><style>{_STYLE}</style>{_svg(lineage, scene)}{notes}'
        f"{html.details('the same as text', text)}</div>"
    )


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is to be drawn."""

    index: Index
    cells: dict[str, Execution]  # boxes, in time order
    files: dict[str, Version]  # sheets
    strips: tuple[tuple[str, str], ...]  # quiet lines on top: the cell and the names it imported
    items: tuple[Item, ...]
    links: tuple[Link, ...]
    random: frozenset[tuple[str, str]]  # links that only carry random state
    target: str | None  # the id of the target: a version or an execution
    notes: tuple[str, ...]

    @classmethod
    def of(cls, lineage: Lineage, limit: int) -> _Scene:
        index = _with_origin(lineage)
        executions = index.history.executions
        imports = [row for row in executions if _is_quiet(row, lineage.target)]
        drawn = [row for row in executions if row not in imports and (row is lineage.target or index.takes_part(row))]
        near = _nearest(index, lineage, drawn, limit)
        cells = {row.execution_id: row for row in drawn if row.execution_id in near}
        files = _files(index, lineage.target, cells)
        links, random = _links(index, cells, files)
        return cls(
            index, cells, files, _strips(index, imports), _items(index, cells, files, links), tuple(links),
            frozenset(random), _target_id(lineage), _counted(lineage, len(drawn), len(cells)),
        )  # fmt: skip


def _counted(lineage: Lineage, total: int, shown: int) -> tuple[str, ...]:
    if shown >= total:
        return ()
    what = f"%lineage {lineage.target_text}" if lineage.target else "%lineage"
    nearest = "nearest" if lineage.target else "latest"
    forward = " --forward" if lineage.forward else ""
    return (f"showing the {nearest} {shown} of {total:,} cells; {what}{forward} --as table for all",)


def _is_quiet(execution: Execution, target: Version | Execution | None) -> bool:
    return execution is not target and execution.status == "ok" and code.only_imports(execution.source)


def _nearest(index: Index, lineage: Lineage, drawn: list[Execution], limit: int) -> set[str]:
    """The cells nearest to the target in steps; the latest ones where there is no target."""
    if len(drawn) <= limit or lineage.target is None:
        return {row.execution_id for row in drawn[-limit:]}
    wanted = {row.execution_id for row in drawn}
    waiting = deque(_first(index, lineage.target))
    near: dict[str, None] = {}
    seen = set(waiting)
    while waiting and len(near) < limit:
        name = waiting.popleft()
        if name in wanted:
            near[name] = None
        for step in _steps(index, name, lineage.forward):
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return set(near)


def _first(index: Index, target: Version | Execution | None) -> list[str]:
    if isinstance(target, Execution):
        return [target.execution_id]
    producer = index.producer(target) if target else None
    if producer is not None:
        return [producer.execution_id]
    return list(index.readers.get(target.version_id, ())) if target else []


def _with_origin(lineage: Lineage) -> Index:
    """The lineage with, going forward, the cell that made the target: a value hangs on a cell."""
    target = lineage.target
    origin = [row for row in lineage.beyond if isinstance(target, Version) and row.execution_id == target.execution_id]
    if not origin or not isinstance(target, Version):
        return lineage.index
    write = Write(origin[0].execution_id, target.version_id, "bind")
    return Index.of(History((*origin, *lineage.executions), lineage.versions, lineage.reads, (write, *lineage.writes)))


def _steps(index: Index, execution_id: str, forward: bool) -> list[str]:
    if forward:
        made = index.written_by(execution_id)
        return [reader for version in made for reader in index.readers.get(version.version_id, ())]
    makers = [index.producer(version) for version in index.read_by(execution_id)]
    return [maker.execution_id for maker in reversed(makers) if maker is not None]


def _files(index: Index, target: Version | Execution | None, cells: Mapping[str, Execution]) -> dict[str, Version]:
    files = {}
    for execution_id in cells:
        for version in [*index.read_by(execution_id), *index.written_by(execution_id)]:
            if version.kind == "file":
                files[version.version_id] = version
    if isinstance(target, Version) and index.producer(target) is None:
        files[target.version_id] = target  # a source on its own: what it feeds hangs below it
    return dict(list(files.items())[:MAX_NODES])


def _links(
    index: Index, cells: Mapping[str, Execution], files: Mapping[str, Version]
) -> tuple[list[Link], set[tuple[str, str]]]:
    """One link per pair of nodes, labelled with what flows; and the pairs where only random state does."""
    flows: dict[tuple[str, str], list[str]] = {}
    random: set[tuple[str, str]] = set()
    for execution_id in cells:
        for version in index.read_by(execution_id):
            producer = index.producer(version)
            if version.version_id in files:
                flows.setdefault((version.version_id, execution_id), [])
            elif producer is None or producer.execution_id not in cells or words.is_imported(version, producer):
                continue
            elif version.kind == "random":
                random.add((producer.execution_id, execution_id))
            else:
                flows.setdefault((producer.execution_id, execution_id), []).append(words.safe(version.name))
        for version in index.written_by(execution_id):
            if version.version_id in files:
                flows.setdefault((execution_id, version.version_id), [])
    random -= flows.keys()
    links = [Link(*pair, _label(names), len(names)) for pair, names in flows.items()]
    return links + [Link(*pair, "random state") for pair in sorted(random)], random


def _label(names: list[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:2]) if len(", ".join(names[:2])) <= 22 else words.shorten(names[0], 20)
    rest = len(names) - (2 if ", " in shown else 1)
    return f"{shown} +{rest}" if rest > 0 else shown


def _items(
    index: Index, cells: Mapping[str, Execution], files: Mapping[str, Version], links: Iterable[Link]
) -> tuple[Item, ...]:
    """Nodes in the order of placing: each file before its first reader, or right after its writer."""
    before: dict[str, list[str]] = {}
    weight: dict[tuple[str, str], tuple[int, int]] = {}
    order = {name: place for place, name in enumerate(cells)}
    for link in links:
        before.setdefault(link.target, []).append(link.source)
        weight[link.source, link.target] = (link.weight, order.get(link.source, -1))
    placed: dict[str, Item] = {}
    for version in files.values():
        if not index.readers.get(version.version_id) and version.version_id not in before:
            placed[version.version_id] = Item(version.version_id, FILE_HEIGHT, ())
    for execution_id in cells:
        sources = before.get(execution_id, [])
        for name in (name for name in sources if name in files and name not in placed):
            placed[name] = Item(name, FILE_HEIGHT, ())
        # the box goes below whoever gives it most; of equals, below the one nearest in time
        known = sorted((name for name in sources if name in placed), key=lambda name: weight[name, execution_id])
        made = _chips(index, execution_id)
        placed[execution_id] = Item(
            execution_id, _height(cells[execution_id], made), tuple(known), aside=not index.writes.get(execution_id)
        )
        for version in index.written_by(execution_id):
            if version.version_id in files and version.version_id not in placed:
                placed[version.version_id] = Item(version.version_id, FILE_HEIGHT, (execution_id,))
    return tuple(placed.values())


def _chips(index: Index, execution_id: str) -> list[Version]:
    """The variables a cell made that deserve a chip."""
    rows = index.written_by(execution_id)
    return [row for row in rows if row.kind == "variable" and not words.is_imported(row, index.producer(row))]


def _height(execution: Execution, chips: list[Version]) -> float:
    lines = min(len(chips), MAX_CHIPS) + (len(chips) > MAX_CHIPS) + bool(words.status(execution))
    return HEAD + lines * CHIP + (FOOT if lines else 0)


def _strips(index: Index, imports: list[Execution]) -> tuple[tuple[str, str], ...]:
    lines = []
    for execution in imports[:3]:
        names = [words.safe(row.name) for row in index.written_by(execution.execution_id)]
        if names:
            lines.append((f"{words.count(execution)} imports", words.shorten(", ".join(names), 84)))
    if len(imports) > 3:
        lines.append(("", f"and {len(imports) - 3} more cells that only import"))
    return tuple(lines)


def _target_id(lineage: Lineage) -> str | None:
    if lineage.target is None:
        return None
    return lineage.target.execution_id if isinstance(lineage.target, Execution) else lineage.target.version_id


def _svg(lineage: Lineage, scene: _Scene) -> str:
    placed = layout.arrange(scene.items, scene.links)
    top = 10 + STRIP * len(scene.strips) + (10 if scene.strips else 0)
    height = placed.height + top + 10
    left, right = placed.sides(WIDE_STRIP if scene.strips else NARROW)
    what = f"Lineage of {lineage.target_text}" if lineage.target_text else "Lineage of the notebook"
    if lineage.forward:
        what = f"What {lineage.target_text} feeds"
    parts = [_strip(left + 9, 10 + STRIP * place, *line) for place, line in enumerate(scene.strips)]
    parts.append(f'<g transform="translate(0 {top:.0f})">')
    parts += _curves(placed, scene)
    parts += [
        _file(scene, version, placed.boxes[name]) for name, version in scene.files.items() if name in placed.boxes
    ]
    parts += [_cell(scene, row, placed.boxes[name]) for name, row in scene.cells.items()]
    parts += [_edge_label(curve) for curve in placed.curves]
    parts.append("</g>")
    if legend := _legend(scene):
        parts.append(_text(left + 9, height + 4, "q", legend))
        height += 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} 0 {right - left:.0f} {height:.0f}" '
        f'style="max-width:{right - left:.0f}px" role="img" '
        f'aria-label="{html.escape(what)}"><title>{html.escape(what)}</title>'
        f"<desc>{html.escape(_description(scene))}</desc>{''.join(parts)}</svg>"
    )


def _legend(scene: _Scene) -> str:
    """What the marks mean, as far as they occur."""
    made = [row for name in scene.cells for row in _chips(scene.index, name)[:MAX_CHIPS]]
    marks = ["◎ what was asked for"] if any(row.version_id == scene.target for row in made) else []
    marks += ["✎ changed in place"] if any(scene.index.mutated(row) for row in made) else []
    return "  ·  ".join(marks)


def _description(scene: _Scene) -> str:
    cells = ", ".join(words.label(row) for row in scene.cells.values())
    files = ", ".join(words.name(row) for row in scene.files.values())
    text = f"{len(scene.cells)} cells in time order: {cells}." + (f" Files: {files}." if files else "")
    return words.shorten(f"{text} The same is told as text below.", 900)


def _strip(x: float, y: float, cell: str, names: str) -> str:
    return f'<text class="q" x="{x:.0f}" y="{y + 10:.0f}">{_bold(cell)} {html.escape(names)}</text>'


def _bold(text: str) -> str:
    return f'<tspan class="b">{html.escape(text)}</tspan>' if text else ""


def _cell(scene: _Scene, execution: Execution, box: Box) -> str:
    """A cell: its count, name and time, its status where that is no success, and the variables it made."""
    chips = _chips(scene.index, execution.execution_id)
    made = {row.version_id for row in chips}
    failed = execution.status in ("error", "interrupted")
    hit = scene.target is not None and (scene.target == execution.execution_id or scene.target in made)
    shape = f"box{' x' if failed else ''}{' t' if hit else ''}"
    parts = [
        f"<g><title>{html.escape(_tooltip(execution))}</title>",
        f'<rect class="{shape}" x="{box.x:.0f}" y="{box.y:.0f}" width="{BOX:.0f}" height="{box.height:.0f}" rx="8"/>',
        _head(execution, box),
    ]
    y = box.y + HEAD
    if status := words.status(execution):
        parts.append(_text(box.x + 10, y + 12, "q", words.shorten(_status(execution, status), 32)))
        y += CHIP
    for version in chips[:MAX_CHIPS]:
        parts.append(_chip(scene, version, box.x + 8, y))
        y += CHIP
    if len(chips) > MAX_CHIPS:
        parts.append(_text(box.x + 10, y + 12, "q", f"and {len(chips) - MAX_CHIPS} more variables"))
    return "".join([*parts, "</g>"])


def _head(execution: Execution, box: Box) -> str:
    """`[7] train` in the box's first line, its seconds at the right end."""
    time = "" if execution.name == BEFORE else words.seconds(execution.seconds)
    count = words.count(execution) if execution.execution_count is not None or execution.name == BEFORE else ""
    room = BOX - 20 - 7.2 * len(count) - 6.0 * len(time) - 14
    named = execution.name is not None
    title = words.title(execution, max(int(room / (7.0 if named else 6.7)), 4))
    face = "b" if named else "m"
    first = f'<text x="{box.x + 10:.0f}" y="{box.y + 18:.0f}"><tspan class="q">{html.escape(count)}</tspan>'
    gap = ' dx="5"' if count else ""
    return f'{first}<tspan class="{face}"{gap}>{html.escape(title)}</tspan></text>' + _text(
        box.x + BOX - 10, box.y + 18, "q e", time
    )


def _status(execution: Execution, status: str) -> str:
    reason = (execution.error or "").partition(":")[0].rpartition(".")[2]
    return f"{status}: {reason}" if reason else status


def _chip(scene: _Scene, version: Version, x: float, y: float) -> str:
    """A variable: its name on a coloured ground, its type and shape beside it."""
    hit = version.version_id == scene.target
    name = (
        ("◎ " if hit else "") + ("✎ " if scene.index.mutated(version) else "") + words.shorten(words.name(version), 18)
    )
    width = 6.7 * words.width(name) + 10
    detail = words.shorten(_describe(version), max(int((BOX - 18 - width) / 6.1), 0)) if width < BOX - 44 else ""
    return (
        f'<rect class="{"hit" if hit else "chip"}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="17" rx="8.5"/>'
        + _text(x + 5, y + 12, "m", name)
        + _text(x + width + 6, y + 12, "q", detail)
    )


def _describe(version: Version) -> str:
    """As `words.describe`, with a shape as people say it: `DataFrame 569 × 30`."""
    text = words.describe(version)
    shape = re.search(r"\(\d+(, ?\d+)*,?\)$", text)
    return text if shape is None else text[: shape.start()] + shape[0].strip("(),").replace(",", " ×")


def _file(scene: _Scene, version: Version, box: Box) -> str:
    """A file: a sheet with a folded corner. Other sources share the place, without the fold."""
    x, y, right, bottom, fold = box.x + 20, box.y, box.x + BOX - 20, box.y + box.height, 10
    sheet = f"M{x:.0f} {y:.0f}H{right - fold:.0f}l{fold} {fold}V{bottom:.0f}H{x:.0f}Z"
    crease = f"M{right - fold:.0f} {y:.0f}v{fold}h{fold}"
    shape = "box t" if version.version_id == scene.target else "box"
    name = words.safe(version.name)
    short = name if len(name) <= 21 else "…" + name[-20:]
    size = words.describe(version)
    return (
        f"<g><title>{html.escape(f'{words.name(version)} {size}')}</title>"
        f'<path class="{shape}" d="{sheet}"/><path class="{shape}" style="fill:none" d="{crease}"/>'
        + _text(x + 10, y + 17, "m", short)
        + _text(x + 10, y + 32, "q", " · ".join(p for p in ("file" if version.kind == "file" else "", size) if p))
        + "</g>"
    )


def _curves(placed: layout.Layout, scene: _Scene) -> list[str]:
    """All curves, interrupted where their labels stand: by a mask, because nobody knows the page's colour."""
    frames = [layout.frame(curve.link.label, curve.label_at) for curve in placed.curves if curve.label_at]
    holes = "".join(
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{right - left:.0f}" height="{bottom - top:.0f}"/>'
        for left, top, right, bottom in frames
    )
    area = f'x="0" y="0" width="{layout.WIDTH:.0f}" height="{placed.height:.0f}"'
    name = f"mlm-{zlib.crc32(f'{holes}{area}'.encode()):08x}"  # pictures with equal ids have equal holes
    mask = f'<mask id="{name}" maskUnits="userSpaceOnUse" {area}><rect {area} fill="#fff"/>{holes}</mask>'
    return [mask, f'<g mask="url(#{name})">', *(_curve(curve, scene) for curve in placed.curves), "</g>"]


def _curve(curve: Curve, scene: _Scene) -> str:
    quiet = (curve.link.source, curve.link.target) in scene.random
    x, y = curve.end
    head = f'<path class="{"ar" if quiet else "a"}" d="M{x - 3.5:.1f} {y - 7:.0f}h7l-3.5 7z"/>'
    return f'<path class="{"r" if quiet else "w"}" d="{curve.path}"/>{head}'


def _edge_label(curve: Curve) -> str:
    if curve.label_at is None:
        return ""
    x, y = curve.label_at
    return _text(x, y + 3.5, "l", curve.link.label)


def _text(x: float, y: float, face: str, text: str) -> str:
    return f'<text class="{face}" x="{x:.0f}" y="{y:.0f}">{html.escape(text)}</text>' if text else ""


def _tooltip(execution: Execution) -> str:
    source = "\n".join(execution.source.strip().split("\n")[:12])
    return f"{words.label(execution)} · {words.seconds(execution.seconds)}\n{source[:600]}"


def _clipped(text: str) -> str:
    if len(text.encode()) <= TEXT_LIMIT:
        return text
    kept = text.encode()[:TEXT_LIMIT].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n… more: --as table"


register_renderer(Lineage, render)
