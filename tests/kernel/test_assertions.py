"""`%%assertion` and `%assertions` in a real kernel: definitions, checks, history, mistakes, restarts."""

from __future__ import annotations

import json

import pytest

from mlmagic.records import Assertion, AssertionResult
from mlmagic.store import Store
from tests.conftest import user_folders
from tests.kernel.kernels import Kernel, Rows
from tests.kernel.searched import one_line

SETUP = """
import numpy as np, pandas as pd
X = pd.DataFrame({"size": np.arange(20.0), "word": list("abcdefghijklmnopqrst")})
class Model:
    def __init__(self, limit):
        self.limit = limit
    def predict_proba(self, rows):
        chance = (rows["size"] > self.limit).to_numpy().astype(float)
        return np.column_stack([1 - chance, chance])
LIMIT = 15
"""
FIT = "model = Model(10)"
BIG = """%%assertion big --on model
def big(inputs, outputs):
    return (inputs["size"] > LIMIT) * (outputs[:, 1] > 0.5) * 2
"""
ALL = """%%assertion all_of_them
def all_of_them(inputs, outputs):
    return np.ones(len(inputs))
"""


def ready(kernel: Kernel, *cells: str) -> Kernel:
    for cell in (SETUP, FIT, *cells):
        kernel.good(cell)
    return kernel


@pytest.fixture(scope="module")
def kernel(home, tmp_path_factory):
    """A kernel with a model, some rows, and the rule `big`."""
    with Kernel(tmp_path_factory.mktemp("project"), env=user_folders(home)) as kernel:
        yield ready(kernel, BIG)


def rules(kernel: Kernel, name: str) -> list[Assertion]:
    store = Store(kernel.folder / ".mlmagic")
    try:
        return [row for row in store.assertions() if row.name == name]
    finally:
        store.close()


def results(kernel: Kernel, name: str) -> list[AssertionResult]:
    store = Store(kernel.folder / ".mlmagic")
    try:
        return store.assertion_results(name)
    finally:
        store.close()


def ask(kernel: Kernel, sql: str) -> list[list[object]]:
    store = Store(kernel.folder / ".mlmagic")
    try:
        return store.frame(sql).values.tolist()
    finally:
        store.close()


# Definitions


def test_a_definition_says_nothing_binds_the_function_and_is_written_down(kernel):
    reply = kernel.good(BIG.replace("big", "bigger"))
    assert (reply.outputs, reply.text) == ([], "")
    assert kernel.good("bigger(X, model.predict_proba(X)).max()").text.startswith("np.int64(2)")
    (row,) = rules(kernel, "bigger")
    assert row.source.startswith("def bigger(inputs, outputs):")
    assert (row.model, row.action, row.portable, row.constants) == ("model", "monitor", True, {"LIMIT": 15})
    assert ask(kernel, f"SELECT name FROM versions WHERE version_id = '{row.model_version}'") == [["model"]]


def test_the_source_of_the_function_can_be_looked_at(kernel):
    kernel.good(ALL.replace("all_of_them", "seen"))
    assert "np.ones" in kernel.good("import inspect; inspect.getsource(seen)").text


def test_lineage_knows_what_the_rule_reads_and_binds(kernel):
    kernel.good("top = 3")
    kernel.good(
        "%%assertion over_top\nscale = 2\ndef over_top(inputs, outputs):\n    return inputs['size'] > top * scale"
    )
    rows = Rows.of(kernel.folder)
    cell = rows.with_source("%%assertion over_top")
    assert rows.writes(cell) == {"scale": "bind", "over_top": "bind"}
    assert rows.reads(cell) == {"top"}


def test_a_slice_has_the_function_and_not_the_magic(kernel):
    kernel.good("floor = 3")
    kernel.good("%%assertion on_floor --on model\ndef on_floor(inputs, outputs):\n    return inputs['size'] < floor")
    text = kernel.good("%slice on_floor").text
    assert "floor = 3" in text
    assert "def on_floor" in text
    assert "assertion" not in text
    assert FIT not in text


def test_a_rule_over_a_frame_of_the_notebook_runs_and_says_that_it_is_not_portable(kernel):
    kernel.good("%%assertion far\ndef far(inputs, outputs):\n    return inputs['size'] > X['size'].mean()")
    (row,) = rules(kernel, "far")
    assert (row.portable, row.obstacle) == (False, "it uses X, a DataFrame of the notebook")
    assert "far: fired on 10 of 20 rows" in kernel.good("%assertions run model X --only far").text
    assert "not portable, runs in this notebook only: it uses X" in kernel.good("%assertions show far").text
    check = Rows.of(kernel.folder).with_source("%assertions run model X --only far")
    assert {"model", "X"} <= Rows.of(kernel.folder).reads(check)


