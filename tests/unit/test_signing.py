"""The user's key: one per file whoever asks first, never one that others know; signatures that hold and that do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlmagic.errors import StoreError
from mlmagic.signing import holds, sign, user_key

no_modes = pytest.mark.skipif(os.name == "nt", reason="file modes mean nothing here")


def test_a_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    first = user_key(tmp_path / "new" / "key")
    assert len(first) == 32
    assert user_key(tmp_path / "new" / "key") == first
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["key"]


def test_two_files_hold_two_keys(tmp_path: Path) -> None:
    assert user_key(tmp_path / "one") != user_key(tmp_path / "other")


@no_modes
def test_only_the_user_may_read_the_key_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        user_key(tmp_path / "key")
    finally:
        os.umask(old)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@no_modes
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_read_or_replace_is_refused_in_one_line(tmp_path: Path, mode: int) -> None:
    user_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(StoreError, match="who could sign as you: delete it to get a new key") as caught:
        user_key(tmp_path / "key")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    user_key(tmp_path / "key")
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(StoreError, match=f"holds {len(content)} bytes"):
        user_key(tmp_path / "key")


def test_a_home_that_cannot_be_written_raises_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        user_key(tmp_path / "file" / "key")


def test_kernels_that_start_together_end_with_the_same_key(tmp_path: Path) -> None:
    code = """
import sys, pathlib
from mlmagic.signing import user_key
print("ready", flush=True)
sys.stdin.read(1)
print(user_key(pathlib.Path(sys.argv[1])).hex())
"""
    kernels = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "key")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for kernel in kernels:
        assert kernel.stdout is not None
        assert kernel.stdout.readline() == "ready\n"
    keys = set()
    for kernel in kernels:
        assert kernel.stdin is not None
        kernel.stdin.write("x")
        kernel.stdin.flush()
    for kernel in kernels:
        keys.add(kernel.communicate(timeout=60)[0])
    assert len(keys) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_file_that_appears_meanwhile_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    winner = user_key(tmp_path / "winner")

    def be_late(source: Path, target: Path) -> None:
        (tmp_path / "winner").rename(target)
        raise FileExistsError

    monkeypatch.setattr(os, "link", be_late)
    assert user_key(tmp_path / "key") == winner


def test_a_signature_holds_for_its_bytes_and_key_only() -> None:
    key, other = bytes(32), bytes(31) + b"x"
    signature = sign(key, b"payload")
    assert holds(key, b"payload", signature)
    assert not holds(key, b"payloae", signature)
    assert not holds(other, b"payload", signature)


@pytest.mark.parametrize("signature", ["", "é", "\udc80", "0" * 64])
def test_what_is_no_signature_does_not_hold(signature: str) -> None:
    assert not holds(bytes(32), b"payload", signature)
