"""The step from a model, X and y to answers beside the truth: the model is asked, what cannot be judged is refused.

X goes to the model as it is. All that follows works on the arrays that leave this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.errors import MisuseError
from mlmagic.insight.shapes import Kind, Names

FEW = 20  # whole numbers of at most so many values may be classes, where the model does not say


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of rows, beside what is true of them.

    Attributes
    ----------
    truth, told : array, shape (rows,)
        Places in `classes`; for regression the numbers themselves.
    classes : tuple
        The labels; of two, the second is the positive one.
    chances : array, shape (rows, classes), or None
        Probabilities.
    scores : array, shape (rows, classes), or None
        What ranks the rows: the larger, the more likely the class.
    tiny : float
        Probabilities below it count as this much, as in scikit-learn's log loss: the precision of their type.
    notes : tuple of str
        What was left out or taken for granted.
    """

    kind: Kind
    truth: NDArray[Any]
    told: NDArray[Any]
    classes: tuple[Any, ...] = ()
    chances: NDArray[np.float64] | None = None
    scores: NDArray[np.float64] | None = None
    tiny: float = float(np.finfo(np.float64).eps)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: NDArray[Any]) -> Answers:
        """The same of some rows, by position or as a mask."""
        return replace(
            self,
            truth=self.truth[rows],
            told=self.told[rows],
            chances=None if self.chances is None else self.chances[rows],
            scores=None if self.scores is None else self.scores[rows],
        )

    def with_scores(self, chances: NDArray[np.float64]) -> Answers:
        """The same with probabilities, which rank the rows too."""
        return replace(self, chances=chances, scores=chances)


def ask(model: Any, X: Any, y: Any, names: Names, like: Answers | None = None) -> Answers:  # noqa: N803
    """The model's answers on X beside y; `like` fixes kind and classes, for a second model on the same rows.

    Raises
    ------
    MisuseError
        One line: what is wrong with the model, X, y or the answers.
    """
    _is_a_model(model, names)
    truth = _target(y, names)
    _same_length(X, truth, names)
    raw = _checked(_called(getattr(model, "predict", model), X, len(truth), names), f"the answer of {names.model}")
    _one_for_each_row(raw, len(truth), names)
    kind = _kind_of(model, truth, raw) if like is None else ("regression" if like.kind == "regression" else "classes")
    if kind == "regression":
        return _numbers(truth, raw, names)
    return _classified(model, X, truth, raw, names, like)


# What comes in ---------------------------------------------------------------------------------------------


def _is_a_model(model: Any, names: Names) -> None:
    if isinstance(model, type):
        raise MisuseError(f"{names.model} is a class, not a model: make one and fit it first")
    if not callable(getattr(model, "predict", model)):
        raise MisuseError(
            f"{names.model} cannot be asked: {type(model).__name__} has no predict method and is no function"
        )


def array_of(values: Any, what: str) -> NDArray[Any]:
    """One value for each row, shape (rows,), from a list, an array or a column of any library."""
    found = _checked(values, what)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        raise MisuseError(f"{what} must hold one value for each row; its shape is {found.shape}")
    return found


def _checked(values: Any, what: str) -> NDArray[Any]:
    """The values as an array."""
    try:
        return _array(values)
    except ValueError:  # lists of different lengths
        raise MisuseError(f"{what} must hold one value for each row, not lists of different lengths") from None


def _array(values: Any) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a torch tensor
        values = values.detach().cpu()
    if isinstance(values, (list, tuple)) and any(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)  # NumPy would make one text of a number among texts
    return np.asarray(values)


def _target(y: Any, names: Names) -> NDArray[Any]:
    import pandas as pd

    truth = array_of(y, names.target)
    if not len(truth):
        raise MisuseError(f"{names.target} is empty: there is nothing to evaluate on")
    missing = np.asarray(pd.isna(truth))
    if missing.any():
        raise MisuseError(
            f"{missing.sum():,} of {len(truth):,} values in {names.target} are missing, the first in row "
            f"{missing.argmax()}: leave these rows out"
        )
    return truth


def row_count(X: Any, names: Names) -> int:  # noqa: N803
    """How many rows X has, in whatever library it lives."""
    shape = getattr(X, "shape", None)
    try:
        return int(shape[0]) if shape else len(X)
    except TypeError:
        raise MisuseError(f"{names.data} is no table of rows but a {type(X).__qualname__}") from None


def _same_length(X: Any, truth: NDArray[Any], names: Names) -> None:  # noqa: N803
    rows = row_count(X, names)
    if rows != len(truth):
        raise MisuseError(
            f"{names.data} has {rows:,} rows and {names.target} {len(truth):,} values: they must be equal"
        )
    if rows == 1:
        raise MisuseError(f"{names.data} has one row: that says nothing about a model")