def test_a_rule_that_is_not_portable_reads_its_names_where_it_is_run(kernel):
    kernel.good("reference = X.copy()")
    kernel.good("%%assertion near\ndef near(inputs, outputs):\n    return inputs['size'] < reference['size'].mean()")
    kernel.good("%assertions run model X --only near")
    rows = Rows.of(kernel.folder)
    assert "reference" in rows.reads(rows.with_source("%assertions run model X --only near"))


def test_a_body_that_fails_fails_as_any_cell(kernel):
    reply = kernel.run("%%assertion broken\nx = 1 / 0\ndef broken(i, o): return 0")
    assert reply.error == "ZeroDivisionError: division by zero"
    assert Rows.of(kernel.folder).last.error_line == 2
    assert rules(kernel, "broken") == []


def test_the_decorator_declares_the_same(kernel):
    kernel.good("""
        import mlmagic
        @mlmagic.assertion("decorated", on="model", action="label")
        def decorated(inputs, outputs):
            return inputs["size"] > LIMIT
        """)
    (row,) = rules(kernel, "decorated")
    assert row.source == 'def decorated(inputs, outputs):\n    return inputs["size"] > LIMIT\n'
    assert (row.model, row.action, row.portable) == ("model", "label", True)
    assert kernel.good("decorated(X, None).sum()").text == "np.int64(4)"
    kernel.good("@mlmagic.assertion\ndef bare(inputs, outputs):\n    return inputs['size'] < 0")
    assert [row.name for row in rules(kernel, "bare")] == ["bare"]


def test_a_slice_leaves_checks_out_without_a_word(kernel):
    kernel.good("sliced = LIMIT + 1\n%assertions run model X --only big")
    assert "assertions" not in kernel.good("%slice sliced").text


# Checks


def test_a_check_shows_rates_severities_and_the_worst_rows_with_their_data(kernel):
    reply = kernel.good("%assertions run model X --only big")
    assert reply.text.splitlines()[:2] == [
        "1 assertion of model on X (20 rows): 1 fired",
        "  ▲ big: fired on 4 of 20 rows (20.0%), severity up to 2",
    ]
    assert "size  word" in reply.text
    assert "19    t" in reply.text
    page = reply.faces["text/html"]
    assert "<script" not in page.lower()
    assert len(json.dumps(reply.faces)) < 200_000
    (row,) = results(kernel, "big")[-1:]
    assert (row.rows, row.fired, row.severity_max, row.error) == (20, 4, 2.0, None)
    assert row.worst[0] == {"row": 16, "severity": 2.0, "inputs": {"size": 16.0, "word": "q"}, "output": [0.0, 1.0]}


def test_rules_that_fail_are_named_and_the_others_run(kernel):
    bodies = {"raises": "return inputs['nosuch']", "hangs": "while True: pass", "odd": "return outputs"}
    for name, body in bodies.items():
        kernel.good(f"%%assertion {name}\ndef {name}(inputs, outputs):\n    {body}")
    text = kernel.good("%assertions run model X --timeout 0.3").text
    assert "✗ raises: no answer: KeyError: nosuch (line 2 of the rule)" in text
    assert "✗ hangs: no answer: stopped after 0.3 seconds" in text
    assert "✗ odd: no answer: gave an array of shape (20, 2); expected 20 severities, one per row" in text
    assert "▲ big: fired on 4 of 20 rows" in text
    assert kernel.good("1 + 1").text == "2"
    (row,) = results(kernel, "hangs")
    assert (row.fired, row.severity_max, row.error) == (0, None, "stopped after 0.3 seconds")


def test_a_rule_that_changes_its_inputs_changes_no_variable(kernel):
    kernel.good("mine = X.copy()\nbefore = mine.copy()")
    kernel.good("%%assertion vandal\ndef vandal(inputs, outputs):\n    inputs['size'] = 0\n    return inputs['size']")
    kernel.good("%assertions run model mine --only vandal")
    assert kernel.good("mine.equals(before)").text == "True"
    rows = Rows.of(kernel.folder)
    assert rows.writes(rows.with_source("run model mine --only vandal")) == {}


