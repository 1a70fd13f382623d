"""`mlmagic score`: what it writes and says, and its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlmagic
from mlmagic.errors import MisuseError, UnknownNameError
from tests.kernel.kernels import command
from tests.unit.bundles import sample

pytest.importorskip("pyarrow")

NAMED = '"label","probability_leaves","probability_stays"'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a file of rows, and a bundle in its project."""
    sample.people(50).to_csv(tmp_path / "in.csv", index=False)
    sample.bundle(tmp_path / ".mlmagic" / "bundles")
    return tmp_path


def test_a_bundle_by_its_name_or_folder(project):
    for given in ("churn", "bundle:churn", ".mlmagic/bundles/churn", str(project / ".mlmagic/bundles/churn")):
        done = command("score", given, "in.csv", "-o", "out.csv", cwd=project)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("wrote out.csv: 50 rows")
        assert (project / "out.csv").read_text().splitlines()[0] == f'"age","income","city",{NAMED}'


def test_which_columns_stand_before_the_answers(project):
    assert command("score", "churn", "in.csv", "-o", "a.csv", "--keep", "city, age", cwd=project).returncode == 0
    assert (project / "a.csv").read_text().startswith(f'"city","age",{NAMED}\n')
    assert command("score", "churn", "in.csv", "-o", "b.csv", "--only-answers", cwd=project).returncode == 0
    assert (project / "b.csv").read_text().startswith(f"{NAMED}\n")
    both = command("score", "churn", "in.csv", "-o", "c.csv", "--only-answers", "--keep", "age", cwd=project)
    assert both.returncode == 2


def test_bad_rows(project):
    (project / "bad.csv").write_text("age,income,city\n30,50,Zug\nold,50,Bern\n")
    done = command("score", "churn", "bad.csv", "-o", "out.csv", cwd=project)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "mlmagic: bad.csv, row 1, column 'age': 'old' is no number (rows count from 0): mend it, or have such rows "
        "answered by null (--bad-rows null)\n"
    )
    done = command("score", "churn", "bad.csv", "-o", "out.csv", "--bad-rows", "null", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 rows have no answer" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("chrn", "in.csv", "-o", "out.csv"), "no bundle 'chrn'; did you mean 'churn'?"),
        (("churn/0123", "in.csv", "-o", "out.csv"), "no version of churn '0123'; there are:"),
        (("../churn", "in.csv", "-o", "out.csv"), "../churn is no folder of a bundle"),
        (("churn", "none.csv", "-o", "out.csv"), "none.csv cannot be read: No such file or directory"),
        (("churn", "in.csv", "-o", "out.txt"), "answers are written to .parquet or .csv"),
        (("churn", "in.csv", "-o", "out.csv", "--batch-rows", "0"), "--batch-rows takes a whole number from 1 on"),
    ],
)
def test_mistakes_are_one_line(project, arguments, words):
    done = command("score", *arguments, cwd=project)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_any_bundle_it_says_how_one_is_made(tmp_path):
    done = command("score", "churn", "in.csv", "-o", "out.csv", cwd=tmp_path)
    assert "%export MODEL" in done.stderr


def test_a_tampered_bundle_does_not_score(project):
    (model,) = (project / ".mlmagic").glob("bundles/churn/*/model.onnx")
    model.write_bytes(model.read_bytes() + b"\0")
    done = command("score", "churn", "in.csv", "-o", "out.csv", cwd=project)
    assert done.returncode == 1
    assert "model.onnx is not the file that was exported" in done.stderr


# The function


def test_rows_in_memory_keep_their_labels(project):
    rows = sample.people(5).set_index([["a", "b", "c", "d", "e"]])
    found = mlmagic.score("churn", rows)
    assert list(found.index) == list("abcde")
    assert found["label"].tolist() == sample.fitted().predict(rows).tolist()


def test_mistakes_of_its_callers(project):
    with pytest.raises(UnknownNameError, match="did you mean 'null'"):
        mlmagic.score("churn", "in.csv", "out.csv", bad_rows="nul")
    with pytest.raises(MisuseError, match=r"where are the answers for in\.csv to go"):
        mlmagic.score("churn", "in.csv")
    with pytest.raises(MisuseError, match="rows in memory are answered in memory"):
        mlmagic.score("churn", sample.people(3), "out.csv")


def test_progress_is_told_by_the_batch(project):
    told: list[int] = []
    mlmagic.score("churn", "in.csv", "out.csv", batch_rows=20, progress=told.append)
    assert told == [20, 40, 50]
