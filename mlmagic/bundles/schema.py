"""What a model takes and gives, by name and type: the contract between an exporter and everything that asks the model.

A schema is data: it comes from an exporter, travels in the bundle as JSON, and says how rows become the graph's inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from mlmagic.errors import MisuseError, UnknownNameError

Layout: TypeAlias = Literal["columns", "matrix", "tensor"]
TensorType: TypeAlias = Literal["float32", "int64", "bool", "string"]
TENSOR_TYPES: tuple[TensorType, ...] = get_args(TensorType)
NUMPY: dict[str, Any] = {"float32": np.float32, "int64": np.int64, "bool": np.bool_, "string": np.object_}

LABEL, PROBABILITIES, PREDICTION, OUTPUT = "label", "probabilities", "prediction", "output"


@dataclass(frozen=True)
class Field:
    """One column that the model takes.

    Attributes
    ----------
    name : str
        As in the notebook's data; ``x0``, ``x1``, … where that had no names.
    type : str
        Of the graph's input: ``float32``, ``int64``, ``bool`` or ``string``.
    dtype : str
        What it was in the notebook; rules see it as this again.
    tensor : str
        Name of the graph's input, of shape (rows, 1); empty where all columns make one input.
    nullable : bool
        The model answers where it is null (NaN; an empty text for strings), and the graph answers the same.
    low, high : float or None
        Range of the finite numbers in the data it was exported with. Told, not enforced: drift watches it.
    categories : tuple of str or None
        Texts in that data, the most frequent first, at most 1,000 unless `closed`; ``None`` for numbers, but for whole
        numbers where `closed`, as texts.
    closed : bool
        The model refuses any other category; so does a bundle.
    """

    name: str
    type: TensorType
    dtype: str
    tensor: str = ""
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] | None = None
    closed: bool = False

    @cached_property
    def known(self) -> frozenset[str]:
        """Its categories, for looking one up."""
        return frozenset(self.categories or ())


@dataclass(frozen=True, slots=True)
class Output:
    """One tensor that the model gives, under the name of the graph's output.

    Attributes
    ----------
    shape : tuple of int or None
        Of one row; ``None`` where it is not known before.
    """

    name: str
    type: TensorType
    shape: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class Schema:
    """What a model takes and gives.

    Attributes
    ----------
    layout : str
        ``columns``: an input of shape (rows, 1) for each field; ``matrix``: one of shape (rows, fields); ``tensor``:
        one of any other shape, with a single field.
    fields : tuple of Field
    tensor : str
        Name of the one input of ``matrix`` and ``tensor``; empty for ``columns``.
    shape : tuple of int
        Of one row of that input.
    outputs : tuple of Output
        ``label`` and ``probabilities`` of a classifier (``label`` alone where it has no probabilities), ``prediction``
        of a regressor, ``output`` (or the module's own names) of a network.
    answers : str
        The output that assertions are given, as `predict_proba` or else `predict` in the notebook.
    classes : tuple or None
        Of a classifier, in the order of `probabilities`.
    named : bool
        The columns had names in the notebook; without, rows may also come as lists.
    """

    layout: Layout
    fields: tuple[Field, ...]
    outputs: tuple[Output, ...]
    answers: str
    tensor: str = ""
    shape: tuple[int, ...] = ()
    classes: tuple[Any, ...] | None = None
    named: bool = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the columns, in order."""
        return tuple(field.name for field in self.fields)

    @cached_property
    def width(self) -> int:
        """Numbers in one row of the one input of ``matrix`` and ``tensor``; else the number of columns."""
        return prod(self.shape) if self.layout != "columns" else len(self.fields)

    def field(self, name: str) -> Field:
        """A column by name; `UnknownNameError` where there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise UnknownNameError.among("column of the model", name, self.names)

    def output(self, name: str) -> Output:
        """An output by name; `UnknownNameError` where there is none."""
        for output in self.outputs:
            if output.name == name:
                return output
        raise UnknownNameError.among("output of the model", name, [output.name for output in self.outputs])

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "classes": None if self.classes is None else list(self.classes)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Schema:
        """Read it back.

        Raises
        ------
        MisuseError
            It is no schema; bundles may come from anywhere.
        """
        try:
            made = cls(
                layout=plain["layout"],
                fields=tuple(_field(field) for field in plain["fields"]),
                outputs=tuple(Output(one["name"], one["type"], tuple(one["shape"])) for one in plain["outputs"]),
                answers=plain["answers"],
                tensor=plain["tensor"],
                shape=tuple(plain["shape"]),
                classes=None if plain["classes"] is None else tuple(plain["classes"]),
                named=plain["named"],
            )
            _check(made)
        except (KeyError, TypeError, ValueError) as error:
            raise MisuseError(f"the bundle's schema is damaged ({type(error).__name__}: {error})") from error
        return made


def _field(plain: Mapping[str, Any]) -> Field:
    categories = plain["categories"]
    return Field(**{**plain, "categories": None if categories is None else tuple(categories)})


def _check_field(field: Field) -> None:
    texts: list[Any] = [field.dtype, field.tensor, *(field.categories or ())]
    numbers: list[Any] = [number for number in (field.low, field.high) if number is not None]
    truths: list[Any] = [field.nullable, field.closed]
    for values, kinds in ((texts, (str,)), (numbers, (int, float)), (truths, (bool,))):
        if wrong := [value for value in values if type(value) not in kinds]:
            raise ValueError(f"{wrong[0]!r:.40} in column {field.name!r}")


def _check(schema: Schema) -> None:
    if schema.layout not in get_args(Layout):
        raise ValueError(f"layout {schema.layout!r}")
    parts: list[Field | Output] = [*schema.fields, *schema.outputs]
    for part in parts:
        if part.type not in TENSOR_TYPES or not isinstance(part.name, str):
            raise ValueError(f"type {part.type!r} of {part.name!r}")
    for field in schema.fields:
        _check_field(field)
    _check_answers(schema)
    if not schema.fields or len(set(schema.names)) != len(schema.fields):
        raise ValueError("columns")
    if any(type(size) is not int or size < 1 for size in schema.shape):
        raise ValueError(f"shape {schema.shape}")
    if schema.layout == "matrix" and schema.shape != (len(schema.fields),):
        raise ValueError(f"shape {schema.shape} for {len(schema.fields)} columns")
    if schema.layout != "columns" and (not schema.tensor or not schema.shape):
        raise ValueError("no input")


def _check_answers(schema: Schema) -> None:
    for output in schema.outputs:
        if any(size is not None and (type(size) is not int or size < 0) for size in output.shape):
            raise ValueError(f"shape {output.shape} of {output.name!r}")
    if schema.answers not in {output.name for output in schema.outputs}:
        raise ValueError(f"answers {schema.answers!r}")
    if not all(isinstance(label, (str, int, float)) for label in schema.classes or ()):
        raise ValueError("classes")
