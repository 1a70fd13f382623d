"""A real kernel that a test talks to cell by cell, and the rows that another process would read of it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager

from mlmagic.records import Execution, History
from mlmagic.store import Store

LOAD = "%load_ext mlmagic"


@dataclass
class Reply:
    """What one cell came to, as a front end sees it."""

    status: str
    count: int | None
    outputs: list[dict[str, Any]] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)
    comms: list[dict[str, Any]] = field(default_factory=list)  # messages to pages, which nobody sees as outputs

    def stream(self, name: str) -> str:
        return "".join(made["content"]["text"] for made in self.outputs if made["content"].get("name") == name)

    @property
    def printed(self) -> str:
        return self.stream("stdout")

    @property
    def complaints(self) -> str:
        return self.stream("stderr")

    @property
    def faces(self) -> dict[str, Any]:
        """The displayed result, by media type."""
        (data,) = [made["content"]["data"] for made in self.outputs if made["msg_type"] == "execute_result"] or [{}]
        return dict(data)

    @property
    def text(self) -> str:
        return str(self.faces.get("text/plain", ""))

    @property
    def error(self) -> str | None:
        return f"{self.content['ename']}: {self.content['evalue']}" if self.status == "error" else None

    @property
    def traceback(self) -> str:
        return "\n".join(self.content.get("traceback", ()))


class _ThisInterpreter(KernelSpecManager):
    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name=kernel_name, language="python")


class Kernel:
    """A kernel of this interpreter, in its own folder; `with Kernel(folder) as kernel:`."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None, load: bool = True) -> None:
        self.folder = folder
        self._manager = KernelManager(kernel_name="python3", kernel_spec_manager=_ThisInterpreter())
        self._start: dict[str, Any] = {
            "cwd": str(folder), "env": surroundings(env), "extra_arguments": list(arguments)
        }  # fmt: skip
        self._load = load

    def __enter__(self) -> Kernel:
        self._manager.start_kernel(**self._start)
        self._connect()
        if self._load:
            self.run(LOAD)
        return self

    def _connect(self) -> None:
        self.client = self._manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def __exit__(self, *error: object) -> None:
        self.client.stop_channels()
        self._manager.shutdown_kernel(now=not self._manager.is_alive())
        self._manager.cleanup_resources()
        context = self._manager.context
        if context is not None and not context.closed:
            context.destroy(linger=0)

    # -- cells -------------------------------------------------------------------------------

    def send(self, code: str, *, cell_id: str | None = None, **options: Any) -> str:
        """Send a cell and do not wait; the id of its message."""
        content = {
            "code": plain(code), "silent": False, "store_history": True,
            "user_expressions": {}, "allow_stdin": False, "stop_on_error": True, **options,
        }  # fmt: skip
        metadata = {"cellId": cell_id} if cell_id else {}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def run(self, code: str, *, timeout: float = 60, **options: Any) -> Reply:
        return self.wait(self.send(code, **options), timeout)

    def good(self, code: str, **options: Any) -> Reply:
        """Run a cell that must not fail."""
        reply = self.run(code, **options)
        assert reply.status == "ok", reply.traceback
        return reply

    def wait(self, message: str, timeout: float = 60) -> Reply:
        deadline = time.monotonic() + timeout
        outputs: list[dict[str, Any]] = []
        comms: list[dict[str, Any]] = []
        while True:
            made = self.client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            if made["parent_header"].get("msg_id") != message:
                continue
            if made["msg_type"] == "status" and made["content"]["execution_state"] == "idle":
                break
            if made["msg_type"] not in ("status", "execute_input"):
                (comms if made["msg_type"].startswith("comm_") else outputs).append(made)
        while True:
            reply = self.client.get_shell_msg(timeout=max(0.1, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == message:
                content = reply["content"]
                return Reply(content["status"], content.get("execution_count"), outputs, content, comms)

    def wait_for_print(self, message: str, text: str, timeout: float = 30) -> None:
        """Until the cell has printed `text`."""
        seen = ""
        deadline = time.monotonic() + timeout
        while text not in seen:
            made = self.client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            if made["parent_header"].get("msg_id") == message:
                assert not (made["msg_type"] == "status" and made["content"]["execution_state"] == "idle"), seen
                seen += made["content"].get("text", "")

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        self.client.stop_channels()
        self._manager.restart_kernel(now=False)
        self._connect()
        if self._load:
            self.run(LOAD)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._manager.signal_kernel(9)
        while self._manager.is_alive():
            time.sleep(0.02)

    def complete(self, code: str) -> list[str]:
        message = self.client.complete(code, len(code))
        while True:
            reply = self.client.get_shell_msg(timeout=30)
            if reply["parent_header"].get("msg_id") == message:
                return list(reply["content"]["matches"])

    # -- what others can read ----------------------------------------------------------------

    def rows(self) -> Rows:
        return Rows.of(self.folder)


def plain(code: str) -> str:
    """A cell as it would be typed: without the indentation of a test's text in triple quotes."""
    return textwrap.dedent(code).strip("\n") if code.startswith("\n        ") else code


@dataclass(frozen=True)
class Rows:
    """The store of a folder, asked in the words of the tests."""

    history: History

    @classmethod
    def of(cls, folder: Path) -> Rows:
        store = Store(folder / ".mlmagic")
        try:
            return cls(store.history())
        finally:
            store.close()

    @property
    def cells(self) -> list[Execution]:
        """All executions but `before`."""
        return [row for row in self.history.executions if row.name != "before"]

    @property
    def last(self) -> Execution:
        return self.cells[-1]

    def with_source(self, part: str) -> Execution:
        (found,) = [row for row in self.cells if part in row.source]
        return found

    def writes(self, of: Execution, kind: str | None = "variable") -> dict[str, str]:
        """Name -> how, of what an execution left behind."""
        how = {row.version_id: row.how for row in self.history.writes if row.execution_id == of.execution_id}
        return {row.name: how[row.version_id] for row in self._versions(kind) if row.version_id in how}

    def reads(self, of: Execution, kind: str | None = "variable") -> set[str]:
        read = {row.version_id for row in self.history.reads if row.execution_id == of.execution_id}
        return {row.name for row in self._versions(kind) if row.version_id in read}

    def makers(self, of: Execution, name: str) -> set[str]:
        """The sources of the executions that made what `of` read under this name."""
        read = {row.version_id for row in self.history.reads if row.execution_id == of.execution_id}
        made = {row.execution_id for row in self._versions(None) if row.version_id in read and row.name == name}
        return {row.source for row in self.history.executions if row.execution_id in made}

    def _versions(self, kind: str | None) -> list[Any]:
        return [row for row in self.history.versions if kind is None or row.kind == kind]

    def edges(self) -> set[tuple[str, str, str]]:
        """(written, how, cell's first line) and (read, 'r', …): lineage by names alone."""
        found = set()
        for row in self.cells:
            found |= {(name, how, row.source) for name, how in self.writes(row, None).items()}
            found |= {(name, "read", row.source) for name in self.reads(row, None)}
        return found


def command(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The `mlmagic` command, as the shell would run it."""
    line = [sys.executable, "-W", "error", "-m", "mlmagic.cli", *arguments]
    return subprocess.run(
        line, cwd=cwd, env=surroundings(env), capture_output=True, text=True, check=False, timeout=120
    )


def script(text: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A plain Python script, run from its folder."""
    place = cwd / "script.py"
    place.write_text(textwrap.dedent(text).lstrip("\n"))
    line = [sys.executable, str(place)]
    return subprocess.run(line, cwd=cwd, env=surroundings(env), capture_output=True, text=True, check=False)


def surroundings(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that does not know of pytest: ipykernel behaves otherwise where it sees that."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"} | dict(more or {})


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
