"""What a user may set, and which names hide secrets; every room receives these as plain values."""

from __future__ import annotations

import os
import re
from pathlib import Path

PROJECT_FOLDER = ".mlmagic"

_SECRET = re.compile(r"token|key|passw|secret|credential", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether a name suggests that its value must never be written down."""
    return bool(_SECRET.search(name))


def project_folder(working_folder: Path | None = None) -> Path:
    """The project directory: ``MLMAGIC_HOME``, else ``.mlmagic`` in the working folder."""
    home = os.environ.get("MLMAGIC_HOME")
    return Path(home).expanduser().absolute() if home else (working_folder or Path.cwd()) / PROJECT_FOLDER


def shown_path(path: str | os.PathLike[str]) -> str:
    """A path as a reader in the working folder writes it: relative where it lies below, else as it is."""
    try:
        return Path(path).relative_to(Path.cwd()).as_posix()
    except (OSError, ValueError):
        return os.fspath(path)


def key_path() -> Path:
    """The file of the key that signs kept results: ``MLMAGIC_KEY_FILE``, else in the user's own data folder."""
    given = os.environ.get("MLMAGIC_KEY_FILE")
    if given:
        return Path(given).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "mlmagic" / "signing_key"
