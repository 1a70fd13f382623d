"""Looking through fitted models: containers within containers come in, their parts with their places go out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_LISTS = ("estimators_", "calibrated_classifiers_")
_SINGLE = ("regressor_", "final_estimator_")


@dataclass(frozen=True)
class Part:
    """A part of a model that has no named parts of its own.

    Attributes
    ----------
    step : str
        Names of the steps that lead to it, outermost first, joined by ``/``; empty for the model itself.
    model : estimator
    text : bool
        It is given text.
    """

    step: str
    model: Any
    text: bool = False

    def __str__(self) -> str:
        kind = type(self.model).__name__
        return f"step {self.step!r} ({kind})" if self.step else kind


def parts_of(model: Any, texts: frozenset[str], step: str = "", text: bool = False) -> Iterator[Part]:
    """The steps of a model in the order in which data takes them.

    Parameters
    ----------
    texts : set of str
        Columns of text, by which a step of a `ColumnTransformer` is known to be given some.
    """
    below = list(_named(model, texts))
    if not below:
        yield Part(step, model, text)
    for name, part, of_text in below:
        yield from parts_of(part, texts, f"{step}/{name}" if step else name, text or of_text)


def selectors_of(model: Any) -> Iterator[Any]:
    """The column transformers that meet the data first, and what meets it first without selecting columns."""
    kind = type(model).__name__
    if kind == "Pipeline":
        yield from selectors_of(next((part for _, part in model.steps if _is_step(part)), None))
    elif kind == "FeatureUnion":
        for _, part in model.transformer_list:
            yield from selectors_of(part)
    else:
        inner = list(_inner(model)) if kind != "ColumnTransformer" else []
        if not inner:
            yield model
        for part in inner:
            yield from selectors_of(part)


def columns_of_step(columns: Any, names: Sequence[str]) -> list[str]:
    """The names of columns that a step of a `ColumnTransformer` was told by name, place, slice or mask."""
    if isinstance(columns, (str, int, np.integer)):
        columns = [columns]
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            first = names.index(columns.start) if columns.start is not None else 0
            last = names.index(columns.stop) if columns.stop is not None else len(names) - 1
            return list(names[first : last + 1])  # by name, the last belongs to it
        return list(names[columns])
    listed = list(columns)
    if listed and all(isinstance(one, (bool, np.bool_)) for one in listed):
        return [name for name, chosen in zip(names, listed, strict=True) if chosen]
    return [one if isinstance(one, str) else names[int(one)] for one in listed]


def by_name(columns: Any) -> bool:
    """Whether columns were told by name."""
    if isinstance(columns, str):
        return True
    return not isinstance(columns, (slice, int, np.integer)) and any(isinstance(one, str) for one in columns)


def rebuilt(model: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a fitted model's containers, each part replaced by what `change` makes of it.

    The user's model stays as it is; parts that `change` hands back are shared. Searches are replaced by the best
    estimator they found.
    """
    kind = type(model).__name__
    if hasattr(model, "best_estimator_"):
        return rebuilt(model.best_estimator_, change)
    if kind == "Pipeline":
        return change(
            _with(model, steps=[(name, rebuilt(part, change)) for name, part in model.steps if _is_step(part)])
        )
    if kind == "FeatureUnion":
        return _with(model, transformer_list=[(name, rebuilt(part, change)) for name, part in model.transformer_list])
    if kind == "ColumnTransformer":
        listed = [(name, rebuilt(part, change), columns) for name, part, columns in model.transformers_]
        return change(_with(model, transformers_=listed))
    parts = {name: [rebuilt(part, change) for part in getattr(model, name)] for name in _LISTS if _is_list(model, name)}
    single = {name: rebuilt(getattr(model, name), change) for name in _SINGLE if _is_model(getattr(model, name, None))}
    if kind == "_CalibratedClassifier":
        single["estimator"] = rebuilt(model.estimator, change)
    return change(_with(model, **parts, **single) if parts or single else model)


def _with(model: Any, **changed: Any) -> Any:
    made = copy.copy(model)
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def _named(model: Any, texts: frozenset[str]) -> Iterator[tuple[str, Any, bool]]:
    kind = type(model).__name__
    if kind == "Pipeline":
        yield from ((name, part, False) for name, part in model.steps if _is_step(part))
    elif kind == "FeatureUnion":
        yield from ((name, part, False) for name, part in model.transformer_list)
    elif kind == "ColumnTransformer":
        for name, part, columns in model.transformers_:
            if not isinstance(part, str):
                names = getattr(model, "feature_names_in_", None)
                chosen = [] if names is None else columns_of_step(columns, [str(one) for one in names])
                yield name, part, bool(texts & set(chosen))
    elif not hasattr(model, "tree_"):
        yield from ((type(part).__name__, part, False) for part in _inner(model))


def _inner(model: Any) -> Iterator[Any]:
    """The models within a model that are given the data as it comes."""
    for name in ("best_estimator_", "regressor_"):
        if _is_model(getattr(model, name, None)):
            yield getattr(model, name)
            return
    kind = type(model).__name__
    if kind == "CalibratedClassifierCV":
        yield from (one.estimator for one in model.calibrated_classifiers_)
    elif kind.startswith(("Voting", "Stacking")):
        yield from model.estimators_


def _is_list(model: Any, name: str) -> bool:
    """Whether models of many kinds are listed there; the trees of a forest are its own and stay."""
    listed = getattr(model, name, None)
    composed = type(model).__name__.startswith(("Voting", "Stacking", "Calibrated"))
    return composed and isinstance(listed, list)


def _is_model(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _is_step(part: Any) -> bool:
    """Whether a pipeline's step does anything."""
    return part is not None and part != "passthrough"
