"""`%export` in a real kernel: from the cell that fitted a model to a bundle, and by SQL from the bundle to the cell."""

from __future__ import annotations

import json
import shutil

import pytest

from mlmagic.bundles.folder import open_bundle
from mlmagic.bundles.holdout import holdout_of
from mlmagic.store import Store
from tests.conftest import user_folders
from tests.kernel.kernels import Kernel, command
from tests.kernel.searched import one_line

pytest.importorskip("skl2onnx")

LOAD = """
import numpy as np, pandas as pd
people = pd.read_csv("people.csv")
train, test = people[:150], people[150:]
X_train, y_train = train.drop(columns="stays"), train["stays"]
X_test, y_test = test.drop(columns="stays"), test["stays"]
"""
FIT = """
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
columns = make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(), ["city"]))
model = make_pipeline(columns, LogisticRegression()).fit(X_train, y_train)
"""
RULE = """%%assertion old_ones_stay --on model
def old_ones_stay(inputs, outputs):
    return (inputs["age"] > LIMIT) & (outputs[:, 1] < 0.5)
"""
HELPED = """%%assertion helped
def helped(inputs, outputs):
    return helper(inputs["age"]) > 1000
"""
EXPORT = "report = %export model churn --holdout X_test y_test --train X_train"

JOIN = """
SELECT e.source FROM bundles b
JOIN versions v ON v.version_id = b.model_version
JOIN executions e ON e.execution_id = v.execution_id
WHERE b.bundle_id = '{}'
"""


def people(rows: int) -> str:
    cities = ("Bern", "Basel", "Zug")
    lines = [f"{20 + row * 7 % 60},{cities[row % 3]},{int(row * 7 % 60 > 25)}" for row in range(rows)]
    return "\n".join(["age,city,stays", *lines]) + "\n"


@pytest.fixture(scope="module")
def kernel(home, tmp_path_factory):
    """A kernel with a fitted pipeline, two assertions, and a bundle `churn` of them."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "people.csv").write_text(people(220))
    env = user_folders(home) | {"MLMAGIC_KEY_FILE": str(tmp_path_factory.mktemp("user") / "key")}
    with Kernel(folder, env=env) as kernel:
        for cell in ("LIMIT = 60", LOAD, FIT, RULE, "def helper(x):\n    return x * 2", HELPED, EXPORT):
            kernel.good(cell)
        yield kernel


def value(kernel: Kernel, expression: str) -> object:
    return json.loads(kernel.good(f"import json; print(json.dumps({expression}))").printed)


def bundle(kernel: Kernel):
    return open_bundle(kernel.folder / ".mlmagic" / "bundles" / "churn")


def test_the_bundle_leads_by_sql_to_the_cell_that_fitted_the_model(kernel):
    asked = JOIN.format(value(kernel, "report.bundle_id"))
    assert kernel.good(f"%lineage --sql {' '.join(asked.split())!r}").faces
    store = Store(kernel.folder / ".mlmagic")
    try:
        assert [row[0].strip() for row in store.frame(asked).values] == [FIT.strip()]
    finally:
        store.close()


def test_the_folder_holds_what_it_promises_and_no_pickle(kernel):
    found = bundle(kernel)
    assert {path.name for path in found.path.iterdir()} == {
        "model.onnx", "schema.json", "holdout.jsonl", "assertions.json", "reference.profile", "slice.py",
        "parity.json", "timing.json", "README.md", "bundle.json", "signature",
    }  # fmt: skip
    found.check()
    assert found.manifest["model"] == "model"
    assert holdout_of(found.schema, found.read("holdout.jsonl")).rows == 70
    assert ".fit(X_train, y_train)" in found.read("slice.py").decode()
    assert "%export" not in found.read("slice.py").decode()
    assert not any(content.startswith(b"\x80") for content in map(found.read, found.manifest["files"]))


def test_rows_that_the_notebook_has_seen_are_compared_too_and_named(kernel):
    assert {"X_test", "X_train", "people", "probes"} <= set(value(kernel, "report.to_dict()['parity']['sets']"))


def test_a_rule_that_cannot_travel_is_left_out_by_name(kernel):
    assert [rule["name"] for rule in bundle(kernel).json("assertions.json")] == ["old_ones_stay"]
    text = value(kernel, "repr(report)")
    assert "assertion helped" in text
    assert "helper" in text
    assert "%serve churn" in text


def test_the_report_has_all_faces(kernel):
    reply = kernel.good("report")
    assert {"text/plain", "text/html"} <= set(reply.faces)
    assert "X_test" in reply.text
    assert value(kernel, "list(report.to_pandas()['column'])") == ["age", "city"]


def test_exporting_again_gives_the_same_version_and_a_changed_model_another(kernel):
    first = value(kernel, "report.version")
    kernel.good(EXPORT.replace("report", "again", 1))
    assert value(kernel, "again.version") == first
    kernel.good("other = make_pipeline(columns, LogisticRegression(C=0.01)).fit(X_train, y_train)")
    kernel.good("changed = %export other churn --holdout X_test y_test --train X_train")
    assert value(kernel, "changed.version") != first


def test_exporting_draws_nothing_and_changes_nothing(kernel):
    kernel.good("np.random.seed(3); before = np.random.get_state()[1].tolist(), repr(vars(model))")
    kernel.good(EXPORT)
    assert value(kernel, "(np.random.get_state()[1].tolist(), repr(vars(model))) == before")


def test_the_export_is_no_part_of_what_its_cell_reads_from_files_and_the_generator(kernel):
    kernel.good(EXPORT)
    rows = kernel.rows()
    cell = rows.cells[-1]
    own = [row for row in rows.history.versions if row.execution_id == cell.execution_id]
    assert {row.kind for row in own} == {"variable"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%export model churn", "--holdout X_test y_test"),
        ("%export model churn --holdout X_test y_train", "70 rows"),
        ("%export model churn --holdout X_test y_test --no-holdout", "exclude"),
        ("%export model ../churn --no-holdout --train X_train", "letters, digits"),
        ("%export modle --no-holdout", "did you mean 'model'"),
        ("%export make_pipeline(columns) --no-holdout --train X_train", "%export MODEL NAME"),
        ("%export model --hold X_test y_test --nothing", "nothing"),
        ("%export people frames --no-holdout --train X_train", "cannot be exported"),
        ("%export LogisticRegression() fresh --holdout X_test y_test", "not fitted"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_cure(kernel, line, words):
    told = one_line(kernel.run(line))
    assert words in told


def test_without_a_holdout_it_is_proven_on_the_training_rows(kernel):
    kernel.good("bare = %export model bare --no-holdout --train X_train")
    found = open_bundle(kernel.folder / ".mlmagic" / "bundles" / "bare")
    assert not found.has("holdout.jsonl")
    assert "X_train" in value(kernel, "bare.to_dict()['parity']['sets']")


def test_help_and_tab(kernel):
    assert "--holdout" in kernel.complete("%export model --h")
    assert "X_test" in kernel.complete("%export model --holdout X_te")


def test_the_bundle_is_checked_and_scores_where_there_is_no_notebook(kernel, tmp_path):
    place = shutil.copytree(bundle(kernel).path, tmp_path / "elsewhere")
    (tmp_path / "in.csv").write_text(people(40))
    done = command("check", str(place), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ parity" in done.stdout
    assert "--trust" in done.stdout  # another user's key: its rule does not run unasked
    trusted = command("check", str(place), "--trust", cwd=tmp_path)
    assert "✓ assertion old_ones_stay" in trusted.stdout
    done = command("score", str(place), "in.csv", "-o", "out.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out.csv").read_text().count("\n") == 41
