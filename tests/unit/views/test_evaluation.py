"""What an evaluation looks like: numbers with intervals, verdicts in words, pictures that hold in odd cases."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import mlmagic.views  # noqa: F401  (registers the renderers)
from mlmagic.insight.evaluation import evaluate
from mlmagic.results import OUTPUT_LIMIT, Result
from mlmagic.views import html
from tests.unit.views.drawn import html_of, marks, pictures

SVG = "{http://www.w3.org/2000/svg}"


def on(load: Any, model: Any, **options: Any) -> Result:
    X, y = load(return_X_y=True, as_frame=True)
    return evaluate(model.fit(X[::2], y[::2]), X[1::2], y[1::2], **options)


@pytest.fixture(scope="module")
def two() -> Result:
    return on(load_breast_cancer, DecisionTreeClassifier(max_depth=4, random_state=0), by="mean radius")


@pytest.fixture(scope="module")
def ten() -> Result:
    return on(load_digits, DecisionTreeClassifier(random_state=0))


@pytest.fixture(scope="module")
def numbers() -> Result:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    tree = DecisionTreeRegressor(random_state=0).fit(X[::2], y[::2])
    line = LinearRegression().fit(X[::2], y[::2])
    return evaluate(tree, X[1::2], y[1::2], train=(X[::2], y[::2]), baseline=line)


def plain(markup: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", markup, flags=re.DOTALL).split())


def many(classes: int, rows: int = 2000) -> Result:
    y = np.arange(rows) % classes
    told = np.where(np.arange(rows) % 7 == 0, (y + 1) % classes, y)
    names = np.array([f"class {k}" for k in range(classes)])
    return evaluate(lambda X: names[told], np.zeros((rows, 1)), names[y])


# What is said ------------------------------------------------------------------------------------------------


def test_the_headline_stands_first_with_its_interval(two: Any):
    found = two.metrics["roc_auc"]
    assert plain(html_of(two)).startswith(
        f"model on X, y two classes, 284 rows; positive class 1 ROC AUC {found.words} "
    )


def test_each_verdict_has_a_glyph_a_word_and_its_numbers(numbers: Any):
    told = plain(html_of(numbers))
    assert "✗ over-fitted : train R² 1.000, test" in told
    assert "✗ worse than baseline" in told
    assert all(html.escape(verdict.text) in html_of(numbers) for verdict in numbers.verdicts)


def test_every_statistic_is_on_the_page(two: Any, ten: Any, numbers: Any):
    for result in (two, ten, numbers):
        told = plain(html_of(result))
        assert all(estimate.words in told for estimate in result.metrics.values())


def test_it_is_static_and_takes_its_colours_from_the_page(two: Any, ten: Any, numbers: Any):
    for result in (two, ten, numbers):
        markup = html_of(result)
        assert not re.search(r"<(script|dl|ul)\b", markup)
        assert "http" not in markup.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(?<!,)#[0-9a-f]{3,6}\b", markup), "a colour is only what a variable falls back on"


def test_all_faces_together_are_light(two: Any, ten: Any, numbers: Any):
    for result in (two, ten, numbers, many(20), many(200)):
        faces = result._repr_mimebundle_()
        assert set(faces) == {"text/plain", "text/html"}
        assert sum(len(face.encode()) for face in faces.values()) < OUTPUT_LIMIT


# Pictures ----------------------------------------------------------------------------------------------------


def test_each_kind_has_its_pictures(two: Any, ten: Any, numbers: Any):
    calibration = "calibration: share that came true"
    curves = ["ROC: positives found", "precision by recall", calibration]
    assert list(pictures(two)) == ["confusion matrix", *curves, "ROC AUC by mean radius"]
    assert list(pictures(ten)) == ["confusion matrix", calibration, "recall by class", "precision by class"]
    assert list(pictures(numbers)) == ["residuals by prediction", "residuals"]


def test_each_picture_says_what_it_shows(two: Any, numbers: Any):
    for shown in (pictures(two), pictures(numbers)):
        for name, svg in shown.items():
            assert (svg.get("role"), svg.findtext(f"{SVG}title")) == ("img", name)
            assert svg.findtext(f"{SVG}desc")


def test_the_confusion_matrix_has_counts_and_shares(two: Any):
    svg = pictures(two)["confusion matrix"]
    (a, b), (c, d) = two.curves.confusion
    assert [node.text for node in marks(svg, "c big")] == [f"{count}" for count in (a, b, c, d)]
    assert next(node.text for node in marks(svg, "c dim")) == f"{a / (a + b):.0%}"


def test_of_many_classes_empty_cells_stay_blank(ten: Any):
    svg = pictures(ten)["confusion matrix"]
    filled = [f"{count}" for row in ten.curves.confusion for count in row if count]
    assert [node.text for node in marks(svg, "c big")] == filled


@pytest.mark.parametrize("classes", [3, 8, 12, 20])
def test_words_of_the_matrix_stay_inside_it(classes: int):
    svg = pictures(many(classes))["confusion matrix"]
    wide, high = map(float, (svg.get("width"), svg.get("height")))
    for box in (node for node in svg.iter(f"{SVG}rect")):
        x, y, w, h = (float(box.get(name) or 0) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert x + w <= wide
        assert y + h <= high


def test_more_classes_than_can_be_drawn_are_told_in_words():
    result = many(25)
    assert "confusion matrix" not in pictures(result)
    assert "25 classes are too many to draw (at most 20)" in plain(html_of(result))
    assert "class 24" in html_of(result), "the table has them"


def test_curves_end_in_their_corners(two: Any):
    (curve,) = marks(pictures(two)["ROC: positives found"], "curve")
    points = [float(number) for number in re.findall(r"[\d.]+", curve.get("d") or "")]
    assert points[:2] == [34, 218]
    assert points[-2:] == [244, 8]


def test_the_calibration_has_a_dot_and_an_interval_for_each_bin(two: Any):
    svg = pictures(two)["calibration: share that came true"]
    bins = two.curves.calibration.bins
    assert len(marks(svg, "at")) == len(marks(svg, "whisker")) == len(bins)
    assert f"{len(bins)} bins of " in plain(html_of(two))


def test_groups_have_dots_with_intervals_worst_first(two: Any):
    svg = pictures(two)["ROC AUC by mean radius"]
    drawn = [text.text for text in marks(svg, "e")]
    known = [g for g in two.groups("mean radius") if two.of("test", "mean radius", g)["roc_auc"].value is not None]
    assert [label.rpartition(" (")[0] for label in drawn if label] == known


def test_small_groups_are_faint_and_the_legend_says_so():
    y = np.arange(200) % 2
    told = np.where(np.arange(200) % 5 == 0, 1 - y, y)
    result = evaluate(lambda X: told, np.zeros((200, 1)), y, by=np.where(np.arange(200) < 180, "large", "small"))
    assert len(marks(pictures(result)["balanced accuracy by group"], "faint")) == 1
    assert "faint: too few rows" in plain(html_of(result))


# Odd cases ---------------------------------------------------------------------------------------------------


def test_hostile_names_are_text():
    names = np.array(["<b>x</b>", "a & b" * 40])
    result = evaluate(
        lambda X: names[[0, 1] * 50],
        np.zeros((100, 1)),
        names[[0, 1] * 50],
        names={"model": "<script>alert(1)</script>"},
    )
    markup = html_of(result)
    assert "<script>" not in markup
    assert "<b>x" not in markup
    assert pictures(result)


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_targets_of_any_size(size: float):
    y = np.linspace(1, 2, 50) * size
    for error in (0.0, 0.1 * size):
        drawn = pictures(evaluate(lambda X, e=error: y + e, np.zeros((50, 1)), y))
        assert list(drawn) == ["residuals by prediction", "residuals"]
        assert "nan" not in "".join(ElementTree.tostring(svg, "unicode") for svg in drawn.values()).lower()


def test_two_rows():
    result = evaluate(lambda X: np.array([0.2, 0.9]), np.zeros((2, 1)), [0, 1])
    assert "calibration: share that came true" in pictures(result)


def test_the_heaviest_page_still_has_its_pictures():
    rng = np.random.default_rng(0)
    names = np.array([f"{k} a very long name of a class that says a lot & more <{k}>" * 2 for k in range(20)])
    y = np.arange(20_000) % 20
    chances = rng.dirichlet(np.ones(20), len(y))
    X = np.zeros((len(y), 1))
    result = evaluate(lambda X: chances, X, names[y], by=rng.integers(40, size=len(y)).astype(str))
    assert "confusion matrix" in pictures(result)
    assert sum(len(face.encode()) for face in result._repr_mimebundle_().values()) < OUTPUT_LIMIT
