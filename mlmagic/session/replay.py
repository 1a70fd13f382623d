"""A slice run afresh: the child process that executes the script in a scratch folder and reports on its target.

Run as ``python -m mlmagic.session.replay SCRIPT TARGET REPORT``. Writing outside of the scratch folder,
shell commands of the script's own and requests that send data are refused: what a notebook did to the
world is never done again.
"""

from __future__ import annotations

import ast
import os
import pickle
import sys
import traceback
import types
from pathlib import Path
from typing import Any

from mlmagic.capture.modules import LocalModules, is_installed
from mlmagic.capture.recorder import code_reach
from mlmagic.fingerprint import Scope, snapshot
from mlmagic.fingerprint.compare import parts

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.mkdir": 1,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
}
_HARMLESS = ("/dev/", "/proc/", "/tmp/joblib_memmapping_folder")


class Guard:
    """An audit hook that lets a script read everything and change only what is in its own folder."""

    def __init__(self, scratch: Path, script: str) -> None:
        self._scratch = os.path.realpath(scratch) + os.sep
        self._caches = os.path.realpath(Path.home() / ".cache") + os.sep
        self._script = script

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and self._writes(args[1], args[2]):
            self._check(args[0], "write")
        elif event in _CHANGES:
            for path in args[: _CHANGES[event]]:
                self._check(path, "change")
        elif event in ("subprocess.Popen", "os.system") and self._from_script():
            raise PermissionError("a slice runs no shell commands")
        elif event == "http.client.send" and not bytes(args[1][:5]).startswith((b"GET ", b"HEAD ")):
            raise PermissionError("a slice sends no data over the network")

    @staticmethod
    def _writes(mode: Any, flags: Any) -> bool:
        return any(sign in mode for sign in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITING)

    def _check(self, path: Any, verb: str) -> None:
        if isinstance(path, int) or path is None:
            return
        full = os.path.realpath(os.fsdecode(path))
        if not (full + os.sep).startswith((self._scratch, self._caches, *_HARMLESS)):
            raise PermissionError(f"a slice does not {verb} outside of its own folder: {os.fsdecode(path)}")

    def _from_script(self) -> bool:
        """Whether the user's own code asks, rather than a package that starts its workers."""
        frame: types.FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_globals.get("__name__") in ("subprocess", "os", "mlmagic.session.replay"):
            frame = frame.f_back
        return frame is not None and not is_installed(frame.f_code.co_filename)


def run(script: Path, target: str) -> dict[str, Any]:
    """Execute the script as ``__main__``; returns the target's fingerprint and parts, or what stopped it."""
    module = types.ModuleType("__main__")
    module.__dict__["__file__"] = str(script)
    sys.modules["__main__"] = module
    sys.path.insert(0, os.getcwd())
    code = compile(script.read_text(), str(script), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    sys.addaudithook(Guard(Path.cwd(), str(script)))
    try:
        exec(code, module.__dict__)
    except BaseException as error:
        return {"stopped": _where(error, script)}
    if target not in module.__dict__:
        return {"stopped": f"the slice ran, and {target} is not there"}
    scope = Scope(module.__dict__, code_reach, LocalModules().is_local)
    value = module.__dict__[target]
    return {"fingerprint": snapshot(value, scope).fingerprint, "parts": parts(target, value, scope)}


def _where(error: BaseException, script: Path) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(script)]
    line = f" at line {frames[0].lineno}: {frames[0].line}" if frames else ""
    return f"{type(error).__name__}: {error}{line}"


def main(arguments: list[str]) -> None:
    """Run a script and write what it came to, as the parent process asked."""
    script, target, report = arguments
    found = run(Path(script), target)
    with open(report, "wb") as file:
        pickle.dump(found, file, protocol=5)


if __name__ == "__main__":
    main(sys.argv[1:])
