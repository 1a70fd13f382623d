"""The plain JSON interface: rows in, predictions out, and what is refused, with the row and the column named."""

from __future__ import annotations

import pytest

from tests.unit.serving import made
from tests.unit.serving.running import request, running

GOOD = {"c 0": 1, "c 1": 2.5, "c 2": -1}
TOWN = {"size in m": 1.5, "count": 2, "flag": True, "town": "Köln"}


def test_each_prediction_is_an_object_where_the_model_gives_more_than_one_thing(sums):
    answer = sums.predict([GOOD, {"c 0": -4, "c 1": 0, "c 2": 1}])
    assert answer.status == 200
    assert answer.json["predictions"] == [
        {"label": 1, "probabilities": [-2.5, 2.5]},
        {"label": 0, "probabilities": [3.0, -3.0]},
    ]
    assert answer.json["model"] == "sums"
    assert answer.json["version"] == sums.bundle.version
    assert answer.json["request_id"]


def test_a_prediction_is_the_value_itself_where_there_is_one(tmp_path):
    with running(made.lookup(tmp_path)) as places:
        assert places.predict([{"place": 3}, {"place": 0}]).json["predictions"] == [30.0, 0.0]


def test_numbers_texts_truth_values_and_nulls_reach_the_model_as_what_they_are(towns):
    rows = [TOWN, {**TOWN, "flag": False, "count": 3.0, "town": "Ulm"}, {**TOWN, "size in m": None}]
    assert towns.predict(rows).json["predictions"] == [
        {"prediction": 6.0, "label": "Köln"},
        {"prediction": 6.0, "label": "Ulm"},
        {"prediction": None, "label": "Köln"},
    ]


def test_rows_of_a_matrix_may_be_lists(sums):
    assert sums.predict([[1, 2.5, -1]]).json["predictions"] == sums.predict([GOOD]).json["predictions"]


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_tensor_comes_as_nested_lists(doubled, wrapped):
    image = [[1, 2, 3], [4, 5, 6.5]]
    row = {"x0": image} if wrapped else image
    assert doubled.predict([row, row]).json["predictions"] == [[[2.0, 4.0, 6.0], [8.0, 10.0, 13.0]]] * 2


def test_the_same_request_again_takes_the_short_way_and_has_the_same_answer(sums):
    text = request("POST", sums.predict_path, {"rows": [GOOD]})
    with sums.client() as client:
        first, second, third = (client.ask(text).json for _ in range(3))
    assert first["predictions"] == second["predictions"] == third["predictions"]
    assert len({first["request_id"], second["request_id"], third["request_id"]}) == 3


def test_columns_may_stand_in_any_order_and_among_others(sums):
    row = {"more": "x", **dict(reversed(GOOD.items()))}
    assert sums.predict([row]).json["predictions"] == sums.predict([GOOD]).json["predictions"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"c 0": 1, "c 1": 2}], "row 0: no column of the row 'c 2'; did you mean"),
        ([GOOD, {}], "row 1: no column 'c 0'"),
        ([GOOD, {**GOOD, "c 1": "1.5"}], "row 1, column 'c 1': '1.5', where a number is expected"),
        ([{**GOOD, "c 2": True}], "row 0, column 'c 2': true, where a number is expected"),
        ([{**GOOD, "c 2": [1]}], "row 0, column 'c 2': a list, where a number is expected"),
        ([{**GOOD, "c 2": {"a": 1}}], "row 0, column 'c 2': an object, where a number is expected"),
        ([GOOD, {**GOOD, "c 0": None}], "row 1, column 'c 0': null (NaN), and the model takes none there"),
        ([{**GOOD, "c 0": 1e300}], "row 0, column 'c 0': infinite"),
        ([], "rows is no list with at least one row"),
        ({}, "rows is no list with at least one row"),
        ([GOOD, 7], "row 1 is no object of columns and values"),
        ([7], "row 0 is no object of columns and values"),
        ([[1, 2]], "row 0: each row has to be a list of 3 values"),
        ([[1, 2, 3], GOOD], "each row has to be a list of 3 values"),
        ([GOOD, [1, 2, 3]], "row 1 is no object of columns and values"),
    ],
)  # fmt: skip
def test_what_the_model_does_not_take_is_refused_by_row_and_column(sums, rows, told):
    answer = sums.predict(rows)
    assert answer.status == 400
    assert told in answer.error
    assert "\n" not in answer.error


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"count": 2.5}, "column 'count': 2.5, where a whole number is expected"),
        ({"count": 1 << 63}, f"column 'count': {1 << 63}, where a whole number is expected"),
        ({"count": None}, "column 'count': null, where a whole number is expected"),
        ({"count": True}, "column 'count': true, where a whole number is expected"),
        ({"flag": 1}, "column 'flag': 1, where true or false is expected"),
        ({"flag": None}, "column 'flag': null, where true or false is expected"),
        ({"town": 3}, "column 'town': 3, where text is expected"),
        ({"town": "Rome"}, "column 'town': 'Rome', a category that the model does not know ('Ulm', 'Bonn', 'Köln')"),
        ({"town": None}, "column 'town': null, and the model takes none there"),
        ({"size in m": "x" * 500}, f"column 'size in m': '{'x' * 39}…, where a number is expected"),
    ],
)
def test_each_type_of_column_says_what_it_expects(towns, changed, told):
    answer = towns.predict([TOWN, {**TOWN, **changed}])
    assert answer.status == 400
    assert answer.error == f"row 1, {told}"


