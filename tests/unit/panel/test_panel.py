"""Where the panel can do nothing it does nothing; what is cancelled, and what to say where nothing runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from mlmagic.api.resuming import vault_of
from mlmagic.errors import MisuseError
from mlmagic.panel.cancel import Cancel
from mlmagic.panel.panel import Panel
from mlmagic.records import Sweep
from mlmagic.session import Session
from mlmagic.session.settings import settings


@pytest.fixture
def session(tmp_path):
    return Session({}, tmp_path / ".mlmagic", settings())


@pytest.fixture
def idle():
    """The main thread ignores interrupts, as ipykernel's does between cells."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def test_without_a_kernel_there_is_no_panel(session):
    threads = threading.active_count()
    panel = Panel(SimpleNamespace(), session)
    panel.install()
    assert (session.pages, session.listeners, session.watchers) == (None, [], [])
    assert threading.active_count() == threads
    panel.remove()


def test_loading_the_extension_loads_nothing_that_only_pages_need():
    names = ("numpy", "mlmagic.panel.feed", "mlmagic.views", "mlmagic.api")
    code = f"import sys, mlmagic.extension; print(*(name for name in {names} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_where_nothing_runs_nothing_is_cancelled(session, idle):
    with pytest.raises(MisuseError, match="no cell is running"):
        Cancel(session)()


def test_a_running_cell_is_interrupted(session):
    with pytest.raises(KeyboardInterrupt):
        interrupted(Cancel(session))


def interrupted(cancel):
    assert cancel() == "the cell is interrupted"
    threading.Event().wait(10)


def sweep(status):
    return Sweep("s1", None, "tiny", {}, "auc", "maximize", status, 0.0)


def test_a_running_sweep_is_asked_to_stop_first(session):
    cancel, wish = Cancel(session), vault_of(session.project, "s1").wish
    wish.parent.mkdir(parents=True)
    cancel.noticed(sweep("running"))
    assert "sweep tiny stops" in cancel()
    assert wish.exists()
    with pytest.raises(KeyboardInterrupt):
        interrupted(cancel)


@pytest.mark.usefixtures("idle")
def test_a_sweep_that_is_over_is_not_asked(session):
    cancel = Cancel(session)
    cancel.noticed(sweep("running"))
    cancel.noticed(sweep("finished"))
    with pytest.raises(MisuseError):
        cancel()
    cancel.noticed(sweep("running"))
    cancel.over()  # its cell ended, whatever became of it
    with pytest.raises(MisuseError):
        cancel()
