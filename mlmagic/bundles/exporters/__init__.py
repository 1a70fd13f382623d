"""The step from a model in the notebook to a graph: one exporter for each kind of model, found by its class."""

from __future__ import annotations

from typing import Any

from mlmagic._optional import loaded
from mlmagic.bundles.graph import ExportError, Graph

_LIBRARIES = ("sklearn", "lightgbm", "xgboost")
_EXPECTED = "an estimator or pipeline of scikit-learn, lightgbm or xgboost, or a torch module"


def graph_of(model: Any, example: Any, *, name: str = "model") -> Graph:
    """The model as an ONNX graph with its schema, and ways to ask the model itself.

    Nothing is changed: not the model, nor the state of random generators, nor what the libraries know.

    Parameters
    ----------
    model : object
        Fitted.
    example : table or array
        What the model was fitted on or tested with: a table or a two-dimensional array; for a torch module an array or
        tensor whose first axis is the rows. It tells names, types, ranges and categories.
    name : str
        Of the graph.

    Raises
    ------
    ExportError
        The model cannot be exported; names the step, why, and what can be done.
    MisuseError
        The example is no table.
    MissingPackageError
        A package is needed that is not installed.
    """
    torch = loaded("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        from mlmagic.bundles.exporters import torch as of_torch

        return of_torch.graph_of(model, example, name=name)
    _check(model)
    from mlmagic.bundles.exporters import sklearn as of_sklearn

    return of_sklearn.graph_of(model, example, name=name)


def _check(model: Any) -> None:
    """Raises `ExportError` for what is no model of a library that is known here."""
    kind = type(model)
    told = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(model, type):
        raise ExportError(f"{model.__name__} is a class: export a fitted instance of it")
    if kind.__name__ == "Booster" and kind.__module__.partition(".")[0] in _LIBRARIES:
        raise ExportError(
            f"{told} cannot be exported: fit the library's estimator for scikit-learn (…Classifier, …Regressor)"
        )
    families = {base.__module__.partition(".")[0] for base in kind.__mro__}
    if not families & set(_LIBRARIES):
        raise ExportError(f"a value of type {told} cannot be exported; expected {_EXPECTED}")
