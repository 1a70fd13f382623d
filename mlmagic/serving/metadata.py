"""What a model takes and gives, in the words of each interface: a schema comes in, plain values go out."""

from __future__ import annotations

from typing import Any

from mlmagic.bundles.schema import Schema
from mlmagic.serving.tensors import DATATYPES


def schema_of_v1(schema: Schema) -> dict[str, Any]:
    """Columns, outputs and classes for `GET /v1/models/NAME`."""
    columns = [
        {
            "name": field.name,
            "type": field.type,
            "dtype": field.dtype,
            "nullable": field.nullable,
            "range": None if field.low is None else [field.low, field.high],
            "categories": None if field.categories is None else list(field.categories),
            "closed": field.closed,
        }
        for field in schema.fields
    ]
    return {
        "columns": columns,
        "named": schema.named,
        "shape": list(schema.shape),
        "outputs": [{"name": one.name, "type": one.type, "shape": list(one.shape)} for one in schema.outputs],
        "classes": None if schema.classes is None else list(schema.classes),
    }


def tensors_of_v2(schema: Schema) -> dict[str, Any]:
    """Inputs and outputs for `GET /v2/models/NAME`; ``-1`` is any number of rows."""
    if schema.layout == "columns":
        inputs = [_tensor(field.name, field.type, (1,)) for field in schema.fields]
    else:
        inputs = [_tensor(schema.tensor, schema.fields[0].type, schema.shape)]
    return {"inputs": inputs, "outputs": [_tensor(one.name, one.type, one.shape) for one in schema.outputs]}


def _tensor(name: str, kind: str, shape: tuple[int | None, ...]) -> dict[str, Any]:
    return {"name": name, "datatype": DATATYPES[kind], "shape": [-1, *(-1 if size is None else size for size in shape)]}
