"""The panel's step from the store to its lists: the name of each, and what makes it."""

from __future__ import annotations

from collections.abc import Mapping

from mlmagic.panel.lists import Lister


def listers() -> Mapping[str, Lister]:
    """What each list is made by. Loads what draws the pictures, and NumPy with it."""
    from mlmagic.panel.checks import checks
    from mlmagic.panel.endpoints import endpoints
    from mlmagic.panel.sweeps import sweeps

    return {"sweeps": sweeps, "checks": checks, "endpoints": endpoints}
