"""The panel between kernel and pages: what cells and pages do is handed to the desk, which tells the pages.

In the cell's own thread nothing happens but that: no page, no work. Replies to commands and pushes go out in the
context of the message that opened their comm, by which ipykernel (7.4) routes what the page sends next to that page's
own thread: it need not wait for the running cell.
"""

from __future__ import annotations

import atexit
import importlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mlmagic.panel.cancel import Cancel
from mlmagic.panel.desk import Desk
from mlmagic.panel.wire import COMMANDS, HELLO, PANEL, VERSION
from mlmagic.records import Sweep

if TYPE_CHECKING:  # nothing of this is loaded before a page comes
    from mlmagic.panel.feed import Feed
    from mlmagic.panel.wire import Cell, Reply
    from mlmagic.records import Observation
    from mlmagic.session import Session

_LISTS = ("mlmagic.panel.checks", "mlmagic.panel.endpoints", "mlmagic.panel.sweeps")
_SOON_ASKED_FOR = ("mlmagic.api.ancestry", "mlmagic.api.health", "mlmagic.api.reusing", "mlmagic.api.slicing")
_MAX_PAGES = 8  # of more, the oldest are taken for pages that went without a word
_LISTS_PAUSE = 1.0  # seconds between two readings of the lists: a sweep writes a line for each trial
_LOOK_AGAIN = 5.0  # seconds after which endpoints, which other processes run, are looked at again while they are shown


@dataclass(frozen=True, slots=True)
class Begun:
    """The cell that runs, as the front end sent it."""

    cell: str
    execution: str
    source: str


