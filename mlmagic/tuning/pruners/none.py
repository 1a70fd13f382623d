"""No pruning: every trial runs to its end.

Take it, as is done unless told otherwise, when trials report nothing on their way, or when what they report early says
little about where they end.
"""

from __future__ import annotations

from typing import Any

from mlmagic._optional import need


def make() -> Any:
    """Optuna's."""
    return need("optuna").pruners.NopPruner()
