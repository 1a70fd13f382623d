"""A notebook without a kernel: cells as text in, what the recorder saw of each out.

Cells run one after another as IPython would run them: statement by statement, the last expression shown
and kept in `Out`, `await` at the top level, exceptions as the cell's outcome. Magics and shell commands go
to a stand-in for the shell that knows a handful of them.
"""

from __future__ import annotations

import ast
import asyncio
import contextvars
import inspect
import os
import subprocess
import sys
import types
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from mlmagic.capture import Cell, Outcome, Recorder
from mlmagic.records import Amendment, History, Observation, Read, Version, Write

Item = tuple[str, str]  # kind, name

_HISTORY = ("In", "Out", "_ih", "_oh", "_dh", "_", "__", "___", "_i", "_ii", "_iii", "get_ipython", "exit", "quit")


@dataclass(frozen=True)
class Ran:
    """What one cell did, by name."""

    number: int
    observation: Observation
    error: BaseException | None
    reads: frozenset[Item]
    writes: dict[Item, str]
    sources: frozenset[int] = frozenset()  # numbers of the cells that wrote what it read
    hows: dict[Item, str] = field(default_factory=dict)


class Notebook:
    """Cells run under a recorder, in a module that is `__main__` while they run.

    Parameters
    ----------
    root : Path
        The project's folder.
    main : bool, default True
        Whether to be `__main__` for the time of a cell: classes of the notebook pickle only then.
    options
        For the recorder.
    """

    def __init__(self, root: Path, main: bool = True, **options: Any) -> None:
        self.module = types.ModuleType("__main__")
        self.namespace: dict[str, Any] = vars(self.module)
        self.namespace["__builtins__"] = __builtins__
        self.main = main
        self.count = 0
        self.observations: list[Observation] = []
        self.versions: dict[str, Version] = {}
        self.reads: dict[tuple[str, str], Read] = {}
        self.writes: dict[str, Write] = {}
        self.artifacts: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._transformer = TransformerManager()
        self._loop = asyncio.new_event_loop()
        self._context = contextvars.copy_context()  # one for all cells, as in a kernel
        self._install_history()
        hidden = {name: self.namespace[name] for name in _HISTORY}
        self.recorder = Recorder(
            self.namespace,
            root,
            "s",
            hidden=lambda: hidden,
            keep_state=self._keep_state,
            transform=self._transformer.transform_cell,
            **options,
        )
        self.recorder.start()
        self._take(self.recorder.adopt(""), 0)

    def close(self) -> None:
        """Stop recording; nothing of the notebook goes on."""
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            self._loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        self.recorder.stop()
        self._loop.close()

    # -- running -----------------------------------------------------------------------------

    def run(self, *cells: str) -> list[Ran]:
        """Run cells in turn."""
        return [self.cell(text) for text in cells]

    def cell(self, text: str) -> Ran:
        """Run one cell; its own exception is part of the result."""
        before = sys.modules["__main__"]
        if self.main:
            sys.modules["__main__"] = self.module
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what users' cells warn of is theirs
                task = self._loop.create_task(self._cell(text), context=self._context)
                return self._loop.run_until_complete(task)
        finally:
            sys.modules["__main__"] = before

    def wait(self, seconds: float) -> None:
        """Let tasks of earlier cells go on."""
        self._loop.run_until_complete(asyncio.sleep(seconds))

    async def _cell(self, text: str) -> Ran:
        self.count += 1
        code = self._transformer.transform_cell(text)
        self._remember_input(text)
        late = self.recorder.begin(Cell(text, code))
        if late is not None:
            self._amend(late)
        error, displayed, line = None, False, None
        try:
            displayed = await self._execute(code)
        except (Exception, KeyboardInterrupt, SystemExit) as caught:
            error, line = caught, _line(caught, self.namespace)
        status = "ok" if error is None else "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
        name = None if error is None else type(error).__name__
        observation = self.recorder.end(Outcome(status, self.count, name, line, displayed))
        return self._take(observation, self.count, error)

    async def _execute(self, code: str) -> bool:
        body = ast.parse(code).body
        quiet = code.rstrip().endswith(";")
        for node in body[:-1]:
            await self._run_node(node)
        if not body:
            return False
        value = await self._run_node(body[-1])
        if value is None or quiet or not isinstance(body[-1], ast.Expr):
            return False
        self._show(value)
        return True

    async def _run_node(self, node: ast.stmt) -> Any:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = ast.Expression(node.value) if isinstance(node, ast.Expr) else ast.Module([node], [])
        mode = "eval" if isinstance(node, ast.Expr) else "exec"
        compiled = compile(tree, f"<cell {self.count}>", mode, flags=flags, dont_inherit=True)
        value = eval(compiled, self.namespace)
        if compiled.co_flags & inspect.CO_COROUTINE:
            value = await value
        return value

    # -- IPython's own names -----------------------------------------------------------------

    def _install_history(self) -> None:
        inputs, outputs, shell = [""], {}, Shell(self)
        self.namespace.update(
            In=inputs, _ih=inputs, Out=outputs, _oh=outputs, _dh=[os.getcwd()],
            _="", __="", ___="", _i="", _ii="", _iii="",
            get_ipython=lambda: shell, exit=object(), quit=object(),
        )  # fmt: skip
        self._last: Any = ""

    def _remember_input(self, text: str) -> None:
        names = self.namespace
        names["In"].append(text)
        names["_iii"], names["_ii"], names["_i"] = names["_ii"], names["_i"], text
        names[f"_i{self.count}"] = text

    def _show(self, value: Any) -> None:
        names = self.namespace
        if names.get("_") is self._last:  # IPython leaves a `_` of the user's alone
            names["___"], names["__"], names["_"] = names["__"], names["_"], value
            self._last = value
        names["Out"][self.count] = names[f"_{self.count}"] = value

    # -- rows --------------------------------------------------------------------------------

    def _take(self, made: Observation, number: int, error: BaseException | None = None) -> Ran:
        self.observations.append(made)
        self._numbers[made.execution.execution_id] = number
        self.versions |= {row.version_id: row for row in made.versions}
        self.reads |= {(row.execution_id, row.version_id): row for row in made.reads}
        self.writes |= {row.version_id: row for row in made.writes}
        own = made.execution.execution_id
        read = [self.versions[row.version_id] for row in made.reads]
        assert len({row.version_id for row in made.reads}) == len(made.reads), "a version is read twice"
        assert len({row.version_id for row in made.versions}) == len(made.versions), "a version is written twice"
        written = {row.version_id: row for row in made.writes if row.execution_id == own}
        items = [(self.versions[name].kind, self.versions[name].name) for name in written]
        assert len(set(items)) == len(items), f"several versions of one name in one execution: {sorted(items)}"
        assert all(self.versions[row.version_id].execution_id != own for row in made.reads), "reads its own version"
        return Ran(
            number,
            made,
            error,
            frozenset((row.kind, row.name) for row in read),
            {_item(self.versions[name]): row.how for name, row in written.items()},
            frozenset(self._numbers[row.execution_id] for row in read if row.execution_id is not None),
            {_item(self.versions[row.version_id]): row.how for row in made.reads},
        )

    def _amend(self, late: Amendment) -> None:
        self.versions |= {row.version_id: row for row in late.versions}
        self.writes |= {row.version_id: row for row in late.writes}
        self.late = late

    def _keep_state(self, fingerprint: str, text: str) -> str:
        self.artifacts[fingerprint] = text
        return fingerprint

    def history(self) -> History:
        """All rows, as the graph room wants them."""
        return History(
            tuple(made.execution for made in self.observations),
            tuple(sorted(self.versions.values(), key=lambda row: row.version_id)),
            tuple(self.reads.values()),
            tuple(self.writes.values()),
        )

    def ancestors(self, number: int) -> set[int]:
        """Numbers of the cells that a cell depends on, directly or through others; not its own."""
        ids = {number: name for name, number in self._numbers.items()}
        found: set[int] = set()
        waiting = [number]
        while waiting:
            current = ids[waiting.pop()]
            producers = {self.versions[version].execution_id for reader, version in self.reads if reader == current}
            new = {self._numbers[name] for name in producers if name is not None} - found
            found |= new
            waiting += new
        return found

    def late_writes(self) -> Iterator[tuple[int, str, str]]:
        """Cell number, name and kind of change of everything that was put down to a cell after it had ended."""
        for row in self.writes.values():
            if "late" in row.version_id:
                yield self._numbers[row.execution_id], self.versions[row.version_id].name, row.how


