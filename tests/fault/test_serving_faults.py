"""Endpoints when clients are slow, huge, many or gone, and when processes are killed in the middle of it all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack

import pytest

from mlmagic.serving import process
from tests.unit.serving import made
from tests.unit.serving.running import Client, request

PATH = "/v1/models/sums:predict"


@pytest.fixture
def server(tmp_path):
    started = process.start(made.options(made.matrix(tmp_path), log_rows=0), log=tmp_path / "log")
    yield started
    started.stop()
    assert started.status == 0
    assert (tmp_path / "log").read_text() == ""


def client_of(server):
    return Client(int(server.url.rpartition(":")[2]), seconds=60)


def asked(*rows):
    return request("POST", PATH, {"rows": list(rows)})


def lives(server):
    client = client_of(server)
    answer = client.ask(asked([1, 2, 3]))
    client.close()
    return answer.status == 200 and answer.json["predictions"] == [{"label": 1, "probabilities": [-6.0, 6.0]}]


def ended(pid, seconds=10):
    """Whether a process that is not our child ends in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("told", [True, False])
def test_fifty_megabytes_are_refused_and_the_client_can_read_why(server, told):
    body = b"x" * (50 << 20)
    client = client_of(server)
    if told:
        answer = client.ask(request("POST", PATH, body))
    else:
        head = request("POST", PATH, transfer_encoding="chunked")
        chunks = [b"%x\r\n%b\r\n" % (1 << 20, body[: 1 << 20])] * 50
        answer = client.ask(head + b"".join(chunks) + b"0\r\n\r\n")
    assert answer.status == 413
    assert "larger than" in answer.error
    client.close()
    assert lives(server)


def test_a_thousand_connections_are_answered_each_with_its_own(server):
    with ExitStack() as open_ones:
        clients = [client_of(server) for _ in range(1000)]
        for client in clients:
            open_ones.callback(client.close)
        for at, client in enumerate(clients):
            client.send(asked([at, 0, 0.5]))
        found = [client.answer().json["predictions"][0]["probabilities"][1] for client in clients]
        assert found == [at + 0.5 for at in range(1000)]


def test_slow_clients_keep_nobody_else_waiting(server):
    text = asked([1, 2, 3])
    slow = [client_of(server) for _ in range(50)]
    for at, client in enumerate(slow):
        client.send(text[: 1 + at])
    assert lives(server)
    for at, client in enumerate(slow):
        assert client.ask(text[1 + at :]).status == 200
        client.close()


def test_clients_that_leave_without_a_word_cost_nothing_but_their_own_answer(server):
    for at in range(200):
        client = client_of(server)
        client.send(asked(*[[1, 2, 3]] * 500)[: 200 * at])
        client.close()
    assert lives(server)


def test_a_server_killed_under_load_is_gone_and_the_next_one_takes_its_port(tmp_path):
    bundle = made.matrix(tmp_path)
    server = process.start(made.options(bundle, log_rows=0))
    port = int(server.url.rpartition(":")[2])
    clients = [client_of(server) for _ in range(20)]
    for client in clients:
        client.send(asked(*[[1, 2, 3]] * 5000))
    os.kill(server.pid, signal.SIGKILL)
    for client in clients:
        try:
            answer = client.answer()
        except AssertionError:  # cut in the middle
            answer = None
        assert answer is None or len(answer.json["predictions"]) == 5000
        client.close()
    server.close()
    assert server.status == -signal.SIGKILL
    again = process.start(made.options(bundle, port=port, log_rows=0))
    assert lives(again)
    again.stop()


@pytest.mark.parametrize("forked", [False, True])
def test_a_server_ends_with_its_starter_even_when_that_is_killed(tmp_path, forked):
    """Also where a fork of the starter lives on, which holds the other end of the server's lifeline."""
    bundle = made.matrix(tmp_path)
    script = f"""
        import json, os, sys, time
        from mlmagic.serving import process
        from mlmagic.serving.options import Options
        server = process.start(Options.from_dict(json.loads(sys.argv[1])))
        fork = os.fork() if {forked} else -1
        if fork:
            print(json.dumps([server.pid, fork, server.url]), flush=True)
        time.sleep(600)
    """
    text = json.dumps(made.options(bundle, log_rows=0).to_dict())
    starter = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), text], stdout=subprocess.PIPE)
    pid, fork, _ = json.loads(starter.stdout.readline())
    try:
        assert not ended(pid, 0.5)
        starter.kill()
        starter.wait()
        assert ended(pid)
    finally:
        starter.stdout.close()
        if fork > 0:
            os.kill(fork, signal.SIGKILL)
