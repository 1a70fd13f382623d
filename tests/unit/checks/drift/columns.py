"""Columns for the tests of single detectors."""

from __future__ import annotations

from mlmagic.checks.profile import Profile
from mlmagic.tables import table_of


def both(reference, current):
    """A column as a profile remembers it, and current data seen through it."""
    made = Profile.of(table_of({"x": reference}))
    found, _ = made.seen_in(table_of({"x": current}), ["x"], lambda before, now: (before, now))
    return found[0]
