"""`mlmagic.reuse`: its results read well, and wrong words are one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mlmagic
from mlmagic.api.reusing import Ledger, Reason, Reasons
from mlmagic.errors import MisuseError, MlmagicError, NotActiveError, UnknownNameError
from mlmagic.session import Session, set_current
from mlmagic.session.reuse import spell
from mlmagic.session.settings import MLMagic
from tests.kernel.kernels import script


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLMAGIC_KEY_FILE", str(tmp_path / "key"))
    made = Session({}, tmp_path / ".mlmagic", MLMagic(), say=lambda line: None)
    made.start()
    set_current(made)
    yield made
    set_current(None)
    made.close()


def ledger(**parts: Any) -> Ledger:
    plain: dict[str, Any] = {
        "mode": "auto",
        "computed": 3,
        "computed_seconds": 12.3,
        "reused": 1,
        "saved_seconds": 200.0,
        "load_seconds": 0.012,
        "hashed_seconds": 0.5,
        "stored": 2,
        "stored_bytes": 2_500_000,
        "budget_bytes": 5_000_000_000,
        "keep_seconds": 0.2,
        "verified": 0,
        "differences": 0,
    }
    return Ledger(**plain | parts)


def test_the_ledger_reads_well() -> None:
    assert ledger().text().splitlines() == [
        "mode       auto: cells under %%track",
        "computed   12 s in 3 cells",
        "saved      3 min in 1 reused cell, loading took 12 ms",
        "hashed     0.5 s to see what cells read and changed",
        "stored     2 results, 2.5 MB of 5.0 GB; keeping took 0.2 s",
    ]


def test_the_ledger_tells_of_verifications_where_there_were_any() -> None:
    line = ledger(verified=1, differences=2).text().splitlines()[-1]
    assert line == "verified   1 hit computed anew, 2 differences"
    assert "verified" in ledger(mode="verify").text()


def test_results_have_all_faces() -> None:
    reasons = Reasons((Reason("[1] train", "e1", "kept", "ran because x changed"),))
    assert reasons.text() == "[1] train  ran because x changed"
    assert reasons.to_dict()["reasons"][0]["decision"] == "kept"
    assert list(reasons.to_pandas()["sentence"]) == ["ran because x changed"]
    for result in (reasons, ledger(cells=({"cell": "[1]", "decision": "kept"},))):
        assert "<table" in result._repr_mimebundle_()["text/html"]
        assert repr(result) == result.text()
    assert list(ledger(cells=({"cell": "[1]", "decision": "kept"},)).to_pandas()["cell"]) == ["[1]"]
    assert Reasons(()).text() == "no cell has run yet"


def test_reasons_are_shown_as_text_and_not_as_html() -> None:
    html = Reasons((Reason("[1]", "e1", "kept", "x changed from <b> to '&'"),))._repr_mimebundle_()["text/html"]
    assert "<b>" not in html


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 ms"), (0.0004, "0 ms"), (0.012, "12 ms"), (0.4, "0.4 s"), (9.96, "10.0 s"), (41.2, "41 s"), (119, "119 s"),
     (180, "3 min"), (-1, "0 ms")],
)  # fmt: skip
def test_seconds_in_words(seconds: float, words: str) -> None:
    assert spell(seconds) == words


def test_without_a_project_there_is_nothing_to_ask() -> None:
    with pytest.raises(NotActiveError, match=r"%load_ext mlmagic"):
        mlmagic.reuse()
    with pytest.raises(NotActiveError):
        mlmagic.reuse("on")


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (("onn",), UnknownNameError, "did you mean 'on'?"),
        (("explian",), UnknownNameError, "did you mean 'explain'?"),
        (("on", "now"), MisuseError, "reuse on takes nothing more, not 'now'"),
        (("clear", "x"), MisuseError, "not 'x'"),
        (("budget", "much"), MisuseError, "a size such as 5GB or 500MB, not 'much'"),
        (("budget", "5 XB"), MisuseError, "5 XB"),
        (("budget", "-1"), MisuseError, "-1"),
        (("budget", "1e9"), MisuseError, "1e9"),
        (("explain", "nobody"), UnknownNameError, "no cell 'nobody'"),
    ],
)
def test_a_wrong_word_is_one_line(
    session: Session, arguments: tuple[str, ...], kind: type[MlmagicError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        mlmagic.reuse(*arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_modes_are_set(session: Session) -> None:
    for mode in ("on", "off", "auto"):
        assert mlmagic.reuse(mode) is None
        assert session.settings.reuse == mode
    assert mlmagic.reuse("verify").mode == "verify"  # type: ignore[union-attr]
    assert session.settings.reuse == "verify"


@pytest.mark.parametrize(
    ("size", "told"),
    [("5GB", "5.0 GB"), ("500 mb", "500.0 MB"), ("1.5G", "1.5 GB"), ("2T", "2000.0 GB"),
     (10_000, "10 kB"), ("0", "0 kB")],
)  # fmt: skip
def test_a_budget_is_set_and_told(session: Session, size: str | int, told: str) -> None:
    assert mlmagic.reuse("budget", size) == f"results may take {told}, and take 0 kB"
    assert mlmagic.reuse("budget") == f"results may take {told}, and take 0 kB"


def test_with_nothing_kept_everything_can_be_asked(session: Session) -> None:
    assert mlmagic.reuse("clear") == "forgot 0 results, 0 kB"
    assert mlmagic.reuse("explain").text() == "no cell has run yet"  # type: ignore[union-attr]
    found = mlmagic.reuse().to_dict()  # type: ignore[union-attr]
    assert (found["computed"], found["reused"], found["stored"]) == (0, 0, 0)


def test_blocks_of_a_script_run_each_time(tmp_path: Path) -> None:
    text = """
        import mlmagic
        with mlmagic.track("block"):
            print("running")
        print(mlmagic.reuse("explain"))
        """
    for _ in range(2):
        done = script(
            text, tmp_path, MLMAGIC_REUSE="on", MLMAGIC_REUSE_MIN_SECONDS="0", MLMAGIC_KEY_FILE=str(tmp_path / "key")
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("running\n")
        assert "block" in done.stdout
