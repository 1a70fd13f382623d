"""Sweeps when trials crash, hang or misbehave, kernels and servers die, disks are full, and cells are edited."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from mlmagic.records import Trial
from tests.conftest import user_folders
from tests.fault.test_kernel_faults import small_disk
from tests.kernel.kernels import Kernel, until
from tests.kernel.searched import MARK, Searched, one_line, processes, scratch, search, searching, server

SOAK = pytest.mark.soak  # further ones of a kind
SCORE = "score = sweep.float(0, 1)"
HELD = f"import time, pathlib\n{SCORE}\nif score != 0.5 and not pathlib.Path('go').exists():\n    time.sleep(60)"
SLOW = f"import time\n{SCORE}\nprint('begun', flush=True)\ntime.sleep(60 * (score != 0.5))"  # all but the first


@pytest.fixture(scope="module")
def kernel(home, tmp_path_factory):
    """A kernel for trials that must hurt nobody else."""
    with Kernel(tmp_path_factory.mktemp("project"), env=user_folders(home) | {MARK: "faults"}) as kernel:
        yield kernel


@pytest.fixture
def mark():
    """What the processes of this test's kernels are known by."""
    return uuid.uuid4().hex


@pytest.fixture
def new_kernel(tmp_path, mark):
    """`new_kernel()`: one more kernel in this test's folder, ended with the test."""
    with contextlib.ExitStack() as running:

        def start(folder: Path = tmp_path, **env: str) -> Kernel:
            return running.enter_context(Kernel(folder, env={MARK: mark, **env}))

        yield start


def gone(mark: str, seconds: float = 5) -> bool:
    """Whether all processes of a kernel, but the kernel itself, end in time."""
    return until(lambda: not processes(mark), seconds)


def started(kernel: Kernel, mark: str, cell: str, trials: int = 3) -> str:
    """Send a sweep, and wait until one trial is complete and others are at work."""
    message = kernel.send(cell)
    assert until(lambda: trials_at_work(kernel.folder) >= trials, 30)
    return message


def trials_at_work(folder: Path) -> int:
    """How many trials the journal tells of that began, once one of them has ended."""
    texts = [path.read_text() for path in (folder / ".mlmagic" / "journal").glob("*.jsonl")]
    ended = any('"complete"' in text for text in texts)
    return sum(text.count('"running"') for text in texts) if ended else 0


def result(trial: Trial) -> Trial:
    """A trial, wherever its variables are kept."""
    return replace(trial, artifact=None)


# Trials that misbehave


@pytest.mark.parametrize(
    ("crime", "told"),
    [
        ("import ctypes; ctypes.string_at(0)", "its process was killed (SIGSEGV)"),
        ("import os; os._exit(3)", "its process ended with status 3"),
        pytest.param("import os; os._exit(0)", "its process ended with status 0", marks=SOAK),
        ("import os; os.kill(os.getpid(), 9)", "its process was killed (SIGKILL, as the system does when memory runs"),
        pytest.param("import os; os.killpg(0, 15)", "its process was killed (SIGTERM)", marks=SOAK),
        ("raise MemoryError", "MemoryError (line 3)"),
        pytest.param("import os; os.closerange(3, 999)", "its process ended with status 1", marks=SOAK),
        ("import resource as r\n    r.setrlimit(r.RLIMIT_AS, (1 << 30,) * 2); bytes(1 << 33)", "MemoryError (line 4)"),
        ("raise SystemExit(2)", "SystemExit: 2 (line 3)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt (line 3)"),
        ("class Bad(Exception):\n        def __str__(self): raise OSError\n    raise Bad", "Bad (line 5)"),
        ("raise ValueError('first line\\nsecond line')", "ValueError: first line (line 3)"),
        pytest.param("raise ExceptionGroup('several', [OSError()])", "ExceptionGroup: several", marks=SOAK),
        pytest.param("def deep(): return deep()\n    deep()", "RecursionError: maximum recursion depth", marks=SOAK),
    ],
)  # fmt: skip
def test_one_trial_that_comes_to_grief_is_one_failed_trial(kernel, crime, told):
    search(kernel, f"{SCORE}\nif score == 0.5:\n    {crime}", "--trials 4")
    found = Searched.last(kernel.folder)
    assert found.states == ["failed", "complete", "complete", "complete"]
    (error,) = found.errors
    assert told in error
    assert "\n" not in error
    assert found.sweep.status == "finished"
    assert gone("faults")


