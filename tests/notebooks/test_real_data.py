"""Messy notebooks on public data: the same outputs with and without us, and slices that rebuild their variables.

The ``.cells`` files beside this one are notebooks as people leave them: names used again, changes in place, plots,
files, helper functions. ``# %%`` begins a cell, ``DATA`` stands for the folder of the data, and the first line names
variables whose slice must rebuild them, exactly.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

NOTEBOOKS = sorted(Path(__file__).parent.glob("*.cells"))


def _cells(notebook, data):
    _, *cells = notebook.read_text().split("\n# %%\n")
    return [text.strip("\n").replace("DATA", str(data)) for text in cells]


def _targets(notebook):
    first = notebook.read_text().partition("\n")[0]
    return first.removeprefix("# rebuilds: ").split(", ")


def _told(outputs):
    """Outputs as a reader sees them, without what differs at every run: pictures' ids, times, temporary names."""
    told = []
    for output in outputs:
        content = output.get("data") or output.get("text") or output.get("evalue")
        if isinstance(content, dict):
            content = {kind: text for kind, text in content.items() if kind.startswith("text/")}
        text = json.dumps(content)
        text = re.sub(
            r"0x[0-9a-f]+|ipykernel_\d+|id=\\?\"[^\"]*\"|#sk-container-id-\d+|\d+(\.\d+)? (ns|µs|ms|s)\b", "…", text
        )
        told.append((output["output_type"], text))
    return told


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_the_same_with_and_without_us(notebook, run_cells, test_data, tmp_path):
    cells = _cells(notebook, test_data)
    (tmp_path / "plain").mkdir()
    (tmp_path / "ours").mkdir()
    plain = run_cells(cells, cwd=tmp_path / "plain")
    ours = run_cells(["%load_ext mlmagic", *cells], cwd=tmp_path / "ours")
    for text, before, after in zip(cells, plain.cells, ours.cells[1:], strict=True):
        assert _told(after.outputs) == _told(before.outputs), text


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_slices_rebuild_the_variables(notebook, run_cells, test_data, tmp_path):
    cells, targets = _cells(notebook, test_data), _targets(notebook)
    asked = [f"print(mlmagic.slice({target!r}).run())" for target in targets]
    book = run_cells(["%load_ext mlmagic", *cells, "import mlmagic", *asked], cwd=tmp_path)
    verdicts = ["".join(output.get("text", "") for output in cell.outputs) for cell in book.cells[-len(targets) :]]
    assert [verdict.partition(",")[0] for verdict in verdicts] == [f"{target}: same" for target in targets], verdicts
