"""The panel's own thread: jobs in order, trouble told, an end that waits for nothing but the job at hand."""

from __future__ import annotations

import threading

from mlmagic.panel.desk import Desk


def test_jobs_are_done_in_order_on_a_thread_of_their_own():
    done, over = [], threading.Event()
    desk = Desk(done.append, lambda: None)
    desk.start()
    for number in range(3):
        desk.put(lambda number=number: done.append((number, threading.current_thread().name)))
    desk.put(over.set)
    assert over.wait(10)
    desk.stop()
    assert done == [(number, "mlmagic-panel") for number in range(3)]


def test_what_a_job_raises_is_told_and_the_next_one_is_done():
    trouble, over = [], threading.Event()
    desk = Desk(trouble.append, lambda: None)
    desk.start()
    desk.put(lambda: 1 / 0)
    desk.put(over.set)
    assert over.wait(10)
    desk.stop()
    assert [type(error) for error in trouble] == [ZeroDivisionError]


def test_it_is_called_again_after_as_long_as_it_said():
    calls, over = [], threading.Event()

    def idle():
        calls.append(1)
        if len(calls) == 3:
            over.set()
            return None
        return 0.01

    desk = Desk(calls.append, idle)
    desk.start()
    desk.put(lambda: None)
    assert over.wait(10)
    desk.stop()
    assert calls == [1, 1, 1]


def test_after_the_end_nothing_is_done():
    done = []
    desk = Desk(done.append, lambda: None)
    desk.start()
    desk.stop()
    desk.put(lambda: done.append("late"))
    assert not desk._thread.is_alive()
    assert done == []


def test_an_end_before_the_beginning_is_no_trouble():
    Desk(print, lambda: None).stop()
