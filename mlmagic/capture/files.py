"""Files a cell used: seen through the interpreter's audit events, hashed when the cell is over.

CPython offers no way to remove an audit hook, so one is added per process and does nothing while no
watch is active.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from xxhash import xxh3_128

from mlmagic.capture.modules import is_installed
from mlmagic.fingerprint import file_fingerprint

HASH_LIMIT = 4 << 30  # bytes; a larger file counts as unknown content
_WRITING = os.O_WRONLY | os.O_RDWR
_FOLDER_LIMIT = 1_000  # files told one by one when their folder is moved or removed
_IGNORED = re.compile(
    r"^/(proc|dev|sys|etc|usr/share|usr/lib)/|/\.(mlmagic|ipython|jupyter|git)(/|$)|/__pycache__/|\.pyc$|/jupyter/runtime/"
    r"|/\.cache/(matplotlib|fontconfig|pip)/|/ipykernel_\d+/|/\.config/|fontlist-v\d+"
)

_watch: FileWatch | None = None
_hooked = False


def _audit(event: str, args: tuple[Any, ...]) -> None:
    watch = _watch
    if watch is None or not watch.active or event not in _EVENTS:
        return
    try:
        _EVENTS[event](watch, args)
    except Exception:
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
    """Collects the files that the running cell reads, writes, renames and removes.

    Attributes
    ----------
    uses : dict
        Absolute path -> what happened to it.
    folders : dict
        Folders whose content was listed -> digest of the names in it when that happened first.
    write_lines : set of int
        Lines of the cell whose statements opened files for writing.
    relative : bool
        A relative path was used: the working folder matters.
    unseen : bool
        Something may have used files where the interpreter does not see it: another process, a native library.
    absent : set of str
        Absolute paths that were opened, or made as folders, and where nothing was.
    made : set of str
        Folders that were made.
    processes, outside : set of str
        What started other processes (the package that did), and what else reached beyond files: the network,
        links, permissions.
    set_by_import : set of str
        Environment variables that packages set while they were imported.
    """

    def __init__(self, namespace: dict[str, Any], root: str, is_house: Callable[[int], bool]) -> None:
        self.active = False
        self.failures = 0
        self._namespace = namespace
        self._root = root + os.sep
        self._is_house = is_house
        self._clear()

    def _clear(self) -> None:
        self.uses: dict[str, FileUse] = {}
        self.folders: dict[str, str] = {}
        self.write_lines: set[int] = set()
        self.relative = False
        self.unseen = False
        self.absent: set[str] = set()
        self.made: set[str] = set()
        self.processes: set[str] = set()
        self.outside: set[str] = set()
        self.set_by_import: set[str] = set()
        self._databases: dict[str, tuple[int, int]] = {}
        self._me = threading.get_ident()
        self._strangers: dict[int, bool] = {}

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
        self._clear()
        self.active = True

    def end(self) -> dict[str, FileUse]:
        """What happened to each file that holds data."""
        self.active = False
        for path, state in self._databases.items():
            use = self.uses[path]
            if use.written or _state(path) != state:
                use.read, use.written = use.existed, True
            else:
                use.read = True
        return {path: use for path, use in self.uses.items() if self._is_data(path)}

    def listed(self) -> set[str]:
        """Folders of data whose content was listed."""
        scratch = {tempfile.gettempdir(), "/dev/shm"}  # where packages look for room
        return {path for path in self.folders.keys() - scratch if not _IGNORED.search(path) and not is_installed(path)}

    def missed(self) -> set[str]:
        """Paths where the cell looked for data and found nothing."""
        return {path for path in self.absent if not _IGNORED.search(path) and not is_installed(path)}

    # -- events ------------------------------------------------------------------------------

    def on_open(self, args: tuple[Any, ...]) -> None:
        path, mode, flags = args
        use = self._use(path)
        if use is None:
            return
        writing = any(sign in mode for sign in "wax+") if isinstance(mode, str) else bool(flags & _WRITING)
        if not writing:
            use.read |= not use.written
            if not use.existed and not use.written:
                self.absent.add(self._full(path))
            return
        keeps = ("a" in mode or "+" in mode and "w" not in mode) if isinstance(mode, str) else not flags & os.O_TRUNC
        if keeps and use.existed and not use.written:
            use.read = True
        if not use.existed and not use.written and (keeps or (isinstance(mode, str) and "x" in mode)):
            self.absent.add(self._full(path))
        self._on_write(path, use)

    def on_truncate(self, args: tuple[Any, ...]) -> None:
        self.on_open((args[0], None, os.O_RDWR))

    def on_database(self, args: tuple[Any, ...]) -> None:
        """SQLite opens its file natively, and may or may not write to it."""
        if args[0] in (":memory:", b":memory:", ""):
            return
        use = self._use(args[0])
        if use is not None:
            path = self._full(args[0])
            self._databases.setdefault(path, _state(path))

    def on_remove(self, args: tuple[Any, ...]) -> None:
        path = _in_folder(args[0], args[1] if len(args) > 1 else -1)
        use = self._use(path)
        if use is not None:
            if not use.existed and not use.written:
                self.absent.add(self._full(path))
            use.removed, use.written = True, False
            self._note_line()

    def on_rename(self, args: tuple[Any, ...]) -> None:
        source, target = (_in_folder(path, place) for path, place in zip(args[:2], (*args[2:4], -1, -1), strict=False))
        for old, new in _moved(source, target):
            self._on_copy(old, new)
            self.on_remove((old,))

    def on_link(self, args: tuple[Any, ...]) -> None:
        self.on_outside("a link between files")
        source = args[0]
        if not os.path.isabs(os.fsdecode(source)) and not os.path.exists(source):  # relative to the link
            source = os.path.join(os.path.dirname(os.fsdecode(args[1])), os.fsdecode(source))
        self._on_copy(source, args[1])

    def on_remove_tree(self, args: tuple[Any, ...]) -> None:
        for path in _files_below(args[0]):
            self.on_remove((path,))

    def on_list(self, args: tuple[Any, ...]) -> None:
        if not isinstance(args[0], int) and self._use_counts() and not _is_importing():
            folder = self._full(args[0] if args[0] is not None else ".")
            if folder not in self.folders:
                self.active = False
                self.folders[folder] = listing(folder)
                self.active = True

    def on_process(self, args: tuple[Any, ...]) -> None:
        self.unseen = True
        if self._use_counts():
            self.processes.add(_starter())

    def on_make_folder(self, args: tuple[Any, ...]) -> None:
        if not isinstance(args[0], int) and self._use_counts():
            path = self._full(_in_folder(args[0], args[2] if len(args) > 2 else -1))
            if not _IGNORED.search(path) and path not in self.made:
                self.made.add(path)
                if not _accepts_existing():
                    (
                        self.outside.add("a folder that was there already")
                        if os.path.isdir(path)
                        else self.absent.add(path)
                    )

    def on_setting(self, args: tuple[Any, ...]) -> None:
        """An environment variable is set; packages do so while they are imported."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
            frame = frame.f_back
        if frame is not None:
            self.set_by_import.add(os.fsdecode(args[0]))

    def on_outside(self, what: str) -> None:
        if self._use_counts():
            self.outside.add(what)

    # -- inside ------------------------------------------------------------------------------

    def _on_copy(self, source: Any, target: Any) -> None:
        """The content of `source` is that of `target` now."""
        use = self._use(source)
        if use is not None and use.existed and not use.written:
            use.read = True
            use.before = use.before or self._quietly_hashed(source)
        use = self._use(target)
        if use is not None:
            self._on_write(target, use)

    def _on_write(self, path: Any, use: FileUse) -> None:
        if use.read and not use.written and use.existed and use.before is None:
            use.before = self._quietly_hashed(path)
        use.written, use.removed = True, False
        self._note_line()

    def _note_line(self) -> None:
        line = self._cell_line()
        if line is not None:
            self.write_lines.add(line)

    def _quietly_hashed(self, path: Any) -> tuple[str | None, int | None]:
        self.active = False
        try:
            return file_fingerprint(os.fsdecode(path), HASH_LIMIT)
        finally:
            self.active = True

    def _full(self, path: Any) -> str:
        name = os.fsdecode(path)
        self.relative |= not os.path.isabs(name)
        return os.path.abspath(name)

    def _use(self, path: Any) -> FileUse | None:
        if isinstance(path, int) or not isinstance(path, (str, bytes, os.PathLike)) or not self._use_counts():
            return None
        full = self._full(path)
        if full not in self.uses:
            if os.path.isdir(full):
                return None
            self.uses[full] = FileUse(existed=os.path.exists(full))
        return self.uses[full]

    def _use_counts(self) -> bool:
        """Not what the kernel's own threads do: history, heartbeat, output."""
        ident = threading.get_ident()
        if ident == self._me:
            return True
        if ident not in self._strangers:
            self._strangers[ident] = self._is_house(ident)
        return not self._strangers[ident]

    def _cell_line(self) -> int | None:
        """The line of the cell's own text that is being executed."""
        frame: FrameType | None = sys._getframe()
        line = None
        while frame is not None:
            if frame.f_globals is self._namespace and frame.f_code.co_name in ("<module>", "<cell line: 0>"):
                line = frame.f_lineno
            frame = frame.f_back
        return line

    def _is_data(self, path: str) -> bool:
        if _IGNORED.search(path) or is_installed(path) or os.path.isdir(path):
            return False
        use = self.uses[path]
        if path.endswith(".py") and not use.written and not use.removed:  # an import; it reads a module
            return not any(getattr(module, "__file__", None) == path for module in list(sys.modules.values()))
        if os.path.exists(path):
            return True
        return use.existed and (path.startswith(self._root) or not path.startswith(tempfile.gettempdir()))


