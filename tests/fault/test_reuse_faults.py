"""Kept results when files break, disks fill up, kernels die or meet: a cell may have to run, and is never wrong."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pickle
import random
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlmagic.cache.artifacts import ArtifactStore
from mlmagic.signing import sign
from tests.kernel.kernels import Kernel, Reply, Rows

IMPORTS = "import os\nimport numpy as np\nimport pandas as pd"
NOTEBOOK = [
    "words = ['one', {'two': [3]}]\nprint('words')",
    "numbers = np.arange(200_000.0)\nwindow = numbers[5:]",
    "table = pd.DataFrame({'n': [1, 2], 'text': ['u', 'v']})\ntable",
    "open('made.txt', 'w').write('text');",
    "total = float(numbers.sum()) + len(words)\ntotal",
]
LOOK = """print(words, numbers.sum(), np.shares_memory(numbers, window), table.to_dict('list'), total)
print(open('made.txt').read())"""
SEEN = "['one', {'two': [3]}] 19999900000.0 True {'n': [1, 2], 'text': ['u', 'v']} 19999900002.0\ntext\n"


@pytest.fixture
def new_kernel(tmp_path: Path, keeping_all: dict[str, str]) -> Iterator[Callable[..., Kernel]]:
    """`new_kernel()`: one more kernel in this test's folder, ended with the test; it has run the imports."""
    with contextlib.ExitStack() as running:

        def start(env: dict[str, str] | None = None, folder: Path = tmp_path) -> Kernel:
            kernel = running.enter_context(Kernel(folder, env=keeping_all | (env or {})))
            kernel.good(IMPORTS)
            return kernel

        yield start


class Reader:
    """One kernel that opens one project after another, each as a new session that knows nothing of it."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def open(self, folder: Path) -> Kernel:
        self.kernel.run("%unload_ext mlmagic", silent=True, store_history=False)
        self.kernel.good(f"%reset -f\nimport os\nos.chdir({str(folder)!r})")
        self.kernel.good("%load_ext mlmagic")
        self.kernel.good(IMPORTS)
        self.kernel.folder = folder
        return self.kernel


@pytest.fixture(scope="module")
def reader(keeping_all: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with Kernel(tmp_path_factory.mktemp("reader"), env=keeping_all) as kernel:
        yield Reader(kernel)


@pytest.fixture(scope="module")
def original(keeping_all: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that keeps the notebook's results."""
    folder = tmp_path_factory.mktemp("original")
    with Kernel(folder, env=keeping_all) as kernel:
        kernel.good(IMPORTS)
        for cell in NOTEBOOK:
            assert not was_reused(kernel.good(cell))
    return folder


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    """A copy of that project, for one test to damage; the file that a cell wrote is gone."""
    copy = Path(shutil.copytree(original, tmp_path / "project"))
    (copy / "made.txt").unlink()
    return copy


def was_reused(reply: Reply) -> bool:
    last = reply.outputs[-1]["content"].get("data", {}).get("text/plain", "") if reply.outputs else ""
    return str(last).startswith("reused, saved ")


def replay(kernel: Kernel) -> list[bool]:
    """Run the notebook, whose values must come out right; which cells were reused."""
    replies = [kernel.good(cell) for cell in NOTEBOOK]
    assert [reply.complaints for reply in replies] == [""] * len(NOTEBOOK)
    assert replies[0].printed == "words\n"
    assert "text" in replies[2].text
    assert replies[4].text == "19999900002.0"
    assert kernel.good(f"%%track --no-reuse\n{LOOK}").printed == SEEN
    return [was_reused(reply) for reply in replies]


def traces(folder: Path) -> list[Path]:
    return sorted((folder / ".mlmagic" / "artifacts" / "traces").rglob("*.trace"))


def artifacts(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / ".mlmagic" / "artifacts" / "values").rglob("*") if path.is_file())


def leftovers(folder: Path) -> list[Path]:
    """Half-written files."""
    return [path for path in (folder / ".mlmagic" / "artifacts").rglob("*") if path.name.startswith(".writing")]


def trace_of(folder: Path, cell: str) -> tuple[Path, dict[str, Any]]:
    """The trace of a cell, as its file says."""
    for path in traces(folder):
        said = json.loads(path.read_bytes().partition(b"\n")[2])
        if said["source"] == cell:
            return path, said
    raise LookupError(cell)


