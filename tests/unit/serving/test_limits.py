"""How requests arrive: in pieces, in rows, in chunks, too large, too slow, and what is no request at all."""

from __future__ import annotations

import threading

import pytest

from mlmagic.serving.heads import Gate
from mlmagic.serving.limits import Limits
from tests.unit.serving import made
from tests.unit.serving.running import request, running

ROW = [1, 2.5, -1]
SMALL = Limits(body=20_000, rows=50, connections=8, head=2_000, headers=20, target=200, chunks=20, pipelined=4)
HASTY = Limits(head_seconds=0.3, body_seconds=0.3, idle_seconds=0.5, unread_seconds=0.5, linger_seconds=0.5)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(made.matrix(tmp_path_factory.mktemp("bundles")), SMALL) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    with running(made.matrix(tmp_path_factory.mktemp("bundles")), HASTY) as server:
        yield server


def asking(server, *rows, **headers):
    return request("POST", server.predict_path, {"rows": list(rows)}, **headers)


def chunked(server, *chunks, **headers):
    head = request("POST", server.predict_path, transfer_encoding="chunked", **headers)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


def send_for_ever(client, text):
    while True:
        client.send(text)


def firsts(answer):
    return [row["probabilities"][1] for row in answer.json["predictions"]]


# In pieces and in rows


def test_a_request_may_be_cut_anywhere(server):
    text = asking(server, ROW)
    with server.client() as client:
        for at in range(1, len(text)):
            client.send(text[:at])
            assert firsts(client.ask(text[at:])) == [2.5]


def test_a_request_may_come_byte_by_byte(server):
    with server.client() as client:
        for byte in asking(server, ROW):
            client.send(bytes([byte]))
        assert firsts(client.answer()) == [2.5]


@pytest.mark.parametrize("known", [False, True])
def test_requests_in_a_row_are_answered_in_their_order(server, known):
    with server.client() as client:
        if known:
            client.ask(asking(server, [9, 0, 0]))
        texts = [asking(server, [at, 0, 0]) for at in range(10)]
        texts[3:3] = [request("GET", "/v2/health/live"), asking(server, ["x", 0, 0]), request("GET", "/nowhere")]
        client.send(b"".join(texts))
        answers = [client.answer() for _ in texts]
    assert [answer.status for answer in answers[3:6]] == [200, 400, 404]
    assert [firsts(answer) for answer in answers[:3] + answers[6:]] == [[float(at)] for at in range(10)]


def test_more_requests_in_a_row_than_are_read_at_once_are_all_answered(server):
    with server.client() as client:
        client.send(b"".join(asking(server, [at, 0, 0]) for at in range(500)))
        assert [firsts(client.answer()) for _ in range(500)] == [[float(at)] for at in range(500)]


def test_a_flood_of_requests_takes_turns_with_other_clients(server, monkeypatch):
    order, asked, passed = [], threading.Event(), Gate.pass_

    def noted(self, method, target, *rest):
        order.append(target.decode())
        assert asked.wait(20)
        return passed(self, method, target, *rest)

    with server.client() as flood, server.client() as other:
        assert other.ask(asking(server, ROW)).status == 200
        monkeypatch.setattr(Gate, "pass_", noted)
        flood.send(request("GET", "/nowhere") * 2_000)
        other.send(request("GET", "/v2/health/live"))
        asked.set()
        assert other.answer().status == 200
        assert {flood.answer().status for _ in range(2_000)} == {404}
    assert order.index("/v2/health/live") < 500


def test_what_is_read_and_waits_is_dropped_with_its_connection(server):
    with server.client() as flood:
        flood.send(request("GET", "/nowhere") * 5_000)
    assert server.get("/v2/health/live").status == 200


def test_bodies_that_are_arriving_together_are_limited(tmp_path):
    with running(made.matrix(tmp_path), Limits(body=20_000, arriving=30_000)) as server:
        half = request("POST", server.predict_path, content_length=20_000)
        with server.client() as first, server.client() as second:
            first.send(half + b" " * 19_000)
            assert server.predict([ROW]).status == 200  # which says that the first has arrived
            refused = second.ask(half + b" " * 19_000)
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert first.ask(b" " * 1_000).status == 400  # no JSON; and its bytes count no more
        with server.client() as third:
            assert third.ask(half + b" " * 20_000).status == 400


def test_a_body_may_come_in_chunks(server):
    body = b'{"rows": [[1, 2.5, -1]]}'
    with server.client() as client:
        for _ in range(2):
            assert firsts(client.ask(chunked(server, body[:5], body[5:]) + b"0\r\nMore: x\r\n\r\n")) == [2.5]


