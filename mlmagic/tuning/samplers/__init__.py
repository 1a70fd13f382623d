"""The step from finished trials to the next values: a name and a seed in, Optuna's sampler out.

A further sampler is a file here with a `make`, and a line in `SAMPLERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlmagic.errors import UnknownNameError
from mlmagic.tuning.samplers import random, tpe

SAMPLERS: dict[str, Callable[[int], Any]] = {
    "tpe": tpe.make,
    "random": random.make,
}


def sampler(name: str, seed: int) -> Any:
    """The sampler of this name, an `optuna.samplers.BaseSampler`; `seed` has 32 bits.

    Raises
    ------
    UnknownNameError
        With the nearest name there is.
    """
    if name not in SAMPLERS:
        raise UnknownNameError.among("sampler", name, SAMPLERS)
    return SAMPLERS[name](seed)


__all__ = ["SAMPLERS", "sampler"]
