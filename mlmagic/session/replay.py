"""A slice run afresh: the child process that executes the script in a scratch folder and reports on its target.

Run as ``python -m mlmagic.session.replay SCRIPT TARGET REPORT``. Writing outside of the scratch folder,
shell commands of the user's own code and requests that send data are refused: what a notebook did to the
world is never done again. Python's own doings are seen by an audit hook; those of native libraries and of
children are stopped by the operating system, where it can (`confine`).
"""

from __future__ import annotations
import __future__

import ast
import os
import pickle
import sys
import traceback
import types
from pathlib import Path
from typing import Any

from mlmagic.capture.behind import code_reach
from mlmagic.capture.modules import LocalModules, is_installed
from mlmagic.fingerprint import Scope, snapshot
from mlmagic.fingerprint.compare import parts
from mlmagic.session import confine

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit event -> for each path it changes: its place among the arguments, and that of the open folder it is relative to.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.setxattr": ((0, None),),
    "shutil.rmtree": ((0, 1),),
    "sqlite3.connect": ((0, None),),
}
_NATIVE = frozenset({"sqlite3.connect"})  # writes, if it does, unseen: left to the system where that confines us
_COMMANDS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile"})
_HARMLESS = ("/dev/", "/proc/", "/tmp/joblib_memmapping_folder")


class Guard:
    """An audit hook that lets a script read everything and change only what is in its own folder."""

    def __init__(self, scratch: Path, confined: bool) -> None:
        self._changes = {event: paths for event, paths in _CHANGES.items() if not (confined and event in _NATIVE)}
        self._scratch = os.path.realpath(scratch) + os.sep
        self._caches = os.path.realpath(Path.home() / ".cache") + os.sep

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and self._writes(args[1], args[2]):
            self._check(args[0], "write")
        elif event in self._changes:
            for place, folder in self._changes[event]:
                self._check(_in_folder(args[place], args[folder] if folder is not None else None), "change")
        elif event in _COMMANDS and self._from_users():
            raise PermissionError("a slice runs no shell commands")
        elif event == "http.client.send" and not bytes(args[1][:5]).startswith((b"GET ", b"HEAD ")):
            raise PermissionError("a slice sends no data over the network")

    @staticmethod
    def _writes(mode: Any, flags: Any) -> bool:
        return any(sign in mode for sign in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITING)

    def _check(self, path: Any, verb: str) -> None:
        if isinstance(path, int) or path in (None, "", ":memory:"):
            return
        full = os.path.realpath(os.fsdecode(path))
        if not (full + os.sep).startswith((self._scratch, self._caches, *_HARMLESS)):
            raise PermissionError(f"a slice does not {verb} outside of its own folder: {os.fsdecode(path)}")

    def _from_users(self) -> bool:
        """Whether the user's own code asks, rather than a package that starts its workers."""
        frame: types.FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_globals.get("__name__") in ("subprocess", "os", "mlmagic.session.replay"):
            frame = frame.f_back
        return frame is not None and not is_installed(frame.f_code.co_filename)


def _in_folder(path: Any, folder: Any) -> Any:
    """The path as seen from here, where a call gave it relative to an open folder."""
    if not isinstance(folder, int) or folder < 0 or isinstance(path, int):
        return path
    return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))


def run(script: Path, target: str, *, confined: bool = False) -> dict[str, Any]:
    """Execute the script as ``__main__``; returns the target's fingerprint and parts, or what stopped it."""
    module = types.ModuleType("__main__")
    module.__dict__["__file__"] = str(script)
    sys.modules["__main__"] = module
    sys.path.insert(0, os.getcwd())
    statements = _compiled(script)
    sys.addaudithook(Guard(Path.cwd(), confined))
    try:
        for code in statements:
            exec(code, module.__dict__)
    except BaseException as error:
        return {"stopped": _where(error, script)}
    if target not in module.__dict__:
        return {"stopped": f"the slice ran, and {target} is not there"}
    scope = Scope(module.__dict__, code_reach, LocalModules().is_local)
    value = module.__dict__[target]
    return {"fingerprint": snapshot(value, scope).fingerprint, "parts": parts(target, value, scope)}


def _compiled(script: Path) -> list[types.CodeType]:
    """The script's statements, compiled one by one as IPython compiles a cell's.

    Python 3.11 compiles a method call to other bytecode where the same text imports the name that it is made
    on: a function would get another fingerprint for standing in one text with the imports of other cells.
    """
    tree = ast.parse(script.read_text(), str(script))
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for node in future:
        for alias in node.names:
            flags |= getattr(__future__, alias.name).compiler_flag
    modules = (ast.Module([node], []) for node in tree.body)
    return [compile(module, str(script), "exec", flags=flags, dont_inherit=True) for module in modules]


def _where(error: BaseException, script: Path) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(script)]
    line = f" at line {frames[0].lineno}: {frames[0].line}" if frames else ""
    return f"{type(error).__name__}: {error}{line}"


def main(arguments: list[str]) -> None:
    """Run a script and write what it came to, as the parent process asked."""
    script, target, report = arguments
    confined = confine.to([Path.cwd(), Path.home() / ".cache", *map(Path, _HARMLESS)])
    found = run(Path(script), target, confined=confined)
    with open(report, "wb") as file:
        pickle.dump(found, file, protocol=5)


if __name__ == "__main__":
    main(sys.argv[1:])
