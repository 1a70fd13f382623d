"""Which cells are stale and why, what was reused and what was not, and which checks fired on what a cell made."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest

from mlmagic.panel.marks import running_row, typed, unkept
from mlmagic.records import Amendment, AssertionResult, Execution, Reuse, Version, Write
from tests.unit.panel.rows import Notebook


def test_a_cell_is_stale_once_another_cell_gave_what_it_read_another_content():
    book = Notebook()
    book.run("a", x="1")
    book.run("b", "x", y="1")
    assert book.stale() == {}
    book.run("a", x="2")
    assert book.stale() == {"b": "x changed in cell [3]"}
    book.run("b", "x", y="2")
    assert book.stale() == {}


def test_the_same_content_again_makes_nothing_stale():
    book = Notebook()
    book.run("a", x="1")
    book.run("b", "x", y="1")
    book.run("a", x="1")
    assert book.stale() == {}


def test_unknown_content_that_was_made_anew_counts_as_changed():
    book = Notebook()
    book.run("a", x="1")
    book.run("b", "x", y="1")
    made = book.observation("a", x="1")
    unknown = tuple(replace(row, fingerprint=None) for row in made.versions)
    step_of(book, replace(made, versions=unknown))
    assert book.stale() == {"b": "x changed in cell [3]"}


def step_of(book, observation):
    from mlmagic.panel.steps import of_observation

    book.marks.add(of_observation(observation, book.marks.versions))


def test_what_came_of_a_stale_cell_is_stale_too_and_says_through_which():
    book = Notebook()
    book.run("a", x="1")
    book.run("b", "x", y="1")
    book.run("c", "y", z="1")
    book.run("d", "z")
    book.run("a", x="2")
    assert book.stale() == {
        "b": "x changed in cell [5]",
        "c": "cell [2] that made y is stale",
        "d": "cell [3] that made z is stale",
    }
    book.run("b", "x", y="1")  # comes to the same: all is well again
    assert book.stale() == {}


def test_cells_that_change_a_frame_one_after_the_other_are_in_order():
    book = Notebook()
    book.run("load", df="0")
    book.run("first", "df", df="1")
    book.run("second", "df", df="2")
    book.run("use", "df", n="2")
    assert book.stale() == {}


def test_a_frame_that_is_made_anew_wants_to_be_changed_again():
    book = Notebook()
    book.run("load", df="0")
    book.run("change", "df", df="1")
    book.run("use", "df", n="1")
    book.run("load", df="0")
    assert book.stale() == {"change": "df was made anew in cell [4]", "use": "df changed in cell [4]"}
    book.run("change", "df", df="1")
    assert book.stale() == {}


def test_what_a_cell_below_does_afterwards_makes_nothing_above_stale():
    book = Notebook()
    book.run("load", df="0")
    book.run("look", "df")
    book.run("change", "df", df="1")
    book.run("again", df="2")
    book.run("drop", df="")
    assert book.stale() == {}


def test_a_new_cell_above_makes_those_below_stale_once_the_page_says_where_it_stands():
    book = Notebook()
    book.run("load", df="0")
    book.run("look", "df")
    book.run("clean", "df", df="1")
    assert book.stale() == {}
    book.marks.ordered(["load", "clean", "look"])
    assert book.stale() == {"look": "df changed in cell [3]"}
    book.run("look", "df")
    assert book.stale() == {}


def test_the_cell_that_was_read_from_counts_wherever_it_stands():
    book = Notebook()
    book.run("use", n="1")
    book.run("set", cfg="1")
    book.run("use", "cfg", n="2")
    assert book.stale() == {}
    book.run("set", cfg="2")
    assert book.stale() == {"use": "cfg changed in cell [4]"}


def test_two_cells_that_feed_each_other_come_to_rest():
    book = Notebook()
    book.run("a", x="1")
    book.run("b", "x", y="1")
    book.run("a", "y", x="2")
    assert book.stale() == {"a": "cell [2] that made y is stale", "b": "x changed in cell [3]"}


def test_a_deleted_name_and_a_file_from_outside():
    book = Notebook()
    book.run("read", "data.csv", rows="1")
    book.run("use", "rows", n="1")
    book.run("read", "data.csv", rows="")
    assert book.stale() == {"use": "rows was deleted in cell [3]"}
    book.outside("data.csv", "e00004", "other")
    book.run("again", "data.csv", other="1")
    assert book.stale()["read"] == "data.csv has changed since"


def test_a_file_that_a_cell_writes_makes_its_readers_stale():
    book = Notebook()
    book.run("write", out__csv="1")
    book.run("read", "out.csv", rows="1")
    book.run("write", out__csv="2")
    assert book.stale() == {"read": "out.csv changed in cell [3]"}


def test_what_became_known_later_counts():
    book = Notebook()
    first = book.run("a", x="1")
    book.run("b", "x", y="1")
    late = Version(f"{first}-later", "variable", "x", first, "2")
    book.marks.amend(Amendment((late,), (Write(first, late.version_id, "mutate"),)))
    assert book.stale() == {"b": "x changed in cell [1]"}


@pytest.mark.parametrize(
    ("decision", "why", "told"),
    [
        ("not kept", "it reads the network", "it reads the network"),
        ("not kept", "computing it took 3 ms, keeping and loading would take about 9 ms", None),
        ("not kept", "it took only 0.002 s", None),
        ("not kept", "its own --no-reuse", None),
        ("kept", None, None),
        ("reused", None, None),
    ],
)
def test_why_a_result_cannot_be_reused_is_told_where_that_is_trouble(decision, why, told):
    assert unkept(Reuse("e", decision, unkept=why)) == told


def test_a_reused_cell_says_what_it_saved():
    book = Notebook()
    name = book.run("a", x="1", status="reused")
    for _ in range(2):  # told of it twice, it counts once
        book.marks.decided(Reuse(name, "reused", seconds=9.0, saved=8.5))
    assert (book.mark("a")["status"], book.mark("a")["saved"]) == ("reused", 8.5)
    assert (book.marks.saved, book.marks.computed) == (8.5, 0.0)


def test_a_check_that_fires_is_marked_on_who_made_the_model_or_the_data_until_it_is_fine():
    book = Notebook()
    model, data = book.run("m", model="1"), book.run("d", X="1")

    def checked(fired: int) -> AssertionResult:
        return AssertionResult("r", 0.0, f"{model}-model", f"{data}-X", None, 10, fired, 1.0, name="rule")

    book.marks.checked(checked(3))
    assert (book.mark("m")["failed"], book.mark("d")["failed"]) == (["rule"], ["rule"])
    book.run("m", model="1")  # the very same model
    assert book.mark("m")["failed"] == ["rule"]
    book.run("m", model="2")
    assert book.mark("m")["failed"] == []
    assert book.mark("d")["failed"] == ["rule"]
    book.marks.checked(checked(0))
    assert book.mark("d")["failed"] == []


def test_the_checksum_of_the_text_is_not_told_where_the_store_lacks_a_secret():
    assert typed("x = 1") == zlib.crc32(b"x = 1")
    assert typed('password = "<secret>"') is None
    assert running_row("a", "e", None, "x = 1")["typed"] == zlib.crc32(b"x = 1")


def test_texts_travel_as_one_short_line():
    book = Notebook()
    book.run("a", source=f"x = '\udce4{'long' * 100}'\ny = 1", x="1")
    line = book.mark("a")["line"]
    assert len(line) <= 60
    line.encode()


def test_the_adoption_of_what_was_alive_is_no_cell():
    book = Notebook()
    observation = book.observation("before", x="1")
    before: Execution = replace(observation.execution, name="before", execution_count=None)
    step_of(book, replace(observation, execution=before))
    book.run("a", "x")
    assert [row["id"] for row in book.marks.rows()] == ["a"]
