"""The small model of `sample`, exported: with holdout, training data, a rule that travels and one that does not."""

from __future__ import annotations

from dataclasses import replace

from mlmagic.bundles.export import Order, export_bundle
from mlmagic.records import Assertion
from tests.unit.bundles import sample

ABOUT = {
    "bundle_id": "b-1",
    "created_at": 0.0,
    "model": "model",
    "model_version": "v-1",
    "execution_id": "e-1",
    "mlmagic": "0.1.0",
}
RULE = Assertion(
    "a-1", "no_giants", "model", None,
    "def no_giants(inputs, outputs):\n    return (inputs['age'] > LIMIT) & (outputs[:, 1] >= 0)\n",
    "monitor", 0.0, constants={"LIMIT": 95},
)  # fmt: skip
BOUND = replace(RULE, assertion_id="a-2", name="bound", portable=False, obstacle="it calls helper")


def order(**changes):
    test, train = sample.people(120, seed=1), sample.people(200)
    plain = {
        "name": "churn",
        "sets": {"X_test": test, "X_train": train},
        "about": ABOUT,
        "holdout": "X_test",
        "train": "X_train",
        "target": sample.leaves(test),
        "rules": [RULE, BOUND],
        "script": "model = ...\n",
    }
    return Order(**{**plain, **changes})


def export(home, graph=None, **changes):
    return export_bundle(graph or sample.graph(), order(**changes), home, sample.KEY)
