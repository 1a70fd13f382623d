"""A bundle as a folder: files by name come in, a folder that explains itself goes out; and back, each file by its hash.

``bundle.json`` lists every file with its SHA-256; ``signature`` is the exporting user's HMAC of ``bundle.json``. Only
what is listed is opened, once, as bytes, and only where the hash is right.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlmagic.bundles.exchanging import exchange
from mlmagic.bundles.schema import Schema
from mlmagic.errors import MisuseError
from mlmagic.signing import holds, sign

FORMAT = "mlmagic bundle"
VERSION = 1  # of the folder; a reader accepts all older ones
MANIFEST, SIGNATURE = "bundle.json", "signature"
MODEL, SCHEMA, HOLDOUT, RULES = "model.onnx", "schema.json", "holdout.jsonl", "assertions.json"
PROFILE, SLICE, PARITY, TIMING, README = "reference.profile", "slice.py", "parity.json", "timing.json", "README.md"
ANSWERING = (MODEL, SCHEMA, HOLDOUT, RULES, PROFILE)  # what makes a bundle's version: the rest tells about it

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LARGEST = 4 << 30  # bytes of one file
_LARGEST_TEXT = 256 << 20  # of one that is read as JSON, which takes many times its size in memory
_TEXTS = (".json", ".jsonl")
_SIGNATURE = 1_000  # bytes that are read of one
_PARTIAL = ".partial-"
_ABANDONED = 3_600.0  # seconds after which what an export left is nobody's


@dataclass(frozen=True)
class Bundle:
    """A bundle that was opened: its manifest was read, its files are read when asked for.

    Attributes
    ----------
    path : Path
    manifest : mapping
        ``name, version, created_at, model, model_version, framework, model_type, mlmagic, packages, notes, files``.
    signed : bool
        The user's own key signed it. Anything else may come from anywhere.
    """

    path: Path
    manifest: Mapping[str, Any]
    signed: bool = False

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def version(self) -> str:
        """The first twelve letters of the hash of what it answers with."""
        return str(self.manifest["version"])

    @property
    def bundle_id(self) -> str:
        return str(self.manifest["bundle_id"])

    @cached_property
    def schema(self) -> Schema:
        return Schema.from_dict(self.json(SCHEMA))

    def has(self, file: str) -> bool:
        """Whether the manifest lists a file."""
        return file in self.manifest["files"]

    def read(self, file: str) -> bytes:
        """A file's content.

        Raises
        ------
        MisuseError
            It is not listed, not there, or not what was exported.
        """
        listed = self.manifest["files"].get(file)
        if listed is None:
            raise MisuseError(f"bundle {self.name} has no {file}")
        content = _content(self.path / file)
        if _hash(content) != listed["sha256"]:
            raise MisuseError(f"{self.path / file} is not the file that was exported: export the bundle again")
        return content

    def json(self, file: str) -> Any:
        """A file's content as plain values."""
        try:
            return json.loads(self.read(file))
        except (ValueError, RecursionError) as error:
            raise MisuseError(f"{self.path / file} holds no JSON ({error})") from error

    def check(self) -> None:
        """Raises `MisuseError` where any listed file is not what was exported."""
        for file in self.manifest["files"]:
            self.read(file)