# The model -------------------------------------------------------------------------------------------------


def _called(question: Callable[[Any], Any], X: Any, rows: int, names: Names) -> Any:  # noqa: N803
    """The model's own answer; its failure as one line."""
    try:
        return question(X)
    except Exception as error:
        if type(error).__name__ == "NotFittedError":  # by name: scikit-learn need not be there
            raise MisuseError(f"{names.model} is not fitted yet: call its fit first") from error
        first = (str(error).strip().splitlines() or ["no reason is given"])[0]
        raise MisuseError(
            f"{names.model} failed on the {rows:,} rows of {names.data}: {type(error).__name__}: {first}"
        ) from error


def _one_for_each_row(raw: NDArray[Any], rows: int, names: Names) -> None:
    if raw.ndim not in (1, 2) or len(raw) != rows:
        raise MisuseError(
            f"{names.model} gave answers of shape {raw.shape} for {rows:,} rows of {names.data}: one for each is needed"
        )


def _all_finite(values: NDArray[Any], what: str, names: Names) -> None:
    _none_bad(np.asarray(~np.isfinite(values)), "NaN or infinite", what, names)


def _none_bad(bad: NDArray[Any], how: str, what: str, names: Names) -> None:
    """One line where some rows are, with how many and the first."""
    rows = bad if bad.ndim == 1 else np.asarray(bad.any(axis=1))
    if rows.any():
        raise MisuseError(
            f"{rows.sum():,} of {len(rows):,} {what} of {names.model} are {how}, the first in row {rows.argmax()}"
        )


def _kind_of(model: Any, truth: NDArray[Any], raw: NDArray[Any]) -> str:
    """``classes`` or ``regression``: what the model says it is, else what y and its answers look like."""
    told = getattr(model, "_estimator_type", None)
    with suppress(Exception):  # a model may have its own idea of tags
        told = told or model.__sklearn_tags__().estimator_type
    if told in ("classifier", "regressor"):
        return "classes" if told == "classifier" else "regression"
    if hasattr(model, "classes_") or hasattr(model, "predict_proba") or (raw.ndim == 2 and raw.shape[1] > 1):
        return "classes"
    return "classes" if _looks_like_classes(truth, raw) else "regression"


def _looks_like_classes(truth: NDArray[Any], raw: NDArray[Any]) -> bool:
    numbers = _as_numbers(truth)
    if numbers is None or truth.dtype.kind == "b":
        return True
    values = np.unique(numbers)
    if len(values) > FEW or (values != np.round(values)).any():
        return False
    answers = _as_numbers(raw)
    return answers is None or bool((answers == np.round(answers)).all()) or (len(values) == 2 and _in_unit(answers))


def _in_unit(values: NDArray[np.float64]) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _as_numbers(values: NDArray[Any]) -> NDArray[np.float64] | None:
    """The values as floats; ``None`` where some are text or no numbers at all."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype.kind != "O" or any(isinstance(value, (str, bytes)) for value in values.ravel()):
        return None
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        return None


# Regression ------------------------------------------------------------------------------------------------


def _numbers(truth: NDArray[Any], raw: NDArray[Any], names: Names) -> Answers:
    target = _as_numbers(truth)
    if target is None:
        raise MisuseError(f"{names.model} predicts numbers, but {names.target} holds {_examples(truth)}: no numbers")
    if not np.isfinite(target).all():
        raise MisuseError(f"{names.target} holds infinite values, the first in row {(~np.isfinite(target)).argmax()}")
    told = _as_numbers(array_of(raw, f"the answer of {names.model}"))
    if told is None:
        raise MisuseError(f"{names.target} holds numbers, but {names.model} answers with {_examples(raw)}")
    _all_finite(told, "predictions", names)
    return Answers("regression", target, told)


def _examples(values: NDArray[Any], most: int = 3) -> str:
    found = dict.fromkeys(repr(plain(value)) for value in values.ravel()[:1000])
    return ", ".join(list(found)[:most]) + (", …" if len(found) > most else "")


# Classes ---------------------------------------------------------------------------------------------------


def _classified(
    model: Any,
    X: Any,  # noqa: N803
    truth: NDArray[Any],
    raw: NDArray[Any],
    names: Names,
    like: Answers | None,
) -> Answers:
    known = _known_classes(model, names)
    if known is None:
        return _from_a_function(truth, raw, names, like)
    own = _encode(truth, known, names)
    _several(truth, own, names)
    told = _encode_answers(raw, known, names)
    kind: Kind = "binary" if len(known) == 2 else "multiclass"
    answers = _scored(model, X, Answers(kind, own, told, tuple(known)), names)
    return answers if like is None else _aligned(answers, like, names)


def _known_classes(model: Any, names: Names) -> list[Any] | None:
    classes = getattr(model, "classes_", None)
    if classes is None:
        return None
    if isinstance(classes, list) and any(isinstance(part, np.ndarray) for part in classes):
        raise MisuseError(f"{names.model} predicts several targets at once: evaluate them one by one")
    known = [plain(label) for label in np.asarray(classes)]
    if len(known) < 2:
        raise MisuseError(f"{names.model} knows one class only ({known[0]!r}): it was fitted on nothing else")
    return known


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own value."""
    return value.item() if isinstance(value, np.generic) else value


