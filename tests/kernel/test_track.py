"""`%%track` gives a cell a name, labels and figures, and changes nothing else about it."""

from __future__ import annotations

import pytest


def figures(kernel, table: str, execution_id: str) -> dict[str, tuple[float | None, str | None]]:
    from mlmagic.store import Store

    store = Store(kernel.folder / ".mlmagic")
    try:
        found = store.frame(f"SELECT name, value, text FROM {table} WHERE execution_id = '{execution_id}'")
    finally:
        store.close()
    rows = found.astype(object).where(found.notna(), None).to_numpy().tolist()
    return {name: (value, text) for name, value, text in rows}


def test_name_tags_params_and_metrics_are_rows(kernel):
    kernel.good(
        """
        %%track train --tag data=2026-11 --tag who="a b" --metric auc --metric steps --param depth --param kind
        depth, kind, steps = 3, "tree", 7
        auc = 0.5
        """
    )
    last = kernel.rows().last
    assert (last.name, last.tags) == ("train", {"data": "2026-11", "who": "a b"})
    assert figures(kernel, "metrics", last.execution_id) == {"auc": (0.5, None), "steps": (7.0, None)}
    assert figures(kernel, "params", last.execution_id) == {"depth": (3.0, None), "kind": (None, "tree")}
    assert "auc = 0.5" in last.source


def test_the_body_is_the_cell(kernel):
    reply = kernel.good("%%track shown\nbody = 6\nbody * 7")
    assert reply.text == "42"
    assert kernel.good(f"Out[{reply.count}]").text == "42"
    kernel.good("import asyncio")
    assert kernel.good("%%track awaiting\nawait asyncio.sleep(0, result=5)").text == "5"
    assert kernel.good("%%track silent\n5;").outputs == []
    assert kernel.good("%%track\nnameless = 1").outputs == []


@pytest.mark.parametrize("magic", ["%%time", "%%capture", "%%timeit -n 1 -r 1"])
def test_other_cell_magics_stand_below(kernel, magic):
    kernel.good(f"%%track below --tag m=1\n{magic}\nwithin = 1")
    assert kernel.rows().last.name == "below"


def test_an_exception_is_the_users_own_with_its_line_numbers(kernel):
    reply = kernel.run("%%track fails\nfine = 1\nboom = fine / 0")
    assert reply.error == "ZeroDivisionError: division by zero"
    assert "line 3" in reply.traceback
    assert "mlmagic" not in reply.traceback
    last = kernel.rows().last
    assert (last.name, last.status, last.error_line) == ("fails", "error", 3)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--metrik auc", "no option of %%track '--metrik'; did you mean '--metric'?"),
        ("--tag novalue", "%%track: --tag takes KEY=VALUE, not 'novalue'"),
        ("--metric", "%%track: argument --metric: expected one argument"),
        ("--metric a.b", "%%track: --param and --metric take the name of a variable, not 'a.b'"),
        ("one two", "two"),
        ('"open', "%%track: No closing quotation"),
    ],
)
def test_a_wrong_line_is_one_line_and_the_body_does_not_run(kernel, line, told):
    reply = kernel.run(f"%%track {line}\nnever_run = 1")
    assert reply.status == "error"
    assert told in reply.complaints
    assert len(reply.complaints.strip().splitlines()) == 1
    assert reply.traceback.count("\n") <= 1
    assert kernel.good("'never_run' in globals()").text == "False"


def test_below_a_comment_it_says_where_it_belongs(kernel):
    reply = kernel.run("# remark\n%%track late\nx = 1")
    assert "must be the first line" in reply.complaints
    assert len(reply.complaints.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("asked", "examples"),
    [
        ("%%track?", ["%%track train --metric auc", "--tag", "--param"]),
        ("%lineage?", ["%lineage model", "--forward", "--depth", "--as", "--sql"]),
        ("%slice?", ["%slice model --run", "--output", "--run"]),
        ("%mlmagic?", ["%mlmagic doctor", "status", "off"]),
    ],
)
def test_help_is_complete(kernel, asked, examples):
    reply = kernel.good(asked)
    (page,) = [part["data"]["text/plain"] for part in reply.content["payload"]]
    for text in examples:
        assert text in page
    assert "%%%%" not in page


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%lineage --f", {"--forward"}),
        ("%lineage completed_n", {"completed_name"}),
        ("%slice completed_", {"completed_name", "completed_cell"}),
        ("%slice --r", {"--run"}),
        ("%mlmagic d", {"doctor"}),
        ("%%track --me", {"--metric"}),
        ("%lineage x --as t", {"tree", "table"}),
        ("%%track some --metric completed_n", {"completed_name"}),
    ],
)
def test_options_and_recorded_names_complete_on_tab(kernel, typed, offered):
    kernel.good("%%track completed_cell\ncompleted_name = 1")
    assert offered <= set(kernel.complete(typed))


def test_mlmagic_track_in_a_cell_names_the_cell(kernel):
    kernel.good("import mlmagic\nwith mlmagic.track('by_function', tags={'k': 1}, metrics=('score',)):\n    score = 2")
    last = kernel.rows().last
    assert (last.name, last.tags) == ("by_function", {"k": "1"})
    assert figures(kernel, "metrics", last.execution_id) == {"score": (2.0, None)}
