"""What a kernel promises when it is killed, the disk is full, the folder is gone, or the user's objects misbehave."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import user_folders
from tests.kernel.kernels import Kernel, Rows, command


@pytest.fixture(scope="module")
def kernel(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A tracked kernel for faults that must not hurt the kernel itself."""
    with Kernel(tmp_path_factory.mktemp("project"), env=user_folders(home)) as kernel:
        yield kernel


@pytest.fixture
def new_kernel(tmp_path: Path) -> Iterator[Callable[..., Kernel]]:
    with contextlib.ExitStack() as running:

        def start(folder: Path = tmp_path, **options: Any) -> Kernel:
            return running.enter_context(Kernel(folder, **options))

        yield start


# Processes


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_kernel_loses_no_finished_cell(tmp_path, seed):
    chance = random.Random(seed)
    with Kernel(tmp_path) as kernel:
        finished = []
        until = time.monotonic() + 0.3 + chance.random()
        number = 0
        while time.monotonic() < until:
            kernel.good(f"v{number} = [{number}] * 100")
            finished.append(number)
            number += 1
        kernel.send(f"v{number} = list(range(10 ** 7))\nimport time\ntime.sleep(30)")
        time.sleep(chance.random() / 5)
        kernel.kill()
    rows = Rows.of(tmp_path)
    for number in finished:
        assert rows.writes(rows.with_source(f"v{number} = ")) == {f"v{number}": "bind"}


@pytest.mark.soak
def test_many_kernels_killed_at_random_moments_lose_no_finished_cell(tmp_path):
    for seed in range(20):
        (tmp_path / str(seed)).mkdir()
        test_a_killed_kernel_loses_no_finished_cell(tmp_path / str(seed), seed)


def test_two_kernels_and_the_command_line_share_a_project(new_kernel, tmp_path):
    kernels = [new_kernel(), new_kernel()]
    for number in range(15):
        sent = [kernel.send(f"k{place}_{number} = {number}\n%lineage") for place, kernel in enumerate(kernels)]
        if number % 5 == 0:
            done = command("lineage", "--sql", "SELECT count(*) AS n FROM executions", cwd=tmp_path)
            assert (done.returncode, done.stderr) == (0, "")
        for kernel, message in zip(kernels, sent, strict=True):
            reply = kernel.wait(message)
            assert (reply.status, reply.complaints) == ("ok", "")
    rows = Rows.of(tmp_path)
    for place in range(2):
        for number in range(15):
            assert rows.with_source(f"k{place}_{number} = {number}\n")
    # Each kernel's picture is that of its own session.
    assert "k1_" not in kernels[0].good("%lineage").text


def test_a_restarted_kernel_goes_on_in_the_project(new_kernel):
    kernel = new_kernel()
    kernel.good("open('kept.txt', 'w').write('5')\nx = 1")
    kernel.restart()
    kernel.good("y = int(open('kept.txt').read())")
    assert kernel.run("x").error == "NameError: name 'x' is not defined"
    rows = kernel.rows()
    assert len({row.session_id for row in rows.cells}) == 2
    assert "y" in kernel.good("%lineage y").text


@pytest.mark.parametrize(
    "fork",
    [
        "import os\npid = os.fork()\nif pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0)[1]",
        # This child ends as a script would.
        "import os\nfrom mlmagic.session import current\npid = os.fork()\nif pid == 0:\n"
        "    current._at_exit()\n    os._exit(0)\nos.waitpid(pid, 0)[1]",
        "import multiprocessing as mp\ndef work(n):\n    open(f'w{n}.txt', 'w').write('x')\n    return n * 2\n"
        "with mp.get_context('fork').Pool(2) as pool:\n    doubled = pool.map(work, range(4))\nsum(doubled) - 12",
    ],
)  # fmt: skip
def test_a_fork_in_a_cell_hurts_nothing(new_kernel, fork):
    kernel = new_kernel()
    kernel.good("before_fork = 1")
    with warnings.catch_warnings():
        assert kernel.good(f"import warnings\nwarnings.simplefilter('ignore')\n{fork}").text == "0"
    kernel.good("after_fork = before_fork + 1")
    rows = kernel.rows()
    assert rows.makers(rows.last, "before_fork") == {"before_fork = 1"}
    assert len({row.session_id for row in rows.history.executions}) == 1
    assert kernel.good("%lineage after_fork").complaints == ""
    journal = next((kernel.folder / ".mlmagic" / "journal").glob("*.jsonl")).read_text()
    assert journal.endswith("\n")
    assert '"session_ended"' not in journal


def test_a_cell_that_exits_is_recorded_and_the_kernel_lives(new_kernel):
    kernel = new_kernel()
    kernel.run("x = 1\nimport sys\nsys.exit(3)")
    kernel.good("y = x + 1")
    rows = kernel.rows()
    assert rows.with_source("sys.exit").status == "error"
    assert rows.makers(rows.last, "x") == {"x = 1\nimport sys\nsys.exit(3)"}


