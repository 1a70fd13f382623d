"""Parts of kept values that live in the notebook: named by variable and path, found again by both."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlmagic.cache.references import References, references, resolve
from mlmagic.fingerprint import snapshot
from tests.unit.cache.made import scope


class Owner:
    def __init__(self, part: object) -> None:
        self.part = part


def tokens(kept: object, **existing: object) -> References:
    around = scope()
    seen = {name: snapshot(value, around) for name, value in existing.items()}
    return references([snapshot(kept, around)], seen, existing)


PART = [1]


@pytest.mark.parametrize(
    ("owner", "path"),
    [
        (PART, ["rows"]),
        ([[0], PART], ["rows", ["i", 1]]),
        (([0], PART), ["rows", ["i", 1]]),
        ({"key": PART}, ["rows", ["k", "key"]]),
        ({5: {"deep": [PART]}}, ["rows", ["k", 5], ["k", "deep"], ["i", 0]]),
        (Owner(PART), ["rows", ["a", "part"]]),
        ([Owner({"k": PART})], ["rows", ["i", 0], ["a", "part"], ["k", "k"]]),
    ],
)
def test_a_shared_part_is_named_by_the_way_to_it(owner: Any, path: list[Any]) -> None:
    found = tokens({"mine": PART}, rows=owner)
    token = found.token_of(PART)
    assert json.loads(token or "null") == path
    assert found.names == {"rows"}
    assert resolve(token or "", {"rows": owner}) is PART


def test_the_shortest_way_is_taken() -> None:
    found = tokens(PART, rows=[[[PART]], PART])
    assert json.loads(found.token_of(PART) or "null") == ["rows", ["i", 1]]


def test_what_shares_nothing_needs_no_token() -> None:
    found = tokens([1, [2]], rows=[[3]])
    assert not found
    assert found.token_of(PART) is None


def test_a_ring_is_walked_once() -> None:
    ring: list[Any] = [PART]
    ring.append(ring)
    found = tokens([PART], rows=ring)
    assert json.loads(found.token_of(PART) or "null") == ["rows", ["i", 0]]


@pytest.mark.parametrize("namespace", [{}, {"rows": []}, {"rows": {}}, {"rows": [{}]}])
def test_a_part_that_is_not_there_any_more_is_a_lookup_error(namespace: dict[str, Any]) -> None:
    with pytest.raises(LookupError):
        resolve(json.dumps(["rows", ["i", 0], ["k", "gone"]]), namespace)