def write_trace(path: Path, said: dict[str, Any], key: bytes) -> None:
    payload = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(sign(key, payload).encode() + b"\n" + payload)


def why(kernel: Kernel, reply: Reply) -> str:
    return kernel.good(f"%reuse explain [{reply.count}]").text


# Damage


def test_an_undamaged_copy_is_reused(reader, project):
    assert replay(reader.open(project)) == [True] * len(NOTEBOOK)


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "one bit flipped": lambda path: path.write_bytes(_flipped(path.read_bytes())),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("which", [traces, artifacts])
def test_what_is_damaged_is_computed_again_and_kept_again(reader, project, which, damage):
    for path in which(project):
        DAMAGE[damage](path)
    kernel = reader.open(project)
    assert replay(kernel) == [False] * len(NOTEBOOK)
    if damage != "a folder":
        (project / "made.txt").unlink()
        assert replay(reader.open(project)) == [True] * len(NOTEBOOK)


def test_damage_while_the_kernel_lives_is_seen(reader, project):
    kernel = reader.open(project)
    assert replay(kernel) == [True] * len(NOTEBOOK)
    for path in artifacts(project):
        DAMAGE["one bit flipped"](path)
    (project / "made.txt").unlink()
    assert replay(kernel) == [False] * len(NOTEBOOK)


def test_a_damaged_artifact_is_named_as_the_reason(reader, project):
    for path in artifacts(project):
        DAMAGE["cut in half"](path)
    kernel = reader.open(project)
    assert "is damaged" in why(kernel, kernel.good(NOTEBOOK[1]))


def test_a_missing_artifact_is_named_as_the_reason(reader, project):
    for path in artifacts(project):
        path.unlink()
    kernel = reader.open(project)
    assert "is missing" in why(kernel, kernel.good(NOTEBOOK[1]))


# Tampering


@pytest.mark.parametrize("forger", ["nobody", "another user", "whoever saw the signature"])
def test_a_trace_that_says_something_else_is_as_if_it_were_not_there(reader, project, forger):
    path, said = trace_of(project, NOTEBOOK[0])
    signature = path.read_bytes().partition(b"\n")[0]
    said["outputs"][0]["text"] = "lies\n"
    write_trace(path, said, secrets.token_bytes(32))
    payload = path.read_bytes().partition(b"\n")[2]
    if forger == "nobody":
        path.write_bytes(payload)
    elif forger == "whoever saw the signature":
        path.write_bytes(signature + b"\n" + payload)
    reply = reader.open(project).good(NOTEBOOK[0])
    assert (reply.printed, was_reused(reply)) == ("words\n", False)


