"""What ``%load_ext mlmagic`` does and ``%unload_ext mlmagic`` undoes, as one list."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from mlmagic.analysis import analyse, redact
from mlmagic.capture import Cell, Outcome
from mlmagic.config import PROJECT_FOLDER
from mlmagic.magics import COMPLETERS, MAGICS
from mlmagic.panel.panel import Panel
from mlmagic.session import Session, active, set_current
from mlmagic.session.hooks import NotebookHooks
from mlmagic.session.reuse import ReuseHooks, open_cache
from mlmagic.session.settings import settings

_ATTRIBUTE = "_mlmagic"  # on the shell: what unloading must undo


class Extension:
    """One shell's extension: everything it put in place, so that all of it can be taken away."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.settings = settings(shell)
        folder = Path(self.settings.home) if self.settings.home else Path.cwd() / PROJECT_FOLDER
        self.session = Session(
            shell.user_ns,
            folder,
            self.settings,
            hidden=lambda: shell.user_ns_hidden,
            transform=lambda text: str(shell.input_transformer_manager.transform_cell(text)),
        )
        cache = self.session.cache = open_cache(self.session.project, self.session.tell_once)
        self.hooks = NotebookHooks(shell, self.session, redact, ReuseHooks(shell, self.session, cache))
        self.magics = _Magics(shell)
        self.panel = Panel(shell, self.session)

    def load(self) -> None:
        cell = self._running_cell()
        binds = analyse(cell.code).binds if cell else frozenset()
        self.session.start(self._earlier_source(cell), but=binds)
        set_current(self.session)
        self.shell.configurables.append(self.settings)
        self.magics.install()
        self.hooks.install()
        self.panel.install()  # after the hooks: what they record of a cell comes before the cell's end
        if cell is not None:
            self.session.begin(cell)  # `post_run_cell` of the loading cell is still to come

    def unload(self) -> None:
        self.panel.remove()
        if self.session.recorder.running:
            self.session.end(Outcome("ok", self.shell.execution_count))
        self.hooks.remove()
        self.magics.remove()
        self.shell.configurables.remove(self.settings)
        self.session.close()
        if active() is self.session:
            set_current(None)

    def _running_cell(self) -> Cell | None:
        """The cell that is loading us, if one is (a configuration file may do it, too)."""
        inputs = self.shell.history_manager.input_hist_raw
        if not _inside_a_cell(self.shell.user_ns) or len(inputs) < 2:
            return None
        raw = inputs[-1]
        return Cell(redact(raw), self.hooks.transformed(raw), cell_id=self._cell_id())

    def _cell_id(self) -> str | None:
        try:
            found = self.shell.get_parent().get("metadata", {}).get("cellId")
        except (AttributeError, LookupError):  # a terminal has no messages
            return None
        return found if isinstance(found, str) else None

    def _earlier_source(self, cell: Cell | None) -> str:
        inputs = self.shell.history_manager.input_hist_raw
        return "\n".join(inputs[1:-1] if cell is not None else inputs[1:])


class _Magics:
    """Our magics and their completion in a shell; what bore the same names before comes back."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._tables = shell.magics_manager.magics
        self._earlier: dict[str, dict[str, Any]] = {}

    def install(self) -> None:
        self._earlier = {kind: dict(table) for kind, table in self._tables.items()}
        self._shell.register_magics(*MAGICS)
        for name, complete in COMPLETERS.items():
            self._shell.set_hook("complete_command", complete, re_key=_command(name))

    def remove(self) -> None:
        for magics in MAGICS:
            self._shell.magics_manager.registry.pop(magics.__name__, None)
            for kind, names in magics.magics.items():
                for name in names:
                    self._restore(kind, name)
        ours = [part for part in self._shell.configurables if isinstance(part, MAGICS)]
        for part in ours:
            self._shell.configurables.remove(part)
        for name in COMPLETERS:
            self._shell.strdispatchers["complete_command"].regexs.pop(re.compile(_command(name)), None)

    def _restore(self, kind: str, name: str) -> None:
        if name in self._earlier.get(kind, {}):
            self._tables[kind][name] = self._earlier[kind][name]
        else:
            self._tables[kind].pop(name, None)


def _command(name: str) -> str:
    return rf"%%?{name}\b"


def _inside_a_cell(namespace: dict[str, Any]) -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals is namespace:
            return True
        frame = frame.f_back
    return False


def load(shell: Any) -> None:
    """Start tracking a shell; a second time does nothing."""
    if getattr(shell, _ATTRIBUTE, None) is None:
        extension = Extension(shell)
        extension.load()
        setattr(shell, _ATTRIBUTE, extension)


def unload(shell: Any) -> None:
    """Leave the shell as it was."""
    extension = getattr(shell, _ATTRIBUTE, None)
    if extension is not None:
        delattr(shell, _ATTRIBUTE)
        extension.unload()
