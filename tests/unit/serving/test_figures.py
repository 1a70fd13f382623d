"""What a server counts, and how long it expects batches to take."""

from __future__ import annotations

import pytest

from mlmagic.bundles.scorer import Scorer
from mlmagic.errors import MisuseError
from mlmagic.serving.endpoint import watched_gauges, watched_rules
from mlmagic.serving.metrics import SECONDS, Complaints, Histogram, Metrics, prometheus, quantile
from mlmagic.serving.pace import USUAL, Pace, pace_of
from tests.unit.serving import made
from tests.unit.serving.running import running


def test_quantiles_are_right_within_a_tenth():
    histogram = Histogram(SECONDS)
    for milliseconds in range(1, 1001):
        histogram.add(milliseconds / 1000)
    assert quantile(SECONDS, histogram.counts, 0.5) == pytest.approx(0.5, rel=0.1)
    assert quantile(SECONDS, histogram.counts, 0.99) == pytest.approx(0.99, rel=0.1)
    assert quantile(SECONDS, [0] * 10, 0.5) is None
    assert quantile([1.0, 2.0], [0, 0, 5], 0.5) == 2.0


def test_times_of_refused_requests_are_not_among_those_of_answers():
    metrics = Metrics()
    metrics.answered(200, 0.001)
    metrics.answered(400, 10.0)
    assert metrics.total()["by_status"] == {"200": 1, "400": 1}
    assert metrics.present()["p99_ms"] == pytest.approx(1.0, rel=0.1)


def test_the_text_for_prometheus_escapes_what_people_name_things():
    text = prometheus(Metrics(), {"queue_rows": 3}, {"fired:assertion": {'a "b"\n\\c': 2.0}}).decode()
    assert "mlmagic_queue_rows 3" in text
    assert 'mlmagic_fired{assertion="a \\"b\\"\\n\\\\c"} 2' in text


def test_cumulative_counts_never_fall():
    metrics = Metrics()
    for seconds in (0.0001, 0.0005, 0.004, 0.3, 1000):
        metrics.answered(200, seconds)
    lines = prometheus(metrics, {}, {}).decode().splitlines()
    counts = [int(line.rpartition(" ")[2]) for line in lines if line.startswith("mlmagic_request_seconds_bucket")]
    assert counts == sorted(counts)
    assert counts[0] == 2
    assert counts[-1] == 5


def test_what_the_watcher_says_becomes_numbers():
    rules = [{"name": "size", "rows": 9, "fired": 2}, {"name": "other", "fired": 0}]
    said = {"logged": 7, "unlogged": 3, "assertions": rules, "drift": {"drifted": ["a", "b"]}}
    assert watched_gauges(said) == {
        "logged_rows": 7, "unlogged_rows": 3, "assertions_firing": 1, "drifted_columns": 2,
    }  # fmt: skip
    assert watched_rules(said) == {"assertion_fired_rows:assertion": {"size": 2, "other": 0}}
    assert watched_gauges({"drift": None}) == {}
    assert watched_rules({}) == {}


def test_the_log_is_not_filled_by_whoever_provokes_errors(caplog):
    complaints = Complaints(a_second=3)
    for _ in range(1000):
        complaints.add("again", ValueError("x"))
    assert 3 <= len(caplog.records) <= 6


def test_what_clients_send_stays_one_line_of_the_log(caplog):
    Complaints().add("failed (a\nforged line \x1b[31m, b)", ValueError("x"))
    assert caplog.records[0].getMessage() == "failed (a\\nforged line \\x1b[31m, b)"


def test_watching_a_server_is_no_traffic(tmp_path):
    with running(made.matrix(tmp_path)) as server:
        for path in ("/metrics", "/v2", "/v2/health/ready", f"/v1/models/{server.bundle.name}"):
            assert server.get(path).status == 200
        server.predict([[1, 2, 3]])
        server.get("/nowhere")
        assert server.status()["by_status"] == {"200": 1, "404": 1}


# Pace

CURVE = [(1, 0.001), (11, 0.002), (101, 0.030)]


@pytest.mark.parametrize(("slo", "most"), [(0.02, 11), (0.03, 101), (1.0, 101), (0.0001, 1)])
def test_the_largest_batch_is_the_largest_within_the_objective(slo, most):
    assert Pace(CURVE, slo).most == most


@pytest.mark.parametrize(("rows", "seconds"), [(1, 0.001), (6, 0.0015), (11, 0.002), (56, 0.016), (202, 0.060)])
def test_between_two_points_time_is_on_the_line(rows, seconds):
    assert Pace(CURVE, 1).expected(rows) == pytest.approx(seconds)


def test_it_learns_how_this_machine_differs():
    pace = Pace(CURVE, 1)
    for _ in range(200):
        pace.took(11, 0.006)
    assert pace.expected(11) == pytest.approx(0.006, rel=0.01)


@pytest.mark.parametrize(
    "timing", [[], {}, [{"rows": 0, "seconds": 1}], [{"rows": 1}], [{"rows": 1, "seconds": -1}], "x", 7]
)
def test_a_curve_that_is_none_is_told(tmp_path, timing):
    bundle = made.matrix(tmp_path)
    scorer = Scorer(bundle.read("model.onnx"), bundle.schema)
    with pytest.raises(MisuseError, match=r"timing.json holds no list of rows and seconds"):
        pace_of(timing, scorer, 20)


def test_without_a_curve_a_few_batches_are_timed(tmp_path):
    bundle = made.matrix(tmp_path)
    pace = pace_of(None, Scorer(bundle.read("model.onnx"), bundle.schema), 20)
    assert pace.most == USUAL
    assert 0 < pace.expected(1) < 1
