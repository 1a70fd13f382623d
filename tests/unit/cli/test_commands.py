"""The `mlmagic` command: what it prints, where it looks, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kernel.kernels import command, script

PIPELINE = """
import mlmagic
rows = [1, 2, 3]
with mlmagic.track("load", tags={"kind": "demo"}):
    data = [row * 2 for row in rows]
with mlmagic.track("train", metrics=("score",), params=("depth",)):
    depth = 3
    model = {"sum": sum(data)}
    score = 0.5
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    done = script(PIPELINE, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return tmp_path


def notebook(folder: Path, *cells: str) -> Path:
    nbformat = pytest.importorskip("nbformat")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    place = folder / "book.ipynb"
    nbformat.write(book, place)
    return place


@pytest.mark.parametrize("name", ["run", "lineage", "slice", "doctor"])
def test_every_command_has_help(tmp_path, name):
    done = command(name, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: mlmagic {name}")
    assert name in command("--help", cwd=tmp_path).stdout


def test_a_bare_command_says_what_there_is(tmp_path):
    done = command(cwd=tmp_path)
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("run", "lineage", "slice", "doctor"))


def test_lineage_of_a_script(project):
    done = command("lineage", "model", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("model", "data", "rows"):
        assert name in done.stdout
    assert "load" in done.stdout


def test_lineage_forward_depth_faces_and_sql(project):
    assert "model" in command("lineage", "data", "--forward", cwd=project).stdout
    assert "rows" not in command("lineage", "model", "--depth", "1", cwd=project).stdout
    found = json.loads(command("lineage", "model", "--as", "json", cwd=project).stdout)
    assert "model" in json.dumps(found)
    assert "data" in command("lineage", "model", "--as", "table", cwd=project).stdout
    asked = command("lineage", "--sql", "SELECT name, value FROM metrics", cwd=project)
    assert asked.stdout.split() == ["name", "value", "score", "0.5"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("lineage", "modle"), "did you mean 'model'?"),
        (("lineage", "model", "--depth", "0"), "--depth takes a whole number from 1 on"),
        (("lineage", "--sql", "DROP TABLE executions"), "read-only"),
        (("lineage", "--sql", "SELEC"), "SELEC"),
        (("slice", "modle"), "did you mean 'model'?"),
        (("slice", "model", "-o", "bad.txt"), ".py or .ipynb"),
        (("run", "missing.ipynb"), "no notebook missing.ipynb"),
        (("run", "script.py"), "script.py is not a notebook"),
    ],
)
def test_a_mistake_is_one_line_and_status_one(project, arguments, told):
    done = command(*arguments, cwd=project)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.startswith("mlmagic: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [("lineage", "--depth", "many"), ("slice",), ("nothing",), ("run",)])
def test_wrong_usage_is_status_two(project, arguments):
    done = command(*arguments, cwd=project)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_without_a_project_it_says_how_to_get_one(tmp_path):
    for arguments in (("lineage", "x"), ("slice", "x"), ("lineage", "--sql", "SELECT 1")):
        done = command(*arguments, cwd=tmp_path)
        assert done.returncode == 1
        assert "no .mlmagic folder" in done.stderr
        assert "%load_ext mlmagic" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / ".mlmagic").exists()


def test_mlmagic_home_says_where_to_look(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = command("lineage", "model", cwd=elsewhere, env={"MLMAGIC_HOME": str(project / ".mlmagic")})
    assert (done.returncode, done.stderr) == (0, "")
    assert "rows" in done.stdout


def test_slice_prints_saves_and_runs(project):
    printed = command("slice", "model", cwd=project)
    assert printed.returncode == 0
    compile(printed.stdout, "slice.py", "exec")
    saved = command("slice", "model", "-o", "model.py", cwd=project)
    assert (saved.returncode, saved.stdout) == (0, "wrote model.py\n")
    assert (project / "model.py").read_text() == printed.stdout


def test_doctor_is_status_zero_where_all_is_well(project, tmp_path_factory):
    done = command("doctor", cwd=project)
    assert done.returncode == 0
    assert "all is well" in done.stdout
    assert command("doctor", cwd=tmp_path_factory.mktemp("empty")).returncode == 0


def test_run_executes_tracks_and_writes_the_notebook(tmp_path):
    (tmp_path / "data.txt").write_text("7")
    place = notebook(tmp_path, "x = int(open('data.txt').read())", "y = x + 1\ny")
    before = place.read_bytes()
    done = command("run", str(place), "-o", "done.ipynb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert place.read_bytes() == before
    assert "2 cells tracked" in done.stdout
    assert "[1/2] x = int(open" in done.stderr
    assert '"8"' in (tmp_path / "done.ipynb").read_text()
    assert "file:data.txt" in command("lineage", "y", cwd=tmp_path).stdout
    ran = command("slice", "y", "--run", cwd=tmp_path)
    assert (ran.returncode, ran.stdout.split(",")[0]) == (0, "y: same")


def test_run_from_another_folder_uses_the_notebooks_own(tmp_path):
    (tmp_path / "books").mkdir()
    notebook(tmp_path / "books", "import os\nhere = os.path.basename(os.getcwd())")
    done = command("run", "books/book.ipynb", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "books" / ".mlmagic").is_dir()
    assert not (tmp_path / ".mlmagic").exists()


def test_run_of_a_failing_notebook_is_status_one_and_keeps_what_was_done(tmp_path):
    place = notebook(tmp_path, "x = 1", "y = x / 0", "z = 2")
    done = command("run", str(place), "-o", "done.ipynb", "-q", cwd=tmp_path)
    assert done.returncode == 1
    assert "stopped: ZeroDivisionError: division by zero" in done.stdout
    assert "ZeroDivisionError" in (tmp_path / "done.ipynb").read_text()
    assert command("lineage", "x", cwd=tmp_path).returncode == 0


def test_run_where_the_notebook_loads_us_itself_tracks_once(tmp_path):
    place = notebook(tmp_path, "%load_ext mlmagic", "x = 1")
    done = command("run", str(place), "-q", cwd=tmp_path)
    assert "2 cells tracked" in done.stdout, done.stdout


def test_a_reader_that_goes_away_is_no_error(project):
    import subprocess
    import sys

    line = f"{sys.executable} -m mlmagic.cli lineage model | head -c 1"
    done = subprocess.run(line, shell=True, cwd=project, capture_output=True, text=True, check=False)
    assert done.stderr == ""
