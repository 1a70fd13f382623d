"""`mlmagic.evaluate`: a model's statistics, recorded with the versions of model and data that they are about."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mlmagic.api._subjects import subject
from mlmagic.insight.evaluation import EvaluationResult
from mlmagic.insight.evaluation import evaluate as compute
from mlmagic.records import Evaluation, new_id
from mlmagic.session import active
from mlmagic.views import evaluation as _faces  # noqa: F401  draws the result

__all__ = ["EvaluationResult", "evaluate"]


def evaluate(
    model: Any,
    X: Any,  # noqa: N803  the field's name
    y: Any,
    *,
    train: tuple[Any, Any] | None = None,
    by: Any = None,
    baseline: Any = None,
    seed: int = 0,
    spelled: Mapping[str, str] | None = None,
) -> EvaluationResult:
    """The statistics of a model on data, with 95 % bootstrap intervals, and their pictures.

    Parameters
    ----------
    model : object
        With ``predict``; ``predict_proba`` or ``decision_function`` where it has one. Or a function of `X`.
    X : table or array
        Given to the model as it is.
    y : array
        The true answers, one for each row.
    train : tuple of (X, y), optional
        The data that the model was fitted on: the same beside it, and whether it is over-fitted.
    by : str or array, optional
        A column of `X`, or a value for each row: the statistics for each group.
    baseline : object, optional
        Another model, compared on the same resampled rows.
    seed : int
        Of the bootstrap.

    Returns
    -------
    EvaluationResult

    Raises
    ------
    MisuseError
        Model and data do not go together; one line.

    Examples
    --------
    >>> mlmagic.evaluate(model, X_test, y_test, train=(X_train, y_train)).metrics["roc_auc"]
    """
    names = spelled or {}
    about = {
        "model": subject(model, names.get("model")),
        "data": subject(X, names.get("X")),
        "target": subject(y, names.get("y")),
    }
    told = {key: one.name for key, one in about.items()}
    session = active()
    if session is None:
        return compute(model, X, y, train=train, by=by, baseline=baseline, seed=seed, names=told)
    with session.recorder.aside():
        found = compute(model, X, y, train=train, by=by, baseline=baseline, seed=seed, names=told)
    common: dict[str, Any] = {
        "evaluation_id": new_id(),
        "at": time.time(),
        "execution_id": session.recorder.execution_id,
        "kind": found.kind,
        **told,
        **{f"{key}_version": one.version_id for key, one in about.items()},
    }
    session.evaluated([Evaluation(**common, **row) for row in found.rows()])
    return found
