"""Every cell a front end sends is one row, whatever is in it and however it ends."""

from __future__ import annotations

import time

import pytest

from tests.kernel.kernels import Kernel, until


def added(kernel: Kernel, *cells: str) -> list[str]:
    """Statuses of the rows that these cells add."""
    before = len(kernel.rows().cells)
    for cell in cells:
        kernel.run(cell)
    return [row.status for row in kernel.rows().cells[before:]]


@pytest.mark.parametrize(
    "cell",
    [
        "1 + 1",
        "1 + 1;",
        "# only a comment",
        "%%time\n1 + 1",
        "%%timeit -n 1 -r 1\n1 + 1",
        "%%capture\nprint(1)",
        "%time 1 + 1",
        "get_ipython().run_cell('nested_a = 1\\n')",
        "get_ipython().run_cell_magic('time', '', 'nested_b = 1\\n')",
        "from IPython.display import display; display({'a': 1}); display('b')",
        "import asyncio\nawait asyncio.sleep(0)",
        "!true",
        "%pwd",
        "%lineage",
        "?len",
        "import sys; sys.stdout.write('a')",
    ],
)
def test_a_cell_is_one_row(kernel, cell):
    assert added(kernel, cell) == ["ok"]


@pytest.mark.parametrize("cell", ["def f(:", "1/0", "%no_such_magic", "%%no_such_magic\n1", "raise SystemExit"])
def test_a_cell_that_fails_is_one_row(kernel, cell):
    assert added(kernel, cell) == ["error"]


def test_cells_without_a_number_of_their_own_are_no_rows(kernel):
    before = len(kernel.rows().cells)
    kernel.run("unseen = 1", silent=True)
    kernel.run("unseen = 2", store_history=False)
    kernel.run("")
    kernel.run("   \n  ")
    assert len(kernel.rows().cells) == before


def test_what_an_unrecorded_request_bound_belongs_to_the_cell_before(kernel):
    kernel.good("shown = 1")
    kernel.run("from_a_widget = shown + 1", silent=True)
    kernel.good("later = from_a_widget + 1")
    rows = kernel.rows()
    assert rows.makers(rows.with_source("later ="), "from_a_widget") == {"shown = 1"}


def test_user_expressions_and_comm_messages_are_no_rows(kernel):
    before = len(kernel.rows().cells)
    reply = kernel.run("expressed = 20", user_expressions={"twice": "expressed * 2"})
    assert reply.content["user_expressions"]["twice"]["data"]["text/plain"] == "40"
    kernel.client.shell_channel.send(
        kernel.client.session.msg("comm_open", {"comm_id": "1", "target_name": "nobody", "data": {}})
    )
    kernel.good("after_comm = 1")
    assert len(kernel.rows().cells) == before + 2


def test_cell_magics_keep_what_their_body_reads_and_binds(kernel):
    kernel.good("given = 3")
    for name, magic in (("timed", "%%time"), ("caught", "%%capture"), ("clocked", "%time")):
        kernel.good(f"{magic}{' ' if magic == '%time' else chr(10)}{name} = given + 1")
        rows = kernel.rows()
        assert rows.writes(rows.last)[name] == "bind"
        assert "given" in rows.reads(rows.last)


def test_run_reads_the_script_and_binds_what_it_leaves(kernel):
    (kernel.folder / "helper_script.py").write_text("from_script = 7\n")
    kernel.good("%run helper_script.py")
    kernel.good("after_script = from_script + 1")
    rows = kernel.rows()
    run = rows.with_source("%run helper_script.py")
    assert rows.writes(run)["from_script"] == "bind"
    assert "helper_script.py" in rows.reads(run, None)
    assert rows.makers(rows.with_source("after_script"), "from_script") == {run.source}


def test_top_level_await_binds_and_reads(kernel):
    kernel.good("import asyncio\nasync def soon(x):\n    await asyncio.sleep(0.01)\n    return x\nbase = 5")
    kernel.good("awaited = await soon(base)")
    rows = kernel.rows()
    assert rows.writes(rows.last) == {"awaited": "bind"}
    assert {"soon", "base"} <= rows.reads(rows.last)


