"""What a test asks of sweeps: cells that search, rows of the store, and the processes and folders they leave."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlmagic.records import Measure, Sweep, Trial
from mlmagic.store import Store
from tests.kernel.kernels import Kernel, Reply

MARK = "SWEEP_TEST_MARK"  # in the environment of a kernel, and so of all that it starts
CALM = "--sampler random"


def searching(body: str, options: str = "--trials 3", name: str = "") -> str:
    """The cell of a sweep that maximises `score`."""
    return f"%%sweep {name} --maximize score {CALM} {options}\n{body}"


def search(kernel: Kernel, body: str, options: str = "--trials 3", name: str = "", **how: Any) -> Reply:
    """Run such a cell; it must not fail, nor complain."""
    reply = kernel.good(searching(body, options, name), **how)
    assert reply.complaints == ""
    return reply


def shown(reply: Reply) -> list[dict[str, Any]]:
    """The states of the one display that a cell updated, each by media type."""
    made = [one for one in reply.outputs if one["msg_type"] in ("display_data", "update_display_data")]
    assert len({one["content"]["transient"]["display_id"] for one in made}) == 1
    assert [one["msg_type"] for one in made].count("display_data") == 1
    return [one["content"]["data"] for one in made]


def one_line(reply: Reply) -> str:
    """The line that a user's mistake is told in; nothing else is told."""
    assert reply.status == "error"
    (line,) = reply.complaints.strip().splitlines()
    assert line.startswith("UsageError: ")
    assert reply.traceback.strip().count("\n") == 0
    assert not reply.printed
    return line.removeprefix("UsageError: ")


@dataclass(frozen=True)
class Searched:
    """One sweep as another process reads it."""

    sweep: Sweep
    trials: list[Trial]
    reports: list[Measure]

    @classmethod
    def all(cls, folder: Path) -> list[Searched]:
        store = Store(folder / ".mlmagic")
        try:
            return [cls(row, store.trials(row.sweep_id), store.reports(row.sweep_id)) for row in store.sweeps()]
        finally:
            store.close()

    @classmethod
    def last(cls, folder: Path, name: str | None = None) -> Searched:
        return [one for one in cls.all(folder) if name in (None, one.sweep.name)][-1]

    @property
    def states(self) -> list[str]:
        return [trial.status for trial in self.trials]

    @property
    def errors(self) -> list[str]:
        return [trial.error for trial in self.trials if trial.error is not None]

    def params(self, name: str) -> list[Any]:
        return [trial.params.get(name) for trial in self.trials]

    def with_status(self, status: str) -> list[Trial]:
        return [trial for trial in self.trials if trial.status == status]


# -- what is left behind ---------------------------------------------------------------------------


def processes(mark: str) -> dict[int, str]:
    """Process -> its command line, of all that carry a kernel's mark; not the kernel itself."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (told := _told(entry, mark)):
            found[int(entry.name)] = told
    return {pid: line for pid, line in found.items() if "ipykernel_launcher" not in line}


def _told(entry: Path, mark: str) -> str:
    try:
        if f"{MARK}={mark}\0".encode() not in (entry / "environ").read_bytes():
            return ""
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:  # it ended meanwhile
        return ""


def server(mark: str) -> int:
    """The process that a running sweep's workers are forked from: the one in a session of its own."""
    found = [pid for pid, line in processes(mark).items() if "engines.server" in line and os.getsid(pid) == pid]
    return min(pid for pid in found if os.getpgid(pid) == pid)


def scratch(mark: str) -> Path:
    """The folder of a running sweep."""
    return Path(Path(f"/proc/{server(mark)}/cmdline").read_bytes().split(b"\0")[-2].decode())
