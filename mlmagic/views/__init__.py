"""The step from results to pictures: one renderer per result type, registered with `results` when this is imported."""

from __future__ import annotations

from mlmagic.views import assertions, drift, evaluation, lineage, sweeps, tables

__all__ = ["assertions", "drift", "evaluation", "lineage", "sweeps", "tables"]
