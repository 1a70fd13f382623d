"""`%evaluate` and `%drift` in a real kernel: what they show, what the store knows of it, one line for each mistake."""

from __future__ import annotations

import json

import pytest

from tests.conftest import user_folders
from tests.kernel.kernels import Kernel
from tests.kernel.searched import one_line

SETUP = """
import numpy as np, pandas as pd
rng = np.random.default_rng(0)
def patients(n, shift=0.0):
    age = rng.normal(50 + 10 * shift, 10, n)
    return pd.DataFrame({"age": age, "sex": rng.choice(["f", "m"], n), "dose": rng.gamma(2, 2, n)})
class Threshold:
    classes_ = np.array([0, 1])
    def predict_proba(self, rows):
        chance = 1 / (1 + np.exp(-(rows["age"].to_numpy() - 50) / 5))
        return np.column_stack([1 - chance, chance])
    def predict(self, rows):
        return (self.predict_proba(rows)[:, 1] > 0.5).astype(int)
"""
DATA = """
X, later = patients(800), patients(900, shift=0.5)
y = (X["age"] + rng.normal(0, 5, len(X)) > 50).astype(int)
"""
MODEL = "model = Threshold()"


@pytest.fixture(scope="module")
def kernel(home, tmp_path_factory):
    with Kernel(tmp_path_factory.mktemp("project"), env=user_folders(home)) as kernel:
        for cell in (SETUP, DATA, MODEL):
            kernel.good(cell)
        yield kernel


def rows(kernel: Kernel, query: str) -> list[dict]:
    reply = kernel.good(f"import json, mlmagic\nprint(mlmagic.sql({query!r}).to_json(orient='records'))")
    return json.loads(reply.printed)


def test_a_model_is_evaluated_in_text_html_and_rows(kernel):
    faces = kernel.good("%evaluate model X y").faces
    assert "model on X, y: two classes, 800 rows" in faces["text/plain"]
    assert "<svg" in faces["text/html"]
    assert "http" not in faces["text/html"].replace("http://www.w3.org/2000/svg", "")
    found = rows(kernel, "SELECT * FROM evaluations WHERE metric = 'roc_auc' AND part = 'test'")
    assert (found[-1]["model"], found[-1]["data"], found[-1]["target"], found[-1]["rows"]) == ("model", "X", "y", 800)
    assert found[-1]["low"] < found[-1]["value"] < found[-1]["high"]


def test_one_join_leads_from_a_statistic_to_the_cells_that_made_model_and_data(kernel):
    kernel.good("%evaluate model X y")
    (found,) = rows(
        kernel,
        "SELECT m.source AS made_model, d.source AS made_data FROM evaluations s "
        "JOIN versions a ON a.version_id = s.model_version JOIN executions m ON m.execution_id = a.execution_id "
        "JOIN versions b ON b.version_id = s.data_version JOIN executions d ON d.execution_id = b.execution_id "
        "WHERE s.metric = 'roc_auc' AND s.part = 'test' ORDER BY s.evaluation_id DESC LIMIT 1",
    )
    assert found == {"made_model": MODEL, "made_data": DATA}


def test_groups_and_training_data_stand_beside_it(kernel):
    text = kernel.good("%evaluate model X.iloc[:300] y.iloc[:300] --train X.iloc[300:] y.iloc[300:] --by sex").text
    assert "over-fitting" in text
    assert "sex" in text


def test_a_model_changed_since_has_another_version(kernel):
    kernel.good("%evaluate model X y")
    kernel.good("model.limit = 1")
    kernel.good("%evaluate model X y")
    found = rows(kernel, "SELECT DISTINCT model_version FROM evaluations WHERE model = 'model' AND rows = 800")
    assert len(found) >= 2


def test_drift_names_the_column_that_moved_and_not_the_others(kernel):
    faces = kernel.good("%drift X later").faces
    assert "<svg" in faces["text/html"]
    drifted = rows(
        kernel,
        "SELECT DISTINCT column_name FROM drifts WHERE drifted AND column_name IS NOT NULL AND current = 'later'",
    )
    assert drifted == [{"column_name": "age"}]
    found = rows(kernel, "SELECT DISTINCT reference, current FROM drifts WHERE current = 'later'")
    assert found == [{"reference": "X", "current": "later"}]


def test_one_join_leads_from_drift_to_the_cell_that_made_the_data(kernel):
    kernel.good("%drift X later --columns age --no-joint")
    (found,) = rows(
        kernel,
        "SELECT DISTINCT e.source FROM drifts d JOIN versions v ON v.version_id = d.current_version "
        "JOIN executions e ON e.execution_id = v.execution_id WHERE d.current = 'later'",
    )
    assert found == {"source": DATA}


