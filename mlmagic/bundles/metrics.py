"""The step from a bundle's own answers to its statistics: answers and truth come in, numbers by name go out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from mlmagic.bundles.graph import Answers
from mlmagic.bundles.schema import LABEL, PREDICTION, PROBABILITIES, Schema
from mlmagic.errors import MisuseError
from mlmagic.insight.asking import ask
from mlmagic.insight.evaluation import estimates
from mlmagic.insight.shapes import Names


def metrics_of(schema: Schema, answers: Answers, truth: Any) -> dict[str, float]:
    """Statistics of answers beside the truth; `MisuseError` where there are none for such."""
    model = SimpleNamespace()
    if LABEL in answers:
        model = SimpleNamespace(predict=lambda rows: answers[LABEL], _estimator_type="classifier")
        if schema.classes is not None:
            model.classes_ = np.array(schema.classes, dtype=object if isinstance(schema.classes[0], str) else None)
        if PROBABILITIES in answers:
            model.predict_proba = lambda rows: answers[PROBABILITIES]
    elif PREDICTION in answers:
        model = SimpleNamespace(predict=lambda rows: answers[PREDICTION], _estimator_type="regressor")
    else:
        raise MisuseError("what its outputs mean is not known")
    found = ask(model, np.empty((len(truth), 1)), truth, Names(model="the bundle", data="the holdout"))
    told = {one.metric: one.value for one in estimates(found, "test") if one.by is None}
    return {name: value for name, value in told.items() if value is not None}
