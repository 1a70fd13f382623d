"""What an explanation may tell of a value, and what it may never tell."""

from __future__ import annotations

import pytest

from mlmagic.cache.details import details


def test_a_scalar_is_told_by_type_and_preview() -> None:
    found = details("rate", 0.1)
    assert (found["type"], found["preview"]) == ("float", "0.1")


@pytest.mark.parametrize("name", ["api_key", "password", "my_token", "SECRET"])
def test_of_a_secret_only_its_type_is_told(name: str) -> None:
    assert details(name, "hunter2") == {"type": "str"}


def test_a_function_is_told_by_its_source_without_the_secrets_in_it() -> None:
    def helper() -> str:
        api_key = "hunter2"
        return api_key + "!"

    source = details("helper", helper)["source"]
    assert 'return api_key + "!"' in source
    assert "hunter2" not in source


def test_a_function_without_source_is_told_by_its_type() -> None:
    made: dict[str, object] = {}
    exec("def made_up(): pass", made)
    assert "source" not in details("made_up", made["made_up"])


def test_a_frame_is_told_by_a_digest_of_each_column() -> None:
    pd = pytest.importorskip("pandas")
    one = details("df", pd.DataFrame({"a": [1], "b": ["u"]}))["columns"]
    other = details("df", pd.DataFrame({"a": [2], "b": ["u"]}))["columns"]
    assert one.keys() == {"a", "b"}
    assert one["a"] != other["a"]
    assert one["b"] == other["b"]


def test_columns_that_cannot_be_told_apart_are_not_told() -> None:
    pd = pytest.importorskip("pandas")
    assert "columns" not in details("df", pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert "columns" not in details("df", pd.DataFrame([[1, 2]], columns=["1", 1]))


def test_a_polars_frame_is_told_by_its_columns_too() -> None:
    pl = pytest.importorskip("polars")
    assert details("df", pl.DataFrame({"a": [1]}))["columns"].keys() == {"a"}
