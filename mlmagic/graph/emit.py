"""The last step of a slice: a plan comes in, a Python script or a notebook that anyone can run goes out."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from mlmagic.graph import code, randomness, words
from mlmagic.graph.closure import SlicePlan
from mlmagic.records import BEFORE, Execution, Session, Version

Artifacts = Callable[[str], str]
"""Gives the text of an artifact by its path; KeyError or OSError when it is gone."""


def no_artifacts(path: str) -> str:
    """The artifacts of a history that stored none."""
    raise KeyError(path)


def script(plan: SlicePlan, artifacts: Artifacts = no_artifacts, session: Session | None = None) -> str:
    """The plan as plain Python: whole cells in time order, with what they need written above them.

    Parameters
    ----------
    plan
        What `plan` chose.
    artifacts
        Reads a stored random state (base85 text) by its path; without it random states are only named.
    session
        The session of the target, for the header.
    """
    cells = [_Cell(plan, row, artifacts) for row in plan.executions]
    parts = [_docstring(plan, session), *_preamble(plan, cells)]
    parts += [part for cell in cells for part in cell.parts()]
    return "\n\n".join([*parts, _last_line(plan)]) + "\n"


def notebook(plan: SlicePlan, artifacts: Artifacts = no_artifacts, session: Session | None = None) -> dict[str, Any]:
    """The plan as a notebook (nbformat 4.5): the cells as they were typed, without our own magic lines."""
    sources = []
    cells = [_Cell(plan, row, artifacts) for row in plan.executions]
    if any(cell.restored for cell in cells):
        sources.append(randomness.HELPER)
    for cell in cells:
        sources += [*cell.restored, cell.typed()]
    sources = [text for text in sources if text.strip()]
    nodes = [_node(0, "markdown", "\n".join(_header(plan, session, markdown=True)))]
    nodes += [_node(place, "code", text) for place, text in enumerate(sources, 1)]
    nodes.append(_node(len(nodes), "code", _last_line(plan)))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": nodes}


class _Cell:
    """One execution on its way into a script."""

    def __init__(self, plan: SlicePlan, execution: Execution, artifacts: Artifacts) -> None:
        self.execution = execution
        self.restored = [_restore(row, artifacts) for row in plan.restore.get(execution.execution_id, ())]
        self.changed = False  # whether it says something else than the user typed
        text = self._without_dropped(code.plain(execution.source).text, plan)
        text = self._keeping_displayed(text, plan)
        self.text = self._failing(text)
        self.module = _parsed(self.text)
        self.future = [ast.unparse(node) for node in self.module.body if _is_future(node)]

    def parts(self) -> Iterator[str]:
        """The cell's blocks in a script: restored random states, then its code under a line that names it."""
        yield from self.restored
        body = _asynchronous(self) if code.awaits(self.module) else _without_future(self.text, self.module)
        if body.strip():
            yield f"# {separator(self.execution)}\n{_trimmed(body)}"

    def typed(self) -> str:
        """The cell in a notebook."""
        return _trimmed(self.text if self.changed else code.without_ours(self.execution.source))

    def _without_dropped(self, text: str, plan: SlicePlan) -> str:
        starts = plan.dropped.get(self.execution.execution_id, frozenset())
        body = _parsed(text).body
        alone = [node for node in body if node.lineno in starts and not _shares_line(node, body)]
        for node in reversed(alone):
            text = _replace(text, node, _comment_out(text, node))
            self.changed = True
        return text

    def _keeping_displayed(self, text: str, plan: SlicePlan) -> str:
        """`_ = _5 = (expression)`, where a later cell reads what this one displayed."""
        names = sorted(plan.shown.get(self.execution.execution_id, ()))
        body = _parsed(text).body
        if not names or not body or not isinstance(body[-1], ast.Expr) or _shares_line(body[-1], body):
            return text
        self.changed = True
        holders = [f"Out[{self.execution.execution_count}]" if name == "Out" else name for name in names]
        value = ast.get_source_segment(text, body[-1].value) or ast.unparse(body[-1].value)
        return _replace(text, body[-1], f"{' = '.join(holders)} = ({value})")

    def _failing(self, text: str) -> str:
        if self.execution.status not in ("error", "interrupted"):
            return text
        self.changed = True
        return _until_failure(text, self.execution)