def test_a_failing_cell_keeps_its_partial_effects_its_error_and_its_line(kernel):
    kernel.good("partial = []")
    reply = kernel.run("partial.append(1)\nhalf = 2\nraise ValueError('broken\\nin two lines')\nnever = 3")
    assert reply.error == "ValueError: broken\nin two lines"
    assert "mlmagic" not in reply.traceback
    rows = kernel.rows()
    assert (rows.last.status, rows.last.error, rows.last.error_line) == ("error", "ValueError: broken", 3)
    assert rows.writes(rows.last) == {"partial": "mutate", "half": "bind"}


def test_the_line_of_an_error_is_the_cells_own_also_where_it_was_raised_elsewhere(kernel):
    kernel.good("def deep():\n    import json\n    json.loads('{')")
    kernel.run("\n\nx_line = 1\ndeep()")
    last = kernel.rows().last
    assert last.error_line == 4
    assert last.error is not None
    assert last.error.startswith("JSONDecodeError: Expecting property name")


def test_a_syntax_error_says_on_which_line(kernel):
    reply = kernel.run("fine = 1\ndef broken(:\n    pass")
    last = kernel.rows().last
    assert reply.content["ename"] == "SyntaxError"
    assert (last.status, last.error_line) == ("error", 2)
    assert last.error is not None
    assert last.error.startswith("SyntaxError: invalid syntax")


def test_an_error_inside_a_cell_magic_counts_for_the_cell(kernel):
    kernel.run("%%time\ninside_magic = 1\n1/0")
    rows = kernel.rows()
    assert (rows.last.status, rows.last.error) == ("error", "ZeroDivisionError: division by zero")
    assert rows.writes(rows.last) == {"inside_magic": "bind"}


def test_a_failing_cell_stops_run_all(kernel):
    first = kernel.send("raise RuntimeError('stop here')")
    second = kernel.send("not_reached = 1")
    assert kernel.wait(first).status == "error"
    assert kernel.wait(second).status in ("aborted", "error")
    assert kernel.run("'not_reached' in globals()").text == "False"


def test_an_exception_of_the_users_own_is_never_asked_for_its_text(kernel):
    kernel.good("class Odd(Exception):\n    def __str__(self):\n        print('asked')\n        return 'odd'")
    kernel.run("raise Odd()")
    assert kernel.rows().last.error == "Odd"


def test_ctrl_c_keeps_what_was_done_and_the_next_cell_works(kernel):
    kernel.good("progress = []\nimport time")
    message = kernel.send("progress.append(1)\nprint('now', flush=True)\ntime.sleep(60)\nprogress.append(2)")
    kernel.wait_for_print(message, "now")
    time.sleep(0.3)
    kernel.interrupt()
    assert kernel.wait(message).error == "KeyboardInterrupt: "
    kernel.good("after_interrupt = len(progress)")
    rows = kernel.rows()
    interrupted = rows.with_source("time.sleep(60)")
    assert (interrupted.status, interrupted.error_line) == ("interrupted", 3)
    assert rows.writes(interrupted) == {"progress": "mutate"}
    assert rows.makers(rows.last, "progress") == {interrupted.source}


def test_ctrl_c_while_we_look_at_what_changed_is_at_once_and_loses_only_content(kernel):
    # Many plain objects: nothing of ours is as slow as looking at them one by one.
    kernel.good("class Point:\n    def __init__(self, x):\n        self.x = [x, {x: x}]\nimport os, signal, threading")
    kernel.good(
        """
        def soon():
            import time
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)
        """
    )
    reply = kernel.run("many = [Point(i) for i in range(150_000)]\nthreading.Thread(target=soon).start()")
    kernel.run("pass")  # where the signal came after all
    assert reply.status in ("ok", "error")
    rows = kernel.rows()
    assert rows.writes(rows.with_source("many = "))["many"] == "bind"
    kernel.good("del many\nstill_alive = 1")
    rows = kernel.rows()
    assert rows.writes(rows.last)["still_alive"] == "bind"


def test_deleting_writes_a_version_without_content(kernel):
    kernel.good("doomed = 1")
    kernel.good("del doomed")
    rows = kernel.rows()
    assert rows.writes(rows.last) == {"doomed": "delete"}
    (gone,) = [
        row for row in rows.history.versions if row.name == "doomed" and row.execution_id == rows.last.execution_id
    ]
    assert gone.fingerprint is None


