"""Files and tables in bulk: typed by the schema, in order, within memory, and the new file whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlmagic.bundles.columns import answer_columns, answers_as_table
from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.bundles.scorer import Scorer
from mlmagic.bundles.scoring import Wish, score_file, score_table
from mlmagic.errors import MisuseError, UnknownNameError
from tests.unit.bundles import sample

pytest.importorskip("pyarrow")

ROOT = Path(__file__).parents[3]
ANSWERS = ["label", "probability_leaves", "probability_stays"]


@pytest.fixture(scope="module")
def scorer():
    return Scorer(sample.content(), sample.SCHEMA)


def score(scorer, source, target, **wish):
    return score_file(scorer, source, target, Wish(**wish), name="churn", version="v1")


def written(frame, path):
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def read(path):
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.mark.parametrize("given", ["csv", "parquet"])
@pytest.mark.parametrize("wanted", ["csv", "parquet"])
def test_answers_are_the_models_in_the_order_of_the_rows(scorer, tmp_path, given, wanted):
    rows = sample.people(1_000, seed=5).assign(id=range(1_000))
    target = tmp_path / f"out.{wanted}"
    report = score(scorer, written(rows, tmp_path / f"in.{given}"), target, batch_rows=300)
    found = read(target)
    assert list(found.columns) == [*rows.columns, *ANSWERS]
    assert found["id"].astype(int).tolist() == list(range(1_000))
    assert found["label"].tolist() == sample.fitted().predict(rows).tolist()
    np.testing.assert_allclose(found[ANSWERS[1:]], sample.fitted().predict_proba(rows), atol=1e-5)
    assert (report.rows, report.nulls, report.columns) == (1_000, 0, tuple(ANSWERS))


@pytest.mark.parametrize("batch", [1, 7, 100, 1_000])
def test_the_size_of_a_batch_changes_nothing(scorer, tmp_path, batch):
    source = written(sample.people(100), tmp_path / "in.csv")
    score(scorer, source, tmp_path / "whole.csv")
    score(scorer, source, tmp_path / "pieces.csv", batch_rows=batch)
    one, other = (pd.read_csv(tmp_path / name) for name in ("whole.csv", "pieces.csv"))
    pd.testing.assert_frame_equal(one, other, atol=1e-6)


def test_columns_to_keep(scorer, tmp_path):
    source = written(sample.people(5).assign(id="007"), tmp_path / "in.csv")
    score(scorer, source, tmp_path / "some.csv", keep=["id"])
    first, second, *_ = (tmp_path / "some.csv").read_text().splitlines()
    assert first == '"id","label","probability_leaves","probability_stays"'
    assert second.startswith('"007"')
    score(scorer, source, tmp_path / "none.csv", keep=[])
    assert list(read(tmp_path / "none.csv").columns) == ANSWERS


def test_a_file_without_rows_gives_one_with_columns(scorer, tmp_path):
    for suffix in ("csv", "parquet"):
        source = written(sample.people(3).iloc[:0], tmp_path / f"in.{suffix}")
        report = score(scorer, source, tmp_path / f"out.{suffix}")
        assert report.rows == 0
        assert list(read(tmp_path / f"out.{suffix}").columns) == ["age", "income", "city", *ANSWERS]


# CSV knows no types: the schema does


def csv(tmp_path, text):
    path = tmp_path / "in.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_text_that_looks_like_numbers_stays_text_and_nulls_are_pandas_ones(tmp_path):
    from mlmagic.bundles.reading import inputs_of, open_rows

    schema = Schema(
        "columns",
        (
            Field("zip", "string", "str", "zip", nullable=True, categories=("01234", "NA")),
            Field("member", "bool", "bool", "member"),
            Field("visits", "int64", "int64", "visits"),
            Field("income", "float32", "float64", "income", nullable=True),
        ),
        (Output("prediction", "float32"),),
        "prediction",
    )
    rows = open_rows(
        csv(tmp_path, "zip,member,visits,income\n01234,True,3,\nNA,false, 4 ,nan\nNULL,1,5.0,1e3\n,0,6,NULL\n")
    )
    (batch,) = rows.batches(schema.names, 10)
    feeds, faults = inputs_of(schema, batch, schema.names, rows.is_text)
    assert faults == {}
    assert feeds["zip"][:, 0].tolist() == ["01234", "NA", "", ""]  # NA is one of the model's own categories
    assert feeds["member"][:, 0].tolist() == [True, False, True, False]
    assert feeds["visits"][:, 0].tolist() == [3, 4, 5, 6]
    np.testing.assert_array_equal(feeds["income"][:, 0], np.array([np.nan, np.nan, 1000, np.nan], np.float32))


def test_a_column_that_begins_with_nulls_needs_no_type(scorer, tmp_path):
    lines = [f"{20 + row % 50},{'' if row < 900 else 55.5},Bern" for row in range(1_000)]
    source = csv(tmp_path, "\n".join(["age,income,city", *lines]))
    report = score(scorer, source, tmp_path / "out.parquet", batch_rows=100)
    assert (report.rows, report.nulls) == (1_000, 0)
    assert str(read(tmp_path / "out.parquet")["income"].dtype) == "float64"


def test_quoted_newlines_commas_a_byte_order_mark_and_columns_of_no_interest(scorer, tmp_path):
    source = csv(tmp_path, '\ufeffage,note,income,city\n30,"two\nlines, ""quoted""",50,Zug\n')
    assert score(scorer, source, tmp_path / "out.csv").rows == 1
    assert read(tmp_path / "out.csv")["note"].tolist() == ['two\nlines, "quoted"']


