"""mlmagic: the notebook remembers. ``%load_ext mlmagic``, or the functions below.

Names are resolved when first used, so that ``import mlmagic`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "assertion": "mlmagic.api.asserting",
    "assertions": "mlmagic.api.asserting",
    "check": "mlmagic.api.checking",
    "doctor": "mlmagic.api.health",
    "drift": "mlmagic.api.drifting",
    "endpoints": "mlmagic.api.endpoints",
    "evaluate": "mlmagic.api.evaluating",
    "export": "mlmagic.api.exporting",
    "lineage": "mlmagic.api.ancestry",
    "off": "mlmagic.api.switches",
    "on": "mlmagic.api.switches",
    "profile": "mlmagic.api.drifting",
    "reuse": "mlmagic.api.reusing",
    "run": "mlmagic.api.headless",
    "score": "mlmagic.api.scoring",
    "serve": "mlmagic.api.endpoints",
    "slice": "mlmagic.api.slicing",
    "sql": "mlmagic.api.querying",
    "status": "mlmagic.api.overview",
    "sweep": "mlmagic.api.sweeping",
    "sweeps": "mlmagic.api.searches",
    "track": "mlmagic.api.blocks",
    "MlmagicError": "mlmagic.errors",
}

__all__ = [*sorted(_HOMES), "__version__"]

if TYPE_CHECKING:
    from mlmagic.api.ancestry import lineage as lineage
    from mlmagic.api.asserting import assertion as assertion
    from mlmagic.api.asserting import assertions as assertions
    from mlmagic.api.blocks import track as track
    from mlmagic.api.checking import check as check
    from mlmagic.api.drifting import drift as drift
    from mlmagic.api.drifting import profile as profile
    from mlmagic.api.endpoints import endpoints as endpoints
    from mlmagic.api.endpoints import serve as serve
    from mlmagic.api.evaluating import evaluate as evaluate
    from mlmagic.api.exporting import export as export
    from mlmagic.api.headless import run as run
    from mlmagic.api.health import doctor as doctor
    from mlmagic.api.overview import status as status
    from mlmagic.api.querying import sql as sql
    from mlmagic.api.reusing import reuse as reuse
    from mlmagic.api.scoring import score as score
    from mlmagic.api.searches import sweeps as sweeps
    from mlmagic.api.slicing import slice as slice
    from mlmagic.api.sweeping import sweep as sweep
    from mlmagic.api.switches import off as off
    from mlmagic.api.switches import on as on
    from mlmagic.errors import MlmagicError as MlmagicError


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mlmagic' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def load_ipython_extension(shell: Any) -> None:
    """Called by ``%load_ext mlmagic``."""
    importlib.import_module("mlmagic.extension").load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Called by ``%unload_ext mlmagic``."""
    importlib.import_module("mlmagic.extension").unload(shell)
