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

from mlmagic._optional import loaded
from mlmagic.cache import references as refs
from mlmagic.cache.artifacts import ArtifactError, ArtifactStore
from mlmagic.cache.inplace import become, obstacle
from mlmagic.cache.keeping import OUT
from mlmagic.cache.serializers import Links, named
from mlmagic.cache.traces import Group, Trace
from mlmagic.fingerprint import Scope, Snapshot, file_fingerprint, share, snapshot


class UnusableError(Exception):
    """A trace matches, but what it names cannot be had; the text says why."""


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
        for group in trace.groups:
            _load(group, made, namespace, artifacts)
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
    _check_places(made, snapshots, scope)
    return made


def _load(group: Group, made: Prepared, namespace: dict[str, Any], artifacts: ArtifactStore) -> None:
    serializer = named(group.serializer)
    if serializer is None:
        raise UnusableError(f"this release cannot read {group.serializer!r}")
    links = Links(namespace, None, lambda token: refs.resolve(token, namespace))
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        # What modules print while they are imported is among the outputs that the trace remembers.
        try:
            values = serializer.load(artifacts.map(group.artifact), links)
        except (ArtifactError, OSError):
            raise
        except Exception as error:  # a class that is gone, a package that cannot be imported any more
            raise UnusableError(
                f"{', '.join(group.names)} cannot be loaded ({type(error).__name__}: {error})"
            ) from None
    for name, value in values.items():
        if name == OUT:
            made.shown = (value,)
        elif made.trace.hows[name] == "mutate":
            made.content[name] = (namespace.get(name), value)
        else:
            made.bound[name] = value


def _check_places(made: Prepared, snapshots: Mapping[str, Snapshot], scope: Scope) -> None:
    """Whether objects can take their new content without others losing the parts that they share with them.

    Whoever holds the object itself sees the change; whoever holds a part of it keeps that part only if the new
    content has it, too.
    """
    written = made.trace.hows.keys()
    if made.content or made.trace.lost:
        snapshots = {**snapshots, **_shown_before(made.namespace, scope)}
    for name in made.trace.lost:
        there = id(made.namespace.get(name))
        holders = [other for other, seen in snapshots.items() if other not in written and there in seen.ids]
        if holders:
            raise UnusableError(f"{holders[0]} holds what {name} refers to, and the cell may change it")
    for name, (there, content) in made.content.items():
        why = obstacle(there, content)
        if why is not None:
            raise UnusableError(f"{name} cannot be changed in place: {why}")
        before = snapshots[name]
        sharing = [
            (other, seen)
            for other, seen in snapshots.items()
            if other not in written and not seen.constant and share(seen, before) and id(there) not in seen.ids
        ]
        after = snapshot(content, scope) if sharing else before
        for other, seen in sharing:
            keeps = seen.complete and seen.ids & before.ids <= after.ids
            if not keeps or (_same_memory(seen, before) and not _is_array(there)):
                raise UnusableError(f"{other} shares a part of {name}, which the cell changes in place")


def _is_array(value: object) -> bool:
    """Whether new content goes into the memory that is there, where others see it."""
    numpy = loaded("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _shown_before(namespace: Mapping[str, Any], scope: Scope) -> dict[str, Snapshot]:
    """Looks at what IPython's history holds: `Out[3]` may be a part of what is about to change."""
    history = namespace.get("_oh")
    values = history.items() if type(history) is dict else ()
    return {f"Out[{number}]": snapshot(value, scope) for number, value in values}


def _same_memory(one: Snapshot, other: Snapshot) -> bool:
    return any(low < end and start < high for low, high in one.views for start, end in other.views)