def test_outputs_are_read_as_the_cells_that_showed_them(kernel):
    shown = kernel.good("[41, 1]")
    kernel.good(f"sum_of_out = sum(Out[{shown.count}])")
    kernel.good("[5]")
    kernel.good("last_shown = _")
    kernel.good(f"by_number = _{shown.count}")
    kernel.good("typed = In[-1]")
    rows = kernel.rows()
    assert rows.makers(rows.with_source("sum_of_out"), f"_{shown.count}") == {"[41, 1]"}
    assert rows.makers(rows.with_source("by_number"), f"_{shown.count}") == {"[41, 1]"}
    assert rows.makers(rows.with_source("last_shown"), f"_{shown.count + 2}") == {"[5]"}
    assert "In" in rows.reads(rows.with_source("typed = "))
    assert not {"In", "Out", "_", "__", "_i"} & {name for row in rows.cells for name in rows.writes(row)}


def test_a_nested_run_cell_belongs_to_the_cell_that_asked_for_it(kernel):
    kernel.good("outer_a = 1\nget_ipython().run_cell('inner_a = outer_a + 1')\nouter_b = inner_a + 1")
    rows = kernel.rows()
    assert rows.writes(rows.last) == {"outer_a": "bind", "inner_a": "bind", "outer_b": "bind"}


def test_rows_carry_the_count_the_id_and_the_text_as_typed(kernel):
    reply = kernel.good("%time counted = 1", cell_id="5f1c-abc")
    last = kernel.rows().last
    assert (last.execution_count, last.cell_id, last.source) == (reply.count, "5f1c-abc", "%time counted = 1")
    kernel.good("headless = 1")
    last = kernel.rows().last
    assert last.cell_id == f"h-{last.source_hash[:16]}"


def test_source_hash_ignores_comments_layout_and_our_own_line(kernel):
    cells = ["hashed = 1 + 2", "# a remark\n\nhashed = (1 +\n          2)", "%%track some_name\nhashed = 1 + 2"]
    for cell in cells:
        kernel.good(cell)
    rows = kernel.rows()
    assert len({row.source_hash for row in rows.cells[-3:]}) == 1


def test_secrets_in_the_text_are_not_stored(kernel):
    kernel.good("api_key = 'sk-123456789'\nplain = 'visible'")
    journal = "".join(path.read_text() for path in (kernel.folder / ".mlmagic" / "journal").iterdir())
    assert "sk-123456789" not in journal
    assert "visible" in journal


def test_a_task_that_outlives_its_cell_changes_what_the_cell_wrote(kernel):
    kernel.good("import asyncio\nfrom_task = []")
    kernel.good(
        """
        async def fill():
            await asyncio.sleep(0.1)
            from_task.append(1)
        task = asyncio.create_task(fill())
        """
    )
    until(lambda: kernel.run("print(len(from_task))", store_history=False).printed == "1\n")
    kernel.good("read_task = list(from_task)")
    rows = kernel.rows()
    assert any("create_task" in source for source in rows.makers(rows.last, "from_task"))


def test_a_thread_that_outlives_its_cell_changes_what_the_cell_wrote(kernel):
    kernel.good("import threading, time\nfrom_thread = []")
    kernel.good(
        """
        def work():
            time.sleep(0.2)
            from_thread.append(1)
        worker = threading.Thread(target=work); worker.start()
        """
    )
    kernel.good("unrelated = 1")
    time_to_finish = kernel.good("worker.join()")
    kernel.good("read_thread = list(from_thread)")
    rows = kernel.rows()
    assert time_to_finish.status == "ok"
    makers = rows.makers(rows.last, "from_thread")
    lineage = kernel.good("%lineage read_thread").text
    assert any("def work" in source or "worker.join" in source for source in makers)  # whichever ran when it ended
    assert "from_thread" in lineage


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("1/0", 1),
        ("\n\n\n1/0", 4),
        ("a_line = 1\nfor i in range(3):\n    i / 0", 3),
        ("%%time\na_line = 1\n1/0", 3),
        ("%%time\n\n\n1/0", 4),
        ("%%track failing\na_line = 1\n1/0", 3),
        ("\n%%track failing\n%%time\na_line = 1\n1/0", 5),
        ("exec('a_line = 1\\n\\n1/0')", 1),
        ("%%no_such_magic\n1", 1),
        ("\n\na_line = 1\nb = (", 4),
    ],
)
def test_the_line_that_failed_is_that_of_the_text_as_typed(kernel, cell, line):
    kernel.run(cell)
    assert kernel.rows().last.error_line == line
