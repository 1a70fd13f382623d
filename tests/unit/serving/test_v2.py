"""The Open Inference Protocol: tensors in JSON and in binary, by column or all at once; and another's client of it."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from tests.unit.serving import made
from tests.unit.serving.running import request, running

X = {"name": "X", "shape": [2, 3], "datatype": "FP32", "data": [1, 2.5, -1, -4, 0, 1]}
SUMS = [-2.5, 2.5, 3.0, -3.0]


def column(name, datatype, data, nested=False):
    return {
        "name": name,
        "shape": [len(data), 1] if nested else [len(data)],
        "datatype": datatype,
        "data": [[value] for value in data] if nested else data,
    }


def town_columns(nested=False):
    return [
        column("size in m", "FP64", [1.5, None], nested),
        column("count", "INT32", [2, 3], nested),
        column("flag", "BOOL", [True, False], nested),
        column("town", "BYTES", ["Köln", "Ulm"], nested),
    ]


def outputs(answer):
    assert answer.status == 200, answer.body
    return {one["name"]: one["data"] for one in answer.json["outputs"]}


def with_binary(path, head, *contents):
    text = json.dumps(head).encode()
    return request("POST", path, text + b"".join(contents), inference_header_content_length=len(text))


# Questions


def test_health_and_metadata(sums):
    assert sums.get("/v2/health/live").json == {"live": True}
    assert sums.get("/v2/health/ready").json == {"ready": True}
    assert sums.get("/v2").json["extensions"] == ["binary_tensor_data"]
    for model in ("/v2/models/sums", f"/v2/models/sums/versions/{sums.bundle.version}"):
        assert sums.get(f"{model}/ready").status == 200
        told = sums.get(model).json
        assert told["versions"] == [sums.bundle.version]
        assert told["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 3]}]
        assert told["outputs"][1] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}


# Tensors in JSON


@pytest.mark.parametrize("data", [X["data"], [X["data"][:3], X["data"][3:]]])
@pytest.mark.parametrize("name", ["X", "whatever"])
def test_one_tensor_for_all_columns_flat_or_nested(sums, data, name):
    answer = sums.infer({"id": "mine", "inputs": [{**X, "name": name, "data": data}]})
    assert outputs(answer) == {"label": [1, 0], "probabilities": SUMS}
    assert answer.json["id"] == "mine"
    assert answer.json["model_name"] == "sums"
    assert answer.json["model_version"] == sums.bundle.version
    assert [one["shape"] for one in answer.json["outputs"]] == [[2], [2, 2]]
    assert [one["datatype"] for one in answer.json["outputs"]] == ["INT64", "FP32"]


@pytest.mark.parametrize("data", [[1, 2.5, -1], [[1, 2.5, -1]]])
@pytest.mark.parametrize("more", [{}, {"parameters": {}}])
def test_one_row_is_no_special_case(sums, data, more):
    one = {**X, "shape": [1, 3], "data": data, **more}
    assert outputs(sums.infer({"inputs": [one]})) == {"label": [1], "probabilities": [-2.5, 2.5]}
    answer = sums.infer({"inputs": [{**one, "data": [1, "2", 3]}]})
    assert (answer.status, answer.error) == (400, "row 0, column 'c 1': '2', where a number is expected")
    assert sums.ask(with_binary(sums.infer_path, {"inputs": [one]}, b"more")).error.startswith("4 bytes follow")


@pytest.mark.parametrize("data", [[5], [[5]]])
def test_one_row_of_one_column(tmp_path, data):
    with running(made.matrix(tmp_path, columns=1)) as one:
        asked = {"inputs": [{**X, "shape": [1, 1], "data": data}]}
        assert outputs(one.infer(asked))["probabilities"] == [-5.0, 5.0]


def test_rows_of_one_request_that_go_into_several_batches_come_back_as_one(tmp_path):
    rows = np.arange(900, dtype="<f4").reshape(300, 3)
    with running(made.matrix(tmp_path, timing=[{"rows": 7, "seconds": 1e-5}])) as sums:
        tensor = {**X, "shape": [300, 3]}
        assert outputs(sums.infer({"inputs": [{**tensor, "data": rows.tolist()}]}))["probabilities"][1::2] == [
            float(total) for total in rows.sum(axis=1)
        ]
        binary = {**tensor, "parameters": {"binary_data_size": rows.nbytes}}
        del binary["data"]
        head = {"inputs": [binary], "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]}
        answer = sums.ask(with_binary(sums.infer_path, head, rows.tobytes()))
        found = np.frombuffer(answer.body[int(answer.headers["inference-header-content-length"]) :], "<f4")
        assert found.reshape(300, 2)[:, 1].tolist() == rows.sum(axis=1).tolist()
        assert len(sums.predict(rows.tolist()).json["predictions"]) == 300


def test_the_path_with_the_version_is_the_same(sums):
    path = f"/v2/models/sums/versions/{sums.bundle.version}/infer"
    assert outputs(sums.ask(request("POST", path, {"inputs": [X]})))["label"] == [1, 0]


@pytest.mark.parametrize("nested", [False, True])
def test_one_tensor_for_each_column(sums, towns, nested):
    found = outputs(sums.infer({"inputs": [column(f"c {at}", "FP32", X["data"][at::3], nested) for at in (2, 0, 1)]}))
    assert found["probabilities"] == SUMS
    assert outputs(towns.infer({"inputs": town_columns(nested)})) == {
        "prediction": [6.0, None],
        "label": ["Köln", "Ulm"],
    }


@pytest.mark.parametrize("datatype", ["FP64", "INT64", "INT32", "INT16", "INT8", "FP16"])
def test_numbers_may_come_in_any_numeric_type(sums, datatype):
    answer = sums.infer({"inputs": [{**X, "datatype": datatype, "data": [1, 2, -1, -4, 0, 1]}]})
    assert outputs(answer)["probabilities"] == [-2.0, 2.0, 3.0, -3.0]


def test_a_tensor_of_more_dimensions(doubled):
    tensor = {"name": "image", "shape": [2, 2, 3], "datatype": "FP32", "data": list(range(12))}
    nested = {**tensor, "data": np.arange(12).reshape(2, 2, 3).tolist()}
    assert outputs(doubled.infer({"inputs": [tensor]}))["output"] == [2.0 * at for at in range(12)]
    assert outputs(doubled.infer({"inputs": [nested]}))["output"] == [2.0 * at for at in range(12)]


def test_only_the_outputs_that_are_asked_for_in_their_order(sums):
    asked = {"inputs": [X], "outputs": [{"name": "probabilities"}, {"name": "label"}]}
    assert list(outputs(sums.infer(asked))) == ["probabilities", "label"]
    assert list(outputs(sums.infer({**asked, "outputs": [{"name": "label"}]}))) == ["label"]


# Tensors in binary


def test_numbers_and_texts_in_binary_come_back_in_binary(towns):
    texts = [text.encode() for text in ("Köln", "Ulm")]
    contents = [
        np.array([1.5, 2.5], "<f8").tobytes(),
        np.array([2, 3], "<i2").tobytes(),
        np.array([1, 0], "u1").tobytes(),
        b"".join(struct.pack("<I", len(text)) + text for text in texts),
    ]
    datatypes = {"size in m": "FP64", "count": "INT16", "flag": "BOOL", "town": "BYTES"}
    inputs = [
        {"name": name, "shape": [2, 1], "datatype": kind, "parameters": {"binary_data_size": len(content)}}
        for (name, kind), content in zip(datatypes.items(), contents, strict=True)
    ]
    head = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    answer = towns.ask(with_binary(towns.infer_path, head, *contents))
    assert answer.status == 200
    at = int(answer.headers["inference-header-content-length"])
    told = json.loads(answer.body[:at])["outputs"]
    assert [one["parameters"]["binary_data_size"] for one in told] == [8, len(contents[3])]
    assert np.frombuffer(answer.body[at : at + 8], "<f4").tolist() == [6.0, 8.0]
    assert answer.body[at + 8 :] == contents[3]


def test_one_output_in_binary_and_one_in_json(sums):
    wanted = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "probabilities"}]
    head = {"inputs": [X], "outputs": wanted, "parameters": {"binary_data_output": True}}
    answer = sums.ask(request("POST", sums.infer_path, head))
    at = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.body[:at])["outputs"][0]["data"] == [1, 0]
    assert np.frombuffer(answer.body[at:], "<f4").tolist() == SUMS


# What is refused


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"shape": [2, 4]}, "one input of shape [-1, 3], or one for each column, not [2, 4]"),
        ({"shape": [3, 3]}, "has 6 values, and its shape [3, 3] says 9"),
        ({"shape": [1 << 62, 3]}, "larger than any request"),
        ({"shape": [1 << 62, 1 << 62, 1 << 62]}, "larger than any request"),
        ({"shape": [-2, 3]}, "no list of sizes"),
        ({"shape": [True, 3]}, "no list of sizes"),
        ({"shape": [2.0, 3]}, "no list of sizes"),
        ({"shape": []}, "no list of sizes"),
        ({"shape": "2"}, "no list of sizes"),
        ({"shape": None}, "no list of sizes"),
        ({"shape": [1] * 40}, "no list of sizes"),
        ({"shape": [0, 3], "data": []}, "has no rows"),
        ({"datatype": "FP8"}, "datatype 'FP8'; there are FP64"),
        ({"datatype": None}, "datatype 'None'; there are"),
        ({"datatype": "BYTES", "data": ["1"] * 6}, "numbers are expected"),
        ({"datatype": "BYTES"}, "is not all BYTES"),
        ({"datatype": "INT32"}, "is not all INT32"),
        ({"datatype": "INT8", "data": [300, 0, 0, 0, 0, 0]}, "beyond INT8"),
        ({"datatype": "BOOL", "data": [True] * 6}, "BOOL, where numbers are expected"),
        ({"data": ["1.5", 2, 3, 4, 5, 6]}, "row 0, column 'c 0': '1.5', where a number is expected"),
        ({"data": [1, 2, 3, 4, True, 6]}, "row 1, column 'c 1': true, where a number is expected"),
        ({"data": [1, 2, 3, 4, None, 6]}, "row 1, column 'c 1': null (NaN)"),
        ({"data": [[1, 2, 3], [4, 5]]}, "each row has to be a list of 3 values"),
        ({"data": [[1, 2, 3], 4]}, "each row has to be a list of 3 values"),
        ({"data": [[1, 2, 3]]}, "has 1 rows, and its shape says 2"),
        ({"data": {}}, "has no data"),
        ({"name": None}, "has no name"),
        ({"parameters": []}, "are no object"),
        ({"parameters": {"binary_data_size": 24}}, "says 24 bytes, and 0 are left"),
        ({"parameters": {"binary_data_size": -1}}, "no number of bytes"),
        ({"parameters": {"shared_memory_region": "x"}}, "shared memory is not supported"),
    ],
)  # fmt: skip
def test_a_tensor_that_does_not_fit_is_refused(sums, changed, told):
    answer = sums.infer({"inputs": [{**X, **changed}]})
    assert answer.status in (400, 413)
    assert any(part in answer.error for part in told.split("|")), answer.error


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "expected {"),
        ({"inputs": []}, "expected {"),
        ({"inputs": {}}, "expected {"),
        ({"inputs": [7]}, "an input is no object"),
        ({"inputs": [X, X]}, "the same name"),
        ({"inputs": [X], "outputs": [{"name": "lable"}]}, "no output 'lable'; there are: label, probabilities"),
        ({"inputs": [X], "outputs": [7]}, "no output '7'"),
        ({"inputs": [X], "outputs": {"a": 1}}, "outputs is no list"),
        ({"inputs": [X], "outputs": [{"name": ["label"]}]}, "no output"),
        ({"inputs": [X], "outputs": [{"name": "label", "parameters": {"classification": 2}}]}, "classification"),
        ({"inputs": [X], "outputs": [{"name": "label", "parameters": 7}]}, "no object"),
        ({"inputs": [X], "id": 7}, "id is no text"),
        ({"inputs": [X], "id": "x" * 1000}, "id is no text"),
        ({"inputs": [X], "parameters": []}, "parameters is no object"),
        ({"inputs": [X], "parameters": {"timeout": "soon"}}, "no number of microseconds"),
        ({"inputs": [column("c 0", "FP32", [1, 2]), column("c 1", "FP32", [1, 2])]}, "no input for column 'c 2'"),
        ({"inputs": [column(f"c {at}", "FP32", [1] * (1 + at)) for at in range(3)]}, "where [1] or [1, 1] is expected"),
        ({"inputs": [column("d 0", "FP32", [1, 2]), X]}, "no column of the model 'd 0'; did you mean 'c 0'?"),
    ],
)  # fmt: skip
def test_a_request_that_is_none_is_refused(sums, asked, told):
    answer = sums.infer(asked)
    assert answer.status == 400
    assert told in answer.error


@pytest.mark.parametrize(
    ("size", "more", "told"),
    [(24, b"", "24 bytes, and 0 are left"), (24, b"x" * 25, "1 bytes follow"), (23, b"x" * 23, "say otherwise")],
)
def test_binary_data_have_to_be_as_long_as_they_say(sums, size, more, told):
    head = {"inputs": [{"name": "X", "shape": [2, 3], "datatype": "FP32", "parameters": {"binary_data_size": size}}]}
    answer = sums.ask(with_binary(sums.infer_path, head, more))
    assert answer.status == 400
    assert told in answer.error


@pytest.mark.parametrize(
    "content", [b"\x01\0\0\0", b"\xff\xff\xff\xffa", b"\x01\0", b"\x01\0\0\0\xff", b"\0\0\0\0" * 3]
)
def test_texts_in_binary_have_to_be_texts(towns, content):
    inputs = town_columns()[:3]
    inputs.append({"name": "town", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(content)}})
    answer = towns.ask(with_binary(towns.infer_path, {"inputs": inputs}, content))
    assert answer.status == 400
    assert "town" in answer.error


@pytest.mark.parametrize("length", ["-1", "x", "9" * 30, "999999"])
def test_the_length_of_the_json_has_to_be_one(sums, length):
    answer = sums.ask(request("POST", sums.infer_path, {"inputs": [X]}, inference_header_content_length=length))
    assert answer.status == 400
    assert "Inference-Header-Content-Length" in answer.error


def test_numbers_that_are_not_finite_are_refused_in_binary_too(sums, doubled):
    content = np.array([[1, 2, 3], [4, np.inf, 6]], "<f4").tobytes()
    head = {"inputs": [{"name": "X", "shape": [2, 3], "datatype": "FP32", "parameters": {"binary_data_size": 24}}]}
    answer = sums.ask(with_binary(sums.infer_path, head, content))
    assert (answer.status, answer.error) == (400, "row 1, column 'c 1': infinite")


# Another's client


@pytest.fixture(scope="module")
def triton():
    return pytest.importorskip("tritonclient.http")


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_tritonclient_asks_as_it_likes(triton, sums, binary_in, binary_out):
    client = triton.InferenceServerClient(f"127.0.0.1:{sums.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("sums")
    assert client.is_model_ready("sums", sums.bundle.version)
    assert not client.is_model_ready("others")
    assert client.get_server_metadata()["name"] == "mlmagic"
    assert client.get_model_metadata("sums")["inputs"][0]["name"] == "X"
    rows = np.array([[1, 2.5, -1], [-4, 0, 1]], np.float32)
    asked = triton.InferInput("X", [2, 3], "FP32")
    asked.set_data_from_numpy(rows, binary_data=binary_in)
    names = ("label", "probabilities")
    wanted = None if binary_out is None else [triton.InferRequestedOutput(name, binary_out) for name in names]
    found = client.infer("sums", [asked], outputs=wanted, request_id="1", timeout=5_000_000)
    assert found.as_numpy("label").tolist() == [1, 0]
    assert found.as_numpy("probabilities").tolist() == [[-2.5, 2.5], [3.0, -3.0]]
    assert found.get_response()["id"] == "1"
    client.close()


def test_tritonclient_sends_texts_and_reads_errors(triton, towns):
    client = triton.InferenceServerClient(f"127.0.0.1:{towns.port}")
    values = {
        "size in m": np.array([1.5, 2.5], np.float64),
        "count": np.array([2, 3], np.int64),
        "flag": np.array([True, False]),
        "town": np.array(["Köln", "Ulm"], object),
    }
    kinds = ("FP64", "INT64", "BOOL", "BYTES")
    inputs = [triton.InferInput(name, [2], kind) for name, kind in zip(values, kinds, strict=True)]
    for asked, value in zip(inputs, values.values(), strict=True):
        asked.set_data_from_numpy(value)
    found = client.infer("towns", inputs)
    assert found.as_numpy("prediction").tolist() == [6.0, 8.0]
    assert [text.decode() for text in found.as_numpy("label")] == ["Köln", "Ulm"]
    with pytest.raises(Exception, match="no input for column 'town'"):
        client.infer("towns", inputs[:3])
    client.close()


@pytest.mark.parametrize("outputs", [["label", "label"], ["label", "probabilities", "label"], ["label"] * 1_000])
def test_an_output_is_answered_once(sums, outputs):
    answer = sums.infer({"inputs": [X], "outputs": [{"name": name} for name in outputs]})
    assert answer.status == 400
    assert "asked for" in answer.error


def test_an_input_without_a_name_is_no_column(sums):
    answer = sums.infer({"inputs": [{**X, "name": "", "shape": [6]}, {**X, "shape": [6]}]})
    assert answer.status == 400
    assert answer.error == "no column of the model ''; there are: c 0, c 1, c 2"