@pytest.mark.parametrize(
    "row", [[1, 2, 3], [[1, 2], [3, 4]], [[1, 2, 3], [4, 5]], [[1, 2, 3], 4], {"x": 1}, {"x0": 7}, [[1, 2, "3"]] * 2]
)
def test_a_tensor_of_another_shape_or_kind_is_refused(doubled, row):
    answer = doubled.predict([row])
    assert answer.status == 400
    assert answer.error.startswith("row 0")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b"[]", b"7", b"null", b'"rows"', b"{}", b'{"rows": [NaN]}',
        b'{"rows": [{"c 0": Infinity}]}', b'{"rows": [{"c 0": 1e999}]}', b'\xff\xfe{"rows": []}', b'{"rows": "abc"}',
        b'{"rows": null}', b'{"rows": [[]]}',
        b'{"rows": ' + b"[" * 2000 + b"]" * 2000 + b"}", b'{"rows": ' + b"[" * 900 + b"]" * 900 + b"}",
    ],
)  # fmt: skip
def test_a_body_that_is_no_such_json_is_refused_with_a_reason(sums, body):
    answer = sums.ask(request("POST", sums.predict_path, body))
    assert answer.status == 400
    assert answer.error
    assert sums.predict([GOOD]).status == 200


def test_columns_by_name_only_where_the_model_has_names_and_several_types(towns):
    assert towns.predict([[1.5, 2, True, "Köln"]]).status == 400


def test_who_sends_columns_of_ten_thousand_names_waits_for_no_comparison_of_them(sums):
    row = {f"column number {at}" * 8: 1 for at in range(10_000)}
    assert "no column 'c 0'" in sums.predict([row]).error


def test_what_the_endpoint_tells_of_itself(sums):
    sums.predict([GOOD, GOOD])
    told = sums.get("/v1/models/sums").json
    assert [column["name"] for column in told["columns"]] == ["c 0", "c 1", "c 2"]
    assert told["classes"] == [0, 1]
    assert told["version"] == sums.bundle.version
    status = told["status"]
    assert status["by_status"]["200"] >= 1
    assert status["rows"] >= 2
    assert status["queue_rows"] == 0
    assert status["largest_batch"] == 1024


def test_metrics_are_prometheus_text_that_agrees_with_itself(sums):
    sums.predict([GOOD] * 3)
    answer = sums.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
    numbers = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}
    answered = numbers['mlmagic_requests_total{code="200"}']
    assert numbers['mlmagic_request_seconds_bucket{le="+Inf"}'] == numbers["mlmagic_request_seconds_count"] == answered
    assert numbers["mlmagic_queue_rows"] == 0
    assert numbers['mlmagic_batch_rows_bucket{le="4"}'] >= 1
    assert numbers["mlmagic_rows_total"] >= 3


def test_numbers_of_float32_are_written_as_short_as_they_can_be(sums):
    assert b'"probabilities":[-0.1,0.1]' in sums.predict([[0.1, 0, 0]]).body
