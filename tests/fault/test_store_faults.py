"""What the journal and the store promise when processes die, files break and disks fill up."""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from mlmagic.errors import StoreError
from mlmagic.journal import Journal
from mlmagic.records import Execution, Observation, Read, Session, Version, Write
from mlmagic.store import Store

REPOSITORY = Path(__file__).parents[2]

# What every process of these tests begins with: `journal`, `store` and `cell(id)`.
PRELUDE = """
import os, pathlib, sys, time, warnings
warnings.simplefilter("error")
from mlmagic.journal import Journal
from mlmagic.records import Execution, Observation, Read, Version, Write
from mlmagic.store import Store
project, name = pathlib.Path(sys.argv[1]), sys.argv[2]
journal, store = Journal(project / "journal", name), Store(project)

def cell(key):
    return Observation(
        Execution(key, name, "c", 1, None, "x = 1\\n" * 40, "h", time.time(), 0.1, 0.1, None, "ok"),
        (Version(key + ".x", "variable", "x", key, "f"),),
        (Read(key, "v0", "name"),),
        (Write(key, key + ".x", "bind"),),
    )
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextlib.contextmanager
def running(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that has said its first line; killed at the end."""
    process = start(code, *arguments)
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def cell(key: str, session: str = "s1") -> Observation:
    return Observation(
        Execution(key, session, "c", 1, None, "x = 1", "h", 1.0, 0.1, 0.1, None, "ok"),
        (Version(key + ".x", "variable", "x", key, "f"),),
        (Read(key, "v0", "name"),),
        (Write(key, key + ".x", "bind"),),
    )


def append(project: Path, key: str) -> None:
    with contextlib.closing(Journal(project / "journal", "s2")) as journal:
        journal.observed(cell(key))


def executions(store: Store) -> list[str]:
    return [execution.execution_id for execution in store.history().executions]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / ".mlmagic"


@pytest.fixture
def store(project: Path) -> Iterator[Store]:
    """The store of a project with two cells, in the database already."""
    journal = Journal(project / "journal", "s1")
    journal.session_started(Session("s1", 1.0, None, None, "host", "3.11", None, None, {}))
    journal.observed(cell("e1"))
    journal.observed(cell("e2"))
    journal.close()
    store = Store(project)
    store.sync()
    yield store
    store.close()


# Processes that die


@pytest.mark.parametrize("also", ["", "store.sync()"], ids=["appending", "appending and syncing"])
def test_kill_9_loses_no_completed_append(project, also):
    code = f"""
for number in range(10**6):
    key = f"{{name}}-{{number:06}}"
    journal.observed(cell(key))
    os.write(1, key.encode() + b"\\n")
    {also}
"""
    told: set[str] = set()
    for attempt in range(4):
        with running(code, project, f"w{attempt}") as process:
            time.sleep(random.uniform(0.05, 0.4))
            process.kill()
            lines = process.communicate()[0].splitlines(keepends=True)
        told |= {line.strip() for line in lines if line.endswith("\n")}
    assert told
    with contextlib.closing(Store(project)) as store:
        assert told <= set(executions(store))
        assert store.frame("SELECT count(*) AS n FROM writes").n[0] == len(executions(store))


def test_a_process_killed_while_it_builds_the_database_leaves_nothing_in_the_way(project):
    journal = Journal(project / "journal", "s1")
    for number in range(3000):
        journal.observed(cell(f"{number:05}"))
    journal.close()
    for delay in (0.05, 0.2, 0.4):
        with running("print('ready', flush=True); store.sync()", project, "w"):
            time.sleep(delay)
    (project / "lineage.duckdb.12345.tmp").write_bytes(b"left behind")
    (project / "lineage.duckdb").unlink(missing_ok=True)
    with contextlib.closing(Store(project)) as store:
        assert len(executions(store)) == 3000
    assert sorted(os.listdir(project)) == ["journal", "lineage.duckdb", "lineage.duckdb.lock"]


# Many processes


