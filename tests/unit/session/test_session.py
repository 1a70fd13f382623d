"""A session without a kernel: what it does where the disk refuses, or recording itself fails."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mlmagic.capture import Cell, Outcome
from mlmagic.records import Bundle, Measure, Sweep, Trial
from mlmagic.session import Session
from mlmagic.session.project import open_project
from mlmagic.session.settings import MLMagic, settings


@pytest.fixture
def session(tmp_path: Path):
    told: list[str] = []
    session = Session({}, tmp_path / ".mlmagic", MLMagic(), say=told.append)
    session.told = told  # type: ignore[attr-defined]
    session.start()
    yield session
    session.close()


def run(session: Session, code: str):
    session.begin(Cell(code, code))
    exec(code, session.namespace)
    return session.end(Outcome("ok", 1))


def test_what_a_full_disk_refuses_is_written_when_there_is_room_again(session, monkeypatch):
    journal = session._journal
    full = True

    def append(line: bytes, write=journal._append) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(line)

    monkeypatch.setattr(journal, "_append", append)
    run(session, "a = 1")
    run(session, "b = 2")
    assert session.told == [
        "the journal cannot be written (No space left on device): cells run on and are held in memory"
    ]
    full = False
    run(session, "c = 3")
    assert {row.name for row in session.history().versions if row.kind == "variable"} == {"a", "b", "c"}


def test_a_recording_that_fails_counts_as_unknown_and_the_next_one_works(session, monkeypatch):
    run(session, "a = [1]")
    with monkeypatch.context() as broken:
        broken.setattr("mlmagic.capture.recorder.Changes.find", lambda self: 1 / 0)
        lost = run(session, "b = a")
    assert [row.fingerprint for row in lost.versions if row.kind == "variable"] == [None, None]
    assert {row.name for row in lost.versions} >= {"a", "b"}
    assert len(session.told) == 1
    assert "\n" not in session.told[0]
    run(session, "c = b")
    assert "c" in {row.name for row in session.history().versions}


def test_each_kind_of_trouble_is_told_once(session):
    session.tell_once("the disk (1) is full")
    session.tell_once("the disk (2) is full")
    session.tell_once("something else")
    assert session.told == ["the disk (1) is full", "something else"]


def test_a_gap_without_effect_is_no_row(session):
    session.begin_gap("print(1)")
    session.end_gap()
    assert [row.name for row in session.history().executions] == ["before"]
    session.begin_gap("x = 1")
    session.namespace["x"] = 1
    session.end_gap()
    assert [row.source for row in session.history().executions][1:] == ["x = 1"]


def test_a_folder_that_cannot_be_made_becomes_a_temporary_one(tmp_path):
    (tmp_path / "file").write_text("in the way")
    project = open_project(tmp_path / "file" / ".mlmagic")
    assert project.problem is not None
    assert "\n" not in project.problem
    assert project.journals.is_dir()
    assert project.root == tmp_path / "file"


def test_environment_variables_give_the_defaults(monkeypatch):
    monkeypatch.setenv("MLMAGIC_HOME", "/somewhere")
    monkeypatch.setenv("MLMAGIC_TRACK", "0")
    monkeypatch.setenv("MLMAGIC_OBJECT_LIMIT", "77")
    found = settings()
    assert (found.home, found.track, found.object_limit) == ("/somewhere", False, 77)


def test_a_sweep_and_its_trials_go_through_the_journal_into_the_store(session):
    sweep = Sweep("w1", None, "mlp", {}, "auc", "maximize", "running", 1.0)
    trial = Trial("t1", "w1", 0, {"lr": 0.1}, "complete", 1.5, value=0.5)
    told = Measure("", "auc", 0.5, trial_id="t1", step=1)
    session.swept(sweep)
    session.tried(trial, metrics=(measure for measure in [told]))
    assert (session.store.sweeps(), session.store.trials("w1"), session.store.reports("w1")) == (
        [sweep],
        [trial],
        [told],
    )


def test_trials_that_a_full_disk_refuses_are_written_with_their_measures_when_there_is_room(session, monkeypatch):
    trial = Trial("t1", "w1", 0, {"lr": 0.1}, "complete", 1.5, value=0.5)
    told = Measure("", "auc", 0.5, trial_id="t1", step=1)

    def refuse(line: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(session._journal, "_append", refuse)
        session.tried(trial, metrics=iter([told]))
    session.swept(Sweep("w1", None, "mlp", {}, "auc", "maximize", "finished", 1.0))
    assert session.store.trials("w1") == [trial]
    assert session.store.reports("w1") == [told]


def test_a_model_that_left_the_notebook_goes_through_the_journal_into_the_store(session):
    made = Bundle("b1", "churn", "/p/churn/1", "e1.model", 1.5, {"rows": 3}, "model", "0a1b")
    session.exported(made)
    assert session.store.bundles() == [made]


def test_closing_stops_what_was_served_and_names_what_does_not_stop(session):
    class Handle:
        def __init__(self, name, error=None):
            self.name, self.error, self.stopped = name, error, 0

        def stop(self):
            self.stopped += 1
            if self.error is not None:
                raise self.error

        def __repr__(self):
            return f"endpoint {self.name}"

    said = []
    session.say = said.append
    good, bad = Handle("good"), Handle("bad", PermissionError(1, "not permitted"))
    session.endpoints.update(g=good, b=bad)
    session.close()
    assert (good.stopped, bad.stopped, session.endpoints) == (1, 1, {})
    assert said == ["endpoint bad could not be stopped (PermissionError: [Errno 1] not permitted)"]
