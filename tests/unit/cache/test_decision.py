"""Hit or miss: everything that a run read counts, and each difference is told in a clause."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

from mlmagic.cache.decision import code_change, differences, matches, nearest
from mlmagic.capture.environment import HASH_SEED
from mlmagic.capture.files import listing
from mlmagic.fingerprint import file_fingerprint
from tests.unit.cache.made import present, trace


def told(trace_: Any, now: Any) -> list[str]:
    return [found.text for found in differences(trace_, now)]


def test_the_same_is_a_hit() -> None:
    assert matches(trace(), present())
    assert told(trace(), present()) == []


# Variables


@pytest.mark.parametrize(
    ("variables", "clause"),
    [
        ({"x": "two"}, "x changed"),
        ({"x": None}, "x changed"),
        ({}, "x is not there"),
        ({"x": "one", "z": "new"}, "z is there now, and was not"),
    ],
)
def test_a_variable_that_is_not_as_it_was(variables: dict[str, str | None], clause: str) -> None:
    assert told(trace(), present(variables=variables)) == [clause]


@pytest.mark.parametrize("sharing", ["together", None])
def test_inputs_that_share_otherwise(sharing: str | None) -> None:
    assert told(trace(), present(sharing=sharing)) == ["its inputs share parts with each other in another way"]


@pytest.mark.parametrize("others", [{"hidden": "other"}, {}])
def test_a_variable_that_the_text_does_not_name(others: dict[str, str]) -> None:
    assert matches(trace(also={"hidden": "same"}), present(others={"hidden": "same"}))
    assert told(trace(also={"hidden": "same"}), present(others=others)) == ["hidden changed"]


@pytest.mark.parametrize(
    ("before", "now", "clause"),
    [
        ({"type": "int", "preview": "1"}, {"type": "int", "preview": "2"}, "x changed from 1 to 2"),
        ({"type": "int"}, {"type": "str"}, "x changed from a value of type int to a value of type str"),
        (
            {"type": "ndarray", "shape": "(2,)"},
            {"type": "ndarray", "shape": "(3,)"},
            "x changed from shape (2,) to (3,)",
        ),
        (
            {"type": "DataFrame", "columns": {"a": "1", "b": "1"}},
            {"type": "DataFrame", "columns": {"a": "2", "b": "1"}},
            "x: column 'a' changed",
        ),
        (
            {"type": "DataFrame", "columns": {"a": "1", "b": "1"}},
            {"type": "DataFrame", "columns": {"a": "2", "c": "1"}},
            "x: column 'a' changed, column 'c' new, column 'b' gone",
        ),
        (
            {"type": "DataFrame", "columns": dict.fromkeys("abcde", "1")},
            {"type": "DataFrame", "columns": dict.fromkeys("abcde", "2")},
            "x: columns 'a', 'b', 'c' and 2 more changed",
        ),
        (
            {"type": "function", "source": "def x():\n    return 1\n"},
            {"type": "function", "source": "def x():\n    return 2\n"},
            "function x changed: line 2 from `return 1` to `return 2`",
        ),
        ({"type": "list"}, {"type": "list"}, "x changed"),
    ],
)
def test_how_a_variable_changed_is_told_as_closely_as_is_known(
    before: dict[str, Any], now: dict[str, Any], clause: str
) -> None:
    assert told(trace(details={"x": before}), present(variables={"x": "two"}, told={"x": now})) == [clause]


# The rest of the world


def test_a_file_counts_by_content(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a")
    digest, _ = file_fingerprint(tmp_path / "data.csv")
    read = trace(files={"data.csv": digest})
    assert matches(read, present(tmp_path))
    (tmp_path / "data.csv").write_text("b")
    assert told(read, present(tmp_path)) == ["file data.csv changed"]
    (tmp_path / "data.csv").unlink()
    assert told(read, present(tmp_path)) == ["file data.csv is not there"]


def test_a_file_that_was_missed_and_is_there(tmp_path: Path) -> None:
    missed = trace(absent=("flag",))
    assert matches(missed, present(tmp_path))
    (tmp_path / "flag").symlink_to("nowhere")
    assert told(missed, present(tmp_path)) == ["file flag is there now, and was not"]


def test_a_folder_counts_by_the_names_in_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    listed = trace(folders={"folder": listing(str(tmp_path / "folder"))})
    (tmp_path / "folder" / ".hidden").touch()
    assert matches(listed, present(tmp_path))
    (tmp_path / "folder" / "new").touch()
    assert told(listed, present(tmp_path)) == ["folder folder holds other files"]


def test_random_state_is_told_by_its_seed() -> None:
    drew = trace(random={"numpy": "s1"}, seeds={"numpy": "seed 1"})
    assert matches(drew, present(random={"numpy": "s1"}))
    clause = "the state of the random generator numpy is another"
    assert told(drew, present(random={"numpy": "s2"}, seeds={"numpy": "seed 2"})) == [f"{clause} (seed 1 → seed 2)"]
    assert told(drew, present(random={"numpy": "s2"}, seeds={"numpy": "seed 1"})) == [
        f"{clause} (something else was drawn before)"
    ]


def test_versions_of_packages_and_python_are_told_from_what_to_what() -> None:
    import numpy

    assert matches(trace(packages={"numpy": numpy.__version__}), present())
    assert told(trace(packages={"numpy": "0.1"}), present()) == [
        f"package numpy changed from 0.1 to {numpy.__version__}"
    ]
    assert told(trace(packages={"no_such_package": "0.1"}), present()) == [
        "package no_such_package changed from 0.1 to not installed"
    ]
    assert told(trace(python="3.1.4"), present()) == [f"Python changed from 3.1.4 to {platform.python_version()}"]


@pytest.mark.parametrize("settings", [{"pandas": "other"}, {}])
def test_settings_of_packages(settings: dict[str, str]) -> None:
    assert matches(trace(settings={"pandas": "s"}), present(settings={"pandas": "s"}))
    assert told(trace(settings={"pandas": "s"}), present(settings=settings)) == ["settings of pandas changed"]


def test_an_environment_variable() -> None:
    assert matches(trace(environment={"MODE": "m", "NONE": None}), present(environment={"MODE": "m"}))
    assert told(trace(environment={"MODE": "m"}), present()) == ["the environment variable MODE changed"]
    assert told(trace(environment={"NONE": None}), present(environment={"NONE": "n"})) == [
        "the environment variable NONE changed"
    ]


def test_another_order_of_sets_says_how_to_keep_it() -> None:
    (clause,) = told(trace(environment={HASH_SEED: "one"}), present(environment={HASH_SEED: "other"}))
    assert "PYTHONHASHSEED=0" in clause


def test_the_working_folder_where_it_mattered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path)
    assert matches(trace(folder="."), present(tmp_path))
    assert matches(trace(folder=str(tmp_path)), present(tmp_path))
    monkeypatch.chdir(tmp_path / "deeper")
    assert matches(trace(folder=None), present(tmp_path))
    assert told(trace(folder="."), present(tmp_path)) == ["the working folder changed from . to deeper"]
    assert told(trace(folder=str(tmp_path)), present(tmp_path)) == [
        f"the working folder changed from {tmp_path} to {tmp_path / 'deeper'}"
    ]


def test_a_local_module_counts_by_content_loaded_or_not(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("A = 1")
    digest, _ = file_fingerprint(tmp_path / "part.py")
    used = trace(modules={"part": ("content", "part.py", digest)})
    assert matches(used, present(tmp_path, modules={"part": "content"}))
    assert matches(used, present(tmp_path))  # not loaded, to be loaded from the same file
    assert told(used, present(tmp_path, modules={"part": "other"})) == ["module part changed"]
    (tmp_path / "part.py").write_text("A = 2")
    assert told(used, present(tmp_path)) == ["module part changed"]


# The nearest


def test_nobody_looks_at_values_before_a_difference_is_told() -> None:
    asked: list[str] = []

    def details(name: str) -> dict[str, Any]:
        asked.append(name)
        return {"preview": "2"}

    old = trace(details={"x": {"preview": "1"}})
    found = nearest([old, trace(python="3.1.4")], present(variables={"x": "two"}, details=details))
    assert found is not None
    assert found[0] is old
    assert asked == []
    assert [one.text for one in found[1]] == ["x changed from 1 to 2"]
    assert asked == ["x"]


def test_the_nearest_trace_is_the_one_with_the_fewest_differences() -> None:
    far = trace(trace_id="far", variables={"x": "two"}, also={"z": "other"}, python="3.1.4")
    near = trace(trace_id="near", variables={"x": "two"})
    found = nearest([far, near], present())
    assert found is not None
    assert found[0] is near
    assert [one.text for one in found[1]] == ["x changed"]
    assert nearest([], present()) is None


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        ("a = 1\nb = 2", "a = 1\nb = 3", "line 2 from `b = 2` to `b = 3`"),
        ("a = 1", "a = 1\n\nb = 2", "line 3 is new: `b = 2`"),
        ("a = 1\nb = 2", "b = 2", "line 1 is gone: `a = 1`"),
        ("a = 1\n", "a = 1\n\n", None),
        ("a = 1", "a = 1", None),
        ("", "a = 1", "line 1 is new: `a = 1`"),
    ],
)
def test_the_first_line_that_changed_is_told(before: str, now: str, change: str | None) -> None:
    assert code_change(before, now) == change