@pytest.mark.parametrize(
    "oddity",
    [
        "pid = os.fork()\nif pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0)",
        "os.fork()",  # both go on, and both have a score
        "import subprocess\nsubprocess.Popen(['sleep', '600'])",
        "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)",
        "import subprocess\nsubprocess.Popen(['sh', '-c', 'trap \"\" TERM; sleep 600; sleep 600'])",
        pytest.param("import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()", marks=SOAK),
        "print('x' * 10_000_000)",
        pytest.param("sys.stdout.close()", marks=SOAK),
        "os.close(1)",
        pytest.param("sys.stdout = None; sys.stderr = None", marks=SOAK),
        "if score > 0:\n    sys.stdout.close(); sys.stderr.close()",
        "if score > 0:\n    sys.stdout = sys.stderr = None",
        pytest.param("if score > 0:\n    os.close(1); os.close(2)", marks=SOAK),
        pytest.param("os.chdir('/')", marks=SOAK),
        pytest.param("os.environ.clear()", marks=SOAK),
        pytest.param("signal.signal(signal.SIGTERM, signal.SIG_IGN)", marks=SOAK),
        pytest.param("import atexit\natexit.register(os._exit, 7)", marks=SOAK),
        pytest.param("import gc\ngc.disable()", marks=SOAK),
        pytest.param("sys.setrecursionlimit(100_000)", marks=SOAK),
    ],
)
def test_what_a_trial_does_to_its_process_stays_there(kernel, oddity):
    search(kernel, f"import os, sys, signal\n{SCORE}\n{oddity}", "--trials 3")
    found = Searched.last(kernel.folder)
    assert found.states == ["complete"] * 3
    assert max(len(trial.output) for trial in found.trials) <= 2000
    assert gone("faults")


@pytest.mark.parametrize(
    ("crash", "told"),
    [
        ("import ctypes; ctypes.string_at(0)", "its process was killed (SIGSEGV)"),
        ("import sys; sys.exit(4)", "SystemExit: 4 (line 1)"),
        ("raise ValueError('always')", "ValueError: always (line 1)"),
    ],
)
def test_what_crashes_whatever_the_values_is_told_in_one_line(kernel, crash, told):
    line = one_line(kernel.run(searching(f"{crash}\n{SCORE}", "--trials 2")))
    assert line == f"all trials failed (2); the first: {told}"
    assert gone("faults")


def test_what_a_first_trial_turns_out_to_change_is_made_anew_for_the_others_at_work(kernel):
    kernel.good("def adding(to, n): getattr(to, 'app' + 'end')(n)")
    body = f"""import time
made = [0]
{SCORE}
adding(made, score)
time.sleep(0.2 * (score != 0.5))
more = sweep.float(0, 1) if score else 0
length = len(made)"""
    search(kernel, body, "--trials 8 --workers 2", "late")
    assert Searched.last(kernel.folder).states == ["complete"] * 8
    kernel.good("%sweeps late apply")
    assert kernel.good("length, len(made)").text == "(2, 2)"


def test_a_trial_that_hangs_is_ended_after_its_time(kernel):
    search(kernel, f"import time\n{SCORE}\nif score == 0.5:\n    time.sleep(600)", "--trials 3 --trial-timeout 1")
    found = Searched.last(kernel.folder)
    assert found.states == ["failed", "complete", "complete"]
    assert found.errors == ["it took longer than --trial-timeout allows (1 s)"]
    assert gone("faults")


def test_a_trial_that_deletes_the_sweeps_folder_is_not_the_end(kernel):
    body = f"""import shutil
{SCORE}
if score == 0.5:
    shutil.rmtree(open('/proc/self/cmdline').read().split(chr(0))[-2])"""
    search(kernel, body, "--trials 6 --workers 1")
    assert Searched.last(kernel.folder).states[1:] == ["complete"] * 5


def test_where_all_trials_fail_the_sweep_ends_early_with_one_line(kernel):
    line = one_line(kernel.run(searching(f"{SCORE}\nscore / 0", "--trials 500")))
    assert line.startswith("all trials failed (1")
    assert line.endswith("the first: ZeroDivisionError: float division by zero (line 2)")
    assert Searched.last(kernel.folder).sweep.status == "failed"


def test_memory_that_joblib_shares_is_freed(kernel):
    body = f"""import joblib, numpy, os
{SCORE}
shared = numpy.ones(2_000_000)
total = sum(joblib.Parallel(n_jobs=2)(joblib.delayed(numpy.sum)(shared) for _ in range(2)))
mine = f'joblib_memmapping_folder_{{os.getpid()}}_'"""
    search(kernel, body, "--trials 1")
    kernel.good("%sweeps apply")
    mine = kernel.good("mine").text.strip("'")
    assert until(lambda: not list(Path("/dev/shm").glob(f"{mine}*")), 5)


