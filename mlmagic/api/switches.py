"""`mlmagic.on` and `mlmagic.off`: tracking for the rest of the session."""

from __future__ import annotations

from mlmagic.session import require

__all__ = ["off", "on"]


def on() -> None:
    """Record every cell from the next one on.

    What happened meanwhile is put down to the last recorded cell.
    """
    require().settings.track = True


def off() -> None:
    """Record nothing until `on`; what is recorded stays."""
    require().settings.track = False
