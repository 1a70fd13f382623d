"""`mlmagic serve`: a bundle on a machine that has no notebook, no database and no data frames."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlmagic.store import Store
from tests.kernel.kernels import command
from tests.unit.serving import made

BLOCKED = ("IPython", "duckdb", "pandas", "sklearn", "anywidget", "ipywidgets", "traitlets")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return made.columns(tmp_path_factory.mktemp("bundle")).path


@contextmanager
def serving(folder: Path, *arguments: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A server in the foreground, and the two lines that it begins with."""
    code = (
        f"import sys\nfor name in {BLOCKED!r}: sys.modules[name] = None\nfrom mlmagic.cli import main\nsys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env},
    )  # fmt: skip
    with process:
        try:
            yield process, [process.stdout.readline(), process.stdout.readline()]
        finally:
            process.send_signal(signal.SIGINT)


def url_in(lines: list[str]) -> str:
    return re.search(r"http://[\d.]+:\d+", lines[0])[0]


def ask(url: str, rows: list[dict], token: str | None = None) -> dict:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{url}/v1/models/towns:predict", json.dumps({"rows": rows}).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


ROW = {"size in m": 1.5, "count": 2, "flag": True, "town": "Köln"}


def test_it_answers_with_nothing_of_the_notebook_installed_and_ends_at_ctrl_c(bundle, tmp_path):
    with serving(tmp_path, str(bundle)) as (process, lines):
        assert lines[0].startswith("towns ")
        assert lines[0].rstrip().endswith("predictions are not logged; Ctrl-C stops it")
        assert ask(url_in(lines), [ROW])["predictions"] == [{"prediction": 6.0, "label": "Köln"}]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


def test_the_line_that_it_prints_can_be_pasted(bundle, tmp_path):
    with serving(tmp_path, str(bundle), MLMAGIC_SERVE_TOKEN="open sesame") as (_, lines):
        words = shlex.split(lines[1])
        assert words[0] == "curl"
        assert words[1:3] == ["-H", "Authorization: Bearer $MLMAGIC_SERVE_TOKEN"]
        assert "open sesame" not in "".join(lines)
        assert words[3] == f"{url_in(lines)}/v1/models/towns:predict"
        (row,) = json.loads(words[words.index("-d") + 1])["rows"]
        assert ask(url_in(lines), [row], "open sesame")["predictions"][0]["label"] == "Ulm"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(url_in(lines), [row])


def test_predictions_go_to_the_project_that_is_named(bundle, tmp_path):
    project = tmp_path / "project"
    with serving(tmp_path, str(bundle), "--log", str(project)) as (process, lines):
        assert str(project / "journal") in lines[0]
        ask(url_in(lines), [ROW, ROW])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    store = Store(project)
    assert [row.inputs["town"] for row in store.predictions(store.endpoints()[0].endpoint_id, 10)] == ["Köln"] * 2
    assert store.endpoints()[0].ended_at is not None
    assert store.endpoints()[0].session_id is None
    store.close()


def test_a_project_in_the_folder_is_logged_to_unless_told_otherwise(bundle, tmp_path):
    (tmp_path / ".mlmagic" / "journal").mkdir(parents=True)
    with serving(tmp_path, str(bundle)) as (_, lines):
        assert str(tmp_path / ".mlmagic" / "journal") in lines[0]
    with serving(tmp_path, str(bundle), "--no-log") as (_, lines):
        assert "not logged" in lines[0]


def test_it_says_where_else_it_is_reached(bundle, tmp_path):
    with serving(tmp_path, str(bundle), "--host", "0.0.0.0", MLMAGIC_SERVE_TOKEN="open sesame") as (_, lines):
        assert "and all other addresses of this machine" in lines[0]
        assert ask(url_in(lines), [ROW], "open sesame")["predictions"][0]["label"] == "Köln"


def test_a_port_that_is_taken_is_told_in_the_systems_words(bundle, tmp_path):
    with serving(tmp_path, str(bundle)) as (_, lines):
        port = url_in(lines).rpartition(":")[2]
        done = command("serve", str(bundle), "--port", port, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip() == f"mlmagic: 127.0.0.1:{port} cannot be listened on: {os.strerror(errno.EADDRINUSE)}"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nobody"], "no bundle 'nobody'"),
        (["{bundle}", "--host", "0.0.0.0"], "set a token"),
        (["{bundle}", "--log", "x", "--no-log"], "--log and --no-log contradict each other"),
        (["{bundle}", "--port", "99999"], "a port is a number from 0"),
        (["{bundle}", "--slo-ms", "0"], "--slo-ms takes a number of milliseconds above 0"),
        (["{bundle}", "--token", ""], "the token is empty"),
        (["{bundle}", "--allow-host", "example.org:80"], "a host is a name or an address, without http:// and port"),
    ],
)
def test_mistakes_are_one_line_and_exit_status_1(bundle, tmp_path, arguments, expected):
    done = command("serve", *(argument.format(bundle=bundle) for argument in arguments), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("mlmagic: ")
    assert expected in line


def test_a_bundle_that_was_tampered_with_is_not_served(tmp_path):
    bundle = made.columns(tmp_path)
    (bundle.path / "model.onnx").write_bytes(b"x")
    done = command("serve", str(bundle.path), cwd=tmp_path)
    assert done.returncode == 1
    assert "is not the file that was exported: export the bundle again" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_tells_the_options(tmp_path):
    done = command("serve", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for option in ("--host", "--port", "--token", "--allow-host", "--slo-ms", "--trust", "--log", "--no-log"):
        assert option in done.stdout
