"""Where bundles are: what a user wrote comes in, the bundle that it means goes out; also without a notebook."""

from __future__ import annotations

import os
from pathlib import Path

from mlmagic import config
from mlmagic._optional import loaded
from mlmagic.bundles.folder import MANIFEST, Bundle, checked_name, open_bundle, versions_in
from mlmagic.errors import MisuseError, StoreError, UnknownNameError
from mlmagic.signing import user_key

PREFIX = "bundle:"


def bundles_folder() -> Path:
    """The folder of all bundles: of the running session's project, else of the working folder's."""
    current = loaded("mlmagic.session")  # where nothing is tracked, the notebook's packages are not needed
    session = current.active() if current is not None else None
    folder: Path = session.project.folder if session is not None else config.project_folder()
    return folder / "bundles"


def own_key() -> bytes | None:
    """The user's key, by which signatures are judged; ``None`` where there is none yet, or it is not to be trusted."""
    path = config.key_path()
    try:
        return user_key(path) if path.is_file() else None
    except (OSError, StoreError):  # then nothing counts as signed, which every user of the bundle is told
        return None


def find_bundle(given: str | os.PathLike[str] | Bundle) -> Bundle:
    """The bundle of a folder, of a name (its newest version), or of ``NAME/VERSION``.

    Raises
    ------
    MisuseError, UnknownNameError
        There is none, it is damaged, or a newer mlmagic wrote it.
    """
    if isinstance(given, Bundle):
        return given
    text = os.fspath(given).removeprefix(PREFIX)
    place = Path(text).expanduser()
    if _is_bundle(place):
        return open_bundle(place, own_key())
    if text.count("/") > 1 or place.is_absolute() or ".." in place.parts:
        raise MisuseError(f"{text} is no folder of a bundle: there is no {MANIFEST} in it")
    return open_bundle(_named(text), own_key())


def _is_bundle(place: Path) -> bool:
    """Whether a folder is a bundle, or holds versions of one."""
    return (place / MANIFEST).is_file() or (place.is_dir() and bool(versions_in(place)))


def _named(text: str) -> Path:
    """The folder below the project's that a name, with or without a version, means."""
    folder = bundles_folder()
    name, _, version = text.partition("/")
    known = [path.name for path in sorted(folder.glob("*")) if path.is_dir()] if folder.is_dir() else []
    if name not in known:
        if not known:
            raise MisuseError(f"no bundle {name!r}: it is no folder, and {folder} holds none yet (%export MODEL)")
        raise UnknownNameError.among("bundle", name, known)
    if not version:
        return folder / checked_name(name)
    versions = [path.name for path in versions_in(folder / name)]
    if version not in versions:
        raise UnknownNameError.among(f"version of {name}", version, versions)
    return folder / checked_name(name) / checked_name(version)