def checked_name(name: str) -> str:
    """A name that can stand in a path and in a URL.

    Raises
    ------
    MisuseError
        It cannot.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise MisuseError(f"a bundle's name is letters, digits, '_', '-' and '.', at most 64, not {name[:80]!r}")
    return name


def write_bundle(
    bundles: Path, name: str, files: Mapping[str, bytes], about: Mapping[str, Any], key: bytes | None
) -> Bundle:
    """Lay a bundle down below a folder, as ``NAME/VERSION``, in one step: it is there whole, or not at all.

    The same content again replaces the folder of that version.

    Parameters
    ----------
    bundles : Path
        The folder of all bundles.
    files : mapping
        File's name -> content.
    about : mapping
        What else the manifest tells; see `Bundle`.
    key : bytes or None
        The user's key; ``None``: unsigned.
    """
    checked_name(name)
    version = _version(files)
    listed = {file: {"sha256": _hash(content), "nbytes": len(content)} for file, content in files.items()}
    manifest = {"format": FORMAT, "format_version": VERSION, **about, "name": name, "version": version, "files": listed}
    text = json.dumps(manifest, indent=2, ensure_ascii=False).encode()
    home = bundles / name
    home.mkdir(parents=True, exist_ok=True)
    _clear(home)
    scratch = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=home))
    try:
        for file, content in files.items():
            (scratch / file).write_bytes(content)
        (scratch / MANIFEST).write_bytes(text)
        if key is not None:
            (scratch / SIGNATURE).write_text(sign(key, text) + "\n")
        scratch.chmod(0o755)
        _put(scratch, home / version)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Bundle(home / version, manifest, key is not None)


def open_bundle(path: Path, key: bytes | None = None) -> Bundle:
    """The bundle in a folder, or the newest version below the folder of a name.

    Parameters
    ----------
    key : bytes, optional
        The user's key, by which the signature is judged.

    Raises
    ------
    MisuseError
        There is none, it is damaged, or a newer mlmagic wrote it.
    """
    folder = path if (path / MANIFEST).is_file() else _newest(path)
    text = _content(folder / MANIFEST)
    manifest = _manifest(text, folder)
    return Bundle(folder, manifest, key is not None and holds(key, text, _signature(folder / SIGNATURE)))


def _signature(path: Path) -> str:
    """What a signature's file says; empty where there is none, and of a longer one its beginning, which never holds."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(_SIGNATURE).decode(errors="replace").strip()


def versions_in(home: Path) -> list[Path]:
    """The folders of all versions of a bundle, by their names; what an export left halfway is none."""
    return sorted(each.parent for each in home.glob(f"*/{MANIFEST}") if not each.parent.name.startswith("."))


def _newest(path: Path) -> Path:
    if not path.is_dir():
        raise MisuseError(f"{path} is no folder of a bundle")
    found = versions_in(path)
    if not found:
        raise MisuseError(f"{path} holds no bundle: there is no {MANIFEST} in it")
    return max(found, key=lambda folder: (folder / MANIFEST).stat().st_mtime_ns)


def _manifest(text: bytes, folder: Path) -> Mapping[str, Any]:
    damaged = f"{folder / MANIFEST} is damaged, or no bundle of mlmagic's"
    try:
        manifest = json.loads(text)
        if manifest["format"] != FORMAT:
            raise ValueError(manifest["format"])
        if manifest["format_version"] > VERSION:
            raise MisuseError(f"{folder} was written by a newer mlmagic: update mlmagic")
        for file, listed in manifest["files"].items():
            if not _NAME.fullmatch(file) or type(listed["sha256"]) is not str:
                raise ValueError(file)
        checked_name(manifest["name"])
        checked_name(manifest["version"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MisuseError(damaged) from error
    if not all(file in manifest["files"] for file in (MODEL, SCHEMA)):
        raise MisuseError(f"{damaged}: it lists no {MODEL} or {SCHEMA}")
    found: Mapping[str, Any] = manifest
    return found


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _content(path: Path) -> bytes:
    largest = _LARGEST_TEXT if path.suffix in _TEXTS else _LARGEST
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise MisuseError(f"{path} is no file")
        if path.stat().st_size > largest:
            raise MisuseError(f"{path} is larger than {largest >> 20:,} MB")
        return path.read_bytes()
    except OSError as error:
        raise MisuseError(f"{path} cannot be read: {error.strerror or error}") from error


def _version(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for file in ANSWERING:
        digest.update(hashlib.sha256(files.get(file, b"")).digest())
    return digest.hexdigest()[:12]


def _clear(home: Path) -> None:
    """What exports left that were killed; one under way is younger."""
    for left in home.glob(f"{_PARTIAL}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


def _put(scratch: Path, target: Path) -> None:
    """Move a folder in place; whatever was there is at `scratch` after that."""
    try:
        os.rename(scratch, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES):  # the last: Windows'
            raise
        exchange(scratch, target)
