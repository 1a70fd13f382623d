"""Tables of cases: files of cells beside what each reads and writes.

In a ``.cells`` file a case begins with ``== its name``; every cell ends with a line ``>> reads -> writes``. Plain
words are variables; ``file:a.csv``, ``random:numpy``, ``module:helper`` and ``environment:HOME`` are what they
say. A write ``~x`` is a change in place, ``-x`` a deletion, ``x`` a binding. A ``?`` before a word allows it and
does not ask for it: bounds may be wider than the truth. ``!`` at the end: the cell raises. A line ``xfail: why``
after the name marks what is known to fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cases.notebook import Item, Notebook, Ran

KINDS = ("file", "random", "module", "environment")
HOWS = {"~": "mutate", "-": "delete"}


@dataclass(frozen=True)
class Case:
    """Cells with the expectation of each, under a name."""

    name: str
    cells: tuple[tuple[str, str], ...]


def read_all() -> list[Any]:
    """The cases of every table in this folder, as parameters of a test."""
    tables = sorted(Path(__file__).parent.glob("*.cells"))
    return [case for table in tables for case in _cases(table)]


def _cases(table: Path) -> list[Any]:
    found = []
    for block in ("\n" + table.read_text(encoding="utf-8")).split("\n== ")[1:]:
        name, _, body = block.partition("\n")
        marks = []
        if body.startswith("xfail: "):
            why, _, body = body.partition("\n")
            marks.append(pytest.mark.xfail(strict=True, reason=why.removeprefix("xfail: ")))
        found.append(pytest.param(Case(name, _cells(body)), id=f"{table.stem}: {name}", marks=marks))
    return found


def _cells(body: str) -> tuple[tuple[str, str], ...]:
    cells, lines = [], []
    for line in body.splitlines():
        if line.startswith(">> "):
            cells.append(("\n".join(lines).strip("\n"), line.removeprefix(">> ")))
            lines = []
        else:
            lines.append(line)
    assert not any(map(str.strip, lines)), f"a cell without an expectation: {lines}"
    return tuple(cells)


def check(notebook: Notebook, case: Case) -> None:
    """Run the cells of a case and compare what the recorder saw of each."""
    wrong = []
    for number, (text, expected) in enumerate(case.cells, 1):
        ran = notebook.cell(text)
        raises = expected.endswith(" !")
        if (ran.error is not None) != raises:
            wrong.append(f"[{number}] {text}\n    error: {ran.error!r}")
            continue
        wrong += compare(ran, text, expected.removesuffix(" !"))
    assert not wrong, "\n" + "\n".join(wrong)


def compare(ran: Ran, text: str, expected: str) -> list[str]:
    reads, _, writes = expected.partition("->")
    wanted, allowed = _items(reads)
    asked, permitted = _items(writes)
    made = set(ran.writes.items())
    problems = []
    if missing := wanted.keys() - ran.reads:
        problems.append(f"missed reads {_words(missing)}")
    if extra := ran.reads - wanted.keys() - allowed.keys():
        problems.append(f"spurious reads {_words(extra)}")
    if missing := set(asked.items()) - made:
        problems.append(f"missed writes {_words(item for item, _ in missing)} (found {ran.writes})")
    if extra := made - set(asked.items()) - set(permitted.items()):
        problems.append(f"spurious writes {sorted((how, *item) for item, how in extra)}")
    return [f"[{ran.number}] {text}\n    " + "\n    ".join(problems)] if problems else []


def _items(text: str) -> tuple[dict[Item, str], dict[Item, str]]:
    """Items asked for and items allowed, each with its kind of change."""
    asked: dict[Item, str] = {}
    allowed: dict[Item, str] = {}
    for word in text.split():
        target = allowed if word.startswith("?") else asked
        word = word.removeprefix("?")
        how = HOWS.get(word[0], "bind")
        word = word[1:] if word[0] in HOWS else word
        kind, _, name = word.partition(":")
        target[(kind, name) if kind in KINDS and name else ("variable", word)] = how
    return asked, allowed


def _words(items: Any) -> str:
    return " ".join(sorted(name if kind == "variable" else f"{kind}:{name}" for kind, name in items))