def separator(execution: Execution) -> str:
    """What a script calls a cell: `[5] split`, or its count alone."""
    if execution.name == BEFORE:
        return "before mlmagic was loaded: from IPython's history"
    if execution.name is None:
        return words.count(execution)
    return words.label(execution, 60)


def _restore(version: Version, artifacts: Artifacts) -> str:
    try:
        blob = artifacts(version.artifact or "").strip()
    except (KeyError, OSError):
        return f"# the random state of {version.name} before the next cell is no longer stored: its draws will differ"
    return randomness.restore_call(version.name, blob)


def _preamble(plan: SlicePlan, cells: list[_Cell]) -> Iterator[str]:
    """What must stand above the first cell: imports that IPython implies, and the helper for random states."""
    yield from _nonempty("\n".join(dict.fromkeys(line for cell in cells for line in cell.future)))
    used = {node.id for cell in cells for node in ast.walk(cell.module) if isinstance(node, ast.Name)}
    imports = ["import asyncio"] if any(code.awaits(cell.module) for cell in cells) else []
    imports += ["from IPython.display import display"] if "display" in used else []
    imports += ["from IPython import get_ipython"] if "get_ipython" in used else []
    imports += ["Out = {}"] if "Out" in used else []
    yield from _nonempty("\n".join(imports))
    if any(line.startswith("_restore") for cell in cells for line in cell.restored):
        yield "\n" + randomness.HELPER + "\n"


def _nonempty(text: str) -> list[str]:
    return [text] if text else []


def _until_failure(text: str, execution: Execution) -> str:
    """What the cell did before it failed, and the failing statement with its error caught."""
    body = _parsed(text).body
    place = next((n for n, node in enumerate(body) if _holds(node, execution.error_line)), None)
    if place is None:
        if execution.status == "interrupted":
            return f"# this cell was interrupted; it is not known where\n{text}"
        return _caught(text, body, execution) if body else text
    node = body[place]
    if _shares_line(node, body):  # several statements in one line: lay them out anew
        done, failing = "\n".join(ast.unparse(row) for row in body[:place]), ast.unparse(node)
    else:
        lines = text.split("\n")
        done = "\n".join(lines[: _start(node) - 1])
        failing = "\n".join(lines[_start(node) - 1 : node.end_lineno])
    if execution.status == "interrupted":
        note = f"# interrupted here; not repeated: {failing.strip().splitlines()[0]}"
        return f"{done}\n{note}".lstrip("\n")
    return f"{done}\n{_caught(failing, [node], execution)}".lstrip("\n")


def _caught(text: str, statements: list[ast.stmt], execution: Execution) -> str:
    """The statements in a `try` that lets exactly the recorded error pass."""
    name = (execution.error or "").partition(":")[0].strip().rpartition(".")[2]
    known = getattr(builtins, name, None)
    body = code.indented(text.strip("\n"), statements)
    if isinstance(known, type) and issubclass(known, BaseException):
        return f"try:  # it failed here, and what it had done by then counts\n{body}\nexcept {name}:\n    pass"
    check = f'    if type(_error).__name__ != "{name}":\n        raise' if name.isidentifier() else "    pass"
    return f"try:  # it failed here, and what it had done by then counts\n{body}\nexcept Exception as _error:\n{check}"


def _asynchronous(cell: _Cell) -> str:
    """A cell that awaits, as a coroutine that binds the same global names."""
    module = _without_annotations(cell.module)
    names = code.bound_names(module)
    text = "\n".join(ast.unparse(node) for node in module.body if not _is_future(node))
    function = f"_cell_{cell.execution.execution_count or cell.execution.execution_id}"
    declared = f"    global {', '.join(names)}\n" if names else ""
    body = code.indented(text, module.body)
    return f"async def {function}():\n{declared}{body}\n\n\nasyncio.run({function}())"


