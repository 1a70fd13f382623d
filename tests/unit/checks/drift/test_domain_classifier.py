from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mlmagic.checks.drift import compare, domain_classifier
from mlmagic.checks.profile import Profile
from mlmagic.tables import table_of

RNG = np.random.default_rng(0)


def jointly(reference, current, **more):
    return compare(Profile.of(table_of(reference)), table_of(current), **more).joint


def test_auc_equals_scikit_learns():
    truth, scores = RNG.integers(0, 2, 300), RNG.integers(0, 20, 300).astype(float)
    assert domain_classifier.auc_of(truth, scores) == pytest.approx(roc_auc_score(truth, scores))


def turned(n, sign):
    """Two columns that are normal each, and go together or against each other."""
    one, noise = RNG.normal(size=n), RNG.normal(size=n)
    return {"a": one, "b": sign * 0.9 * one + 0.44 * noise, "c": RNG.normal(size=n)}


def test_what_no_single_column_shows_is_found():
    report = compare(Profile.of(table_of(turned(1_000, 1))), table_of(turned(1_000, -1)))
    assert report.drifted == ()
    assert report.joint.verdict == "drift"
    assert {name for name, _ in report.joint.columns[:2]} == {"a", "b"}
    assert len(report.joint.rows) == 10


def test_the_rows_least_like_the_reference_are_named_by_position():
    reference, current = RNG.normal(size=(400, 3)), RNG.normal(size=(400, 3))
    current[100:200] += 4
    found = jointly(reference, current)
    assert found.verdict == "drift"
    assert all(100 <= row < 200 for row in found.rows)


def test_no_drift_names_no_column():
    found = jointly(RNG.normal(size=(500, 4)), RNG.normal(size=(500, 4)))
    assert (found.verdict, found.columns, found.rows) == ("ok", (), ())


def test_ids_and_times_are_left_out_and_named():
    def frame(start):
        days = np.datetime64("2024-01-01") + np.arange(start, start + 200)
        return {"x": RNG.normal(size=200), "id": np.arange(start, start + 200), "day": days}

    found = jointly(frame(0), frame(200))
    assert found.left_out == ("id", "day")
    assert found.verdict == "ok"


def test_nulls_infinities_and_categories_are_taken_as_they_are():
    def frame(share):
        x = np.where(RNG.random(300) < 0.1, np.nan, RNG.normal(size=300))
        x[:3] = np.inf, -np.inf, 1e300
        return {"x": x, "w": np.where(RNG.random(300) < share, "new", RNG.choice(np.array(["a", "b"]), 300))}

    assert jointly(frame(0), frame(0.3)).columns[0][0] == "w"


def test_too_few_rows_are_unknown():
    found = jointly(RNG.normal(size=(30, 2)), RNG.normal(size=(300, 2)))
    assert found.verdict == "unknown"
    assert "50 rows" in found.measured.note


def test_without_scikit_learn_the_columns_are_compared_all_the_same(monkeypatch):
    from mlmagic.errors import MissingPackageError

    def missing(name):
        raise MissingPackageError(f"{name} is needed")

    monkeypatch.setattr(domain_classifier, "need", missing)
    data = {"x": RNG.normal(size=100)}
    report = compare(Profile.of(table_of(data)), table_of(data))
    assert report.joint is None
    assert "not compared jointly: sklearn" in report.text()
    with pytest.raises(MissingPackageError):
        jointly(data, data, methods=["domain_classifier"])
