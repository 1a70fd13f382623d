"""What goes on after a cell has returned belongs to that cell, and who reads it depends on it."""

from __future__ import annotations

import threading
import time

from tests.cases.notebook import names


def test_a_task_that_outlives_its_cell(notebook):
    notebook.cell("import asyncio\nxs = []; ys = xs")
    notebook.cell("async def work():\n    await asyncio.sleep(0.02)\n    xs.append(1)")
    notebook.cell("t = asyncio.create_task(work())")
    notebook.cell("z = 1")
    notebook.wait(0.05)
    ran = notebook.cell("n = len(xs)")
    assert notebook.namespace["n"] == 1
    assert {(name, how) for _, name, how in notebook.late_writes()} >= {("xs", "mutate"), ("ys", "mutate")}
    assert 3 in ran.sources, "the reader depends on the writer"


def test_a_task_that_another_package_awaits(notebook):
    notebook.cell("import asyncio\nxs = []\nasync def work():\n    await asyncio.sleep(0.02)\n    xs.append(1)")
    notebook.cell("t = asyncio.ensure_future(asyncio.wait_for(work(), 5))")
    notebook.wait(0.05)
    ran = notebook.cell("n = len(xs)")
    assert 2 in ran.sources


def wait_for_threads():
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(5)


def test_a_thread_that_outlives_its_cell(notebook):
    notebook.cell("import threading, time\nxs = []; box = {'xs': xs}; other = [0]")
    notebook.cell("def work():\n    time.sleep(0.05)\n    xs.append(1)")
    notebook.cell("t = threading.Thread(target=work); t.start()")
    wait_for_threads()
    ran = notebook.cell("n = len(box['xs'])")
    assert notebook.namespace["n"] == 1
    assert 3 in ran.sources
    late = {(number, name) for number, name, _ in notebook.late_writes()}
    assert {(3, "xs"), (3, "box")} <= late
    assert "other" not in {name for _, name in late}


def test_what_a_thread_binds(notebook):
    notebook.cell("import threading, time\ndef work():\n    global made\n    time.sleep(0.03)\n    made = [1]")
    notebook.cell("threading.Thread(target=work).start()")
    wait_for_threads()
    ran = notebook.cell("made")
    assert ran.reads == {("variable", "made")}
    assert ran.sources == {2}


def test_a_thread_still_at_work_while_other_cells_run(notebook):
    notebook.cell("import threading, time\nxs = []\ndef work():\n    time.sleep(0.1)\n    xs.append(1)")
    notebook.cell("threading.Thread(target=work).start()")
    notebook.cell("y = 1")
    wait_for_threads()
    ran = notebook.cell("n = len(xs)")
    assert 2 in ran.sources, "the cell that started the thread wrote this, not the last one"
    assert notebook.cell("m = len(xs)").sources == ran.sources


def test_a_late_change_hides_no_cell_in_between(notebook):
    notebook.cell("import threading, time\nxs = []\ndef work():\n    time.sleep(0.1)\n    xs.append(1)")
    notebook.cell("threading.Thread(target=work).start()")
    notebook.cell("xs.append(5)")
    wait_for_threads()
    assert {2, 3} <= notebook.cell("n = len(xs)").sources
    assert {2, 3} <= notebook.cell("xs.append(6)").sources
    assert notebook.cell("xs").sources == {5}


def test_threads_of_a_pool_that_wait_for_work_change_nothing(notebook):
    notebook.cell("from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\nxs = []")
    notebook.cell("pool.submit(xs.append, 1).result()")
    time.sleep(0.02)
    assert not notebook.recorder._live.running()
    notebook.cell("pool.shutdown()")


def test_work_handed_to_a_pool_is_seen(notebook):
    notebook.cell("import time\nfrom concurrent.futures import ThreadPoolExecutor as Pool\npool = Pool(1)\nxs = []")
    notebook.cell("def work():\n    time.sleep(0.05)\n    xs.append(1)\nfuture = pool.submit(work)")
    assert notebook.recorder._live.running()
    notebook.namespace["future"].result()
    assert 2 in notebook.cell("len(xs)").sources
    notebook.cell("pool.shutdown()")


def test_a_thread_that_keeps_house_is_nobodys_work(notebook):
    stop = threading.Event()
    keeper = type("Monitor", (threading.Thread,), {"__module__": "tqdm._monitor", "run": lambda self: stop.wait(10)})
    notebook.namespace["keeper"] = keeper()
    notebook.cell("keeper.start()")
    assert not notebook.recorder._live.running()
    stop.set()
    notebook.namespace["keeper"].join()


def test_a_thread_of_the_kernel_that_starts_between_cells(notebook):
    stop = threading.Event()
    notebook.cell("x = 1")
    thread = threading.Thread(target=stop.wait, args=(10,))
    thread.start()
    notebook.cell("y = 1")
    assert not notebook.recorder._live.running()
    stop.set()
    thread.join()


def test_names_that_appear_between_cells_belong_to_the_cell_before(notebook):
    notebook.cell("x = 1")
    notebook.namespace["from_a_callback"] = [1]
    ran = notebook.cell("from_a_callback")
    assert ran.sources == {1}


def test_a_change_after_the_end_of_its_cell_is_not_the_next_cells(notebook):
    notebook.cell("import threading, time\nxs = []\ndef work():\n    time.sleep(0.03)\n    xs.append(1)")
    notebook.cell("threading.Thread(target=work).start()")
    wait_for_threads()
    assert notebook.cell("y = 1").writes == {("variable", "y"): "bind"}
    assert names(notebook.cell("len(xs)").writes) == set()
