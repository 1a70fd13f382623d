"""Bytes by digest: what was put comes out, what is damaged never does, and nothing half written stays."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from mlmagic.cache import artifacts as module
from mlmagic.cache.artifacts import Artifact, ArtifactError, ArtifactStore

MIB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "values")


def put(store: ArtifactStore, content: bytes) -> Artifact:
    def write(file: BinaryIO) -> None:
        file.write(content)

    return store.put(write)


def files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "values").rglob("*") if path.is_file()]


def fresh(tmp_path: Path) -> ArtifactStore:
    """The same folder, as another process sees it: nothing verified yet."""
    return ArtifactStore(tmp_path / "values")


@pytest.mark.parametrize("size", [0, 1, 5, 4 * MIB, 4 * MIB + 1, 17 * MIB])
def test_what_was_put_comes_out(store: ArtifactStore, tmp_path: Path, size: int) -> None:
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    artifact = put(store, content)
    assert artifact.nbytes == size
    assert bytes(store.map(artifact.digest)) == content
    assert bytes(fresh(tmp_path).map(artifact.digest)) == content


def test_the_digest_is_over_the_digests_of_chunks_of_4_mib(store: ArtifactStore) -> None:
    content = os.urandom(9 * MIB)
    chunks = [content[start : start + 4 * MIB] for start in range(0, len(content), 4 * MIB)]
    expected = hashlib.sha256(b"".join(hashlib.sha256(chunk).digest() for chunk in chunks)).hexdigest()
    assert put(store, content).digest == expected


def test_the_same_content_twice_is_one_file(store: ArtifactStore, tmp_path: Path) -> None:
    assert put(store, b"same") == put(fresh(tmp_path), b"same")
    assert len(files(tmp_path)) == 1


def test_the_file_is_for_the_user_alone(store: ArtifactStore, tmp_path: Path) -> None:
    put(store, b"private")
    assert files(tmp_path)[0].stat().st_mode & 0o077 == 0


SMALL, LARGE = b"content", b"content" * (5 << 20)  # one is read, the other mapped


@pytest.mark.parametrize(("content", "kind"), [(SMALL, bytearray), (LARGE, mmap.mmap)])
def test_what_takes_time_to_read_is_mapped(store: ArtifactStore, content: bytes, kind: type) -> None:
    assert type(store.map(put(store, content).digest).obj) is kind


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_what_is_written_to_a_view_never_reaches_the_file(store: ArtifactStore, tmp_path: Path, content: bytes) -> None:
    digest = put(store, content).digest
    view = store.map(digest)
    view[0] = ord("X")
    assert bytes(view[:7]) == b"Xontent"
    assert bytes(store.map(digest)) == content
    assert bytes(fresh(tmp_path).map(digest)) == content


@pytest.mark.parametrize("size", [0, 3, 4096])
def test_a_read_artifact_is_cut_short_by_nobody(store: ArtifactStore, tmp_path: Path, size: int) -> None:
    view = store.map(put(store, SMALL * 1000).digest)
    (path,) = files(tmp_path)
    path.chmod(0o600)
    os.truncate(path, size)
    assert bytes(view) == SMALL * 1000


def test_the_file_is_protected_against_writing(store: ArtifactStore, tmp_path: Path) -> None:
    put(store, SMALL)
    assert files(tmp_path)[0].stat().st_mode & 0o222 == 0


# -- damage ------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


@pytest.mark.parametrize("damage", [flip, cut, empty, append])
def test_damaged_bytes_are_refused_and_can_be_written_anew(store: ArtifactStore, tmp_path: Path, damage: Any) -> None:
    digest = put(store, b"content" * 1000).digest
    damage(files(tmp_path)[0])
    with pytest.raises(ArtifactError, match="damaged"):
        fresh(tmp_path).map(digest)
    assert files(tmp_path) == []
    assert put(store, b"content" * 1000).digest == digest
    assert bytes(fresh(tmp_path).map(digest)) == b"content" * 1000


def test_damage_after_the_first_look_is_seen(store: ArtifactStore, tmp_path: Path) -> None:
    digest = put(store, b"content").digest
    store.map(digest)
    path = files(tmp_path)[0]
    flip(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ArtifactError, match="damaged"):
        store.map(digest)


def test_putting_again_heals_what_was_damaged_unseen(store: ArtifactStore, tmp_path: Path) -> None:
    digest = put(store, b"content").digest
    flip(files(tmp_path)[0])
    put(fresh(tmp_path), b"content")
    assert bytes(fresh(tmp_path).map(digest)) == b"content"


def test_bytes_that_were_verified_are_not_hashed_again(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = put(store, b"content").digest
    other = fresh(tmp_path)
    other.map(digest)
    monkeypatch.setattr(module, "_digest_of", lambda handle: pytest.fail("hashed again"))
    store.map(digest)
    other.map(digest)


@pytest.mark.parametrize("get", ["map", "copy_to"])
def test_missing_bytes_are_named(store: ArtifactStore, tmp_path: Path, get: str) -> None:
    more = [tmp_path / "file"] if get == "copy_to" else []
    with pytest.raises(ArtifactError, match="artifact aaaaaaaaaaaa is missing"):
        getattr(store, get)("a" * 64, *more)
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("digest", ["", "a" * 63, "a" * 65, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n", "/etc/passwd"])
def test_only_digests_name_files(store: ArtifactStore, tmp_path: Path, digest: str) -> None:
    for ask in (store.map, store.remove, lambda given: store.copy_to(given, tmp_path / "file")):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            ask(digest)


# -- failing writes ----------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing_behind(store: ArtifactStore, tmp_path: Path) -> None:
    def write(file: BinaryIO) -> None:
        file.write(bytes(MIB))
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        store.put(write)
    assert files(tmp_path) == []


def test_a_writer_that_gives_up_leaves_nothing_behind(store: ArtifactStore, tmp_path: Path) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put(write)
    assert files(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="no limits for processes here")
@pytest.mark.parametrize("nbytes", [100_000, 50_001])
def test_a_write_that_the_system_refuses_leaves_nothing_behind(tmp_path: Path, nbytes: int) -> None:
    code = f"""
