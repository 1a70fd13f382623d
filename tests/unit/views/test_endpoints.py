"""The faces of endpoints: text that stands alone, static HTML that is light and says the same, data."""

from html.parser import HTMLParser

import pytest

from mlmagic.records import Bundle, Endpoint, Prediction
from mlmagic.results import OUTPUT_LIMIT
from mlmagic.serving.reports import NONE_YET, EndpointList, EndpointReport, PredictionLog
from mlmagic.serving.states import EndpointState, Firing
from mlmagic.views import endpoints as _faces  # noqa: F401  draws the results

AT = 1_700_000_000.0
ENDPOINT = Endpoint("e1", "b1", "http://127.0.0.1:8080", AT, None, "churn", 7)
BUNDLE = Bundle("b1", "churn", "/p/bundles/churn/0a1b", "v1", AT, {}, "model", "0a1b")
LIVE = {
    "version": "0a1b", "requests": 1234, "rows": 5000, "batches": 1000, "batch_rows": {"1": 10, "4": 900, "64": 90},
    "requests_per_second": 98.7, "p50_ms": 0.8, "p99_ms": 12.5, "watched": {"unlogged": 77, "watcher": "alive"},
}  # fmt: skip
DRIFT = {"verdict": "drift", "columns": 3, "drifted": ["age"], "rows": 5000, "note": None}
RULES = (Firing("young", 4000, 40), Firing("fine", 4000, 0), Firing("broken", 4000, 0, "KeyError: salary"))
RUNNING = EndpointState(ENDPOINT, "running", BUNDLE, LIVE, {}, RULES, {"far": "not signed"}, DRIFT)
LOGGED = {"rows": 300, "requests": 200, "first": AT, "last": AT + 100, "p50": 0.002, "p99": 0.004, "batch_mean": 1.5}
GONE = EndpointState(ENDPOINT, "gone", None, {}, LOGGED)


