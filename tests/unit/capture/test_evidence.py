"""What speaks against doing a cell from memory: named from its text, its calls, and the interpreter's events."""

from __future__ import annotations

import datetime
import random
import subprocess
import sys
import time
import types
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlmagic.analysis import CodeFacts, analyse
from mlmagic.analysis.undetermined import compiled, imported_from
from mlmagic.capture.behind import facts_of
from mlmagic.capture.evidence import (
    Code,
    Obstacle,
    dropped_calls,
    obstacles_in_text,
    obstacles_outside,
)
from mlmagic.capture.files import listing

NAMESPACE: dict[str, Any] = {
    "time": time,
    "uuid": uuid,
    "datetime": datetime.datetime,
    "random": random,
    "np": np,
    "subprocess": subprocess,
    "os": __import__("os"),
    "now_": time.time,
    "rows": [1],
}


def code(text: str, **behind: Any) -> Code:
    return Code(analyse(text), CodeFacts(**behind), imported=imported_from(compiled(text)))


def in_text(text: str, **behind: Any) -> list[str]:
    return [str(found) for found in obstacles_in_text(code(text, **behind), NAMESPACE)]


def test_an_obstacle_is_told_with_its_cure() -> None:
    assert str(Obstacle("it rains", "take an umbrella")) == "it rains; take an umbrella"
    assert str(Obstacle("it rains")) == "it rains"


# The text


@pytest.mark.parametrize(
    "text",
    [
        "y = x + 1",
        "y = sorted(rows)",
        "def f(v): return v",
        "import numpy as np",
        "import time",
        "import os, uuid, datetime, threading, platform, secrets",
        "from time import sleep",
        "time.sleep(1)",
        "y = datetime(2020, 1, 1)",
        "y = datetime.fromisoformat('2020-01-01')",
        "y = random.choice(rows)",
        "y = np.random.default_rng(3).random()",
        "y = pd.to_datetime('2020-01-01')",
        "y = os.path.join('a', 'b')",
        "id = 5\ny = id",
        "rows.read('x')",
    ],
)
def test_plain_code_has_none(text: str) -> None:
    assert in_text(text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y = (", "does not parse"),
        ("from os import *", "star import; name what it imports"),
        ("await f()", "it awaits"),
        ("y = input('? ')", "it asks for input (input); put the question into a cell of its own"),
        ("breakpoint()", "it asks for input (breakpoint)"),
        ("import getpass\ny = getpass.getpass()", "getpass"),
        ("y = id(rows)", "it asks for id()"),
        ("y = hash('a')", "it asks for hash()"),
        ("y = time.time()", "it reads the clock or the system (time.time); read it in a cell of its own"),
        ("y = time.perf_counter_ns()", "time.perf_counter_ns"),
        ("from time import time\ny = time()", "time.time"),
        ("y = now_()", "time.time"),
        ("y = datetime.now()", ".now"),
        ("y = datetime.today()", ".today"),
        ("y = uuid.uuid4()", "uuid.uuid4"),
        ("y = os.getpid()", "os.getpid"),
        ("y = pd.Timestamp('now')", "the time now"),
        ("y = np.datetime64('today')", "the time now"),
        ("y = getattr(time, 'ti' + 'me')()", "getattr of a module"),
        ("y = os.path.exists('x')", "it asks the file system (exists)"),
        ("y = path.is_file()", "it asks the file system (is_file)"),
        ("y = os.path.getmtime('x')", ".getmtime"),
    ],
)
def test_what_the_text_does_is_named(text: str, words: str) -> None:
    assert any(words in found for found in in_text(text)), in_text(text)


def test_magics_are_named() -> None:
    def named(text: str) -> list[str]:
        facts = analyse(text, lambda raw: raw)
        return [str(found) for found in obstacles_in_text(Code(facts, CodeFacts()), NAMESPACE)]

    assert named("get_ipython().run_line_magic('time', 'x = 1')") == [
        "it uses the magic %time; put that into a cell of its own"
    ]
    assert named("get_ipython().system('ls')") == ["it runs a shell command (!); put that into a cell of its own"]


@pytest.mark.parametrize(
    ("behind", "words"),
    [
        ({"loads": frozenset({"input"})}, "it asks for input"),
        ({"loads": frozenset({"time"}), "attributes": frozenset({"time"})}, "time.time"),
        ({"imports": frozenset({"uuid"}), "attributes": frozenset({"uuid4"})}, "uuid.uuid4"),
        ({"attributes": frozenset({"now"})}, ".now"),
    ],
)
def test_what_functions_do_counts_too(behind: dict[str, Any], words: str) -> None:
    assert any(words in found for found in in_text("y = f()", **behind))