# Interrupted and killed


def test_interrupt_stops_all_workers_and_keeps_what_is_finished(new_kernel, mark):
    kernel = new_kernel()
    body = f"import subprocess\nsubprocess.Popen(['sleep', '500'])\n{SLOW}"
    message = started(kernel, mark, searching(body, "--trials 9", "cut") + "\nnever = 1")
    place = scratch(mark)
    kernel.interrupt()
    reply = kernel.wait(message, 5)
    assert (reply.status, reply.content["ename"]) == ("error", "KeyboardInterrupt")
    assert gone(mark, 2)
    assert not place.exists()
    found = Searched.last(kernel.folder)
    assert found.sweep.status == "interrupted"
    assert found.states[0] == "complete"
    assert set(found.states[1:]) == {"interrupted"}
    assert kernel.good("%sweeps apply").printed.startswith("trial 0 of sweep cut")


def test_interrupt_while_workers_are_prepared(new_kernel, mark):
    kernel = new_kernel()
    message = kernel.send(searching(f"import time\ntime.sleep(30)\nprint('shared')\n{SCORE}"))
    assert until(lambda: len(processes(mark)) > 1)
    kernel.interrupt()
    assert kernel.wait(message, 5).content["ename"] == "KeyboardInterrupt"
    assert gone(mark, 2)
    assert Searched.last(kernel.folder).sweep.status == "interrupted"


def test_a_killed_kernel_leaves_nothing_and_loses_no_finished_trial(new_kernel, mark, tmp_path):
    kernel = new_kernel()
    started(
        kernel, mark, searching(f"import subprocess\nsubprocess.Popen(['sleep', '500'])\n{SLOW}", "--trials 4", "cut")
    )
    place = scratch(mark)
    kernel.kill()
    assert gone(mark, 5)
    assert until(lambda: not place.exists(), 5)
    found = Searched.last(tmp_path)
    assert found.states[0] == "complete"
    assert set(found.states[1:]) == {"running"}
    assert new_kernel().good("%sweeps cut apply").printed.startswith("trial 0 of sweep cut")


def test_resume_runs_those_in_flight_again_with_their_values(new_kernel, mark, tmp_path):
    kernel = new_kernel()
    started(kernel, mark, searching(HELD, "--trials 4", "cut"))
    kernel.kill()
    assert gone(mark)
    before = Searched.last(tmp_path)
    (tmp_path / "go").touch()
    search(new_kernel(), HELD, "--trials 4 --resume", "cut")
    after = Searched.last(tmp_path)
    assert after.sweep.sweep_id == before.sweep.sweep_id
    assert after.states == ["complete"] * 4
    assert [trial.params for trial in after.trials][: len(before.trials)] == [trial.params for trial in before.trials]
    assert [trial.seed for trial in after.trials][: len(before.trials)] == [trial.seed for trial in before.trials]
    assert result(after.trials[0]) == result(before.trials[0])


def test_a_killed_server_is_one_line_and_leaves_nothing(new_kernel, mark):
    kernel = new_kernel()
    message = started(kernel, mark, searching(f"import subprocess\nsubprocess.Popen(['sleep', '500'])\n{SLOW}"))
    place = scratch(mark)
    os.kill(server(mark), signal.SIGKILL)
    told = one_line(kernel.wait(message, 10))
    assert told.startswith("the workers' server ended: its process was killed (SIGKILL")
    assert gone(mark)
    assert not place.exists()
    assert Searched.last(kernel.folder).states[0] == "complete"
    search(kernel, SCORE)


def test_what_a_kernel_and_its_server_leave_when_both_are_killed_the_next_sweep_removes(new_kernel, mark):
    kernel = new_kernel()
    started(kernel, mark, searching(SLOW))
    place, pid = scratch(mark), server(mark)
    os.kill(pid, signal.SIGSTOP)  # so that it cannot clean up
    kernel.kill()
    os.kill(pid, signal.SIGKILL)
    assert gone(mark)
    assert place.exists()
    search(new_kernel(), SCORE)
    assert not place.exists()


