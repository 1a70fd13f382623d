"""Files as content: a path in, the digest of its bytes out, computed once per state of the file."""

from __future__ import annotations

import os
from pathlib import Path

from xxhash import xxh3_128

_BLOCK = 1 << 22
_KNOWN: dict[tuple[str, int, int, int], str] = {}  # (path, inode, size, mtime_ns) -> digest


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
    key = (str(path), state.st_ino, state.st_size, state.st_mtime_ns)
    if key not in _KNOWN:
        try:
            digest = _digest(path)
        except OSError:
            return None, state.st_size
        if len(_KNOWN) > 10_000:
            _KNOWN.clear()
        _KNOWN[key] = digest
    return _KNOWN[key], state.st_size


def _digest(path: str | Path) -> str:
    digest = xxh3_128()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return str(digest.hexdigest())
