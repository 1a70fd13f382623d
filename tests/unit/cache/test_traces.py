"""Traces on disk: signed, read back as they were, and as if they were not there where anything is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mlmagic.cache.traces import NEWEST, Group, Shelf, decode, encode
from mlmagic.signing import sign
from tests.unit.cache.made import trace

KEY = b"k" * 32
FULL = trace(
    details={"x": {"type": "int", "preview": "1"}},
    absent=("a", "b"),
    files={"data.csv": "d"},
    modules={"part": ("content", "part.py", "source")},
    environment={"MODE": None},
    hows={"y": "bind"},
    fingerprints={"y": "two"},
    groups=(Group(("y", "z"), "0" * 64, 10, "pickle"), Group(("w",), "1" * 64, 20, "arrow")),
    written={"made.csv": ("content", "2" * 64)},
    random_after={"numpy": ("digest", "state", "seed 1")},
    outputs=({"kind": "stdout", "text": "ü\ud800"},),
    nbytes=30,
)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "traces", KEY)


def again(tmp_path: Path, key: bytes = KEY) -> Shelf:
    """The same folder as another kernel sees it."""
    return Shelf(tmp_path / "traces", key)


def file(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "traces").rglob("*.trace")
    return found


def test_a_trace_is_read_as_it_was_written(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add(FULL)
    for reading in (shelf, again(tmp_path)):
        (found,) = reading.traces("h1")
        assert encode(found) == encode(FULL)
        assert found.groups == FULL.groups
        assert (found.absent, found.hows, found.outputs) == (FULL.absent, FULL.hows, FULL.outputs)
    assert [path.name for path in file(tmp_path).parent.iterdir()] == ["0001.trace"]


def test_the_artifacts_of_a_trace_are_those_of_its_values_and_files() -> None:
    assert FULL.artifacts == {"0" * 64, "1" * 64, "2" * 64}


def test_the_evidence_of_a_trace_is_what_a_repetition_records() -> None:
    evidence = FULL.evidence()
    assert evidence.files == {"data.csv": "d"}
    assert evidence.written == {"made.csv": "content"}
    assert evidence.random_after == {"numpy": "digest"}


def test_newer_traces_come_first_and_old_ones_are_left_out(shelf: Shelf) -> None:
    for number in range(NEWEST + 5):
        shelf.add(trace(trace_id=f"{number:04}"))
    found = [one.trace_id for one in shelf.traces("h1")]
    assert found == [f"{number:04}" for number in range(NEWEST + 4, 4, -1)]


def test_other_code_has_other_traces(shelf: Shelf) -> None:
    shelf.add(trace())
    assert shelf.traces("h2") == []


def test_a_trace_moved_to_another_code_is_not_offered(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add(trace())
    file(tmp_path).parent.rename(tmp_path / "traces" / "h2")
    assert again(tmp_path).traces("h2") == []


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"no signature", b"\xff\xfe\n{}", b"0" * 64 + b"\n" + encode(FULL), encode(FULL)],
    ids=["empty", "a line", "text", "bytes", "another's", "unsigned"],
)
def test_what_this_user_did_not_sign_is_not_there(shelf: Shelf, tmp_path: Path, content: bytes) -> None:
    shelf.add(trace())
    file(tmp_path).write_bytes(content)
    assert again(tmp_path).traces("h1") == []
    (filed,) = again(tmp_path).files()
    assert filed.trace is None


def test_another_key_reads_nothing(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add(trace())
    assert again(tmp_path, b"o" * 32).traces("h1") == []


def test_a_changed_file_is_read_anew(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add(trace())
    assert len(shelf.traces("h1")) == 1
    file(tmp_path).write_bytes(b"damaged")
    assert shelf.traces("h1") == []


@pytest.mark.parametrize("change", [{"format": 10**6}, {"unheard_of": 1}, {"sharing": ...}])
def test_another_releases_trace_is_passed_over(shelf: Shelf, tmp_path: Path, change: dict[str, object]) -> None:
    shelf.add(trace())
    said = json.loads(encode(trace())) | change
    payload = json.dumps({name: part for name, part in said.items() if part is not ...}).encode()
    file(tmp_path).write_bytes(sign(KEY, payload).encode() + b"\n" + payload)
    assert decode(payload) is None
    assert again(tmp_path).traces("h1") == []


def test_a_removed_trace_is_gone_and_removing_it_twice_is_no_error(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add(trace())
    shelf.remove(trace())
    shelf.remove(trace())
    assert shelf.traces("h1") == []


def test_using_a_trace_is_noted(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add(trace())
    os.utime(file(tmp_path), (1, 1))
    shelf.used(trace())
    (filed,) = shelf.files()
    assert filed.used_at > 1
    shelf.remove(trace())
    shelf.used(trace())  # it may be gone by now


def test_a_trace_that_cannot_be_written_leaves_nothing_half_done(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: str, target: str) -> None:
        raise OSError("full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="full"):
        shelf.add(trace())
    assert [path for path in (tmp_path / "traces").rglob("*") if path.is_file()] == []
