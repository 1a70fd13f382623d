"""The journal, where an observed cell is kept first: records in, lines of an append-only file out, and back again."""

from mlmagic.journal.events import Event
from mlmagic.journal.reader import Report, read
from mlmagic.journal.writer import Journal

__all__ = ["Event", "Journal", "Report", "read"]