def test_a_clock_that_a_function_imports_is_named() -> None:
    def stamp() -> float:
        from time import time

        return time()

    code = Code(analyse("y = stamp()"), facts_of([stamp.__code__]), imported=imported_from(stamp.__code__))
    found = obstacles_in_text(code, NAMESPACE)
    assert any("time.time" in str(one) for one in found)


# The interpreter's events


def outside(text: str = "y = 1", **seen: Any) -> list[str]:
    events: dict[str, Any] = {"processes": set(), "outside": set(), "entropy": set()} | seen
    return [
        str(found) for found in obstacles_outside(events["processes"], events["outside"], events["entropy"], code(text))
    ]


def test_a_quiet_cell_has_none() -> None:
    assert outside() == []


def test_the_network_is_named_with_its_cure() -> None:
    expected = "it uses the network; save what it fetches to a file, in a cell of its own"
    assert outside(outside={"the network"}) == [expected]
    assert outside("y = pd.read_parquet('s3://bucket/x')") == [expected]


def test_other_ways_out_are_named() -> None:
    assert outside(outside={"a link between files"}) == ["it reaches outside the notebook (a link between files)"]


def test_another_process_is_named() -> None:
    assert outside(processes={"another process"})[0].startswith("it starts another process")


def test_workers_that_might_use_files_are_named() -> None:
    assert outside("y = work(rows)", processes={"joblib"}) == []
    (found,) = outside("y = Parallel(2)(delayed(read_part)(n) for n in rows)", processes={"joblib"})
    assert "its worker processes may use files unseen (read_part); use n_jobs=1" in found


def test_entropy_is_named_with_its_cure() -> None:
    assert outside(entropy={"os.urandom"}) == ["unseeded randomness (os.urandom); give it a seed"]


# Calls whose effect nobody saw


def dropped(
    text: str,
    shown: bool = False,
    visible: bool = False,
    written: frozenset[str] = frozenset(),
    changed: frozenset[str] = frozenset(),
) -> list[str]:
    package = types.ModuleType("some_package")
    settled = types.ModuleType("numpy.random")
    values = NAMESPACE | {"package": package, "settled": settled, "sys": sys}
    found = dropped_calls(code(text), shown, values, set(written), visible, {"numpy"}, set(changed))
    return [str(obstacle) for obstacle in found]


@pytest.mark.parametrize(
    "text", ["rows.append(1)", "connection.execute('x')", "package.configure(1)", "f(1)", "x.y = 5", "x[0] = 5"]
)
def test_a_call_that_changed_nothing_in_sight_is_named(text: str) -> None:
    (found,) = dropped(text)
    assert "drops its value and changed nothing in sight; put it into a cell of its own" in found


def test_a_call_that_changed_its_variable_is_none() -> None:
    assert dropped("rows.append(1)", written=frozenset({"rows"})) == []


def test_a_call_on_what_the_cell_made_is_none() -> None:
    assert dropped("mine = []\nmine.append(1)") == []


def test_a_call_whose_value_is_shown_or_kept_is_none() -> None:
    assert dropped("rows.copy()", shown=True) == []
    assert dropped("y = rows.copy()") == []


@pytest.mark.parametrize("text", ["print(1)", "rows.report()", "f(1)"])
def test_a_call_of_a_cell_that_showed_something_may_have_done_that(text: str) -> None:
    assert dropped(text, visible=True) == []


def test_a_call_on_a_package_is_hidden_whatever_was_printed() -> None:
    assert len(dropped("package.configure(1)", visible=True)) == 1
    assert dropped("settled.shuffle(rows)") == []  # its settings are known, and its state is watched


def test_a_package_whose_settings_changed_is_not_told_twice() -> None:
    assert dropped("package.configure(1)", changed=frozenset({"some_package"})) == []
    assert len(dropped("package.configure(1)", changed=frozenset({"another"}))) == 1


@pytest.mark.parametrize("text", ["sys.stdout.write('x')", "sys.stdout.flush()", "random.shuffle(rows)"])
def test_calls_whose_effect_is_seen_are_none(text: str) -> None:
    assert dropped(text, visible=True) == []


# Folders


def test_a_listing_is_of_names_without_hidden_ones_and_caches(tmp_path: Path) -> None:
    empty = listing(str(tmp_path))
    (tmp_path / ".hidden").touch()
    (tmp_path / "__pycache__").mkdir()
    assert listing(str(tmp_path)) == empty
    (tmp_path / "seen").touch()
    full = listing(str(tmp_path))
    assert full != empty
    (tmp_path / "seen").write_text("content is not asked for")
    assert listing(str(tmp_path)) == full


def test_no_folder_is_another_listing_than_an_empty_one(tmp_path: Path) -> None:
    assert listing(str(tmp_path / "nowhere")) != listing(str(tmp_path))
