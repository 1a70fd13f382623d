"""What an exporter makes of a model: its ONNX graph, what that takes and gives, and a way to ask the model itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from mlmagic.bundles.rows import Feeds
from mlmagic.bundles.schema import Schema
from mlmagic.errors import MisuseError

Answers = dict[str, NDArray[Any]]
"""Output of the graph -> its array; the first axis of each is the rows."""


class ExportError(MisuseError):
    """A model cannot leave the notebook; one line that says which step, why, and what can be done."""


@dataclass(frozen=True)
class Graph:
    """A model as an ONNX graph.

    Attributes
    ----------
    content : bytes
        The ONNX model, weights inside; its inputs and outputs have the names of `schema`.
    schema : Schema
    framework : str
        ``scikit-learn 1.9.1``, ``torch 2.13.0``, …
    model_type : str
        Its class; of a pipeline also its steps' classes, in words.
    ask : callable
        What the model in the notebook answers for the same inputs, under the same names: `Feeds` in, `Answers` out.
    ask_exactly : callable or None
        What it answers for the data as it was, not rounded to float32: a table in, `Answers` out.
    notes : tuple of str
        What was done to the model for its export.
    decide : callable or None
        Of a classifier without probabilities, its decision function's values: `Feeds` in, an array out, by which the
        parity gate knows the rows whose label hangs on a rounding.
    """

    content: bytes
    schema: Schema
    framework: str
    model_type: str
    ask: Callable[[Feeds], Answers]
    ask_exactly: Callable[[Any], Answers] | None = None
    notes: tuple[str, ...] = field(default=())
    decide: Callable[[Feeds], NDArray[Any]] | None = None
