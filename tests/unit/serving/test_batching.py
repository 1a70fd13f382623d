"""Batches: what is queued goes together, large requests take turns, nobody waits, fails or is answered for another."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.serving.assembly import Assembler
from mlmagic.serving.batching import Queue
from mlmagic.serving.metrics import Metrics
from mlmagic.serving.pace import Pace
from mlmagic.serving.requests import RefusedError, Request
from mlmagic.serving.scoring import Worker
from mlmagic.serving.writer import Writer

SCHEMA = Schema(
    "matrix", (Field("a", "float32", "float64"), Field("b", "float32", "float64")),
    (Output("prediction", "float32"),), "prediction", "X", (2,),
)  # fmt: skip
INLINE, ELSEWHERE = 1e-9, 1e3  # seconds of a batch


class Loop:
    """An event loop whose turns the test takes."""

    def __init__(self):
        self.soon, self.called = [], threading.Event()

    def call_soon(self, callback):
        self.soon.append(callback)

    def call_soon_threadsafe(self, callback, *args):
        self.soon.append(lambda: callback(*args))
        self.called.set()

    def turn(self):
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()
        return bool(soon)


class Sums:
    """A model that adds up rows, and remembers its batches; some rows it cannot stand."""

    def __init__(self):
        self.batches, self.hold = [], None

    def score(self, feeds):
        rows = feeds["X"]
        self.batches.append(rows[:, 0].tolist())
        if self.hold is not None:
            assert self.hold.wait(20)
        if (rows[:, 1] == 666).any():
            raise ValueError("cannot stand it")
        return {"prediction": rows.sum(axis=1)}


class Sender:
    def __init__(self):
        self.statuses = []

    def flush(self):
        pass

    def count(self, status, arrived):
        self.statuses.append(status)


class Form:
    def add(self, request, scored, start, stop):
        request.parts = [*(request.parts or []), *scored.rows[start:stop]]
        request.done += stop - start
        if request.done == request.count:
            request.answer(b"[%b]" % b",".join(request.parts))


class House:
    """A queue with all that belongs to it."""

    def __init__(self, most=8, seconds=INLINE, rows=1000):
        self.loop, self.model, self.sender, self.now = Loop(), Sums(), Sender(), 0.0
        pace = Pace([(1, seconds), (1000, seconds)], 1e9, most)
        self.metrics = Metrics()
        self.worker = Worker(self.model)
        self.queue = Queue(self.loop, Assembler(SCHEMA), self.worker, Writer(SCHEMA), pace, self.metrics, rows)
        self._made = 0

    def ask(self, *rows, deadline=float("inf")):
        request = Request(self.sender, b"", 0.0)
        self._made += 1
        request.ask(f"r{self._made}", Form(), len(rows))
        request.rows, request.deadline = [list(row) for row in rows], deadline
        self.queue.put(request)
        return request

    def leave(self, request):
        request.gone = True
        self.queue.forget(request)

    def run(self):
        while self.loop.turn():
            pass


def answered(request):
    assert request.data is not None, "there is no answer"
    return json.loads(request.data.partition(b"\r\n\r\n")[2])


def status(request):
    return int(request.data.split()[1])


def many(first, count):
    return [(first + at, 0) for at in range(count)]


def test_what_is_queued_goes_together_up_to_the_cap():
    house = House(most=8)
    requests = [house.ask((at, 1)) for at in range(10)]
    house.run()
    assert [len(batch) for batch in house.model.batches] == [8, 2]
    assert [answered(request) for request in requests] == [[at + 1] for at in range(10)]


def test_one_turn_of_the_loop_scores_one_batch_so_that_it_goes_on_reading():
    house = House(most=4)
    for at in range(8):
        house.ask((at, 0))
    house.loop.turn()
    assert len(house.model.batches) == 1


def test_a_large_request_takes_turns_with_small_ones():
    house = House(most=8)
    large = house.ask(*many(1000, 40))
    small = [house.ask((at, 0)) for at in range(5)]
    house.loop.turn()
    assert [answered(request) for request in small] == [[at] for at in range(5)]
    assert house.model.batches == [[1000.0, 1001.0, 1002.0, 0.0, 1.0, 2.0, 3.0, 4.0]]
    assert large.data is None
    house.run()
    assert answered(large) == [1000.0 + at for at in range(40)]


def test_two_large_requests_share_and_alone_one_has_all():
    house = House(most=8)
    first, second = house.ask(*many(0, 20)), house.ask(*many(100, 6))
    house.run()
    assert answered(first) == list(range(20))
    assert answered(second) == list(range(100, 106))
    assert all(len(batch) == 8 for batch in house.model.batches[:-1])
    assert house.queue.rows == 0
    assert house.queue.empty


def test_more_rows_than_may_wait_are_refused_and_told_when_to_come_back():
    house = House(rows=10)
    house.ask(*many(0, 8))
    with pytest.raises(RefusedError, match="8 rows are waiting already") as refusal:
        house.ask(*many(0, 3))
    assert (refusal.value.status, refusal.value.headers) == (503, b"Retry-After: 1\r\n")
    house.ask(*many(0, 2))
    house.run()
    house.ask(*many(0, 10))


def test_what_waited_too_long_is_not_scored():
    house = House()
    late, other = house.ask((1, 1), deadline=0.0), house.ask((2, 2))
    house.run()
    assert status(late) == 504
    assert answered(other) == [4.0]
    assert house.model.batches == [[2.0]]


def test_what_waits_too_long_behind_a_batch_is_told_so_at_once():
    house = House(seconds=ELSEWHERE)
    house.model.hold = threading.Event()
    slow = house.ask((1, 1))
    house.loop.turn()
    late = house.ask((2, 2), deadline=0.0)
    house.queue.expire()
    assert status(late) == 504
    assert slow.data is None
    house.model.hold.set()
    assert house.loop.called.wait(20)
    house.run()
    assert answered(slow) == [2.0]
    assert house.queue.rows == 0


def test_slow_batches_are_scored_elsewhere_one_at_a_time_in_order():
    house = House(most=2, seconds=ELSEWHERE)
    requests = [house.ask((at, 0)) for at in range(6)]
    for _ in range(3):
        house.loop.turn()
        assert not house.queue.empty
        assert house.loop.called.wait(20)
        house.loop.called.clear()
        house.loop.turn()
    assert [answered(request) for request in requests] == [[at] for at in range(6)]
    assert house.model.batches == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    house.worker.close()


def test_who_left_is_not_scored():
    house = House()
    gone, other = house.ask(*many(0, 3)), house.ask((9, 0))
    house.leave(gone)
    assert house.queue.rows == 1
    house.run()
    assert house.model.batches == [[9.0]]
    assert gone.data is None
    assert answered(other) == [9.0]


def test_who_leaves_in_the_middle_of_a_large_request_is_not_scored_further():
    house = House(most=4)
    gone = house.ask(*many(0, 40))
    house.loop.turn()
    house.leave(gone)
    other = house.ask((9, 0))
    house.run()
    assert house.model.batches == [[0.0, 1.0, 2.0, 3.0], [9.0]]
    assert answered(other) == [9.0]
    assert house.queue.rows == 0


@pytest.mark.parametrize("seconds", [INLINE, ELSEWHERE])
def test_where_the_model_fails_only_the_bad_request_fails(seconds, caplog):
    house = House(most=16, seconds=seconds)
    requests = [house.ask((at, 666 if at in (3, 7) else 0), (at, 1)) for at in range(8)]
    house.loop.turn()
    if seconds == ELSEWHERE:
        assert house.loop.called.wait(20)
        house.loop.turn()
    assert [status(request) for request in requests] == [500 if at in (3, 7) else 200 for at in range(8)]
    assert [answered(requests[at]) for at in (0, 1, 2, 4, 5, 6)] == [[at, at + 1] for at in (0, 1, 2, 4, 5, 6)]
    assert "r4" in answered(requests[3])["error"]
    assert "cannot stand it" not in answered(requests[3])["error"]
    assert "cannot stand it" in caplog.text
    house.worker.close()


def test_a_row_that_the_schema_refuses_fails_alone():
    house = House()
    rows = [(0, 0), ("1", 0), (2, None), (3, 0), (4, True), (5, 1e300), (6, 0)]
    requests = [house.ask((9, 9), row) for row in rows]
    requests[4].suspect = True  # as the reader of its JSON has it
    house.run()
    assert [status(request) for request in requests] == [200, 400, 400, 200, 400, 400, 200]
    assert [answered(requests[at]) for at in (0, 3, 6)] == [[18, at] for at in (0, 3, 6)]
    assert answered(requests[1])["error"] == "row 1, column 'a': '1', where a number is expected"
    assert answered(requests[5])["error"] == "row 1, column 'b': infinite"
    assert all(not set(batch) & {2.0, 4.0, 5.0} for batch in house.model.batches)


def test_arrays_and_lists_go_into_one_batch():
    house = House()
    arrays = house.ask((0, 0), (0, 0))
    arrays.rows, arrays.feeds = None, {"X": np.array([[1, 2], [3, 4]], np.float32)}
    lists = house.ask((5, 6))
    house.run()
    assert len(house.model.batches) == 1
    assert answered(arrays) == [3.0, 7.0]
    assert answered(lists) == [11.0]


@pytest.mark.parametrize("given", [np.zeros(0), np.zeros(1), np.float32(1), [1.0, 2.0], {"a": 1}])
def test_a_model_that_gives_no_answer_for_each_row_gives_none_at_all(given, caplog):
    house = House()
    house.model.score = lambda feeds: {"prediction": given}
    requests = [house.ask((1, 1), (2, 2)), house.ask((3, 3), (4, 4))]
    house.run()
    assert [status(request) for request in requests] == [500, 500]


def test_a_model_for_single_rows_only_answers_single_rows(caplog):
    house = House()

    def one_row(feeds):
        if len(feeds["X"]) > 1:
            raise ValueError("batches of one only")
        return {"prediction": feeds["X"].sum(axis=1)}

    house.model.score = one_row
    requests = [house.ask((at, 1)) for at in range(5)]
    house.run()
    assert [answered(request) for request in requests] == [[at + 1] for at in range(5)]


def test_the_watcher_is_told_of_each_batch_by_request_and_row():
    house = House(most=4)
    told = []
    house.queue.tell = told.append
    house.ask(*many(0, 6))
    house.ask((100, 1))
    house.run()
    spans = [span for one in told for span in one.requests]
    assert sorted(spans) == [("r1", 0, 3), ("r1", 3, 3), ("r2", 0, 1)]
    for one in told:
        assert one.feeds["X"].sum(axis=1).tolist() == one.answers["prediction"].tolist()
        assert sum(rows for _, _, rows in one.requests) == len(one.feeds["X"])


def test_a_watcher_that_breaks_harms_no_answer(caplog):
    house = House()
    house.queue.tell = lambda told: 1 / 0
    request = house.ask((1, 1))
    house.run()
    assert answered(request) == [2.0]
    assert "ZeroDivisionError" in caplog.text
