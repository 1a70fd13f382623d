"""What was answered: the server's word to its watcher, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

from mlmagic.bundles.graph import Answers
from mlmagic.bundles.rows import Feeds


@dataclass(frozen=True, slots=True)
class Answered:
    """One batch that the model answered.

    Attributes
    ----------
    at : float
        When, in seconds since the epoch, UTC.
    seconds : float
        What scoring the batch took.
    requests : tuple of (str, int, int)
        Id of each request in it, number of its first row here within the request, and how many rows of it are here.
    feeds : mapping
        Inputs of the graph; rows in the order of `requests`.
    answers : mapping
        Outputs of the graph; the same rows.
    """

    at: float
    seconds: float
    requests: tuple[tuple[str, int, int], ...]
    feeds: Feeds
    answers: Answers
