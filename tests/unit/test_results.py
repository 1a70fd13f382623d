"""Results: text is always there, pictures are extra."""

from __future__ import annotations

from typing import Any

import pytest

from mlmagic import results
from mlmagic.results import Result, clip, register_renderer


class Answer(Result):
    def __init__(self, content: str = "forty-two") -> None:
        self.content = content

    def text(self) -> str:
        return self.content

    def to_dict(self) -> dict[str, Any]:
        return {"answer": self.content}

    def to_pandas(self) -> Any:
        import pandas as pd

        return pd.DataFrame([self.to_dict()])


class Finer(Answer):
    pass


@pytest.fixture(autouse=True)
def _fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_renderers", {})


def test_without_a_renderer_there_is_text_only() -> None:
    assert repr(Answer()) == "forty-two"
    assert Answer()._repr_mimebundle_() == {"text/plain": "forty-two"}


def test_a_renderer_adds_faces_also_for_subclasses() -> None:
    register_renderer(Answer, lambda result: {"text/html": f"<b>{result.content}</b>"})
    assert Finer()._repr_mimebundle_() == {"text/plain": "forty-two", "text/html": "<b>forty-two</b>"}


def test_the_nearest_type_draws() -> None:
    register_renderer(Answer, lambda result: {"text/html": "general"})
    register_renderer(Finer, lambda result: {"text/html": "special"})
    assert Finer()._repr_mimebundle_()["text/html"] == "special"
    assert Answer()._repr_mimebundle_()["text/html"] == "general"


def test_a_broken_picture_never_hides_the_text() -> None:
    def broken(result: Answer) -> dict[str, str]:
        raise ZeroDivisionError("no")

    register_renderer(Answer, broken)
    with pytest.warns(UserWarning, match="Answer is shown as text"):
        assert Answer()._repr_mimebundle_() == {"text/plain": "forty-two"}


def test_an_output_stays_below_its_limit() -> None:
    register_renderer(Answer, lambda result: {"text/html": "x" * 190_000})
    small, large = Answer("a\n" * 5), Answer("line\n" * 100_000)
    assert "text/html" in small._repr_mimebundle_()
    assert "text/html" not in large._repr_mimebundle_()
    assert len(large._repr_mimebundle_()["text/plain"].encode()) <= results.TEXT_LIMIT
    assert repr(large).endswith("more lines: .to_pandas() and .to_dict() have everything")


def test_clipping_keeps_whole_lines_and_counts_the_rest() -> None:
    lines = clip("\n".join(f"ä{n:04d}" for n in range(1000)), 500).split("\n")
    assert len("\n".join(lines).encode()) <= 500
    kept = lines[:-1]
    assert kept == [f"ä{n:04d}" for n in range(len(kept))]
    assert f"{1000 - len(kept)} more lines" in lines[-1]


@pytest.mark.parametrize(
    ("include", "exclude", "faces"),
    [
        (None, None, {"text/plain", "text/html"}),
        (["text/html"], None, {"text/plain", "text/html"}),
        (["image/svg+xml"], None, {"text/plain"}),
        (None, ["text/html"], {"text/plain"}),
    ],
)
def test_front_ends_may_choose(include: list[str] | None, exclude: list[str] | None, faces: set[str]) -> None:
    register_renderer(Answer, lambda result: {"text/html": "h"})
    assert set(Answer()._repr_mimebundle_(include, exclude)) == faces
