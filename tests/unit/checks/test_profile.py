"""What a reference is remembered by."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from mlmagic.checks import profile
from mlmagic.checks.profile import Categories, Numbers, Profile
from mlmagic.errors import MisuseError
from mlmagic.tables import table_of

RNG = np.random.default_rng(0)


def column(values, name="x"):
    return Profile.of(table_of({name: np.asarray(values)})).columns[0]


def test_numbers_are_remembered_by_deciles_range_and_a_sorted_sample():
    values = RNG.permutation(np.arange(1, 1001) / 2)
    found = column(values)
    assert isinstance(found, Numbers)
    assert found.edges.tolist() == [50, 100, 150, 200, 250, 300, 350, 400, 450]
    assert found.counts.tolist() == [100] * 10
    assert (found.low, found.high, found.rows, found.nulls, found.infinite) == (0.5, 500, 1000, 0, 0)
    assert found.mean == pytest.approx(values.mean())
    assert found.sd == pytest.approx(values.std())
    assert found.values.tolist() == sorted(values)


def test_nulls_and_infinities_are_counted_apart():
    found = column([1.5, np.nan, np.inf, -np.inf, 2.5, np.nan])
    assert (found.nulls, found.infinite, found.present, found.low, found.high) == (2, 2, 4, 1.5, 2.5)
    assert found.counts.sum() == 4
    assert found.values.tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([5.0] * 40, [0, 40, 0]),  # a constant has its own bin, between all below and all above
        ([0.0] * 38 + [1.0, 2.0], [38, 2]),  # one value fills nine deciles
        ([0.0] + [1.0] * 39, [1, 39]),  # even the highest
        ([0.0, 0.0, 1.0, 1.0, 2.0, 2.0], [2, 2, 2]),
        ([np.nan] * 30, [0]),
    ],
)
def test_where_values_repeat_there_are_fewer_bins(values, counts):
    assert column(values).counts.tolist() == counts


def test_a_sample_is_bounded_and_the_same_for_the_same_seed():
    table = table_of({"x": RNG.normal(size=30_000)})
    one, same, other = Profile.of(table, seed=1), Profile.of(table, seed=1), Profile.of(table, seed=2)
    assert one.columns[0].values.size == profile.KEPT_VALUES
    assert len(one.sample) == profile.KEPT_ROWS
    np.testing.assert_array_equal(one.columns[0].values, same.columns[0].values)
    assert not np.array_equal(one.columns[0].values, other.columns[0].values)


def test_many_columns_share_the_space():
    made = Profile.of(table_of(RNG.normal(size=(5_000, 1_000))))
    assert made.columns[0].values.size == 2_000
    assert made.sample.shape == (1_000, 1_000)


def test_categories_are_remembered_by_frequency():
    found = column(["b", "a", "b", None, "c", "b", "a"])
    assert isinstance(found, Categories)
    assert found.labels == ("b", "a", "c")
    assert (found.counts.tolist(), found.nulls, found.other, found.distinct) == ([3, 2, 1], 1, 0, 3)


def test_beyond_a_thousand_categories_the_rest_is_other():
    found = column([f"w{number % 1_500}" for number in range(4_000)])
    assert (len(found.labels), found.distinct) == (1_000, 1_500)
    assert found.counts.sum() + found.other == 4_000


def test_booleans_are_categories():
    assert column([True, False, True]).labels == ("True", "False")


@pytest.mark.parametrize(
    ("values", "role"),
    [
        (np.arange(100), "id"),
        (RNG.permutation(100), "id"),
        (np.arange(0, 10_000, 100), "id"),  # ascending
        (RNG.permutation(np.arange(0, 10_000, 100)), ""),  # whole numbers, far apart, in no order
        (np.arange(100) / 3, ""),
        (np.arange(19), ""),
        ([f"user {number}" for number in range(50)], "id"),
        (np.arange("2024-01", "2024-03", dtype="datetime64[D]"), "time"),
    ],
)
def test_ids_and_times_are_known_as_such(values, role):
    assert column(values).role == role


def test_a_column_of_a_matrix_is_read_as_any_other():
    matrix = RNG.normal(size=(500, 7))
    across = Profile.of(table_of({f"c{number}": matrix[:, number] for number in range(7)}))
    along = Profile.of(table_of({f"c{number}": matrix[:, number].copy() for number in range(7)}))
    assert [one.counts.tolist() for one in across.columns] == [one.counts.tolist() for one in along.columns]


def test_no_rows_is_one_line():
    with pytest.raises(MisuseError, match="the reference has no rows"):
        Profile.of(table_of({"x": np.empty(0)}))


# The file


def everything() -> Profile:
    return Profile.of(
        table_of(
            {
                "x": np.where(RNG.random(300) < 0.1, np.nan, RNG.normal(size=300)),
                "constant": np.full(300, 7.0),
                "nothing": np.full(300, np.nan),
                "word": RNG.choice(np.array(["a", "ä", "日本"]), 300),
                "flag": RNG.random(300) < 0.5,
                "day": np.arange(300).astype("datetime64[D]"),
            }
        )
    )


def plain(made: Profile):
    return [
        {name: getattr(one, name) for name in one.__slots__ if not isinstance(getattr(one, name), np.ndarray)}
        | {name: getattr(one, name).tolist() for name in one.__slots__ if isinstance(getattr(one, name), np.ndarray)}
        for one in made.columns
    ]


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path):
    with pytest.raises(MisuseError, match=r"cannot write the profile .*a\.profile: No such file or directory"):
        everything().save(tmp_path / "nosuch" / "a.profile")


def test_a_seed_below_0_is_told_in_one_line():
    with pytest.raises(MisuseError, match="a seed is a whole number from 0 on, not -1"):
        Profile.of(table_of({"x": [1.0]}), seed=-1)


def test_what_was_saved_comes_back(tmp_path):
    made = everything()
    made.save(tmp_path / "a.profile")
    back = Profile.load(tmp_path / "a.profile")
    assert str(plain(back)) == str(plain(made))
    np.testing.assert_array_equal(back.sample, made.sample)
    assert back.rows == made.rows
    assert [path.name for path in tmp_path.iterdir()] == ["a.profile"]


def test_a_file_holds_no_pickle(tmp_path):
    everything().save(tmp_path / "a.profile")
    with np.load(tmp_path / "a.profile", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays)


@pytest.mark.parametrize("cut", [0, 1, 10, 500, -1, -30])
def test_a_damaged_file_is_one_line(tmp_path, cut):
    path = tmp_path / "a.profile"
    everything().save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(MisuseError, match=r"no profile of mlmagic's, or is damaged"):
        Profile.load(path)


def test_a_byte_that_fell_over_is_noticed(tmp_path):
    path = tmp_path / "a.profile"
    everything().save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(MisuseError, match="damaged"):
        Profile.load(path)


@pytest.mark.parametrize("content", [b"", b"col\n1\n", b"\x80\x04N.", b"PK\x05\x06" + bytes(18)])
def test_a_foreign_file_is_one_line(tmp_path, content):
    path = tmp_path / "a.profile"
    path.write_bytes(content)
    with pytest.raises(MisuseError, match="no profile"):
        Profile.load(path)


def test_another_archive_is_no_profile(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.profile", "w") as archive:
        archive.writestr("a.txt", "b")
    with pytest.raises(MisuseError, match="no profile"):
        Profile.load(tmp_path / "a.profile")


def test_a_file_of_the_future_says_update(tmp_path):
    header = json.dumps({"format": profile.FORMAT, "version": profile.VERSION + 1}).encode()
    with (tmp_path / "a.profile").open("wb") as stream:
        np.savez(stream, header=np.frombuffer(header, np.uint8))
    with pytest.raises(MisuseError, match=r"newer mlmagic .*update"):
        Profile.load(tmp_path / "a.profile")


def test_no_file_is_one_line(tmp_path):
    with pytest.raises(MisuseError, match="cannot read the profile"):
        Profile.load(tmp_path / "a.profile")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.profile"
    made = everything()
    made.save(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(MisuseError, match=r"cannot write the profile .*: no space left"):
        made.save(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.profile"]
