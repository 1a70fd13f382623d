"""A server as a process: started, ready, stopped; without the notebook's packages; and why it would not start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.request
from dataclasses import replace

import pytest

from mlmagic.errors import MisuseError
from mlmagic.serving import process
from mlmagic.serving.options import Options, check_options
from mlmagic.signing import user_key
from tests.unit.serving import made
from tests.unit.serving.running import Client, request

BLOCKED = ("sklearn", "IPython", "duckdb", "anywidget", "ipywidgets", "pandas", "scipy", "torch", "matplotlib")


@pytest.fixture
def bundle(tmp_path):
    return made.matrix(tmp_path / "bundles")


def ask(url, path="/v2/health/ready"):
    with urllib.request.urlopen(url + path, timeout=20) as answer:
        return json.load(answer)


def predict(server, name, rows):
    body = json.dumps({"rows": rows}).encode()
    with urllib.request.urlopen(f"{server.url}/v1/models/{name}:predict", body, timeout=20) as answer:
        return json.load(answer)["predictions"]


def test_it_answers_when_it_is_ready_and_is_gone_when_stopped(bundle):
    server = process.start(made.options(bundle, log_rows=0))
    assert server.alive
    assert ask(server.url) == {"ready": True}
    assert predict(server, "sums", [[1, 2, 3]])[0]["label"] == 1
    server.stop()
    assert not server.alive
    assert server.status == 0
    server.close()  # again is no mistake


def test_with_the_notebooks_packages_missing_it_serves_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
        import sys
        class Blocker:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {BLOCKED!r}:
                    raise ImportError(name + " is blocked")
        sys.meta_path.insert(0, Blocker())
        """)
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    blocked = subprocess.run([sys.executable, "-c", "import pandas"], capture_output=True, check=False)
    assert b"pandas is blocked" in blocked.stderr
    log = tmp_path / "log"
    bundle = made.columns(tmp_path)
    server = process.start(made.options(bundle, journals=str(tmp_path / "journals")), log=log)
    row = {"size in m": 1.5, "count": 2, "flag": True, "town": "Ulm"}
    assert predict(server, "towns", [row]) == [{"prediction": 6.0, "label": "Ulm"}]
    assert ask(server.url, "/v1/models/towns")["status"]["watched"]["rows"] == 1
    server.stop()
    assert server.status == 0
    assert "Ulm" in "".join(path.read_text() for path in (tmp_path / "journals").iterdir())
    assert log.read_bytes() == b""


def test_files_in_the_folder_it_is_started_from_are_not_its_modules(bundle, tmp_path):
    (tmp_path / "orjson.py").write_text("raise SystemExit('not this one')")
    server = process.start(made.options(bundle, log_rows=0))
    server.stop()
    assert server.status == 0


def test_the_signature_is_judged_by_the_users_key_and_none_is_made(tmp_path, monkeypatch):
    key = tmp_path / "key"
    monkeypatch.setenv("MLMAGIC_KEY_FILE", str(key))
    unsigned = made.matrix(tmp_path / "one")
    with_nobody = process.start(made.options(unsigned, log_rows=0))
    assert ask(with_nobody.url, "/v1/models/sums")["signed"] is False
    with_nobody.stop()
    assert not key.exists()
    signed = made.matrix(tmp_path / "two", key=user_key(key))
    server = process.start(made.options(signed, log_rows=0))
    assert ask(server.url, "/v1/models/sums")["signed"] is True
    server.stop()


def test_why_it_would_not_start_is_one_line(bundle, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for how, told in (
            ({"host": "0.0.0.0"}, "set a token"),
            ({"port": port}, "cannot be listened on"),
            ({"port": 99_999}, "a port is a number from 0 to 65535, not 99999"),
        ):
            with pytest.raises(MisuseError, match=told) as error:
                process.start(made.options(bundle, log_rows=0, **how))
            assert "\n" not in str(error.value)


def test_no_bundle_a_changed_one_and_a_model_that_is_none_are_told(bundle, tmp_path):
    options = made.options(bundle, log_rows=0)
    with pytest.raises(MisuseError, match="is no folder of a bundle"):
        process.start(replace(options, bundle=str(tmp_path / "nowhere")))
    schema = bundle.schema
    (bundle.path / "schema.json").write_bytes((bundle.path / "schema.json").read_bytes() + b" ")
    with pytest.raises(MisuseError, match="is not the file that was exported"):
        process.start(options)
    no_model = made.put(tmp_path, "none", b"nonsense", schema)
    with pytest.raises(MisuseError, match="is no ONNX model"):
        process.start(made.options(no_model, log_rows=0))


@pytest.mark.parametrize("text", ["", "nonsense\n", "7\n", "{}\n"])
def test_options_that_are_none_are_told(text):
    done = subprocess.run(
        [sys.executable, "-m", "mlmagic.serving.server"],
        input=text.encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "error" in json.loads(done.stdout)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_once_it_has_answered(tmp_path, number):
    bundle = made.matrix(tmp_path, timing=[{"rows": 1, "seconds": 5.0}])
    server = process.start(made.options(bundle, log_rows=0), lifeline=False)
    client = Client(int(server.url.rpartition(":")[2]))
    asked = request("POST", "/v1/models/sums:predict", {"rows": [[1, 2, 3]] * 3_000})
    client.send(asked)
    while not ask(server.url, "/v1/models/sums")["status"]["rows"]:
        pass
    os.kill(server.pid, number)
    answer = client.answer()
    assert answer.status == 200
    assert len(answer.json["predictions"]) == 3_000
    assert answer.headers["connection"] == "close"
    assert client.answer() is None
    client.close()
    server.stop()
    assert server.status == 0


@pytest.mark.parametrize("host", ["example.org:8080", "http://example.org", "", "a b", "user@example.org", "a:1"])
def test_another_host_is_a_name_alone(host):
    with pytest.raises(MisuseError, match="a host is a name or an address, without http:// and port"):
        check_options(Options(bundle="b", endpoint_id="e", hosts=(host,)))


@pytest.mark.parametrize("host", ["example.org", "10.0.0.7", "::1", "[::1]", "xn--bcher-kva.example"])
def test_names_and_addresses_are_hosts(host):
    check_options(Options(bundle="b", endpoint_id="e", hosts=(host,)))
