"""scikit-learn and SciPy: by attributes, without clocks and without what looking at them leaves there."""

from __future__ import annotations

from typing import Any

from mlmagic.fingerprint.handlers.instances import instance_dict, write_attributes
from mlmagic.fingerprint.registry import handles
from mlmagic.fingerprint.walk import Parts, Walk, fields

_CLOCKS = frozenset({"refit_time_", "_init_prev_time", "_iter_prev_time"})
_CLOCK_COLUMNS = frozenset({"mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time"})
_ADDRESSES = frozenset({"_stop_words_id"})  # an id(): another number in every process
_SPARSE_CACHES = frozenset({"_has_sorted_indices", "_has_canonical_format"})
_TREE_COUNTERS = slice(7, 11)  # how many nodes the queries so far trimmed, visited and split


@handles("sklearn.base.BaseEstimator")
def write_estimator(obj: Any, walk: Walk) -> None:
    walk.packages.add("sklearn")
    write_attributes(obj, walk, skip=_CLOCKS)


@handles("sklearn.utils._bunch.Bunch")
def write_bunch(obj: Any, walk: Walk) -> None:
    """Without the warnings that it gives, which pickling drops."""
    walk.packages.add("sklearn")
    write_attributes(obj, walk, skip=frozenset({"_deprecated_key_to_warnings"}))


@handles("sklearn.feature_extraction.text._VectorizerMixin")
def write_vectorizer(obj: Any, walk: Walk) -> None:
    walk.packages.add("sklearn")
    write_attributes(obj, walk, skip=_ADDRESSES)


@handles("sklearn.model_selection._search.BaseSearchCV")
def write_search(obj: Any, walk: Walk) -> None:
    """Two searches that found the same differ in how long they took, and only in that."""
    walk.packages.add("sklearn")
    attributes = instance_dict(obj)
    write_attributes(obj, walk, skip=_CLOCKS | {"cv_results_"})
    if type(attributes.get("cv_results_")) is dict:
        walk.changeable(attributes["cv_results_"])
        walk.children([fields(timeless(attributes)["cv_results_"])])


def timeless(attributes: dict[str, Any]) -> dict[str, Any]:
    """An estimator's attributes without what differs between two equal fits."""
    kept = {name: value for name, value in attributes.items() if name not in _CLOCKS | _ADDRESSES}
    results = kept.get("cv_results_")
    if type(results) is dict:
        kept["cv_results_"] = {name: part for name, part in results.items() if name not in _CLOCK_COLUMNS}
    return kept


@handles(
    "sklearn.neighbors._kd_tree.BinaryTree64",
    "sklearn.neighbors._kd_tree.BinaryTree32",
    "sklearn.neighbors._ball_tree.BinaryTree64",
    "sklearn.neighbors._ball_tree.BinaryTree32",
)
def write_search_tree(obj: Any, walk: Walk) -> None:
    """The tree that neighbours are found with; it counts what it was asked."""
    walk.packages.add("sklearn")
    walk.changeable(obj)
    walk.asked = True
    state = list(obj.__getstate__())
    del state[_TREE_COUNTERS]
    walk.token("search tree", type(obj).__qualname__)
    walk.children([Parts(state)])


@handles("scipy.sparse._base._spbase")
def write_sparse(obj: Any, walk: Walk) -> None:
    walk.packages.add("scipy")
    write_attributes(obj, walk, skip=_SPARSE_CACHES)
