"""The step from a target to code that recreates it: `plan` chooses the cells, `script` and `notebook` write them."""

from __future__ import annotations

from mlmagic.graph.closure import SlicePlan, plan
from mlmagic.graph.emit import notebook, script

__all__ = ["SlicePlan", "notebook", "plan", "script"]