# Disks and folders


@contextlib.contextmanager
def small_disk(place: Path, size: str = "8m") -> Iterator[Path]:
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.filterwarnings("ignore:1 damaged line")  # what was written when the disk was full
def test_on_a_full_disk_cells_run_one_warning_is_shown_and_nothing_is_lost(tmp_path):
    with small_disk(tmp_path / "disk") as disk, Kernel(disk) as kernel:
        kernel.good("first = 1")
        with contextlib.suppress(OSError):
            (disk / "ballast").write_bytes(b"x" * 10_000_000)
        replies = [kernel.good(f"held_{number} = first + {number}  # {'x' * 3000}") for number in range(10)]
        warned = [reply.complaints for reply in replies if reply.complaints]
        assert len(warned) == 1, warned
        assert warned[0].startswith("mlmagic: the journal cannot be written (No space left on device)")
        assert len(warned[0].strip().splitlines()) == 1
        (disk / "ballast").unlink()
        kernel.good("last = held_9 + 1")
        rows = kernel.rows()
        assert rows.makers(rows.last, "held_9") == {rows.with_source("held_9 = ").source}
        for number in range(10):
            assert rows.writes(rows.with_source(f"held_{number} = ")) == {f"held_{number}": "bind"}


def test_on_a_full_disk_questions_are_answered_too(tmp_path):
    with small_disk(tmp_path / "disk", "8m") as disk, Kernel(disk) as kernel:
        kernel.good("first = 1")
        with contextlib.suppress(OSError):
            (disk / "ballast").write_bytes(b"x" * 10_000_000)
        reply = kernel.good("%lineage first")
        assert "first" in reply.text
        assert "Traceback" not in reply.complaints


