"""A limit for kept bytes: the least saving for its bytes goes first, and no trace loses what it needs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from mlmagic.cache.artifacts import ArtifactStore
from mlmagic.cache.budget import trim, value
from mlmagic.cache.traces import Filed, Group, Shelf
from tests.unit.cache.made import trace

KEY = b"k" * 32


class Kept:
    """A shelf and its artifacts, filled by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shelf = Shelf(folder / "traces", KEY)
        self.artifacts = ArtifactStore(folder / "values")

    def add(self, name: str, *, seconds: float = 1.0, nbytes: int = 100, shared: str = "", days: float = 0) -> None:
        """One result; `shared` names an artifact that others have, too; it was used `days` ago."""
        contents = [name.encode().ljust(nbytes, b".")] + ([shared.encode().ljust(50, b".")] if shared else [])
        groups = tuple(
            Group((f"v{number}",), self.put(content), len(content), "pickle") for number, content in enumerate(contents)
        )
        total = sum(group.nbytes for group in groups)
        self.shelf.add(trace(trace_id=name, source_hash=name, seconds=seconds, groups=groups, nbytes=total))
        then = time.time() - days * 86_400
        os.utime(self.folder / "traces" / name / f"{name}.trace", (then, then))

    def put(self, content: bytes) -> str:
        def write(file: Any) -> None:
            file.write(content)

        return self.artifacts.put(write).digest

    def trim(self, limit: int) -> int:
        return trim(self.shelf, self.artifacts, limit)

    @property
    def names(self) -> set[str]:
        return {filed.trace.trace_id for filed in self.shelf.files() if filed.trace is not None}

    @property
    def nbytes(self) -> int:
        return sum(nbytes for _, nbytes, _ in self.artifacts.entries())


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_within_the_limit_nothing_goes(kept: Kept) -> None:
    kept.add("a")
    kept.add("b")
    assert kept.trim(200) == 0
    assert (kept.names, kept.nbytes) == ({"a", "b"}, 200)


def test_the_least_saving_for_its_bytes_goes_first(kept: Kept) -> None:
    kept.add("cheap", seconds=1)
    kept.add("dear", seconds=9)
    kept.add("dear and large", seconds=10, nbytes=1000)
    assert kept.trim(1100) == 100
    assert kept.names == {"dear", "dear and large"}
    assert kept.trim(250) == 1000
    assert kept.names == {"dear"}


def test_what_was_not_used_for_long_is_worth_less(kept: Kept) -> None:
    kept.add("old and dear", seconds=8, days=30)
    kept.add("new", seconds=1)
    kept.trim(150)
    assert kept.names == {"new"}


def test_an_artifact_that_another_trace_needs_stays(kept: Kept) -> None:
    kept.add("a", seconds=9, shared="both")
    kept.add("b", seconds=1, shared="both")
    kept.trim(150)
    assert kept.names == {"a"}
    (one,) = kept.shelf.traces("a")
    assert {digest for digest, _, _ in kept.artifacts.entries()} == one.artifacts


def test_a_shared_artifact_counts_once(kept: Kept) -> None:
    kept.add("a", shared="both")
    kept.add("b", shared="both")
    assert kept.trim(250) == 0
    assert kept.names == {"a", "b"}


def test_nothing_fits_into_nothing(kept: Kept) -> None:
    kept.add("a")
    assert kept.trim(0) == 100
    assert (kept.names, kept.nbytes) == (set(), 0)


def test_a_result_larger_than_the_limit_does_not_take_the_others_with_it(kept: Kept) -> None:
    kept.add("huge", seconds=10_000, nbytes=5000)
    kept.add("small")
    kept.trim(1000)
    assert kept.names == {"small"}


def test_an_artifact_that_waits_for_its_trace_is_spared_for_a_while(kept: Kept) -> None:
    kept.add("a")
    fresh, stale = kept.put(b"fresh"), kept.put(b"stale")
    (stale_path,) = kept.folder.rglob(stale)
    os.utime(stale_path, (1, 1))
    kept.trim(10_000)
    left = {digest for digest, _, _ in kept.artifacts.entries()}
    assert fresh in left
    assert stale not in left


def test_a_trace_that_is_not_ours_is_worth_nothing() -> None:
    assert value(Filed(Path("x"), time.time(), None), time.time()) == 0.0


def test_a_result_that_loads_as_slowly_as_it_computes_is_worth_nothing() -> None:
    slow = trace(seconds=1.0, load_seconds=2.0, nbytes=10)
    assert value(Filed(Path("x"), time.time(), slow), time.time()) == 0.0
