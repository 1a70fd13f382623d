"""Files as content: a path in, the digest of its bytes out, computed once per state of the file."""

from __future__ import annotations

import os
import time
from pathlib import Path

from xxhash import xxh3_128

_BLOCK = 1 << 22
_FRESH = 2_000_000_000  # ns: file systems tell times in ticks of up to 2 s, so a later write may look like this one
_State = tuple[str, int, int, int, int, int]
_KNOWN: dict[_State, str] = {}  # state of a file -> digest


def file_fingerprint(path: str | Path, limit: int | None = None) -> tuple[str | None, int | None]:
    """Digest and size in bytes of a file's content; ``(None, None)`` where there is no readable file.

    Above `limit` bytes the content is not read: the fingerprint is ``None`` (unknown), the size is told.
    """
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return None, None
    if not os.path.isfile(path):
        return None, None
    if limit is not None and state.st_size > limit:
        return None, state.st_size
    key = _key(path, state)
    if key in _KNOWN:
        return _KNOWN[key], state.st_size
    try:
        digest = _digest(path)
        settled = _key(path, os.stat(path)) == key and time.time_ns() - state.st_ctime_ns > _FRESH
    except OSError:
        return None, state.st_size
    if settled:
        if len(_KNOWN) > 10_000:
            _KNOWN.clear()
        _KNOWN[key] = digest
    return digest, state.st_size


def _key(path: str | Path, state: os.stat_result) -> _State:
    """What changes when a file is written to; its path, as relative ones depend on the folder, made absolute."""
    times = (state.st_mtime_ns, state.st_ctime_ns)
    return (os.path.abspath(path), state.st_dev, state.st_ino, state.st_size, *times)


def _digest(path: str | Path) -> str:
    digest = xxh3_128()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return str(digest.hexdigest())
