"""Shadow mode: what would have been reused is computed anew and compared, deeply, and nothing differs.

The tour, the case tables and messy notebooks on public data run twice in one project, in new kernels. The first run
keeps what it makes; in the second one every hit is computed all the same.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest

import mlmagic
from mlmagic.session import active
from tests.cases.tables import Case, read_all
from tests.notebooks.test_real_data import NOTEBOOKS, _cells, _told
from tests.property.worlds import NOTICE, Run, Tracked

TOUR = Path(__file__).parents[2] / "notebooks" / "00_tour.ipynb"
VERDICT = 'import mlmagic; found = mlmagic.reuse("verify").to_dict(); print(found["verified"], found["differences"])'
CASES = read_all()

Keeping = Callable[[str], dict[str, str]]

pytest.importorskip("sklearn")


@pytest.fixture(autouse=True)
def everything_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of cells however short; sets have one order in all kernels, and the signing key is this test's."""
    monkeypatch.setenv("MLMAGIC_REUSE_MIN_SECONDS", "0")
    monkeypatch.setenv("MLMAGIC_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("PYTHONHASHSEED", "0")


class Verdict(NamedTuple):
    """What shadow mode found in a kernel."""

    verified: int
    differences: int


def verdict(cell: Any) -> Verdict:
    """What the `VERDICT` cell printed."""
    (printed,) = (output.text for output in cell.outputs if output.get("name") == "stdout")
    verified, differences = printed.split()
    return Verdict(int(verified), int(differences))


def complaints(cells: Any) -> list[str]:
    """Cells beside what a hit would have got wrong in them."""
    return [
        f"{cell.source}\n    {output.text}"
        for cell in cells
        for output in cell.get("outputs", ())
        if "reuse would have been wrong" in output.get("text", "")
    ]


# The tour


def test_the_tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLMAGIC_REUSE", "verify")
    book = nbformat.read(TOUR, as_version=4)
    book.cells.append(nbformat.v4.new_code_cell(VERDICT))
    nbformat.write(book, tmp_path / "tour.ipynb")
    (tmp_path / "done").mkdir()
    assert mlmagic.run(tmp_path / "tour.ipynb").error is None
    assert mlmagic.run(tmp_path / "tour.ipynb", tmp_path / "done" / "tour.ipynb").error is None
    *cells, last = nbformat.read(tmp_path / "done" / "tour.ipynb", as_version=4).cells
    found = verdict(last)
    wrong = complaints(cells)
    assert not wrong, "\n" + "\n".join(wrong)
    assert found.differences == 0
    assert found.verified >= 12


# The case tables


class Shadow(NamedTuple):
    """What shadow mode found in the second run of a program."""

    verified: int
    wrong: list[str]  # a cell's text and what a hit would have got wrong


class Shadowed(Tracked):
    """Kernels that run a program and keep the results of all cells; from the second one on they verify."""

    def __enter__(self) -> Shadowed:
        self._path = list(sys.path)
        super().__enter__()
        return self

    def start(self, seed: int) -> None:
        sys.path[:] = ["", *self._path]
        super().start(seed)

    def program(self, case: Case) -> Shadow:
        """Run the cells of a case in the present kernel."""
        checked, wrong = 0, []
        session = active()
        assert session is not None
        for number, (text, _) in enumerate(case.cells, 1):
            self.quietly(text)
            told = session.verifications[checked:]
            checked += len(told)
            wrong += [f"[{number}] {text}\n    would be wrong: {', '.join(parts)}" for _, parts in told if parts]
        return Shadow(checked, wrong)

    def quietly(self, text: str) -> None:
        assert self.shell is not None
        self.shell.events_seen = []
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.execute(Run(text))

    def restart_to_verify(self) -> None:
        """A new kernel where the first one began: the files that cells made are gone."""
        self.stop(killed=True)
        self.reset()
        self._environment["MLMAGIC_REUSE"] = "verify"
        self.start(0)


@pytest.fixture(scope="module")
def shadows(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Shadow]:
    """`shadows(case)`: each is run for the first test that asks."""
    folder, found = tmp_path_factory.mktemp("cases"), {}

    def shadow(case: Case) -> Shadow:
        if case not in found:
            with Shadowed(folder / str(len(found)), closely=False) as world:
                world.program(case)
                world.restart_to_verify()
                found[case] = world.program(case)
            shutil.rmtree(folder / str(len(found) - 1), ignore_errors=True)
        return found[case]

    return shadow


quiet = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@quiet
@pytest.mark.parametrize("case", CASES)
def test_a_case_of_the_tables(case: Case, shadows: Callable[[Case], Shadow]) -> None:
    wrong = shadows(case).wrong
    assert not wrong, "\n" + "\n".join(wrong)


@quiet
def test_most_cells_of_the_tables_are_verified(shadows: Callable[[Case], Shadow]) -> None:
    cases = [case for (case,) in (parameter.values for parameter in CASES)]
    cells = sum(len(case.cells) for case in cases)
    assert sum(shadows(case).verified for case in cases) > 0.7 * cells


# Messy notebooks


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_messy_notebook(notebook: Path, run_cells: Callable[..., Any], test_data: Path) -> None:
    cells = ["%load_ext mlmagic", *_cells(notebook, test_data)]
    first, second = (run_cells(cells, env={"MLMAGIC_REUSE": "on"}) for _ in range(2))
    for text, before, after in zip(cells, first.cells, second.cells, strict=True):
        assert told(after.outputs) == told(before.outputs), text
    reused = [cell for cell in second.cells if but_the_notice(cell.outputs) != cell.outputs]
    assert len(reused) > len(cells) / 2
    *shadows, last = run_cells([*cells, VERDICT], env={"MLMAGIC_REUSE": "verify"}).cells
    found = verdict(last)
    wrong = complaints(shadows)
    assert not wrong, "\n" + "\n".join(wrong)
    assert found.differences == 0
    assert found.verified >= len(reused)


def told(outputs: list[Any]) -> list[Any]:
    """Outputs as a reader sees them; in what order a display lists its kinds matters to nobody."""
    ordered = [one | {"data": dict(sorted(one["data"].items()))} if "data" in one else one for one in outputs]
    return _told(but_the_notice(ordered))


def but_the_notice(outputs: list[Any]) -> list[Any]:
    """Outputs without the one that a reused cell adds."""
    return [one for one in outputs if not str(one.get("data", {}).get("text/plain", "")).startswith(NOTICE)]
