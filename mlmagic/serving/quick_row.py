"""The step from bytes to one wide row of numbers, where a body holds nothing else; any other goes the long way.

Of some hundred numbers, making Python objects of each takes longer than scoring them. simdjson writes them side by side
instead (Langdale and Lemire, *Parsing Gigabytes of JSON per Second*, VLDB Journal 2019), and refuses what is no number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.schema import Schema
from mlmagic.serving.packages import simdjson

_LEAST, _MOST = 100, 20_000  # numbers in a row: of fewer the long way is as quick, of more it hardly matters
_LONGEST = 1 << 20  # bytes of a body

Row = NDArray[np.float32]
_OTHERWISE = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError)  # what simdjson refuses with


class QuickRow:
    """Reads bodies with one row of a model that takes one long list of numbers.

    Parameters
    ----------
    schema : Schema
    """

    def __init__(self, schema: Schema) -> None:
        numbers = schema.layout != "columns" and len(schema.shape) == 1 and schema.fields[0].type == "float32"
        self._width = schema.width
        fits = numbers and _LEAST <= schema.width <= _MOST
        module = simdjson()
        self._parser: Any = module.Parser() if fits and module is not None else None

    def of_rows(self, body: bytes) -> Row | None:
        """The row of ``{"rows": [[…]]}``, shape (1, numbers)."""
        if self._parser is None or len(body) > _LONGEST or body.count(b"[") != 2:
            return None
        try:
            rows = self._parser.parse(body)["rows"]
            return self._row(rows[0]) if len(rows) == 1 else None
        except _OTHERWISE:
            return None

    def of_tensor(self, body: bytes) -> Row | None:
        """The row of a request of the inference protocol with one flat FP32 tensor of shape [1, numbers]."""
        if self._parser is None or len(body) > _LONGEST or body.count(b"[") != 3:
            return None
        try:
            asked = self._parser.parse(body)
            inputs = asked["inputs"]
            one = inputs[0]
            if len(asked) != 1 or len(inputs) != 1 or len(one) != 4 or type(one["name"]) is not str:
                return None
            if one["datatype"] != "FP32" or one["shape"].as_list() != [1, self._width]:
                return None
            return self._row(one["data"])
        except _OTHERWISE:
            return None

    def _row(self, numbers: Any) -> Row | None:
        found = np.frombuffer(numbers.as_buffer(of_type="d"))
        if found.size != self._width:
            return None
        with np.errstate(over="ignore"):  # beyond float32 it is infinite, which is told with the column's name
            return found.astype(np.float32).reshape(1, -1)
