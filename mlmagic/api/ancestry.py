"""`mlmagic.lineage`: where something came from, or what it feeds."""

from __future__ import annotations

import mlmagic.views.lineage
import mlmagic.views.tables  # noqa: F401 - registers how results are drawn
from mlmagic.api._projects import history
from mlmagic.graph.lineage import Lineage, trace

__all__ = ["lineage"]


def lineage(target: str | None = None, *, forward: bool = False, depth: int | None = None) -> Lineage:
    """Where `target` came from, or what it feeds; without it, the whole notebook's graph.

    Parameters
    ----------
    target : str, optional
        A variable, ``name@EXECUTION``, ``[N]``, ``cell:ID``, a name given by ``%%track``, ``file:PATH``.
    forward : bool
        Follow the data to what was made of it.
    depth : int, optional
        At most so many executions away.

    Returns
    -------
    Lineage
        A tree in text, a picture in JupyterLab, `.to_pandas()`, `.to_dict()`.

    Raises
    ------
    UnknownNameError
        Nothing recorded is called that; the nearest name is offered.
    """
    return trace(history(), target, forward=forward, depth=depth)
