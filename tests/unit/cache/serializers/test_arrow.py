"""A table goes through an Arrow file and comes back equal, over the file's bytes, and writable without harming them."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlmagic.cache.artifacts import ArtifactStore
from mlmagic.cache.serializers import Links, UnstorableError, candidates, named
from mlmagic.cache.serializers.arrow import ArrowSerializer
from mlmagic.fingerprint import fingerprint

pytest.importorskip("pyarrow")

ARROW = ArrowSerializer()

Loader = Callable[[], Any]


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[object], Loader]:
    """Writes a value and returns what loads it, each time anew from the file."""
    store = ArtifactStore(tmp_path)

    def dump(value: object) -> Loader:
        assert ARROW.accepts({"x": value})
        artifact = store.put(lambda file: ARROW.dump({"x": value}, file, Links()))
        return lambda: ARROW.load(ArtifactStore(tmp_path).map(artifact.digest), Links())["x"]

    return dump


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "int": [1, 2, 3],
            "float": [1.0, None, 3.0],
            "half": np.ones(3, "f4"),
            "bool": [True, False, True],
            "text": ["x", None, "zz"],
            "nullable": pd.array([1, None, 3]),
            "arrow": pd.array([1, None, 3], dtype="int64[pyarrow]"),
            "day": pd.date_range("2020", periods=3),
            "zone": pd.date_range("2020", periods=3, tz="Europe/Berlin"),
            "span": pd.to_timedelta([1, 2, 3]),
        }
    )


# -- pandas --------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", list(frame()))
def test_a_column_of_each_dtype_comes_back(keep: Any, column: str) -> None:
    value = frame()[[column]]
    assert fingerprint(keep(value)()) == fingerprint(value)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(2, 8, 2, name="n"),
        pd.Index([3, 1, 2]),
        pd.Index(["a", "b", "b"], name="k"),
        pd.Index([1.5, 2.5, float("nan")]),
        pd.DatetimeIndex(["2020", "2021", "2029"]),
    ],
)
def test_an_index_comes_back(keep: Any, index: Any) -> None:
    value = frame().set_index(index)
    assert fingerprint(keep(value)()) == fingerprint(value)


def test_a_frame_without_rows_comes_back(keep: Any) -> None:
    value = frame()[:0]
    assert fingerprint(keep(value)()) == fingerprint(value)


def test_a_loaded_frame_can_be_changed_everywhere_and_the_file_stays(keep: Any) -> None:
    load = keep(frame())
    found = load()
    for column, value in {"int": 9, "float": 9.5, "bool": False, "text": "new", "nullable": 9, "arrow": 9}.items():
        found.loc[0, column] = value
        assert found.loc[0, column] == value
    found.iloc[0, 7] = pd.Timestamp("2000")
    found.iloc[0, 8] = pd.Timestamp("2000", tz="Europe/Berlin")
    found.iloc[0, 9] = pd.Timedelta(9)
    found["half"] += 1
    found.fillna({"float": 0}, inplace=True)
    found.index.name = "renamed"
    assert fingerprint(load()) == fingerprint(frame())


def test_columns_that_were_loaded_do_not_share_writes(keep: Any) -> None:
    found = keep(frame())()
    part, column = found[["int"]], found["int"]
    found.iloc[0, 0] = 9
    assert part.iloc[0, 0] == column[0] == 1


@pytest.mark.parametrize(("rows", "owner_type"), [(100_000, bytearray), (2_500_000, mmap.mmap)])
def test_numbers_are_not_copied_from_what_was_read_or_mapped(keep: Any, rows: int, owner_type: type) -> None:
    found = keep(pd.DataFrame({"a": np.arange(rows), "b": np.arange(float(rows))}))()
    for block in found._mgr.blocks:
        owner = block.values
        while isinstance(owner, np.ndarray):
            assert not owner.flags.owndata
            owner = owner.base
        assert isinstance(owner, owner_type)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.assign(o=[object()] * 3),
        lambda x: x.assign(c=pd.Categorical(["a", "b", "a"])),
        lambda x: x.assign(c=pd.period_range("2020", periods=3)),
        lambda x: x.assign(c=[1 + 2j] * 3),
        lambda x: x.rename(columns={"int": 5}),
        lambda x: x.rename(columns={"int": "float"}),
        lambda x: x.rename_axis(columns="names"),
        lambda x: x.set_index(["int", "text"]),
        lambda x: x.set_index(pd.date_range("2020", periods=3)),
        lambda x: x.set_index(pd.Index([1, "a", None], dtype=object)),
        lambda x: x.set_flags(allows_duplicate_labels=False),
        lambda x: x.iloc[:, :0],
        lambda x: pd.DataFrame(np.zeros((2, 100))).rename(columns=str),
        lambda x: x["int"],
    ],
)
def test_a_frame_that_arrow_cannot_hold_exactly_is_left_to_the_pickle(change: Any) -> None:
    assert not ARROW.accepts({"x": change(frame())})


def test_attrs_are_left_to_the_pickle() -> None:
    value = frame()
    value.attrs["unit"] = "m"
    assert not ARROW.accepts({"x": value})


# -- polars and Arrow ----------------------------------------------------------------------------


def test_a_polars_frame_comes_back(keep: Any) -> None:
    pl = pytest.importorskip("polars")
    value = pl.DataFrame(
        {
            "int": [1, None, 3],
            "text": ["x", None, "z" * 30],
            "list": [[1], [], None],
            "struct": [{"a": 1}] * 3,
            "category": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            "enum": pl.Series(["a", "b", "a"], dtype=pl.Enum(["a", "b"])),
            "null": [None, None, None],
        }
    )
    found = keep(value)()
    assert fingerprint(found) == fingerprint(value)
    assert found.schema == value.schema
    found[0, "int"] = 9
    assert found["int"].to_list() == [9, None, 3]
    assert fingerprint(keep(value)()) == fingerprint(value)


@pytest.mark.parametrize("metadata", [None, {}, {"k": "v"}])
def test_an_arrow_table_comes_back_with_its_metadata(keep: Any, metadata: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    value = pa.table({"a": [1, None], "b": ["x", "y"]}).replace_schema_metadata(metadata)
    found = keep(value)()
    assert found.equals(value, check_metadata=True)
    assert fingerprint(found) == fingerprint(value)


def test_what_an_arrow_file_cannot_hold_is_unstorable(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    chunks = [pa.array([["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))) for _ in range(2)]
    other = pa.array([["b"]], pa.list_(pa.dictionary(pa.int8(), pa.string())))
    value = pa.table({"x": pa.chunked_array([*chunks, other])})
    with pytest.raises(UnstorableError, match="Arrow cannot hold `x`"):
        ArtifactStore(tmp_path).put(lambda file: ARROW.dump({"x": value}, file, Links()))
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


# -- what is accepted ----------------------------------------------------------------------------


@pytest.mark.parametrize("group", [{}, {"x": [1]}, {"x": frame(), "y": 1}, {"x": np.zeros(3)}])
def test_only_a_table_alone_is_accepted(group: Any) -> None:
    assert not ARROW.accepts(group)


def test_nothing_is_accepted_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlmagic.cache.serializers.arrow.find_spec", lambda name: None)
    assert not ARROW.accepts({"x": frame()})


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    class Full:
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        ARROW.dump({"x": frame()}, Full(), Links())  # type: ignore[arg-type]


def test_a_table_is_tried_as_arrow_first_and_everything_else_is_pickled() -> None:
    assert [serializer.name for serializer in candidates({"x": frame()})] == ["arrow", "pickle"]
    assert [serializer.name for serializer in candidates({"x": [1]})] == ["pickle"]
    assert named("arrow") is not None
    assert named("of a later version") is None
