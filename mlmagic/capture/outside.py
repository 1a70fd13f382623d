"""Versions of what is no variable: files, random state, local modules, packages' settings, environment."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xxhash import xxh3_128

from mlmagic.analysis import CellFacts
from mlmagic.capture import environment, randomness
from mlmagic.capture.files import HASH_LIMIT, FileUse
from mlmagic.capture.ledger import Ledger
from mlmagic.fingerprint import Description, file_fingerprint
from mlmagic.records import Kind, ReadHow, Version


@dataclass(frozen=True, slots=True)
class Known:
    """The last version of something outside, and its content then."""

    version_id: str
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class _Run:
    """When an execution ran, and whether it could write files unseen."""

    started_at: float
    ended_at: float
    execution_id: str
    unseen: bool


_RUNS_KEPT = 10_000
_CLOCK_TICK = 0.012  # seconds by which a file's time of change may lie before the change


class Outside:
    """Keeps the last version of everything that is no variable."""

    def __init__(self, root: Path, keep_state: Callable[[str, str], str | None]) -> None:
        self.root = root
        self._roots = dict.fromkeys((root, root.resolve()))
        self._keep_state = keep_state
        self._known: dict[tuple[Kind, str], Known] = {}
        self._process = environment.ProcessSettings()
        self._settings: Mapping[str, str] = {}
        self._ran: deque[_Run] = deque(maxlen=_RUNS_KEPT)
        # What the running cell read and wrote, by content, for whoever asks whether it could be done from memory.
        self.content_read: dict[tuple[Kind, str], str | None] = {}
        self.content_written: dict[tuple[Kind, str], str | None] = {}

    def _write(self, ledger: Ledger, kind: Kind, name: str, digest: str | None, **more: Any) -> None:
        how = "bind" if (kind, name) not in self._known else "mutate"
        how = more.pop("how", how)
        self.content_written[kind, name] = digest
        self._known[kind, name] = Known(ledger.write(kind, name, digest, how, **more), digest)

    def _read(self, ledger: Ledger, kind: Kind, name: str, digest: str | None, about: Description) -> None:
        """Read the known version, or one nobody here made where the content is not what we knew.

        Unknown twice (``None``) reads the known version: nobody else is known to have written since.
        """
        known = self._known.get((kind, name))
        if known is None or known.fingerprint != digest:
            known = self._known[kind, name] = Known(ledger.found(kind, name, digest, about), digest)
        self.content_read[kind, name] = digest
        ledger.read(known.version_id, "name")

    # -- files -------------------------------------------------------------------------------

    def files(self, ledger: Ledger, uses: Mapping[str, FileUse], relative: bool) -> None:
        """Files the cell read, wrote and removed; a relative path also depends on the working folder."""
        if relative and uses and ("environment", environment.CWD) in self._known:
            ledger.read(self._known["environment", environment.CWD].version_id, "closure")
        for path, use in self._with_real_paths(uses).items():
            name = self.told(path)
            now = file_fingerprint(path, HASH_LIMIT)
            if use.read and use.existed:
                content = use.before or (self._last(name) if use.written or use.removed else now)
                self._credit(ledger, path, name, content)
                self._read(ledger, "file", name, content[0], Description("file", nbytes=content[1]))
            if use.written and os.path.exists(path):
                self._write(ledger, "file", name, now[0], about=Description("file", nbytes=now[1]), how="bind")
            elif use.removed and use.existed:
                self._write(ledger, "file", name, None, about=Description("file"), how="delete")

    def repeat(
        self,
        ledger: Ledger,
        read: Mapping[str, str | None],
        written: Mapping[str, str | None],
        removed: Iterable[str],
        asked: Mapping[str, str | None],
    ) -> None:
        """Files and environment variables that an earlier run used, which is repeated from memory."""
        for name, digest in read.items():
            self._read(ledger, "file", name, digest, Description("file"))
        for name, digest in asked.items():
            self._read(ledger, "environment", name, digest, Description("str"))
        for name, digest in written.items():
            self._write(ledger, "file", name, digest, about=Description("file"), how="bind")
        for name in removed:
            self._write(ledger, "file", name, None, about=Description("file"), how="delete")

    def files_looked_for(self, ledger: Ledger, folders: set[str], named: set[str], fragments: list[str]) -> None:
        """Files that earlier cells left, where the cell listed their folder or asked for them by name.

        `fragments` are parts of a name that native code may have put together: every file made of one counts.
        """
        listed = {self.told(folder) for folder in folders}
        for (kind, name), known in list(self._known.items()):
            if kind == "file" and known.version_id not in ledger.versions:
                folder = os.path.dirname(name) or "."
                if folder in listed or name in named or any(part in name for part in fragments):
                    ledger.read(known.version_id, "dynamic")
                    self.content_read.setdefault((kind, name), known.fingerprint)

    def ran(self, execution_id: str, started_at: float, ended_at: float, unseen: bool) -> None:
        """An execution is over; `unseen`: it could use files where the interpreter does not see it."""
        self._ran.append(_Run(started_at, ended_at, execution_id, unseen))

    def _credit(self, ledger: Ledger, path: str, name: str, content: tuple[str | None, int | None]) -> None:
        """Put a file's unknown content down to the execution during which it was written, where one could have."""
        known = self._known.get(("file", name))
        if known is not None and known.fingerprint == content[0]:
            return
        maker = self._maker(path, known)
        if maker is None or (known is not None and known.version_id.startswith(maker)):
            return
        version_id = f"{maker}-unseen-{len(self._ran)}-{len(ledger.versions)}"
        ledger.credit(Version(version_id, "file", name, maker, content[0], "file", None, content[1]))
        self._known["file", name] = Known(version_id, content[0])

    def _maker(self, path: str, known: Known | None) -> str | None:
        """The execution that was running when the file was last changed, if it may have done that."""
        try:
            changed = os.stat(path).st_mtime
        except OSError:
            return None
        for slack in (0.0, _CLOCK_TICK):
            for run in reversed(self._ran):
                if run.ended_at + _CLOCK_TICK < changed:
                    break
                if run.started_at - slack <= changed <= run.ended_at and (run.unseen or known is not None):
                    return run.execution_id
        return None

    def _with_real_paths(self, uses: Mapping[str, FileUse]) -> dict[str, FileUse]:
        """The same uses, and those of the files behind symbolic links where anybody else knows them."""
        found = dict(uses)
        for path, use in uses.items():
            real = os.path.realpath(path)
            name = self.told(real)
            if real not in found and name != self.told(path) and (use.written or ("file", name) in self._known):
                found[real] = use
        return found

    def _last(self, name: str) -> tuple[str | None, int | None]:
        known = self._known.get(("file", name))
        return (known.fingerprint if known else None), None

    def told(self, path: str) -> str:
        """The name of a file in the store: relative to the project where it lies inside."""
        full = Path(path)
        for root in self._roots:
            if full.is_relative_to(root):
                return full.relative_to(root).as_posix()
        return full.as_posix()

    # -- random state ------------------------------------------------------------------------

    def random_read(self, ledger: Ledger, name: str, how: ReadHow) -> None:
        known = self._known.get(("random", name))
        if known is not None:
            ledger.read(known.version_id, how)

    def random_written(self, ledger: Ledger, name: str, digest: str) -> None:
        state = randomness.dump(name)
        artifact = self._keep_state(digest, state) if state is not None else None
        self._write(ledger, "random", name, digest, artifact=artifact)

    def random_lost(self, ledger: Ledger, name: str) -> None:
        """Whether the cell drew from a generator is unknown."""
        if not any(made.kind == "random" and made.name == name for made in ledger.versions.values()):
            self._write(ledger, "random", name, None)

    # -- settings of the process -------------------------------------------------------------

    def begin(self) -> None:
        """A cell begins: what the process's settings are now, nobody here did."""
        self._settings = self._process.digests()
        self.content_read.clear()
        self.content_written.clear()

    def found_setting(self, name: str) -> str | None:
        """Digest of an environment variable as the cell found it, ``None`` where there was none."""
        return self._settings.get(name)

    def settings_now(self) -> Mapping[str, str]:
        """The process's settings at this moment."""
        return self._process.digests()

    def overlook(self, entered: Mapping[str, str]) -> None:
        """Take what happened since the process's settings were as `entered` for no work of the cell's."""
        now, known = self._process.digests(), dict(self._settings)
        for name in entered.keys() | now.keys():
            if entered.get(name) != now.get(name):
                known.pop(name, None)
                known |= {name: now[name]} if name in now else {}
        self._settings = known

    def settings(self, ledger: Ledger, facts: CellFacts, wants: bool, strings: set[str]) -> None:
        """Environment variables, working folder and import path, as the cell found and left them."""
        now = self._process.digests()
        if wants:
            named = {text for text in (*facts.strings, *strings) if text in self._settings}
            for name in named or {name for kind, name in self._known if kind == "environment"}:
                self._read(ledger, "environment", name, self._settings.get(name), Description("str"))
        if facts.imports and ("environment", environment.IMPORT_PATH) in self._known:
            ledger.read(self._known["environment", environment.IMPORT_PATH].version_id, "closure")
        for name in now.keys() | self._settings.keys():
            if now.get(name) != self._settings.get(name):
                how = "delete" if name not in now else "bind"
                self._write(ledger, "environment", name, now.get(name), how=how)

    # -- modules and packages ----------------------------------------------------------------

    def module(self, ledger: Ledger, name: str, before: str | None, now: str | None, source: Path | None) -> None:
        """A local module that the cell reached: read as it was, written where its content is another now."""
        about = Description("module", preview=self.told(str(source)) if source else None)
        self._read(ledger, "module", name, before, about)
        if now is None or now != before:
            self._write(ledger, "module", name, now, about=about, how="mutate")

    def module_file(self, ledger: Ledger, name: str, path: object) -> None:
        """A module was loaded, or loaded again: from a file that an earlier cell wrote, perhaps."""
        file = self._known.get(("file", self.told(path))) if isinstance(path, str) else None
        module = self._known.get(("module", name))
        newer = file is not None and (module is None or file.version_id > module.version_id)
        if file is not None and newer and file.version_id not in ledger.versions:
            ledger.read(file.version_id, "closure")

    def hidden_state(self, package: str) -> str | None:
        """What stands for the settings of a package that cells changed unseen; ``""`` where none did."""
        known = self._known.get(("module", package))
        return "" if known is None else known.fingerprint

    def packages(self, ledger: Ledger, reached: set[str], changed: set[str], origin: str | None = None) -> None:
        """Packages whose settings some cell changed by a call we cannot see into.

        `origin` is a digest of the code and of all that it read, where that is known: the same code on the same
        inputs leaves the same settings, so it stands for their content.
        """
        for name in sorted(reached | changed):
            if ("module", name) in self._known:
                ledger.read(self._known["module", name].version_id, "closure")
        for name in sorted(changed):
            digest = None if origin is None else _chained(origin, self.hidden_state(name))
            self._write(ledger, "module", name, digest, about=Description("package"), how="mutate")


def _chained(origin: str, before: str | None) -> str | None:
    return None if before is None else xxh3_128(f"{origin} after {before}".encode()).hexdigest()
