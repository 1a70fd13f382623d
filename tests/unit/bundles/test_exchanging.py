"""Two folders change places, in one step or, where the system has none for that, in three."""

from __future__ import annotations

import pytest

from mlmagic.bundles import exchanging


@pytest.mark.parametrize("at_once", [True, False])
def test_each_is_where_the_other_was_and_nothing_is_left(tmp_path, monkeypatch, at_once):
    if not at_once:
        monkeypatch.setattr(exchanging, "_at_once", lambda one, other: False)
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchanging.exchange(tmp_path / "a", tmp_path / "b")
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {"a", "b", "a/b", "b/a"}
