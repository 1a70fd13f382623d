"""Who may touch the project's database now: one mutex per file in this process, one lock file among processes.

DuckDB locks the database itself, and foreign processes are met there. Our own lock stands before it because a damaged
database is replaced by a new file, and a lock held on the old one would not keep anybody from the new one.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from mlmagic.store.waiting import Patience

if sys.platform != "win32":  # where there are no such locks, DuckDB's own remains
    import fcntl

# By process id too: a forked process must not inherit a mutex that another thread held at that moment.
_mutexes: dict[tuple[int, Path], threading.Lock] = {}


def mutex(path: Path) -> threading.Lock:
    """The lock of this process for a database file, the same for every store that uses the file."""
    return _mutexes.setdefault((os.getpid(), path), threading.Lock())


@contextlib.contextmanager
def only_here(path: Path, patience: Patience) -> Iterator[None]:
    """Inside, no other thread of this process uses the database."""
    lock = mutex(path)
    if not lock.acquire(timeout=patience.left):
        raise patience.over("another thread of this process")
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def among_processes(path: Path, patience: Patience, *, exclusive: bool) -> Iterator[None]:
    """Inside, other processes of ours only read the database (or, if `exclusive`, leave it alone).

    Call it inside `only_here`: these locks belong to the process as a whole. Where the lock file cannot be made or
    locked (read-only folder, some network file systems) there is no lock, and DuckDB's own has to do.
    """
    file = _open(path.with_name(path.name + ".lock"))
    if file is None:
        yield
        return
    try:
        while not _locked(file, exclusive):
            patience.pause(_holder(file))
        yield
    finally:
        os.close(file)  # which also unlocks


def _open(path: Path) -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return None


def _locked(file: int, exclusive: bool) -> bool:
    try:
        fcntl.lockf(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _holder(file: int) -> str:
    """The process in the way, as the system knows it."""
    # struct flock: type, whence, start, length, pid; ordered otherwise on macOS.
    form, order = ("@qqihh", (2, 3, 4, 0, 1)) if sys.platform == "darwin" else ("@hhqqi", (0, 1, 2, 3, 4))
    asked = (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        answer = struct.unpack(form, fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(form, *(asked[n] for n in order))))
    except (OSError, struct.error):
        return "another process"
    found = dict(zip(order, answer, strict=True))
    return f"process {found[4]}" if found[0] != fcntl.F_UNLCK else "another process"