_EVENTS: dict[str, Callable[[FileWatch, tuple[Any, ...]], None]] = {
    "open": FileWatch.on_open,
    "os.truncate": FileWatch.on_truncate,
    "os.remove": FileWatch.on_remove,
    "os.rename": FileWatch.on_rename,
    "os.link": FileWatch.on_link,
    "os.symlink": FileWatch.on_link,
    "shutil.rmtree": FileWatch.on_remove_tree,
    "os.listdir": FileWatch.on_list,
    "os.scandir": FileWatch.on_list,
    "sqlite3.connect": FileWatch.on_database,
    "subprocess.Popen": FileWatch.on_process,
    "os.system": FileWatch.on_process,
    "os.posix_spawn": FileWatch.on_process,
    "os.fork": FileWatch.on_process,
    "os.forkpty": FileWatch.on_process,
    "os.mkdir": FileWatch.on_make_folder,
    "os.putenv": FileWatch.on_setting,
}


def _reaching(what: str) -> Callable[[FileWatch, tuple[Any, ...]], None]:
    return lambda watch, args: watch.on_outside(what)


_EVENTS |= {
    **{f"socket.{name}": _reaching("the network") for name in ("connect", "bind", "getaddrinfo", "sendto", "sendmsg")},
    **{f"os.{name}": _reaching(f"os.{name}") for name in ("rmdir", "chmod", "chown", "utime", "setxattr", "kill")},
    "webbrowser.open": _reaching("a web browser"),
}

