"""Hyperband: successive halving in several brackets, from those that give up early to one that hardly does.

Each trial belongs to a bracket, by the study's name and the trial's number, and is compared with the trials of its
bracket only. How many brackets there are follows from the steps of the complete trials at the first report after one
was complete; nothing is pruned before.

Take it when some settings start slowly and win in the end, and there are enough trials for the brackets: with a factor
of 3 and 100 steps there are five, so some dozens.

References
----------
Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar: Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization.
JMLR 18, 2018.
"""

from __future__ import annotations

from typing import Any

from mlmagic._optional import need


def make() -> Any:
    """Optuna's, with the factor of the paper. The study needs a name of its own that stays: brackets depend on it."""
    return need("optuna").pruners.HyperbandPruner(min_resource=1, max_resource="auto", reduction_factor=3)
