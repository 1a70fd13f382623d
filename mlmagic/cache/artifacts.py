"""The bytes of results under their own digest: a stream in, a file named for its content out, and a private map of it.

Nothing here knows what the bytes mean. A file is never changed once it has its name; whoever loads a value works
on a copy-on-write map of it.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO

_CHUNK = 4 << 20  # bytes that are hashed at once
_THREADS = 2
# Bytes from which a file is mapped rather than read. A map of a file that somebody cuts short kills the process, so
# only what takes time to read is mapped, and all files are write-protected.
_MAPPED = 32 << 20
_READ_ONLY = 0o400
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = ".writing-"


class ArtifactError(Exception):
    """The bytes of a result cannot be had; the result has to be computed anew."""

    @classmethod
    def missing(cls, digest: str) -> ArtifactError:
        return cls(f"artifact {digest[:12]} is missing")

    @classmethod
    def damaged(cls, digest: str) -> ArtifactError:
        return cls(f"artifact {digest[:12]} is damaged")


@dataclass(frozen=True, slots=True)
class Artifact:
    """Name and size of stored bytes."""

    digest: str
    nbytes: int


_Identity = tuple[str, int, int, int]


class ArtifactStore:
    """Bytes by digest under one folder, shared by all kernels of a project.

    Parameters
    ----------
    folder : Path
        Made when something is first put.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._verified: set[_Identity] = set()

    # -- putting ---------------------------------------------------------------------------------

    def put(self, write: Callable[[BinaryIO], None]) -> Artifact:
        """Keep what `write` writes; the same content twice is one file.

        Raises
        ------
        OSError
            Where the disk is full or may not be written; nothing is left behind.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with _temporary(self._folder, 0o600) as (file, name):
            write(file)
            file.flush()
            # Hashed from the file: what a thread changed in an array meanwhile cannot come between bytes and name.
            digest, found = _digest_of(file.fileno()), os.fstat(file.fileno())
            file.close()
            os.chmod(name, _READ_ONLY)
            path = self._path(digest)
            path.parent.mkdir(exist_ok=True)
            _move(name, path)
        self._verified.add(_identity(path, found))
        return Artifact(digest, found.st_size)

    def put_file(self, path: Path) -> Artifact:
        """Keep the present content of a user's file."""
        with path.open("rb") as source:
            return self.put(lambda file: copyfileobj(source, file, _CHUNK))

    # -- getting ---------------------------------------------------------------------------------

    def map(self, digest: str) -> memoryview:
        """A writable view of the bytes; what is written to it stays in this process.

        Raises
        ------
        ArtifactError
            Where there is no such file, or it holds other bytes; then it is removed, to be written anew.
        """
        with self._opened(digest) as file:
            return _private(file)

    def copy_to(self, digest: str, path: Path) -> None:
        """Make a user's file hold the bytes, at once or not at all; raises like `map`, and `OSError`."""
        target = Path(os.path.realpath(path))  # a link goes on to be one
        with self._opened(digest) as source, _temporary(target.parent, 0o666) as (file, name):
            copyfileobj(source, file, _CHUNK)
            file.close()
            with suppress(FileNotFoundError):
                os.chmod(name, stat.S_IMODE(target.stat().st_mode))
            os.replace(name, target)

    # -- keeping house ---------------------------------------------------------------------------

    def remove(self, digest: str) -> None:
        """Forget the bytes; no error where they are gone already."""
        with suppress(FileNotFoundError):
            self._path(digest).unlink()

    def entries(self) -> Iterator[tuple[str, int, float]]:
        """Digest, size and time of writing of each artifact; other kernels may remove some meanwhile."""
        for folder in _listed(self._folder):
            for entry in _listed(Path(folder.path)) if folder.is_dir() else ():
                with suppress(OSError):
                    found = entry.stat()
                    if _DIGEST.fullmatch(entry.name):
                        yield entry.name, found.st_size, found.st_mtime

    def remove_leftovers(self, older_than: float) -> None:
        """Remove what a killed kernel was writing; `older_than` in seconds spares what is being written now."""
        for entry in _listed(self._folder):
            with suppress(OSError):
                if entry.name.startswith(_TEMPORARY) and entry.stat().st_mtime < time.time() - older_than:
                    os.unlink(entry.path)

    # -- inside ----------------------------------------------------------------------------------

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ValueError("an artifact is named by 64 hexadecimal digits")
        return self._folder / digest[:2] / digest

    @contextmanager
    def _opened(self, digest: str) -> Iterator[BinaryIO]:
        """The file, once it is known to hold these bytes."""
        path = self._path(digest)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise ArtifactError.missing(digest) from None
        with file:
            identity = _identity(path, os.fstat(file.fileno()))
            if identity not in self._verified:
                self._verify(file, digest)
                self._verified.add(identity)
            yield file

    def _verify(self, file: BinaryIO, digest: str) -> None:
        if _digest_of(file.fileno()) != digest:
            with suppress(OSError):  # a folder that may only be read
                self.remove(digest)
            raise ArtifactError.damaged(digest)


def _identity(path: Path, found: os.stat_result) -> _Identity:
    return (str(path), found.st_ino, found.st_size, found.st_mtime_ns)


@contextmanager
def _temporary(folder: Path, mode: int) -> Iterator[tuple[BinaryIO, str]]:
    """A new file beside its later place, gone afterwards unless it was moved there; the umask narrows its mode."""
    name = str(folder / f"{_TEMPORARY}{secrets.token_hex(8)}")
    handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file, name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _move(name: str, path: Path) -> None:
    """Give a finished file its name, in place of an older one, which may be damaged unseen."""
    try:
        os.replace(name, path)
    except PermissionError:  # Windows, while somebody maps the older one
        if not path.exists():
            raise


def _private(file: BinaryIO) -> memoryview:
    size = os.fstat(file.fileno()).st_size
    if size < _MAPPED:
        held = bytearray(size)
        file.seek(0)
        file.readinto(held)  # type: ignore[attr-defined]
        return memoryview(held)
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def _listed(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, nothing where it is gone."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        yield from found


# -- digests -------------------------------------------------------------------------------------


def _digest_of(handle: int) -> str:
    """SHA-256 over the SHA-256 digests of the chunks, so that two threads can share the work."""
    size = os.fstat(handle).st_size
    starts = range(0, size, _CHUNK)
    if size == 0:
        return hashlib.sha256().hexdigest()
    with mmap.mmap(handle, 0, access=mmap.ACCESS_READ) as bytes_, memoryview(bytes_) as view:
        return hashlib.sha256(b"".join(_chunk_digests(view, starts))).hexdigest()


def _chunk_digests(view: memoryview, starts: range) -> list[bytes]:
    def one(start: int) -> bytes:
        with view[start : start + _CHUNK] as chunk:
            return hashlib.sha256(chunk).digest()

    if len(starts) < 3:
        return [one(start) for start in starts]
    with ThreadPoolExecutor(_THREADS, "mlmagic-hash") as pool:  # hashlib lets go of the lock
        return list(pool.map(one, starts))
