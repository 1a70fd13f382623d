"""The lists of sweeps, checks and endpoints: from what a project's journal says, also where the kernel is another."""

from __future__ import annotations

import os
from xml.etree import ElementTree

import pytest

from mlmagic.journal import Journal
from mlmagic.panel.checks import checks
from mlmagic.panel.endpoints import endpoints
from mlmagic.panel.lists import PICTURE, Places
from mlmagic.panel.sizes import size
from mlmagic.panel.sweeps import sweeps
from mlmagic.records import Assertion, AssertionResult, Bundle, Drift, Endpoint, Sweep, Trial
from mlmagic.session import Session
from mlmagic.session.settings import settings

NOWHERE = Places(lambda execution: None, lambda version: None)
HERE = Places(lambda execution: execution and f"cell of {execution}", lambda version: version and f"maker of {version}")


@pytest.fixture
def session(tmp_path):
    made = Session({}, tmp_path / ".mlmagic", settings())
    yield made
    made.store.close()
    made._journal.close()


def sweep(session, status, number=1, trials=12):
    row = Sweep(f"s{number}", f"e{number}", "tiny", {}, "auc", "maximize", status, float(number), seconds=6.0)
    session.swept(row)
    for place in range(trials):
        about = {"value": 0.5 + place / 100, "seconds": 0.5}
        session.tried(Trial(f"t{number}-{place}", row.sweep_id, place, {"lr": 0.1 * place}, "complete", 0.0, **about))


def test_a_sweep_says_how_it_stands_and_draws_its_scores(session):
    sweep(session, "finished")
    (one,) = sweeps(session, HERE)
    assert (one["name"], one["state"], one["cell"]) == ("tiny", "good", "cell of e1")
    assert one["text"].startswith("finished; 12 trials, 2 per second")
    assert one["details"][:2] == ["maximize auc", "best: 0.61 in trial 11 (lr=1.1)"]
    assert size(one["picture"]) <= PICTURE
    svg = ElementTree.fromstring(one["picture"])
    assert svg.tag.endswith("svg")
    assert "var(--jp-" in one["picture"]


def test_a_sweep_whose_kernel_was_killed_is_interrupted(session):
    sweep(session, "running", number=7)
    (one,) = sweeps(session, NOWHERE)
    assert (one["state"], one["cell"]) == ("warn", None)
    assert one["text"].startswith("interrupted")


def test_sweeps_come_newest_first(session):
    for number in (2, 3):
        sweep(session, "failed" if number == 3 else "finished", number)
    assert [(one["id"], one["state"]) for one in sweeps(session, NOWHERE)] == [("s3", "bad"), ("s2", "good")]


def rule(session, name, *fired, error=None, at=0.0):
    session.asserted(Assertion(f"id-{name}", name, "model", None, "def r(i, o): ...", "monitor", at, f"e-{name}"))
    for place, count in enumerate(fired):
        told = {"name": name, "error": error}
        session.checked(AssertionResult(f"id-{name}", at + place, f"m{place}", "d", None, 100, count, 1.0, **told))


def test_rules_that_fired_come_first_each_with_the_cell_that_made_the_model(session):
    rule(session, "fine", 0, at=5.0)
    rule(session, "fires", 0, 20, at=1.0)
    rule(session, "broken", 0, error="TypeError: no", at=2.0)
    rule(session, "new", at=3.0)
    found = list(checks(session, HERE))
    assert [(one["name"], one["state"]) for one in found] == [
        ("fires", "bad"),
        ("broken", "warn"),
        ("fine", "good"),
        ("new", "past"),
    ]
    assert found[0]["text"] == "fired on 20 of 100 rows (20.0%), severity up to 1"
    assert [one["cell"] for one in found] == ["maker of m1", "maker of m0", "maker of m0", "cell of e-new"]
    assert "versions of the model" in "".join(ElementTree.fromstring(found[0]["picture"]).itertext())
    assert found[2]["picture"] is None


def drift(name, at, column, moved):
    return Drift(name, at, "X_train", "X_new", column, "psi", 0.3, None, 0.2, moved, execution_id="e")


def test_of_two_data_sets_the_last_comparison_counts(session):
    session.drifted([drift("1", 1.0, "age", True)])
    session.drifted([drift("2", 2.0, "age", False), drift("2", 2.0, "sex", True), drift("2", 2.0, None, False)])
    (one,) = checks(session, HERE)
    assert (one["name"], one["state"], one["cell"]) == ("X_train → X_new", "bad", "cell of e")
    assert (one["text"], one["details"]) == ("1 of 2 columns drifted", ["sex: psi 0.3"])


def serve(session, name, **told):
    Journal(session.project.journals, name).served(Endpoint(name, "b", "http://127.0.0.1:1", 0.0, name="m", **told))


def test_endpoints_that_answer_come_first(session):
    session.exported(Bundle("b", "m", "/b", "version", 0.0, {}))
    serve(session, "here", pid=os.getpid())
    serve(session, "over", pid=os.getpid(), ended_at=9.0)
    serve(session, "killed", pid=2**22 + 1)
    found = list(endpoints(session, HERE))
    assert (found[0]["id"], found[0]["state"]) == ("here", "good")
    assert {one["id"]: one["state"] for one in found[1:]} == {"over": "past", "killed": "past"}
    assert found[0]["text"] == "http://127.0.0.1:1, nothing answered yet"
    assert found[0]["cell"] == "maker of version"


def test_an_endpoint_whose_rules_fire_is_bad(session):
    serve(session, "here", pid=os.getpid())
    session.checked(AssertionResult("r", 1.0, None, None, "here", 50, 2, 1.0, name="size"))
    (one,) = endpoints(session, NOWHERE)
    assert (one["state"], one["details"]) == ("bad", ["size fired on 2 of 50 rows"])


def test_a_project_without_any_has_empty_lists(session):
    assert [list(of(session, NOWHERE)) for of in (sweeps, checks, endpoints)] == [[], [], []]
