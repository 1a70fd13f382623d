"""The step that proves a bundle where it is: a folder comes in, and a file of rows maybe; what holds and what not out.

Nothing of the notebook is needed: no scikit-learn, no data frames unless a rule asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mlmagic.bundles import folder
from mlmagic.bundles.checked import CheckedBundle, Finding, State
from mlmagic.bundles.graph import Answers
from mlmagic.bundles.holdout import Holdout, holdout_of
from mlmagic.bundles.operators import check_operators
from mlmagic.bundles.parity import differing, gaps, margins, tolerances
from mlmagic.bundles.report import best_in_words, in_words, times_in_words
from mlmagic.bundles.rules import rules_in, run_rules
from mlmagic.bundles.schema import Schema
from mlmagic.bundles.scorer import Scorer
from mlmagic.bundles.timing import batch_times
from mlmagic.checks.assertions import Checked
from mlmagic.errors import MissingPackageError, MisuseError, MlmagicError

_UNTRUSTED = "not run: the bundle is not signed with this user's key, and rules are Python; --trust runs them"


@dataclass
class Checking:
    """A bundle under examination; what is found out in one step serves the next.

    Parameters
    ----------
    bundle : folder.Bundle
    trust : bool
        Run its rules although it is not signed with the user's key.
    """

    bundle: folder.Bundle
    trust: bool = False
    scorer: Scorer | None = None
    holdout: Holdout | None = None

    def result(self, more: Callable[[Checking], Iterator[Finding]] | None = None) -> CheckedBundle:
        """Everything that is to be said of the bundle, and what `more` says of it."""
        found = [*self._folder(), *self._model(), *self._holdout(), *self._rules()]
        if more is not None and self.scorer is not None:
            found += more(self)
        bundle = self.bundle
        return CheckedBundle(bundle.name, bundle.version, str(bundle.path), tuple(found))

    # -- what lies there -----------------------------------------------------------------------------

    def _folder(self) -> Iterator[Finding]:
        wrong = [error for file in self.bundle.manifest["files"] if (error := self._broken(file))]
        if wrong:
            yield Finding("files", "failed", "; ".join(wrong))
        else:
            files = self.bundle.manifest["files"]
            yield Finding("files", "ok", f"{len(files)} files are what was exported{self._unlisted()}")
        signed = "by this user's key" if self.bundle.signed else "not by this user's key, so it may come from anywhere"
        yield Finding("signature", "ok" if self.bundle.signed else "told", signed)

    def _broken(self, file: str) -> str:
        try:
            self.bundle.read(file)
        except MisuseError as error:
            return str(error)
        return ""

    def _unlisted(self) -> str:
        known = {*self.bundle.manifest["files"], folder.MANIFEST, folder.SIGNATURE}
        others = sorted(path.name for path in self.bundle.path.iterdir() if path.name not in known)
        return f"; not listed, so never opened: {', '.join(others[:5])}" if others else ""

    # -- what it computes ----------------------------------------------------------------------------

    def _model(self) -> Iterator[Finding]:
        try:
            content = self.bundle.read(folder.MODEL)
            check_operators(content)
        except MlmagicError as error:
            yield Finding("operators", "failed", str(error))
            return
        yield Finding("operators", "ok", "standard ones only, all weights inside")
        try:
            self.scorer = Scorer(content, self.bundle.schema)
        except MlmagicError as error:
            yield Finding("schema", "failed", str(error))
            return
        schema = self.bundle.schema
        gives = ", ".join(output.name for output in schema.outputs)
        yield Finding("schema", "ok", f"fits the model: {len(schema.fields)} columns in, {gives} out")

    def _holdout(self) -> Iterator[Finding]:
        if not self.bundle.has(folder.HOLDOUT):
            yield Finding("parity", "told", "not compared: the bundle was exported without holdout rows")
            return
        if self.scorer is None:
            yield Finding("parity", "told", "not compared: there is no model to ask")
            return
        try:
            self.holdout = holdout_of(self.bundle.schema, self.bundle.read(folder.HOLDOUT))
            found = self.scorer.score(self.holdout.feeds)
            yield Finding("parity", *_compared(self.bundle.schema, self.holdout, found, self._allowed()))
            yield Finding("batch times", "told", self._times(self.scorer, self.holdout))
        except MlmagicError as error:
            yield Finding("parity", "failed", str(error))

    def _allowed(self) -> dict[str, float]:
        """Tolerances of the export: for numbers they go by all the rows that were compared there."""
        known = tolerances(self.bundle.schema, [self.holdout.answers] if self.holdout else [])
        told = self.bundle.json(folder.PARITY) if self.bundle.has(folder.PARITY) else {}
        try:
            found = {name: float(told["tolerances"][name]) for name in known} if told else known
            if not np.isfinite(list(found.values())).all():
                raise ValueError(f"tolerances {found}")
            return found
        except (TypeError, KeyError, ValueError) as error:
            raise MisuseError(f"the bundle's {folder.PARITY} is damaged ({error})") from error

    def _times(self, scorer: Scorer, holdout: Holdout) -> str:
        before = self.bundle.json(folder.TIMING) if self.bundle.has(folder.TIMING) else []
        try:
            there = f"; at the export {best_in_words(before)}" if before else ""
        except (TypeError, KeyError, AttributeError, ValueError, ArithmeticError) as error:
            raise MisuseError(f"the bundle's {folder.TIMING} is damaged ({type(error).__name__}: {error})") from error
        return times_in_words(batch_times(scorer, self.bundle.schema, feeds=holdout.feeds)) + there

    # -- its rules -----------------------------------------------------------------------------------

    @property
    def may_run(self) -> bool:
        """Its rules may run here."""
        return self.trust or self.bundle.signed

    def _rules(self) -> Iterator[Finding]:
        """On the holdout a rule has to say what it said at the export."""
        try:
            rules = rules_in(self.bundle)
            if rules and not self.may_run:
                yield Finding("assertions", "told", f"{', '.join(rule.name for rule in rules)}: {_UNTRUSTED}")
            elif rules and self.holdout is not None:
                before = self.bundle.manifest.get("holdout", {}).get("fired", {})
                for one in run_rules(self.bundle.schema, rules, self.holdout.feeds, self.holdout.answers):
                    yield _as_before(one, before.get(one.name))
        except MissingPackageError as error:
            yield Finding("assertions", "told", str(error))
        except MlmagicError as error:
            yield Finding("assertions", "failed", str(error))


def _as_before(found: Checked, before: int | None) -> Finding:
    name = f"assertion {found.name}"
    if found.error is not None:
        return Finding(name, "failed", f"gave no answer on the holdout: {found.error}")
    told = f"fired on {found.fired:,} of {found.rows:,} holdout rows"
    if before is None or before == found.fired:
        return Finding(name, "ok", told + (", as at the export" if before is not None else ""))
    return Finding(name, "failed", f"{told}, and on {before:,} at the export")


def _compared(schema: Schema, holdout: Holdout, found: Answers, allowed: dict[str, float]) -> tuple[State, str]:
    """Answers here beside those that were to be expected."""
    wrong = differing(schema, holdout.answers, found, allowed, margins(holdout.answers, None))
    apart = {
        output.name: float(gaps(holdout.answers[output.name], found[output.name]).max(initial=0.0))
        for output in schema.outputs
        if output.type == "float32"
    }
    told = ", ".join(f"{name} within {far:.1e} ({in_words(name, allowed[name])})" for name, far in apart.items())
    rows = np.zeros(holdout.rows, bool)
    for mask in wrong.values():
        rows |= mask.any(axis=1)
    if rows.any():
        first = int(np.flatnonzero(rows)[0])
        names = [name for name, mask in wrong.items() if mask[first].any()]
        many = f"{rows.sum():,} of {holdout.rows:,} holdout rows"
        return "failed", f"{many} are answered otherwise, first row {first} ({names[0]}): {told}"
    labels = "all labels equal" if any(output.type != "float32" for output in schema.outputs) else ""
    return "ok", "; ".join(filter(None, [f"{holdout.rows:,} holdout rows answered as expected", told, labels]))
