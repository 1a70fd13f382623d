"""`OrdinalEncoder` of text: codes, the code of what is unknown and the code of nulls, each as the encoder has it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mlmagic.bundles.rows import NULL

Converter = Callable[[Any, Any, Any], None]


def with_text(convert: Converter) -> Converter:
    """The converter's own way for numbers, ours for text: its knows no null texts beside an unknown value."""

    def converting(scope: Any, operator: Any, container: Any) -> None:
        from skl2onnx.common.data_types import StringTensorType

        encoder = operator.raw_operator
        grouped = getattr(encoder, "_infrequent_enabled", False)
        if grouped or not all(isinstance(one.type, StringTensorType) for one in operator.inputs):
            convert(scope, operator, container)
        else:
            _convert(scope, operator, container)

    return converting


def codes_of(encoder: Any, categories: Any) -> tuple[list[str], list[float], float]:
    """The texts of a column, the code of each, and the code of any other text.

    A null is the empty text here. Where the encoder refuses unknown texts they are NaN, and the schema refuses them.
    """
    missing = float(encoder.encoded_missing_value)
    codes = [missing if text == NULL else float(code) for code, text in enumerate(categories)]
    unknown = encoder.unknown_value
    return [str(text) for text in categories], codes, math.nan if unknown is None else float(unknown)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    encoder = operator.raw_operator
    source = operator.inputs[0].full_name
    if len(operator.inputs) > 1:
        source = scope.get_unique_variable_name("texts")
        container.add_node("Concat", [one.full_name for one in operator.inputs], [source], axis=1)
    coded = [
        _column(scope, container, source, place, codes_of(encoder, categories))
        for place, categories in enumerate(encoder.categories_)
    ]
    joined = scope.get_unique_variable_name("codes")
    container.add_node("Concat", coded, [joined], axis=1)
    to = TensorProto.FLOAT if np.issubdtype(encoder.dtype, np.floating) else TensorProto.INT64
    container.add_node("Cast", [joined], operator.output_full_names, to=to)


def _column(scope: Any, container: Any, source: str, place: int, codes: tuple[list[str], list[float], float]) -> str:
    """The name of a column of codes, shape (rows, 1)."""
    from onnx import TensorProto

    texts, values, unknown = codes
    index, column, coded = (scope.get_unique_variable_name(name) for name in ("place", "column", "coded"))
    container.add_initializer(index, TensorProto.INT64, [1], [place])
    container.add_node("Gather", [source, index], [column], axis=1)
    container.add_node(
        "LabelEncoder",
        [column],
        [coded],
        op_domain="ai.onnx.ml",
        op_version=2,
        keys_strings=[text.encode() for text in texts],
        values_floats=values,
        default_float=unknown,
    )
    return str(coded)
