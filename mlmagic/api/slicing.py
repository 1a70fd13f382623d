"""`mlmagic.slice`: the smallest script that recreates something, and the proof that it does."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlmagic.api._projects import find_project, history, open_store
from mlmagic.errors import MisuseError
from mlmagic.fingerprint import file_fingerprint
from mlmagic.fingerprint.compare import Difference, Part, difference
from mlmagic.graph import slicing
from mlmagic.records import History, Version
from mlmagic.results import Result
from mlmagic.session import active
from mlmagic.session.project import Project
from mlmagic.views import code

__all__ = ["Slice", "Verdict", "slice"]


@dataclass(frozen=True, repr=False)
class Verdict(Result):
    """Whether a slice, run afresh, gave the same value."""

    target: str
    verdict: str  # same, close, different
    detail: str
    seconds: float
    notes: tuple[str, ...] = ()
    output: str = ""  # the end of what the script printed, where it was stopped

    def text(self) -> str:
        words = f"{self.verdict} ({self.detail})" if self.detail else self.verdict
        lines = [f"{self.target}: {words}, in {self.seconds:.1f} s", *self.notes]
        return "\n".join([*lines, self.output] if self.output else lines)

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("target", "verdict", "detail", "seconds", "notes")}

    def to_pandas(self) -> Any:
        import pandas as pd

        return pd.DataFrame([self.to_dict()])


@dataclass(frozen=True, repr=False)
class Slice(Result):
    """A script that recreates a target from its inputs."""

    plan: slicing.SlicePlan
    source: str
    document: dict[str, Any]  # the same as a notebook
    project: Project

    @property
    def target(self) -> str:
        """The variable that the script ends up with; a cell's name where the cell was asked for."""
        found = self.plan.target
        return found.name if isinstance(found, Version) else found.name or f"[{found.execution_count}]"

    def text(self) -> str:
        return self.source

    def to_dict(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "source": self.source,
            "executions": [row.execution_id for row in self.plan.executions],
            "inputs": [version.name for version in self.plan.inputs],
            "left_out": list(self.plan.left_out),
        }

    def to_pandas(self) -> Any:
        import pandas as pd

        rows = self.plan.executions
        return pd.DataFrame(
            {
                "execution_id": [row.execution_id for row in rows],
                "execution_count": [row.execution_count for row in rows],
                "name": [row.name for row in rows],
                "source": [row.source for row in rows],
            }
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the slice as ``.py`` or ``.ipynb``, by the name's ending."""
        place = Path(path)
        if place.suffix not in (".py", ".ipynb"):
            raise MisuseError(f"a slice is saved as .py or .ipynb, not {place.name!r}")
        text = json.dumps(self.document, indent=1) + "\n" if place.suffix == ".ipynb" else self.source
        try:
            place.write_text(text, encoding="utf-8")
        except OSError as error:
            raise MisuseError(f"{place} cannot be written: {error.strerror or type(error).__name__}") from None
        return place

    def run(self) -> Verdict:
        """Execute the script in a fresh process and a scratch folder, and compare what it makes.

        Returns
        -------
        Verdict
            ``same``: equal content; ``close``: numbers differ by rounding; ``different``: with the first
            path that differs, or what stopped the script.

        Raises
        ------
        MisuseError
            The target is a cell or a file rather than a variable.
        """
        if not isinstance(self.plan.target, Version) or self.plan.target.kind != "variable":
            raise MisuseError(f"running a slice compares a variable: name one that {self.target} made")
        with tempfile.TemporaryDirectory(prefix="mlmagic-slice-") as scratch:
            notes = _link_inputs(self.plan, self.project, Path(scratch))
            started = time.perf_counter()
            report, output = _replay(self.source, self.target, Path(scratch))
            seconds = time.perf_counter() - started
        found = _judge(self.plan.target, report)
        return Verdict(self.target, *found, seconds, notes, output if "stopped" in report else "")


code.register(Slice, "python")


def slice(target: str) -> Slice:
    """The smallest script that recreates `target`.

    Parameters
    ----------
    target : str
        As for :func:`mlmagic.lineage`; what a cell, rather than a file from outside, has made.

    Raises
    ------
    UnknownNameError, MisuseError
        Nothing recorded is called that, or no cell made it.
    """
    rows = _as_python(history())
    plan = slicing.plan(rows, target, {row.execution_id: frozenset(row.write_lines) for row in rows.executions})
    project = find_project()
    with open_store() as store:
        sessions = {about.session_id: about for about in store.sessions()}
    about = sessions.get(plan.producer.session_id)
    text = slicing.script(plan, project.artifact, about)
    return Slice(plan, text, slicing.notebook(plan, project.artifact, about), project)


def _link_inputs(plan: slicing.SlicePlan, project: Project, scratch: Path) -> tuple[str, ...]:
    """Link what the script reads into the scratch folder; tells what is missing or has changed since."""
    notes = []
    for version in plan.inputs:
        source = project.root / version.name
        if not source.exists():
            notes.append(f"input {version.name} is gone")
            continue
        if version.fingerprint and file_fingerprint(source)[0] != version.fingerprint:
            notes.append(f"input {version.name} has changed since")
        _link(source, scratch, version.name)
    for version in plan.surroundings:
        if version.kind == "module" and version.preview:
            _link(project.root / version.preview, scratch, version.preview)
    return tuple(notes)


def _link(source: Path, scratch: Path, name: str) -> None:
    place = scratch / name
    if Path(name).is_absolute() or ".." in Path(name).parts or not source.exists() or place.exists():
        return  # found where it is
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(source)


def _replay(source: str, target: str, scratch: Path) -> tuple[dict[str, Any], str]:
    house = scratch / ".slice"
    house.mkdir()
    script, report = house / "slice.py", house / "report.pickle"
    script.write_text(source)
    (house / "tmp").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path and os.path.isdir(path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(house / "tmp"),
        "MPLCONFIGDIR": str(house / "tmp"),
        "MPLBACKEND": "agg",
    }
    command = [sys.executable, "-m", "mlmagic.session.replay", str(script), target, str(report)]
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, check=False)
    if not report.exists():
        return {"stopped": f"the process ended with status {done.returncode}"}, done.stderr[-2000:]
    with report.open("rb") as file:
        return pickle.load(file), (done.stdout + done.stderr)[-2000:]  # written by our own child, just now


def _judge(target: Any, report: dict[str, Any]) -> tuple[str, str]:
    if "stopped" in report:
        return "different", f"stopped: {report['stopped']}"
    recorded = target.fingerprint if isinstance(target, Version) else None
    if recorded is not None and report["fingerprint"] == recorded:
        return "same", ""
    mine = _live_parts(target)
    if mine is None:
        return "different", "its content is another than the one recorded"
    found = difference(mine, report["parts"])
    return found.verdict, _detail(found)


def _live_parts(target: Any) -> list[Part] | None:
    """The recorded value itself, where the kernel still holds it."""
    session = active()
    if session is None or not isinstance(target, Version):
        return None
    return session.recorder.parts_of(target.version_id, target.name)


def _detail(found: Difference) -> str:
    if found.verdict == "close":
        return f"max difference {found.largest:.2g}"
    return f"first at {found.path}" if found.path else ""


def _as_python(rows: History) -> History:
    """The same rows, with the code in the place of commands of ours that leave behind what this code would."""
    executions = tuple(row if row.code is None else replace(row, source=row.code) for row in rows.executions)
    return replace(rows, executions=executions)