def test_two_kernels_of_a_project_sweep_at_once(new_kernel, tmp_path):
    kernels = [new_kernel(), new_kernel()]
    sent = [one.send(searching(SCORE, "--trials 8", f"k{place}")) for place, one in enumerate(kernels)]
    replies = [kernel.wait(message) for kernel, message in zip(kernels, sent, strict=True)]
    assert [(reply.status, reply.complaints) for reply in replies] == [("ok", "")] * 2
    assert [len(Searched.last(tmp_path, name).trials) for name in ("k0", "k1")] == [8, 8]
    assert "k0" in kernels[1].good("%sweeps").text


def test_a_sweep_is_stopped_from_another_kernel(new_kernel, mark, tmp_path):
    kernel, other = new_kernel(), new_kernel()
    message = started(kernel, mark, searching(f"import time\n{SCORE}\ntime.sleep(0.2)", "--trials 1000"))
    assert "stops when the trials that are running have ended" in other.good("%sweeps stop").printed
    assert kernel.wait(message).status == "ok"
    found = Searched.last(tmp_path)
    assert found.sweep.status == "stopped"
    assert set(found.states) == {"complete"}
    assert len(found.trials) < 1000
    assert "it is stopped" in one_line(other.run("%sweeps stop"))


# Disks


def test_a_full_disk_for_the_sweeps_files_is_one_line(kernel, tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        kernel.good(f"import mlmagic.tuning.scratch as s\nfrom pathlib import Path\nbig = bytes(3_000_000)\n"
                    f"s._memory, usual = (lambda: Path({str(disk)!r})), s._memory")  # fmt: skip
        try:
            told = one_line(kernel.run(searching("score = len(big) * sweep.float(0, 1)")))
            assert told.startswith("the sweep's files cannot be written: No space left on device")
            # What can be shared, but not written, is made by each trial.
            search(kernel, f"more = bytes(3_000_000)\n{SCORE}\nsize = len(more)", name="shared")
            assert "shared came to nothing: " in kernel.good("%sweeps shared show --plan").text
            assert "No space left" in " ".join(
                Searched.last(kernel.folder, "shared").errors
            )  # for the best's variables
            assert list(disk.iterdir()) == []
        finally:
            kernel.good("s._memory = usual")
    assert gone("faults")


@pytest.mark.filterwarnings("ignore:1 damaged line")  # what was written when the disk was full
def test_on_a_full_disk_the_sweep_ends_and_its_rows_come_later(tmp_path):
    with small_disk(tmp_path / "disk") as disk, Kernel(disk) as kernel:
        kernel.good("first = 1")
        with contextlib.suppress(OSError):
            (disk / "ballast").write_bytes(b"x" * 10_000_000)
        reply = kernel.good(searching(f"text = 'x' * 100_000\n{SCORE}", "--trials 5"))
        assert reply.complaints.startswith("mlmagic: the journal cannot be written (No space left on device)")
        assert len(reply.complaints.strip().splitlines()) == 1
        (disk / "ballast").unlink()
        kernel.good("last = 1")
        found = Searched.last(disk)
        assert found.states == ["complete"] * 5
        assert "variables" in one_line(kernel.run("%sweeps apply"))


@pytest.mark.parametrize("damage", ["flipped", "missing", "forged", "cut"])
def test_variables_that_are_not_as_they_were_kept_are_one_line(kernel, damage):
    search(kernel, f"found = list(range(1000))\n{SCORE}\nname = {damage!r}", name=damage)
    best = next(trial for trial in Searched.last(kernel.folder).trials if trial.artifact is not None)
    digest = best.artifact.partition(":")[0]
    kept = kernel.folder / ".mlmagic" / "artifacts" / "sweeps"
    (file,) = [path for path in kept.rglob("*") if digest[4:] in path.name]
    data = file.read_bytes()
    file.unlink()
    if damage != "missing":
        other = {"flipped": data[:-9] + b"X" + data[-8:], "forged": b"forged" + data, "cut": data[:20]}
        file.write_bytes(other[damage])
    told = one_line(kernel.run(f"%sweeps {damage} apply"))
    assert "the variables of trial" in told
    assert kernel.good(f"globals().get('name') == {damage!r}").text == "False"


def test_variables_that_another_user_signed_are_not_loaded(new_kernel, tmp_path):
    search(new_kernel(MLMAGIC_KEY_FILE=str(tmp_path / "mine")), SCORE)
    told = one_line(new_kernel(MLMAGIC_KEY_FILE=str(tmp_path / "theirs")).run("%sweeps apply"))
    assert "were not stored by you, and are not loaded" in told


def test_two_sweeps_that_come_to_the_same_variables_keep_both(kernel):
    search(kernel, SCORE, "--trials 2", "short")
    search(kernel, SCORE, "--trials 8", "long")
    kernel.good("%sweeps short apply")


def test_a_wish_to_stop_a_killed_sweep_does_not_stop_the_resumed_one(new_kernel, mark, tmp_path):
    kernel = new_kernel()
    started(kernel, mark, searching(HELD, "--trials 9", "cut"))
    kernel.kill()
    other = new_kernel()
    other.run("%sweeps cut stop")
    (tmp_path / "go").touch()
    search(other, HELD, "--trials 9 --resume", "cut")
    assert len(Searched.last(tmp_path).trials) == 9


# Edited cells


@pytest.fixture(scope="module")
def edited(home, tmp_path_factory):
    """A kernel whose cells are edited between sweeps."""
    with Kernel(tmp_path_factory.mktemp("edited"), env=user_folders(home)) as kernel:
        kernel.good("table = [1, 2, 3]")
        yield kernel


BEFORE = "x = sweep.float(0, 1)\nhow = sweep.choice(['a', 'b'])\nscore = x + len(table) + len(how)"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("wider", BEFORE.replace("(0, 1)", "(-1, 2)")),
        ("comment", "# said\n" + BEFORE.replace("sweep.float(0, 1)", "sweep.float(0, 1)  # why")),
        ("reordered", BEFORE.replace("['a', 'b']", "['b', 'a']")),
        ("extended", BEFORE.replace("['a', 'b']", "['c', 'a', 'b']")),
    ],
)
def test_trials_that_still_hold_are_kept(edited, name, body):
    search(edited, BEFORE, "--trials 4", name)
    before = Searched.last(edited.folder, name)
    search(edited, body, "--trials 6 --resume", name)
    after = Searched.last(edited.folder, name)
    assert after.sweep.sweep_id == before.sweep.sweep_id
    assert list(map(result, after.trials[:4])) == list(map(result, before.trials))
    assert after.states == ["complete"] * 6
    edited.good(f"%sweeps {name} apply")
    assert edited.good("score == x + 3 + 1").text == "True"


