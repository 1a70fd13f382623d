"""`%reuse`: how a line is read, and what is printed rather than returned."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.error import UsageError

import mlmagic
from mlmagic.api.reusing import ACTIONS as KNOWN
from mlmagic.errors import MisuseError
from mlmagic.magics.reuse import ACTIONS, COMPLETERS, ReuseMagics


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `mlmagic.reuse` was asked; it answers with what it was asked."""
    seen: list[Any] = []

    def reuse(action: str, argument: Any = None) -> Any:
        seen.append((action, argument))
        return f"told of {action}" if action == "budget" else (action, argument)

    monkeypatch.setattr(mlmagic, "reuse", reuse)
    return seen


def magic(line: str) -> Any:
    return ReuseMagics(None).reuse(line)


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("", ("status", None)),
        ("status", ("status", None)),
        ("on", ("on", None)),
        ("explain", ("explain", None)),
        ("explain train", ("explain", "train")),
        ("explain [3]", ("explain", "[3]")),
        ("explain cell:1a-2b", ("explain", "cell:1a-2b")),
    ],
)
def test_a_line_is_read(asked: list[Any], line: str, question: Any) -> None:
    assert magic(line) == question
    assert asked == [question]


def test_text_is_printed_and_results_are_returned(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert magic("budget 5GB") is None
    assert capsys.readouterr().out == "told of budget\n"


def test_a_semicolon_shows_nothing(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert magic("explain train;") is None
    assert asked == [("explain", "train")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("onn", "did you mean 'on'?"),
        ("satus", "did you mean 'status'?"),
        ("--explain", "no option of %reuse '--explain'"),
        ("explain a b", "'b'"),
    ],
)
def test_a_wrong_word_is_one_line_that_names_the_nearest(asked: list[Any], line: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        magic(line)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert asked == []


def test_what_the_function_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(action: str, argument: Any = None) -> Any:
        raise MisuseError("not like this")

    monkeypatch.setattr(mlmagic, "reuse", refuse)
    with pytest.raises(UsageError, match="not like this"):
        magic("clear")


def test_the_magic_and_the_function_know_the_same_words() -> None:
    assert set(ACTIONS) == set(KNOWN)


def test_its_help_shows_every_word() -> None:
    text = ReuseMagics.reuse.__doc__ or ""
    for action in ACTIONS:
        assert action in text


def test_it_can_be_completed() -> None:
    assert "reuse" in COMPLETERS
