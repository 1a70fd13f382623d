"""The project directory: made when first needed, never in the way when it cannot be."""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

_IGNORE = "# made by mlmagic: history of this project's notebooks; deleting it loses history, nothing else\n*\n"


@dataclass(frozen=True, slots=True)
class Project:
    """Where a session's journal, database and artifacts lie.

    Attributes
    ----------
    folder : Path
        The ``.mlmagic`` directory.
    root : Path
        The folder that file names are told relative to.
    problem : str or None
        Why `folder` is a temporary one, in one line.
    """

    folder: Path
    root: Path
    problem: str | None = None

    @property
    def journals(self) -> Path:
        return self.folder / "journal"

    def keep_state(self, fingerprint: str, text: str) -> str | None:
        """Store the state of a random generator once; returns its path below ``artifacts``."""
        name = f"random/{fingerprint}"
        path = self.folder / "artifacts" / name
        if not path.exists():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_atomically(path, text)
            except OSError:
                return None  # a full disk: the version goes without, its journal line tells so
        return name

    def artifact(self, name: str) -> str:
        """The text of a stored artifact."""
        return (self.folder / "artifacts" / name).read_text()


def folder_bytes(folder: Path) -> int:
    """What the files below a folder hold; others may remove some of them meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            state = path.stat()
        except OSError:  # gone between being listed and being looked at
            continue
        total += state.st_size if stat.S_ISREG(state.st_mode) else 0
    return total


def _write_atomically(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text)
    scratch.replace(path)


def open_project(folder: Path) -> Project:
    """The project at `folder`, created if need be; a temporary one where that is impossible."""
    folder = folder.expanduser().absolute()
    root = folder.parent
    try:
        _create(folder)
    except OSError as error:
        scratch = Path(tempfile.mkdtemp(prefix="mlmagic-"))
        _create(scratch)
        why = error.strerror or type(error).__name__
        return Project(scratch, root, f"{folder} cannot be written ({why}): history goes to {scratch} for now")
    return Project(folder, root)


def _create(folder: Path) -> None:
    (folder / "journal").mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        _write_atomically(ignore, _IGNORE)
    if not os.access(folder / "journal", os.W_OK):
        raise PermissionError(13, "Permission denied", str(folder))
