"""What travels between kernel and page; `labextension/src/wire.ts` says the same in TypeScript.

Two comms, since what the page sends on one that cells push on has to wait for the running cell:

``mlmagic.panel``
    The page opens it and says what it shows: ``{"type": "showing", "sections": ["lineage", …]}``. The kernel answers
    with a `Snapshot`, and pushes a `Delta` for each cell that finished and for whatever else changes. Cells (the marks)
    come always; the rest only for sections that are shown.
    In which order the cells stand, the page says whenever it changes: ``{"type": "order", "cells": [id, …]}``.
``mlmagic.commands``
    The page asks (`Request`), the kernel answers (`Reply`), also while a cell runs.

The kernel keeps a third open, ``mlmagic.hello``: it tells pages that the extension is loaded. A page that missed a
message (`seq` is not the next one) says what it shows again, and is sent a snapshot. What is larger than one push
may be goes on in deltas. A section's key is there as soon as it is shown and can be told.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

VERSION = 1
PANEL, COMMANDS, HELLO = "mlmagic.panel", "mlmagic.commands", "mlmagic.hello"
LARGEST = 100_000  # bytes of one push

Section: TypeAlias = Literal["lineage", "reuse", "sweeps", "checks", "endpoints"]


class Cell(TypedDict):
    """The last run of one cell: what its mark tells."""

    id: str
    execution: str
    count: int | None
    name: str | None
    line: str  # its first line
    status: Literal["ok", "error", "interrupted", "reused", "running"]
    seconds: float
    saved: float  # seconds, where it was reused
    stale: str | None  # why, in words
    unkept: str | None  # why it cannot be reused, where reuse was asked for
    failed: list[str]  # checks that fired on what it made
    source_hash: str  # of the text that ran: the page tells whether it was edited since
    typed: NotRequired[int | None]  # CRC-32 of the text as it was sent; None where the store has it without its secrets


class Node(TypedDict):
    """A cell, or the latest version of a variable or file, in the graph."""

    id: str
    kind: Literal["cell", "variable", "file", "model", "random", "module"]
    label: str
    cell: str | None  # the cell to scroll to
    row: int  # grows with time and never changes: the graph is stable while it grows
    type: NotRequired[str | None]
    shape: NotRequired[str | None]
    seconds: NotRequired[float | None]
    status: NotRequired[str | None]
    preview: NotRequired[str | None]


Edge: TypeAlias = tuple[str, str]  # from what was read to who read it; from a cell to what it wrote


class Reuse(TypedDict):
    """The ledger."""

    mode: str
    saved: float
    computed: float
    stored: int  # bytes
    budget: int
    cells: list[dict[str, Any]]  # id, count, line, decision, why, seconds, saved, nbytes


class Item(TypedDict):
    """A sweep, a check or an endpoint in its list.

    `picture` is SVG, made by `views`, with the front end's own colours.
    """

    id: str
    name: str
    state: Literal["running", "good", "bad", "warn", "past"]
    word: str  # of the state, as its reader says it: `fired`, `finished`
    text: str
    details: list[str]
    cell: str | None
    picture: NotRequired[str | None]


class Snapshot(TypedDict):
    """Everything that the page shows."""

    type: Literal["snapshot"]
    version: int
    seq: int
    session: str
    mlmagic: str
    running: str | None  # id of the cell that runs now
    cells: list[Cell]
    nodes: NotRequired[list[Node]]
    edges: NotRequired[list[Edge]]
    more: NotRequired[int]  # nodes left out: the oldest
    reuse: NotRequired[Reuse]
    sweeps: NotRequired[list[Item]]
    checks: NotRequired[list[Item]]
    endpoints: NotRequired[list[Item]]


class Delta(TypedDict):
    """What changed: cells and nodes by id, edges that are new or no more, and whole lists of the rest."""

    type: Literal["delta"]
    seq: int
    running: str | None
    cells: NotRequired[list[Cell]]
    nodes: NotRequired[list[Node]]
    edges: NotRequired[list[Edge]]
    cut: NotRequired[list[Edge]]  # edges that are no more, although both ends are
    gone: NotRequired[list[str]]  # ids of nodes
    more: NotRequired[int]
    reuse: NotRequired[Reuse]
    sweeps: NotRequired[list[Item]]
    checks: NotRequired[list[Item]]
    endpoints: NotRequired[list[Item]]


class Request(TypedDict):
    """``lineage`` and ``slice`` take a `target`; ``explain`` a `cell`; ``cancel`` and ``doctor`` nothing."""

    id: str
    command: Literal["lineage", "explain", "slice", "cancel", "doctor"]
    target: NotRequired[str]
    cell: NotRequired[str]


class Reply(TypedDict):
    """`text` is what the magic of the same name would say; `error` is one line."""

    id: str
    text: NotRequired[str]
    html: NotRequired[str]
    error: NotRequired[str]
