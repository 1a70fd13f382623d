"""The graph grows downwards, keeps its rows, follows the last run of each cell, and leaves out the oldest."""

from __future__ import annotations

from mlmagic.panel.graph import MAX_NODES
from tests.unit.panel.rows import Notebook


def nodes(book):
    return {name: node["row"] for name, node in book.graph.view().nodes.items()}


def edges(book):
    return set(book.graph.view().edges)


def test_what_a_cell_read_stands_above_it_and_what_it_made_below():
    book = Notebook()
    book.run("a", "data.csv", x="1", y="1")
    assert nodes(book) == {"f:data.csv": 0, "c:a": 1, "v:x": 2, "v:y": 2}
    assert edges(book) == {("f:data.csv", "c:a"), ("c:a", "v:x"), ("c:a", "v:y")}
    node = book.graph.view().nodes["v:x"]
    assert (node["kind"], node["label"], node["cell"]) == ("variable", "x", "a")


def test_rows_never_change():
    book = Notebook()
    book.run("a", x="1")
    book.run("b", "x", y="1")
    before = nodes(book)
    book.run("a", x="2", w="1")
    book.run("b", "x", x="", y="2")
    book.run("c", x="3")
    after = nodes(book)
    assert {name: after[name] for name in before} == before
    assert after["c:c"] > max(before.values())


def test_edges_are_those_of_the_last_run():
    book = Notebook()
    book.run("a", x="1")
    book.run("b", "x", y="1")
    book.run("b", y="2")
    assert edges(book) == {("c:a", "v:x"), ("c:b", "v:y")}


def test_who_changes_a_frame_stands_beside_who_made_it_until_it_is_made_anew():
    book = Notebook()
    book.run("load", df="0")
    book.run("change", "df", df="1")
    assert {("c:load", "v:df"), ("c:change", "v:df"), ("v:df", "c:change")} <= edges(book)
    book.run("load", df="2")
    assert ("c:change", "v:df") not in edges(book)


def test_imports_and_cells_that_take_no_part_are_left_out():
    book = Notebook()
    book.run("imports", source="import numpy as np", np="1")
    book.run("prints", source="print(1)")
    book.run("fails", source="1 / 0", status="error")
    assert nodes(book) == {"c:fails": 0}


def test_estimators_are_models():
    from dataclasses import replace

    from mlmagic.panel.steps import of_observation

    book = Notebook()
    made = book.observation("fit", clf="1")
    versions = tuple(replace(row, type="RandomForestClassifier") for row in made.versions)
    book.graph.add(of_observation(replace(made, versions=versions), {}))
    assert book.graph.view().nodes["v:clf"]["kind"] == "model"


def test_of_too_many_nodes_those_are_left_out_that_nothing_touched_for_longest():
    book = Notebook()
    book.run("first", x="1")
    for number in range(MAX_NODES // 2):
        book.run(f"c{number}", **{f"v{number}": "1"})
    view = book.graph.view()
    assert (len(view.nodes), view.more) == (MAX_NODES, 2)
    assert "c:first" not in view.nodes
    assert all(source in view.nodes and target in view.nodes for source, target in view.edges)
    book.run("first", x="2")
    view = book.graph.view()
    assert view.nodes["c:first"]["row"] == 0  # where it always was