class _Words(HTMLParser):
    def __init__(self):
        super().__init__()
        self.words, self.tags, self.hidden = [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.hidden = tag == "style"

    def handle_endtag(self, tag):
        self.hidden = False

    def handle_data(self, data):
        if not self.hidden:
            self.words.append(data)


def seen(result) -> tuple[str, list[str]]:
    """What the HTML face says, and its tags."""
    page = result._repr_mimebundle_()["text/html"]
    assert len(page) < OUTPUT_LIMIT
    assert "http://" not in page.replace("http://127.0.0.1:8080", "")
    parser = _Words()
    parser.feed(page)
    return " ".join(parser.words), parser.tags


def test_a_report_says_in_text_what_there_is():
    assert EndpointReport(RUNNING).text().splitlines() == [
        "endpoint churn 0a1b: running at http://127.0.0.1:8080",
        "  1,234 requests, 5,000 rows, 98.7 requests a second, p50 0.8 ms, p99 12.5 ms, 5 rows a batch",
        "  since 2023-11-14 22:13:20 UTC",
        "  bundle /p/bundles/churn/0a1b",
        "  77 rows were answered and not looked at: they came too fast",
        "  assertion young: 40 of 4,000 rows fired (1.00%)",
        "  assertion fine: 0 of 4,000 rows fired",
        "  assertion broken: KeyError: salary",
        "  assertion far: not signed",
        "  drift: 1 of 3 columns drifted in the last 5,000 rows: age",
    ]


def test_a_report_says_in_html_the_same():
    words, tags = seen(EndpointReport(RUNNING))
    for text in ("churn", "0a1b", "running", "http://127.0.0.1:8080", "1,234", "98.7", "12.5", "▲ young", "✗ broken"):
        assert text in words
    assert "KeyError: salary" in words
    assert "not run: not signed" in words
    assert "1 of 3 columns drifted" in words
    assert "33 to 64" in words
    assert not {"dl", "script", "iframe", "img"} & set(tags)


def test_what_is_gone_is_told_from_its_log():
    lines = EndpointReport(GONE).text().splitlines()
    assert lines[0] == "endpoint churn: gone"
    assert lines[1].startswith("  200 requests, 300 rows in the log, 2.0 requests a second, p50 2 ms")
    assert "its process is gone" in lines[2]
    words, _ = seen(EndpointReport(GONE))
    assert "requests in the log" in words
    assert "p50 of a batch, ms" in words


def test_an_endpoint_that_nobody_asked_yet_says_so():
    fresh = EndpointState(ENDPOINT, "running")
    assert "no requests yet" in EndpointReport(fresh).text()
    assert "no requests yet" in seen(EndpointReport(fresh))[0]
    assert EndpointReport(fresh).to_dict()["requests_per_second"] is None


def test_a_list_has_a_line_for_each_with_its_worries():
    text = EndpointList((RUNNING, GONE)).text()
    assert text.splitlines()[0].startswith("▸ churn 0a1b: running at http://127.0.0.1:8080; 1,234 requests")
    assert text.splitlines()[0].endswith("fired: young; drift: age")
    assert text.splitlines()[1].startswith("✗ churn: gone; 200 requests")
    words, _ = seen(EndpointList((RUNNING, GONE)))
    assert "▲ young: 1.00%" in words
    assert "✗ gone" in words


def test_without_endpoints_the_text_says_what_to_do():
    assert EndpointList(()).text() == NONE_YET
    assert "text/html" not in EndpointList(())._repr_mimebundle_()


@pytest.mark.parametrize("count", [1, 500])
def test_a_long_list_stays_light(count):
    found = EndpointList((RUNNING,) * count)
    seen(found)
    assert len(found.text().splitlines()) <= 21
    assert len(found.to_pandas()) == count


def test_a_list_as_data_has_a_row_for_each():
    frame = EndpointList((RUNNING, GONE)).to_pandas()
    assert frame[["name", "state", "requests", "fired"]].values.tolist() == [
        ["churn", "running", 1234, 40],
        ["churn", "gone", 200, 0],
    ]
    assert frame["drifted"].tolist() == [["age"], []]
    assert EndpointList((RUNNING,)).to_dict()["endpoints"][0]["assertions"][0]["fired"] == 40


def prediction(row: int, **fields) -> Prediction:
    values = {"inputs": {"age": row, "note": "<b>"}, "outputs": {"label": "no", "probabilities": [0.75, 0.25]}}
    return Prediction("e1", "b1", "r1", row, AT + row, **{**values, **fields}, seconds=0.001, batch_size=4)


def test_a_log_shows_rows_with_what_was_answered_first():
    log = PredictionLog("churn", tuple(prediction(row) for row in range(12)))
    lines = log.text().splitlines()
    assert lines[0] == "the last 12 predictions of endpoint churn, newest first"
    assert lines[1].endswith("label no, probabilities [0.75, 0.25]  <-  age 0, note <b>")
    assert lines[-1] == "  … 2 more: .to_pandas() has them all"
    words, tags = seen(log)
    assert "0.75, 0.25" in words
    assert "<b>" in words
    assert "b" not in tags
    assert log.to_pandas().columns.tolist() == [
        "at", "request_id", "row", "label", "probabilities", "age", "note", "seconds", "batch_size",
    ]  # fmt: skip


def test_a_log_of_very_wide_rows_stays_light():
    wide = {f"column {at}": "x" * 300 for at in range(500)}
    log = PredictionLog("churn", tuple(prediction(row, inputs=wide) for row in range(1000)))
    seen(log)
    assert all(len(line) < 1500 for line in log.text().splitlines())


def test_a_log_without_rows_says_so():
    assert PredictionLog("churn", ()).text() == "endpoint churn has no predictions in its log"
    assert PredictionLog("churn", ()).to_pandas().empty


def test_an_input_called_as_an_output_keeps_a_column_of_its_own():
    frame = PredictionLog("churn", (prediction(0, inputs={"label": "yes"}),)).to_pandas()
    assert (frame["label"][0], frame["label (input)"][0]) == ("no", "yes")


def test_one_of_a_kind_is_told_as_one():
    live = {"requests": 1, "rows": 1, "batches": 1, "watched": {"unlogged": 1, "watcher": "alive"}}
    text = EndpointReport(EndpointState(ENDPOINT, "running", None, live)).text()
    assert "  1 request, 1 row, 1 row a batch" in text


def test_rows_that_a_dead_watcher_missed_did_not_come_too_fast():
    watched = {"unlogged": 50, "watcher": "alive, started again: the watcher ended by itself (killed by signal 9)"}
    rules = (Firing("young", 0, 0),)
    lines = EndpointReport(EndpointState(ENDPOINT, "running", None, {**LIVE, "watched": watched}, {}, rules)).text()
    assert "50 rows were answered and not looked at\n" in lines
    assert "watcher: alive, started again: the watcher ended by itself (killed by signal 9)" in lines
    assert "assertion young: no rows yet" in lines


def test_what_has_ended_without_a_request_does_not_wait_for_one():
    assert EndpointState(ENDPOINT, "ended").traffic == "no requests"


def test_texts_that_clients_sent_stay_in_their_line_and_give_a_terminal_no_orders():
    row = Prediction("e1", "b1", "r1", 0, AT, {"city": "a\n\x1b[31mb"}, {"label": "x"}, 0.1, 1)
    text = PredictionLog("churn", (row,)).text()
    assert len(text.splitlines()) == 2
    assert '"a\\n\\u001b[31mb"' in text