def _codes(values: NDArray[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """Each value's place among the distinct ones, by hash: also values that cannot be ordered."""
    import pandas as pd

    codes, found = pd.factorize(values)
    return codes.astype(np.int64), [plain(value) for value in np.asarray(found)]


def _encode(truth: NDArray[Any], known: Sequence[Any], names: Names) -> NDArray[np.int64]:
    codes, found = _codes(truth)
    places = {label: place for place, label in enumerate(known)}
    strange = [value for value in found if value not in places]
    if strange:
        rows = np.isin(codes, [found.index(value) for value in strange])
        shown = ", ".join(map(repr, strange[:3])) + (", …" if len(strange) > 3 else "")
        raise MisuseError(
            f"{names.target} holds {shown}, which {names.model} does not know (in {rows.sum():,} rows, first in "
            f"row {rows.argmax()}); its classes: {_listed(known)}"
        )
    return np.array([places[value] for value in found], dtype=np.int64)[codes]


def _encode_answers(raw: NDArray[Any], known: Sequence[Any], names: Names) -> NDArray[np.int64]:
    told = array_of(raw, f"the answer of {names.model}")
    if told.dtype.kind == "f":
        _all_finite(told, "predictions", names)
    codes, found = _codes(told)
    _none_bad(codes < 0, "missing", "predictions", names)  # None among texts: no class, though -1 would find the last
    places = {label: place for place, label in enumerate(known)}
    for value in found:
        if value not in places:
            raise MisuseError(f"{names.model} answers {value!r}, which is none of its classes: {_listed(known)}")
    return np.array([places[value] for value in found], dtype=np.int64)[codes]


def _listed(labels: Sequence[Any]) -> str:
    return ", ".join(map(repr, labels[:8])) + (", …" if len(labels) > 8 else "")


def _several(truth: NDArray[Any], codes: NDArray[np.int64], names: Names) -> None:
    if (codes == codes[0]).all():
        raise MisuseError(
            f"all {len(truth):,} values in {names.target} are {plain(truth[0])!r}: two classes at least are needed"
        )


def _scored(model: Any, X: Any, answers: Answers, names: Names) -> Answers:  # noqa: N803
    """The answers with probabilities, else with scores that rank, else as they are."""
    for method, take in (("predict_proba", _with_chances), ("decision_function", _with_decisions)):
        question = getattr(model, method, None)
        if question is not None:
            given = _rates(method, _called(question, X, len(answers), names), len(answers), names)
            return take(answers, given, model, names)
    return replace(
        answers, notes=("no predict_proba and no decision_function: nothing that ranks or judges probabilities",)
    )


def _rates(method: str, answer: Any, rows: int, names: Names) -> NDArray[Any]:
    """What a method says of each row and class, finite numbers."""
    given = _checked(answer, f"{method} of {names.model}")
    _one_for_each_row(given, rows, names)
    numbers = _as_numbers(given)
    if numbers is None:
        raise MisuseError(f"{method} of {names.model} gives {_examples(given)}: no numbers")
    _all_finite(numbers, "probabilities" if method == "predict_proba" else "scores", names)
    return given if given.dtype.kind == "f" else numbers


def _with_chances(answers: Answers, given: NDArray[Any], model: Any, names: Names) -> Answers:
    columns = given.shape[1] if given.ndim == 2 else 1
    if columns != len(answers.classes):
        raise MisuseError(
            f"predict_proba of {names.model} has {columns} columns for {len(answers.classes)} classes: "
            f"{_listed(answers.classes)}"
        )
    chances = given.astype(np.float64)
    if not _in_unit(chances) or not np.allclose(chances.sum(axis=1), 1, atol=1e-3):
        note = "predict_proba does not sum to 1 in every row: it ranks the rows, and no probability is judged"
        return replace(answers, scores=chances, notes=(note,))
    tiny = float(np.finfo(given.dtype).eps) if given.dtype.kind == "f" else answers.tiny
    return replace(answers.with_scores(chances), tiny=tiny)


def _with_decisions(answers: Answers, given: NDArray[Any], model: Any, names: Names) -> Answers:
    note = "no predict_proba: decision_function ranks the rows; log loss, Brier score and calibration are left out"
    if answers.kind == "binary" and given.ndim == 1:
        scores = given.astype(np.float64)
        return replace(answers, scores=np.column_stack([-scores, scores]), notes=(note,))
    last = getattr(model, "steps", [("", model)])[-1][1]
    one_by_one = getattr(last, "decision_function_shape", "ovr") == "ovo"  # of three classes it has three columns too
    if given.ndim == 2 and given.shape[1] == len(answers.classes) and not one_by_one:
        return replace(answers, scores=given.astype(np.float64), notes=(note,))
    return replace(answers, notes=("decision_function has no column for each class: nothing that ranks the rows",))


def _from_a_function(truth: NDArray[Any], raw: NDArray[Any], names: Names, like: Answers | None) -> Answers:
    """Answers of what has no `classes_`: labels, a column of probabilities, or one column for each class."""
    labels = _ordered(_codes(truth)[1]) if like is None else list(like.classes)
    if len(labels) < 2:
        _several(truth, np.zeros(len(truth), dtype=np.int64), names)
    if raw.ndim == 2 and raw.shape[1] > 1:
        return _from_a_matrix(truth, raw, labels, names)
    told = array_of(raw, f"the answer of {names.model}")
    numbers = _as_numbers(told)
    if numbers is not None:
        _all_finite(numbers, "predictions", names)
        if len(labels) == 2 and _in_unit(numbers) and (numbers != np.round(numbers)).any():
            return _from_a_column(truth, numbers, labels)
    answered = _codes(told)[1]
    others = [value for value in answered if value not in labels]
    if others and len(others) == len(answered):  # numbers beside texts, or no classes at all
        raise MisuseError(f"{names.model} answers with {_examples(told)}; {names.target} holds {_listed(labels)}")
    known = labels if like is not None else _ordered([*labels, *others])
    codes = _encode(truth, known, names)
    kind: Kind = "binary" if len(known) == 2 else "multiclass"
    note = "the model answers with labels: nothing that ranks or judges probabilities"
    return Answers(kind, codes, _encode_answers(told, known, names), tuple(known), notes=(note,))


def _ordered(labels: list[Any]) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError:  # numbers among texts
        return sorted(labels, key=lambda label: (type(label).__name__, str(label)))


def _from_a_matrix(truth: NDArray[Any], raw: NDArray[Any], labels: list[Any], names: Names) -> Answers:
    given = _as_numbers(raw)
    if given is None or given.shape[1] != len(labels):
        raise MisuseError(
            f"{names.model} gives {raw.shape[1]} columns for {len(labels)} classes in {names.target}: {_listed(labels)}"
        )
    _all_finite(given, "predictions", names)
    kind: Kind = "binary" if len(labels) == 2 else "multiclass"
    answers = Answers(kind, _encode(truth, labels, names), given.argmax(axis=1), tuple(labels))
    taken = _with_chances(answers, given, None, names)
    return replace(taken, notes=(*taken.notes, f"columns are taken for the classes {_listed(labels)}, in this order"))


def _from_a_column(truth: NDArray[Any], chance: NDArray[np.float64], labels: list[Any]) -> Answers:
    codes, found = _codes(truth)
    places = np.array([labels.index(value) for value in found], dtype=np.int64)
    answers = Answers("binary", places[codes], (chance > 0.5).astype(np.int64), tuple(labels))
    note = f"answers between 0 and 1 are taken for the probability of {labels[1]!r}; above 0.5 counts as {labels[1]!r}"
    return replace(answers.with_scores(np.column_stack([1 - chance, chance])), notes=(note,))


def _aligned(answers: Answers, like: Answers, names: Names) -> Answers:
    """A second model's answers with the first one's classes, in its order."""
    if set(answers.classes) != set(like.classes):
        raise MisuseError(
            f"{names.model} knows the classes {_listed(answers.classes)}, the model beside it {_listed(like.classes)}: "
            f"they must be the same"
        )
    order = [answers.classes.index(label) for label in like.classes]
    back = np.argsort(order)
    return replace(
        answers,
        truth=back[answers.truth],
        told=back[answers.told],
        classes=like.classes,
        chances=None if answers.chances is None else answers.chances[:, order],
        scores=None if answers.scores is None else answers.scores[:, order],
    )
