"""A hit: everything is loaded and checked first (`prepare`), then put in place (`Prepared.commit`).

Between the two nothing has changed, so whatever fails in the first is a miss and the cell runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlmagic.cache import references as refs
from mlmagic.cache.artifacts import ArtifactError, ArtifactStore
from mlmagic.cache.inplace import become
from mlmagic.cache.keeping import OUT
from mlmagic.cache.places import UnusableError, check_places
from mlmagic.cache.serializers import Links, named
from mlmagic.cache.traces import Group, Trace
from mlmagic.fingerprint import Scope, Snapshot, file_fingerprint


@dataclass(slots=True)
class Prepared:
    """Everything that a hit will put in place, in `namespace`."""

    trace: Trace
    namespace: dict[str, Any] = field(repr=False)
    bound: dict[str, Any] = field(default_factory=dict)
    content: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # name -> (the object there, its new content)
    deleted: list[str] = field(default_factory=list)
    shown: tuple[Any, ...] = ()
    files: list[tuple[str, Path]] = field(default_factory=list)  # artifact -> where it goes

    def place_files(self, artifacts: ArtifactStore, root: Path) -> None:
        """Put files in place, which may fail; the namespace is as it was.

        Raises
        ------
        OSError, ArtifactError
            A file cannot be written.
        """
        for name in self.trace.made:
            (root / name).mkdir(parents=True, exist_ok=True)
        for artifact, path in self.files:
            artifacts.copy_to(artifact, path)
        for name in self.trace.removed:
            (root / name).unlink(missing_ok=True)

    def commit(self) -> None:
        """Put content, names and deletions in place; random state and outputs are the caller's."""
        for there, content in {id(there): (there, content) for there, content in self.content.values()}.values():
            become(there, content)
        self.namespace.update(self.bound)
        for name in self.deleted:
            self.namespace.pop(name, None)


def prepare(
    trace: Trace,
    namespace: dict[str, Any],
    snapshots: Mapping[str, Snapshot],
    artifacts: ArtifactStore,
    root: Path,
    scope: Scope,
) -> Prepared:
    """Load and check everything that a trace left behind.

    Parameters
    ----------
    snapshots
        Of the variables that are there now.

    Raises
    ------
    UnusableError
        Something is missing, damaged or cannot be put in place here.
    """
    made = Prepared(trace, namespace)
    made.deleted = [name for name, how in trace.hows.items() if how == "delete"]
    try:
        for name, value in load_values(trace, namespace, artifacts).items():
            if name == OUT:
                made.shown = (value,)
            elif trace.hows[name] == "mutate":
                made.content[name] = (namespace.get(name), value)
            else:
                made.bound[name] = value
        made.files = [
            (artifact, root / name)
            for name, (content, artifact) in trace.written.items()
            if file_fingerprint(root / name)[0] != content
        ]
        for artifact, path in made.files:
            artifacts.map(artifact).release()
            if not os.access(path.parent, os.W_OK) and path.parent.exists():
                raise UnusableError(f"{path.name} cannot be written")
    except (ArtifactError, OSError) as error:
        raise UnusableError(str(error)) from None
    check_places(trace, made.content, namespace, snapshots, scope)
    return made


def load_values(trace: Trace, namespace: dict[str, Any], artifacts: ArtifactStore) -> dict[str, Any]:
    """New objects for everything that a trace keeps, by name; raises `UnusableError`."""
    values: dict[str, Any] = {}
    for group in trace.groups:
        values |= _load(group, namespace, artifacts)
    return values


def _load(group: Group, namespace: dict[str, Any], artifacts: ArtifactStore) -> dict[str, Any]:
    serializer = named(group.serializer)
    if serializer is None:
        raise UnusableError(f"this release cannot read {group.serializer!r}")
    links = Links(namespace, None, lambda token: refs.resolve(token, namespace))
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        # What modules print while they are imported is among the outputs that the trace remembers.
        try:
            return serializer.load(artifacts.map(group.artifact), links)
        except (ArtifactError, OSError) as error:
            raise UnusableError(str(error)) from None
        except Exception as error:  # a class that is gone, a package that cannot be imported any more
            what = f"{', '.join(group.names)} cannot be loaded ({type(error).__name__}: {error})"
            raise UnusableError(what) from None
