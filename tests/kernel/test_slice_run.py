"""`%slice TARGET --run` proves what it says: same, close or different, and never does to the world what a cell did."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.kernel.kernels import Kernel

HELPER = """
import subprocess
FACTOR = 3
def scale(x):
    return x * FACTOR
def touch(path):
    subprocess.run(["touch", path], check=True)
"""


@pytest.fixture(scope="module")
def kernel(home: Path, tmp_path_factory: pytest.TempPathFactory):
    """One tracked kernel with a data file, a local module and the usual imports."""
    from tests.conftest import user_folders

    folder = tmp_path_factory.mktemp("slices")
    (folder / "data").mkdir()
    (folder / "data" / "rows.csv").write_text("a,b\n" + "".join(f"{n},{n * n}\n" for n in range(50)))
    (folder / "helper.py").write_text(HELPER)
    with Kernel(folder, env=user_folders(home)) as kernel:
        kernel.good("import os, random, subprocess, sys, time\nimport numpy as np\nimport pandas as pd")
        kernel.good("from helper import scale")
        kernel.good("rows = pd.read_csv('data/rows.csv')")
        yield kernel


def verdict(kernel: Kernel, target: str) -> dict:
    kernel.good(f"said = %slice {target} --run")
    return dict(json.loads(kernel.good("import json\nprint(json.dumps(said.to_dict()))").printed))


def said(kernel: Kernel, target: str) -> tuple[str, str]:
    found = verdict(kernel, target)
    return found["verdict"], found["detail"]


def test_same_with_inputs_linked_and_helpers_found(kernel):
    kernel.good("total = scale(rows['b'].sum())")
    assert said(kernel, "total") == ("same", "")


def test_same_for_frames_arrays_and_models(kernel):
    kernel.good("frame = rows.assign(c=rows.a * 2)\nframe.loc[0, 'c'] = -1")
    kernel.good("from sklearn.linear_model import LinearRegression")
    kernel.good("model = LinearRegression().fit(rows[['a']], rows.b)")
    assert said(kernel, "frame")[0] == "same"
    assert said(kernel, "model")[0] == "same"


@pytest.mark.parametrize("draw", ["random.random()", "np.random.rand(3)", "[random.gauss(0, 1) for _ in range(3)]"])
def test_unseeded_draws_are_repeated_from_the_stored_state(kernel, draw):
    kernel.good("random.random(); np.random.rand()")
    kernel.good(f"drawn = {draw}")
    assert said(kernel, "drawn")[0] == "same"


def test_draws_after_a_seed_and_in_a_chain(kernel):
    kernel.good("random.seed(5); np.random.seed(5)")
    kernel.good("first = random.random()")
    kernel.good("second = random.random() + np.random.rand()")
    kernel.good("third = second + random.random() + np.random.rand()")
    for name in ("second", "third"):
        assert said(kernel, name)[0] == "same"


def test_shuffles_and_splits_of_packages(kernel):
    kernel.good("from sklearn.model_selection import train_test_split\ntrain, test = train_test_split(rows)")
    kernel.good("shuffled = list(range(9)); random.shuffle(shuffled)")
    assert said(kernel, "test")[0] == "same"
    assert said(kernel, "shuffled")[0] == "same"


def test_a_named_generator(kernel):
    kernel.good("rng = np.random.default_rng(7)")
    kernel.good("noise = rng.normal(size=4)")
    kernel.good("more = rng.normal(size=4)")
    assert said(kernel, "more")[0] == "same"


def test_close_says_by_how_much(kernel):
    # The last digits depend on which process it is: as a sum over threads would.
    kernel.good("wobbly = {'w': np.array([1.0, 2.0]) * (1 + 1e-12 * (os.getpid() % 1000))}")
    found = verdict(kernel, "wobbly")
    assert found["verdict"] in ("close", "same")
    if found["verdict"] == "close":
        assert found["detail"].startswith("max difference ")


def test_different_names_the_first_path(kernel):
    kernel.good("stamped = {'name': 'x', 'when': [1, time.time_ns()]}")
    assert said(kernel, "stamped") == ("different", "first at stamped['when'][1]")
    kernel.good("class Box:\n    pass\nbox = Box()\nbox.inside = {'pid': os.getpid()}")
    assert said(kernel, "box") == ("different", "first at box.inside['pid']")


def test_an_input_that_changed_since_is_told(kernel):
    (kernel.folder / "input.txt").write_text("1")
    kernel.good("number = int(open('input.txt').read())")
    (kernel.folder / "input.txt").write_text("2")
    found = verdict(kernel, "number")
    assert (found["verdict"], found["notes"]) == ("different", ["input input.txt has changed since"])
    (kernel.folder / "input.txt").unlink()
    found = verdict(kernel, "number")
    assert found["verdict"] == "different"
    assert found["notes"] == ["input input.txt is gone"]
    assert "FileNotFoundError" in found["detail"]


def test_an_error_inside_says_where(kernel):
    (kernel.folder / "once.txt").write_text("1")
    kernel.good("value = int(open('once.txt').read())\nimportant = 10 // value")
    (kernel.folder / "once.txt").write_text("0")
    found = verdict(kernel, "important")
    assert found["verdict"] == "different"
    assert "stopped: ZeroDivisionError" in found["detail"]
    assert "important = 10 // value" in found["detail"]


def test_a_target_that_is_gone_is_judged_by_its_fingerprint(kernel):
    kernel.good("passing = [1, 2, 3]")
    kernel.good("fleeting = time.time()")
    kernel.good("del passing, fleeting")
    assert said(kernel, "passing")[0] == "same"
    assert said(kernel, "fleeting") == ("different", "its content is another than the one recorded")


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("to_csv", "kept = rows.a.sum()\nrows.to_csv('{outside}')"),
        ("open", "kept = 5\nwith open('{outside}', 'w') as file:\n    file.write('x')"),
        ("timed", "%%time\nkept = rows.a.sum()\nrows.to_csv('{outside}')"),
        ("blank lines", "\n\nkept = rows.a.sum()\nrows.to_csv('{outside}')"),
        ("tracked", "%%track writes\nkept = rows.a.sum()\nrows.to_csv('{outside}')"),
        ("shell", "kept = 6\n!touch {outside}"),
        ("cell shell", "kept = 6\nget_ipython().system('touch {outside}')"),
        ("system", "kept = 7\nos.system('touch {outside}');"),
        ("subprocess", "kept = 8\nsubprocess.run(['touch', '{outside}'], check=True);"),
        ("popen", "kept = 8\nos.popen('touch {outside}').read();"),
        ("mkdir", "kept = 9\nos.makedirs('{outside}')"),
        ("rename", "kept = 9\nopen('{outside}.old', 'w').close()\nos.rename('{outside}.old', '{outside}')"),
        ("numpy", "kept = 10\nnp.save('{outside}.npy', np.zeros(2))\nos.rename('{outside}.npy', '{outside}')"),
        ("copy", "import shutil\nkept = 11\nshutil.copy('data/rows.csv', '{outside}')"),
        ("parquet", "kept = rows.b.sum()\nrows.to_parquet('{outside}')"),
        ("polars", "import polars as pl\nkept = 12\npl.DataFrame({'a': [1]}).write_csv('{outside}')"),
        ("duckdb", "import duckdb\nkept = 12\nduckdb.sql(\"COPY (SELECT 1 AS a) TO '{outside}'\");"),
        ("sqlite", "import sqlite3\nkept = 12\nsqlite3.connect('{outside}').execute('CREATE TABLE t(a)').close()"),
        ("helper", "from helper import touch\nkept = 12\ntouch('{outside}');"),
        ("pathlib", "from pathlib import Path\nkept = 11\nPath('{outside}').write_text('x');"),
    ],
)
def test_what_was_written_outside_is_not_written_again(kernel, tmp_path, name, cell):
    outside = tmp_path / "outside"
    kernel.good(cell.replace("{outside}", str(outside)))
    assert outside.exists()
    if outside.is_dir():
        outside.rmdir()
    else:
        outside.unlink()
    for left in tmp_path.iterdir():
        left.unlink()
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    found = verdict(kernel, "kept")
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    assert found["verdict"] == "same" or "stopped" in found["detail"], found


@pytest.mark.parametrize(
    "change",
    ["shutil.rmtree('{tree}')", "os.utime('{tree}/file', (1, 1))", "os.chmod('{tree}/file', 0o600)",
     "os.rename('{tree}/file', '{tree}/moved')", "os.truncate('{tree}/file', 0)", "os.link('{tree}/file', '{tree}/b')"],
)  # fmt: skip
def test_what_was_changed_outside_is_not_changed_again(kernel, tmp_path, change):
    def lay_out() -> tuple:
        shutil.rmtree(tmp_path / "tree", ignore_errors=True)
        (tmp_path / "tree").mkdir()
        (tmp_path / "tree" / "file").write_text("content")
        return look()

    def look() -> tuple:
        found = [
            (path.name, path.stat().st_size, path.stat().st_mtime, path.stat().st_mode) for path in tmp_path.rglob("*")
        ]
        return tuple(sorted(found))

    lay_out()
    kernel.good(f"import os, shutil\nchanged = 5\n{change.replace('{tree}', str(tmp_path / 'tree'))}")
    before = lay_out()
    found = verdict(kernel, "changed")
    assert look() == before
    assert found["verdict"] == "same" or "a slice" in found["detail"], found


def test_plain_writes_are_left_out_so_that_the_rest_runs(kernel, tmp_path):
    kernel.good(f"summed = rows.a.sum()\nrows.to_csv('{tmp_path}/a.csv')\nopen('b.txt', 'w').write('x');")
    found = verdict(kernel, "summed")
    assert found["verdict"] == "same", found
    assert "to_csv" in kernel.good("%slice summed").text.split("Left out")[1].split('"""')[0]


