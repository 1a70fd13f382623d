"""What an export came to, for its reader: facts in, text and data out; `views` draws the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlmagic.bundles.parity import TOLERANCE
from mlmagic.bundles.readme import seen, words_of
from mlmagic.bundles.schema import PROBABILITIES, Schema
from mlmagic.config import shown_path
from mlmagic.results import Result

SHOWN = 12  # inputs in the text face
HEADLINES = ("roc_auc", "roc_auc_ovr", "accuracy", "balanced_accuracy", "log_loss", "r2", "mae", "rmse")


@dataclass(frozen=True, repr=False)
class ExportReport(Result):
    """A model that left the notebook.

    Attributes
    ----------
    name, version, bundle_id, path : str
        Of the bundle.
    model, model_type, framework : str
        What was exported.
    schema : Schema
    parity : mapping
        How close the bundle's answers are to the model's; as `records.Bundle` has it.
    parity_lines : tuple of str
        The same in words.
    metrics : mapping
        The bundle's own statistics on the holdout; empty where there are no true labels.
    timing : sequence of mapping
        ``rows`` and ``seconds`` of batches.
    rules : tuple of str
        Assertions that travel along.
    refused : mapping
        Assertion that does not -> why.
    nbytes : int
        Of all files.
    holdout_rows : int
    reference : str
        The rows that drift is measured from, in words.
    notes : tuple of str
    seconds : float or None
        What the export took.
    """

    name: str
    version: str
    bundle_id: str
    path: str
    model: str
    model_type: str
    framework: str
    schema: Schema
    parity: Mapping[str, Any]
    parity_lines: tuple[str, ...]
    metrics: Mapping[str, float]
    timing: Sequence[Mapping[str, Any]]
    rules: tuple[str, ...]
    refused: Mapping[str, str]
    nbytes: int
    holdout_rows: int
    reference: str
    notes: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def headline(self) -> str:
        """What it is and where, in one line."""
        size = f"{self.nbytes / 1e6:.1f} MB" if self.nbytes >= 100_000 else f"{self.nbytes / 1e3:.0f} kB"
        took = "" if self.seconds is None else f", in {self.seconds:.1f} s"
        return f"exported {self.name} (version {self.version}) to {shown_path(self.path)}: {size}{took}"

    def facts(self) -> list[tuple[str, str]]:
        """What there is to say, under a heading each."""
        found = [("model", f"{self.model}: {self.model_type} ({self.framework})")]
        found.append(("inputs", inputs_in_words(self.schema)))
        found += [("parity", line) for line in self.parity_lines]
        if self.metrics:
            told = ", ".join(f"{name} {self.metrics[name]:.4g}" for name in HEADLINES if name in self.metrics)
            found.append(("on the holdout", told))
        if self.timing:
            found.append(("batch times", times_in_words(self.timing)))
        held = f"{_rows(self.holdout_rows)} with expected answers" if self.holdout_rows else "none"
        found.append(("holdout", held))
        found.append(("reference", self.reference))
        if self.rules:
            found.append(("assertions", ", ".join(self.rules)))
        found += [("left out", f"assertion {name}: {why}") for name, why in self.refused.items()]
        found += [("note", note) for note in self.notes]
        return [*found, ("next", f"%serve {self.name}")]

    def text(self) -> str:
        facts = self.facts()
        width = max(len(name) for name, _ in facts)
        return "\n".join([self.headline, *(f"  {name:<{width}}  {told}" for name, told in facts)])

    def to_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        told = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return {**told, "schema": self.schema.to_dict(), "timing": [dict(one) for one in self.timing]}

    def to_pandas(self) -> Any:
        """A row for each column that the model takes."""
        import pandas

        return pandas.DataFrame(input_rows(self.schema), columns=["column", "type", "null", "seen"])


def input_rows(schema: Schema) -> list[tuple[str, str, str, str]]:
    """Name, type, null or not, and range or categories of each column."""
    return [
        (field.name, words_of(field), "allowed" if field.nullable else "no", seen(field)) for field in schema.fields
    ]


def inputs_in_words(schema: Schema) -> str:
    """The model's inputs in one line."""
    if schema.layout == "tensor":
        return f"arrays of shape ({', '.join(['rows', *map(str, schema.shape)])}), {schema.fields[0].type}"
    told = [f"{field.name} ({words_of(field)})" for field in schema.fields[:SHOWN]]
    left = len(schema.fields) - SHOWN
    return f"{len(schema.fields)}: {', '.join(told)}" + (f" and {left:,} more" if left > 0 else "")


def parity_in_words(parity: Mapping[str, Any]) -> list[str]:
    """A sentence for each set of rows that model and graph were compared on."""
    allowed = parity["tolerances"]
    return [_of_set(name, one, allowed) for name, one in parity["sets"].items()]


def _of_set(name: str, one: Mapping[str, Any], allowed: Mapping[str, float]) -> str:
    told = [
        f"{output} within {apart:.1e} of the model ({in_words(output, allowed[output])})"
        for output, apart in one["differences"].items()
    ]
    if "label" in allowed:
        close = one["close_calls"]
        told.append("all labels equal" if not close else f"{close:,} labels differ where the model itself is undecided")
    if one["drift"] is not None:
        moved = ", ".join(_drift(output, apart) for output, apart in one["drift"].items() if apart)
        many = f", {one['moved']:,} rows by more than allowed" if one["moved"] else ""
        told.append(f"rounding to float32 moved {moved or 'nothing'}{many}")
    left = f" ({one['left_out']:,} more were left out: the bundle refuses them)" if one["left_out"] else ""
    return f"{name}, {_rows(one['rows'])}{left}: {'; '.join(told)}"


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def in_words(output: str, allowed: float) -> str:
    """A tolerance as its reader needs it: probabilities are never large, so theirs is a single number."""
    own = "" if output == PROBABILITIES else f", or {TOLERANCE:.0e} of the value"
    return f"allowed {allowed:.0e}{own}"


def _drift(output: str, apart: float) -> str:
    return f"{apart:.2%} of the labels" if output == "label" else f"{output} by up to {apart:.1e}"


def times_in_words(timing: Sequence[Mapping[str, Any]]) -> str:
    """A batch-time curve: its ends, and the best rate."""
    known = [one for one in timing if one["seconds"] > 0]
    if not known:
        return "not measured"
    ends = known if len(known) < 3 else [known[0], known[len(known) // 2], known[-1]]
    told = ", ".join(f"{_rows(one['rows'])} in {one['seconds'] * 1e3:.3g} ms" for one in ends)
    return f"{told}; {best_in_words(known)}"


def best_in_words(timing: Sequence[Mapping[str, Any]]) -> str:
    """The size of batches at which most rows are answered."""
    best = max(timing, key=lambda one: one["rows"] / one["seconds"])
    return f"best {best['rows'] / best['seconds']:,.0f} rows/s, in batches of {best['rows']:,} (one thread)"
