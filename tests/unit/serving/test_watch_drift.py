"""How far an endpoint's rows are from what the bundle was exported with."""

import numpy as np
import pytest

from mlmagic.errors import MissingPackageError, MisuseError
from mlmagic.serving import watch_drift
from mlmagic.serving.watch_drift import DriftWatch, drift_watch, reference_of
from tests.unit.serving.watched import AT, COLUMNS, MATRIX, bundle, numbers, people

NORMAL = np.random.default_rng(0).normal(size=(4000, 2))
REFERENCE = {"a": NORMAL[:, 0], "b": NORMAL[:, 1]}


def watch(folder, reference=REFERENCE, schema=MATRIX) -> DriftWatch:
    found = drift_watch(bundle(folder, schema, reference=reference), "ep1")
    assert found is not None
    return found


def rows(count: int, move: float = 0.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 2)) + [move, 0.0]


def test_rows_like_the_reference_are_fine(tmp_path):
    made = watch(tmp_path)
    made.take(numbers(rows(1000)))
    found = made.look(made._looked + 1)
    assert made.told()["verdict"] == "ok"
    assert {(row.reference, row.current) for row in found} == {("bundle:churn", "endpoint:ep1")}
    assert {row.column_name for row in found} == {"a", "b"}
    assert len({row.drift_id for row in found}) == 1


def test_a_column_that_moved_is_named(tmp_path):
    made = watch(tmp_path)
    made.take(numbers(rows(1000, move=1.0)))
    found = made.look(made._looked + 1)
    told = made.told()
    assert (told["verdict"], told["drifted"], told["columns"], told["rows"]) == ("drift", ["a"], 2, 1000)
    assert any(row.drifted for row in found if row.column_name == "a")
    assert not any(row.drifted for row in found if row.column_name == "b")


def test_few_rows_are_not_compared(tmp_path):
    made = watch(tmp_path)
    made.take(numbers(rows(199, move=5.0)))
    assert made.look(made._looked + 1000) == []
    assert (made.told()["verdict"], made.told()["note"]) == (None, "compared from 200 rows on")


def test_a_comparison_is_due_after_a_thousand_new_rows_or_half_a_minute(tmp_path):
    made = watch(tmp_path)
    start = made._looked
    made.take(numbers(rows(500)))
    assert made.look(start + 1) == []
    assert made.look(start + 2) != []  # the first one comes early
    made.take(numbers(rows(500)))
    for passed in (30, 33):
        made.look(start + passed)
    assert made.told()["at"] == start + 33
    made.take(numbers(rows(999)))
    made.look(start + 50)
    made.take(numbers(rows(1)))
    made.look(start + 51)
    assert (made.told()["at"], made.told()["rows"]) == (start + 51, 2000)


def test_only_the_last_rows_count(tmp_path):
    made = watch(tmp_path)
    made.take(numbers(rows(5000, move=3.0)))
    made.look(made._looked + 1)
    assert made.told()["verdict"] == "drift"
    for seed in range(10):
        made.take(numbers(rows(500, seed=seed + 2)))
    made.look(made._looked + 1000)
    assert (made.told()["verdict"], made.told()["rows"]) == ("ok", 5000)


def test_the_journal_gets_what_changed_and_else_a_word_a_minute(tmp_path):
    made = watch(tmp_path)
    now = made._looked
    written = []
    for step in range(20):
        made.take(numbers(rows(1000, seed=step)))
        written.append(bool(made.look(now := now + 10)))
    assert 1 < sum(written) < 8
    made.take(numbers(rows(1000, move=4.0)))
    assert made.look(now + 10) != []


def test_the_models_plain_answers_are_compared_where_the_reference_has_them(tmp_path):
    made = watch(tmp_path, {**REFERENCE, "prediction(prediction)": NORMAL.sum(axis=1) + 10})
    made.take(numbers(rows(1000)))
    made.look(made._looked + 1)
    assert made.told()["drifted"] == ["prediction(prediction)"]


def test_texts_and_nulls_are_compared_as_such(tmp_path):
    reference = {"age": [float(n % 80) for n in range(1000)], "city": ["Oslo", None] * 500}
    made = watch(tmp_path, reference, COLUMNS)
    made.take(people([float(n % 80) for n in range(1000)]))
    made.look(made._looked + 1)
    assert made.told()["drifted"] == ["city"]


def test_without_a_reference_nothing_is_compared(tmp_path):
    assert drift_watch(bundle(tmp_path, MATRIX), "ep1") is None


def test_a_missing_package_is_said(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise MissingPackageError("scipy is needed for p-values: pip install 'mlmagic[check]'")

    monkeypatch.setattr(watch_drift, "compare", refuse)
    made = watch(tmp_path)
    made.take(numbers(rows(1000)))
    assert made.look(made._looked + 1) == []
    assert made.told()["note"].startswith("scipy is needed")


def test_a_reference_that_was_tampered_with_is_refused(tmp_path):
    made = bundle(tmp_path, MATRIX, reference=REFERENCE)
    (made.path / "reference.profile").write_bytes(b"x")
    with pytest.raises(MisuseError, match="is not the file that was exported"):
        reference_of(made)
    told = DriftWatch(made, "ep1").told()
    assert "is not the file that was exported" in told["note"]


def test_the_last_look_leaves_nothing_out(tmp_path):
    made = watch(tmp_path)
    made.take(numbers(rows(300), at=AT))
    assert made.look(made._looked, last=True) != []
