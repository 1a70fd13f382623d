"""`mlmagic.run`: a whole notebook executed and tracked, without a front end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlmagic._optional import need
from mlmagic.config import project_folder
from mlmagic.errors import MisuseError
from mlmagic.results import Result
from mlmagic.store import Store

__all__ = ["Run", "run"]

_QUIET = "--IPKernelApp.log_level=40"  # errors only: the kernel's advice is not the notebook's output
_LOAD = "--IPKernelApp.extensions=mlmagic"  # as a configuration file would, before the first cell


@dataclass(frozen=True, repr=False)
class Run(Result):
    """What executing a notebook came to."""

    notebook: str
    output: str | None
    session: str
    cells: int
    seconds: float
    tracking_seconds: float
    reused: int
    saved_seconds: float
    error: str | None

    def text(self) -> str:
        share = 100 * self.tracking_seconds / self.seconds if self.seconds else 0.0
        each = 1000 * self.tracking_seconds / self.cells if self.cells else 0.0
        lines = [
            f"{self.notebook}: {self.cells} cells tracked in {self.seconds:.1f} s; "
            f"tracking cost {each:.1f} ms per cell, {share:.1f} %"
        ]
        if self.reused:
            lines.append(f"{self.reused} of them were reused, which saved {self.saved_seconds:.1f} s")
        if self.output:
            lines.append(f"wrote {self.output}")
        return "\n".join([*lines, *([f"stopped: {self.error}"] if self.error else [])])

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def to_pandas(self) -> Any:
        import pandas as pd

        return pd.DataFrame([self.to_dict()])


def run(
    notebook: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    on_cell: Callable[[int, int, str], None] | None = None,
) -> Run:
    """Execute a notebook in a fresh kernel in its own folder, tracked from the first cell.

    Parameters
    ----------
    notebook : path
        The ``.ipynb`` file; it is not changed.
    output : path, optional
        Where to write the executed notebook.
    on_cell : callable, optional
        Called as ``on_cell(number, total, source)`` before each code cell: for progress.

    Raises
    ------
    MisuseError
        There is no such notebook, or it cannot be read.
    MissingPackageError
        nbclient or nbformat is missing: ``pip install 'mlmagic[run]'``.
    """
    place = Path(notebook)
    book = _read(place)
    before = _sessions(place)
    started = time.perf_counter()
    error = _execute(book, place, on_cell)
    seconds = time.perf_counter() - started
    if output is not None:
        need("nbformat").write(book, os.fspath(output))
    return _summary(place, output, before, seconds, error)


def _read(place: Path) -> Any:
    nbformat = need("nbformat")
    if not place.is_file():
        raise MisuseError(f"no notebook {place}")
    try:
        return nbformat.read(place, as_version=4)
    except Exception as error:
        raise MisuseError(f"{place} is not a notebook: {type(error).__name__}") from None


def _execute(book: Any, place: Path, on_cell: Callable[[int, int, str], None] | None) -> str | None:
    """Run the cells in order; the first failure, in one line, or ``None``."""
    nbclient = need("nbclient")
    need("ipykernel")
    codes = [number for number, cell in enumerate(book.cells) if cell.cell_type == "code"]

    def told(cell: Any, cell_index: int) -> None:
        if on_cell is not None and cell.cell_type == "code":
            on_cell(codes.index(cell_index) + 1, len(codes), cell.source)

    loads = any("%load_ext mlmagic" in cell.source for cell in book.cells if cell.cell_type == "code")
    client = nbclient.NotebookClient(
        book,
        timeout=None,
        extra_arguments=[_QUIET] if loads else [_QUIET, _LOAD],
        on_cell_start=told,
        resources={"metadata": {"path": str(place.absolute().parent)}},
    )

    async def execute() -> None:
        async with client.async_setup_kernel():
            for number, cell in enumerate(book.cells):
                await client.async_execute_cell(cell, number)

    os.environ["MLMAGIC_NOTEBOOK"] = str(place.absolute())
    try:
        _in_a_loop_of_its_own(execute())
    except nbclient.exceptions.CellExecutionError as failure:
        return f"{failure.ename}: {failure.evalue}"
    finally:
        del os.environ["MLMAGIC_NOTEBOOK"]
    return None


def _in_a_loop_of_its_own(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end, also inside a notebook, where a loop is running; nbclient's own way leaves one open."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    with ThreadPoolExecutor(1) as other:
        other.submit(asyncio.run, work).result()


def _sessions(place: Path) -> set[str]:
    folder = project_folder(place.absolute().parent)
    # An endpoint's journal has its number behind its id, and is no session.
    return {path.stem for path in (folder / "journal").glob("*.jsonl") if "." not in path.stem}


def _summary(place: Path, output: Any, before: set[str], seconds: float, error: str | None) -> Run:
    (session, *_) = sorted(_sessions(place) - before) or [""]
    store = Store(project_folder(place.absolute().parent))
    try:
        found = store.status(session)
        hits = [row for row in store.reuses(session) if row.decision == "reused"]
    finally:
        store.close()
    return Run(
        notebook=str(place),
        output=os.fspath(output) if output is not None else None,
        session=session,
        cells=found["cells_tracked"],
        seconds=seconds,
        tracking_seconds=found["tracking_seconds"],
        reused=len(hits),
        saved_seconds=sum(row.saved for row in hits),
        error=error,
    )