def test_a_client_that_waits_for_a_word_gets_it(server):
    text = asking(server, ROW, expect="100-continue")
    head, _, body = text.partition(b"\r\n\r\n")
    with server.client() as client:
        client.send(head + b"\r\n\r\n")
        assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert firsts(client.ask(body)) == [2.5]
    with server.client() as client:
        answer = client.ask(request("POST", "/nowhere", expect="100-continue", content_length=10_000))
        assert answer.status == 404
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [("1.1", None, True), ("1.1", "close", False), ("1.0", None, False), ("1.0", "keep-alive", True)],
)
def test_a_connection_stays_open_as_the_client_wishes(server, version, connection, stays):
    with server.client() as client:
        text = asking(server, ROW, version=version, connection=connection)
        answer = client.ask(text)
        assert firsts(answer) == [2.5]
        assert answer.headers.get("connection") == {"1.0": "keep-alive", "1.1": None}[version] if stays else "close"
        if stays:
            assert firsts(client.ask(text)) == [2.5]
        else:
            assert client.answer() is None


# Too large


@pytest.mark.parametrize(
    ("make", "status", "told"),
    [
        (lambda s: request("POST", s.predict_path, b" " * 20_001), 413, "larger than 20000 bytes"),
        (lambda s: request("POST", s.predict_path, content_length=10**12), 413, "larger than 20000 bytes"),
        (lambda s: chunked(s, *[b" " * 5_000] * 5), 413, "larger than 20000 bytes"),
        (lambda s: chunked(s, *[b" "] * 21), 413, "more than 20 chunks"),
        (lambda s: asking(s, *[ROW] * 51), 413, "51 rows; one request may have 50"),
        (lambda s: request("GET", "/" + "x" * 300), 414, "longer than 200 bytes"),
        (lambda s: request("GET", "/v2", **{f"h{at}": 1 for at in range(21)}), 431, "more than 20 headers"),
        (lambda s: request("GET", "/v2", long="x" * 2_001), 431, "larger than 2000 bytes"),
        (lambda s: b"GET /v2 HTTP/1.1\r\nLong: " + b"x" * 500_000, 431, "larger than 2000 bytes"),
        (lambda s: b"GET /v2 HTTP/1.1\r\n" + b"x" * 500_000, 431, "larger than 2000 bytes"),
        (lambda s: chunked(s, b" ") + b"0\r\n" + b"T: x\r\n" * 30 + b"\r\n", 431, "more than 20 headers"),
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused_with_a_reason(server, make, status, told):
    answer = server.ask(make(server))
    assert answer.status == status
    assert told in answer.error
    assert firsts(server.ask(asking(server, ROW))) == [2.5]


def test_a_refused_body_that_is_small_enough_leaves_the_connection_usable(server):
    with server.client() as client:
        assert client.ask(request("POST", "/nowhere", b"x" * 10_000)).status == 404
        assert firsts(client.ask(asking(server, ROW))) == [2.5]


def test_connections_beyond_the_limit_are_told_so(tmp_path):
    with running(made.matrix(tmp_path), SMALL) as server, server.client() as first:
        others = [server.client() for _ in range(7)]
        clients = [other.__enter__() for other in others]
        assert all(firsts(client.ask(asking(server, ROW))) == [2.5] for client in [first, *clients])
        with server.client() as late:
            answer = late.answer()
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
        for other in others:
            other.__exit__(None, None, None)


# No request


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n", b"GET /v2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /v2 HTTP/1.1\nHost: localhost\n\n",
        b"GET /v2 HTTP/1.1\r\nHost : localhost\r\n\r\n", b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET http://evil.com/v2 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT evil.com:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_the_connection_closed(server, text):
    with server.client() as client:
        answer = client.ask(text)
        assert 400 <= answer.status < 500
        assert answer.error
        if answer.headers.get("connection") == "close":
            assert client.answer() is None
    assert firsts(server.ask(asking(server, ROW))) == [2.5]


def test_empty_lines_are_no_requests(server):
    with server.client() as client:
        assert client.ask(request("GET", "/v2")).status == 200
        client.send(b"\r\n\r\n")
        client.send(b"\r\n\r\n" * 5)
        assert firsts(client.ask(asking(server, ROW))) == [2.5]
        assert firsts(client.ask(asking(server, ROW))) == [2.5]


# Too slow


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_request_that_does_not_arrive_is_given_up(hasty, part):
    text = asking(hasty, ROW)
    with hasty.client() as client:
        client.send(text[:20] if part == "head" else text[:-3])
        answer = client.answer()
        assert answer.status == 408
        assert part in answer.error
        assert client.answer() is None


def test_a_connection_that_nobody_uses_is_closed(hasty):
    with hasty.client() as client:
        assert client.ask(asking(hasty, ROW)).status == 200
        assert client.answer() is None


def test_who_reads_no_answers_is_not_served_for_ever(hasty):
    rows = [ROW] * 2_000
    with hasty.client() as client, pytest.raises(OSError):
        send_for_ever(client, asking(hasty, *rows))
    assert firsts(hasty.ask(asking(hasty, ROW))) == [2.5]