class Evil:
    """Pickled, it makes a file where it is loaded."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.place), "w")


@pytest.mark.parametrize("signed_by_another", [False, True])
def test_a_malicious_pickle_is_never_loaded(reader, project, tmp_path, signed_by_another):
    evil = pickle.dumps(Evil(tmp_path / "evil.txt"))
    for path in artifacts(project):
        path.write_bytes(evil)
    if signed_by_another:  # with an artifact of its own whose name fits
        digest = ArtifactStore(project / ".mlmagic" / "artifacts" / "values").put(lambda file: file.write(evil)).digest
        for path in traces(project):
            said = json.loads(path.read_bytes().partition(b"\n")[2])
            for group in said["groups"]:
                group |= {"artifact": digest, "nbytes": len(evil)}
            write_trace(path, said, bytes(32))
    assert replay(reader.open(project)) == [False] * len(NOTEBOOK)
    assert not (tmp_path / "evil.txt").exists()


def test_a_trace_of_another_code_in_its_place_is_passed_over(reader, project):
    one, _ = trace_of(project, NOTEBOOK[0])
    other, _ = trace_of(project, NOTEBOOK[4])
    shutil.copy(other, one)
    reply = reader.open(project).good(NOTEBOOK[0])
    assert not was_reused(reply)
    assert reply.printed == "words\n"


@pytest.mark.parametrize(("part", "value"), [("format", 10**6), ("unheard_of", 1)])
def test_a_trace_of_another_release_is_passed_over(reader, project, keeping_all, part, value):
    path, said = trace_of(project, NOTEBOOK[0])
    said[part] = value
    write_trace(path, said, Path(keeping_all["MLMAGIC_KEY_FILE"]).read_bytes())
    kernel = reader.open(project)
    reply = kernel.good(NOTEBOOK[0])
    assert reply.printed == "words\n"
    assert kernel.good("print(words)").printed == "['one', {'two': [3]}]\n"


def test_a_link_to_a_file_stays_one_when_the_file_is_restored(reader, project):
    _, said = trace_of(project, NOTEBOOK[3])
    assert list(said["written"]) == ["made.txt"]
    (project / "elsewhere.txt").write_text("old")
    (project / "made.txt").symlink_to("elsewhere.txt")
    assert was_reused(reader.open(project).good(NOTEBOOK[3]))
    assert (project / "elsewhere.txt").read_text() == "text"
    assert (project / "made.txt").is_symlink()


# Versions


def test_a_newer_pandas_is_a_miss_that_names_both_versions(new_kernel):
    first = new_kernel()
    version = first.good("print(pd.__version__)").printed.strip()
    first.good("table = pd.DataFrame({'a': [1]})")
    first.good("head = table.head()")
    second = new_kernel()
    second.run("pd.__version__ = '99.0.1'", silent=True, store_history=False)
    reply = second.good("table = pd.DataFrame({'a': [1]})")
    assert not was_reused(reply)
    assert f"package pandas changed from {version} to 99.0.1" in why(second, reply)
    assert was_reused(second.good("table = pd.DataFrame({'a': [1]})"))
    assert was_reused(first.good("head = table.head()"))


def test_another_python_is_a_miss_that_names_both_versions(reader, project, keeping_all):
    path, said = trace_of(project, NOTEBOOK[0])
    now, said["python"] = said["python"], "3.1.4"
    write_trace(path, said, Path(keeping_all["MLMAGIC_KEY_FILE"]).read_bytes())
    kernel = reader.open(project)
    reply = kernel.good(NOTEBOOK[0])
    assert not was_reused(reply)
    assert f"Python changed from 3.1.4 to {now}" in why(kernel, reply)


def test_a_class_that_was_defined_anew_is_the_class_of_what_comes_back(new_kernel):
    old = "class Point:\n    def __init__(self): self.x = 1\n    def look(self): return 'old', self.x"
    new = old.replace("'old'", "'new'")
    cells = ["point = Point()\npoints = [point]", "look = point.look()\nprint(look, type(points[0]) is Point)"]
    kernel = new_kernel()
    for definition, word in ((old, "old"), (new, "new"), (old, "old"), (new, "new")):
        kernel.good(definition)
        kernel.good(cells[0])
        assert kernel.good(cells[1]).printed == f"('{word}', 1) True\n"
    other = new_kernel()
    other.good(new)
    other.good(cells[0])
    assert (
        other.good("%%track --no-reuse\nprint(point.look(), type(points[0]) is Point)").printed == "('new', 1) True\n"
    )
    other.good(old)
    assert other.good("%%track --no-reuse\nprint(point.look(), type(point) is Point)").printed == "('new', 1) False\n"


# Disks


def limited(size: int | None) -> str:
    """Files of this process cannot grow beyond `size` bytes."""
    soft = "resource.RLIM_INFINITY" if size is None else str(size)
    return f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({soft}, resource.RLIM_INFINITY))
"""


def quietly(kernel: Kernel, code: str) -> Reply:
    """Run code that is no part of the notebook."""
    reply = kernel.run(code, silent=True, store_history=False)
    assert reply.status == "ok", reply.traceback
    return reply


def test_when_a_value_does_not_fit_the_cell_runs_on_and_is_kept_when_there_is_room(new_kernel, tmp_path):
    pytest.importorskip("resource")
    kernel = new_kernel()
    cell = "big = np.arange(3_000_000.0)\nprint('made')"
    quietly(kernel, limited(20_000_000))
    for _ in range(2):
        reply = kernel.good(cell)
        assert (reply.printed, reply.complaints, was_reused(reply)) == ("made\n", "", False)
        assert "it cannot be written (File too large)" in why(kernel, reply)
    assert was_reused([kernel.good("small = [1]") for _ in range(2)][1])
    assert not leftovers(tmp_path)
    assert sum(path.stat().st_size for path in artifacts(tmp_path)) < 1_000_000
    quietly(kernel, limited(None))
    kernel.good(cell)
    assert was_reused(kernel.good(cell))
    assert kernel.good("print(big.sum())").printed == "4499998500000.0\n"


