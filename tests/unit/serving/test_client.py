"""Asking an endpoint from Python: tables in, the model's own kind of answers out; against real servers."""

import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.serving import process
from mlmagic.serving.client import Endpoint, _as_classes
from mlmagic.serving.client_connection import ClientConnection, encoded
from tests.unit.serving import made

X = np.random.default_rng(0).normal(size=(500, 3))
FRAME = pd.DataFrame(X, columns=["c 0", "c 1", "c 2"])
SUMS = X.astype(np.float32).sum(axis=1)


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """`serving(bundle, **options)`: an endpoint of the test's; all of them end with the module."""
    running = []

    def serve(bundle, **more) -> Endpoint:
        options = made.options(bundle, log_rows=0, **more)
        server = process.start(options)
        running.append(server)
        about = {"version": bundle.version, "bundle_id": bundle.bundle_id, "endpoint_id": options.endpoint_id}
        return Endpoint(
            server.url, bundle.name, bundle.schema, token=options.token, process=server, options=options, **about
        )

    yield serve
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def sums(serving, tmp_path_factory) -> Endpoint:
    return serving(made.matrix(tmp_path_factory.mktemp("sums")), token="open sesame")


@pytest.fixture(scope="module")
def towns(serving, tmp_path_factory) -> Endpoint:
    return serving(made.columns(tmp_path_factory.mktemp("towns")))


@pytest.mark.parametrize(
    "data",
    [FRAME, FRAME[["c 2", "c 0", "c 1"]].assign(more="x"), pl.from_pandas(FRAME), X, FRAME.to_dict("list")],
    ids=["pandas", "columns in another order", "polars", "array", "dict"],
)
def test_any_table_is_answered_with_labels_and_probabilities(sums, data):
    labels, probabilities = sums.predict(data), sums.predict_proba(data)
    assert labels.tolist() == (SUMS > 0).astype(int).tolist()
    np.testing.assert_allclose(probabilities, np.column_stack([-SUMS, SUMS]), rtol=1e-5, atol=1e-6)
    assert labels.dtype == np.int64
    labels[0] = 7  # an array of the user's own


def test_columns_of_all_types_go_and_come(towns):
    frame = pd.DataFrame(
        {"size in m": [1.5, None], "count": [1, -2], "flag": [True, False], "town": ["Köln", "Ulm"], "more": [0, 0]}
    )
    assert towns.predict(frame).tolist() == ["Köln", "Ulm"]
    with pytest.raises(MisuseError, match="towns gives no probabilities"):
        towns.predict_proba(frame)


def test_a_network_is_asked_with_arrays_of_its_shape(serving, tmp_path):
    doubled = serving(made.tensor(tmp_path))
    rows = np.arange(24, dtype=np.float64).reshape(4, 2, 3)
    assert doubled.predict(rows).tolist() == (2 * rows).tolist()
    with pytest.raises(MisuseError, match=r"data of shape \(4, 6\) for a model that takes \(rows, 2, 3\)"):
        doubled.predict(rows.reshape(4, 6))


@pytest.mark.parametrize("limits", [{"rows": 64}, {"body_bytes": 70_000}], ids=["rows", "bytes"])
def test_what_is_too_large_for_one_request_goes_in_parts(serving, tmp_path, limits):
    endpoint = serving(made.matrix(tmp_path), **limits)
    assert endpoint.predict(FRAME).tolist() == (SUMS > 0).astype(int).tolist()
    assert endpoint.status()["status"]["requests"] > 1


def test_a_bad_row_has_its_number_in_the_whole_table(serving, tmp_path):
    endpoint = serving(made.matrix(tmp_path), rows=64)
    broken = X.copy()
    broken[200, 1] = np.nan
    with pytest.raises(MisuseError, match="row 200, column 'c 1'"):
        endpoint.predict(broken)


def test_texts_of_uneven_length_go_in_parts_that_fit(serving, tmp_path):
    towns = serving(made.columns(tmp_path), body_bytes=70_000)
    long = "x" * 500
    frame = pd.DataFrame({"size in m": 1.0, "count": 1, "flag": True, "town": ["Ulm"] * 200 + [long]})
    with pytest.raises(MisuseError, match="a category that the model does not know"):
        towns.predict(frame)
    assert towns.predict(frame[:200]).tolist() == ["Ulm"] * 200


def test_no_rows_are_no_answers(sums, towns):
    assert sums.predict(FRAME[:0]).shape == (0,)
    assert sums.predict_proba(FRAME[:0]).shape == (0, 2)


