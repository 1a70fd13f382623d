"""What pages are told: a snapshot for each, then what changed, of what they show; nothing where nobody listens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlmagic.panel.feed import Feed, Sources
from mlmagic.panel.lists import item
from mlmagic.panel.marks import running_row
from mlmagic.records import History, Observation, Sweep
from mlmagic.session import Session
from mlmagic.session.settings import settings
from tests.unit.panel.rows import Notebook

LEDGER: Any = {"mode": "auto", "saved": 0.0, "computed": 0.0, "stored": 0, "budget": 0, "cells": []}
SWEEP = Sweep("s1", None, "tiny", {}, "auc", "maximize", "finished", 0.0)


class Desk:
    """A feed with pages that write down what they are told."""

    def __init__(self, folder: Path) -> None:
        self.book = Notebook()
        self.asked: list[str] = []
        self.trouble: list[Exception] = []
        self.told: dict[str, list[dict[str, Any]]] = {}
        session = Session({}, folder, settings())
        self.feed = Feed(
            session, Sources(self.history, list, list, lambda marks: self.ask("reuse", LEDGER)), self.trouble.append
        )
        self.feed.use(
            {"sweeps": lambda session, places: self.ask("sweeps", [item("s1", "tiny", "good", "", word="fine")])}
        )

    def ask(self, what: str, value: Any) -> Any:
        self.asked.append(what)
        return value

    def history(self) -> History:
        return self.ask("history", History((), (), (), ()))

    def open(self, key: str, *sections: str) -> list[dict[str, Any]]:
        self.told[key] = []
        self.feed.open(key, self.told[key].append, sections, None)
        return self.told[key]

    def run(self, cell: str, reads: str = "", **writes: str) -> Observation:
        made = self.book.observation(cell, reads, **writes)
        self.feed.started(running_row(cell, made.execution.execution_id, None, "x = 1"))
        self.feed.flush()
        self.feed.observed(made)
        self.feed.over()
        self.feed.flush()
        return made


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / ".mlmagic")


def test_where_no_page_is_nothing_is_asked_and_nothing_is_held(desk):
    desk.run("a", x="1")
    desk.feed.recorded(SWEEP)
    desk.feed.flush(lists=True)
    assert desk.asked == []
    desk.open("one", "sweeps")
    desk.feed.close("one")
    desk.asked.clear()
    desk.run("a", x="2")
    assert desk.asked == []


def test_a_page_gets_a_snapshot_and_then_one_push_for_each_end(desk):
    told = desk.open("one")
    desk.run("a", x="1")
    assert [(push["type"], push["seq"], push["running"]) for push in told] == [
        ("snapshot", 1, None),
        ("delta", 2, "a"),
        ("delta", 3, None),
    ]
    assert [row["status"] for push in told[1:] for row in push["cells"]] == ["running", "ok"]


def test_only_what_changed_is_told(desk):
    told = desk.open("one", "lineage")
    desk.run("a", x="1")
    desk.run("b", "x", y="1")
    desk.run("c", z="1")
    assert [row["id"] for row in told[-1]["cells"]] == ["c"]
    assert [node["id"] for node in told[-1]["nodes"]] == ["c:c", "v:z"]
    assert told[-1]["edges"] == [("c:c", "v:z")]
    count = len(told)
    desk.feed.flush()
    assert len(told) == count


def test_sections_that_nobody_shows_are_not_asked_for(desk):
    told = desk.open("one")
    desk.run("a", x="1")
    desk.feed.recorded(SWEEP)
    desk.feed.flush(lists=True)
    assert desk.asked == ["history"]
    assert not set().union(*told) & {"nodes", "reuse", "sweeps"}
    desk.feed.show("one", ["lineage", "reuse", "sweeps", "unheard of"])
    desk.feed.flush(lists=True)
    assert {"nodes", "edges", "reuse"} <= told[-2].keys()
    assert [one["name"] for one in told[-1]["sweeps"]] == ["tiny"]
    assert desk.asked == ["history", "reuse", "sweeps", "reuse"]


def test_a_list_is_read_again_only_after_something_was_written_about_it(desk):
    desk.open("one", "sweeps")
    desk.feed.flush(lists=True)
    desk.run("a", x="1")
    assert not desk.feed.old
    desk.feed.recorded(SWEEP)
    assert desk.feed.old == {"sweeps"}


def test_a_page_that_shows_a_section_later_gets_all_of_it(desk):
    desk.open("one", "lineage", "sweeps")
    desk.feed.flush(lists=True)
    desk.run("a", x="1")
    other = desk.open("two", "lineage", "sweeps")
    assert {node["id"] for node in other[0]["nodes"]} == {"c:a", "v:x"}
    assert [one["name"] for one in other[0]["sweeps"]] == ["tiny"]
    assert [push["type"] for push in desk.told["one"]].count("snapshot") == 1


def test_a_cell_whose_run_could_not_be_recorded_does_not_run_for_ever(desk):
    told = desk.open("one")
    desk.feed.started(running_row("a", "lost", None, "x = 1"))
    desk.feed.flush()
    desk.feed.over(ok=False)
    desk.feed.flush()
    assert (told[-1]["running"], told[-1]["cells"][0]["status"]) == (None, "error")
    desk.run("a", x="1")
    assert told[-1]["cells"][0]["status"] == "ok"


def test_what_is_told_twice_counts_once(desk):
    told = desk.open("one")
    made = desk.run("a", x="1")
    count = len(told)
    desk.feed.observed(made)
    desk.feed.flush()
    assert len(told) == count
    assert desk.feed._state.marks.computed == 1.0


def test_a_list_that_fails_is_told_and_the_rest_goes_on(desk):
    def failing(session, places):
        raise OSError("no store")

    desk.feed.use({"checks": failing, "sweeps": lambda session, places: []})
    told = desk.open("one", "checks", "sweeps")
    desk.feed.flush(lists=True)
    assert [str(error) for error in desk.trouble] == ["no store"]
    assert told[-1]["sweeps"] == []
    desk.feed.flush(lists=True)
    assert len(desk.trouble) == 1
