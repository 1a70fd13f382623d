"""A profile and current data in, a report out: verdicts, words, order, and what cannot be compared."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from mlmagic.checks.drift import METHODS, compare, many
from mlmagic.checks.profile import Profile
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.tables import table_of

RNG = np.random.default_rng(0)


def drift(reference, current, **more):
    return compare(Profile.of(table_of(reference)), table_of(current), **{"joint": False} | more)


def only(reference, current, **more):
    return drift({"x": reference}, {"x": current}, **more).columns[0]


def measure(column, method):
    return next(one for one in column.measures if one.method == method)


# Verdicts


def test_a_shift_of_half_a_deviation_is_nearly_always_found():
    found = [only(RNG.normal(size=1_000), RNG.normal(0.5, size=1_000)).verdict for _ in range(50)]
    assert found.count("drift") >= 49


def test_what_moved_is_said_in_words():
    found = only(RNG.normal(41, 5, 2_000), RNG.normal(52, 5, 2_000))
    assert found.verdict == "drift"
    assert found.because.startswith("median moved from 4")
    assert "PSI" in found.because


def test_a_wider_spread_is_said_as_such():
    found = only(RNG.normal(0, 1, 2_000), RNG.normal(0, 2, 2_000))
    assert "standard deviation moved from" in found.because


def test_a_category_that_came_is_said_with_its_shares():
    found = only(["a"] * 70 + ["b"] * 30, ["a"] * 30 + ["b"] * 70)
    assert found.verdict == "drift"
    assert found.because == "'a' went from 70.0% to 30.0%; Cramér's V 0.39"


def test_a_small_but_sure_move_deserves_a_look_and_is_no_drift():
    found = only(RNG.normal(size=20_000), RNG.normal(0.15, size=20_000))
    assert found.verdict == "warn"
    assert measure(found, "wasserstein").drifted
    assert not measure(found, "ks").drifted


def test_an_effect_size_decides_where_it_is_asked_for_alone():
    before, now = RNG.normal(size=20_000), RNG.normal(0.15, size=20_000)
    assert only(before, now, methods=["wasserstein"]).verdict == "drift"


def test_a_great_effect_in_few_rows_is_chance():
    found = only(RNG.normal(size=12), RNG.normal(size=12))
    assert measure(found, "psi").statistic > 0.25
    assert found.verdict == "ok"


def test_one_row_of_an_unseen_category_deserves_a_look():
    found = only(["a", "b"] * 500, [*["a", "b"] * 500, "c"])
    assert (found.verdict, found.because) == ("warn", "0.10% of the rows in unseen categories: 'c'")


def test_nulls_that_came_are_drift():
    values = RNG.normal(size=500)
    found = only(values, np.where(RNG.random(500) < 0.2, np.nan, values), methods=["nulls"])
    assert found.verdict == "drift"
    assert found.because.startswith("nulls 0.0% → ")


def test_the_worst_columns_come_first():
    moves = {"a": 0, "b": 3, "c": 0, "d": 1, "e": 0}
    report = drift(
        {name: RNG.normal(size=500) for name in moves} | {"gone": RNG.normal(size=500)},
        {name: RNG.normal(move, size=500) for name, move in moves.items()},
    )
    names = [column.name for column in report.columns if column.verdict != "warn"]
    assert names[:3] == ["b", "d", "gone"]
    assert report.drifted == ("b", "d")


def test_thresholds_are_effects_that_chance_seldom_reaches():
    few, enough = (only(RNG.normal(size=n), RNG.normal(size=n)) for n in (50, 5_000))
    for method, limit in (("psi", 0.25), ("ks", 0.1), ("wasserstein", 0.1), ("jensen_shannon", 0.1)):
        assert measure(few, method).threshold > limit
        assert measure(enough, method).threshold == limit


# Many columns


def test_q_values_equal_scipys():
    p_values = RNG.random(40) ** 3
    np.testing.assert_allclose(many.benjamini_hochberg(p_values.tolist()), stats.false_discovery_control(p_values))


def test_holm_by_hand():
    assert many.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert many.holm([]) == many.benjamini_hochberg([]) == []


def test_whether_anything_drifted_is_in_the_notes():
    quiet = drift({"x": RNG.normal(size=300)}, {"x": RNG.normal(size=300)})
    loud = drift({"x": RNG.normal(size=300)}, {"x": RNG.normal(2, size=300)})
    assert quiet.notes[0].startswith("nothing differs beyond chance (5 tests")
    assert loud.notes[0].startswith("something differs beyond chance")


# What cannot be compared, in one line


def test_columns_of_one_side_are_named():
    data = RNG.normal(size=100)
    report = drift({"a": data, "gone": data}, {"a": data, "came": data})
    told = {column.name: (column.verdict, column.because) for column in report.columns}
    assert told["gone"] == ("unknown", "is not in the current data")
    assert told["came"] == ("unknown", "is not in the reference")
    assert {"missing columns: gone", "new columns: came"} <= set(report.notes)


def test_a_column_of_another_kind_is_named():
    report = drift({"a": np.ones(50), "b": np.ones(50)}, {"a": ["x"] * 50, "b": np.ones(50)})
    assert "was numeric, and is categorical" in report.columns[0].because


def test_mixed_types_are_categories():
    mixed = [1, "a", 2.5, None] * 20
    assert only(mixed, mixed).verdict == "ok"


def test_booleans_may_come_as_numbers():
    assert only([True, False] * 50, [1, 0] * 50).verdict == "ok"
    assert only([True, False] * 50, [1.0, 7.0] * 50).verdict == "drift"


def test_nothing_in_common():
    with pytest.raises(MisuseError, match="no column in common: the reference has a; the current data has b"):
        drift({"a": [1.0]}, {"b": [1.0]})
    with pytest.raises(MisuseError, match="of other kinds"):
        drift({"a": [1.0]}, {"a": ["x"]})


def test_empty_frames():
    with pytest.raises(MisuseError, match="the current data has no rows"):
        drift({"a": [1.0]}, {"a": np.empty(0)})


@pytest.mark.parametrize(("before", "now"), [(1, 1), (1, 100), (100, 1), (100, 9)])
def test_with_few_rows_nothing_can_be_said(before, now):
    found = only(RNG.normal(size=before), RNG.normal(size=now))
    assert found.verdict == "unknown"
    assert "too few to say anything" in found.because


@pytest.mark.parametrize("values", [np.full(100, 3.0), ["a"] * 100, np.zeros(100), [True] * 100])
def test_a_column_that_stays_constant_is_ok(values):
    assert only(values, values).verdict == "ok"


@pytest.mark.parametrize(("before", "now"), [(3.0, 4.0), (0.0, 1e-12), (1e300, 1.0), ("a", "b")])
def test_a_constant_that_becomes_another_is_drift(before, now):
    assert only([before] * 100, [now] * 100).verdict == "drift"


def test_a_column_without_values():
    nothing, some = np.full(100, np.nan), RNG.normal(size=100)
    assert only(nothing, nothing).verdict == "unknown"
    for before, now in ((nothing, some), (some, nothing)):
        found = only(before, now)
        assert found.verdict == "drift"
        assert "has no values" in found.because


@pytest.mark.parametrize("some", [RNG.normal(size=100), ["a", "b"] * 50, [True, False] * 50])
def test_a_column_without_values_is_of_any_kind(some):
    """A library calls it text or numbers as it likes: objects that are all `None`, or floats that are all NaN."""
    for nothing in ([None] * 100, np.full(100, np.nan)):
        for before, now, nulls in ((some, nothing, "0.0% → 100.0%"), (nothing, some, "100.0% → 0.0%")):
            found = only(before, now)
            assert found.verdict == "drift"
            assert f"nulls {nulls}" in found.because


def test_infinite_values_are_counted_and_named():
    values = RNG.normal(size=1_000)
    wrong = values.copy()
    wrong[:200] = np.inf
    report = drift({"x": values}, {"x": wrong})
    assert report.drifted == ("x",)
    assert "infinite values now, counted in the outermost bins: x (200)" in report.notes
    assert drift({"x": wrong}, {"x": wrong}).columns[0].verdict == "ok"
    assert only(np.full(50, np.inf), np.full(50, np.inf)).verdict == "unknown"


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e15, 1e307])
def test_no_scale_is_too_small_or_too_large(scale):
    found = only(scale * RNG.normal(size=500), scale * RNG.normal(3, size=500))
    assert found.verdict == "drift"


def test_ids_and_times_are_compared_only_where_named():
    def frame(start):
        return {"id": np.arange(start, start + 100), "x": RNG.normal(size=100)}

    report = drift(frame(0), frame(100))
    assert report.drifted == ()
    assert "of which only nulls are compared unless columns= names them: id" in report.text()
    assert drift(frame(0), frame(100), columns=["id"]).drifted == ("id",)


def test_names_are_checked():
    data = {"age": RNG.normal(size=50)}
    with pytest.raises(UnknownNameError, match="no column of the reference 'agee'; did you mean 'age'"):
        drift(data, data, columns=["agee"])
    with pytest.raises(UnknownNameError, match="no method 'kss'; did you mean 'ks'"):
        drift(data, data, methods=["kss"])
    with pytest.raises(MisuseError, match="alpha"):
        drift(data, data, alpha=5)
    with pytest.raises(MisuseError, match="no column is named"):
        drift(data, data, columns=[])
    with pytest.raises(MisuseError, match="no method is named"):
        drift(data, data, methods=[])


@pytest.mark.parametrize("method", METHODS)
def test_each_method_alone(method):
    data = {"x": RNG.normal(size=200), "w": RNG.choice(np.array(["a", "b"]), 200), "t": RNG.random(200) < 0.5}
    report = drift(data, data, methods=[method], joint=True)
    assert {one.method for column in report.columns for one in column.measures} <= {method}
    assert (report.joint is not None) == (method == "domain_classifier")


# The report


def report():
    return drift(
        {"x": RNG.normal(size=300), "w": ["a", "b", "c"] * 100, "gone": np.ones(300)},
        {"x": RNG.normal(1, size=200), "w": ["a", "b"] * 100},
        joint=True,
    )


def test_the_text_says_what_counts():
    lines = report().text().splitlines()
    assert lines[0] == "current (200 rows) against reference (300 rows): 2 of 3 columns drifted, 1 unknown"
    assert lines[1].split()[:2] == ["drift", "x"] or lines[2].split()[:2] == ["drift", "x"]
    assert any(line.startswith("jointly: drift (AUC 0.") for line in lines)


def test_the_data_is_plain():
    told = json.loads(json.dumps(report().to_dict(), allow_nan=False))
    assert {column["name"] for column in told["columns"]} == {"x", "w", "gone"}


def test_the_frame_has_a_row_for_each_statistic():
    frame = report().to_pandas()
    assert {"column_name", "method", "statistic", "p_value", "q_value", "threshold", "drifted"} <= set(frame.columns)
    assert set(frame[frame.column_name == "x"].method) == {
        "psi", "ks", "wasserstein", "jensen_shannon", "range", "nulls",
    }  # fmt: skip
    assert "domain_classifier" in set(frame.method)


def test_shares_for_pictures_add_up():
    for column in report().columns:
        if column.shares is not None:
            assert math.isclose(sum(column.shares.reference), 1)
            assert math.isclose(sum(column.shares.current), 1)
            assert len(column.shares.reference) == len(column.shares.labels or [0, *column.shares.edges])


def test_unseen_and_rare_categories_are_in_the_picture():
    words = [f"w{number % 40}" for number in range(400)]
    shares = only(words, [*words, *["new"] * 50]).shares
    assert len(shares.labels) == 14
    assert shares.labels[-2:] == ("new", "other")
    assert shares.reference[-2] == 0


def test_a_saved_profile_gives_the_same_report(tmp_path):
    made = Profile.of(table_of({"x": RNG.normal(size=300), "w": ["a", "b", "c"] * 100}))
    made.save(tmp_path / "p")
    now = table_of({"x": RNG.normal(1, size=300), "w": ["a", "b", "d"] * 100})
    assert compare(Profile.load(tmp_path / "p"), now) == compare(made, now)


def test_runs_without_the_notebook_and_without_scikit_learn():
    code = """
