import errno
import os
import threading

import pytest

from mlmagic.journal import Journal, Report, read
from mlmagic.records import Amendment


def kinds(journal):
    return [event["event"] for event, _ in read(journal.path)]


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal", "s1")
    yield journal
    journal.close()


def test_nothing_is_made_before_the_first_event(tmp_path):
    Journal(tmp_path / "journal", "s1").close()
    assert list(tmp_path.iterdir()) == []


def test_each_event_is_a_line_at_once(journal, session, observation):
    journal.session_started(session)
    journal.observed(observation())
    journal.amended(Amendment(observation().versions, ()))
    journal.session_ended("s1", 3.0)
    assert kinds(journal) == ["session", "observation", "amendment", "session_ended"]
    assert journal.path.name == "s1.jsonl"


def test_a_sweep_and_its_trials_are_lines_as_they_change(journal, sweep, trial):
    journal.swept(sweep())
    journal.tried(trial())
    journal.tried(trial("complete", value=0.5))
    journal.swept(sweep("finished"))
    assert kinds(journal) == ["sweep", "trial", "trial", "sweep"]
    assert [event["trial"]["status"] for event, _ in read(journal.path) if event["event"] == "trial"] == [
        "running",
        "complete",
    ]


def test_a_reopened_journal_goes_on_at_its_end(journal, session, observation):
    journal.session_started(session)
    journal.close()
    journal.observed(observation())
    assert kinds(journal) == ["session", "observation"]


def test_a_torn_end_is_closed_off_before_the_next_event(journal, session, observation):
    journal.session_started(session)
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b'{"v":1,"event":"obser')
    journal.observed(observation())
    report = Report()
    assert [event["event"] for event, _ in read(journal.path, 0, report)] == ["session", "observation"]
    assert len(report.torn) == 1


def test_a_short_write_is_continued(journal, session, observation, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    journal.session_started(session)
    assert kinds(journal) == ["session"]


def test_a_failed_write_is_the_callers_to_know_and_spoils_nothing_else(journal, session, observation, monkeypatch):
    write, calls = os.write, []

    def fills_up(file, data):
        calls.append(data)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:20] if len(calls) == 1 else data)

    journal.session_started(session)
    monkeypatch.setattr(os, "write", fills_up)
    with pytest.raises(OSError, match="No space left"):
        journal.observed(observation("e1"))
    journal.observed(observation("e2"))
    found = [event.get("execution", {}).get("execution_id") for event, _ in read(journal.path)]
    assert found == [None, "e2"]


def test_a_folder_deleted_under_the_session_is_begun_again_with_the_session(journal, session, observation):
    journal.session_started(session)
    journal.path.unlink()
    journal.path.parent.rmdir()
    journal.observed(observation())
    assert kinds(journal) == ["session", "observation"]


def test_threads_do_not_mix_their_lines(journal, observation):
    def work(name):
        for number in range(200):
            journal.observed(observation(f"{name}-{number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({event["execution"]["execution_id"] for event, _ in read(journal.path)}) == 800


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process")  # Python 3.12 and later: of forking beside threads
def test_a_forked_child_writes_nothing_into_its_parents_journal(journal, session, observation):
    journal.session_started(session)
    child = os.fork()
    if child == 0:
        journal.observed(observation())
        os._exit(0)
    os.waitpid(child, 0)
    journal.session_ended("s1", 3.0)
    assert kinds(journal) == ["session", "session_ended"]