def test_of_a_narrowed_range_those_within_are_kept_in_a_new_sweep(edited):
    search(edited, BEFORE, "--trials 8", "narrower")
    before = Searched.last(edited.folder, "narrower")
    search(edited, BEFORE.replace("(0, 1)", "(0, 0.5)"), "--trials 10 --resume", "narrower")
    after = Searched.last(edited.folder, "narrower")
    within = [trial for trial in before.trials if trial.params["x"] <= 0.5]
    assert after.sweep.sweep_id != before.sweep.sweep_id
    assert len(after.trials) == 10
    kept = [trial for trial in after.trials if trial.kept_from is not None]
    assert [trial.kept_from for trial in kept] == [trial.trial_id for trial in within]
    assert [trial.value for trial in kept] == [trial.value for trial in within]
    assert max(after.params("x")) <= 0.5
    assert len({trial.number for trial in after.trials}) == 10
    assert f"{len(kept)} from before" in edited.good("%sweeps narrower").text
    assert Searched.all(edited.folder)[-2].states == ["complete"] * 8


@pytest.mark.parametrize(
    ("name", "change", "body", "why"),
    [
        ("code", "", BEFORE + " * 2", "its code changed"),
        ("data", "table.append(4)", BEFORE, "table changed"),
        ("swept-away", "", BEFORE.replace("how = sweep.choice(['a', 'b'])", "how = 'a'"), "its code changed"),
    ],
)
def test_of_another_question_nothing_is_kept_and_one_line_says_why(edited, name, change, body, why):
    edited.good("table = [1, 2, 3]")
    search(edited, BEFORE, "--trials 3", name)
    edited.good(change)
    reply = edited.good(searching(body, "--trials 4 --resume", name))
    (line,) = reply.complaints.strip().splitlines()
    assert line.startswith(f"mlmagic: sweep {name}: nothing of before holds any more: {why}")
    found = [one for one in Searched.all(edited.folder) if one.sweep.name == name]
    assert [len(one.trials) for one in found] == [3, 4]
    assert all(trial.kept_from is None for trial in found[1].trials)


@pytest.mark.soak
def test_kernels_killed_at_any_moment_of_a_sweep_leave_nothing(tmp_path, mark):
    for number in range(20):
        (folder := tmp_path / str(number)).mkdir()
        with Kernel(folder, env={MARK: mark}) as kernel:
            kernel.send(searching(f"import time\ntime.sleep(0.05)\n{SCORE}", "--trials 1000"))
            time.sleep(number * 0.1)
            kernel.kill()
        assert gone(mark)
