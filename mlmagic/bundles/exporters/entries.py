"""What a library's exporter tells the converter of scikit-learn models: one entry for each class of model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A class of models and how it is converted.

    Attributes
    ----------
    model : type
    alias : str
        The converter's name for it.
    shapes, convert : callable
        As the converter's registration takes them.
    options : mapping
        What may be asked of the conversion.
    parser : callable or None
        What makes operators of a model that holds others.
    """

    model: type
    alias: str
    shapes: Callable[[Any], None]
    convert: Callable[[Any, Any, Any], None]
    options: dict[str, Any] | None = field(default=None)
    parser: Callable[..., Any] | None = None


CLASSIFIER_OPTIONS: dict[str, Any] = {
    "nocl": [True, False],
    "zipmap": [True, False, "columns"],
}
