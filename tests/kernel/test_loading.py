"""Loading is silent and light, loading twice is once, and unloading leaves nothing behind."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from tests.kernel.kernels import LOAD, Kernel, Rows

# What a shell, the process and the namespace hold: unloading must leave all of it as loading found it.
PICTURE = """
def _picture():
    import json, os, random, sys, threading
    import numpy.random
    ip = get_ipython()
    handles = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
    return json.dumps({
        "files": sorted(os.readlink(one) for one in handles if os.path.exists(one)),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "names": sorted(name for name in ip.user_ns if not name.startswith("_")),
        "hidden": sorted(name for name in ip.user_ns_hidden if not name.startswith("_")),
        "hooks": {name: len(found) for name, found in ip.events.callbacks.items()},
        "transformers": [len(ip.input_transformers_cleanup), len(ip.input_transformers_post), len(ip.ast_transformers)],
        "magics": {kind: sorted(table) for kind, table in ip.magics_manager.magics.items()},
        "registry": sorted(ip.magics_manager.registry),
        "completers": len(ip.strdispatchers["complete_command"].regexs),
        "configurables": sorted(type(part).__name__ for part in ip.configurables),
        "seeders": [f.__module__ for f in (random.seed, random.setstate)]
            + [hasattr(f, "__wrapped__") for f in (random.seed, numpy.random.seed, numpy.random.set_state)],
        "hook": [repr(sys.excepthook), repr(sys.displayhook), repr(ip.showtraceback.__func__)],
    }, sort_keys=True)
"""  # fmt: skip


def picture(kernel: Kernel) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(ast.literal_eval(kernel.good("_picture()").text))
    found["files"] = [name for name in found["files"] if "profile_default" not in name]  # IPython's, now and then
    return found


def test_unloading_leaves_no_trace(new_kernel):
    kernel = new_kernel(load=False)
    kernel.good(PICTURE)
    kernel.good("import duckdb, pandas, numpy.random, pyarrow, random; random.seed(1); numpy.random.seed(1)")
    kernel.good("%unload_ext nothing")  # IPython makes this magic when it is first used
    before = picture(kernel)
    kernel.good(LOAD)
    kernel.good("x = [1]\nopen('out.txt', 'w').write('1')\nrandom.seed(2)")
    for asked in ("%lineage x", "%mlmagic", "%mlmagic doctor", "%slice x", "%lineage --sql 'SELECT 1'", "del x"):
        kernel.good(asked)
    kernel.complete("%lineage ")
    kernel.good("%unload_ext mlmagic")
    assert picture(kernel) == before


def test_loading_is_silent_and_twice_is_once(new_kernel):
    kernel = new_kernel(load=False)
    assert kernel.good(LOAD).outputs == []
    again = kernel.good(LOAD)
    assert again.outputs == [] or "already loaded" in again.printed
    kernel.good("%reload_ext mlmagic")
    kernel.good("import mlmagic\nmlmagic.load_ipython_extension(get_ipython())")
    kernel.good("x = 1")
    rows = kernel.rows()
    assert len([row for row in rows.cells if row.source == "x = 1"]) == 1


def test_after_unloading_nothing_is_recorded_and_loading_again_is_a_new_session(new_kernel):
    kernel = new_kernel()
    kernel.good("a = 1")
    assert kernel.good("%unload_ext mlmagic").outputs == []
    kernel.good("b = a + 1")
    assert "UsageError" in kernel.run("%lineage a").complaints  # the magic is gone
    kernel.good(LOAD)
    kernel.good("c = b + 1")
    rows = kernel.rows()
    assert len({row.session_id for row in rows.history.executions}) == 2
    assert not [row for row in rows.cells if row.source == "b = a + 1"]
    assert rows.cells[-1].source == "c = b + 1"
    (adopter,) = rows.makers(rows.cells[-1], "b")
    assert "b = a + 1" in adopter  # IPython's history stands for it


def test_the_loading_cell_is_recorded_with_what_stands_around_the_loading(new_kernel):
    kernel = new_kernel(load=False)
    kernel.good("given = 1")
    kernel.good(f"above = given + 1\n{LOAD}\nbelow = above + 1")
    kernel.good("after = below + above")
    rows = kernel.rows()
    loading = rows.with_source("%load_ext")
    assert rows.writes(loading) == {"above": "bind", "below": "bind"}
    assert rows.reads(loading) == {"given"}
    assert (loading.status, loading.execution_count) == ("ok", 2)
    assert rows.makers(rows.last, "above") == {loading.source}


def test_a_loading_cell_that_fails_is_recorded_as_failed(new_kernel):
    kernel = new_kernel(load=False)
    kernel.run(f"{LOAD}\nbound = 1\n1/0")
    rows = kernel.rows()
    assert (rows.last.status, rows.last.error_line) == ("error", 3)
    assert rows.writes(rows.last) == {"bound": "bind"}


def test_names_alive_before_are_adopted_under_before(new_kernel):
    kernel = new_kernel(load=False)
    kernel.good("import math\ndata = [1, 2]\nalias = data")
    kernel.good(LOAD)
    kernel.good("total = sum(alias)")
    rows = kernel.rows()
    (before,) = [row for row in rows.history.executions if row.name == "before"]
    assert rows.writes(before) == {"math": "bind", "data": "bind", "alias": "bind"}
    assert before.source == "import math\ndata = [1, 2]\nalias = data"
    assert rows.makers(rows.last, "alias") == {before.source}


def test_a_configuration_file_may_load_it(new_kernel):
    kernel = new_kernel("--IPKernelApp.extensions=mlmagic", load=False)
    kernel.good("x = 1")
    rows = kernel.rows()
    assert [row.source for row in rows.cells] == ["x = 1"]


def test_a_cell_that_loads_and_unloads_works(new_kernel):
    kernel = new_kernel(load=False)
    kernel.good(f"{LOAD}\nx = 1\n%unload_ext mlmagic\ny = 2")
    kernel.good("z = 3")
    rows = kernel.rows()
    assert [row.source.splitlines()[0] for row in rows.cells] == [LOAD]


def test_the_project_lies_where_the_kernel_started_or_where_mlmagic_home_says(new_kernel, tmp_path):
    home = tmp_path / "elsewhere" / "history"
    kernel = new_kernel(env={"MLMAGIC_HOME": str(home)})
    kernel.good("x = 1")
    assert not (tmp_path / ".mlmagic").exists()
    assert list((home / "journal").glob("*.jsonl"))
    assert "*" in (home / ".gitignore").read_text().splitlines()


def test_settings_come_by_config(new_kernel):
    kernel = new_kernel("--MLMagic.track=False")
    kernel.good("unseen = 1")
    kernel.good("%config MLMagic.track = True")
    kernel.good("seen = 1")
    assert [row.source for row in kernel.rows().cells if "seen" in row.source] == ["seen = 1"]
    assert "MLMagic.object_limit" in kernel.good("%config MLMagic").printed


def test_a_clean_shutdown_leaves_everything_in_the_database(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.good("x = 1")
        journal = {path.stat().st_size for path in (tmp_path / ".mlmagic" / "journal").iterdir()}
    import duckdb

    with duckdb.connect(str(tmp_path / ".mlmagic" / "lineage.duckdb"), read_only=True) as database:
        sources = [row[0] for row in database.execute("SELECT source FROM executions ORDER BY ALL").fetchall()]
        (ended,) = database.execute("SELECT ended_at FROM sessions").fetchone() or (None,)
    assert "x = 1" in sources
    assert ended is not None
    assert journal
    assert Rows.of(tmp_path).last.source == "x = 1"
