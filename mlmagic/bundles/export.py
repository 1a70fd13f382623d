"""The last step of an export: a model's graph and what is to travel with it come in, a proven bundle goes out."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlmagic._optional import loaded
from mlmagic.bundles import folder
from mlmagic.bundles.graph import ExportError, Graph
from mlmagic.bundles.holdout import Holdout, blanked, chosen, holdout_of, lines_of, plain_target, take
from mlmagic.bundles.metrics import metrics_of
from mlmagic.bundles.parity import check_parity
from mlmagic.bundles.profiling import profile_of
from mlmagic.bundles.readme import readme
from mlmagic.bundles.report import SHOWN, ExportReport, parity_in_words
from mlmagic.bundles.rows import Feeds, faults, feeds_of, rows_of
from mlmagic.bundles.rules import portable, run_rules
from mlmagic.bundles.schema import LABEL, Schema
from mlmagic.bundles.scorer import Scorer
from mlmagic.bundles.scoring import score_in_pieces
from mlmagic.bundles.timing import batch_times
from mlmagic.config import is_secret
from mlmagic.errors import MlmagicError
from mlmagic.records import Assertion, as_json
from mlmagic.tables import table_of

PACKAGES = {  # distribution -> module; of those that the process has loaded, the version is told
    "numpy": "numpy", "scikit-learn": "sklearn", "torch": "torch", "xgboost": "xgboost", "lightgbm": "lightgbm",
    "onnx": "onnx", "onnxruntime": "onnxruntime", "skl2onnx": "skl2onnx", "onnxmltools": "onnxmltools",
    "onnxscript": "onnxscript",
}  # fmt: skip
MOST_PROFILED = 200_000  # rows of the reference
MOST_COMPARED = 20_000  # rows of a set, except for the holdout


@dataclass(frozen=True)
class Order:
    """What is to be exported, besides the graph.

    Attributes
    ----------
    name : str
        Of the bundle.
    sets : mapping
        Name -> rows, as the user has them: first the holdout where there is one, then the training data, then others
        that the notebook has seen. The bundle has to answer as the model does on all of them.
    holdout, train : str or None
        Which of them.
    target : array or None
        True answers for the holdout.
    rules : sequence of Assertion
    script : str or None
        The cells that made the model.
    about : mapping
        For the manifest: ``bundle_id, created_at, model, model_version, execution_id, mlmagic``.
    notes : sequence of str
    """

    name: str
    sets: Mapping[str, Any]
    about: Mapping[str, Any]
    holdout: str | None = None
    train: str | None = None
    target: Any = None
    rules: Sequence[Assertion] = ()
    script: str | None = None
    notes: Sequence[str] = field(default=())


def export_bundle(graph: Graph, order: Order, bundles: Path, key: bytes | None) -> tuple[folder.Bundle, ExportReport]:
    """Prove that a graph answers as its model does, and lay it down as a bundle.

    Parameters
    ----------
    bundles : Path
        The folder of all bundles.
    key : bytes or None
        The user's, to sign it.

    Raises
    ------
    ExportError
        The graph answers otherwise, or the data is not what the model takes.
    """
    return _Export(graph, order).result(bundles, key)


class _Export:
    """One export under way: each part is made once, and tells what there is to know of it."""

    def __init__(self, graph: Graph, order: Order) -> None:
        self.graph, self.order = graph, order
        self.scorer = Scorer(graph.content, graph.schema)
        self.secret = frozenset(name for name in graph.schema.names if is_secret(name))
        self.schema = _without_values(graph.schema, self.secret)
        self.notes = [*graph.notes, *order.notes, *_about_secrets(self.secret), *_about_sets(order)]
        self.feeds = dict(self._readable())

    def result(self, bundles: Path, key: bytes | None) -> tuple[folder.Bundle, ExportReport]:
        parity = check_parity(self.graph, self.scorer, self._compared())
        metrics = self._metrics()
        holdout = self._holdout()
        few = self._few()
        rules, refused = self._rules(few)
        timing = batch_times(self.scorer, self.schema, feeds=few)
        reference, profile = self._profile()
        parts = {
            folder.MODEL: self.graph.content,
            folder.SCHEMA: _as_json(self.schema.to_dict()),
            folder.HOLDOUT: holdout,
            folder.RULES: _as_json([as_json(rule) for rule in rules]) if rules else None,
            folder.PROFILE: profile,
            folder.SLICE: None if self.order.script is None else self.order.script.encode(),
            folder.PARITY: _as_json(parity.to_dict()),
            folder.TIMING: _as_json(timing),
        }
        files = {name: content for name, content in parts.items() if content is not None}
        about = {**self._about(), "holdout": self._proof(holdout, rules), "metrics": metrics, "reference": reference}
        lines = tuple(parity_in_words(parity.to_dict()))
        files[folder.README] = readme(
            {**about, "name": self.order.name}, self.schema, _first(holdout), lines, list(files)
        ).encode()
        made = folder.write_bundle(bundles, self.order.name, files, about, key)
        return made, ExportReport(
            name=made.name,
            version=made.version,
            bundle_id=made.bundle_id,
            path=str(made.path),
            model=str(about["model"]),
            model_type=self.graph.model_type,
            framework=self.graph.framework,
            schema=self.schema,
            parity=parity.to_dict(),
            parity_lines=lines,
            metrics=metrics,
            timing=timing,
            rules=tuple(rule.name for rule in rules),
            refused=refused,
            nbytes=sum(map(len, files.values())),
            holdout_rows=about["holdout"]["rows"],
            reference=reference,
            notes=tuple(dict.fromkeys(self.notes)),
        )

    # -- parts ---------------------------------------------------------------------------------------

    def _readable(self) -> Iterator[tuple[str, Feeds]]:
        """The sets as inputs; one that only happens to have the model's columns may be none, and goes."""
        needed = [name for name in (self.order.holdout, self.order.train) if name is not None]
        for name, data in self.order.sets.items():
            try:
                feeds = feeds_of(self.graph.schema, data)
            except MlmagicError as error:
                if name in needed:
                    raise ExportError(f"{name} is not what the model takes: {error}") from error
                continue
            if name in needed or len(faults(self.graph.schema, feeds)) < rows_of(feeds):
                yield name, feeds

    def _fine(self, name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Positions of the rows of a set that the bundle takes."""
        wrong = faults(self.graph.schema, self.feeds[name])
        rows = np.setdiff1d(np.arange(rows_of(self.feeds[name])), list(wrong))
        first = wrong[min(wrong)] if wrong else None
        if wrong:
            self.notes.append(f"{len(wrong):,} of the rows of {name}, which the bundle refuses, were left out: {first}")
        if not len(rows):
            raise ExportError(f"no row of {name} is one that the bundle takes" + (f": {first}" if wrong else ""))
        return rows

    def _compared(self) -> dict[str, Any]:
        """The sets to compare on: all of the holdout; of others, which may be large and the model slow, some rows."""
        sets = {}
        for name, feeds in self.feeds.items():
            data, rows = self.order.sets[name], rows_of(feeds)
            if name != self.order.holdout and rows > MOST_COMPARED:
                name, data = f"{name} ({MOST_COMPARED:,} drawn of {rows:,} rows)", _some_rows(data, rows)
            sets[name] = data
        return sets

    def _few(self) -> Feeds:
        """Some rows to measure with."""
        name = next(iter(self.feeds))
        rows = self._fine(name)
        return take(self.feeds[name], rows[chosen(len(rows))])

    def _metrics(self) -> dict[str, float]:
        """The bundle's own statistics on the holdout."""
        name = self.order.holdout
        if name is None or self.order.target is None:
            return {}
        rows = self._fine(name)
        answers = score_in_pieces(self.scorer, take(self.feeds[name], rows))
        try:
            return metrics_of(self.schema, answers, np.asarray(self.order.target)[rows])
        except MlmagicError as error:
            self.notes.append(f"no statistics on {name}: {error}")
            return {}

    def _holdout(self) -> bytes | None:
        """The holdout's file: its rows, what the model answers for them as they are written, and the truth."""
        name, schema = self.order.holdout, self.graph.schema
        if name is None:
            return None
        if any(field.closed and field.name in self.secret for field in schema.fields):
            self.notes.append("no holdout rows: a column that looks secret takes known values only")
            return None
        rows = self._fine(name)
        rows = rows[chosen(len(rows))]
        feeds = blanked(schema, take(self.feeds[name], rows), self.secret)
        target = None if self.order.target is None else plain_target(np.asarray(self.order.target)[rows])
        made = Holdout(feeds, self.graph.ask(feeds), target)
        if LABEL in made.answers:  # a label that hangs on a rounding proves nothing elsewhere
            made = made.take(np.flatnonzero(made.answers[LABEL] == self.scorer.score(feeds)[LABEL]))
        return lines_of(self.schema, made) or None

    def _rules(self, feeds: Feeds) -> tuple[list[Assertion], dict[str, str]]:
        """The rules that answer to what the bundle gives them, and of each of the others why it does not travel."""
        rules, refused = portable(self.order.rules)
        for found in run_rules(self.schema, rules, feeds, self.scorer.score(feeds)) if rules else ():
            if found.error is not None:
                refused[found.name] = f"{found.error}; the bundle's columns are {_some(self.schema.names)}"
        return [rule for rule in rules if rule.name not in refused], refused

    def _profile(self) -> tuple[str, bytes | None]:
        """What the reference is, in words, and its file."""
        name = self.order.train or self.order.holdout or next(iter(self.feeds))
        rows = self._fine(name)
        rows = rows[chosen(len(rows), MOST_PROFILED)]
        feeds = take(self.feeds[name], rows)
        content = profile_of(self.schema, feeds, score_in_pieces(self.scorer, feeds), self.secret)
        if content is None:
            return "none: drift is measured by column, and the model takes none", None
        what = "training data" if name == self.order.train else "holdout" if name == self.order.holdout else "seen"
        return f"{len(rows):,} rows of {name} ({what})", content

    def _proof(self, content: bytes | None, rules: Sequence[Assertion]) -> dict[str, Any]:
        """What `mlmagic check` has to find again on the holdout's rows."""
        if content is None:
            return {"rows": 0, "labelled": False, "fired": {}}
        holdout = holdout_of(self.schema, content)
        fired = {}
        for found in run_rules(self.schema, rules, holdout.feeds, holdout.answers):
            fired[found.name] = found.fired
            if found.error is not None:
                self.notes.append(f"assertion {found.name} gave no answer on the holdout: {found.error}")
        return {"rows": holdout.rows, "labelled": holdout.target is not None, "fired": fired}

    def _about(self) -> dict[str, Any]:
        return {
            **self.order.about,
            "framework": self.graph.framework,
            "model_type": self.graph.model_type,
            "packages": _packages(),
            "notes": list(dict.fromkeys(self.notes)),
        }


def _some_rows(data: Any, rows: int) -> Any:
    places = chosen(rows, MOST_COMPARED)
    if isinstance(data, np.ndarray) or hasattr(data, "detach"):  # an array or a tensor
        return data[places]
    return table_of(data).take(places).to_pandas()


def _without_values(schema: Schema, secret: frozenset[str]) -> Schema:
    """The schema with nothing told of the values in some columns."""
    blank: dict[str, Any] = {"low": None, "high": None, "closed": False}
    fields = tuple(
        replace(field, **blank, categories=None if field.categories is None else ()) if field.name in secret else field
        for field in schema.fields
    )
    return replace(schema, fields=fields)


def _about_sets(order: Order) -> Iterator[str]:
    holdout, train = (None if name is None else order.sets[name] for name in (order.holdout, order.train))
    if holdout is not None and holdout is train:
        yield f"{order.holdout} is the training data itself: statistics on it say nothing about new rows"


def _about_secrets(secret: frozenset[str]) -> list[str]:
    names = ", ".join(sorted(secret))
    told = "its name suggests a secret, so its values are in no file; the model itself may hold some"
    return [f"column {names}: {told}"] if secret else []


def _packages() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name, module in PACKAGES.items() if loaded(module) is not None}


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")


def _first(holdout: bytes | None) -> dict[str, Any] | None:
    """The inputs of its first row."""
    if holdout is None:
        return None
    inputs: dict[str, Any] = json.loads(holdout.partition(b"\n")[0])["inputs"]
    return inputs


def _as_json(content: Any) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
