"""The step from waiting requests to answered ones: what is queued makes the next batch, whenever the scorer is free.

There is no timer: a batch is what arrived while the one before was scored (Crankshaw et al., Clipper, NSDI 2017,
without its delay). Large requests are cut and take turns with the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic, time
from typing import Any, Protocol

from mlmagic.serving.answered import Answered
from mlmagic.serving.assembly import Assembler, Piece
from mlmagic.serving.metrics import Complaints, Metrics
from mlmagic.serving.pace import Pace
from mlmagic.serving.requests import RefusedError, Request
from mlmagic.serving.scoring import Batch, Outcome, Worker, score
from mlmagic.serving.writer import Writer

_INLINE = 0.001  # seconds that scoring may keep the event loop from reading
_SHARE = 4  # part of a batch that one large request takes while others wait


class Loop(Protocol):
    """What is needed of an event loop."""

    def call_soon(self, callback: Callable[[], object]) -> object: ...
    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> object: ...


class Queue:
    """Requests that wait to be scored, and the one batch that is being scored.

    Parameters
    ----------
    loop : Loop
    assembler, worker, writer, pace, metrics
        What the steps are made by.
    most : int
        Rows that may wait.

    Attributes
    ----------
    rows : int
        That wait.
    tell : callable or None
        Given each `Answered` batch.
    """

    def __init__(
        self,
        loop: Loop,
        assembler: Assembler,
        worker: Worker,
        writer: Writer,
        pace: Pace,
        metrics: Metrics,
        most: int,
    ) -> None:
        self._loop, self._assembler, self._worker = loop, assembler, worker
        self._writer, self._pace, self._metrics = writer, pace, metrics
        self.tell: Callable[[Answered], object] | None = None
        self._most = most
        self._complaints = Complaints()
        self._waiting: deque[Request] = deque()
        self._due = False  # a drain is
        self._busy = False  # the worker has a batch
        self.rows = 0

    @property
    def empty(self) -> bool:
        """Nothing waits, and nothing is being scored."""
        return not self._waiting and not self._busy

    def put(self, request: Request) -> None:
        """Have a request answered.

        Raises
        ------
        RefusedError
            Too many rows are waiting.
        """
        if self.rows and self.rows + request.count > self._most:
            raise RefusedError(503, f"{self.rows} rows are waiting already: try again", b"Retry-After: 1\r\n")
        self.rows += request.count
        self._waiting.append(request)
        self._drain_soon()

    def forget(self, request: Request) -> None:
        """Its client has left: what has not gone into a batch yet never will."""
        if request.feeds is not None or request.rows is not None:
            self.rows -= request.count - request.taken
            request.taken = request.count

    def expire(self) -> None:
        """Give up what has waited too long, also while a batch is being scored."""
        now = monotonic()
        late = [request for request in self._waiting if request.deadline < now and not request.gone]
        for request in late:
            self._give_up(request)

    def _drain_soon(self) -> None:
        if not (self._due or self._busy):
            self._due = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._due = False
        try:
            self._score_next()
        finally:
            if self._waiting:
                self._drain_soon()

    def _score_next(self) -> None:
        pieces = self._take()
        if not pieces:
            return
        kept, feeds = self._assemble(pieces)
        if not kept:
            return
        batch = Batch(kept, feeds)
        if self._pace.expected(batch.rows) <= _INLINE:
            self._deliver(score(self._worker.scorer, batch))
        else:
            self._busy = True
            self._worker.put(batch, self._scored_elsewhere)

    def _assemble(self, pieces: list[Piece]) -> tuple[list[Piece], Any]:
        try:
            return self._assembler.assemble(pieces)
        except Exception as error:  # a defect of ours: these requests fail, the server goes on
            self._fail(pieces, "a batch could not be made", error)
            return [], {}

    def _take(self) -> list[Piece]:
        """The next batch's pieces: whole requests, and of each large one a share."""
        now, room, waiting = monotonic(), self._pace.most, self._waiting
        share = max(1, room // _SHARE)
        pieces: list[Piece] = []
        unfinished: list[Piece] = []
        while waiting and room:
            request = waiting.popleft()
            if request.gone:
                self.forget(request)
                continue
            if request.deadline < now:
                self._give_up(request)
                continue
            left = request.count - request.taken
            if left <= share and left > room:
                waiting.appendleft(request)
                break
            rows = min(left, share, room)
            piece = Piece(request, request.taken, request.taken + rows)
            request.taken += rows
            self.rows -= rows
            room -= rows
            pieces.append(piece)
            if rows < left:
                unfinished.append(piece)
        for piece in unfinished:
            room -= self._lengthen(piece, room)
            if piece.stop < piece.request.count:
                waiting.append(piece.request)
        return pieces

    def _lengthen(self, piece: Piece, room: int) -> int:
        """What is left of a batch goes to the large ones."""
        rows = min(room, piece.request.count - piece.stop)
        piece.stop += rows
        piece.request.taken += rows
        self.rows -= rows
        return rows

    def _give_up(self, request: Request) -> None:
        self.forget(request)
        request.refuse(504, "the request waited longer than its deadline, and was not scored")

    def _scored_elsewhere(self, outcomes: list[Outcome]) -> None:
        """Called in the worker's thread."""
        self._loop.call_soon_threadsafe(self._resume, outcomes)

    def _resume(self, outcomes: list[Outcome]) -> None:
        self._busy = False
        try:
            self._deliver(outcomes)
        finally:
            if self._waiting:
                self._drain_soon()

    def _deliver(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            pieces = outcome.batch.pieces
            try:
                if outcome.answers is None:
                    self._fail(pieces, "the model failed on a request", outcome.error, by_model=True)
                else:
                    self._answer(outcome)
            except Exception as error:  # a defect of ours: these requests fail, the server goes on
                self._fail(pieces, "a batch could not be answered", error)

    def _answer(self, outcome: Outcome) -> None:
        batch, answers = outcome.batch, outcome.answers
        assert answers is not None
        self._pace.took(batch.rows, outcome.seconds)
        self._metrics.scored(batch.rows)
        scored, at = self._writer.scored(answers), 0
        for piece in batch.pieces:
            request, rows = piece.request, piece.stop - piece.start
            if not request.gone:
                request.form.add(request, scored, at, at + rows)
            at += rows
        if self.tell is not None:
            asked = tuple((piece.request.request_id, piece.start, piece.stop - piece.start) for piece in batch.pieces)
            self.tell(Answered(time(), outcome.seconds, asked, batch.feeds, answers))

    def _fail(self, pieces: list[Piece], what: str, error: BaseException | None, by_model: bool = False) -> None:
        for piece in pieces:
            if not piece.request.gone:
                text = f"the model failed on this request's rows (request_id {piece.request.request_id})"
                piece.request.refuse(500, text if by_model else "internal error")
        if error is not None:
            self._complaints.add(f"{what} ({', '.join(piece.request.request_id for piece in pieces[:5])})", error)