FULL = """
import errno, os
import mlmagic.cache.artifacts, mlmagic.cache.traces
real = os.replace
def full(source, target, *args, **kwargs):
    if WHERE in os.fspath(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return real(source, target, *args, **kwargs)
os.replace = full
"""


@pytest.mark.parametrize("where", ["/values/", "/traces/"])
def test_when_the_disk_is_full_nothing_half_done_is_ever_offered(new_kernel, tmp_path, where):
    kernel = new_kernel()
    before = traces(tmp_path)
    quietly(kernel, FULL.replace("WHERE", repr(where)))
    for _ in range(2):
        reply = kernel.good("kept = list(range(100))\nprint('made')")
        assert (reply.printed, reply.complaints, was_reused(reply)) == ("made\n", "", False)
        assert "it cannot be written (No space left on device)" in why(kernel, reply)
    assert traces(tmp_path) == before
    assert not leftovers(tmp_path)
    quietly(kernel, "os.replace = real")
    kernel.good("kept = list(range(100))\nprint('made')")
    assert was_reused(kernel.good("kept = list(range(100))\nprint('made')"))


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder below which nothing can be written, not even by root."""
    if os.geteuid() != 0:
        places = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for place in places:
            place.chmod(0o555)
        yield
        for place in places:
            place.chmod(0o755)
        return
    bind = ["mount", "--bind", folder, folder]
    if subprocess.run(bind, capture_output=True, check=False).returncode:
        pytest.skip("a folder cannot be mounted here")
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_read_only_results_are_used_and_new_ones_are_not_kept(reader, project):
    with read_only(project / ".mlmagic" / "artifacts"):
        kernel = reader.open(project)
        assert replay(kernel) == [True] * len(NOTEBOOK)
        reply = kernel.good("new = [1]\nprint('new')")
        assert (reply.printed, reply.complaints) == ("new\n", "")
        assert "it cannot be written (Read-only file system)" in why(kernel, reply) or os.geteuid() != 0
        assert not was_reused(kernel.good("new = [1]\nprint('new')"))
        for path in artifacts(project)[:1]:
            assert path.exists()
        reader.open(project.parent)


def test_where_no_folder_can_be_made_cells_run(reader, tmp_path):
    (tmp_path / ".mlmagic").mkdir()
    (tmp_path / ".mlmagic" / "artifacts").write_text("in the way")
    kernel = reader.open(tmp_path)
    for _ in range(2):
        assert replay(kernel) == [False] * len(NOTEBOOK)


def test_a_file_that_cannot_be_written_again_is_a_miss(reader, project):
    (project / "made.txt").mkdir()  # something else is in the way
    kernel = reader.open(project)
    reply = kernel.run(NOTEBOOK[3])
    assert "IsADirectoryError" in (reply.error or "")
    (project / "made.txt").rmdir()
    kernel.good(NOTEBOOK[3])
    assert (project / "made.txt").read_text() == "text"


def test_the_folder_of_results_may_go_away_at_any_time(reader, project):
    kernel = reader.open(project)
    assert replay(kernel) == [True] * len(NOTEBOOK)
    shutil.rmtree(project / ".mlmagic" / "artifacts")
    assert replay(kernel) == [False] * len(NOTEBOOK)
    assert replay(kernel) == [True] * len(NOTEBOOK)


# The key


def test_without_a_place_for_the_key_results_are_reused_within_the_session_only(new_kernel, tmp_path):
    (tmp_path / "file").touch()
    env = {"MLMAGIC_KEY_FILE": "", "XDG_DATA_HOME": "", "HOME": str(tmp_path / "file")}
    cell = "print('made')\nmade = [1]"
    for _ in range(2):
        with Kernel(
            tmp_path, env=env | {"MLMAGIC_REUSE": "on", "MLMAGIC_REUSE_MIN_SECONDS": "0"}, load=False
        ) as kernel:
            loaded = kernel.good("%load_ext mlmagic")
            assert "the signing key cannot be" in loaded.complaints
            assert "results are reused in this session only" in loaded.complaints
            assert len(loaded.complaints.strip().splitlines()) == 1
            assert [was_reused(kernel.good(cell)) for _ in range(2)] == [False, True]


def test_a_key_that_others_can_read_is_not_used(keeping_all, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    with Kernel(tmp_path, env=keeping_all | {"MLMAGIC_KEY_FILE": str(key)}, load=False) as kernel:
        assert "who could sign as you: delete it to get a new key" in kernel.good("%load_ext mlmagic").complaints
        assert [was_reused(kernel.good("made = [1]")) for _ in range(2)] == [False, True]
    assert key.read_bytes() == bytes(32)


def test_another_users_key_makes_results_invisible(new_kernel, tmp_path):
    mine, other = new_kernel(), new_kernel({"MLMAGIC_KEY_FILE": str(tmp_path / "other-key")})
    mine.good("made = [1]")
    assert not was_reused(other.good("made = [1]"))
    assert was_reused(other.good("made = [1]"))
    assert was_reused(mine.good("made = [1]"))


# Kills

DYING = """
import os, mlmagic.cache.artifacts as artifacts, mlmagic.cache.restore as restore
left = COUNT
def dying(call, before):
    def wrapped(*args, **kwargs):
        global left
        left -= 1
        if before and not left:
            os.kill(os.getpid(), 9)
        done = call(*args, **kwargs)
        if not left:
            os.kill(os.getpid(), 9)
        return done
    return wrapped
