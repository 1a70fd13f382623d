"""What all tests share: a home of their own, real data, real kernels, a JupyterLab server and a browser page."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest

# A busy machine makes single examples slow; the timeout of the whole test is the limit.
hypothesis.settings.register_profile("mlmagic", deadline=None)
hypothesis.settings.load_profile("mlmagic")

KEPT = ("MLMAGIC_TEST_DATA", "MLMAGIC_BROWSER", "MLMAGIC_LABEXTENSION", "MLMAGIC_SCREENSHOTS")


def user_folders(home: Path) -> dict[str, str]:
    """Environment variables that keep IPython and Jupyter away from the settings of whoever runs the tests."""
    names = {
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "run",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "MPLCONFIGDIR": "matplotlib",
    }
    return {variable: str(home / folder) for variable, folder in names.items()}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands for the user's settings; one for all tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def isolated(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in an empty folder, so a `.mlmagic` of its own, without our environment variables."""
    for variable in [name for name in os.environ if name.startswith("MLMAGIC_") and name not in KEPT]:
        monkeypatch.delenv(variable)
    for variable, folder in user_folders(home).items():
        monkeypatch.setenv(variable, folder)
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # a kernel would print a remark on frozen modules
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real data sets; skips where there is none."""
    named = os.environ.get("MLMAGIC_TEST_DATA")
    if not named:
        pytest.skip("MLMAGIC_TEST_DATA names no folder with data sets")
    if not (folder := Path(named)).is_dir():
        pytest.fail(f"MLMAGIC_TEST_DATA names {named}, which is no folder")
    return folder.resolve()


@pytest.fixture
def open_files_end_here() -> Iterator[None]:
    """For tests whose cells leave files open: they are closed with the test, and without a warning."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


# Kernels


@pytest.fixture(scope="module")
def keeping_all(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of kernels that keep everything, and sign with a key of these tests alone."""
    key = tmp_path_factory.mktemp("user") / "key"
    return user_folders(home) | {
        "MLMAGIC_REUSE": "on",
        "MLMAGIC_REUSE_MIN_SECONDS": "0",
        "MLMAGIC_KEY_FILE": str(key),
    }


@pytest.fixture
def run_cells(tmp_path: Path) -> Callable[..., Any]:
    """`run_cells(cells, ...)`: the executed notebook, run headless in a fresh kernel of this interpreter.

    Parameters
    ----------
    cells : sequence of str
        The text of the code cells. Like nbclient, papermill and nbconvert, this sends no cell ids.
    cwd : path, default the test's own folder
    allow_errors : bool, default False
        Go on after a failing cell; its error is among its outputs.
    env : mapping, default none
        Added to the kernel's environment.
    timeout : seconds for each cell, default 60
    """
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")

    def run(
        cells: Sequence[str],
        *,
        cwd: Path | None = None,
        allow_errors: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: int = 60,
    ) -> Any:
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
        client = nbclient.NotebookClient(
            book,
            km=kernel_of_this_interpreter(),
            timeout=timeout,
            allow_errors=allow_errors,
            resources={"metadata": {"path": str(cwd or tmp_path)}},
        )
        # A loop of our own, closed at once: nbclient's synchronous entry leaves one open until interpreter exit. And a
        # manager that was handed in is ended only on request (cleanup_kc).
        asyncio.run(client.async_execute(cleanup_kc=True, env={**os.environ, **(env or {})}))
        return book

    return run


def kernel_of_this_interpreter() -> Any:
    """A kernel manager that starts ipykernel with `sys.executable`, whatever kernel specifications are installed."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class OnlyThisInterpreter(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=command, display_name=kernel_name, language="python")

    return AsyncKernelManager(kernel_name="python3", kernel_spec_manager=OnlyThisInterpreter())


# JupyterLab and the browser


class Lab(NamedTuple):
    """A running JupyterLab: its address, the token that opens it, and the folder it serves."""

    url: str
    token: str
    folder: Path


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A JupyterLab of this test alone, on loopback, that reads no settings of this user."""
    pytest.importorskip("jupyterlab")
    lab = Lab(f"http://127.0.0.1:{free_port()}", secrets.token_hex(16), tmp_path / "work")
    lab.folder.mkdir()
    log = tmp_path / "lab.log"
    with log.open("wb") as stream:
        command, env = lab_command(lab, tmp_path / "state"), {**os.environ, **user_folders(tmp_path / "state")}
        server = subprocess.Popen(command, env=env, stdout=stream, stderr=stream)
        try:
            wait_until_it_answers(lab, server, log)
            yield lab
        finally:
            stop(server)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lab_command(lab: Lab, state: Path) -> list[str]:
    app_settings = state / "app-settings"
    app_settings.mkdir(parents=True)
    # JupyterLab's question about news would cover the page's lower right corner.
    quiet = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}
    (app_settings / "overrides.json").write_text(json.dumps(quiet))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"]
    command += [f"--port={lab.url.rpartition(':')[2]}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={lab.token}", f"--ServerApp.root_dir={lab.folder}"]
    command += ["--LabApp.expose_app_in_browser=True", f"--LabApp.app_settings_dir={app_settings}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return command


def wait_until_it_answers(lab: Lab, server: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"{lab.url}/api/status?token={lab.token}", timeout=2):
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail("JupyterLab did not start:\n" + log.read_text()[-3000:])
            time.sleep(0.3)


def stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@pytest.fixture
def browser_page() -> Iterator[Any]:  # not "page": that is pytest-playwright's, where it is installed
    """A headless page; `browser_page.outside` collects what it asked of any host but our server."""
    api = pytest.importorskip("playwright.sync_api")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run".split()
    flags += "--disable-background-networking --disable-component-update --disable-sync".split()
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path(), args=flags)
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.outside = []
        page.on("request", lambda request: None if is_local(request.url) else page.outside.append(request.url))
        yield page
        browser.close()


def browser_path() -> str:
    """The Chromium that MLMAGIC_BROWSER names, or the system's; skips where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("MLMAGIC_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    return found or pytest.skip("no Chromium found; name one in MLMAGIC_BROWSER")


def is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
