"""What is remembered of one run: everything that it read, by content, and where everything lies that it left behind.

A trace is one signed JSON file below ``traces/<hash of the code>/``; the values are artifacts that it names.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mlmagic.capture import Evidence
from mlmagic.capture.environment import HASH_SEED
from mlmagic.signing import holds, sign

FORMAT = 1  # raised whenever an older trace could be misunderstood; such are passed over
NEWEST = 20  # traces of one cell's code that a lookup considers
_SUFFIX = ".trace"


@dataclass(frozen=True, slots=True)
class Group:
    """Values that share parts, kept together.

    Attributes
    ----------
    names : tuple of str
        Variables, and `OUT` for the value that the cell showed.
    """

    names: tuple[str, ...]
    artifact: str
    nbytes: int
    serializer: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One run, as constructive traces have it: what it read -> what it left behind. Digests throughout.

    Attributes
    ----------
    variables, sharing
        As in :class:`mlmagic.capture.Inputs`.
    details : mapping
        Of the variables it read: what an explanation can tell (type, shape, preview, columns, source).
    also : mapping
        Further variables that it used, or that kept values refer to.
    modules : mapping
        Local module -> content, path of its source, content of that file.
    packages, settings : mapping
        Package -> version; package -> digest of its settings.
    fresh : tuple of str
        Packages that the run itself loaded: their settings are those that they come with.
    hows, fingerprints : mapping
        Variable it wrote -> how; -> fingerprint afterwards.
    lost : tuple of str
        As in :class:`mlmagic.capture.Evidence`.
    written : mapping
        File it wrote -> content, and the artifact that keeps it.
    random_after : mapping
        Generator -> state afterwards, where that is kept, and the seed in words.
    outputs : tuple
        What it printed and showed, in order.
    seconds, keep_seconds, load_seconds
        What computing, keeping and (when checked) loading took.
    """

    trace_id: str
    execution_id: str
    source_hash: str
    source: str
    python: str
    created_at: float
    seconds: float
    variables: Mapping[str, str]
    sharing: str
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)
    random: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    folder: str | None = None
    hows: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    written: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    random_after: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    outputs: tuple[Mapping[str, Any], ...] = ()
    showed: str | None = None  # fingerprint of the value that became Out[n]; None: it showed none
    keep_seconds: float = 0.0
    load_seconds: float = 0.0
    nbytes: int = 0
    format: int = FORMAT

    def evidence(self) -> Evidence:
        """What its run depended on and left behind, as far as a repetition has to record it."""
        return Evidence(
            files=self.files,
            random=self.random,
            environment={name: digest for name, digest in self.environment.items() if name != HASH_SEED and digest},
            written={name: digest for name, (digest, _) in self.written.items()},
            removed=self.removed,
            random_after={name: digest for name, (digest, *_) in self.random_after.items()},
        )

    @property
    def artifacts(self) -> set[str]:
        """Digests of the artifacts it needs."""
        return {group.artifact for group in self.groups} | {artifact for _, artifact in self.written.values()}


def encode(trace: Trace) -> bytes:
    """The trace as JSON; the kinds of a shown value keep their order."""
    return json.dumps(asdict(trace), separators=(",", ":")).encode()


def decode(payload: bytes) -> Trace | None:
    """The trace, or ``None`` where another format or release wrote it."""
    found = json.loads(payload)
    if found.get("format") != FORMAT or found.keys() != {part.name for part in fields(Trace)}:
        return None
    found["groups"] = tuple(Group(**{**group, "names": tuple(group["names"])}) for group in found["groups"])
    for name in ("absent", "removed", "made", "outputs", "fresh", "lost"):
        found[name] = tuple(found[name])
    return Trace(**found)


@dataclass(frozen=True, slots=True)
class Filed:
    """A trace file, as housekeeping sees it."""

    path: Path
    used_at: float
    trace: Trace | None  # None: not signed by this user, damaged, or of another release


class Shelf:
    """The traces of a project, signed with the user's key; others' files are as if they were not there.

    Parameters
    ----------
    folder : Path
        Made when the first trace comes.
    key : bytes
        The user's.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key
        self._read: dict[tuple[str, int, int], Trace | None] = {}

    def add(self, trace: Trace) -> None:
        """Keep a trace; from now on it can be found. Raises `OSError` where it cannot be written."""
        payload = encode(trace)
        content = sign(self._key, payload).encode() + b"\n" + payload
        path = self._place(trace.source_hash) / f"{trace.trace_id}{_SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(scratch, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(scratch)

    def traces(self, source_hash: str) -> list[Trace]:
        """Traces of this code, newest first."""
        try:
            names = sorted((entry.name for entry in os.scandir(self._place(source_hash))), reverse=True)
        except OSError:
            return []
        found = (self._load(self._place(source_hash) / name) for name in names if name.endswith(_SUFFIX))
        return [trace for trace in found if trace is not None and trace.source_hash == source_hash][:NEWEST]

    def used(self, trace: Trace) -> None:
        """Note that a trace served now."""
        with suppress(OSError):
            os.utime(self._place(trace.source_hash) / f"{trace.trace_id}{_SUFFIX}")

    def remove(self, trace: Trace) -> None:
        """Forget a trace."""
        with suppress(FileNotFoundError):
            (self._place(trace.source_hash) / f"{trace.trace_id}{_SUFFIX}").unlink()

    def files(self) -> Iterator[Filed]:
        """All trace files; others may remove some meanwhile."""
        for path in self._folder.glob(f"*/*{_SUFFIX}"):
            try:
                yield Filed(path, path.stat().st_mtime, self._load(path))
            except OSError:
                continue

    def _place(self, source_hash: str) -> Path:
        return self._folder / source_hash

    def _load(self, path: Path) -> Trace | None:
        try:
            state = path.stat()
            known = (str(path), state.st_ino, state.st_size)
            if known not in self._read:
                self._read[known] = self._verified(path.read_bytes())
        except OSError:
            return None
        return self._read[known]

    def _verified(self, content: bytes) -> Trace | None:
        """What a file says, if the user's own key signed it."""
        signature, _, payload = content.partition(b"\n")
        if not holds(self._key, payload, signature.decode("ascii", "replace")):
            return None
        return decode(payload)
