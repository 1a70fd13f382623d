"""Files by content: equal bytes, equal digest, and a write is seen however soon it comes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlmagic.fingerprint import file_fingerprint
from mlmagic.fingerprint import files as module


def test_equal_content_has_one_digest_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").write_bytes(b"content")
    (tmp_path / "c").write_bytes(b"Content")
    a, b, c = (file_fingerprint(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c
    assert a[1] == 7


def test_a_write_of_equal_length_at_the_same_moment_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before = file_fingerprint(path)
    state = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file_fingerprint(path) != before


def test_a_file_at_rest_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    monkeypatch.setattr(module, "_FRESH", -1)
    before = file_fingerprint(path)
    monkeypatch.setattr(module, "_digest", lambda path: pytest.fail("read again"))
    assert file_fingerprint(path) == before


def test_the_same_relative_path_in_another_folder_is_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_text(name)
        monkeypatch.chdir(tmp_path / name)
        found.append(file_fingerprint("data"))
    assert found[0] != found[1]


def test_big_files_are_not_read_beyond_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert file_fingerprint(tmp_path / "a", limit=4) == (None, 5)
    assert file_fingerprint(tmp_path / "a", limit=5)[0] is not None


@pytest.mark.parametrize("path", ["missing", ".", "nul\0l", "pipe"])
def test_what_is_no_readable_file_is_unknown(path: str, tmp_path: Path) -> None:
    os.mkfifo("pipe")
    assert file_fingerprint(path) == (None, None)
