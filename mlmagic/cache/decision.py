"""Hit or miss: a remembered trace beside what there is now; comes out: nothing, or what differs, in words."""

from __future__ import annotations

import difflib
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlmagic.cache.traces import Trace
from mlmagic.cache.versions import version
from mlmagic.capture import Inputs
from mlmagic.capture.environment import HASH_SEED
from mlmagic.capture.evidence import Present
from mlmagic.capture.files import listing
from mlmagic.fingerprint import file_fingerprint


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not what it was.

    Attributes
    ----------
    kind : str
        ``variable``, ``file``, ``folder``, ``random``, ``module``, ``package``, ``setting``, ``environment`` or
        ``sharing``.
    name : str
        Which one.
    told : str or callable
        The whole of it as a clause, "n changed from 1 to 2", or what makes it: that may take a look at the values.
    """

    kind: str
    name: str
    told: str | Callable[[], str]

    @property
    def text(self) -> str:
        return self.told if isinstance(self.told, str) else self.told()


def differences(trace: Trace, now: Present) -> Iterator[Difference]:
    """What keeps a trace from being a hit, cheapest comparisons first."""
    yield from _variables(trace, now)
    yield from _random(trace, now)
    yield from _packages(trace, now)
    yield from _environment(trace, now)
    yield from _modules(trace, now)
    yield from _files(trace, now)


def matches(trace: Trace, now: Present) -> bool:
    """Whether everything that the trace's run read is as it was."""
    return next(differences(trace, now), None) is None


def nearest(traces: list[Trace], now: Present) -> tuple[Trace, list[Difference]] | None:
    """The trace that differs least from what there is now, and in what."""
    compared = [(trace, list(differences(trace, now))) for trace in traces]
    return min(compared, key=lambda pair: len(pair[1]), default=None)


def _variables(trace: Trace, now: Present) -> Iterator[Difference]:
    inputs: Inputs = now.inputs
    for name in sorted(trace.variables.keys() | inputs.variables.keys()):
        before, found = trace.variables.get(name), inputs.variables.get(name)
        if name not in inputs.variables:
            yield Difference("variable", name, f"{name} is not there")
        elif name not in trace.variables:
            yield Difference("variable", name, f"{name} is there now, and was not")
        elif found is None or before != found:
            yield Difference("variable", name, partial(_told, name, trace, now))
    for name, before in trace.also.items():
        if now.variable(name) != before:
            yield Difference("variable", name, f"{name} changed")
    if inputs.sharing is None or trace.sharing != inputs.sharing:
        yield Difference("sharing", "", "its inputs share parts with each other in another way")


def _told(name: str, trace: Trace, now: Present) -> str:
    return _changed(name, trace.details.get(name, {}), now.details(name))


def _changed(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How a variable changed, as closely as can be told."""
    if before.get("type") != now.get("type"):
        return f"{name} changed from {_article(before.get('type'))} to {_article(now.get('type'))}"
    if before.get("preview") is not None and now.get("preview") is not None:
        return f"{name} changed from {before['preview']} to {now['preview']}"
    if before.get("columns") and now.get("columns") and _rows(before) == _rows(now):
        told = _columns(name, before["columns"], now["columns"])
        if told:
            return told
    if before.get("shape") != now.get("shape") and before.get("shape") and now.get("shape"):
        return f"{name} changed from shape {before['shape']} to {now['shape']}"
    if before.get("source") and now.get("source"):
        told = code_change(before["source"], now["source"])
        return f"{before['type']} {name} changed: {told}" if told else f"{name} changed"
    return f"{name} changed"


def _rows(about: Mapping[str, Any]) -> str:
    """The number of rows, as a shape tells it."""
    return str(about.get("shape", "")).strip("()").partition(",")[0]


def _columns(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    gone, new = [part for part in before if part not in now], [part for part in now if part not in before]
    changed = [part for part in before if part in now and before[part] != now[part]]
    told = [
        f"{_listed('column', names)} {what}"
        for names, what in ((changed, "changed"), (new, "new"), (gone, "gone"))
        if names
    ]
    return f"{name}: {', '.join(told)}" if told else None


def _listed(what: str, names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{what}{'s' if len(names) > 1 else ''} {shown}"


def _article(kind: object) -> str:
    return f"a value of type {kind}" if kind else "a value"


def code_change(before: str, now: str) -> str | None:
    """The first line that differs between two texts, from what to what; ``None`` where none does."""
    old, new = before.splitlines(), now.splitlines()
    for kind, start, end, low, high in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "replace":
            return f"line {low + 1} from `{old[start].strip()}` to `{new[low].strip()}`"
        lines, what = (old, "gone") if kind == "delete" else (new, "new")
        numbers = range(start, end) if kind == "delete" else range(low, high)
        number = next((number for number in numbers if lines[number].strip()), None)
        if kind != "equal" and number is not None:
            return f"line {number + 1} is {what}: `{lines[number].strip()}`"
    return None


def _random(trace: Trace, now: Present) -> Iterator[Difference]:
    for name, before in trace.random.items():
        if now.random.get(name) != before:
            old, new = trace.seeds.get(name), now.seeds.get(name)
            told = f" ({old} → {new})" if old != new else " (something else was drawn before)"
            yield Difference("random", name, f"the state of the random generator {name} is another{told}")


def _packages(trace: Trace, now: Present) -> Iterator[Difference]:
    if trace.python != platform.python_version():
        yield Difference("package", "python", f"Python changed from {trace.python} to {platform.python_version()}")
    for name, before in trace.packages.items():
        installed = version(name)
        if installed != before:
            told = f"package {name} changed from {before} to {installed or 'not installed'}"
            yield Difference("package", name, told)
    for name, before in trace.settings.items():
        found = now.setting(name)
        if found != before and not (name in trace.fresh and found == ""):  # importing it gives what it had then
            yield Difference("setting", name, f"settings of {name} changed")


def _environment(trace: Trace, now: Present) -> Iterator[Difference]:
    for name, before in trace.environment.items():
        if now.environment.get(name) != before:
            told = f"the environment variable {name} changed"
            if name == HASH_SEED:
                told = "sets have another order in this process (PYTHONHASHSEED=0 fixes it)"
            yield Difference("environment", name, told)
    if trace.folder is not None:
        folder = os.getcwd() if os.path.isabs(trace.folder) else os.path.relpath(os.getcwd(), now.root)
        if folder != trace.folder:
            yield Difference("environment", "cwd", f"the working folder changed from {trace.folder} to {folder}")


def _modules(trace: Trace, now: Present) -> Iterator[Difference]:
    for name, (content, path, source) in trace.modules.items():
        found = now.module(name)
        same = found == content
        if found is None:
            same = bool(source) and file_fingerprint(now.root / path)[0] == source
        if not same:
            told = f"module {name} changed" if found is not None or source else f"module {name} is not loaded yet"
            yield Difference("module", name, told)


def _files(trace: Trace, now: Present) -> Iterator[Difference]:
    for name, before in trace.files.items():
        found, _ = file_fingerprint(now.root / name)
        if found != before:
            told = f"file {name} changed" if found else f"file {name} is not there"
            yield Difference("file", name, told)
    for name in trace.absent:
        if os.path.lexists(now.root / name):
            yield Difference("file", name, f"file {name} is there now, and was not")
    for name in trace.removed:
        if not os.path.lexists(now.root / name):
            yield Difference("file", name, f"file {name} is not there")
    for name, before in trace.folders.items():
        if listing(str(Path(now.root / name))) != before:
            yield Difference("folder", name, f"folder {name} holds other files")
