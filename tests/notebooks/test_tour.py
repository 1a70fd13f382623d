"""The tour as a test: it runs top to bottom, what it says is true, and it is saved with outputs that read well."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

import mlmagic

TOUR = Path(__file__).parents[2] / "notebooks" / "00_tour.ipynb"

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tour")
    run = mlmagic.run(shutil.copy(TOUR, folder), folder / "done.ipynb")
    assert run.error is None
    return nbformat.read(folder / "done.ipynb", as_version=4)


def _output(book, source):
    """The text that the first cell beginning with `source` showed."""
    cell = next(cell for cell in book.cells if cell.cell_type == "code" and cell.source.startswith(source))
    return "\n".join(
        "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "")) for output in cell.outputs
    )


def test_the_model_is_led_back_to_the_data(executed):
    lines = _output(executed, "%lineage model").splitlines()
    assert lines[0].startswith("model  RandomForestClassifier")
    assert [name for name in ("X_train", "y_train", "mutated by [5]") if any(name in line for line in lines)]
    assert not any("summary" in line for line in lines)


def test_the_slice_makes_the_same_model(executed):
    assert _output(executed, "%slice model --run").startswith("model: same")


def test_the_slice_leaves_out_what_does_not_matter(executed):
    script = _output(executed, "%slice model")
    assert "clip_outliers" in script
    assert "summary" not in script


def test_sql_finds_the_parameter_and_the_metric(executed):
    answer = _output(executed, '%lineage --sql "SELECT name, value')
    assert "depth" in answer
    assert "auc" in answer


def test_the_model_leaves_the_notebook_and_answers(executed):
    exported = _output(executed, "%export model")
    assert "X_test, 143 rows: probabilities within" in exported
    assert "large_but_benign" in exported
    answered = _output(executed, "import json")
    assert "'label': 1" in answered
    assert "row 0, column 'mean radius': 'large', where a number is expected" in answered
    assert "fired: large_but_benign" in _output(executed, "%endpoints")
    joined = _output(executed, '%lineage --sql "SELECT p.request_id')
    assert "%%track train" in joined


def test_what_was_computed_is_not_computed_again(executed):
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    told = [
        cell.source.splitlines()[0]
        for cell in cells
        for output in cell.outputs
        if str(output.get("data", {}).get("text/plain", "")).startswith("reused, saved ")
    ]
    assert told == ["%%track search", "%%track train --param depth"]
    assert "ran because X_train changed from shape (426, 32) to (425, 32)" in _output(executed, "%reuse explain train")


def test_the_sweep_shares_what_it_prepares_and_its_best_trial_is_a_variable(executed):
    found = _output(executed, "%%sweep tune")
    assert "sweep tune: finished; 20 trials" in found
    plan = _output(executed, "%sweeps show --plan").splitlines()
    assert [line.split()[0] for line in plan[1:] if "  once  " in line] == ["1", "7", "8", "9"]
    assert "of sweep tune" in _output(executed, "%sweeps apply")
    assert "X_train" in _output(executed, "%lineage tuned")


def test_the_model_is_evaluated_a_rule_fires_and_later_patients_differ(executed):
    assert "ROC AUC 0.99" in _output(executed, "%evaluate model")
    assert "fired on 13 of 143 rows" in _output(executed, "%assertions run")
    drift = _output(executed, "early, late")
    assert "drift    benign " in drift
    assert "jointly: drift" in drift


def test_one_join_leads_from_the_rule_to_the_cell_that_made_the_model(executed):
    joined = _output(executed, '%lineage --sql "SELECT a.name AS rule')
    assert "large_but_benign" in joined
    assert "%%track train" in joined


def test_it_is_saved_with_outputs_and_without_paths_of_a_machine():
    book = nbformat.read(TOUR, as_version=4)
    codes = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in codes)
    assert _output(book, "%slice model --run").startswith("model: same")
    assert not [word for word in ("/home/", "/work/", "/tmp/", "/root/") if word in TOUR.read_text()]
    assert TOUR.stat().st_size < 300_000
