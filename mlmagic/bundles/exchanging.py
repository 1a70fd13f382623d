"""One step of laying a bundle down: a new folder takes the place of an old one, and nobody ever sees neither."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_AT_FDCWD, _EXCHANGE = -100, 2  # of Linux
_SWAP = 2  # of macOS


def exchange(one: Path, other: Path) -> None:
    """Two folders of one file system change places, in a single step where the system knows how.

    Elsewhere there is a moment in which `other` is missing.
    """
    if not _at_once(os.fsencode(one), os.fsencode(other)):
        aside = one.with_name(one.name + ".old")
        os.rename(other, aside)
        os.rename(one, other)
        os.rename(aside, one)


def _at_once(one: bytes, other: bytes) -> bool:
    """Whether it could be done: neither Python nor every file system has the call."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return bool(library.renamex_np(one, other, _SWAP) == 0)
        return bool(library.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _EXCHANGE) == 0)
    except (AttributeError, OSError, TypeError):
        return False
