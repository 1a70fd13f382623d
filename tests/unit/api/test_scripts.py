"""`with mlmagic.track(...)` in plain scripts: blocks are executions, and nothing of the script changes."""

from __future__ import annotations

from tests.kernel.kernels import Rows, command, script


def test_blocks_read_what_earlier_blocks_wrote(tmp_path):
    done = script(
        """
        import mlmagic
        with mlmagic.track("load"):
            data = [1, 2]
        with mlmagic.track("more"):
            data.append(3)
        with mlmagic.track("sum", tags={"n": 3}):
            total = sum(data)
        print(total)
        """,
        tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")
    rows = Rows.of(tmp_path)
    load, more, total = rows.cells
    assert [row.name for row in rows.cells] == ["load", "more", "sum"]
    assert rows.writes(load) == {"data": "bind"}
    assert rows.writes(more) == {"data": "mutate"}
    assert (rows.reads(total), rows.writes(total), total.tags) == ({"data"}, {"total": "bind"}, {"n": "3"})
    assert load.source == "data = [1, 2]"


def test_an_exception_passes_through_and_is_recorded(tmp_path):
    done = script(
        """
        import mlmagic
        with mlmagic.track("fails"):
            half = 1
            1 / 0
        """,
        tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
    rows = Rows.of(tmp_path)
    assert (rows.last.status, rows.last.error) == ("error", "ZeroDivisionError: division by zero")
    assert rows.writes(rows.last) == {"half": "bind"}


def test_inside_a_function_it_says_where_it_belongs(tmp_path):
    done = script(
        """
        import mlmagic
        def main():
            with mlmagic.track("inner"):
                x = 1
        try:
            main()
        except mlmagic.MlmagicError as error:
            print(error)
        """,
        tmp_path,
    )
    assert done.stdout == "mlmagic.track: use it at the top level of a script or cell, not inside a function\n"


def test_nested_blocks_are_one_execution(tmp_path):
    done = script(
        """
        import mlmagic
        with mlmagic.track("outer"):
            a = 1
            with mlmagic.track("inner", tags={"deep": "yes"}):
                b = a + 1
            c = b + 1
        """,
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = Rows.of(tmp_path).cells
    assert Rows.of(tmp_path).writes(row) == {"a": "bind", "b": "bind", "c": "bind"}


def test_questions_can_be_asked_in_the_script_itself(tmp_path):
    done = script(
        """
        import mlmagic
        with mlmagic.track("load"):
            data = [1, 2]
        print(mlmagic.lineage("data"))
        print(mlmagic.status().cells_tracked)
        print(int(mlmagic.sql("SELECT count(*) AS n FROM executions WHERE name = 'load'")["n"][0]))
        """,
        tmp_path,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-2:] == ["1", "1"]


def test_questions_without_a_session_are_one_line_errors(tmp_path):
    done = script(
        """
        import mlmagic
        for ask in (mlmagic.status, mlmagic.on, lambda: mlmagic.lineage("x"), lambda: mlmagic.slice("x")):
            try:
                ask()
            except mlmagic.MlmagicError as error:
                print(error)
        """,
        tmp_path,
    )
    assert len(done.stdout.splitlines()) == 4
    assert "%load_ext mlmagic" in done.stdout


def test_loops_and_conditions_around_a_block_give_one_row_each_time(tmp_path):
    done = script(
        """
        import mlmagic
        total = 0
        for step in range(3):
            with mlmagic.track("step"):
                total += step
        """,
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = Rows.of(tmp_path)
    blocks = [row for row in rows.cells if row.name == "step"]
    assert len(blocks) == 3
    assert all("total" in rows.writes(row) for row in blocks[1:])
    assert all("step" in rows.reads(row) for row in blocks)


def test_a_script_that_only_defines_leaves_nothing(tmp_path):
    assert script("import mlmagic\nx = 1\n", tmp_path).returncode == 0
    assert not (tmp_path / ".mlmagic").exists()


def test_the_slice_of_a_script_runs_as_the_same(tmp_path):
    (tmp_path / "rows.json").write_text("[1, 2, 3]")
    script(
        """
        import mlmagic, json
        with mlmagic.track("load"):
            data = json.loads(open("rows.json").read())
        with mlmagic.track("sum"):
            total = sum(data)
        """,
        tmp_path,
    )
    done = command("slice", "total", "--run", cwd=tmp_path)
    assert done.stdout.startswith("total: same"), done.stdout + done.stderr


def test_what_runs_between_blocks_reads_too(tmp_path):
    script(
        """
        import mlmagic
        base = 10
        other = 5
        with mlmagic.track("first"):
            a = 1
        b = base + 1
        print("no effect")
        with mlmagic.track("second"):
            c = b + a
        """,
        tmp_path,
    )
    rows = Rows.of(tmp_path)
    first, between, second = rows.cells
    assert (first.name, between.name, second.name) == ("first", None, "second")
    assert (rows.reads(first), rows.reads(between), rows.writes(between)) == (set(), {"base"}, {"b": "bind"})
    done = command("slice", "c", "--run", cwd=tmp_path)
    assert done.stdout.startswith("c: same"), done.stdout + done.stderr
