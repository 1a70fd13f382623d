"""Peers to run beside us: installed into an environment of their own, or named with the reason why not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
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
    packages = ["ipyflow-core", "ipykernel", "numpy", "pandas"]
    python, trouble = installed("ipyflow", packages, "import ipyflow, ipykernel, pandas")
    if python is None:
        return Peer("ipyflow", "ipyflow", None, f"ipyflow did not install: {trouble[:60]}")
    return Peer("ipyflow", "ipyflow", python)


def installed(name: str, packages: Sequence[str], probe: str) -> tuple[str | None, str]:
    """The interpreter of an environment of a peer's own, made where there is none; else ``None`` and the reason.

    Parameters
    ----------
    probe : str
        Python that succeeds where everything is there.
    """
    home = _HOME / name
    python = home / "bin" / "python"
    trouble = "" if _works(python, probe) else _install(name, home, packages)
    return (str(python), "") if _works(python, probe) else (None, trouble)


def _works(python: Path, probe: str) -> bool:
    return python.exists() and subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0


def _install(name: str, home: Path, packages: Sequence[str]) -> str:
    """What pip said last, where it failed."""
    print(f"installing {name} beside us …", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    command = [str(home / "bin" / "python"), "-m", "pip", "install", "-q", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stderr.strip().splitlines() or [""])[-1]