def test_a_saved_profile_stands_for_its_data_also_in_a_new_kernel(home, kernel):
    kernel.good("later.to_parquet('later.parquet')")
    assert kernel.good("%drift X --save normal.profile").printed == "wrote normal.profile\n"
    here = kernel.good("%drift X later --columns age --no-joint").text.splitlines()[1]
    with Kernel(kernel.folder, env=user_folders(home)) as other:
        text = other.good("%drift normal.profile later.parquet --columns age --no-joint").text
    assert text.splitlines()[1] == here


def test_what_a_function_or_a_file_gave_has_no_version_of_a_variable(kernel):
    """The function is not the data, nor is a variable that is called as the file is."""
    kernel.good("def halved(rows): return rows.iloc[::2]")
    kernel.good("%evaluate model halved(X) halved(y)")
    query = "SELECT DISTINCT data_version AS version FROM evaluations WHERE data = "
    assert rows(kernel, f"{query}'halved(X)'") == [{"version": None}]
    kernel.good("%evaluate model X.iloc[::2] y.iloc[::2]")
    assert rows(kernel, f"{query}'X.iloc[::2]'") != [{"version": None}]
    kernel.good("usual = 1\nlater.to_parquet('usual.parquet')\n%drift usual.parquet later --no-joint")
    query = "SELECT DISTINCT reference_version AS version FROM drifts WHERE reference = 'usual.parquet'"
    assert rows(kernel, query) == [{"version": None}]


@pytest.mark.parametrize(
    "made",
    [
        "import polars as pl\nother = pl.DataFrame({name: later[name].to_numpy() for name in later})",
        "import pyarrow as pa\nother = pa.Table.from_pandas(later)",
        "import duckdb\nother = duckdb.sql('SELECT * FROM later')",
    ],
)
def test_tables_of_any_library_give_the_same_verdict(kernel, made):
    kernel.good(made)
    expected = kernel.good("%drift X later --no-joint").text.splitlines()[1:]
    assert kernel.good("%drift X other --no-joint").text.splitlines()[1:] == expected


def test_the_functions_need_no_notebook(kernel):
    kernel.good("import mlmagic\nfound = mlmagic.drift(X, later, joint=False)")
    assert kernel.good("print(found.drifted)").printed == "('age',)\n"


def test_a_single_name_and_a_number_are_names_of_columns_too(kernel):
    kernel.good("import mlmagic\nfound = mlmagic.drift(X, later, columns='age', methods='ks', joint=False)")
    assert kernel.good("print(found.drifted)").printed == "('age',)\n"
    kernel.good("numbered = pd.DataFrame(rng.normal(size=(60, 3)))")
    kernel.good("found = mlmagic.drift(numbered, numbered + 9, columns=[2], joint=False)")
    assert kernel.good("print(found.drifted)").printed == "('2',)\n"


def test_the_file_of_a_profile_is_told_with_its_ending(kernel):
    assert kernel.good("%drift X --save usual").printed == "wrote usual.profile\n"
    assert (kernel.folder / "usual.profile").is_file()


def test_groups_may_be_an_expression(kernel):
    text = kernel.good("%evaluate model X y --by \"X['age'] > 50\"").text
    assert "True" in text
    assert "no column" not in text
    assert kernel.good("print(mlmagic.evaluate(model, X, y).metrics['accuracy'] is not None)").printed == "True\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%evaluate modle X y", "did you mean 'model'?"),
        ("%evaluate model X", "required: y"),
        ("%evaluate model X y --by nope", "no column of X 'nope'"),
        ('%evaluate model X y --by "age of all"', "no column of X 'age of all'"),
        ("%evaluate model X y --by ages['x']", "no variable 'ages'"),
        ("%evaluate model X y --seed -1", "a seed is a whole number from 0 on"),
        ("%drift X --save nosuch/x", "cannot write the profile nosuch/x.profile"),
        ("%assertions label --seed -1", "a seed is a whole number from 0 on"),
        ("%evaluate model X y.iloc[:5]", "must be equal"),
        ("%evaluate X X y", "predict"),
        ("%evaluate model X 'y - y'", "class"),
        ("%evaluate model X y --bootstrap 3", "no option of %evaluate '--bootstrap'"),
        ("%drift X", "takes a reference and current data"),
        ("%drift X model", "is no table"),
        ("%drift X later.iloc[:0]", "no rows"),
        ('%drift X \'later[["age"]].rename(columns={"age": "years"})\'', "years"),
        ("%drift X nosuch.parquet", "no file 'nosuch.parquet'"),
        ("%drift nosuch.profile later", "nosuch.profile"),
        ("%drift X later --method nosuch", "nosuch"),
        ("%drift X later --alpha 7", "alpha"),
    ],
)
def test_a_mistake_is_one_line(kernel, line, told):
    assert told in one_line(kernel.run(line))
