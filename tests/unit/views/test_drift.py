"""What a drift report looks like: what it came to, the worst columns first, pictures of those that moved."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from xml.etree import ElementTree

import pytest

import mlmagic.views  # noqa: F401  (registers the renderers)
from mlmagic.checks.drift.report import ColumnDrift, DriftReport, JointDrift, Measured, Shares
from mlmagic.results import OUTPUT_LIMIT, TEXT_LIMIT
from mlmagic.views.drift import render
from mlmagic.views.drift_pictures import percent
from tests.unit.views.drawn import pictures_in

SVG = "{http://www.w3.org/2000/svg}"
BINS = Shares((0.0, 10.0), (), (0.2, 0.3, 0.5), (0.5, 0.3, 0.2))
WORDS = Shares((), ("mist", "clear", "snow"), (0.3, 0.7, 0.0), (0.4, 0.5, 0.1))


def column(name: str, verdict: Any = "ok", psi: float | None = 0.01, **told: Any) -> ColumnDrift:
    measures = told.pop("measures", (Measured("psi", psi, None, told.pop("q", None), 0.25, verdict == "drift"),))
    about = {"kind": "numeric", "because": "", "shares": BINS, **told}
    return ColumnDrift(name, about["kind"], verdict, about["because"], measures, about["shares"])


def report(*columns: ColumnDrift, **told: Any) -> DriftReport:
    return DriftReport("train", "today", 32561, 1200, columns, **told)


def page(*columns: ColumnDrift, **told: Any) -> str:
    return render(report(*columns, **told))["text/html"]


def plain(markup: str) -> str:
    return unescape(" ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", markup, flags=re.DOTALL).split()))


def rows(markup: str) -> list[str]:
    return [plain(row) for row in re.findall(r"<tr>.*?</tr>", markup)]


def bars(svg: ElementTree.Element) -> list[str]:
    return [title.text or "" for mark in svg if mark.get("class") == "cur" for title in mark.iter(f"{SVG}title")]


# What it came to ---------------------------------------------------------------------------------------------


def headline(markup: str) -> str:
    found = re.search(r'<div class="h" role="status">.*?</div>', markup)
    assert found is not None
    return plain(found[0])


def test_the_headline_says_what_was_compared_and_what_it_came_to() -> None:
    joint = JointDrift(Measured("domain_classifier", 0.7134), "drift")
    shown = headline(page(column("a", "drift"), column("b", "warn"), column("c", "unknown"), column("d"), joint=joint))
    assert shown == (
        "train → today ▲ 1 of 4 columns drifted, 1 warns, 1 unknown 32,561 rows → 1,200 rows · "
        "all columns together: drift, AUC 0.713 · alpha 0.05"
    )


def test_without_drift_it_says_so_and_draws_nothing() -> None:
    markup = page(column("a"), column("b"))
    assert "✓ none of 2 columns drifted" in headline(markup)
    assert not pictures_in(markup)
    assert "Columns that moved" not in markup


def test_drift_of_all_together_shows_where_no_column_drifted() -> None:
    joint = JointDrift(Measured("domain_classifier", 0.9), "drift")
    assert "▲ none of 1 column drifted" in headline(page(column("a"), joint=joint))


def test_nothing_known_is_not_called_fine() -> None:
    assert "? none of 1 column drifted, 1 unknown" in headline(page(column("a", "unknown", None, shares=None)))


def test_no_columns_at_all() -> None:
    assert "No columns were compared." in page()


def test_notes_are_shown() -> None:
    assert "column 'id' is in train only" in plain(page(column("a"), notes=("column 'id' is in train only",)))


# The columns -------------------------------------------------------------------------------------------------


def test_the_worst_column_stands_first() -> None:
    listed = rows(page(column("fine"), column("odd", "unknown"), column("near", "warn"), column("far", "drift", 0.9)))
    assert [row.split()[0] for row in listed[1:]] == ["far", "near", "odd", "fine"]


def test_of_equal_verdicts_the_one_further_beyond_its_threshold_stands_first() -> None:
    listed = rows(page(column("little", "drift", 0.3), column("much", "drift", 3.0)))
    assert [row.split()[0] for row in listed[1:]] == ["much", "little"]


def test_a_verdict_has_a_glyph_a_word_and_a_colour() -> None:
    markup = page(*(column(verdict, verdict) for verdict in ("drift", "warn", "unknown", "ok")))
    for glyph, verdict in (("▲", "drift"), ("△", "warn"), ("?", "unknown"), ("✓", "ok")):
        assert f'<i class="{verdict}" aria-hidden="true">{glyph}</i>{verdict}</td>' in markup


def test_effects_have_a_column_each_where_somebody_has_them() -> None:
    measures = (
        Measured("chi_square", 0.23, 1e-9, 1e-8, 0.2, True),
        Measured("new_categories", 0.031, None, None, 0.01),
    )
    shown = rows(page(column("n", psi=0.1, q=0.2), column("c", "drift", kind="categorical", measures=measures)))
    assert shown[0] == "column verdict kind PSI Cramér’s V new q why"
    assert shown[1] == "c ▲ drift categorical 0.230 3.1% <0.001"
    assert shown[2] == "n ✓ ok numeric 0.100 0.200"


def test_an_effect_that_counts_is_in_ink_and_tells_its_threshold() -> None:
    assert '<td class="n" title="counts from 0.250 on"><b>0.900</b></td>' in page(column("a", "drift", 0.9))


def test_an_effect_that_could_not_be_computed_is_a_dash() -> None:
    for nothing in (None, float("nan"), float("inf")):
        assert '<td class="n">–</td>' in page(column("a", "unknown", nothing))


def test_ten_columns_are_in_sight_and_a_hundred_at_hand() -> None:
    markup = page(*(column(f"c{number}") for number in range(1000)))
    assert len(rows(markup)) == 100 + 2
    assert "<summary>90 more</summary>" in markup
    assert "… 900 more columns: .to_pandas() has them all" in plain(markup)


# Those that moved --------------------------------------------------------------------------------------------


def test_a_column_that_moved_has_a_picture_of_both() -> None:
    (title, svg), *more = pictures_in(page(column("age", "drift", because="PSI 0.9"), column("fine"))).items()
    assert (title, more) == ("▲ age", [])
    assert bars(svg) == ["up to 0: 20% → 50%", "0 to 10: 30% → 30%", "above 10: 50% → 20%"]
    assert sum(mark.get("class") == "ref" for mark in svg) == 1


def test_what_outline_and_filling_mean_is_said() -> None:
    assert "train (outline) today (filled)" in plain(page(column("a", "drift")))


def test_categories_are_sorted_by_their_share_in_the_reference() -> None:
    (svg,) = pictures_in(page(column("weather", "drift", kind="categorical", shares=WORDS))).values()
    assert bars(svg) == ["clear: 70% → 50%", "mist: 30% → 40%", "snow: new, 10%"]


def test_many_categories_are_drawn_as_the_largest_and_the_others() -> None:
    shares = Shares((), tuple(f"c{n}" for n in range(40)), (0.025,) * 40, (0.61, *(0.01,) * 39))
    (svg,) = pictures_in(page(column("many", "drift", shares=shares))).values()
    assert len(bars(svg)) == 8
    assert bars(svg)[0] == "c0: 2.5% → 61%"
    assert bars(svg)[-1] == "33 others: 83% → 33%"


def test_times_are_written_as_days() -> None:
    shares = Shares((86400.0,), (), (0.5, 0.5), (0.1, 0.9))
    (svg,) = pictures_in(page(column("when", "drift", kind="datetime", shares=shares))).values()
    assert bars(svg)[0] == "up to 1970-01-02: 50% → 10%"


@pytest.mark.parametrize(
    "shares",
    [
        Shares((), (), (1.0,), (1.0,)),
        Shares((), ("only",), (1.0,), (1.0,)),
        Shares((), ("a",), (0.0,), (0.0,)),
        Shares((1e-300, 1e300), (), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        Shares((), (), (), ()),
        Shares(tuple(map(float, range(199))), (), (0.005,) * 200, (0.005,) * 200),
    ],
    ids=["one bin", "one category", "no rows", "far edges", "nothing", "200 bins"],
)
def test_odd_shares_are_drawn(shares: Shares) -> None:
    for svg in pictures_in(page(column("a", "drift", shares=shares))).values():
        assert not re.search(r"nan|inf", ElementTree.tostring(svg, encoding="unicode"))


def test_at_most_twelve_are_drawn_and_it_says_of_how_many() -> None:
    markup = page(*(column(f"c{number}", "drift") for number in range(40)))
    assert len(pictures_in(markup)) == 12
    assert "Columns that moved, 12 of 40" in markup


def test_a_column_that_moved_without_shares_has_no_picture() -> None:
    assert not pictures_in(page(column("a", "drift", shares=None)))


# All together ------------------------------------------------------------------------------------------------


def test_the_classifier_tells_how_well_by_what_and_which_rows() -> None:
    measured = Measured("domain_classifier", 0.7134, 1e-9, None, 0.55, True)
    joint = JointDrift(measured, "drift", (("age", 0.6), ("hours", 0.05)), (2048, 17), ("id",))
    markup = page(column("a"), joint=joint)
    assert "All columns together: ▲ drift" in plain(markup)
    assert "an AUC of 0.713; 0.5 is by chance" in markup
    assert bars(pictures_in(markup)["Told apart by"]) == ["age: 60%", "hours: 5%"]
    assert "Current rows least like the reference, by number: 2048, 17" in markup
    assert "Not used, for they differ anyway: id" in markup


def test_where_it_could_not_be_asked_it_says_why() -> None:
    joint = JointDrift(Measured("domain_classifier", None, note="fewer than 50 rows"), "unknown")
    shown = plain(page(column("a"), joint=joint))
    assert "All columns together: ? unknown fewer than 50 rows" in shown
    assert "AUC" not in shown


# Everywhere --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * 500, "<b>&\"'", "列" * 100, "a\nb\x1b[31m", ""])
def test_any_name_is_text(name: str) -> None:
    shares = Shares((), (name, name + "2"), (0.5, 0.5), (0.9, 0.1))
    joint = JointDrift(Measured("domain_classifier", 0.9, note=name), "drift", ((name, 1.0),), (), (name,))
    told = {"because": name, "kind": name, "shares": shares}
    markup = render(DriftReport(name, name, 1, 1, (column(name, "drift", **told),), joint, notes=(name,)))["text/html"]
    assert pictures_in(markup)
    assert '<b>&"' not in markup
    assert '&"' not in markup
    assert "\x1b" not in markup


def test_it_is_static_and_takes_the_page_s_colours() -> None:
    markup = page(column("a", "drift"), joint=JointDrift(Measured("domain_classifier", 0.9), "drift", (("a", 1.0),)))
    assert not re.search(r"<script|<dl|https?://(?!www\.w3\.org/2000/svg)|background:#|fill:#", markup)
    assert "--jp-ui-font-color1" in markup


def test_the_largest_report_is_light_enough_beside_its_text() -> None:
    wide = Shares(tuple(map(float, range(99))), (), (0.01,) * 100, (0.01,) * 100)
    methods = ("psi", "ks", "wasserstein", "jensen_shannon", "nulls", "range", "new_categories", "chi_square")
    measures = tuple(Measured(method, 1 / 3, 1 / 3, 1 / 3, 1 / 3, True) for method in methods)
    told = {"because": "&" * 400, "measures": measures, "shares": wide}
    markup = page(*(column(f"&{number}" * 60, "drift", **told) for number in range(1000)))
    assert len(markup.encode()) <= OUTPUT_LIMIT - TEXT_LIMIT


@pytest.mark.parametrize(
    ("share", "told"), [(0, "0%"), (0.0001, "<0.1%"), (0.031, "3.1%"), (0.05, "5%"), (0.5, "50%"), (-0.02, "-2%")]
)
def test_shares_in_words(share: float, told: str) -> None:
    assert percent(share) == told