def test_data_that_does_not_fit_is_told_before_anything_is_sent(sums, towns):
    with pytest.raises(UnknownNameError, match="no column of the data 'c 1'"):
        sums.predict(FRAME.drop(columns="c 1"))
    with pytest.raises(MisuseError, match="the model takes numbers there"):
        sums.predict(FRAME.assign(**{"c 0": "text"}))


def test_the_servers_reason_is_the_error(sums):
    with pytest.raises(MisuseError, match=r"refused: row 2, column 'c 1': null \(NaN\)") as told:
        sums.predict(FRAME.assign(**{"c 1": [0.0, 1.0, None] + [0.0] * 497}))
    assert str(told.value).startswith(sums.url)
    assert "\n" not in str(told.value)


def test_a_wrong_token_is_refused_in_one_line(sums):
    stranger = Endpoint(sums.url, sums.name, sums.schema, token="guessed")
    with pytest.raises(MisuseError, match=r"refused: .*token"):
        stranger.predict(FRAME)


def test_a_connection_that_the_server_closed_is_opened_again(sums):
    before = sums.predict(FRAME)
    sums._connection._kept.sock.close()
    sums._connection._kept.sock = None  # what http.client does when it is told that an answer is the last one
    assert sums.predict(FRAME).tolist() == before.tolist()


def test_threads_may_ask_at_once_and_nobody_gets_anothers_answer(sums):
    answers = np.full(400, -1)

    def ask(start: int) -> None:
        for row in range(start, start + 100):
            answers[row] = sums.predict(FRAME[row : row + 1])[0]

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(0, 400, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.tolist() == (SUMS[:400] > 0).astype(int).tolist()


def test_status_tells_what_the_server_counts(serving, tmp_path):
    endpoint = serving(made.matrix(tmp_path))
    endpoint.predict(FRAME)
    told = endpoint.status()
    assert (told["name"], told["endpoint_id"]) == ("sums", "e-1")
    assert told["status"]["rows"] == 500


def test_stopping_ends_the_server_and_says_so(serving, tmp_path):
    endpoint = serving(made.matrix(tmp_path))
    assert repr(endpoint) == f"endpoint sums {endpoint.version} at {endpoint.url}"
    assert endpoint.alive
    with endpoint as same:
        assert same.predict(FRAME[:1]).shape == (1,)
    assert not endpoint.alive
    assert repr(endpoint).endswith(" (stopped)")
    with pytest.raises(MisuseError, match=r"nothing answers at .*: start the endpoint again with %serve"):
        endpoint.predict(FRAME)


def test_an_endpoint_that_was_started_elsewhere_is_not_ours_to_stop(sums):
    with pytest.raises(MisuseError, match="was not started here: %endpoints sums stop"):
        Endpoint(sums.url, sums.name, sums.schema).stop()


def test_a_server_that_does_not_answer_is_given_up(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = ClientConnection(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        with pytest.raises(MisuseError, match=r"did not answer within 0.2 s"):
            connection.get("/v2")


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (np.array([0, 1]), (0, 1), [0, 1]),
        (np.array(["a", "b"], object), ("a", "b"), ["a", "b"]),
        (np.array([0, 1]), (False, True), [False, True]),
        (np.array(["1.5", "2.5"], object), (1.5, 2.5), [1.5, 2.5]),
        (np.array([3]), None, [3]),
    ],
)
def test_labels_are_of_the_classes_own_type(labels, classes, expected):
    found = _as_classes(labels, classes)
    assert found.tolist() == expected
    assert list(map(type, found.tolist())) == list(map(type, expected))


def test_two_handles_serve_alike_where_only_the_port_was_left_open():
    options = made.Options("/b", "e-1")
    endpoint = Endpoint("http://127.0.0.1:1", "b", _schema(), options=options)
    assert endpoint.serves_as(replace(options, endpoint_id="e-2"))
    assert not endpoint.serves_as(replace(options, port=8080))
    assert not endpoint.serves_as(replace(options, slo_ms=5.0))


def test_a_request_is_one_head_and_the_tensors_behind_it():
    head, body = encoded(_schema(), {"t": np.array([["é"], ["b"]], object)}, ["label"])
    assert b'"shape": [2, 1]' in head
    assert b'"binary_data_size": 11' in head
    assert body == b"\x02\x00\x00\x00\xc3\xa9\x01\x00\x00\x00b"


def _schema() -> Schema:
    return Schema("columns", (Field("text", "string", "str", "t"),), (Output("label", "string"),), "label")
