"""The user's own key, and signatures by it: bytes are only ever unpickled if this user's kernels wrote them.

A cache folder may be shared, copied or unpacked from somebody's archive; without the key nobody can make an entry in
it that runs code here.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from mlmagic.errors import StoreError

_BYTES = 32


def user_key(path: Path) -> bytes:
    """The key in a file, made where there is none; kernels that start at the same moment get the same one.

    Raises
    ------
    StoreError
        Where others can read or replace the file, or it is no key. It is not mended silently: whoever has read the key
        can sign what this user will run, so only a new key helps.
    OSError
        Where the file can be neither read nor made.
    """
    with suppress(FileNotFoundError):
        return _read(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make(path)
    return _read(path)


def sign(key: bytes, payload: bytes) -> str:
    """The signature of some bytes (HMAC-SHA256), in hexadecimal."""
    return hmac.digest(key, payload, "sha256").hex()


def holds(key: bytes, payload: bytes, signature: str) -> bool:
    """Whether a signature is that of these bytes by this key."""
    return hmac.compare_digest(sign(key, payload).encode(), signature.encode(errors="replace"))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        _check(path, os.fstat(file.fileno()))
        key = file.read(_BYTES + 1)
    if len(key) != _BYTES:
        raise StoreError(
            f"{path} holds {len(key)} bytes where a key of {_BYTES} is expected: delete it to get a new one"
        )
    return key


def _check(path: Path, found: os.stat_result) -> None:
    if os.name == "nt":  # there the user's folder keeps others out, and modes mean nothing
        return
    if found.st_uid != os.geteuid():
        raise StoreError(f"{path} belongs to another user: delete it to get a new key, or have it deleted")
    if mode := stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreError(
            f"{path} is open to others (mode {mode:03o}), who could sign as you: delete it to get a new key"
        )


def _make(path: Path) -> None:
    """Put a complete key in place, unless somebody was quicker."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