def test_several_processes_append_sync_and_ask_at_once(project):
    code = """
for number in range(10):
    journal.observed(cell(f"{name}-{number:02}"))
    if number % 3 == 0:
        store.sync()
    mine = [e.execution_id for e in store.history(name).executions]
    assert len(mine) == number + 1, mine
    assert store.frame("SELECT count(*) AS n FROM executions").n[0] > number
"""
    for process in [start(code, project, f"p{number}") for number in range(4)]:
        finish(process)
    assert not (project / "lineage.duckdb.wal").exists()
    with duckdb.connect(str(project / "lineage.duckdb"), read_only=True) as plain:
        assert plain.execute("SELECT count(DISTINCT execution_id), count(*) FROM executions").fetchall() == [(40, 40)]
        assert plain.execute("SELECT count(*) FROM reads").fetchall() == [(40,)]


HOLD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[3])
print("held", flush=True)
time.sleep(float(sys.argv[4]))
"""


def test_a_stranger_who_holds_the_database_is_waited_for(store, project):
    with running(HOLD, project, "w", project / "lineage.duckdb", 2.0):
        begin = time.monotonic()
        assert executions(store) == ["e1", "e2"]
        assert 0.5 < time.monotonic() - begin < 10


def test_a_stranger_who_keeps_the_database_is_named(store, project):
    impatient = Store(project, patience=0.3)
    with running(HOLD, project, "w", project / "lineage.duckdb", 30.0) as stranger:
        with pytest.raises(StoreError, match=rf"in use by process {stranger.pid} \(python.*waited 0\.3 s") as caught:
            impatient.sync()
        assert "\n" not in str(caught.value)
    assert executions(impatient) == ["e1", "e2"]
    impatient.close()


def test_a_connection_of_this_very_process_is_named_too(store, project):
    impatient = Store(project, patience=0.3)
    with (
        duckdb.connect(str(project / "lineage.duckdb")),
        pytest.raises(StoreError, match="another connection in this process"),
    ):
        impatient.sync()
    assert executions(impatient) == ["e1", "e2"]
    impatient.close()


def test_a_process_that_reads_for_long_is_named(store, project):
    impatient = Store(project, patience=0.2)
    with running("print('asks', flush=True); store.frame('SELECT sleep_ms(30000)')", project, "w") as reader:
        time.sleep(1.5)
        append(project, "e3")
        with pytest.raises(StoreError, match=f"in use by process {reader.pid} "):
            impatient.sync()
    assert executions(impatient) == ["e1", "e2", "e3"]
    impatient.close()


# Files that break


def deleted(database: Path) -> None:
    database.unlink()


def emptied(database: Path) -> None:
    database.write_bytes(b"")


def truncated(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def garbage(database: Path) -> None:
    database.write_bytes(random.Random(0).randbytes(20_000))


def damaged_header(database: Path) -> None:
    with database.open("rb+") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


def damaged_blocks(database: Path) -> None:
    data = bytearray(database.read_bytes())
    data[12_288:] = bytes(byte ^ 0x55 for byte in data[12_288:])
    database.write_bytes(data)


def damaged_log(database: Path) -> None:
    database.with_name("lineage.duckdb.wal").write_bytes(random.Random(0).randbytes(5000))


def another_format(database: Path) -> None:
    database.unlink()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE t (i)")


def another_version(database: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("UPDATE _meta SET schema_version = 99")
        connection.execute("DROP VIEW lineage")
        connection.execute("ALTER TABLE executions DROP COLUMN source")


def somebody_elses(database: Path) -> None:
    database.unlink()
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 42 AS answer")


def tables_dropped(database: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("DROP VIEW files")
        connection.execute("DROP TABLE reads")


ACCIDENTS = [
    deleted,
    emptied,
    truncated,
    garbage,
    damaged_header,
    damaged_blocks,
    damaged_log,
    another_format,
    another_version,
    somebody_elses,
    tables_dropped,
]


@pytest.mark.parametrize("asleep", [False, True], ids=["same store", "new store"])
@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda accident: accident.__name__)
def test_a_database_that_broke_is_built_anew(store, project, accident, asleep):
    accident(project / "lineage.duckdb")
    if asleep:
        store.close()
    append(project, "e3")
    assert executions(store) == ["e1", "e2", "e3"]
    assert len(store.history().reads) == 3
    assert len(store.frame("FROM reads")) == 3
    with duckdb.connect(str(project / "lineage.duckdb"), read_only=True) as plain:
        assert plain.execute("SELECT count(*) FROM executions").fetchall() == [(3,)]


def test_somebody_elses_database_is_kept_beside_ours(store, project):
    somebody_elses(project / "lineage.duckdb")
    store.sync()
    with duckdb.connect(str(project / "lineage.duckdb.old"), read_only=True) as kept:
        assert kept.execute("FROM mine").fetchall() == [(42,)]


def test_torn_lines_cost_themselves_only(store, project):
    with (project / "journal" / "s1.jsonl").open("ab") as file:
        file.write(b'{"v":1,"event":"observation","exec\n{"v":1,"event":"obs')
    with pytest.warns(RuntimeWarning, match="1 damaged line"):
        store.sync()
    journal = Journal(project / "journal", "s1")  # closes the second one off
    journal.observed(cell("e3"))
    journal.close()
    with pytest.warns(RuntimeWarning, match="1 damaged line"):
        assert executions(store) == ["e1", "e2", "e3"]
    assert executions(store) == ["e1", "e2", "e3"]


# Disks that are full, folders that are read-only


def mount(*arguments: object) -> None:
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount")
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount is not allowed here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", disk)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill_up(disk: Path) -> Path:
    path = disk / "ballast"
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    return path


def test_on_a_full_disk_answers_come_from_memory_until_there_is_room(small_disk, monkeypatch):
    project = small_disk / ".mlmagic"
    journal = Journal(project / "journal", "s1")
    journal.observed(cell("e1"))
    ballast = fill_up(small_disk)
    store = Store(project)
    with pytest.warns(RuntimeWarning, match=r"lineage\.duckdb cannot be written .* from memory") as caught:
        assert executions(store) == ["e1"]
    assert len(caught) == 1
    assert len(store.frame("FROM executions")) == 1

    monkeypatch.setattr(store, "_disk_again_at", 0.0)
    assert executions(store) == ["e1"]  # tried again, without another warning
    ballast.unlink()
    monkeypatch.setattr(store, "_disk_again_at", 0.0)
    journal.observed(cell("e2"))
    assert executions(store) == ["e1", "e2"]
    with duckdb.connect(str(project / "lineage.duckdb"), read_only=True) as plain:
        assert plain.execute("SELECT count(*) FROM executions").fetchall() == [(2,)]
    store.close()
    journal.close()


def test_a_disk_that_fills_up_later_takes_nothing_from_the_database(small_disk):
    project = small_disk / ".mlmagic"
    journal = Journal(project / "journal", "s1")
    journal.observed(cell("e1"))
    store = Store(project)
    store.sync()
    ballast = fill_up(small_disk)
    written = 1
    with contextlib.suppress(OSError):  # the page that the journal has begun still takes some
        for number in range(2, 100):
            journal.observed(cell(f"e{number:02}"))
            written = number
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.warns(RuntimeWarning))
        assert len(executions(store)) == written
    ballast.unlink()
    journal.observed(cell("f1"))
    again = Store(project)
    with contextlib.suppress(RuntimeWarning):  # of the line that the full disk tore
        again.sync()
    assert len(executions(again)) == written + 1
    again.close()
    store.close()
    journal.close()


def test_a_limit_on_file_sizes_is_like_a_full_disk(project):
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
done = 0
try:
    while True:
        journal.observed(cell(f"e{done:04}"))
        done += 1
except OSError as error:
    print(done, error.errno)
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    print(len(store.history().executions), len(store.frame("FROM writes")), len(caught))
"""
    out = finish(start(code, project, "s1")).split()
    assert out[0] == out[2] == out[3]
    assert out[4] == "1"


@pytest.fixture
def read_only(store: Store, project: Path) -> Iterator[Path]:
    """A project in which nothing can be written, for root neither."""
    store.close()
    if os.geteuid() == 0:
        mount("--bind", project, project)
        mount("-o", "remount,ro,bind", project)
    else:
        project.chmod(0o555)
    yield project
    if os.geteuid() == 0:
        subprocess.run(["umount", "-l", project], check=True)
    else:
        project.chmod(0o755)


def test_a_read_only_project_is_answered_from_its_database(read_only):
    store = Store(read_only)
    assert executions(store) == ["e1", "e2"]
    assert len(store.frame("FROM executions")) == 2
    store.close()


def test_a_read_only_project_without_its_database_is_answered_from_memory(project, store, request):
    (project / "lineage.duckdb").unlink()
    request.getfixturevalue("read_only")
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        assert executions(store) == ["e1", "e2"]
    assert len(store.frame("FROM executions")) == 2