_WORKERS = frozenset({"joblib", "loky", "sklearn"})


def _starter() -> str:
    """The package that starts a process: joblib's workers run functions of the cell, others run anything."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        top = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if top in _WORKERS:
            return "joblib"
        frame = frame.f_back
    return "another process"


def _accepts_existing() -> bool:
    """Whether the folder is made by a call that would not mind if it were there already."""
    frame: FrameType | None = sys._getframe(3)
    return frame is not None and frame.f_code.co_name in ("makedirs", "mkdir") and bool(frame.f_locals.get("exist_ok"))


def _state(path: str) -> tuple[int, int]:
    """Time of change and size; zeros where there is no file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _in_folder(path: Any, place: int) -> Any:
    """The path as seen from here, where a call gave it relative to an open folder."""
    if place < 0 or isinstance(path, int) or os.path.isabs(os.fsdecode(path)):
        return path
    return os.path.join(os.readlink(f"/proc/self/fd/{place}"), os.fsdecode(path))


def _moved(source: Any, target: Any) -> Iterator[tuple[str, str]]:
    """Old and new path of each file that this renaming moves."""
    old, new = os.fsdecode(source), os.fsdecode(target)
    if not os.path.isdir(old):
        yield old, new
        return
    for path in _files_below(old):
        yield path, os.path.join(new, os.path.relpath(path, old))


def _files_below(folder: Any) -> list[str]:
    found: list[str] = []
    for place, _, names in os.walk(os.fsdecode(folder)):
        found += (os.path.join(place, name) for name in names)
        if len(found) > _FOLDER_LIMIT:
            break
    return found[:_FOLDER_LIMIT]


def _is_importing() -> bool:
    """Whether the import system, or who asks it for packages, looks for modules, rather than the user for files."""
    frame: FrameType | None = sys._getframe(3)
    for _ in range(4):
        if frame is None:
            return False
        module = str(frame.f_globals.get("__name__", ""))
        if frame.f_code.co_filename.startswith("<frozen importlib") or module.startswith(("importlib.", "pkgutil")):
            return True
        frame = frame.f_back
    return False


def listing(folder: str) -> str:
    """Digest of the names in a folder, hidden ones and Python's caches apart; of nothing where there is no folder."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith(".") and name != "__pycache__")
    except OSError:
        names = ["\0"]
    return xxh3_128("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
