"""What `mlmagic check` proves of a bundle, and of rows beside it; each lie in a bundle has its line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlmagic.bundles import folder, profiling
from mlmagic.bundles.checking import Checking
from mlmagic.bundles.fitting import check_file, check_table
from mlmagic.bundles.folder import open_bundle
from mlmagic.bundles.holdout import Holdout, lines_of
from mlmagic.bundles.profiling import profile_in
from mlmagic.errors import MisuseError
from tests.unit.bundles import sample
from tests.unit.bundles.shipped import BOUND, RULE, export

pytest.importorskip("pyarrow")

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bundle with everything in it."""
    bundle, _ = export(tmp_path_factory.mktemp("bundles"))
    return bundle


def check(bundle, key=sample.KEY, trust=False, more=None):
    return Checking(open_bundle(bundle.path, key), trust).result(more)


def states(checked, part="bundle"):
    return {one.name: one.state for one in checked.findings if one.part == part}


def words(checked, name):
    return next(one.words for one in checked.findings if one.name == name)


def changed(home, bundle, **files):
    """The same bundle with other files, listed as if they had been exported so."""
    content = {file: bundle.read(file) for file in bundle.manifest["files"]} | files
    about = {key: value for key, value in bundle.manifest.items() if key not in ("files", "name", "version")}
    return folder.write_bundle(home, "churn", content, about, sample.KEY)


def test_all_is_well(made):
    found = check(made)
    assert found.ok
    assert states(found) == {
        "files": "ok",
        "signature": "ok",
        "operators": "ok",
        "schema": "ok",
        "parity": "ok",
        "batch times": "told",
        "assertion no_giants": "ok",
    }
    assert "120 holdout rows answered as expected" in words(found, "parity")
    assert "as at the export" in words(found, "assertion no_giants")
    assert found.text().splitlines()[0] == f"bundle churn (version {made.version}): all is well"
    assert found.to_dict()["ok"] is True
    assert list(found.to_pandas()["name"]) == [one.name for one in found.findings]


