"""What one execution left behind, while it is being collected: at most one version per kind and name."""

from __future__ import annotations

from collections.abc import Iterable

from mlmagic.fingerprint import Description
from mlmagic.records import (
    Amendment,
    Execution,
    Kind,
    Measure,
    Observation,
    Read,
    ReadHow,
    Version,
    Write,
    WriteHow,
)

_PLAIN = Description("")


class Ledger:
    """Versions, reads and writes of one execution, in the order in which they were found."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        self.versions: dict[str, Version] = {}
        self._reads: dict[str, Read] = {}
        self._writes: dict[str, Write] = {}
        self._reserved: dict[tuple[Kind, str], str] = {}

    def __bool__(self) -> bool:
        return bool(self.versions)

    def new_version_id(self) -> str:
        return f"{self.execution_id}-{len(self.versions):04d}"

    def read(self, version_id: str, how: ReadHow) -> None:
        self._reads.setdefault(version_id, Read(self.execution_id, version_id, how))

    def write(
        self,
        kind: Kind,
        name: str,
        fingerprint: str | None,
        how: WriteHow,
        about: Description = _PLAIN,
        *,
        artifact: str | None = None,
        version_id: str | None = None,
    ) -> str:
        """A version that this execution made; returns its id."""
        told = version_id or self._reserved.get((kind, name)) or self.new_version_id()
        made = Version(
            told, kind, name, self.execution_id, fingerprint,
            about.type or None, about.shape, about.nbytes, about.preview, artifact,
        )  # fmt: skip
        self.versions[made.version_id] = made
        self._writes[made.version_id] = Write(self.execution_id, made.version_id, how)
        return made.version_id

    def reserve(self, kind: Kind, name: str) -> str:
        """The id that the version of this name will have, for who has to know before the cell is over."""
        return self._reserved.setdefault((kind, name), f"{self.execution_id}-now-{name}")

    def how(self, version_id: str) -> WriteHow:
        """How this execution wrote a version."""
        return self._writes[version_id].how

    def credit(self, version: Version) -> None:
        """A version that an earlier execution made, first needed now."""
        self.versions[version.version_id] = version
        if version.execution_id is not None:
            self._writes[version.version_id] = Write(version.execution_id, version.version_id, "bind")

    def found(self, kind: Kind, name: str, fingerprint: str | None, about: Description = _PLAIN) -> str:
        """A version that nobody here made, such as an input file; returns its id."""
        version = Version(
            self.new_version_id(), kind, name, None, fingerprint, about.type or None, None, about.nbytes, about.preview
        )
        self.versions[version.version_id] = version
        return version.version_id

    def observation(
        self, execution: Execution, params: Iterable[Measure] = (), metrics: Iterable[Measure] = ()
    ) -> Observation:
        return Observation(
            execution,
            tuple(self.versions.values()),
            tuple(self._reads.values()),
            tuple(self._writes.values()),
            tuple(params),
            tuple(metrics),
        )

    def amendment(self) -> Amendment:
        return Amendment(tuple(self.versions.values()), tuple(self._writes.values()))
