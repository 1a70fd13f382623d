"""The journal of what may run for months: events in, lines of a file out, and the oldest file given up for a new one.

A session's journal grows with what a person types; an endpoint's with what the world asks. So it is cut into segments
``<endpoint_id>.<number>.jsonl``, of which the last few are kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mlmagic.journal.writer import Journal
from mlmagic.records import Endpoint

SEGMENT_BYTES = 64 << 20
KEPT = 4


class RotatingJournal:
    """An endpoint's journal; each segment begins with the endpoint's own event, so that any of them tells whose it is.

    Parameters
    ----------
    folder : Path
        The project's ``journal`` folder.
    endpoint : Endpoint
        As it starts.
    segment_bytes, kept : int
        From which size on a segment is closed, and how many there are at most.

    Notes
    -----
    `write` raises `OSError` as `Journal` does.
    """

    def __init__(
        self, folder: Path, endpoint: Endpoint, *, segment_bytes: int = SEGMENT_BYTES, kept: int = KEPT
    ) -> None:
        self._folder = folder
        self._endpoint = endpoint
        self._segment_bytes = segment_bytes
        self._kept = kept
        self._number = self._latest()
        self._journal = self._begun()

    @property
    def path(self) -> Path:
        """The segment that is written now."""
        return self._journal.path

    def write(self, event: Callable[[Journal], None]) -> None:
        """Append an event: `event` is given the journal to write it with."""
        if self._size() >= self._segment_bytes:
            self._turn()
        if not self.path.exists():  # the first event, or the project folder was deleted under us
            self._journal.served(self._endpoint)
        event(self._journal)

    def close(self) -> None:
        """Release the file."""
        self._journal.close()

    def _turn(self) -> None:
        """Go on to a new segment; the oldest one goes."""
        self._journal.close()
        self._number += 1
        self._journal = self._begun()
        self._journal.served(self._endpoint)  # before the oldest goes: readers see that there is a later one
        for path in self._segments():
            if path.name <= f"{self._name(self._number - self._kept)}.jsonl":  # also those that once could not go
                path.unlink(missing_ok=True)

    def _latest(self) -> int:
        """The segment to go on with: another process may have begun this endpoint's journal, and died."""
        numbers = (path.name.split(".")[-2] for path in self._segments())
        return max((int(number) for number in numbers if number.isdigit()), default=0)

    def _segments(self) -> Iterator[Path]:
        return self._folder.glob(f"{self._endpoint.endpoint_id}.*.jsonl")

    def _begun(self) -> Journal:
        return Journal(self._folder, self._name(self._number))

    def _name(self, number: int) -> str:
        return f"{self._endpoint.endpoint_id}.{number:06}"  # of one width: readers go by the order of names

    def _size(self) -> int:
        try:
            return os.stat(self.path).st_size
        except FileNotFoundError:
            return 0
