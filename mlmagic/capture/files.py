"""Files a cell opened: seen through the interpreter's audit events, hashed when the cell is over.

CPython offers no way to remove an audit hook, so one is added per process and does nothing while no
watch is active.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlmagic.capture.modules import is_installed
from mlmagic.fingerprint import file_fingerprint

HASH_LIMIT = 4 << 30  # bytes; a larger file counts as unknown content
_WRITING = os.O_WRONLY | os.O_RDWR
_IGNORED = re.compile(
    r"^/(proc|dev|sys)/|/\.(mlmagic|ipython|jupyter|git)(/|$)|/__pycache__/|\.pyc$|/jupyter/runtime/"
    r"|/\.cache/(matplotlib|fontconfig|pip)/|/ipykernel_\d+/|/\.config/|fontlist-v\d+"
)

_QUOTED = re.compile(r"'([^'\n]+)'")
_LONGEST_TEXT, _LONGEST_PATH = 10_000, 1_000

_watch: FileWatch | None = None
_hooked = False


def _audit(event: str, args: tuple[Any, ...]) -> None:
    watch = _watch
    if watch is None or not watch.active or event not in _EVENTS:
        return
    try:
        _EVENTS[event](watch, args)
    except Exception:  # noqa: BLE001 - the user's open() must never fail for our sake
        watch.failures += 1


@dataclass(slots=True)
class FileUse:
    """What happened to one file during the cell."""

    read: bool = False
    written: bool = False
    removed: bool = False
    existed: bool = True
    before: tuple[str | None, int | None] | None = None  # content when a write began, if it was known


class FileWatch:
    """Collects the files that the running cell reads, writes, renames and removes."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.active = False
        self.failures = 0
        self.uses: dict[str, FileUse] = {}
        self.write_lines: set[int] = set()  # lines of the cell whose statements opened files for writing
        self.relative = False  # a relative path was used: the working folder matters
        self._namespace = namespace
        self._house = frozenset(thread.ident for thread in threading.enumerate())
        self._me = threading.get_ident()

    def start(self) -> None:
        global _watch, _hooked
        _watch = self
        if not _hooked:
            sys.addaudithook(_audit)
            _hooked = True

    def stop(self) -> None:
        global _watch
        self.active = False
        if _watch is self:
            _watch = None

    def begin(self) -> None:
        self.uses, self.write_lines, self.relative = {}, set(), False
        self._me = threading.get_ident()
        self.active = True

    def end(self) -> dict[str, FileUse]:
        self.active = False
        return {path: use for path, use in self.uses.items() if self._is_data(path)}

    def on_open(self, args: tuple[Any, ...]) -> None:
        path, mode, flags = args
        use = self._use(path)
        if use is None:
            return
        writing = any(sign in mode for sign in "wax+") if isinstance(mode, str) else bool(flags & _WRITING)
        if not writing:
            use.read = True
            return
        keeps = ("a" in mode or "+" in mode and "w" not in mode) if isinstance(mode, str) else not flags & os.O_TRUNC
        if keeps and use.existed and not use.written:
            use.read = True
        self._on_write(os.fspath(path), use)

    def on_remove(self, args: tuple[Any, ...]) -> None:
        use = self._use(args[0])
        if use is not None:
            use.removed, use.written = True, False

    def on_rename(self, args: tuple[Any, ...]) -> None:
        self.on_remove(args[:1])
        use = self._use(args[1])
        if use is not None:
            self._on_write(args[1], use)
            use.removed = False

    def _on_write(self, path: Any, use: FileUse) -> None:
        if use.read and not use.written and use.existed:
            use.before = self._quietly_hashed(path)
        use.written, use.removed = True, False
        line = self._cell_line()
        if line is not None:
            self.write_lines.add(line)

    def _quietly_hashed(self, path: Any) -> tuple[str | None, int | None]:
        self.active = False
        try:
            return file_fingerprint(path, HASH_LIMIT)
        finally:
            self.active = True

    def _use(self, path: Any) -> FileUse | None:
        if isinstance(path, int) or not isinstance(path, (str, bytes, os.PathLike)):
            return None
        ident = threading.get_ident()
        if ident != self._me and ident in self._house:
            return None  # the kernel's own threads: history, heartbeat, output
        name = os.fsdecode(path)
        self.relative |= not os.path.isabs(name)
        full = os.path.abspath(name)
        if full not in self.uses:
            self.uses[full] = FileUse(existed=os.path.exists(full))
        return self.uses[full]

    def _cell_line(self) -> int | None:
        """The line of the cell's own text that is being executed."""
        frame = sys._getframe()
        line = None
        while frame is not None:
            if frame.f_globals is self._namespace and frame.f_code.co_name in ("<module>", "<cell line: 0>"):
                line = frame.f_lineno
            frame = frame.f_back  # type: ignore[assignment]
        return line

    def _is_data(self, path: str) -> bool:
        if _IGNORED.search(path) or is_installed(path) or os.path.isdir(path):
            return False
        if path.endswith(".py"):
            return not any(getattr(module, "__file__", None) == path for module in list(sys.modules.values()))
        gone = not os.path.exists(path)
        return not (gone and path.startswith(tempfile.gettempdir())) and not (gone and not self.uses[path].existed)


_EVENTS = {
    "open": FileWatch.on_open,
    "os.remove": FileWatch.on_remove,
    "os.rename": FileWatch.on_rename,
}


def natively_used(strings: tuple[str, ...], values: list[object], since: float) -> dict[str, FileUse]:
    """Files that native readers (Arrow, DuckDB, polars, HDF5) may have opened unseen by Python.

    An upper bound of what was read: every string the cell can load that names an existing file, alone or
    below a folder that another string or path names, and every quoted file in SQL text. A file that
    changed after the moment `since` (seconds since the epoch) was written.
    """
    texts = [*strings, *(os.fspath(value) for value in values if isinstance(value, (str, Path)))]
    texts = [text for text in texts if len(text) < _LONGEST_TEXT]
    quoted = [part for text in texts for part in _QUOTED.findall(text)]
    named = [text for text in dict.fromkeys([*texts, *quoted]) if 0 < len(text) < _LONGEST_PATH and "\0" not in text]
    folders = [text for text in named if os.path.isdir(text)][:20]
    below = [path for base in folders for text in named[:200] for path in (os.path.join(base, text), base + text)]
    found = {os.path.abspath(path) for path in [*named, *below] if os.path.isfile(path)}
    return {path: _native_use(path, since) for path in found}


def _native_use(path: str, since: float) -> FileUse:
    changed = os.stat(path).st_mtime >= since
    return FileUse(read=not changed, written=changed)
