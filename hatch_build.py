"""Build the JupyterLab panel with npm, and put it where JupyterLab looks: from `labextension/` into the wheel.

MLMAGIC_LABEXTENSION=auto (the default): use what is built already and up to date; else build where Node is there; else
say in one line what is missing and install the Python part alone. "require": fail instead (releases). "skip": never
build, take what is there. A tree without `labextension/package.json` has no panel, and nothing is done.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODES = ("auto", "require", "skip")
SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "src", "style", "schema")
PLACE = "share/jupyter/labextensions/mlmagic"
NODE_WANTED = "Node ^20.19 or >=22.12"


class CannotBuildError(RuntimeError):
    """Why the panel could not be built here, in one line."""


class LabextensionHook(BuildHookInterface):
    """Adds the built panel to the wheel's shared data."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each target is built."""
        root = Path(self.root)
        source, output = root / "labextension", root / "mlmagic" / "labextension"
        mode = chosen_mode()
        if not (source / "package.json").exists():
            self.app.display_info("labextension: no sources in this tree, so no panel")
            return
        if mode != "skip" and not is_current(source, output, in_sdist=(root / "PKG-INFO").exists()):
            try:
                npm = usable_npm()
                self.app.display_info("labextension: building with npm")
                build(source, npm)
            except CannotBuildError as reason:
                if mode == "require":
                    raise
                state = "an older build is used" if is_built(output) else "the side panel will be missing"
                self.app.display_warning(f"labextension: {reason}; {state}, everything else is installed")
        if self.target_name == "wheel" and is_built(output):
            shared = build_data.setdefault("shared_data", {})
            shared[str(output)] = PLACE
            shared[str(source / "install.json")] = f"{PLACE}/install.json"


def chosen_mode() -> str:
    mode = os.environ.get("MLMAGIC_LABEXTENSION", "auto")
    if mode not in MODES:
        raise ValueError(f"MLMAGIC_LABEXTENSION: {', '.join(MODES[:-1])} or {MODES[-1]}, not {mode!r}")
    return mode


def is_built(output: Path) -> bool:
    return (output / "package.json").exists()


def is_current(source: Path, output: Path, *, in_sdist: bool) -> bool:
    """Whether there is nothing to rebuild; in an unpacked sdist all files have one time, which says nothing."""
    if not is_built(output):
        return False
    return in_sdist or newest(source / name for name in SOURCES) <= (output / "package.json").stat().st_mtime


def newest(paths: Iterable[Path]) -> float:
    return max((file.stat().st_mtime for file in files_below(paths)), default=0.0)


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from (file for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def build(source: Path, npm: str) -> None:
    """Run npm in `source`; its output goes to standard error."""
    # npm writes this file last, so its time tells whether node_modules is current.
    stamp, lock = source / "node_modules" / ".package-lock.json", source / "package-lock.json"
    installed = stamp.exists() and stamp.stat().st_mtime >= lock.stat().st_mtime
    for step in (["run", "build"],) if installed else (["ci"], ["run", "build"]):
        done = subprocess.run([npm, *step], cwd=source, stdout=sys.stderr, check=False)
        if done.returncode:
            raise CannotBuildError(f"`npm {' '.join(step)}` failed with status {done.returncode}")


def usable_npm() -> str:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise CannotBuildError(f"no Node on the path ({NODE_WANTED} builds the panel)")
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    found = re.match(r"v(\d+)\.(\d+)", shown)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if not ((20, 19) <= version < (21, 0) or version >= (22, 12)):
        raise CannotBuildError(f"Node {shown or 'of unknown version'} is too old ({NODE_WANTED} builds the panel)")
    return npm
