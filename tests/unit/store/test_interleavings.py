"""Whatever writers, readers and accidents do in whatever order, the tables say what the journals say."""

import contextlib
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlmagic.journal import Journal
from mlmagic.records import Amendment, Measure
from mlmagic.store import Store
from mlmagic.store.schema import TABLES

WRITERS = ("a", "b")
LATEST: dict[str, str] = {}  # each writer's last execution: the one it may amend
STEPS = st.one_of(
    st.tuples(
        st.sampled_from(["observe", "amend", "sweep", "end", "tear", "tear line", "rewrite"]), st.sampled_from(WRITERS)
    ),
    st.tuples(st.sampled_from(["sync", "sync", "delete", "truncate", "garbage"]), st.just("")),
)


def rows(project):
    store = Store(project)
    try:
        return {name: store.frame(f"FROM {name} ORDER BY ALL").astype(str).values.tolist() for name in TABLES}
    finally:
        store.close()


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=3, max_size=14))
def test_any_order_of_events_ends_in_the_rows_of_a_fresh_rebuild(steps, cell, session, sweep, trial):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the lines we tear
        project = Path(folder)
        journals = {name: Journal(project / "journal", name) for name in WRITERS}
        store = Store(project)
        LATEST.clear()
        for name, journal in journals.items():
            journal.session_started(session(name))
        for number, (step, name) in enumerate(steps):
            if step == "sweep":
                try_once(number, journals[name], sweep(name), trial(number % 3, sweep_id=name))
            else:
                take(step, number, project, store, journals.get(name), name, cell)
        found = rows(project)
        store.close()
        for journal in journals.values():
            journal.close()
        (project / "lineage.duckdb").unlink()
        assert found == rows(project)
        observed = {f"{number:04}" for number, (step, _) in enumerate(steps) if step == "observe"}
        if not any(step == "rewrite" for step, _ in steps):
            assert observed <= {row[0] for row in found["executions"]}


def try_once(number, journal, sweep, trial):
    """A sweep or one of its first three trials goes on."""
    journal.swept(replace(sweep, seconds=float(number)))
    told = Measure("e1", "auc", number / 2, trial_id=trial.trial_id, step=number % 2)
    journal.tried(replace(trial, value=number / 2), metrics=[told])


def take(step, number, project, store, journal, name, cell):
    database = project / "lineage.duckdb"
    match step:
        case "observe":
            journal.observed(
                cell(f"{number:04}", writes=(name,), session=name, reads=("v0",), metrics=(("auc", number),))
            )
        case "amend":
            late = cell(LATEST.get(name, "none"), writes=(name, f"x{number}"), kind="random")
            journal.amended(Amendment(late.versions, late.writes))
        case "end":
            journal.session_ended(name, float(number))
        case "tear":
            journal.close()
            with journal.path.open("ab") as file:
                file.write(b'{"v":1,"event":"observation","exe')
        case "tear line":
            journal.close()
            with journal.path.open("ab") as file:
                file.write(b'"torn"}\n')
        case "rewrite":
            journal.path.unlink(missing_ok=True)
        case "sync":
            store.sync()
        case "delete":
            database.unlink(missing_ok=True)
        case "truncate":
            with contextlib.suppress(FileNotFoundError), database.open("rb+") as file:
                file.truncate(number * 1000)
        case "garbage":
            database.write_bytes(bytes(range(256)) * 100)
