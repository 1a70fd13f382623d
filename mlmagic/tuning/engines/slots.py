"""Places for trials: what the user asks for and what this machine has, in; one slot per core or GPU, out."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlmagic.errors import MisuseError

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_PATIENCE = 10.0  # seconds for nvidia-smi, which is slow when a driver wakes up


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one trial at a time."""

    number: int
    device: str = "cpu"
    environment: Mapping[str, str] = field(default_factory=dict)


def slots(workers: int | None, gpus: str, *, wanted: bool) -> tuple[Slot, ...]:
    """The places for trials.

    Parameters
    ----------
    workers : int or None
        How many; ``None``: one for each GPU that is used, else for each core.
    gpus : str
        ``auto``: those there are, where the trials could use one (`wanted`); ``all``, ``none``, or numbers: ``0,2``.

    Raises
    ------
    MisuseError
        Where there are no such GPUs.
    """
    if workers is not None and workers < 1:
        raise MisuseError(f"--workers takes a whole number from 1 on, not {workers}")
    devices = _chosen(gpus, wanted)
    if not devices:
        hidden = {_VISIBLE: "-1"} if gpus == "none" else {}
        return tuple(Slot(number, "cpu", hidden) for number in range(workers or cores()))
    count = workers or len(devices)
    return tuple(
        Slot(number, f"cuda:{devices[number % len(devices)]}", {_VISIBLE: devices[number % len(devices)]})
        for number in range(count)
    )


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _chosen(gpus: str, wanted: bool) -> list[str]:
    if gpus == "none" or (gpus == "auto" and not wanted):
        return []
    there = visible_gpus()
    if gpus in ("auto", "all"):
        if gpus == "all" and not there:
            raise MisuseError("--gpus all: no GPU is visible here")
        return there
    asked = [text.strip() for text in gpus.split(",") if text.strip()]
    if not asked or not all(text.isdigit() for text in asked):
        raise MisuseError(f"--gpus takes all, none, auto, or numbers as in 0,1, not {gpus!r}")
    if missing := [text for text in asked if text not in there]:
        raise MisuseError(f"--gpus: there is no GPU {missing[0]} here; visible: {', '.join(there) or 'none'}")
    return asked


def visible_gpus() -> list[str]:
    """Names under which CUDA would show the GPUs; asks the driver's tool, since asking CUDA would occupy one."""
    told = os.environ.get(_VISIBLE)
    if told is not None:
        return [] if told.strip() in ("", "-1") else [text.strip() for text in told.split(",")]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        answer = subprocess.run(
            [tool, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=_PATIENCE, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):  # no driver behind the tool
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip().isdigit()]
