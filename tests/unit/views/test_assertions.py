"""What a check looks like: rates, states, worst rows with their data, history; within the limits, and safe."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

import mlmagic.views.assertions  # noqa: F401  (registers the renderers)
from mlmagic.checks.verdicts import AssertionList, AssertionReport, CheckReport, Past, RowList, Verdict, rate_in_words
from mlmagic.records import Assertion, AssertionResult
from mlmagic.results import OUTPUT_LIMIT, Result

EVIL = '<b onclick="x">&'
SOURCE = "def big(inputs, outputs):\n    return inputs['size'] > LIMIT\n"


def rule(name: str = "big", **told: Any) -> Assertion:
    about: dict[str, Any] = {"model": "model", "model_version": None, "source": SOURCE, "action": "monitor"}
    return Assertion("a1", name, **{**about, "created_at": 0.0, **told})


def worst(row: int = 7, **inputs: Any) -> dict[str, Any]:
    return {"row": row, "severity": 2.0, "inputs": inputs or {"size": 3.5, "word": "ab"}, "output": [0.25, 0.75]}


def result(**told: Any) -> AssertionResult:
    about: dict[str, Any] = {"at": 60.0, "model_version": "v1", "data_version": None, "endpoint_id": None, "rows": 200}
    return AssertionResult(
        "a1", **{**about, "fired": 5, "severity_max": 2.0, "worst": (worst(),), "name": "big", **told}
    )


def past(fired: int = 5, made: str = "model of cell [3]", error: str | None = None) -> Past:
    return Past(60.0, "v1", None, 200, fired, 2.0 if error is None else None, error, made)


FIRED = Verdict(rule(), result(), (past(10), past(5, "model of cell [6]")), 2)
FINE = Verdict(rule("fine"), result(fired=0, severity_max=0.0, worst=()))
FAILED = Verdict(
    rule("odd"), result(fired=0, severity_max=None, worst=(), error="KeyError: nosuch (line 2 of the rule)")
)
NEW = Verdict(rule("new", model=None, portable=False, obstacle="it uses df"))
REPORT = CheckReport((FIRED, FINE, FAILED, NEW), "model", "X_test", 200, ("old",))


def page(shown: Result) -> str:
    return shown._repr_mimebundle_().get("text/html", "")


def words(markup: str) -> str:
    return " ".join(ElementTree.fromstring(markup).itertext())


@pytest.mark.parametrize(
    "shown",
    [REPORT, AssertionReport(FIRED), AssertionReport(NEW), AssertionList(REPORT.verdicts), RowList("rows", (worst(),))],
    ids=lambda shown: type(shown).__name__,
)
def test_every_page_is_sound_static_and_light(shown):
    ElementTree.fromstring(page(shown))
    assert "<script" not in page(shown)
    assert "http" not in page(shown)
    assert "#fff" not in page(shown)
    assert shown.to_pandas() is not None
    assert shown.to_dict()


def test_a_check_says_who_fired_who_failed_and_why():
    said = words(page(REPORT))
    assert "4 assertions of model on X_test (200 rows): 1 fired, 1 failed, 1 fine, 1 not run" in said
    assert "2.5%" in said
    assert "no answer: KeyError: nosuch (line 2 of the rule)" in said
    assert "not run, because this kernel has not run their cells: old" in said
    assert all(name in said for name in ("size", "3.5", "word", "ab", "[0.25, 0.75]"))
    assert "model of cell [6]" in said


def test_glyph_and_word_stand_beside_each_colour():
    for state, glyph in {"fired": "▲", "failed": "✗", "fine": "✓", "not run": "·"}.items():
        assert f"{glyph}</span> {state}" in page(REPORT)


def test_the_text_says_the_same():
    lines = REPORT.text().splitlines()
    assert lines[1] == "  ▲ big: fired on 5 of 200 rows (2.5%), severity up to 2"
    assert lines[2] == "      by model version: 5.0% → 2.5%"
    assert "        7    2         [0.25, 0.75]  3.5   ab" in lines
    assert "  ✓ fine: fine on 200 rows" in lines
    assert "  · new: never run" in lines


def test_a_rule_shows_its_text_its_needs_and_its_history():
    one = Verdict(rule(imports=("import numpy as np",), constants={"LIMIT": 3}), result(), FIRED.history, 2)
    for said in (words(page(AssertionReport(one))), AssertionReport(one).text()):
        assert "defined 2 times" in said
        assert "import numpy as np" in said
        assert "LIMIT=3" in said
        assert "return inputs['size'] > LIMIT" in said
        assert "10 of 200 rows (5.0%)" in said
    assert "not portable, runs in this notebook only: it uses df" in AssertionReport(NEW).text()


def test_a_list_says_what_is_portable():
    assert "no: it uses df" in words(page(AssertionList((NEW,))))
    assert AssertionList((NEW,)).text() == "· new: never run (on any model; not portable: it uses df)"


def test_nothing_is_told_as_text_only():
    for empty in (CheckReport(()), AssertionList(()), RowList("worst rows", ())):
        assert page(empty) == ""
        assert empty.text()


def test_the_users_words_are_never_markup():
    row = worst(**{EVIL: EVIL})
    one = Verdict(
        rule(EVIL, model=EVIL, source=EVIL, portable=False, obstacle=EVIL, constants={"x": EVIL}),
        result(worst=(row,), error=None),
        (past(made=EVIL), past(made=EVIL, error=EVIL)),
    )
    for shown in (
        CheckReport((one,), EVIL, EVIL, 5, (EVIL,)),
        AssertionReport(one),
        AssertionList((one,)),
        RowList(EVIL, (row,)),
    ):
        assert EVIL not in page(shown)
        ElementTree.fromstring(page(shown))


def test_many_rules_and_wide_rows_stay_within_the_limit():
    wide = {f"column_{number}": "x" * 200 for number in range(60)}
    many = tuple(
        Verdict(
            rule(f"rule_{number}", source="x = 1\n" * 5000),
            result(worst=tuple(worst(row, **wide) for row in range(10))),
        )
        for number in range(80)
    )
    for shown in (CheckReport(many, "model", "X", 200), AssertionReport(many[0]), AssertionList(many)):
        faces = shown._repr_mimebundle_()
        assert sum(len(face.encode()) for face in faces.values()) <= OUTPUT_LIMIT
    assert "more columns" in page(AssertionReport(many[0]))


@pytest.mark.parametrize(
    ("fired", "rows", "told"),
    [(0, 200, "0 of 200 rows (0.0%)"), (1, 1, "1 of 1 rows (100.0%)"), (1, 100_000, "1 of 100,000 rows (0.001%)"),
     (3, 120, "3 of 120 rows (2.5%)"), (0, 0, "0 of 0 rows (0.0%)")],
)  # fmt: skip
def test_a_rate_in_words_is_never_rounded_to_nothing(fired, rows, told):
    assert rate_in_words(fired, rows) == told