def test_in_a_read_only_folder_history_goes_elsewhere_with_one_line(tmp_path):
    with small_disk(tmp_path / "disk", "8m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with Kernel(disk, load=False) as kernel:
            loaded = kernel.good("%load_ext mlmagic")
            assert len(loaded.complaints.strip().splitlines()) == 1
            assert "cannot be written" in loaded.complaints
            assert kernel.good("x = 1").complaints == ""
            assert kernel.good("y = x + 1").complaints == ""
            assert "x" in kernel.good("%lineage y").text
            place = kernel.good("print(get_ipython()._mlmagic.session.project.folder)").printed.strip()
            shutil.rmtree(place)


def test_a_project_folder_that_is_deleted_is_made_again(new_kernel):
    kernel = new_kernel()
    kernel.good("x = 1")
    kernel.good("%lineage x")
    shutil.rmtree(kernel.folder / ".mlmagic")
    for number in range(3):
        assert kernel.good(f"y{number} = x + {number}").complaints == ""
    rows = kernel.rows()
    assert rows.writes(rows.last) == {"y2": "bind"}
    assert "y2" in kernel.good("%lineage y2").text


def test_a_working_folder_that_is_deleted_or_left_is_no_trouble(new_kernel, tmp_path):
    kernel = new_kernel()
    kernel.good("import os\nos.makedirs('deeper')\nos.chdir('deeper')\nopen('inside.txt', 'w').write('1');")
    kernel.good("read = open('inside.txt').read()")
    rows = kernel.rows()
    assert "deeper/inside.txt" in rows.reads(rows.last, "file")
    assert not (tmp_path / "deeper" / ".mlmagic").exists()
    shutil.rmtree(tmp_path / "deeper")
    assert kernel.good("nowhere = 1").complaints == ""
    assert "nowhere" in kernel.good("%lineage nowhere").text
    assert "read" in kernel.good("%lineage read").text
    kernel.good("os.chdir('..') if False else os.chdir(os.path.expanduser('/'))\nback = 1")
    assert kernel.rows().last.status == "ok"


def test_a_damaged_database_is_rebuilt_under_a_running_kernel(new_kernel):
    kernel = new_kernel()
    kernel.good("x = 1")
    kernel.good("%lineage x")
    (kernel.folder / ".mlmagic" / "lineage.duckdb").write_bytes(b"not a database")
    kernel.good("y = x + 1")
    assert "x" in kernel.good("%lineage y").text


# Objects


HOSTILE = """
class Hostile:
    def __init__(self): self.__dict__['inner'] = [1]
    def __eq__(self, other): raise RuntimeError('eq')
    __hash__ = None
    def __repr__(self): raise RuntimeError('repr')
    def __getattr__(self, name): raise RuntimeError('getattr ' + name)
    def __getstate__(self): raise RuntimeError('getstate')
    def __reduce_ex__(self, version): raise RuntimeError('reduce')
    def __copy__(self): raise RuntimeError('copy')
    def __deepcopy__(self, memo): raise RuntimeError('deepcopy')
    def __bool__(self): raise RuntimeError('bool')
    def __len__(self): raise RuntimeError('len')
    def __iter__(self): raise RuntimeError('iter')
    def __del__(self): raise RuntimeError('del')
"""


def test_objects_whose_methods_raise_are_recorded_without_a_word(kernel):
    kernel.good(HOSTILE)
    for cell in (
        "hostile = Hostile()",
        "box = [hostile, {'h': hostile}]",
        "hostile.__dict__['inner'].append(2)",
        "used = box",
    ):
        reply = kernel.good(cell)
        assert reply.complaints == ""
    rows = kernel.rows()
    assert rows.writes(rows.with_source("hostile = Hostile()")) == {"hostile": "bind"}
    changed = rows.with_source("append(2)")
    assert {"hostile", "box"} <= rows.writes(changed).keys()
    assert kernel.good("%lineage used").complaints == ""
    assert kernel.good("%lineage").complaints == ""


@pytest.mark.parametrize(
    "value",
    [
        "__import__('threading').Lock()",
        "open('/dev/null')",
        "(n for n in range(3))",
        "lambda x: x",
        "__import__('socket').socketpair()",
        "type('Meta', (type,), {'__eq__': lambda a, b: 1 / 0, '__hash__': lambda a: 7})('Odd', (), {})()",
        "__import__('weakref').WeakValueDictionary()",
        "memoryview(bytearray(5))",
        "float('nan')",
        "{float('nan'): {1, 'a', None, (2, 3)}}",
        "__import__('sys').modules",
        "get_ipython()",
        "__import__('ctypes').c_int(5)",
        "__import__('sqlite3').connect(':memory:')",
        "__import__('pandas').DataFrame([[1, 2, 3]], columns=['a', 'a', 5])",
        "__import__('pandas').DataFrame({(1, 2): [object()], None: ['x']})",
        "__import__('numpy').array([object(), [1], None], dtype=object)",
        "__import__('unittest.mock').mock.MagicMock()",
        "__import__('queue').Queue()",
        "__import__('itertools').count()",
        "__import__('logging').getLogger()",
        "__import__('asyncio').Queue()",
        "__import__('subprocess').Popen(['true'])",
        "__import__('concurrent.futures').futures.ThreadPoolExecutor(1)",
    ],
)
def test_any_object_can_be_bound_read_and_traced(kernel, value):
    for cell in (f"odd = {value}", "holder = [odd]", "(odd, holder);", "%lineage holder"):
        reply = kernel.run(cell, timeout=30)
        assert (reply.status, reply.complaints) == ("ok", "")
    rows = kernel.rows()
    assert rows.writes([row for row in rows.cells if row.source == f"odd = {value}"][-1])["odd"] in ("bind", "mutate")
    kernel.good("del odd, holder")


def test_sets_that_hold_each_other_are_looked_at_once(kernel):
    kernel.good("class Node: pass\nnodes = [Node() for _ in range(20)]")
    reply = kernel.run("for node in nodes:\n    node.friends = set(nodes)", timeout=20)
    assert reply.status == "ok"
    rows = kernel.rows()
    assert rows.writes(rows.last)["nodes"] == "mutate"


def test_deep_cyclic_and_many(kernel):
    kernel.good("deep = []\nfor _ in range(100_000):\n    deep = [deep]", timeout=90)
    kernel.good("cycle = {}\ncycle['me'] = [cycle]")
    kernel.good("class P:\n    def __init__(self, n): self.n = n")
    reply = kernel.good("million = [P(n) for n in range(1_000_000)]", timeout=90)
    assert reply.complaints == ""
    kernel.good("million[500_000].n = -1\ncount = len(million)\ndel million", timeout=90)
    rows = kernel.rows()
    changed = rows.with_source("].n = -1")
    assert rows.writes(changed) == {"million": "delete", "count": "bind"}
    assert "million" in rows.reads(changed)


# What outlives its cell


def test_a_thread_that_changes_a_list_after_its_cell_leads_back_to_that_cell(new_kernel):
    kernel = new_kernel()
    kernel.good("import threading, time\nfilled = []\ngo = threading.Event()")
    kernel.good(
        """
        def work():
            go.wait()
            filled.append(1)
        worker = threading.Thread(target=work)
        worker.start()
        """
    )
    kernel.good("quiet = 1")
    kernel.run("go.set(); worker.join()", store_history=False, silent=True)
    kernel.good("read = list(filled)")
    tree = kernel.good("%lineage read").text
    assert "[3]" in tree, tree


def test_interrupting_twice_leaves_a_kernel_that_works(new_kernel):
    kernel = new_kernel()
    message = kernel.send("import time\nx = 1\nprint('now', flush=True)\ntime.sleep(60)")
    kernel.wait_for_print(message, "now")
    kernel.interrupt()
    kernel.interrupt()
    assert kernel.wait(message).status == "error"
    for _ in range(3):
        kernel.run("pass")
    kernel.good("y = 2")
    rows = kernel.rows()
    assert rows.with_source("time.sleep(60)").status == "interrupted"
    assert rows.writes(rows.last) == {"y": "bind"}
