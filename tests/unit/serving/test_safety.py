"""Who is answered at all: addresses, tokens, the Host header, methods, other sites' pages."""

from __future__ import annotations

import asyncio

import pytest

from mlmagic.errors import MisuseError
from mlmagic.serving.options import Options
from mlmagic.serving.server import Server, check_safe
from tests.unit.serving import made
from tests.unit.serving.running import request, running

GOOD = {"rows": [[1, 2, 3]]}


@pytest.fixture(scope="module")
def open_server(tmp_path_factory):
    with running(made.matrix(tmp_path_factory.mktemp("bundles")), hosts=("models.example.org",)) as server:
        yield server


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    with running(made.matrix(tmp_path_factory.mktemp("bundles")), token="s3cret") as server:
        yield server


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "models.example.org", ""])
def test_other_addresses_than_loopback_need_a_token(host):
    with pytest.raises(MisuseError, match="set a token"):
        check_safe(Options("bundle", "e", host=host))
    check_safe(Options("bundle", "e", host=host, token="long enough"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_loopback_needs_none(host):
    check_safe(Options("bundle", "e", host=host))


def test_an_empty_token_is_none():
    with pytest.raises(MisuseError, match="the token is empty"):
        check_safe(Options("bundle", "e", token=""))


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:99", "127.0.0.1", "127.0.0.1:80", "[::1]:5", "models.example.org"]
)
def test_names_of_ours_are_answered(open_server, host):
    assert open_server.ask(request("GET", "/v2", host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.com", "localhost.evil.com", "127.0.0.1.evil.com:80", "evil.com:localhost", "10.0.0.1", "", "localhost@evil"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE"])
def test_other_names_are_not_whatever_the_method(open_server, host, method):
    with open_server.client() as client:
        client.send(request(method, "/v2/health/live", host=host))
        assert client.socket.recv(1 << 16).startswith(b"HTTP/1.1 421 ")


def test_the_host_header_has_to_be_there_once(open_server):
    assert open_server.ask(request("GET", "/v2", host=None)).status == 400
    twice = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\n\r\n"
    assert open_server.ask(twice).status == 400


def test_what_a_client_asked_before_does_not_let_others_in(open_server):
    text = request("POST", open_server.predict_path, GOOD)
    with open_server.client() as client:
        assert client.ask(text).status == client.ask(text).status == 200
        assert client.ask(text.replace(b"localhost", b"evil.host")).status == 421
        assert client.ask(text).status == 200


@pytest.mark.parametrize("origin", ["http://evil.com", "null", "http://localhost.evil.com", "nonsense"])
def test_pages_of_other_sites_are_not_answered(open_server, origin):
    answer = open_server.ask(request("POST", open_server.predict_path, GOOD, origin=origin))
    assert answer.status == 403


def test_no_answer_ever_invites_other_sites(open_server):
    for text in (
        request(
            "OPTIONS", open_server.predict_path, origin="http://localhost:8888", access_control_request_method="POST"
        ),
        request("POST", open_server.predict_path, GOOD, origin="http://localhost:8888"),
        request("GET", "/v2/health/live"),
    ):
        assert not [name for name in open_server.ask(text).headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer wrong", "Basic s3cret", "s3cret", "Bearer s3cret2", "Bearer é"]
)
def test_without_the_token_there_is_no_answer(locked, authorization):
    text = request("POST", locked.predict_path, GOOD, authorization=authorization)
    answer = locked.ask(text)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "bearer"
    assert "s3cret" not in answer.error
    for path in ("/v2", "/metrics", f"/v1/models/{locked.bundle.name}", "/nowhere"):
        assert locked.ask(request("GET", path, authorization=authorization)).status == 401


def test_with_the_token_there_is_one_and_health_needs_none(locked):
    assert locked.ask(request("POST", locked.predict_path, GOOD, authorization="Bearer s3cret")).status == 200
    assert locked.ask(request("GET", "/v2/health/live")).status == 200
    assert locked.ask(request("GET", "/v2/health/ready")).status == 200


def test_the_token_of_one_request_does_not_serve_the_next(locked):
    with locked.client() as client:
        good = request("POST", locked.predict_path, GOOD, authorization="Bearer s3cret")
        assert client.ask(good).status == client.ask(good).status == 200
        assert client.ask(request("POST", locked.predict_path, GOOD)).status == 401


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("OPTIONS", "/v2/health/live", 405, "GET"),
        ("PUT", "/v1/models/sums:predict", 405, "POST"),
        ("GET", "/v1/models/sums:predict", 405, "POST"),
        ("GET", "/", 404, None),
        ("POST", "/v1/models/other:predict", 404, None),
        ("GET", "/v2/models/sums/versions/1", 404, None),
        ("GET", "/v2/models/../../etc/passwd", 404, None),
        ("GET", "/v2/models/..%2f..%2fetc%2fpasswd", 404, None),
        ("GET", "/v2/models/%ff%00", 404, None),
        ("GET", "/v1/models/sums%3Apredict", 405, "POST"),
    ],
)
def test_paths_and_methods_are_looked_up(open_server, method, path, status, allow):
    answer = open_server.ask(request(method, path))
    assert answer.status == status
    assert answer.headers.get("allow") == (allow.lower() if allow else None)
    assert "/etc" not in answer.error


def test_an_answer_to_head_has_no_body(open_server):
    with open_server.client() as client:
        answer = client.ask(request("HEAD", "/v2"))
        assert (answer.status, answer.headers["allow"], answer.body) == (405, "get", b"")
        assert client.ask(request("GET", "/v2")).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_compressed_bodies_are_refused(open_server, encoding):
    answer = open_server.ask(request("POST", open_server.predict_path, GOOD, content_encoding=encoding))
    assert answer.status == 415


@pytest.mark.parametrize("codings", [["gzip, chunked"], ["chunked", "chunked"], ["gzip", "chunked"], ["identity"]])
def test_bodies_in_other_transfer_codings_than_chunks_are_refused(open_server, codings):
    lines = "".join(f"Transfer-Encoding: {coding}\r\n" for coding in codings)
    head = f"POST {open_server.predict_path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"
    assert open_server.ask(head.encode() + b"0\r\n\r\n").status in (400, 415)


def test_a_defect_of_the_server_shows_nothing_of_its_inside(tmp_path, caplog):
    class Broken:
        def score(self, feeds):
            raise KeyError("/home/someone/secret")

    with running(made.matrix(tmp_path), scorer=Broken()) as server:
        answer = server.predict([[1, 2, 3]])
    assert answer.status == 500
    assert "secret" not in answer.error
    assert "request_id" in answer.error
    assert "/home/someone/secret" in caplog.text


def test_a_changed_bundle_is_not_served(tmp_path):
    bundle = made.matrix(tmp_path)
    model = bundle.path / "model.onnx"
    model.write_bytes(model.read_bytes().replace(b"Neg", b"Abs"))
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(MisuseError, match="is not the file that was exported"):
            Server(made.options(bundle), loop)
    finally:
        loop.close()
