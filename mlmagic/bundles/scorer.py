"""The step from inputs to answers: a graph and arrays come in, arrays by output name go out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic._optional import need
from mlmagic.bundles.graph import Answers
from mlmagic.bundles.operators import check_operators
from mlmagic.bundles.schema import NUMPY, Schema
from mlmagic.errors import MisuseError

_TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)", "bool": "tensor(bool)", "string": "tensor(string)"}


class Scorer:
    """A graph, ready to answer.

    Parameters
    ----------
    content : bytes
        The ONNX model; nothing besides is ever read for it.
    schema : Schema
    threads : int
        Within one call. One, unless calls are few and large: spinning threads cost more than they bring.

    Raises
    ------
    MisuseError
        It is no ONNX model, uses operators that are not allowed, or does not fit its schema.
    """

    def __init__(self, content: bytes, schema: Schema, threads: int = 1) -> None:
        check_operators(content)
        runtime = need("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what it says goes to the kernel's own error output, past everything
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes, by kind of failure
            raise MisuseError(f"the bundle's model cannot be loaded: {_first_line(error)}") from error
        self.schema = schema
        self._outputs = [output.name for output in schema.outputs]
        self._check()

    def score(self, feeds: Mapping[str, NDArray[Any]]) -> Answers:
        """The answers for some inputs.

        Raises
        ------
        MisuseError
            The model failed on these rows; one line.
        """
        try:
            found = self._session.run(self._outputs, dict(feeds))
        except Exception as error:  # onnxruntime's own classes, by kind of failure
            raise MisuseError(f"the model failed on these rows: {_first_line(error)}") from error
        return dict(zip(self._outputs, found, strict=True))

    def _check(self) -> None:
        schema, takes, gives = self.schema, self._session.get_inputs(), self._session.get_outputs()
        columns = schema.layout == "columns"
        wanted = {field.tensor if columns else schema.tensor: field.type for field in schema.fields}
        promised = {(output.name, _TYPES[output.type]) for output in schema.outputs}
        if {one.name: one.type for one in takes} != {name: _TYPES[kind] for name, kind in wanted.items()}:
            raise MisuseError("the bundle's schema does not fit its model: other inputs")
        if not promised <= {(one.name, one.type) for one in gives}:
            raise MisuseError("the bundle's schema does not fit its model: other outputs")


def empty_feeds(schema: Schema, rows: int) -> dict[str, NDArray[Any]]:
    """Inputs of zeros and empty texts, for timing a graph and for warming it up."""
    if schema.layout != "columns":
        return {schema.tensor: np.zeros((rows, *schema.shape), NUMPY[schema.fields[0].type])}
    return {field.tensor: np.full((rows, 1), _zero(field.type), NUMPY[field.type]) for field in schema.fields}


def _zero(kind: str) -> Any:
    return "" if kind == "string" else 0


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