def _without_annotations(module: ast.Module) -> ast.Module:
    """Annotated names may not be global: `x: int = 1` becomes `x = 1`."""
    plainer: ast.Module = _Plainer().visit(ast.parse(ast.unparse(module)))
    return ast.fix_missing_locations(plainer)


class _Plainer(ast.NodeTransformer):
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None:
            return ast.Pass()
        return ast.Assign(targets=[node.target], value=node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.stmt:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        return node


def _without_future(text: str, module: ast.Module) -> str:
    for node in reversed([node for node in module.body if _is_future(node)]):
        text = _replace(text, node, "")
    return text


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def _start(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(row.lineno for row in decorators)])


def _holds(node: ast.stmt, line: int | None) -> bool:
    return line is not None and _start(node) <= line <= (node.end_lineno or node.lineno)


def _shares_line(node: ast.stmt, body: list[ast.stmt]) -> bool:
    return any(row is not node and (_holds(row, _start(node)) or _holds(row, node.end_lineno)) for row in body)


def _replace(text: str, node: ast.stmt, new: str) -> str:
    lines = text.split("\n")
    lines[_start(node) - 1 : node.end_lineno] = new.split("\n")
    return "\n".join(lines)


def _comment_out(text: str, node: ast.stmt) -> str:
    lines = text.split("\n")[_start(node) - 1 : node.end_lineno]
    return "\n".join(code.LEFT_OUT + line for line in lines)


def _trimmed(text: str) -> str:
    lines = [line.rstrip() if not line.strip() else line for line in text.split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines)


def _docstring(plan: SlicePlan, session: Session | None) -> str:
    text = "\n".join(_header(plan, session, markdown=False)).replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{text}\n"""'


def _header(plan: SlicePlan, session: Session | None, markdown: bool) -> Iterator[str]:
    """What the slice recreates, from where, and what it needs around it."""
    item, quote = ("- ", "`") if markdown else ("    ", "")
    when = datetime.fromtimestamp(plan.producer.started_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f"Recreates {quote}{_target_name(plan)}{quote}{_target_kind(plan)}, as {separator(plan.producer)} left it."
    yield ""
    source = f"notebook {words.safe(session.notebook)}, " if session and session.notebook else ""
    yield f"Cut by mlmagic from {source}session {plan.producer.session_id}, run at {when}."
    sections = (
        ("Needs these files, as they were", [_with_fingerprint(row) for row in plan.inputs]),
        ("Reads from its surroundings", [_with_fingerprint(row) for row in plan.surroundings]),
        ("Of unknown origin, so the result may differ", [words.name(row) for row in plan.unmet]),
        ("Left out", [words.safe(line) for line in plan.left_out]),
        ("Note", list(plan.notes)),
    )
    for title, lines in sections:
        if lines:
            yield ""
            yield f"{title}:" + ("\n" if markdown else "")
            yield from (item + (f"`{line}`" if markdown and title != "Note" else line) for line in lines)


def _with_fingerprint(version: Version) -> str:
    details = [words.describe(version), f"fingerprint {version.fingerprint}" if version.fingerprint else ""]
    return "  ".join(part for part in (words.name(version).removeprefix("file:"), *details) if part)


def _target_name(plan: SlicePlan) -> str:
    return words.name(plan.target) if isinstance(plan.target, Version) else separator(plan.target)


def _target_kind(plan: SlicePlan) -> str:
    text = words.describe(plan.target) if isinstance(plan.target, Version) else ""
    return f" ({text})" if text else ""


def _last_line(plan: SlicePlan) -> str:
    if isinstance(plan.target, Execution):
        return f"# everything {separator(plan.target)} made is there now"
    known = f", fingerprint {plan.target.fingerprint}" if plan.target.fingerprint else ""
    return f"# {_target_name(plan)} is there now{_target_kind(plan)}{known}"


def _node(place: int, kind: str, source: str) -> dict[str, Any]:
    node: dict[str, Any] = {"cell_type": kind, "id": f"slice-{place}", "metadata": {}, "source": source}
    if kind == "code":
        node |= {"execution_count": None, "outputs": []}
    return node