def test_a_file_written_and_read_again_is_written_in_the_scratch_folder(kernel):
    kernel.good("rows.head(3).to_csv('between.csv', index=False)")
    kernel.good("again = pd.read_csv('between.csv')")
    before = (kernel.folder / "between.csv").stat().st_mtime_ns
    assert said(kernel, "again")[0] == "same"
    assert (kernel.folder / "between.csv").stat().st_mtime_ns == before


def test_a_database_outside_can_be_read(kernel, tmp_path):
    with sqlite3.connect(tmp_path / "old.db") as made:
        made.execute("CREATE TABLE t AS SELECT 41 AS a")
    made.close()
    kernel.good(
        f"""
        import sqlite3
        link = sqlite3.connect('{tmp_path}/old.db')
        read = link.execute('SELECT a FROM t').fetchall()
        """
    )
    kernel.good("answer = read[0][0] + 1")
    assert said(kernel, "answer") == ("same", "")


def test_an_input_is_never_written_through_its_link(kernel):
    (kernel.folder / "state.txt").write_text("old")
    kernel.good(
        """
        state = open('state.txt').read()
        with open('state.txt', 'w') as file:
            file.write(state + '!')
        both = state
        """
    )
    after = (kernel.folder / "state.txt").read_text()
    verdict(kernel, "both")
    assert (kernel.folder / "state.txt").read_text() == after


def test_a_request_that_sends_data_is_not_sent_again(kernel, tmp_path):
    import http.server
    import threading

    seen: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kernel.good(
            "import urllib.request\nposted = 5\n"
            f"urllib.request.urlopen('http://127.0.0.1:{server.server_port}/x', data=b'secret').read();"
        )
        assert seen == ["/x"]
        found = verdict(kernel, "posted")
        server.shutdown()
    assert seen == ["/x"]
    assert found["verdict"] == "same" or "sends no data" in found["detail"]


def test_top_level_await_and_failed_cells_run_again(kernel):
    kernel.good("import asyncio\nawaited = await asyncio.sleep(0, result=4)")
    kernel.run("partly = [awaited]\nraise ValueError('after')")
    assert said(kernel, "awaited")[0] == "same"
    assert said(kernel, "partly")[0] == "same"


def test_what_a_slice_prints_and_warns_stays_out_of_the_notebook(kernel):
    kernel.good("print('noise')\nimport warnings\nwarnings.warn('careful')\nquiet = 1")
    reply = kernel.good("%slice quiet --run")
    assert reply.text.startswith("quiet: same")
    assert (reply.printed, reply.complaints) == ("", "")