import resource, pathlib
from mlmagic.cache.artifacts import ArtifactStore
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    ArtifactStore(pathlib.Path("values")).put(lambda file: file.write(bytes({nbytes})))
except OSError as error:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")
    assert files(tmp_path) == []


def test_two_processes_that_write_the_same_content_leave_one_good_file(tmp_path: Path) -> None:
    code = """
import sys, pathlib
from mlmagic.cache.artifacts import ArtifactStore
store = ArtifactStore(pathlib.Path("values"))
for number in range(20):
    content = bytes([number]) * 300_000
    digest = store.put(lambda file: file.write(content)).digest
    assert bytes(store.map(digest)) == content
"""
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(files(tmp_path)) == 20
    assert all(bytes(fresh(tmp_path).map(path.name)) == path.read_bytes() for path in files(tmp_path))


# -- users' files --------------------------------------------------------------------------------


def test_a_users_file_comes_back_in_place_of_another(store: ArtifactStore, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("a,b\n")
    digest = store.put_file(path).digest
    path.write_text("something else, and longer\n")
    store.copy_to(digest, path)
    assert path.read_text() == "a,b\n"


@pytest.mark.skipif(os.name == "nt", reason="file modes mean nothing here")
def test_a_restored_file_has_the_mode_it_had_or_that_a_new_one_gets(store: ArtifactStore, tmp_path: Path) -> None:
    digest = put(store, b"x").digest
    (tmp_path / "there").touch()
    (tmp_path / "there").chmod(0o640)
    (tmp_path / "by open").touch()
    store.copy_to(digest, tmp_path / "there")
    store.copy_to(digest, tmp_path / "new")
    assert (tmp_path / "there").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "by open").stat().st_mode


def test_a_link_goes_on_to_be_one(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    store.copy_to(put(store, b"new").digest, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_damaged_file_is_not_restored(store: ArtifactStore, tmp_path: Path) -> None:
    digest = put(store, b"content").digest
    flip(files(tmp_path)[0])
    (tmp_path / "out").write_text("the user's")
    with pytest.raises(ArtifactError, match="damaged"):
        fresh(tmp_path).copy_to(digest, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "the user's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "values"]


# -- keeping house -------------------------------------------------------------------------------


def test_entries_tell_digest_size_and_time(store: ArtifactStore) -> None:
    before = time.time() - 2
    kept = {put(store, b"one"), put(store, b"three")}
    found = list(store.entries())
    assert {Artifact(digest, nbytes) for digest, nbytes, _ in found} == kept
    assert all(before < written < time.time() + 2 for _, _, written in found)


def test_a_store_that_does_not_exist_yet_is_empty(store: ArtifactStore) -> None:
    assert list(store.entries()) == []
    store.remove("a" * 64)
    store.remove_leftovers(0)


def test_what_others_remove_meanwhile_is_left_out(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (b"one", b"two", b"three", b"four"):
        put(store, content)
    real = module._listed

    def listed(folder: Path) -> Iterator[os.DirEntry[str]]:
        for entry in list(real(folder)):
            if entry.is_file():
                os.unlink(entry.path)
            yield entry

    monkeypatch.setattr(module, "_listed", listed)
    assert list(store.entries()) == []


def test_removed_bytes_are_missing(store: ArtifactStore) -> None:
    digest = put(store, b"content").digest
    store.remove(digest)
    store.remove(digest)
    with pytest.raises(ArtifactError, match="missing"):
        store.map(digest)


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_a_view_outlives_the_removal_of_its_file(store: ArtifactStore, content: bytes) -> None:
    digest = put(store, content).digest
    view = store.map(digest)
    store.remove(digest)
    assert bytes(view) == content


def test_what_a_killed_kernel_left_is_removed_and_what_is_being_written_is_not(
    store: ArtifactStore, tmp_path: Path
) -> None:
    put(store, b"content")
    old, new = (tmp_path / "values" / f"{module._TEMPORARY}{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.remove_leftovers(3600)
    assert not old.exists()
    assert new.exists()
    assert len(list(store.entries())) == 1