# Rows that the model does not take


BAD = "age,income,city\n30,50,Zug\nold,50,Bern\n,50,Bern\n31,inf,Zug\n32,,Zug\n"


def test_a_bad_row_ends_it_all_by_row_and_column(scorer, tmp_path):
    with pytest.raises(MisuseError, match=r"in\.csv, row 1, column 'age': 'old' is no number .*\(--bad-rows null\)"):
        score(scorer, csv(tmp_path, BAD), tmp_path / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]  # nothing half-written is left


def test_or_it_has_no_answer_and_is_counted(scorer, tmp_path):
    report = score(scorer, csv(tmp_path, BAD), tmp_path / "out.parquet", null_bad_rows=True, batch_rows=2)
    found = read(tmp_path / "out.parquet")
    assert found["label"].isna().tolist() == [False, True, True, True, False]
    assert found["probability_stays"].isna().tolist() == [False, True, True, True, False]
    assert (report.rows, report.nulls) == (5, 3)
    assert [(fault.row, fault.column) for fault in report.faults] == [(1, "age"), (2, "age"), (3, "income")]
    assert "3 rows have no answer" in report.text()
    assert list(report.to_pandas()["row"]) == [1, 2, 3]


def test_also_where_no_row_of_a_batch_is_good(scorer, tmp_path):
    report = score(scorer, csv(tmp_path, BAD), tmp_path / "out.csv", null_bad_rows=True, batch_rows=1)
    assert (report.rows, report.nulls) == (5, 3)


# Mistakes


def test_mistakes_are_one_line(scorer, tmp_path):
    source = written(sample.people(3), tmp_path / "in.csv")
    with pytest.raises(UnknownNameError, match="did you mean 'income'"):
        score(scorer, source, tmp_path / "out.csv", keep=["incom"])
    with pytest.raises(MisuseError, match="is the file that is read"):
        score(scorer, source, source)
    with pytest.raises(MisuseError, match=r"answers are written to \.parquet or \.csv, not to 'out\.txt'"):
        score(scorer, source, tmp_path / "out.txt")
    with pytest.raises(MisuseError, match="there is no folder"):
        score(scorer, source, tmp_path / "nowhere" / "out.csv")
    with pytest.raises(MisuseError, match="cannot be read: No such file"):
        score(scorer, tmp_path / "none.csv", tmp_path / "out.csv")
    with pytest.raises(MisuseError, match="is no file of rows"):
        score(scorer, tmp_path / "in.xlsx", tmp_path / "out.csv")
    with pytest.raises(MisuseError, match="at least one row, not -1"):
        score(scorer, source, tmp_path / "out.csv", batch_rows=-1)