def test_expressions_are_evaluated_and_their_variables_found(kernel):
    kernel.good("%assertions run model \"X[X['size'] > 17]\" --only big")
    (row,) = results(kernel, "big")[-1:]
    assert row.rows == 2
    assert ask(kernel, f"SELECT name FROM versions WHERE version_id = '{row.data_version}'") == [["X"]]


def test_the_function_gives_the_same_and_every_rows_severity(kernel):
    kernel.good("import mlmagic; report = mlmagic.assertions('run', model, X, name='big')")
    assert (
        kernel.good("report.severities['big'].sum(), report.to_pandas()['fired'].tolist()").text
        == "(np.float64(8.0), [4])"
    )
    (row,) = results(kernel, "big")[-1:]
    assert row.model_version is not None
    assert row.data_version is not None


def test_rows_to_label_are_those_that_fired_no_two_alike_and_the_same_for_a_seed(kernel):
    kernel.good("double = pd.concat([X, X], ignore_index=True)")
    kernel.good("%assertions run model double --only big")
    first, again = (kernel.good("%assertions label --rows 9 --seed 3").text for _ in range(2))
    assert first == again
    assert len(first.splitlines()) == 2 + 4
    worst = kernel.good("%assertions worst big --rows 2").text
    assert len(worst.splitlines()) == 2 + 2


def test_stop_fails_the_cell_in_one_line_after_everything_is_recorded(kernel):
    kernel.good("%%assertion halt --on model --action stop\ndef halt(inputs, outputs):\n    return inputs['size'] > 18")
    line = one_line(kernel.run("%assertions run model X --only halt"))
    assert line == "halt fired on 1 of 20 rows (5.0%), severity 1, of X: %assertions show halt"
    assert [row.fired for row in results(kernel, "halt")] == [1]
    reply = kernel.run("import mlmagic\nmlmagic.assertions('run', model, X, name='halt')")
    assert (reply.error or "").startswith("AssertionFiredError: halt fired on 1 of 20 rows")
    kernel.good("%assertions run model X[:5] --only halt")


# History


def test_history_by_model_version_and_the_join_that_leads_to_its_cell(new_kernel):
    kernel = ready(new_kernel(), BIG)
    kernel.good("%assertions run model X")
    kernel.good("model = Model(17)")
    assert "by model version: 20.0% → 10.0%" in kernel.good("%assertions run model X").text
    assert ask(
        kernel,
        """
        SELECT r.name, r.fired, e.source
        FROM assertion_results r
        JOIN versions v ON v.version_id = r.model_version
        JOIN executions e ON e.execution_id = v.execution_id
        ORDER BY r.at
        """,
    ) == [["big", 4, FIT], ["big", 2, "model = Model(17)"]]
    shown = kernel.good("%assertions show big").text
    assert "model of cell [3]  4 of 20 rows (20.0%)" in shown
    assert "model of cell [6]  2 of 20 rows (10.0%)" in shown


@pytest.mark.parametrize("change", ["model = Model(12)", "model.limit = 12"], ids=["bound", "changed in place"])
def test_a_model_made_in_the_cell_that_checks_it_is_found_too(new_kernel, change):
    kernel = ready(new_kernel(), BIG)
    cell = f"{change}\n%assertions run model X"
    kernel.good(cell)
    join = "JOIN versions v ON v.version_id = r.model_version JOIN executions e ON e.execution_id = v.execution_id"
    assert ask(kernel, f"SELECT e.source FROM assertion_results r {join}") == [[cell]]


def test_a_rule_defined_again_replaces_the_first_and_both_are_known(new_kernel):
    kernel = ready(new_kernel(), BIG, "%assertions run model X", BIG.replace("LIMIT", "17"))
    assert "big: fired on 2 of 20 rows" in kernel.good("%assertions run model X").text
    first, second = rules(kernel, "big")
    assert [row.assertion_id for row in results(kernel, "big")] == [first.assertion_id, second.assertion_id]
    assert "defined 2 times" in kernel.good("%assertions show big").text


def test_after_a_restart_what_was_said_is_known_and_nothing_runs_unasked(new_kernel):
    kernel = ready(new_kernel(), BIG, ALL, "%assertions run model X")
    kernel.restart()
    assert "▲ big: fired on 4 of 20 rows" in kernel.good("%assertions show").text
    assert "size  word" in kernel.good("%assertions show big").text
    assert kernel.good("%assertions label --rows 3").text.startswith("rows to look at or label next")
    ready(kernel)
    line = one_line(kernel.run("%assertions run model X"))
    assert line == "this kernel has not run the cells of big, all_of_them: run them, then check again"
    kernel.good(BIG)
    text = kernel.good("%assertions run model X").text
    assert "big: fired on 4 of 20 rows" in text
    assert "not run, because this kernel has not run their cells: all_of_them" in text


