"""The step from reported values to "this trial is hopeless": a name in, Optuna's pruner out.

A further pruner is a file here with a `make`, and a line in `PRUNERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlmagic.errors import UnknownNameError
from mlmagic.tuning.pruners import halving, hyperband, none

PRUNERS: dict[str, Callable[[], Any]] = {
    "none": none.make,
    "hyperband": hyperband.make,
    "halving": halving.make,
}


def pruner(name: str = "none") -> Any:
    """The pruner of this name, an `optuna.pruners.BasePruner`.

    Raises
    ------
    UnknownNameError
        With the nearest name there is.
    """
    if name not in PRUNERS:
        raise UnknownNameError.among("pruner", name, PRUNERS)
    return PRUNERS[name]()


__all__ = ["PRUNERS", "pruner"]
