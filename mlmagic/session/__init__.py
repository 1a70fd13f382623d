"""The living kernel: hooks around its cells, the session they belong to, and the handles that are open meanwhile."""

from mlmagic.session.current import active, require, resume, set_current
from mlmagic.session.session import Session

__all__ = ["Session", "active", "require", "resume", "set_current"]