def test_a_column_that_is_missing_or_called_as_an_answer(scorer, tmp_path):
    with pytest.raises(UnknownNameError, match="no column of the file 'city'"):
        score(scorer, written(sample.people(3)[["age", "income"]], tmp_path / "a.csv"), tmp_path / "out.csv")
    named = written(sample.people(3).assign(label=1), tmp_path / "b.parquet")
    with pytest.raises(MisuseError, match=r"has a column 'label', as the answers have.*--only-answers"):
        score(scorer, named, tmp_path / "out.csv")
    assert score(scorer, named, tmp_path / "out.csv", keep=["age"]).rows == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("in.csv", b"", "is empty"),
        ("in.csv", b"age,age\n1,2\n", "two columns called 'age'"),
        ("in.csv", b"age,income,city\n1,2\n", "Expected 3 columns, got 2"),
        ("in.csv", b"age,income,city\n1,2,\xff\xfe\n", "no text in UTF-8"),
        ("in.parquet", b"no parquet", "cannot be read"),
    ],
)
def test_a_damaged_file_is_named(scorer, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MisuseError, match=words):
        score(scorer, tmp_path / name, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_an_old_file_stays_until_the_new_one_is_whole(scorer, tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(MisuseError):
        score(scorer, csv(tmp_path, BAD), target)
    assert target.read_text() == "old"
    score(scorer, written(sample.people(3), tmp_path / "good.csv"), target)
    assert len(read(target)) == 3


# Memory


PEAK = """
import re, sys
from pathlib import Path
from mlmagic.bundles.scorer import Scorer
from mlmagic.bundles.scoring import Wish, score_file
from tests.unit.bundles import sample
import pyarrow.csv, pyarrow.parquet
source = Path(sys.argv[2])
scorer = Scorer(Path(sys.argv[1]).read_bytes(), sample.SCHEMA)
def peak():  # of this process alone: what getrusage tells begins with the peak of its parent
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
found = score_file(scorer, source, source.with_name("out.parquet"), Wish(batch_rows=5_000), name="n", version="v")
print(found.rows, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of one process")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_memory_goes_by_the_batch_and_not_by_the_file(tmp_path, suffix):
    (tmp_path / "model.onnx").write_bytes(sample.content())
    notes = [f"{row} is told in a text that nobody needs" * 3 for row in range(100_000)]
    piece = sample.people(len(notes)).assign(note=notes)
    peaks, sizes = [], []
    for pieces in (3, 12):
        source = repeated(piece, pieces, tmp_path / f"in{pieces}.{suffix}")
        command = [sys.executable, "-c", PEAK, str(tmp_path / "model.onnx"), str(source)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        rows, peak = map(int, done.stdout.split())
        assert rows == pieces * len(piece)
        peaks.append(peak * 1024)
        sizes.append(source.stat().st_size)
    assert peaks[1] - peaks[0] < (sizes[1] - sizes[0]) / 2  # what is read ahead may still have grown


def repeated(frame, times, path):
    """A file that holds the same rows several times."""
    if path.suffix == ".csv":
        head, _, body = frame.to_csv(index=False).partition("\n")
        path.write_text(f"{head}\n" + body * times)
        return path
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.Table.from_pandas(frame)
    with parquet.ParquetWriter(path, table.schema, use_dictionary=False, compression="none") as writer:
        for _ in range(times):
            writer.write_table(table, row_group_size=20_000)
    return path


# Tables and arrays


def test_a_table_of_any_library_is_answered_in_memory(scorer):
    rows = sample.people(20)
    found = score_table(scorer, rows).to_pandas()
    assert found["label"].tolist() == sample.fitted().predict(rows).tolist()
    as_dicts = score_table(scorer, rows.astype(object).where(rows.notna(), None).to_dict("records")).to_pandas()
    pd.testing.assert_frame_equal(found, as_dicts)


def test_bad_rows_of_a_table(scorer):
    rows = sample.people(5).astype({"age": float})
    rows.loc[2, "age"] = None
    with pytest.raises(MisuseError, match="row 2, column 'age': null"):
        score_table(scorer, rows)
    labels = score_table(scorer, rows, null_bad_rows=True)["label"].to_pylist()
    assert [label is None for label in labels] == [False, False, True, False, False]


def test_answers_of_many_shapes_as_columns():
    outputs = (
        Output("prediction", "float32", (2,)),
        Output("label", "int64"),
        Output("map", "float32", (2, 2)),
        Output("single", "float32", (1,)),
        Output("open", "float32", (None,)),
    )
    schema = Schema("columns", (Field("x", "float32", "f", "x"),), outputs, "prediction")
    answers = {
        "prediction": np.array([[1, 2], [3, 4]], np.float32),
        "label": np.array([7, 8]),
        "map": np.arange(8, dtype=np.float32).reshape(2, 2, 2),
        "single": np.array([[5], [6]], np.float32),
        "open": np.array([[1, 2, 3], [4, 5, 6]], np.float32),
    }
    table = answers_as_table(schema, answers, np.array([True, False, True]))
    assert table.column_names == answer_columns(schema)
    assert table.to_pylist()[0] == {
        "prediction_0": 1, "prediction_1": 2, "label": 7, "map": [[0, 1], [2, 3]], "single": 5, "open": [1, 2, 3],
    }  # fmt: skip
    assert set(table.to_pylist()[1].values()) == {None}
    assert table.to_pylist()[2]["map"] == [[4, 5], [6, 7]]
    assert answers_as_table(schema, {}, np.zeros(2, bool)).schema == table.schema
