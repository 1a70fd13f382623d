"""The picture of a lineage: well-formed, self-contained, light, stable, and told as text too."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

import mlmagic.views  # noqa: F401  (registers the renderers)
from mlmagic.graph.lineage import Lineage, trace
from mlmagic.records import History
from mlmagic.results import OUTPUT_LIMIT
from mlmagic.views import layout
from mlmagic.views.layout import BOX, Item, Link
from tests.unit.graph.rows import Rows, breast_cancer

SVG = "{http://www.w3.org/2000/svg}"


def html_of(lineage: Lineage) -> str:
    return lineage._repr_mimebundle_()["text/html"]


def svg_of(lineage: Lineage) -> ElementTree.Element:
    found = re.search(r"<svg.*</svg>", html_of(lineage), re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found[0])


def texts(lineage: Lineage) -> list[str]:
    return ["".join(node.itertext()) for node in svg_of(lineage).iter(f"{SVG}text")]


def test_the_first_picture_anyone_sees() -> None:
    shown = texts(trace(breast_cancer().history(), "auc"))
    for expected in ("[5]split", "X_train", "RandomForestClassifier", "◎ auc", "data/cancer.csv", "float 0.9958"):
        assert expected in shown
    assert "features, y" in shown, "curves are labelled with what flows"
    assert any(text.startswith("[1] imports") for text in shown), "imports are one quiet line"


def test_it_is_accessible() -> None:
    lineage = trace(breast_cancer().history(), "auc")
    svg = svg_of(lineage)
    assert svg.get("role") == "img"
    assert (svg.findtext(f"{SVG}title"), svg.get("aria-label")) == ("Lineage of auc", "Lineage of auc")
    assert "[7] train" in (svg.findtext(f"{SVG}desc") or "")
    assert "<details>" in html_of(lineage)
    assert "├─ model  RandomForestClassifier" in html_of(lineage)


def test_it_is_static_and_takes_its_colours_from_the_page() -> None:
    markup = html_of(trace(breast_cancer().history()))
    assert "<script" not in markup
    assert "http" not in markup.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(?<!,)#[0-9a-f]{6}\b", markup), "a colour is only what a variable falls back on"
    assert "var(--jp-ui-font-color1" in markup


@pytest.mark.parametrize(
    ("status", "words"),
    [("error", "✗ failed: TypeError"), ("interrupted", "■ interrupted"), ("reused", "↺ reused")],
)
def test_a_status_has_a_glyph_and_a_word(status: str, words: str) -> None:
    rows = Rows()
    rows.cell("x = f()", "", "x", status=status, error="TypeError: no" if status == "error" else None)
    assert words in texts(trace(rows.history()))


def test_what_users_typed_is_escaped() -> None:
    rows = Rows()
    rows.outside("<b>&.csv")
    rows.cell("x = '<script>'", "file:<b>&.csv", {"x": {"type": "str", "preview": "'<img onerror=1>'"}}, name='"<i>"')
    markup = html_of(trace(rows.history()))
    assert "<script>" not in markup
    assert "<img" not in markup
    assert "<i>" not in markup
    svg_of(trace(rows.history()))


def chain(length: int, width: int = 1) -> History:
    rows = Rows()
    rows.cell("v0 = 0", "", "v0")
    for n in range(1, length):
        reads = [f"v{max(n - 1 - back, 0)}" for back in range(width)]
        rows.cell(f"v{n} = v{n - 1}", list(dict.fromkeys(reads)), f"v{n}")
    return rows.history()


def test_a_long_history_shows_the_nearest_cells_and_says_so() -> None:
    markup = html_of(trace(chain(312), "v311"))
    assert "showing the nearest 60 of 312 cells; %lineage v311 --as table for all" in markup
    assert "[312]" in markup
    assert "showing the latest 60 of 312 cells" in html_of(trace(chain(312)))
    assert "%lineage v0 --forward --as table" in html_of(trace(chain(312), "v0", forward=True))


def test_an_output_stays_light() -> None:
    bundle = trace(chain(2000, 12), "v1999")._repr_mimebundle_()
    assert sum(len(face.encode()) for face in bundle.values()) <= OUTPUT_LIMIT
    assert "text/html" in bundle


def test_going_forward_the_target_hangs_on_its_cell() -> None:
    shown = texts(trace(breast_cancer().history(), "features", forward=True))
    assert "◎ features" in shown
    assert "[4]features" in shown


def test_nothing_recorded_draws_nothing() -> None:
    assert set(trace(History((), (), (), ()))._repr_mimebundle_()) == {"text/plain"}


def test_the_text_faces_have_no_picture() -> None:
    lineage = trace(breast_cancer().history(), "auc")
    assert set(lineage.render("tree")._repr_mimebundle_()) == {"text/plain"}
    assert set(lineage.render("json")._repr_mimebundle_()) == {"text/plain"}
    table = lineage.render("table")._repr_mimebundle_()["text/html"]
    assert '<th scope="col">made</th>' in table


# Places ----------------------------------------------------------------------------------------------------


def items_of(parents: dict[str, tuple[str, ...]]) -> tuple[list[Item], list[Link]]:
    items = [Item(key, 50, after) for key, after in parents.items()]
    return items, [Link(source, key, "x") for key, after in parents.items() for source in after]


PARENTS = {
    "a": (), "b": ("a",), "c": ("a",), "d": ("a", "c", "b"),
    "e": ("d",), "f": ("a", "e"), "g": (), "h": ("g", "b", "f"),
}  # fmt: skip


def test_every_box_stands_below_what_it_depends_on_and_none_overlap() -> None:
    placed = layout.arrange(*items_of(PARENTS))
    for key, parents in PARENTS.items():
        assert all(placed.boxes[key].y > placed.boxes[parent].y + 50 for parent in parents)
    spots = [(box.row, box.column) for box in placed.boxes.values()]
    assert len(set(spots)) == len(spots)
    assert all(0 <= box.x <= layout.WIDTH - BOX for box in placed.boxes.values())


def test_the_picture_keeps_its_shape_while_the_notebook_grows() -> None:
    final = layout.arrange(*items_of(PARENTS)).boxes
    for count in range(1, len(PARENTS)):
        part = dict(list(PARENTS.items())[:count])
        early = layout.arrange(*items_of(part)).boxes
        assert {key: (box.row, box.column) for key, box in early.items()} == {
            key: (final[key].row, final[key].column) for key in early
        }


def test_long_curves_pass_no_box() -> None:
    placed = layout.arrange(*items_of(PARENTS))
    for curve in placed.curves:
        source, target = placed.boxes[curve.link.source], placed.boxes[curve.link.target]
        runs = [float(x) for x in re.findall(r"C[\d.]+ [\d.]+ [\d.]+ [\d.]+ ([\d.]+) [\d.]+V", curve.path)]
        passed = [box for box in placed.boxes.values() if source.row < box.row < target.row]
        assert not [box for x in runs for box in passed if box.x < x < box.x + BOX]
