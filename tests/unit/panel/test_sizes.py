"""What is too large for one message is dealt out to several, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from mlmagic.panel.lists import LIST, MAX_ITEMS, PICTURE, fitted, item
from mlmagic.panel.sizes import pieces, size


def test_what_fits_is_one_message():
    parts = {"cells": [{"id": "a"}], "nodes": [], "sweeps": []}
    assert pieces(parts) == [parts]


def test_nothing_is_one_empty_message():
    assert pieces({}) == [{}]


@pytest.mark.parametrize("count", [1, 50, 3000])
def test_lists_go_on_in_the_next_message(count):
    rows = [{"id": f"c{number}", "text": "é" * 100} for number in range(count)]
    parts: dict[str, Any] = {"cells": rows, "edges": [("a", "b")] * count, "reuse": {"text": "x" * 3000}}
    dealt = pieces(parts, limit=10_000)
    assert all(size(piece) < 10_000 for piece in dealt)
    assert [row for piece in dealt for row in piece.get("cells", ())] == rows
    assert sum(len(piece.get("edges", ())) for piece in dealt) == count
    assert sum("reuse" in piece for piece in dealt) == 1


def test_the_first_message_has_all_lists_that_are_told():
    dealt = pieces({"cells": [{"id": "x" * 4000}] * 9, "nodes": [{"id": "n"}]}, limit=10_000)
    assert dealt[0]["nodes"] == []


def test_a_picture_that_is_too_heavy_is_left_out():
    assert item("1", "a", "good", "", word="fine", picture="<svg/>")["picture"] == "<svg/>"
    assert item("1", "a", "good", "", word="fine", picture="x" * PICTURE)["picture"] is None


def test_a_list_keeps_the_pictures_of_the_first():
    items = [
        item(str(number), "a", "good", "", word="fine", picture="x" * (PICTURE - 100))
        for number in range(2 * MAX_ITEMS)
    ]
    kept = fitted(items)
    assert size(kept) <= LIST
    assert len(kept) == MAX_ITEMS
    assert [one["picture"] is not None for one in kept] == [True, True] + [False] * (MAX_ITEMS - 2)