PLACE = dying(PLACE, BEFORE)
"""

BIG = """big = np.arange(1_000_000.0)
parts = [big[:10], {'text': 'x' * 1_000_000}]
open('big.bin', 'wb').write(bytes(10 ** 6));"""
BIG_LOOK = "%%track --no-reuse\nprint(big.sum(), parts[0].sum(), len(parts[1]['text']), os.path.getsize('big.bin'))"
BIG_SEEN = "499999500000.0 45.0 1000000 1000000\n"


def dies(kernel: Kernel, cell: str, place: str, count: int, *, before: bool) -> None:
    """Run a cell in whose keeping or restoring the kernel is killed."""
    quietly(kernel, DYING.replace("COUNT", str(count)).replace("BEFORE", str(before)).replace("PLACE", place))
    kernel.send(cell)
    deadline = time.monotonic() + 30
    while kernel._manager.is_alive():
        assert time.monotonic() < deadline, f"{place} was not reached {count} times"
        time.sleep(0.02)


def test_a_kernel_killed_while_keeping_leaves_only_what_is_right(new_kernel, tmp_path):
    for place, count, before in [
        ("artifacts._digest_of", 1, True),  # written, without a name
        ("os.replace", 1, True),
        ("os.replace", 1, False),  # an artifact of which no trace knows
        ("os.replace", 3, True),  # all but the trace
        ("os.replace", 3, False),  # all of it, but the kernel never knew
    ]:
        kernel = new_kernel()
        dies(kernel, BIG, place, count, before=before)
    kernel = new_kernel()
    assert was_reused(kernel.good(BIG))
    assert kernel.good(BIG_LOOK).printed == BIG_SEEN
    rows = Rows.of(tmp_path)
    assert rows.cells[-1].status == "ok"


def test_a_kernel_killed_while_restoring_leaves_everything_to_be_restored(new_kernel, tmp_path):
    new_kernel().good(BIG)
    for place, before in [
        ("artifacts.ArtifactStore.map", True),
        ("restore.Prepared.commit", True),
        ("os.replace", True),
        ("os.replace", False),
    ]:
        (tmp_path / "big.bin").unlink()
        dies(new_kernel(), BIG, place, 1, before=before)
        assert not (tmp_path / "big.bin").exists() or (tmp_path / "big.bin").stat().st_size == 10**6
        (tmp_path / "big.bin").touch()
    kernel = new_kernel()
    assert was_reused(kernel.good(BIG))
    assert kernel.good(BIG_LOOK).printed == BIG_SEEN


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(40))
def test_a_kernel_killed_at_any_moment_leaves_only_what_is_right(new_kernel, seed):
    chance = random.Random(seed)
    cells = [f"v{n} = np.arange({n}, {n} + 500_000.0)\nw{n} = [v{n}[1:], 'text' * {n}]" for n in range(30)]
    for _ in range(4):
        kernel = new_kernel()
        for cell in cells:
            kernel.send(cell)
        time.sleep(chance.random() * 1.5)
        kernel.kill()
    kernel = new_kernel()
    for number, cell in enumerate(cells):
        kernel.good(cell)
        look = f"%%track --no-reuse\nprint(v{number}[0], len(v{number}), np.shares_memory(v{number}, w{number}[0]))"
        assert kernel.good(look).printed == f"{number}.0 500000 True\n"
        assert was_reused(kernel.good(cell))


# Several kernels


def at_once(kernels: list[Kernel], *cells: str) -> list[Reply]:
    sent = [kernel.send(cell) for kernel, cell in zip(kernels, itertools.cycle(cells), strict=False)]
    return [kernel.wait(message) for kernel, message in zip(kernels, sent, strict=True)]


def test_kernels_that_compute_and_restore_the_same_at_once_agree(new_kernel, tmp_path):
    kernels = [new_kernel(), new_kernel()]
    for number in range(8):
        cell = (
            f"same = np.arange({number}, {number} + 50_000)\nprint(same.sum())\nparts = [same[:3], {{'n': {number}}}]"
        )
        for attempt in range(3):
            replies = at_once(kernels, cell)
            assert [reply.status for reply in replies] == ["ok", "ok"]
            assert [reply.complaints for reply in replies] == ["", ""]
            assert replies[0].printed == replies[1].printed
            assert attempt == 0 or all(map(was_reused, replies))
    assert not leftovers(tmp_path)


def test_one_evicts_while_the_other_restores(new_kernel):
    restoring, evicting = new_kernel(), new_kernel()
    cell = "numbers = np.arange(100_000.0)\nwindow = numbers[1:]\nprint(len(window))"
    for number in range(12):
        restoring.good(cell)
        action = "%reuse clear" if number % 2 else "%reuse budget 1KB\n%reuse budget 5GB"
        replies = at_once([restoring, evicting], cell, action)
        assert [reply.error for reply in replies] == [None, None]
        assert [reply.complaints for reply in replies] == ["", ""]
        assert replies[0].printed == "99999\n"
        assert restoring.good(
            "%%track --no-reuse\nprint(numbers.sum(), np.shares_memory(numbers, window))"
        ).printed == ("4999950000.0 True\n")


# Budget


def kept_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in artifacts(folder))


def test_what_saves_least_for_its_bytes_goes_first_and_the_size_stays_within_the_budget(new_kernel, tmp_path):
    kernel = new_kernel()
    kernel.good("%reuse budget 1MB")
    slowly = """def slowly(size, seed):
    for n in range(3_000_000):
        seed = (seed * 7 + n) % 1000
    return np.full(size, seed)"""
    kernel.good(slowly)
    quick = "quick = np.arange(60_000.0)"  # 480 kB in no time
    small, large = "small = slowly(10_000, 1)", "large = slowly(50_000, 2)"  # 80 kB and 400 kB, both dear
    for cell in (quick, small, large):
        kernel.good(cell)
        assert kept_bytes(tmp_path) <= 1_000_000
    assert [was_reused(kernel.good(cell)) for cell in (quick, small, large)] == [True] * 3
    kernel.good("third = slowly(20_000, 3)")  # 160 kB: something has to go
    assert kept_bytes(tmp_path) <= 1_000_000
    other = new_kernel()
    other.good(slowly)
    assert [was_reused(other.good(cell)) for cell in (small, large, "third = slowly(20_000, 3)")] == [True] * 3
    assert not was_reused(other.good(quick))


def test_a_smaller_budget_frees_at_once_what_is_above_it(new_kernel, tmp_path):
    kernel = new_kernel()
    for number in range(5):
        kernel.good(f"v{number} = np.arange({number}, {number} + 25_000)")  # 200 kB each
    assert 1_000_000 <= kept_bytes(tmp_path) <= 1_100_000
    assert "removed" in kernel.good("%reuse budget 500kB").printed
    assert 200_000 <= kept_bytes(tmp_path) <= 500_000
    assert sum("arange" in path.read_text() for path in traces(tmp_path)) == 2
    reused = [was_reused(kernel.good(f"v{number} = np.arange({number}, {number} + 25_000)")) for number in range(5)]
    assert kept_bytes(tmp_path) <= 500_000
    assert any(reused)


def test_a_result_larger_than_the_budget_is_not_kept(new_kernel, tmp_path):
    kernel = new_kernel()
    kernel.good("%reuse budget 100KB")
    for _ in range(2):
        assert not was_reused(kernel.good("large = np.arange(100_000)"))
        assert kept_bytes(tmp_path) <= 100_000
    kernel.good("little = np.arange(10)")
    assert was_reused(kernel.good("little = np.arange(10)"))
