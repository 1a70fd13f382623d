"""Versions of what is no variable: files, random state, local modules, packages' settings, environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from mlmagic.analysis import CellFacts
from mlmagic.capture import environment, randomness
from mlmagic.capture.files import HASH_LIMIT, FileUse
from mlmagic.capture.ledger import Ledger
from mlmagic.fingerprint import Description, file_fingerprint
from mlmagic.records import Kind


@dataclass(frozen=True, slots=True)
class Known:
    """The last version of something outside, and its content then."""

    version_id: str
    fingerprint: str | None


class Outside:
    """Keeps the last version of everything that is no variable."""

    def __init__(self, root: Path, keep_state: Callable[[str, str], str | None]) -> None:
        self._root = root
        self._keep_state = keep_state
        self._known: dict[tuple[Kind, str], Known] = {}
        self._settings: dict[str, str] = {}

    def _write(self, ledger: Ledger, kind: Kind, name: str, digest: str | None, **more: Any) -> None:
        how = "bind" if (kind, name) not in self._known else "mutate"
        how = more.pop("how", how)
        self._known[kind, name] = Known(ledger.write(kind, name, digest, how, **more), digest)

    def _read(self, ledger: Ledger, kind: Kind, name: str, digest: str | None, about: Description) -> None:
        """Read the known version, or one nobody here made where the content is not what we knew."""
        known = self._known.get((kind, name))
        if known is None or known.fingerprint != digest or digest is None:
            known = self._known[kind, name] = Known(ledger.found(kind, name, digest, about), digest)
        ledger.read(known.version_id, "name")

    # -- files -------------------------------------------------------------------------------

    def files(self, ledger: Ledger, uses: Mapping[str, FileUse], relative: bool) -> None:
        """Files the cell read, wrote and removed; a relative path also depends on the working folder."""
        if relative and uses and ("environment", environment.CWD) in self._known:
            ledger.read(self._known["environment", environment.CWD].version_id, "closure")
        for path, use in uses.items():
            name = self.told(path)
            now = file_fingerprint(path, HASH_LIMIT)
            if use.read and use.existed:
                content = use.before or (self._last(name) if use.written else now)
                self._read(ledger, "file", name, content[0], Description("file", nbytes=content[1]))
            if use.written and os.path.exists(path):
                self._write(ledger, "file", name, now[0], about=Description("file", nbytes=now[1]), how="bind")
            elif use.removed:
                self._write(ledger, "file", name, None, about=Description("file"), how="delete")
                del self._known["file", name]

    def _last(self, name: str) -> tuple[str | None, int | None]:
        known = self._known.get(("file", name))
        return (known.fingerprint if known else None), None

    def told(self, path: str) -> str:
        """The name of a file in the store: relative to the project where it lies inside."""
        full = Path(path)
        try:
            return full.relative_to(self._root).as_posix()
        except ValueError:
            return full.as_posix()

    # -- random state ------------------------------------------------------------------------

    def random_read(self, ledger: Ledger, name: str) -> None:
        known = self._known.get(("random", name))
        if known is not None:
            ledger.read(known.version_id, "name")

    def random_written(self, ledger: Ledger, name: str, digest: str) -> None:
        state = randomness.dump(name)
        artifact = self._keep_state(digest, state) if state is not None else None
        self._write(ledger, "random", name, digest, artifact=artifact)

    # -- settings of the process -------------------------------------------------------------

    def adopt_settings(self) -> None:
        self._settings = environment.settings()

    def settings(self, ledger: Ledger, facts: CellFacts, wants: bool, strings: set[str]) -> None:
        """Environment variables, working folder and import path, as the cell found and left them."""
        now = environment.settings()
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
        self._settings = now

    # -- modules and packages ----------------------------------------------------------------

    def module(self, ledger: Ledger, name: str, digest: str | None, source: Path | None, known_before: bool) -> None:
        """A local module that the cell reached: read as it was, written where its content is another now."""
        about = Description("module", preview=self.told(str(source)) if source else None)
        known = self._known.get(("module", name))
        if known is None or not known_before:
            self._read(ledger, "module", name, digest, about)
            return
        ledger.read(known.version_id, "closure")
        if digest is None or digest != known.fingerprint:
            self._write(ledger, "module", name, digest, about=about, how="mutate")

    def packages(self, ledger: Ledger, reached: set[str], changed: set[str]) -> None:
        """Packages whose settings some cell changed by a call we cannot see into."""
        for name in sorted(reached | changed):
            if ("module", name) in self._known:
                ledger.read(self._known["module", name].version_id, "closure")
        for name in sorted(changed):
            self._write(ledger, "module", name, None, about=Description("package"), how="mutate")


def package_behind(path: str, namespace: Mapping[str, Any], is_local: Callable[[str], bool]) -> str | None:
    """The installed package that a call such as ``pd.set_option(...)`` is made on, where its effect is hidden.

    ``None`` for the user's own functions, the standard library, and NumPy's global generator, whose
    effects are seen otherwise.
    """
    root, _, rest = path.partition(".")
    value = namespace.get(root)
    if isinstance(value, ModuleType):
        name = value.__name__
    elif isinstance(value, (FunctionType, type)):
        name = str(value.__module__)
    else:
        return None
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in ("__main__", "mlmagic", "IPython") or is_local(name):
        return None
    if top == "numpy" and ("random" in name or rest.startswith("random.") or rest.startswith("save")):
        return None
    return top
