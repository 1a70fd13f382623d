"""The step that holds a file against a bundle: rows by the batch come in; faults, rules that fire and drift go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlmagic.bundles import folder
from mlmagic.bundles.checked import Finding
from mlmagic.bundles.checking import Checking
from mlmagic.bundles.graph import Answers
from mlmagic.bundles.holdout import take
from mlmagic.bundles.profiling import profile_in, table_to_compare
from mlmagic.bundles.reading import batch_rows, columns_wanted, inputs_of, open_rows
from mlmagic.bundles.rows import Fault, Feeds, faults, feeds_of, rows_of
from mlmagic.bundles.rules import rules_in, run_rules
from mlmagic.bundles.scoring import score_in_pieces
from mlmagic.checks.assertions import Checked
from mlmagic.checks.drift import compare
from mlmagic.errors import MissingPackageError, MisuseError, MlmagicError

LOOKED_AT = 100_000  # rows that rules and drift look at; the schema holds for all
_SHOWN = 3


@dataclass
class _Rows:
    """What was found in the rows so far, and the first good ones."""

    rows: int = 0
    wrong: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    first: list[Fault] = field(default_factory=list)
    kept: list[Feeds] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # of the kept ones

    def add(self, feeds: Feeds, found: dict[int, Fault]) -> None:
        """One more batch."""
        for row in sorted(found):
            self.columns[found[row].column] += 1
            if len(self.first) < _SHOWN:
                self.first.append(Fault(self.rows + row, found[row].column, found[row].reason))
        fine = np.ones(rows_of(feeds), bool)
        fine[list(found)] = False
        room = LOOKED_AT - len(self.places)
        if room > 0:
            at = np.flatnonzero(fine)[:room]
            self.kept.append(take(feeds, at))
            self.places += (self.rows + at).tolist()
        self.rows += rows_of(feeds)
        self.wrong += len(found)

    def good(self) -> Feeds:
        """The first good rows in one."""
        return {name: np.concatenate([part[name] for part in self.kept]) for name in self.kept[0]}


def check_file(checking: Checking, path: Path) -> Iterator[Finding]:
    """What there is to say of a file of rows."""
    schema = checking.bundle.schema
    part, found = str(path), _Rows()
    try:
        rows = open_rows(path)
        names = columns_wanted(schema, rows.names)
        for batch in rows.batches(names, batch_rows(len(names))):
            found.add(*inputs_of(schema, batch, names, rows.is_text))
    except MlmagicError as error:
        yield Finding("schema", "failed", str(error), part)
        return
    yield from _of_rows(checking, found, part)


def check_table(checking: Checking, data: Any, part: str) -> Iterator[Finding]:
    """What there is to say of a table or an array."""
    found = _Rows()
    try:
        feeds = feeds_of(checking.bundle.schema, data)
    except MlmagicError as error:
        yield Finding("schema", "failed", str(error), part)
        return
    found.add(feeds, faults(checking.bundle.schema, feeds))
    yield from _of_rows(checking, found, part)


def _of_rows(checking: Checking, found: _Rows, part: str) -> Iterator[Finding]:
    yield _faults(found, part)
    feeds = found.good() if found.kept else {}
    if not feeds or not rows_of(feeds) or checking.scorer is None:
        yield Finding("rows", "failed" if not found.wrong else "told", "no row that the bundle could answer", part)
        return
    try:
        answers = score_in_pieces(checking.scorer, feeds)
    except MlmagicError as error:
        yield Finding("answers", "failed", str(error), part)
        return
    yield from _rules(checking, found, feeds, answers, part)
    yield from _drift(checking, feeds, answers, part)


def _faults(found: _Rows, part: str) -> Finding:
    if not found.wrong:
        return Finding("schema", "ok", f"{found.rows:,} rows are such as the bundle takes", part)
    by = ", ".join(f"{name} {count:,}" for name, count in found.columns.most_common(_SHOWN))
    told = "; ".join(map(str, found.first))
    words = f"{found.wrong:,} of {found.rows:,} rows are refused ({by}); the first, counted from 0: {told}"
    return Finding("schema", "failed", words, part)


def _rules(checking: Checking, found: _Rows, feeds: Feeds, answers: Answers, part: str) -> Iterator[Finding]:
    try:
        rules = rules_in(checking.bundle) if checking.may_run else []
        for one in run_rules(checking.bundle.schema, rules, feeds, answers):
            yield _judged(one, found.places, part)
    except MissingPackageError as error:
        yield Finding("assertions", "told", str(error), part)
    except MisuseError:  # their file is damaged, as was told of the bundle itself
        return


def _judged(one: Checked, places: Sequence[int], part: str) -> Finding:
    """A rule that fires is what somebody who checks data wants to know of, whatever its action."""
    name = f"assertion {one.name}"
    if one.error is not None:
        return Finding(name, "failed", f"gave no answer: {one.error}", part)
    if not one.fired:
        return Finding(name, "ok", f"fine on {one.rows:,} rows", part)
    words = f"fired on {one.fired:,} of {one.rows:,} rows, severity up to {one.severity_max:g}"
    words += f" (row {places[one.worst(1)[0]]:,}, counted from 0)"
    return Finding(name, "failed", words, part)


def _drift(checking: Checking, feeds: Feeds, answers: Answers, part: str) -> Iterator[Finding]:
    bundle = checking.bundle
    if not bundle.has(folder.PROFILE):
        yield Finding("drift", "told", "not compared: the bundle has no reference", part)
        return
    try:
        reference = profile_in(bundle.read(folder.PROFILE))
    except MlmagicError as error:
        yield Finding("drift", "failed", str(error), part)
        return
    try:
        found = compare(reference, table_to_compare(bundle.schema, feeds, answers, reference), joint=False)
    except MlmagicError as error:  # without scipy, or nothing to compare
        yield Finding("drift", "told", f"not compared: {error}", part)
        return
    counts = f"{len(found.drifted)} of {len(found.columns)} columns drifted from the {reference.rows:,} reference rows"
    worst = [f"{one.name}: {one.because}" for one in found.columns if one.verdict == "drift"][:_SHOWN]
    yield Finding("drift", "failed" if found.drifted else "ok", "; ".join([counts, *worst]), part)
