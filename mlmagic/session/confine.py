"""What a process may write, settled by the operating system: also native libraries and children are held to it.

Linux 5.13 and later have it (Landlock, https://docs.kernel.org/userspace-api/landlock.html). Elsewhere `to`
answers ``False``, and what Python itself does is all that can be watched.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture but alpha
_NO_NEW_PRIVILEGES = 38
_PATH_BENEATH = 1
_WRITING = sum(1 << bit for bit in (1, 4, 5, 6, 7, 8, 9, 10, 11, 12))  # write, remove and make files of any kind
_MOVING, _TRUNCATING = 1 << 13, 1 << 14  # known from version 2 and 3 on
_ON_FILES = 1 << 1 | _TRUNCATING  # what a rule on a single file may allow


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("folder", ctypes.c_int32))


def to(places: Iterable[Path]) -> bool:
    """Let this thread, and all that it starts from now on, write only below `places`; whether that is in force."""
    if not sys.platform.startswith("linux"):
        return False
    system = ctypes.CDLL(None, use_errno=True)
    version = system.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    access = _WRITING | (_MOVING if version >= 2 else 0) | (_TRUNCATING if version >= 3 else 0)
    handled = ctypes.c_uint64(access)
    rules = system.syscall(_CREATE_RULESET, ctypes.byref(handled), 8, 0)
    if rules < 0:
        return False
    try:
        for place in places:
            _allow(system, rules, place, access)
        system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return bool(system.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(system: ctypes.CDLL, rules: int, place: Path, access: int) -> None:
    if not place.exists():
        return
    folder = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _Rule(access if place.is_dir() else access & _ON_FILES, folder)
        system.syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(folder)
