"""The heart of the panel: what happened in the kernel comes in, snapshots and deltas for the pages go out.

Everything here belongs to one thread, and knows of no kernel. Where no page is open nothing is held: the first one
to come has the session read from the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import mlmagic
from mlmagic.panel.graph import Graph, View
from mlmagic.panel.lists import Lister, Places, fitted
from mlmagic.panel.marks import Marks
from mlmagic.panel.sizes import ROWS, Message, pieces
from mlmagic.panel.steps import of_history, of_observation
from mlmagic.panel.wire import VERSION, Cell
from mlmagic.panel.wire import Reuse as Ledger
from mlmagic.records import Amendment, AssertionResult, History, Observation, Reuse
from mlmagic.session import Session

SECTIONS = ("lineage", "reuse", "sweeps", "checks", "endpoints")
LISTS = ("sweeps", "checks", "endpoints")

Send: TypeAlias = Callable[[Message], None]


@dataclass
class Page:
    """One page that listens."""

    send: Send
    shown: frozenset[str] = frozenset()
    seq: int = 0

    def push(self, message: Mapping[str, Any]) -> None:
        self.seq += 1
        self.send({**message, "seq": self.seq})


@dataclass(frozen=True)
class Sources:
    """Where the feed gets what it was not told.

    Attributes
    ----------
    history, reuses, results
        The session so far.
    ledger
        The section *Reuse*.
    """

    history: Callable[[], History]
    reuses: Callable[[], Iterable[Reuse]]
    results: Callable[[], Iterable[AssertionResult]]
    ledger: Callable[[Marks], Ledger]


@dataclass
class _Told:
    """What all pages know by now."""

    running: str | None = None
    cells: dict[str, Cell] = field(default_factory=dict)
    graph: View = field(default_factory=lambda: View({}, {}, 0))
    values: dict[str, Any] = field(default_factory=dict)  # of sections that are told as a whole


class _State:
    """One session, read from the store and told on since."""

    def __init__(self, sources: Sources) -> None:
        self.marks, self.graph = Marks(), Graph()
        for step in of_history(sources.history()):
            self.marks.add(step)
            self.graph.add(step)
        for reuse in sources.reuses():
            self.marks.decided(reuse)
        for result in sources.results():
            self.marks.checked(result)
        self.told = _Told()
        self.running: Cell | None = None
        self.lost: dict[str, Cell] = {}  # last runs that could not be recorded
        self.read: dict[str, Any] = {}  # sections that were read anew and not told yet

    def cells(self) -> dict[str, Cell]:
        """The marks as they are now."""
        found = {row["id"]: row for row in self.marks.rows()} | self.lost
        return found if self.running is None else {**found, self.running["id"]: self.running}


class Feed:
    """The pages of one session, and what they are told.

    Parameters
    ----------
    session : Session
    sources : Sources
    trouble : callable
        Told of what failed while the rest goes on.
    """

    def __init__(self, session: Session, sources: Sources, trouble: Callable[[Exception], None]) -> None:
        self._session = session
        self._sources = sources
        self._trouble = trouble
        self._state: _State | None = None
        self._listers: Mapping[str, Lister] = {}
        self._old = set(LISTS)  # lists that are not what the store would say now
        self.pages: dict[str, Page] = {}

    # -- pages -------------------------------------------------------------------------------

    def open(self, key: str, send: Send, sections: Iterable[str], running: Cell | None) -> None:
        """A page is there and shows these sections."""
        if self._state is None:
            self._state = _State(self._sources)
            self._state.running = running
            self._old = set(LISTS)
        self.pages[key] = Page(send)
        self.show(key, sections)

    def show(self, key: str, sections: Iterable[str]) -> None:
        """A page shows these sections from now on, and wants to be told all of it."""
        page = self.pages.get(key)
        if page is None:
            return
        page.shown = frozenset(sections) & frozenset(SECTIONS)
        self.flush(but=page)
        self._snapshot(page)

    def close(self, key: str) -> None:
        """A page went away; with the last one goes all that was held for pages."""
        self.pages.pop(key, None)
        if not self.pages:
            self._state = None

    @property
    def shown(self) -> frozenset[str]:
        """Sections that some page shows."""
        return frozenset[str]().union(*(page.shown for page in self.pages.values()))

    @property
    def old(self) -> set[str]:
        """Lists that are shown and to be read anew."""
        return self._old & self.shown

    @property
    def has_lists(self) -> bool:
        """Whether they can be read."""
        return bool(self._listers)

    @property
    def serving(self) -> bool:
        """Whether a page shows an endpoint that runs: it changes without anything happening here."""
        known = self._state.told.values.get("endpoints", ()) if self._state is not None else ()
        return "endpoints" in self.shown and any(one["state"] != "past" for one in known)

    # -- what happens ------------------------------------------------------------------------

    def started(self, running: Cell) -> None:
        if self._state is not None:
            self._state.running = running

    def ordered(self, cells: Iterable[str]) -> None:
        """A page says in which order the cells stand."""
        if self._state is not None:
            self._state.marks.ordered(cells)

    def over(self, ok: bool = True) -> None:
        """The cell that began is over; `ok`: without an error, where nothing else is known of it."""
        state = self._state
        if state is None:
            return
        running, state.running = state.running, None
        if running is not None and not state.marks.knows(running["execution"]):
            state.lost[running["id"]] = Cell(**{**running, "status": "ok" if ok else "error"})
        self._old.add("endpoints")  # which other processes write about

    def observed(self, observation: Observation) -> None:
        state = self._state
        if state is None or state.marks.knows(observation.execution.execution_id):
            return
        step = of_observation(observation, state.marks.versions)
        state.marks.add(step)
        state.graph.add(step)
        state.lost.pop(step.execution.cell_id, None)

    def recorded(self, record: Any) -> None:
        """Anything else that was written down."""
        state = self._state
        if state is None:
            return
        match record:
            case Amendment():
                state.marks.amend(record)
                state.graph.amend(record)
            case Reuse():
                state.marks.decided(record)
            case AssertionResult():
                state.marks.checked(record)
        self.outdate(_LIST_OF.get(type(record).__name__))

    def outdate(self, name: str | None) -> None:
        """A list is not what the store says any more."""
        if name is not None:
            self._old.add(name)

    def use(self, listers: Mapping[str, Lister]) -> None:
        """From now on there are lists."""
        self._listers = listers

    # -- telling -----------------------------------------------------------------------------

    def flush(self, lists: bool = False, but: Page | None = None) -> None:
        """Tell every page (`but` one) what changed; with `lists`, these are read anew where they are shown and old."""
        state = self._state
        if state is None:
            return
        if lists:
            self._read_lists(state)
        changes = self._changes(state)
        for page in self.pages.values():
            if page is not but:
                self._delta(page, state, changes)

    def _read_lists(self, state: _State) -> None:
        places = Places(state.marks.cell_of, state.marks.maker_of)
        for name in sorted(self.old & self._listers.keys()):
            self._old.discard(name)
            try:
                state.read[name] = fitted(list(self._listers[name](self._session, places)))
            except Exception as error:  # the other lists can still be had
                self._trouble(error)

    def _changes(self, state: _State) -> Message:
        """What differs from what was told, of all sections that some page shows; it counts as told from now on."""
        told, shown = state.told, self.shown
        cells = state.cells()
        changes: Message = {"cells": [row for key, row in cells.items() if told.cells.get(key) != row]}
        running = state.running["id"] if state.running is not None else None
        changes["running"] = told.running != running
        told.cells, told.running = cells, running
        if "lineage" in shown:
            now = state.graph.view()
            changes |= _graph_changes(told.graph, now)
            told.graph = now
        if "reuse" in shown:
            state.read["reuse"] = self._sources.ledger(state.marks)
        for name, value in state.read.items():
            if told.values.get(name) != value:
                told.values[name] = changes[name] = value
        state.read.clear()
        return changes

    def _delta(self, page: Page, state: _State, changes: Message) -> None:
        parts = {name: value for name, value in _filled(changes).items() if _is_for(page, name)}
        if parts or changes["running"]:
            for piece in pieces(parts):
                page.push({"type": "delta", "running": state.told.running, **_filled(piece)})

    def _snapshot(self, page: Page) -> None:
        state = self._state
        assert state is not None
        told = state.told
        parts: Message = {"cells": list(told.cells.values())}
        if "lineage" in page.shown:
            parts |= {"nodes": list(told.graph.nodes.values()), "edges": list(told.graph.edges)}
        parts |= {name: value for name, value in told.values.items() if name in page.shown}
        first, *rest = pieces(parts)
        about = {
            "version": VERSION,
            "session": self._session.session_id,
            "mlmagic": mlmagic.__version__,
            "running": told.running,
            "more": told.graph.more if "lineage" in page.shown else 0,
        }
        page.push({"type": "snapshot", **about, **first})
        for piece in rest:
            page.push({"type": "delta", "running": told.running, **piece})


_LIST_OF = {
    "Sweep": "sweeps",
    "Trial": "sweeps",
    "Assertion": "checks",
    "AssertionResult": "checks",
    "Drift": "checks",
    "Bundle": "endpoints",
    "Endpoint": "endpoints",
}
_GRAPH = frozenset({"nodes", "edges", "cut", "gone", "more"})


def _is_for(page: Page, name: str) -> bool:
    """Whether a part of the changes is about something that the page shows."""
    if name in _GRAPH:
        return "lineage" in page.shown
    return name == "cells" or name in page.shown


def _graph_changes(before: View, now: View) -> Message:
    gone = [name for name in before.nodes if name not in now.nodes]
    alive = now.nodes.keys()
    changes: Message = {
        "nodes": [node for name, node in now.nodes.items() if before.nodes.get(name) != node],
        "edges": [edge for edge in now.edges if edge not in before.edges],
        "cut": [edge for edge in before.edges if edge not in now.edges and edge[0] in alive and edge[1] in alive],
        "gone": gone,
    }
    return changes | ({"more": now.more} if now.more != before.more else {})


def _filled(piece: Message) -> Message:
    """Without rows of which there are none; a list that is empty as a whole is something to tell."""
    return {name: value for name, value in piece.items() if value or name not in ROWS}
