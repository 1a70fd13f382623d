"""`mlmagic check`: what it says, and its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlmagic
from tests.kernel.kernels import command
from tests.unit.bundles import sample
from tests.unit.bundles.shipped import export

pytest.importorskip("pyarrow")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a bundle in its project, signed by a key that is not this user's."""
    export(tmp_path / ".mlmagic" / "bundles")
    return tmp_path


def test_a_good_bundle(project):
    done = command("check", "churn", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("bundle churn (version ")
    assert "✓ parity" in done.stdout
    assert "· signature" in done.stdout
    assert "--trust runs them" in done.stdout


def test_what_fails_is_the_exit_status(project):
    sample.people(300).assign(age=120).to_csv(project / "today.csv", index=False)
    done = command("check", "churn", "today.csv", "--trust", cwd=project)
    assert (done.returncode, done.stderr) == (1, "")
    assert "2 of 10 checks failed" in done.stdout
    assert "today.csv:" in done.stdout
    assert "✗ assertion no_giants" in done.stdout
    assert "✗ drift" in done.stdout


def test_a_tampered_file_is_named(project):
    (model,) = (project / ".mlmagic").glob("bundles/churn/*/model.onnx")
    model.write_bytes(model.read_bytes() + b"\0")
    done = command("check", str(model.parent), cwd=project)
    assert done.returncode == 1
    assert "✗ files" in done.stdout
    assert "model.onnx is not the file that was exported" in done.stdout


def test_what_is_no_bundle_is_one_line(project):
    done = command("check", "nothing", cwd=project)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "mlmagic: no bundle 'nothing'; there are: churn\n"


def test_the_function_takes_rows_in_memory(project):
    assert mlmagic.check("churn").ok
    found = mlmagic.check("churn", sample.people(300).assign(age=120), trust=True)
    assert not found.ok
    assert {one.part for one in found.findings} == {"bundle", "a DataFrame"}


def test_its_picture_is_a_table_that_needs_no_colour(project):
    face = mlmagic.check("churn")._repr_mimebundle_()["text/html"]
    assert "✓</span> fine" in face
    assert "·</span> told" in face
    assert 'scope="col"' in face
