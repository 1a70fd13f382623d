"""The process around the notebook: environment variables, working folder, import path; package versions and git."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from xxhash import xxh3_128

_GIT_PATIENCE = 2.0  # seconds; a slow file system must not hold up loading

CWD, IMPORT_PATH = "cwd", "sys.path"
HASH_SEED = "hash seed"


def hash_seed() -> str:
    """What stands for the seed of this process's hashes, which the order of sets follows."""
    return format(hash("mlmagic") & 0xFFFF_FFFF_FFFF_FFFF, "016x")


class ProcessSettings:
    """Environment variables, working folder and import path, as digests: values are never written down."""

    def __init__(self) -> None:
        self._plain: tuple[Any, ...] = ()
        self._digests: dict[str, str] = {}

    def digests(self) -> dict[str, str]:
        """Digest of each setting as it is now. Cheap where nothing changed: it happens twice per cell."""
        variables = getattr(os.environ, "_data", os.environ)  # as the system has them, not decoded
        plain = (dict(variables), _working_folder(), list(sys.path))
        if plain != self._plain:
            self._plain = plain
            self._digests = {name: _digest(value) for name, value in os.environ.items()}
            self._digests[CWD] = _digest(plain[1])
            self._digests[IMPORT_PATH] = _digest("\0".join(map(str, sys.path)))
        return self._digests


def _digest(value: str) -> str:
    return xxh3_128(value.encode("utf-8", "surrogateescape")).hexdigest()


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # deleted under our feet
        return ""


def package_versions() -> dict[str, str]:
    """Installed distributions and their versions, from folder names alone (no metadata is opened)."""
    found: dict[str, str] = {}
    for place in sys.path:
        try:
            names = [entry.name for entry in os.scandir(place or ".") if entry.name.endswith(".dist-info")]
        except OSError:
            continue
        for name in names:
            package, _, version = name.removesuffix(".dist-info").rpartition("-")
            found.setdefault(package.lower().replace("_", "-"), version)
    return dict(sorted(found.items()))


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and whether tracked files differ from it; ``(None, None)`` outside a repository."""
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None, None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit or None, None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
