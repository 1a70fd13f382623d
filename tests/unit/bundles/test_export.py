"""From a graph to a bundle: proven first, complete, the same again for the same, and without secrets."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mlmagic.bundles import folder
from mlmagic.bundles.folder import open_bundle
from mlmagic.bundles.graph import ExportError
from mlmagic.bundles.holdout import holdout_of
from mlmagic.bundles.metrics import metrics_of
from mlmagic.bundles.profiling import profile_in
from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.errors import MisuseError
from tests.unit.bundles import sample
from tests.unit.bundles.shipped import ABOUT, RULE, export


def test_the_folder_explains_itself(tmp_path):
    made, report = export(tmp_path)
    found = open_bundle(made.path, sample.KEY)
    found.check()
    assert found.signed
    assert {*found.manifest["files"]} == {
        "model.onnx", "schema.json", "holdout.jsonl", "assertions.json", "reference.profile", "slice.py",
        "parity.json", "timing.json", "README.md",
    }  # fmt: skip
    page = found.read("README.md").decode()
    for words in ("# churn", "| income | number | allowed |", "`probabilities`: 2 numbers", "mlmagic check .", "curl"):
        assert words in page
    assert "X_test, 120 rows: probabilities within" in page
    assert found.schema == sample.SCHEMA
    assert report.nbytes == sum((made.path / file).stat().st_size for file in found.manifest["files"])


def test_the_holdout_holds_the_models_answers_and_the_truth(tmp_path):
    made, report = export(tmp_path)
    holdout = holdout_of(made.schema, made.read(folder.HOLDOUT))
    assert holdout.rows == report.holdout_rows == 120
    expected = sample.ask(holdout.feeds)
    np.testing.assert_array_equal(holdout.answers["probabilities"], expected["probabilities"])
    assert holdout.target == sample.leaves(sample.people(120, seed=1)).tolist()


def test_the_bundles_own_statistics_are_those_of_the_model(tmp_path):
    from sklearn.metrics import accuracy_score, roc_auc_score

    _, report = export(tmp_path)
    test = sample.people(120, seed=1)
    truth, model = sample.leaves(test), sample.fitted()
    assert report.metrics["accuracy"] == accuracy_score(truth, model.predict(test))
    assert report.metrics["roc_auc"] == pytest.approx(roc_auc_score(truth, model.predict_proba(test)[:, 1]), abs=1e-3)


def test_drift_is_measured_from_the_training_data_and_from_its_answers(tmp_path):
    made, report = export(tmp_path)
    profile = profile_in(made.read(folder.PROFILE))
    assert profile.rows == 200
    assert [column.name for column in profile.columns] == ["age", "income", "city", "prediction(label)"]
    assert "200 rows of X_train (training data)" in report.text()
    _, report = export(tmp_path, train=None)
    assert "120 rows of X_test (holdout)" in report.text()


def test_rules_that_can_travel_do_and_the_others_are_named(tmp_path):
    made, report = export(tmp_path)
    assert [rule["name"] for rule in made.json(folder.RULES)] == ["no_giants"]
    assert report.rules == ("no_giants",)
    assert report.refused == {"bound": "it calls helper"}
    assert "assertion bound: it calls helper" in report.text()
    assert set(made.manifest["holdout"]["fired"]) == {"no_giants"}


@pytest.mark.parametrize("column", ["'country'", "0"])
def test_a_rule_that_reads_what_the_bundle_does_not_hold_is_left_out_by_name(tmp_path, column):
    reading = replace(RULE, name="reads", source=f"def reads(inputs, outputs):\n    return inputs[{column}] == 'x'\n")
    made, report = export(tmp_path, rules=[RULE, reading], holdout=None, target=None)
    assert report.rules == ("no_giants",)
    told = f"KeyError: {column.strip(chr(39))} (line 2 of the rule); the bundle's columns are 'age', 'income', 'city'"
    assert report.refused == {"reads": told}
    assert [rule["name"] for rule in made.json(folder.RULES)] == ["no_giants"]


def test_a_holdout_that_is_the_training_data_is_told(tmp_path):
    rows = sample.people(40)
    _, report = export(tmp_path, sets={"X": rows}, holdout="X", train="X", target=sample.leaves(rows))
    assert "X is the training data itself" in report.text()


def test_the_same_again_is_the_same_version_and_other_rules_another(tmp_path):
    first, _ = export(tmp_path)
    again, _ = export(tmp_path, about={**ABOUT, "bundle_id": "b-2", "created_at": 9.0}, script="other = ...\n")
    other, _ = export(tmp_path, rules=[])
    assert again.version == first.version != other.version
    assert again.path == first.path
    assert open_bundle(first.path).bundle_id == "b-2"


def test_where_the_graph_answers_otherwise_nothing_is_exported(tmp_path):
    def ask(feeds):
        answers = sample.ask(feeds)
        return {**answers, "probabilities": answers["probabilities"][:, ::-1]}

    with pytest.raises(ExportError, match=r"does not answer as the model does: X_test, row 0, probability of 'leaves'"):
        export(tmp_path, replace(sample.graph(), ask=ask))
    assert list(tmp_path.iterdir()) == []


def test_data_that_is_none_of_the_models_is_named(tmp_path):
    with pytest.raises(ExportError, match="X_test is not what the model takes: no column of the data 'city'"):
        export(tmp_path, sets={"X_test": sample.people(9).drop(columns="city")}, train=None, target=None)


def test_a_frame_that_only_looks_like_the_models_data_is_left_out(tmp_path):
    strange = sample.people(9).assign(city=range(9))
    sets = {"X_test": sample.people(20), "strange": strange, "more": sample.people(5)}
    _, report = export(tmp_path, sets=sets, train=None, target=None)
    assert {"X_test", "more", "probes"} == set(report.parity["sets"])


def test_of_a_large_training_set_some_rows_are_compared(tmp_path, monkeypatch):
    monkeypatch.setattr("mlmagic.bundles.export.MOST_COMPARED", 50)
    _, report = export(tmp_path)
    compared = {name: one["rows"] for name, one in report.parity["sets"].items()}
    assert compared == {"X_test": 120, "X_train (50 drawn of 200 rows)": 50, "probes": 512}


def test_rows_that_the_bundle_refuses_are_left_out_and_told(tmp_path):
    rows = sample.people(20).astype({"age": float})
    rows.loc[3, "age"] = None
    made, report = export(tmp_path, sets={"X_test": rows}, train=None, target=sample.leaves(rows))
    assert made.manifest["holdout"]["rows"] == 19
    assert "1 of the rows of X_test, which the bundle refuses, were left out: row 3, column 'age'" in report.text()


def test_without_a_holdout_no_rows_go_along(tmp_path):
    made, report = export(tmp_path, holdout=None, target=None)
    assert not made.has(folder.HOLDOUT)
    assert report.metrics == {}
    assert report.holdout_rows == 0
    assert "curl" not in made.read(folder.README).decode()


def test_a_column_that_looks_secret_is_in_no_file(tmp_path):
    secret = Schema(
        "columns",
        (*sample.SCHEMA.fields[:2], replace(sample.SCHEMA.fields[2], name="city_token")),
        sample.SCHEMA.outputs,
        "probabilities",
        classes=sample.SCHEMA.classes,
    )

    def ask(feeds):
        return sample.ask(feeds)

    rows = sample.people(50).rename(columns={"city": "city_token"})
    made, report = export(
        tmp_path,
        replace(sample.graph(), schema=secret, ask=ask),
        sets={"X_test": rows}, train=None, target=None, rules=[],
    )  # fmt: skip
    for file in made.manifest["files"]:
        if file != folder.MODEL:
            assert not [city for city in sample.CITIES if city.encode() in made.read(file)], file
    assert made.schema.field("city_token").categories == ()
    holdout = holdout_of(made.schema, made.read(folder.HOLDOUT))
    np.testing.assert_array_equal(holdout.answers["probabilities"], sample.ask(holdout.feeds)["probabilities"])
    assert "column city_token: its name suggests a secret" in report.text()


def test_the_report_as_data(tmp_path):
    _, report = export(tmp_path)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["schema"] == json.loads(json.dumps(sample.SCHEMA.to_dict()))
    assert plain["timing"][0]["rows"] == 1
    frame = report.to_pandas()
    assert list(frame["column"]) == ["age", "income", "city"]
    assert frame["seen"][0] == "18 to 89"
    assert "%serve churn" in repr(report)
    assert "best" in report.text()


@pytest.mark.parametrize("name", ["prediction", "output"])
def test_statistics_of_other_kinds_of_answers(name):
    schema = Schema("columns", (Field("x", "float32", "f", "x"),), (Output(name, "float32"),), name)
    answers = {name: np.array([1.0, 2.0, 4.0], np.float32)}
    if name == "prediction":
        assert metrics_of(schema, answers, np.array([1.0, 2.0, 3.0]))["mae"] == pytest.approx(1 / 3)
    else:
        with pytest.raises(MisuseError, match="what its outputs mean is not known"):
            metrics_of(schema, answers, np.array([1.0, 2.0, 3.0]))