@pytest.mark.parametrize(
    "file", ["model.onnx", "schema.json", "holdout.jsonl", "assertions.json", "reference.profile", "README.md"]
)
def test_one_changed_byte_fails_by_the_name_of_its_file(made, tmp_path, file):
    copied = changed(tmp_path, made)
    content = bytearray((copied.path / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copied.path / file).write_bytes(content)
    found = check(copied)
    assert not found.ok
    assert states(found)["files"] == "failed"
    assert file in words(found, "files")


def test_a_bundle_of_somebody_else_is_told_and_its_rules_do_not_run(made):
    found = check(made, key=b"o" * 32)
    assert found.ok
    assert states(found)["signature"] == "told"
    assert states(found)["assertions"] == "told"
    assert "--trust" in words(found, "assertions")
    assert states(check(made, key=b"o" * 32, trust=True))["assertion no_giants"] == "ok"


def test_answers_that_are_not_the_expected_ones_fail_by_row(made, tmp_path):
    holdout = sample.holdout()
    shifted = {**holdout.answers, "probabilities": holdout.answers["probabilities"].copy()}
    shifted["probabilities"][7] += np.array([0.01, -0.01], np.float32)
    lines = lines_of(sample.SCHEMA, Holdout(holdout.feeds, shifted))
    found = check(changed(tmp_path, made, **{folder.HOLDOUT: lines}))
    assert states(found)["parity"] == "failed"
    assert "1 of 60 holdout rows are answered otherwise, first row 7 (probabilities)" in words(found, "parity")


def test_a_schema_that_does_not_fit_fails(made, tmp_path):
    other = replace(sample.SCHEMA, fields=sample.SCHEMA.fields[:2]).to_dict()
    found = check(changed(tmp_path, made, **{folder.SCHEMA: json.dumps(other).encode()}))
    assert states(found)["schema"] == "failed"
    assert states(found)["parity"] == "told"


def test_an_operator_that_is_not_allowed_fails_and_nothing_is_run(made, tmp_path):
    evil = made.read(folder.MODEL).replace(b"ai.onnx.ml", b"ev.il.work")
    found = check(changed(tmp_path, made, **{folder.MODEL: evil}))
    assert states(found)["operators"] == "failed"
    assert "schema" not in states(found)


def test_a_rule_that_says_something_else_than_at_the_export_fails(made, tmp_path):
    rules = made.json(folder.RULES)
    rules[0]["constants"]["LIMIT"] = 20
    found = check(changed(tmp_path, made, **{folder.RULES: json.dumps(rules).encode()}))
    assert states(found)["assertion no_giants"] == "failed"
    assert "at the export" in words(found, "assertion no_giants")


@pytest.mark.parametrize("rules", [b"{}", b'[{"name": 1}]', b"[1]", b"no json"])
def test_damaged_rules_fail(made, tmp_path, rules):
    found = check(changed(tmp_path, made, **{folder.RULES: rules}))
    assert states(found).get("assertions", "") == ("failed" if rules != b"{}" else "")


def test_damaged_tolerances_and_holdouts_fail(made, tmp_path):
    found = check(changed(tmp_path, made, **{folder.PARITY: b'{"tolerances": {}}'}))
    assert states(found)["parity"] == "failed"
    endless = b'{"tolerances": {"label": 0, "probabilities": Infinity}}'
    assert states(check(changed(tmp_path, made, **{folder.PARITY: endless})))["parity"] == "failed"
    found = check(changed(tmp_path, made, **{folder.HOLDOUT: b"nothing\n"}))
    assert states(found)["parity"] == "failed"


@pytest.mark.parametrize("times", [b'{"a": 1}', b'[{"rows": 1, "seconds": 0}]', b'[{"rows": 1}]', b"[1]"])
def test_damaged_batch_times_fail_in_one_line(made, tmp_path, times):
    found = check(changed(tmp_path, made, **{folder.TIMING: times}))
    assert not found.ok
    assert "timing.json is damaged" in found.text()


def packed(header):
    """A reference whose header is these bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as parts, parts.open("header.npy", "w") as part:
        np.lib.format.write_array_header_1_0(part, {"descr": "|u1", "fortran_order": False, "shape": (len(header),)})
        part.write(header)
    return made.getvalue()


@pytest.mark.parametrize("header", [b'{"format": ', b"[" * 100_000])
def test_a_damaged_reference_is_refused(header):
    with pytest.raises(MisuseError, match="damaged"):
        profile_in(packed(header))


def test_a_reference_that_would_fill_the_memory_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(profiling, "_LARGEST", 1 << 20)
    with pytest.raises(MisuseError, match=r"reference\.profile is larger than 1 MB when unpacked"):
        profile_in(packed(b" " * (1 << 20)))


def test_a_file_that_is_not_listed_is_told_and_ignored(made, tmp_path):
    copied = changed(tmp_path, made)
    (copied.path / "evil.py").write_text("raise SystemExit")
    found = check(copied)
    assert found.ok
    assert "not listed, so never opened: evil.py" in words(found, "files")


# Rows beside it


def file_of(tmp_path, rows, name="rows.csv"):
    path = tmp_path / name
    rows.to_csv(path, index=False) if path.suffix == ".csv" else rows.to_parquet(path)
    return path


def checked_file(made, path, **how):
    return check(made, more=lambda checking: check_file(checking, path), **how)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_rows_like_the_reference_are_fine(made, tmp_path, name):
    found = checked_file(made, path := file_of(tmp_path, sample.people(200), name))
    assert found.ok, found.text()
    assert states(found, str(path)) == {"schema": "ok", "assertion no_giants": "ok", "drift": "ok"}


def test_rows_that_the_bundle_refuses_fail_by_column_and_first_row(made, tmp_path):
    rows = sample.people(50).astype({"age": object})
    rows.loc[[4, 9], "age"] = ["old", None]
    found = checked_file(made, path := file_of(tmp_path, rows))
    assert states(found, str(path))["schema"] == "failed"
    told = next(one.words for one in found.findings if one.part == str(path) and one.name == "schema")
    assert "2 of 50 rows are refused (age 2)" in told
    assert "row 4, column 'age': 'old' is no number" in told


def test_drift_and_rules_that_fire_fail(made, tmp_path):
    rows = sample.people(300).assign(age=120, city="Zug")
    found = checked_file(made, path := file_of(tmp_path, rows))
    assert states(found, str(path)) == {"schema": "ok", "assertion no_giants": "failed", "drift": "failed"}
    told = [one.words for one in found.findings if one.part == str(path)]
    assert "fired on" in told[1]
    assert "age" in told[2]


def test_a_missing_column_or_file_fails(made, tmp_path):
    found = checked_file(made, path := file_of(tmp_path, sample.people(5).drop(columns="age")))
    assert states(found, str(path)) == {"schema": "failed"}
    assert not checked_file(made, tmp_path / "none.csv").ok


def test_no_rows_fail(made, tmp_path):
    found = checked_file(made, path := file_of(tmp_path, sample.people(5).iloc[:0]))
    assert states(found, str(path))["rows"] == "failed"


def test_rows_in_memory(made):
    found = check(made, more=lambda checking: check_table(checking, sample.people(200), "a DataFrame"))
    assert states(found, "a DataFrame")["drift"] == "ok"


# On a machine that never saw the notebook

BARE = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError("blocked " + name)
sys.meta_path.insert(0, Blocked())
from mlmagic.cli import main
sys.exit(main(sys.argv[1:]))
"""
NOTEBOOK = ("IPython", "traitlets", "ipywidgets", "anywidget", "duckdb", "sklearn", "torch", "polars", "skl2onnx")


def bare(*arguments, blocked, cwd):
    code = BARE.format(blocked=set(blocked))
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_it_needs_no_notebook(made, tmp_path):
    path = file_of(tmp_path, sample.people(200), "rows.parquet")
    done = bare("check", made.path, path, "--trust", blocked=NOTEBOOK, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "✓ assertion no_giants" in done.stdout
    assert "✓ drift" in done.stdout


def test_and_no_data_frames_where_no_rule_runs(made, tmp_path):
    path = file_of(tmp_path, sample.people(200))
    done = bare("check", made.path, path, blocked=(*NOTEBOOK, "pandas"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "✓ drift" in done.stdout
    done = bare("check", made.path, "--trust", blocked=(*NOTEBOOK, "pandas"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "· assertions" in done.stdout
    assert "pandas is not installed here" in done.stdout
    done = bare("score", made.path, path, "-o", "out.csv", blocked=(*NOTEBOOK, "pandas"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_a_rule_that_is_not_portable_is_no_part_of_it(made):
    assert [rule["name"] for rule in made.json(folder.RULES)] == [RULE.name] != [BOUND.name]
