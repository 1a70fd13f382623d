"""What a sweep looks like: its state, the best trial, pictures that hold in odd cases, all trials within reach."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

import mlmagic.views  # noqa: F401  (registers the renderers)
from mlmagic.records import Measure, Sweep, Trial
from mlmagic.results import OUTPUT_LIMIT
from mlmagic.tuning.outcome import SweepList, SweepPlan, SweepResult
from mlmagic.tuning.space import Parameter, choice_parameter, float_parameter, int_parameter
from mlmagic.views import html
from tests.unit.views.drawn import html_of, marks, pictures

SVG = "{http://www.w3.org/2000/svg}"
LR = float_parameter("lr", 1e-4, 1e-1, log=True)
DEPTH = int_parameter("depth", 1, 8)
KERNEL = choice_parameter("kernel", ["rbf", "linear"])[0]


def sweep(*space: Parameter, **told: Any) -> Sweep:
    about: dict[str, Any] = {
        "sweep_id": "s", "execution_id": None, "name": "fit", "space": {p.name: p.to_dict() for p in space},
        "objective": "auc", "direction": "maximize", "status": "finished", "started_at": 0.0, "seconds": 2.0,
    }  # fmt: skip
    return Sweep(**{**about, **told})


def trial(number: int, value: float | None = None, status: Any = "complete", **told: Any) -> Trial:
    params = told.pop("params", {"lr": 0.01})
    return Trial(f"t{number}", "s", number, params, status, 0.0, value, **told)


def told_by(number: int, *values: float, name: str = "auc") -> list[Measure]:
    return [Measure("e", name, value, None, f"t{number}", step) for step, value in enumerate(values)]


FOUR = (
    trial(0, 0.80, params={"lr": 0.1, "depth": 1, "kernel": "rbf"}),
    trial(1, 0.95, params={"lr": 0.01, "depth": 8, "kernel": "linear"}),
    trial(2, 0.60, "pruned", params={"lr": 0.0001, "depth": 4, "kernel": "rbf"}),
    trial(3, None, "failed", params={"lr": 0.001, "depth": 4, "kernel": "rbf"}, error="ValueError: <b>NaN</b> & co"),
)


def result(trials: tuple[Trial, ...] = FOUR, **told: Any) -> SweepResult:
    reports, live = told.pop("reports", ()), told.pop("live", False)
    return SweepResult(sweep(*told.pop("space", (LR, DEPTH, KERNEL)), **told), trials, tuple(reports), live)


def points(node: ElementTree.Element) -> list[list[float]]:
    return [
        [float(number) for number in re.findall(r"-?[\d.]+", part)] for part in (node.get("d") or "").split("M")[1:]
    ]


def plain(markup: str) -> str:
    return re.sub(r"<style>.*?</style>|<[^>]+>", " ", markup, flags=re.DOTALL)


# How it stands -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("running", "▸ running"), ("finished", "✓ finished"), ("stopped", "■ stopped"),
        ("interrupted", "■ interrupted"), ("failed", "✗ failed"),
    ],
)  # fmt: skip
def test_the_state_has_a_glyph_and_a_word(status: str, shown: str) -> None:
    head = re.search(r'<div class="h" role="status">.*?</div>', html_of(result(status=status)))
    assert head is not None
    assert shown in " ".join(plain(head[0]).split())


def test_the_headline_counts() -> None:
    plan = ({"line": 1, "shared": True}, {"line": 2, "shared": False}, {"line": 3, "shared": True})
    markup = html_of(result((*FOUR, trial(4, None, "running")), live=True, plan=plan, options={"trials": 8}))
    told = "4 of 8 trials · 1 pruned · 1 failed · 1 running · 2 trials per second · 2 of 3 statements shared"
    assert told in markup


def test_a_bar_shows_how_far_it_is_while_it_runs() -> None:
    live = html_of(result((*FOUR, trial(4, None, "running")), live=True, options={"trials": 8}))
    assert 'aria-valuemax="8" aria-valuenow="4"><i style="width:50.0%"></i><i style="width:12.5%"></i>' in live
    assert 'role="progressbar"' not in html_of(result(live=True)), "nobody knows how many fit in its time"
    assert 'role="progressbar"' not in html_of(result(options={"trials": 8})), "it is over"


def test_the_best_trial_stands_on_top() -> None:
    best = re.search(r'<div class="b">.*?</div></div>', html_of(result()))
    assert best is not None
    assert plain(best[0]).split() == "★ best auc, higher is better 0.95 trial 1 lr 0.01 depth 8 kernel linear".split()


# Pictures ----------------------------------------------------------------------------------------------------


def test_each_picture_says_what_it_is() -> None:
    shown = pictures(result(reports=told_by(1, 0.5, 0.9)))
    assert list(shown) == ["auc by trial", "auc by parameters", "auc by step"]
    for name, svg in shown.items():
        assert (svg.get("role"), svg.findtext(f"{SVG}title")) == ("img", name)
    assert "The best is trial 1: auc 0.95" in (shown["auc by trial"].findtext(f"{SVG}desc") or "")


def test_it_is_static_and_takes_its_colours_from_the_page() -> None:
    markup = html_of(result(reports=told_by(1, 0.5, 0.9)))
    assert "<script" not in markup
    assert "http" not in markup.replace("http://www.w3.org/2000/svg", "")
    colours = re.sub(r"<mask.*?</mask>", "", markup)  # black and white in a mask are no colours
    assert not re.search(r"(?<!,)#[0-9a-f]{3,6}\b", colours), "a colour is only what a variable falls back on"


def test_the_best_so_far_steps_up_where_a_trial_is_better() -> None:
    trials = tuple(trial(n, value) for n, value in enumerate([0.5, 0.4, 0.8, 0.7, 0.9, 0.6]))
    svg = pictures(result(trials, space=(LR,)))["auc by trial"]
    (line,) = marks(svg, "best")
    assert re.sub(r"[-\d. ]", "", line.get("d") or "") == "MHVHVH", "two records after the first, then level to the end"
    heights = [float(y) for y in re.findall(r"V([\d.]+)", line.get("d") or "")]
    assert heights[0] > heights[1], "up"
    dots = {float(dot.get("cy") or 0) for dot in marks(svg, "dot")}
    assert heights[1] == min(dots)


def test_for_a_loss_it_steps_down() -> None:
    trials = tuple(trial(n, value) for n, value in enumerate([0.5, 0.9, 0.2]))
    svg = pictures(result(trials, objective="loss", direction="minimize"))["loss by trial"]
    assert "trial 2: loss 0.2" in (svg.findtext(f"{SVG}desc") or "")
    (line,) = marks(svg, "best")
    first, second = re.findall(r"M[\d.]+ ([\d.]+)", line.get("d") or "") + re.findall(r"V([\d.]+)", line.get("d") or "")
    assert float(first) < float(second)


def test_pruned_trials_are_rings_and_failed_ones_crosses() -> None:
    svg = pictures(result())["auc by trial"]
    assert [len(marks(svg, face)) for face in ("dot", "ring", "x", "mark")] == [2, 1, 1, 1]


def test_while_it_runs_the_axis_reaches_to_the_end_of_the_plan() -> None:
    def last(live: bool) -> float:
        svg = pictures(result(FOUR, live=live, options={"trials": 40}))["auc by trial"]
        return max(float(dot.get("cx") or 0) for dot in marks(svg, "ring"))

    assert last(live=False) > 2 * last(live=True)


def test_the_best_trials_line_is_the_emphasised_one_and_lies_on_top() -> None:
    group = pictures(result())["auc by parameters"].find(f"{SVG}g")
    assert group is not None
    lines = list(group)
    assert [line.get("class") for line in lines] == ["pr", "s2", "top"]
    assert "trial 1: auc 0.95" in (lines[-1].findtext(f"{SVG}title") or "")


def test_a_line_passes_each_axis_at_the_value() -> None:
    (best,) = marks(pictures(result())["auc by parameters"], "top")
    (line,) = points(best)
    lr, depth, kernel, auc = line[1::2]
    top, bottom = 30.0, 188.0
    assert lr == pytest.approx(top + (bottom - top) / 3, abs=0.1), "0.01 is two thirds of the way from 1e-4 to 1e-1"
    assert (depth, auc) == (top, top)
    assert kernel == pytest.approx(top + (bottom - top) * 3 / 4, abs=0.1), "the second of two options"


def test_the_stronger_the_line_the_better_and_equals_look_alike() -> None:
    trials = tuple(trial(n, value) for n, value in enumerate([0.1, 0.2, 0.3, 0.4, 0.4, 0.5]))
    group = pictures(result(trials, space=(LR,)))["auc by parameters"].find(f"{SVG}g")
    assert group is not None
    assert [line.get("class") for line in group] == ["s0", "s1", "s2", "s4", "s4", "top"]


def test_a_parameter_that_a_trial_lacks_interrupts_its_line() -> None:
    trials = (
        trial(0, 0.9, params={"lr": 0.01, "kernel": "rbf"}),
        trial(1, 0.8, params={"lr": 0.01, "depth": 3, "kernel": "rbf"}),
    )
    svg = pictures(result(trials))["auc by parameters"]
    (best,), (other,) = marks(svg, "top"), marks(svg, "s2")
    lone, pair = points(best)
    assert lone[2] - lone[0] == 8, "a short stroke across the axis between two gaps"
    assert len(pair) == 4, "then through the option and the score"
    assert len(points(other)) == 1


def test_kept_trials_outside_the_range_widen_it() -> None:
    trials = (trial(0, 0.9, params={"depth": 20}), trial(1, 0.8, params={"depth": 8}))
    svg = pictures(result(trials, space=(DEPTH,)))["auc by parameters"]
    (best,), (other,) = marks(svg, "top"), marks(svg, "s2")
    assert points(best)[0][1] < points(other)[0][1]


def test_options_and_parameters_the_space_does_not_know_have_a_place() -> None:
    trials = (trial(0, 0.9, params={"kernel": "poly", "new": "x"}), trial(1, 0.8, params={"kernel": None, "new": 2}))
    shown = "".join(pictures(result(trials, space=(KERNEL,)))["auc by parameters"].itertext())
    assert all(word in shown for word in ("rbf", "linear", "poly", "None", "new", "x"))


def test_one_trial_is_enough_for_pictures() -> None:
    svg = pictures(result((trial(0, 0.9),)))["auc by trial"]
    texts = [node.text for node in svg.iter(f"{SVG}text")]
    assert "0" in texts
    assert not {"-1", "1", "-0.5", "0.5"} & set(texts), "trials are counted"
    assert len(marks(svg, "mark")) == 1


def test_equal_scores_are_drawn() -> None:
    svg = pictures(result(tuple(trial(n, 0.5) for n in range(5))))["auc by trial"]
    assert len({dot.get("cy") for dot in marks(svg, "dot")}) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_scores_that_are_no_finite_number_are_left_out(value: float | None) -> None:
    shown = result((trial(0, value), trial(1, 0.7), trial(2, 0.6)))
    assert len(marks(pictures(shown)["auc by trial"], "dot")) == 2
    assert "The best is trial 1" in html_of(shown)
    assert "nan" not in "".join(re.findall(r'd="[^"]*"', html_of(shown)))


def test_a_loss_that_exploded_does_not_flatten_the_others() -> None:
    trials = tuple(trial(n, value) for n, value in enumerate([0.3, 0.32, 0.35, 0.31, 0.4, 0.38, 1e12]))
    shown = result(trials, direction="minimize")
    assert "1 far off, drawn at the edge" in html_of(shown)
    heights = sorted(float(dot.get("cy") or 0) for dot in marks(pictures(shown)["auc by trial"], "dot"))
    assert heights[-1] - heights[1] > 20


@pytest.mark.parametrize(
    ("trials", "told"),
    [
        ((FOUR[3], FOUR[3]), "every trial failed. The first: ValueError: &lt;b&gt;NaN&lt;/b&gt; &amp; co"),
        ((), "No trial was run."),
        ((FOUR[3], trial(5, None, "running")), "no trial has a score."),
        ((trial(0, math.nan),), "no trial has a finite score."),
    ],
)
def test_where_there_is_nothing_to_draw_words_say_why(trials: tuple[Trial, ...], told: str) -> None:
    assert told in html_of(result(trials))
    assert pictures(result(trials)) == {}


def test_learning_curves_show_the_best_strong_and_the_pruned_dashed() -> None:
    reports = [*told_by(0, 0.5, 0.7, 0.8), *told_by(1, 0.6, 0.9, 0.95), *told_by(2, 0.4, math.nan)]
    svg = pictures(result(reports=reports))["auc by step"]
    (best,) = marks(svg, "top")
    assert best.findtext(f"{SVG}title") == "trial 1 (complete)"
    assert len(points(best)[0]) == 6
    assert marks(svg, "pr")[0].get("d", "").endswith("h0"), "one finite value is a dot"


def test_other_metrics_have_curves_where_the_objective_was_not_told() -> None:
    shown = pictures(result(reports=[*told_by(0, 1.0, 0.5, name="loss"), *told_by(0, 1.0, name="seconds")]))
    assert "loss by step" in shown


# The table ---------------------------------------------------------------------------------------------------


def hundred() -> SweepResult:
    return result(tuple(trial(n, n / 100) for n in range(100)), space=(LR,))


def test_the_best_ten_are_in_sight_and_fifty_below_the_fold() -> None:
    in_sight, _, folded = html_of(hundred()).partition("<details>")
    first = re.findall(r'<tr><td class="n">(\d+)</td>', in_sight)
    more = re.findall(r'<tr><td class="n">(\d+)</td>', folded)
    assert first == [str(n) for n in range(99, 89, -1)]
    assert more == [str(n) for n in range(89, 39, -1)]
    assert "all 100 trials: <code>mlmagic.sweeps(&#x27;fit&#x27;).to_pandas()</code>" in folded


def test_a_failed_trials_error_is_told_and_escaped() -> None:
    markup = html_of(result())
    assert "✗ failed: ValueError: &lt;b&gt;NaN&lt;/b&gt; &amp; co" in markup
    assert "<b>NaN" not in markup


def test_a_trial_from_before_is_marked() -> None:
    assert "✓ complete, from before" in html_of(result((trial(0, 0.9, kept_from="old"),)))


def test_names_are_escaped_everywhere() -> None:
    evil = "<img src=x>"
    trials = (trial(0, 0.9, params={evil: evil}), trial(1, None, "failed", params={evil: 1}, error=evil))
    shown = result(trials, name=evil, objective=evil, reports=told_by(0, 0.1, 0.2, name=evil), space=())
    assert len(pictures(shown)) == 3
    assert "<img" not in html_of(shown) + html_of(SweepList((shown,)))


# Weight ------------------------------------------------------------------------------------------------------


def many(trials: int, parameters: int, steps: int, name: str = "p{}") -> SweepResult:
    space = [float_parameter(name.format(n), 0, 1) for n in range(parameters)]
    rows = [
        trial(n, math.sin(n), params={p.name: (n * 37 + i * 11) % 101 / 101 for i, p in enumerate(space)})
        for n in range(trials)
    ]
    reports = [row for n in range(trials) for row in told_by(n, *(math.sin(n) * step for step in range(steps)))]
    return result(tuple(rows), space=space, reports=reports)


def test_a_thousand_trials_stay_below_the_limit_with_all_pictures() -> None:
    shown = many(1000, 6, 20)
    bundle = shown._repr_mimebundle_()
    assert sum(len(face.encode()) for face in bundle.values()) <= OUTPUT_LIMIT
    assert html.fits(bundle["text/html"])
    assert len(pictures(shown)) == 3
    assert "150 of 1,000" in bundle["text/html"], "what is left out is said"
    assert len(marks(pictures(shown)["auc by parameters"], "top")) == 1, "the best is never left out"


def test_what_is_too_heavy_loses_its_curves_first_and_lines_next_but_never_all() -> None:
    heavy = many(1000, 40, 20, name="é" * 300 + "{}")
    assert html.fits(html_of(heavy))
    shown = [name for name in pictures(heavy) if name.startswith("auc")]
    assert shown[:2] == ["auc by trial", "auc by parameters"]
    errors = tuple(trial(n, None, "failed", error="'" * 5000) for n in range(1000))
    assert html.fits(html_of(result(errors)))


# Plans and lists ---------------------------------------------------------------------------------------------


def test_a_plan_tells_what_runs_once_and_why_not_the_others() -> None:
    plan = (
        {"line": 1, "text": "X = load('<a>')", "shared": True, "reason": None},
        {"line": 2, "text": "m = fit(X, lr)", "shared": False, "reason": "reads lr"},
    )
    markup = html_of(SweepPlan(sweep(plan=plan)))
    assert '<td class="n">1</td><td>● once</td><td>X = load(&#x27;&lt;a&gt;&#x27;)</td><td></td>' in markup
    assert '<td class="n">2</td><td>↻ each trial</td><td>m = fit(X, lr)</td><td>reads lr</td>' in markup
    assert "sweep fit: 1 of 2 statements run once for all trials" in markup


def test_a_list_has_a_row_for_each_sweep() -> None:
    markup = html_of(SweepList((result(), result((), name="empty", status="running"))))
    assert "<td>fit</td><td>✓ finished</td><td>maximize auc</td>" in markup
    assert "<td>0.95</td>" in markup
    assert "<td>empty</td><td>▸ running</td>" in markup


def test_no_sweep_draws_nothing() -> None:
    assert set(SweepList(())._repr_mimebundle_()) == {"text/plain"}
