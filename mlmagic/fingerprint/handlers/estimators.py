"""scikit-learn: estimators by their attributes, without the clocks that fitted searches hold."""

from __future__ import annotations

from typing import Any

from mlmagic.fingerprint.handlers.instances import instance_dict, write_attributes
from mlmagic.fingerprint.walk import Walk, handles

_CLOCKS = frozenset({"refit_time_"})
_CLOCK_COLUMNS = frozenset({"mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time"})


@handles("sklearn.base.BaseEstimator")
def write_estimator(obj: Any, walk: Walk) -> None:
    walk.packages.add("sklearn")
    write_attributes(obj, walk)


@handles("sklearn.model_selection._search.BaseSearchCV")
def write_search(obj: Any, walk: Walk) -> None:
    """Two searches that found the same differ in how long they took, and only in that."""
    walk.packages.add("sklearn")
    results = instance_dict(obj).get("cv_results_")
    write_attributes(obj, walk, skip=_CLOCKS | {"cv_results_"})
    if isinstance(results, dict):
        walk.changeable(results)
        walk.children([{name: column for name, column in results.items() if name not in _CLOCK_COLUMNS}])