class Shell:
    """The few magics that the cells of these tests use."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook

    @property
    def user_ns(self) -> dict[str, Any]:
        return self._notebook.namespace

    def system(self, command: str) -> None:
        subprocess.run(command, shell=True, check=False)

    def getoutput(self, command: str) -> list[str]:
        return subprocess.run(command, shell=True, check=False, capture_output=True, text=True).stdout.splitlines()

    def run_line_magic(self, name: str, line: str, _stack_depth: int = 1) -> Any:
        if name == "run":
            exec(compile(Path(line).read_text(), line, "exec"), self.user_ns)
        elif name == "env":
            variable, _, value = line.partition("=")
            if not value:
                return os.environ[variable]
            os.environ[variable] = value
        elif name == "cd":
            os.chdir(line)
        elif name == "time":
            return self._code(line)
        return None

    def run_cell_magic(self, name: str, line: str, body: str) -> Any:
        if name in ("time", "capture"):
            return self._code(body)
        if name == "writefile":
            Path(line).write_text(body)
        return None

    def _code(self, text: str) -> Any:
        body = ast.parse(text).body
        value = None
        for node in body:
            tree: Any = ast.Expression(node.value) if isinstance(node, ast.Expr) else ast.Module([node], [])
            value = eval(compile(tree, "<magic>", "eval" if isinstance(node, ast.Expr) else "exec"), self.user_ns)
        return value


def _item(version: Version) -> Item:
    return version.kind, version.name


def _line(error: BaseException, namespace: dict[str, Any]) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals is namespace and trace.tb_frame.f_code.co_name in ("<module>", "<lambda>"):
            return trace.tb_lineno
        trace = trace.tb_next
    return None


def names(items: Iterable[Item], kind: str = "variable") -> set[str]:
    """The names of one kind."""
    return {name for its, name in items if its == kind}
