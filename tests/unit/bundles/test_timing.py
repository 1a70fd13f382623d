"""The batch-time curve of a graph, and the batch that fits into some time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mlmagic.bundles.exporters import graph_of
from mlmagic.bundles.rows import feeds_of
from mlmagic.bundles.scorer import Scorer
from mlmagic.bundles.timing import SIZES, batch_times, largest_within
from tests.unit.bundles.exported import classes, matrix

SEEN = matrix(0, rows=50)
CURVE = [{"rows": 1, "seconds": 0.001}, {"rows": 2, "seconds": 0.002}, {"rows": 4, "seconds": 0.006}]


class Counting(Scorer):
    """A scorer that remembers the batches it was given."""

    def score(self, feeds: Mapping[str, Any]) -> Any:
        self.given = [*getattr(self, "given", []), next(iter(feeds.values()))]
        return super().score(feeds)


def counting() -> Counting:
    graph = graph_of(LogisticRegression(max_iter=300).fit(SEEN, classes(SEEN, [0, 1])), SEEN)
    return Counting(graph.content, graph.schema)


def test_every_size_up_to_1024_is_measured() -> None:
    scorer = counting()
    found = batch_times(scorer, scorer.schema)
    assert [one["rows"] for one in found] == list(SIZES) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert all(one["seconds"] > 0 and one["runs"] >= 3 for one in found)


def test_real_rows_are_used_again_where_a_batch_takes_more() -> None:
    scorer = counting()
    feeds = feeds_of(scorer.schema, SEEN)
    batch_times(scorer, scorer.schema, rows=(64,), feeds=feeds)
    assert np.array_equal(scorer.given[0], np.concatenate([feeds["input"], feeds["input"][:14]]))


def test_no_larger_batch_is_tried_after_one_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlmagic.bundles.timing._LONGEST", 0.0)
    scorer = counting()
    assert [one["rows"] for one in batch_times(scorer, scorer.schema)] == [1]


@pytest.mark.parametrize(
    ("seconds", "rows"), [(0.0001, 1), (0.001, 1), (0.002, 2), (0.004, 3), (0.006, 4), (1.0, 4), (0.0, 1)]
)
def test_the_batch_that_fits_is_read_off_the_curve(seconds: float, rows: int) -> None:
    assert largest_within(CURVE, seconds) == rows


def test_one_row_always_fits() -> None:
    assert largest_within([], 1.0) == 1
