"""Peers to run beside us: installed into an environment of their own, or named with the reason why not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_HOME = Path(sys.prefix) / "peers"


@dataclass(frozen=True, slots=True)
class Peer:
    """An extension with a similar aim.

    Attributes
    ----------
    python : str or None
        Its interpreter; ``None`` where it did not install.
    why : str
        What to write where its figure is missing.
    """

    name: str
    extension: str
    python: str | None
    why: str = ""


def ipyflow() -> Peer:
    """ipyflow, the reactive kernel that tracks symbols: the nearest peer there is."""
    home = _HOME / "ipyflow"
    python = home / "bin" / "python"
    trouble = "" if _works(python) else _install(home, python)
    if not _works(python):
        return Peer("ipyflow", "ipyflow", None, f"ipyflow did not install: {trouble[:60]}")
    return Peer("ipyflow", "ipyflow", str(python))


def _works(python: Path) -> bool:
    command = [str(python), "-c", "import ipyflow, ipykernel, pandas"]
    return python.exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0


def _install(home: Path, python: Path) -> str:
    """What pip said last, where it failed."""
    print("installing ipyflow beside us …", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    command = [str(python), "-m", "pip", "install", "-q", "ipyflow-core", "ipykernel", "numpy", "pandas"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stderr.strip().splitlines() or [""])[-1]
