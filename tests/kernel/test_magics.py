"""What our magics answer: results with four faces, and one line for a mistake."""

from __future__ import annotations

import json

import pytest

from tests.kernel.kernels import Kernel


@pytest.fixture(scope="module")
def asked(kernel: Kernel) -> Kernel:
    """The shared kernel, after a little notebook: a file, a frame, a model and its score."""
    (kernel.folder / "data.csv").write_text("a,b\n1,2\n3,4\n")
    kernel.good("import pandas as pd\ndata = pd.read_csv('data.csv')")
    kernel.good("features = data[['a']] * 2")
    kernel.good("%%track train --metric score\nmodel = {'mean': features.mean().iloc[0]}\nscore = 0.25")
    kernel.good("unrelated = 1")
    return kernel


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%lineage modle", "no variable, cell or file 'modle'; did you mean 'model'?"),
        ("%slice modle", "did you mean 'model'?"),
        ("%lineage model@nowhere", "no execution 'nowhere'"),
        ("%lineage [99]", "[99]"),
        ("%lineage cell:no", "no cell 'no'"),
        ("%lineage file:dat.csv", "did you mean 'data.csv'?"),
        ("%lineage metric:score", "cannot be traced yet"),
        ("%lineage --depth 0", "--depth takes a whole number from 1 on, not 0"),
        ("%lineage --depth -3", "--depth"),
        ("%lineage --depth many", "many"),
        ("%lineage --as tabel", "no value of --as 'tabel'; did you mean 'table'?"),
        ("%lineage --forwrad model", "did you mean '--forward'?"),
        ("%lineage model extra", "extra"),
        ("%lineage --sql", "--sql takes a query"),
        ("%lineage model --sql 'SELECT 1'", "--sql takes the whole line"),
        ("%lineage --sql DELETE FROM executions", "read-only"),
        ("%lineage --sql \"DROP TABLE executions\"", "read-only"),
        ("%lineage --sql SELEC 1", "SELEC"),
        ("%lineage --sql SELECT nothing FROM executions", "nothing"),
        ("%slice", "the following arguments are required: target"),
        ("%slice data.csv", "data.csv"),
        ("%slice file:data.csv", "data.csv"),
        ("%slice model -o bad.txt", "a slice is saved as .py or .ipynb, not 'bad.txt'"),
        ("%slice model -o nowhere/slice.py", "nowhere"),
        ("%slice train --run", "running a slice compares a variable"),
        ("%slice model --runn", "did you mean '--run'?"),
        ("%mlmagic docter", "did you mean 'doctor'?"),
        ("%mlmagic status now", "now"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(asked, line, told):
    reply = asked.run(line)
    assert reply.status == "error"
    complaint = reply.complaints.strip()
    assert told in complaint
    assert len(complaint.splitlines()) == 1
    assert complaint.startswith("UsageError: ")
    assert len(reply.traceback.strip().splitlines()) <= 1
    assert not reply.printed


def test_a_result_has_text_a_picture_and_data(asked):
    faces = asked.good("%lineage model").faces
    assert "data.csv" in faces["text/plain"]
    assert "<svg" in faces["text/html"] or "image/svg+xml" in faces
    kept = asked.good("found = %lineage model\nprint(type(found.to_pandas()).__name__)\nfound.to_dict()")
    assert kept.printed == "DataFrame\n"
    assert asked.good("import json; print(json.dumps(found.to_dict()))").printed
    assert asked.good("repr(found) == found.text()").text == "True"


@pytest.mark.parametrize(
    "asking",
    ["%lineage", "%lineage model", "%lineage data.csv --forward", "%mlmagic", "%mlmagic doctor", "%slice model",
     "%slice train", "%slice model --run", "%lineage train", "%lineage [2]", "%lineage model --as table"],
)  # fmt: skip
def test_every_answer_has_all_faces_and_can_be_kept_or_silenced(asked, asking):
    faces = asked.good(asking).faces
    assert faces["text/plain"].strip()
    if "--run" not in asking:
        assert faces["text/html"].strip()
    assert sum(map(len, faces.values())) < 200_000
    assert asked.good(f"{asking} ;").outputs == []
    assert asked.good(f"kept = {asking}").outputs == []
    if "--as" not in asking:
        assert json.loads(asked.good("import json\nprint(json.dumps(kept.to_dict()))").printed) is not None
        assert asked.good("print(type(kept.to_pandas()).__name__)").printed == "DataFrame\n"


@pytest.mark.parametrize("face", ["graph", "tree", "table", "json"])
def test_lineage_shows_the_face_that_was_asked_for(asked, face):
    assert "features" in str(asked.good(f"%lineage model --as {face}").faces)


def test_sql_gives_a_data_frame_and_expands_nothing(asked):
    reply = asked.good("%lineage --sql \"SELECT name, '{score}' AS typed FROM executions WHERE name = 'train'\"")
    assert "train" in reply.text
    assert "{score}" in reply.text
    asked.good("frame = %lineage --sql SELECT count(*) AS n FROM executions WHERE name = 'train'")
    assert asked.good("type(frame).__name__, int(frame['n'][0]) > 0").text == "('DataFrame', True)"


def test_sql_sees_the_cell_before_it(asked):
    asked.good("just_now = 1")
    reply = asked.good("%lineage --sql SELECT source FROM executions ORDER BY execution_id DESC LIMIT 1")
    assert "just_now = 1" in reply.text


def test_a_semicolon_silences_but_one_of_sql_does_not(asked):
    assert asked.good("%lineage model;").outputs == []
    assert asked.good('%lineage --sql "SELECT 1";').outputs == []
    assert asked.good("%lineage --sql SELECT 1;").text


def test_a_slice_is_saved_where_it_was_asked_for(asked):
    assert "wrote" in asked.good("%slice model -o made.py").printed
    assert "wrote" in asked.good('%slice model -o "made.ipynb"').printed
    assert "read_csv" in (asked.folder / "made.py").read_text()
    assert json.loads((asked.folder / "made.ipynb").read_text())["nbformat"] == 4


def test_asking_leaves_no_trace_in_the_lineage(asked):
    asked.good("%lineage model\n%slice model\n%mlmagic\n%mlmagic doctor")
    rows = asked.rows()
    assert rows.writes(rows.last, None) == {}
    assert rows.reads(rows.last, None) == set()


def test_functions_are_the_same_as_the_magics(asked):
    asked.good("import mlmagic")
    assert asked.good("mlmagic.lineage('model')").text == asked.good("%lineage model").text
    assert asked.good("print(mlmagic.slice('model').source)").printed.strip() == asked.good("%slice model").text.strip()
    assert "executions" in asked.good("mlmagic.sql('SHOW TABLES')").text


def test_without_a_mistake_nothing_is_swallowed(asked):
    reply = asked.run("import mlmagic\nmlmagic.lineage('modle')")
    assert reply.content["ename"] == "UnknownNameError"
    reply = asked.run("found = %lineage modle\nnever = 1")
    assert reply.status == "error"
    assert asked.good("'never' in globals()").text == "False"


def test_off_records_nothing_and_on_goes_on(asked):
    asked.good("%mlmagic off")
    asked.good("while_off = 1")
    asked.good("model['changed'] = while_off")
    assert "off" in asked.good("%mlmagic").text
    asked.good("%mlmagic on")
    asked.good("after_off = while_off + 1")
    rows = asked.rows()
    assert not [row for row in rows.cells if "while_off = 1" in row.source]
    assert rows.writes(rows.with_source("after_off ="))["after_off"] == "bind"
    assert "while_off" in rows.reads(rows.last)


def test_doctor_says_what_is_there(asked):
    report = asked.good("%mlmagic doctor")
    import duckdb

    assert duckdb.__version__ in report.text
    assert str(asked.folder / ".mlmagic") in report.text
    assert "all is well" in report.text
    assert "<table" in report.faces["text/html"]


def test_status_counts_every_cell(asked):
    asked.good("status = %mlmagic")
    before = json.loads(asked.good("import json; print(json.dumps(status.to_dict()))").printed)
    asked.good("one_more = 1")
    asked.good("status = %mlmagic")
    after = json.loads(asked.good("print(json.dumps(status.to_dict()))").printed)
    assert set(before) >= {"path", "session", "cells_tracked", "overhead_ms_per_cell", "overhead_percent", "bytes"}
    assert after["cells_tracked"] == before["cells_tracked"] + 3
    assert 0 < after["overhead_ms_per_cell"] < 1000
