"""Tables of results: headings with scope, values escaped, long ones cut with the way to see more."""

from __future__ import annotations

from typing import Any

import pytest

from mlmagic import results
from mlmagic.results import Result
from mlmagic.views import html, tables


class Status(Result):
    def __init__(self, *pairs: tuple[object, ...]) -> None:
        self.pairs = pairs

    def rows(self) -> tuple[tuple[object, ...], ...]:
        return self.pairs

    def text(self) -> str:
        return "status"

    def to_dict(self) -> dict[str, Any]:
        return {str(name): value for name, value in self.pairs}

    def to_pandas(self) -> Any:
        raise NotImplementedError


class Listing(Status):
    header = ("name", "rows")
    caption = "data"


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_renderers", {})
    tables.register(Status)


def test_names_and_values() -> None:
    markup = Status(("path", "/a<b>"), ("cells", 3), ("none", None))._repr_mimebundle_()["text/html"]
    assert '<th scope="row">path</th><td>/a&lt;b&gt;</td>' in markup
    assert '<td class="n">3</td>' in markup
    assert '<th scope="row">none</th><td></td>' in markup


def test_columns_have_headings() -> None:
    markup = Listing(("df", 569))._repr_mimebundle_()["text/html"]
    assert '<caption>data</caption><thead><tr><th scope="col">name</th><th scope="col">rows</th>' in markup


def test_long_tables_say_how_to_see_more() -> None:
    markup = Listing(*((f"n{n}", n) for n in range(250)))._repr_mimebundle_()["text/html"]
    assert markup.count("<tr>") == 1 + html.MAX_ROWS
    assert "… 150 more rows: .to_pandas() has them all" in markup


def test_what_is_too_heavy_stays_text() -> None:
    assert set(Status(("big", "x" * 200_000))._repr_mimebundle_()) == {"text/plain"}
