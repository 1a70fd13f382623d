"""Asking the model itself: inputs of the graph come in, what it answers in the notebook for the same rows goes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.exporters.inputs import Example
from mlmagic.bundles.exporters.quiet import unwarned
from mlmagic.bundles.graph import Answers
from mlmagic.bundles.rows import Feeds, columns_of, frame_of_columns
from mlmagic.bundles.schema import LABEL, PREDICTION, PROBABILITIES, Field, Schema, TensorType
from mlmagic.tables import table_of


@dataclass(frozen=True)
class Answering:
    """How a model answers.

    Attributes
    ----------
    outputs : mapping of str to str
        Name of each output -> its type.
    classes : tuple or None
        As plain values, in the order of the probabilities.
    """

    outputs: dict[str, TensorType]
    classes: tuple[Any, ...] | None


@dataclass(frozen=True)
class Asker:
    """A model with the form of the data that it expects.

    Attributes
    ----------
    dtypes : tuple
        Of each column, as pandas has them.
    nulls : tuple
        What stands for a null in each column.
    array : dtype or None
        The model is asked with an array of this type; ``None``: with a data frame.
    """

    model: Any
    answering: Answering
    labels: tuple[Any, ...]
    dtypes: tuple[Any, ...]
    nulls: tuple[Any, ...]
    array: Any

    @classmethod
    def of(cls, model: Any, answering: Answering, example: Example) -> Asker:
        """The asker of a model whose example data is at hand."""
        frame = example.frame
        dtypes = tuple(frame.dtypes)
        nulls = tuple(_null_of(frame.iloc[:, place]) for place in range(frame.shape[1]))
        array = None if example.framed else np.result_type(*dtypes)
        return cls(model, answering, example.labels, dtypes, nulls, array)

    def ask(self, schema: Schema, feeds: Feeds) -> Answers:
        """The answers for inputs of the graph, which are rounded to its types."""
        return self.answers(self._data(schema, columns_of(schema, feeds)))

    def ask_exactly(self, schema: Schema, data: Any) -> Answers:
        """The answers for a table as it is."""
        if isinstance(data, np.ndarray) and self.array is not None:
            return self.answers(data)
        if isinstance(data, np.ndarray):
            import pandas as pd

            return self.answers(pd.DataFrame(data).set_axis(self.labels, axis=1))
        frame = table_of(data).to_pandas()
        columns = [str(label) for label in frame.columns]
        by_name = set(schema.names) <= set(columns)
        places = [columns.index(name) if by_name else place for place, name in enumerate(schema.names)]
        frame = frame.iloc[:, places].set_axis(self.labels, axis=1)
        return self.answers(frame if self.array is None else frame.to_numpy(self.array))

    def answers(self, data: Any) -> Answers:
        """What it answers for data in the form it expects."""
        found: Answers = {}
        with unwarned():
            for name, kind in self.answering.outputs.items():
                method = "predict_proba" if name == PROBABILITIES else "predict"
                found[name] = _typed(np.asarray(getattr(self.model, method)(data)), name, kind)
        return found

    def decide(self, schema: Schema, feeds: Feeds) -> NDArray[Any]:
        """Its decision function's values."""
        with unwarned():
            return np.asarray(self.model.decision_function(self._data(schema, columns_of(schema, feeds))))

    def _data(self, schema: Schema, columns: Sequence[NDArray[Any]]) -> Any:
        if self.array is not None:
            return np.column_stack(columns).astype(self.array if self.array.kind == "f" else np.float64)
        made = frame_of_columns(schema, columns)
        parts = zip(schema.fields, self.dtypes, self.nulls, strict=True)
        series = {field.name: _restored(made[field.name], field, dtype, null) for field, dtype, null in parts}
        return type(made)(series).set_axis(self.labels, axis=1)


def _typed(answers: NDArray[Any], name: str, kind: TensorType) -> NDArray[Any]:
    if name == PREDICTION and answers.ndim == 2 and answers.shape[1] == 1:
        answers = answers[:, 0]
    if name == LABEL and answers.ndim == 2:
        answers = answers[:, 0]
    if kind == "string":
        return np.array([str(one) for one in answers.tolist()], dtype=object)
    return answers.astype(np.float64 if kind == "float32" else kind)


def _null_of(series: Any) -> Any:
    """What a null is in a column: `None` where its objects say so, else NaN or whatever its type has."""
    if series.dtype == object and any(one is None for one in series):
        return None
    return np.nan


def _restored(series: Any, field: Field, dtype: Any, null: Any) -> Any:
    """A column with the very type that it had in the example."""
    import pandas as pd

    if series.dtype == dtype:
        return series
    if field.type == "string":
        return _restored_text(series, dtype, null)
    if isinstance(dtype, np.dtype):
        return series.astype(np.float64)  # numbers that do not fit its type: nulls among whole ones
    try:
        return pd.Series(series.to_numpy(np.float64)).astype(dtype)
    except (TypeError, ValueError):  # a number between whole ones
        return series.astype(np.float64)


def _restored_text(series: Any, dtype: Any, null: Any) -> Any:
    import pandas as pd

    if isinstance(dtype, pd.CategoricalDtype):
        codes = {str(category): code for code, category in enumerate(dtype.categories)}
        return pd.Series(pd.Categorical.from_codes([codes.get(text, -1) for text in series], dtype=dtype))
    missing = series.isna()
    values = series.astype(object).where(~missing, null)
    return values if dtype.kind == "O" and isinstance(dtype, np.dtype) else values.astype(dtype)