class Panel:
    """The kernel's side of the page, for one session.

    Parameters
    ----------
    shell
        IPython's.
    session : Session
    """

    def __init__(self, shell: Any, session: Session) -> None:
        self._shell = shell
        self._session = session
        self._desk = Desk(self._trouble, self._idle)
        self._feed: Feed | None = None
        self._comms: dict[str, Any] = {}  # of pages and their commands, by id
        self._hello: Any = None
        self._installed = False
        self._begun: Begun | None = None
        self._cancel = Cancel(session, self._wake)
        self._read_at = self._look_at = 0.0  # when lists may be read next, and when they are to be
        self._waiting: list[tuple[tuple[str, ...], Callable[[], None]]] = []  # modules to be loaded, and a job for then
        self._tried: set[str] = set()

    # -- life --------------------------------------------------------------------------------

    def install(self) -> None:
        """Be there for pages; does nothing where the kernel has no comms (a terminal)."""
        manager = self._manager
        if manager is None:
            return
        self._installed = True
        self._session.pages = 0
        self._desk.start()
        atexit.register(self._desk.stop)
        self._session.listeners.append(self._observed)
        self._session.watchers.append(self._recorded)
        self._shell.events.register("pre_run_cell", self._before)
        self._shell.events.register("post_run_cell", self._after)
        manager.register_target(PANEL, self._on_page)
        manager.register_target(COMMANDS, self._on_commands)
        try:
            self._hello = _hello()
        except Exception as error:  # whoever cannot be greeted finds the targets all the same
            self._trouble(error)

    def remove(self) -> None:
        """Take everything back, and tell the pages."""
        manager = self._manager
        if not self._installed:
            return
        self._installed = False
        self._desk.stop()
        atexit.unregister(self._desk.stop)
        self._shell.events.unregister("pre_run_cell", self._before)
        self._shell.events.unregister("post_run_cell", self._after)
        self._session.listeners.remove(self._observed)
        self._session.watchers.remove(self._recorded)
        manager.unregister_target(PANEL, self._on_page)
        manager.unregister_target(COMMANDS, self._on_commands)
        for one in filter(None, [*self._comms.values(), self._hello]):
            with suppress(KeyError):  # its page closed it at this moment
                one.close()
        self._comms.clear()
        self._session.pages = self._hello = None

    @property
    def _manager(self) -> Any:
        return getattr(getattr(self._shell, "kernel", None), "comm_manager", None)

    # -- in the cell's thread ----------------------------------------------------------------

    def _before(self, info: Any) -> None:
        """`pre_run_cell`; one that a cell magic runs inside belongs to its cell."""
        execution = self._session.recorder.execution_id
        if execution is None or (self._begun is not None and self._begun.execution == execution):
            return
        if info.cell_id is None:  # a front end without ids has no marks
            self._begun = None
            return
        self._begun = Begun(info.cell_id, execution, info.raw_cell)
        if self._session.pages:
            begun = self._begun
            self._desk.put(lambda: self._started(begun))

    def _after(self, result: Any) -> None:
        """`post_run_cell`, after what was recorded of the cell."""
        if self._session.recorder.running:
            return
        self._begun = None
        if self._waiting:
            self._ask_for_modules()
        self._cancel.over()
        if self._session.pages:
            ok = bool(result.success)
            self._desk.put(lambda: self._over(ok))

    def _observed(self, observation: Observation) -> None:
        if self._session.pages:
            self._desk.put(lambda: self._fed(lambda feed: feed.observed(observation)))

    def _recorded(self, record: object) -> None:
        if isinstance(record, Sweep):
            self._cancel.noticed(record)
        if self._session.pages:
            self._desk.put(lambda: self._fed(lambda feed: feed.recorded(record)))

    # -- in the threads of pages' messages ---------------------------------------------------

    def _on_page(self, comm: Any, message: Mapping[str, Any]) -> None:
        """A page opened its comm, and says what it shows."""
        key, context, sections = comm.comm_id, copy_context(), _texts(message, "sections")
        self._comms[key] = comm
        comm.on_msg(lambda said: self._desk.put(lambda: self._said(key, said)))
        comm.on_close(lambda _: self._close(key))
        pages = self._count()
        self._desk.put(lambda: self._open(key, comm, context, sections))
        for oldest in pages[:-_MAX_PAGES]:
            oldest.close()
            self._close(oldest.comm_id)

    def _on_commands(self, comm: Any, _: Mapping[str, Any]) -> None:
        self._comms[comm.comm_id] = comm
        comm.on_msg(lambda said: self._asked(comm, said))
        comm.on_close(lambda _: self._comms.pop(comm.comm_id, None))

    def _asked(self, comm: Any, said: Mapping[str, Any]) -> None:
        """A command: to cancel is done at once, the rest at the desk."""
        from mlmagic.errors import MlmagicError
        from mlmagic.panel import commands

        request, context = _data(said), copy_context()
        key = str(request.get("id", ""))
        try:
            command = commands.check(request)
            if command == "cancel":
                comm.send({"id": key, "text": self._cancel()})
                return
        except MlmagicError as error:
            comm.send({"id": key, "error": str(error)})
            return
        except Exception as error:
            comm.send({"id": key, "error": f"cancel failed ({type(error).__name__}: {error})"})
            return
        needs = commands.NEEDS[command]
        self._desk.put(lambda: self._with(needs, lambda: _send(comm, context, commands.answer(request))))

    def _close(self, key: str) -> None:
        if self._comms.pop(key, None) is not None:
            self._count()
            self._desk.put(lambda: self._fed(lambda feed: feed.close(key)))

    def _count(self) -> list[Any]:
        """The comms of pages, oldest first; their number is what cells ask for before anything is handed on."""
        pages = [comm for comm in list(self._comms.values()) if comm.target_name == PANEL]
        self._session.pages = len(pages)
        return pages

    # -- at the desk -------------------------------------------------------------------------

    def _open(self, key: str, comm: Any, context: Context, sections: Iterable[str]) -> None:
        from mlmagic.panel.feed import Feed
        from mlmagic.panel.sources import sources

        if self._feed is None:
            self._feed = Feed(self._session, sources(self._session), self._trouble)
        self._feed.open(key, lambda message: self._push(key, comm, context, message), sections, self._running())
        if not self._feed.has_lists:
            self._with((*_LISTS, *_SOON_ASKED_FOR), self._use_lists)

    def _said(self, key: str, message: Mapping[str, Any]) -> None:
        """A page shows other sections, or its cells stand in another order."""
        if _data(message).get("type") == "order":
            self._fed(lambda feed: feed.ordered(_texts(message, "cells")))
        else:
            self._fed(lambda feed: feed.show(key, _texts(message, "sections")))

    def _push(self, key: str, comm: Any, context: Context, message: Mapping[str, Any]) -> None:
        try:
            _send(comm, context, message)
        except Exception as error:  # the other pages are told
            self._close(key)
            self._trouble(error)

    def _started(self, begun: Begun) -> None:
        running = _row(begun)
        self._fed(lambda feed: feed.started(running))
        self._fed(lambda feed: feed.flush())

    def _over(self, ok: bool) -> None:
        self._fed(lambda feed: feed.over(ok))
        self._fed(lambda feed: feed.flush())

    def _fed(self, job: Callable[[Feed], None]) -> None:
        if self._feed is not None:
            job(self._feed)

    def _running(self) -> Cell | None:
        begun = self._begun
        return _row(begun) if begun is not None else None

    def _idle(self) -> float | None:
        """Nothing waits: read the lists that are shown and old, not too often."""
        feed = self._feed
        if feed is None or not feed.shown & {"sweeps", "checks", "endpoints"}:
            return None
        if not feed.has_lists:
            return None
        now = time.monotonic()
        if feed.serving and now >= self._look_at:
            feed.outdate("endpoints")
        if feed.old:
            if now < self._read_at:
                return self._read_at - now
            self._read_at, self._look_at = now + _LISTS_PAUSE, now + _LOOK_AGAIN
            feed.flush(lists=True)
        return self._look_at - now if feed.serving else None

    def _use_lists(self) -> None:
        from mlmagic.panel.listers import listers

        self._fed(lambda feed: feed.use(listers()))

    def _trouble(self, error: Exception) -> None:
        if not self._desk.stopped:
            self._session.tell_once(f"the panel could not be told something ({type(error).__name__}: {error})")

    # -- loading what is not loaded yet ------------------------------------------------------

    def _with(self, modules: Iterable[str], job: Callable[[], None]) -> None:
        """Do a job once modules are loaded.

        Loading is left to the main thread while no cell runs: packages that come beside a cell would be taken for its
        work. Our own modules bring NumPy, and nothing else.
        """
        missing = [name for name in modules if name not in sys.modules and name not in self._tried]
        if "numpy" in sys.modules and all(name.startswith("mlmagic.") for name in missing):
            for name in missing:
                importlib.import_module(name)
            missing = []
        if not missing:
            job()
            return
        self._waiting.append((tuple(modules), job))
        self._ask_for_modules()

    def _wake(self) -> None:
        loop = getattr(self._shell.kernel, "io_loop", None)
        if loop is not None:
            loop.add_callback(lambda: None)

    def _ask_for_modules(self) -> None:
        loop = getattr(self._shell.kernel, "io_loop", None)
        if loop is not None:
            loop.add_callback(self._load)
        else:
            self._load()

    def _load(self) -> None:
        """On the main thread, where it has a loop; where a cell runs, its end asks again."""
        if self._session.recorder.running or self._desk.stopped:
            return
        for name in [name for modules, _ in list(self._waiting) for name in modules]:
            self._tried.add(name)
            with suppress(ImportError):  # the job says what it misses
                importlib.import_module(name)
        self._desk.put(self._go_on)

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for modules, job in waiting:
            self._desk.put(partial(self._with, modules, job))


def _hello() -> Any:
    from comm import create_comm

    from mlmagic import __version__

    return create_comm(target_name=HELLO, data={"version": VERSION, "mlmagic": __version__})


def _row(begun: Begun) -> Cell:
    from mlmagic.analysis import redact
    from mlmagic.panel.marks import running_row
    from mlmagic.session.tracking import Tracking

    name = Tracking.of(begun.source).name
    return running_row(begun.cell, begun.execution, name, redact(begun.source))


def _send(comm: Any, context: Context, message: Mapping[str, Any] | Reply) -> None:
    context.run(comm.send, dict(message))


def _data(message: Mapping[str, Any]) -> Mapping[str, Any]:
    found = message.get("content", {}).get("data")
    return found if isinstance(found, dict) else {}


def _texts(message: Mapping[str, Any], name: str) -> list[str]:
    found = _data(message).get(name)
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
