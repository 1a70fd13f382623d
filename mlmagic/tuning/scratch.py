"""The folder in which a sweep and its workers exchange files: made at its start, gone with it, however it ends.

It is in memory where there is room. The kernel holds a lock on it: what a killed kernel left is known by a lock that
nobody holds. The workers' server removes it when the kernel is gone, the next sweep where the server was killed too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where no sweep runs
    pass

PREFIX = "mlmagic-sweep-"
_LOCK = "lock"
_ROOM = 1 << 30  # bytes free in memory; with less the files go to the disk


@contextmanager
def scratch_folder(place: Path | None = None) -> Iterator[Path]:
    """A new folder, below `place` where that is given; it is removed at the end, and what killed kernels left too."""
    place = place or _memory() or Path(tempfile.gettempdir())
    remove_left(place)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    try:
        lock = _hold(folder / "taking", os.O_CREAT)
        try:
            os.rename(folder / "taking", folder / _LOCK)  # by its name it is never seen without its holder
            yield folder
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left(place: Path) -> None:
    """Remove the folders whose kernel is gone; of another user, or just being made, none."""
    for lock in place.glob(f"{PREFIX}*/{_LOCK}"):
        with suppress(OSError):  # held, another user's, or gone meanwhile
            held = _hold(lock, 0)
            shutil.rmtree(lock.parent, ignore_errors=True)
            os.close(held)


def _hold(path: Path, flags: int) -> int:
    """Take a lock that ends with this process; raises `BlockingIOError` where another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _memory() -> Path | None:
    """Where files are memory, as far as there is room."""
    folder = Path("/dev/shm")
    try:
        return folder if shutil.disk_usage(folder).free > _ROOM else None
    except OSError:
        return None
