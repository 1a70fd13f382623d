"""Asynchronous successive halving: at steps 1, 4, 16, … only the best quarter of those that got there goes on.

A trial that reaches such a step (a rung) is compared with all that reached it before, at once, without waiting for the
others. NaN is worse than any number. The rungs begin at a hundredth of the steps of the first complete trial, so
nothing is pruned before a trial is complete.

Take it when learning curves seldom cross: it gives up sooner than `hyperband`, and so tries the most settings.

References
----------
Jamieson, Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter Optimization. AISTATS 2016.
Li et al.: A System for Massively Parallel Hyperparameter Tuning. MLSys 2020 (the asynchronous form, factor 4).
"""

from __future__ import annotations

from typing import Any

from mlmagic._optional import need


def make() -> Any:
    """Optuna's, with the factor of the paper."""
    return need("optuna").pruners.SuccessiveHalvingPruner(min_resource="auto", reduction_factor=4)