def test_the_saved_notebook_shows_the_check_without_a_kernel(run_cells):
    book = run_cells(["%load_ext mlmagic", SETUP, FIT, BIG, "%assertions run model X"])
    (output,) = book.cells[-1].outputs
    assert "big" in output["data"]["text/html"]
    assert "worst rows" in output["data"]["text/html"]


# Mistakes


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("%%assertion rule --on modle\ndef rule(i, o): return 0", "no model 'modle'; did you mean 'model'?"),
        ("%%assertion rule --action halt\ndef rule(i, o): return 0", "no value of --action 'halt'; there are: monitor"),
        (
            "%%assertion rule --om model\ndef rule(i, o): return 0",
            "no option of %assertion '--om'; did you mean '--on'?",
        ),
        ("%%assertion\ndef rule(i, o): return 0", "the following arguments are required: name"),
        (
            "%%assertion rule\nx = 1",
            "no function: a rule is a function of inputs and outputs: def rule(inputs, outputs",
        ),
        ("%%assertion rule\ndef a(i, o): pass\ndef b(i, o): pass", "none of the functions is called rule: a, b"),
        ("%%assertion rule\ndef rule(i, o) return 0", "the rule does not parse: expected ':' (line 1)"),
        ("%%assertion rule\ndef rule(i): return 0", "rule takes i: a rule is a function of inputs and outputs"),
        ("%%assertion X\ndef X(i, o): return 0", "X is a DataFrame here: give the rule's function another name"),
        ("%%assertion rule\ndef model(i, o): return 0", "model is a Model here: give the rule's function another name"),
        ("%%assertion rule\ndef rule(i, o): return 0\nrule = 5", "after the cell rule is a int, no function"),
        ("%assertions runn", "no value of action 'runn'; did you mean 'run'?"),
        ("%assertions run", "%assertions run takes a model and its data: %assertions run model X_test"),
        ("%assertions run model", "%assertions run takes a model and its data"),
        ("%assertions run modle X", "no variable 'modle'; did you mean 'model'?"),
        ("%assertions run model X[:0]", "X[:0] has no rows to check"),
        ("%assertions run X X", "X is a DataFrame: a model with predict_proba or predict is expected"),
        ("%assertions run model np.ones((2,2))", "model failed on np.ones((2,2)): IndexError"),
        ("%assertions run model 5", "a value of type int is no table"),
        ("%assertions run model X --only bgi", "no assertion 'bgi'; did you mean 'big'?"),
        (
            "%assertions run model X --timeout 0",
            "a timeout takes a number of seconds above 0, at most 1,000,000, not 0",
        ),
        ("%assertions run model X --timeout inf", "a timeout takes a number of seconds above 0"),
        ("%assertions show bgi", "no assertion 'bgi'; did you mean 'big'?"),
        ("%assertions show big bigger", "%assertions show takes the name of one assertion, not big bigger"),
        ("%assertions worst --rows 0", "a number of rows from 1 on is expected, not 0"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_everything_as_it_was(kernel, cell, line):
    before = len(rules(kernel, "rule"))
    assert one_line(kernel.run(cell)).startswith(line)
    assert len(rules(kernel, "rule")) == before
    assert kernel.good("type(X).__name__, type(model).__name__").text == "('DataFrame', 'Model')"


def test_without_rules_the_way_to_one_is_shown(new_kernel):
    kernel = ready(new_kernel())
    assert kernel.good("%assertions").text.startswith("no assertions yet: put %%assertion NAME on top of a cell")
    assert one_line(kernel.run("%assertions run model X")).startswith("no assertions yet")
    assert one_line(kernel.run("%assertions show nobody")).startswith("no assertions yet")


def test_a_rule_on_another_model_is_not_run(new_kernel):
    kernel = ready(new_kernel(), BIG, "other = Model(3)")
    assert one_line(kernel.run("%assertions run other X")) == "no assertion is on other; there are: big (on model)"


def test_names_of_rules_models_and_options_complete(kernel):
    assert {"run", "show", "worst", "label"} <= set(kernel.complete("%assertions "))
    assert "big" in kernel.complete("%assertions show ")
    assert "model" in kernel.complete("%assertions run ")
    assert {"--on", "--action"} <= set(kernel.complete("%%assertion name "))
    assert "model" in kernel.complete("%%assertion name --on ")
    assert "stop" in kernel.complete("%%assertion name --action ")