import sys
for name in ("sklearn", "duckdb", "IPython", "pandas", "anywidget"):
    sys.modules[name] = None
import numpy as np
from mlmagic.checks.drift import compare
from mlmagic.checks.profile import Profile
from mlmagic.tables import table_of
rng = np.random.default_rng(0)
print(compare(Profile.of(table_of({"x": rng.normal(size=200)})), table_of({"x": rng.normal(2, size=200)})).text())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 columns drifted" in done.stdout
    assert "not compared jointly" in done.stdout


# Real data


def read(path, names=None):
    with path.open(newline="") as stream:
        rows = [row for row in csv.reader(stream, skipinitialspace=True) if len(row) > 1]
    names = names or rows.pop(0)
    return {name: _values([row[place] for row in rows]) for place, name in enumerate(names)}


def _values(texts):
    try:
        return np.array(texts, float)
    except ValueError:
        return [None if text == "?" else text.rstrip(".") for text in texts]


def part(columns, chosen):
    return {name: [values[place] for place in np.flatnonzero(chosen)] for name, values in columns.items()}


def test_adult_the_test_part_is_like_the_training_part(test_data):
    names = "age work weight degree years marital job relation race sex gain loss hours country income".split()
    report = drift(read(test_data / "adult-train.csv", names), read(test_data / "adult-test.csv", names), joint=True)
    assert report.drifted == ()
    assert report.joint.verdict == "ok"


def test_bikes_summer_is_not_winter(test_data):
    days = read(test_data / "bike-sharing-daily.csv")
    winter, summer = part(days, days["season"] == 1), part(days, days["season"] == 3)
    report = drift(winter, summer, joint=True)
    assert {"temp", "atemp", "cnt"} <= set(report.drifted)
    assert "workingday" not in report.drifted
    assert report.joint.verdict == "drift"
    assert report.joint.measured.statistic > 0.99


def test_elec_prices_of_another_market_come_late(test_data):
    # vicprice and vicdemand are constant in the first third: the other market was not connected yet
    power = read(test_data / "elec.csv")
    third = len(power["period"]) // 3
    place = np.arange(len(power["period"]))
    report = drift(part(power, place < third), part(power, place >= 2 * third))
    assert {"vicprice", "vicdemand", "transfer"} <= set(report.drifted)
    assert "period" not in report.drifted
