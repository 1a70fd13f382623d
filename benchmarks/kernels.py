"""The same cells in fresh kernels: plain, with mlmagic, with a peer; timed from request to reply."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jupyter_client.manager import KernelManager


class TimedKernel:
    """A kernel of any interpreter that tells how long its cells took."""

    def __init__(self, python: str, extension: str | None, folder: str) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.kernel_spec.argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self._manager.start_kernel(cwd=folder, stderr=open(Path(folder) / "kernel.log", "w"))  # noqa: SIM115
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        if extension:
            self.run(f"%load_ext {extension}")

    def run(self, code: str) -> float:
        """Seconds from request to reply.

        Raises
        ------
        RuntimeError
            The cell failed.
        """
        started = time.perf_counter()
        reply = self._client.execute_interactive(code, output_hook=lambda message: None, timeout=600)
        seconds = time.perf_counter() - started
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"{code[:60]!r} failed: {reply['content'].get('evalue')}")
        return seconds

    def begin(self, code: str) -> None:
        """Send a cell without waiting for its end; the next `run` waits for it."""
        self._client.execute(code, stop_on_error=False)  # or an interrupt would end what is sent next, too

    def interrupt(self) -> None:
        """What the stop button does."""
        self._manager.interrupt_kernel()

    def value(self, expression: str) -> str:
        """The `repr` of an expression in the kernel."""
        message = self._client.execute("", user_expressions={"it": expression}, silent=True, reply=True, timeout=60)
        return str(message["content"]["user_expressions"]["it"]["data"]["text/plain"])

    def median(self, cells: Sequence[str]) -> float:
        return statistics.median(self.run(cell) for cell in cells)

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@contextmanager
def kernel(extension: str | None = None, python: str = sys.executable) -> Iterator[TimedKernel]:
    """A fresh kernel in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        made = TimedKernel(python, extension, folder)
        try:
            yield made
        finally:
            made.close()
