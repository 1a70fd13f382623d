"""A finished run in, a trace out: its values in groups, each written, loaded back and compared before it counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlmagic.cache import references as refs
from mlmagic.cache.artifacts import ArtifactStore
from mlmagic.cache.inplace import become, obstacle
from mlmagic.cache.serializers import Links, Serializer, UnstorableError, candidates
from mlmagic.cache.shells import is_plain_array, shell, stand_ins
from mlmagic.cache.traces import Group
from mlmagic.capture import Evidence, Inputs
from mlmagic.fingerprint import Scope, Snapshot, groups, share, signature, snapshot

OUT = "Out[]"  # stands among the names for the value that a cell showed; no variable can have this name


@dataclass(frozen=True, slots=True)
class Earlier:
    """The object that a name referred to before the run."""

    identity: int
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that may be kept.

    Attributes
    ----------
    namespace : mapping
        The user's globals, as the run left them.
    snapshots : mapping
        Of every variable, as the run left it.
    renamed : mapping
        What the run bound anew or deleted -> what it referred to before.
    shown : tuple
        The value that became ``Out[n]``, alone; empty where there is none.
    states : mapping
        Random generator that the run advanced -> its state afterwards, as text.
    """

    execution_id: str
    source: str
    seconds: float
    inputs: Inputs
    evidence: Evidence
    namespace: dict[str, Any]
    snapshots: Mapping[str, Snapshot]
    renamed: Mapping[str, Earlier]
    scope: Scope
    outputs: tuple[Mapping[str, Any], ...]
    shown: tuple[Any, ...]
    states: Mapping[str, str | None]
    seeds: Mapping[str, str]
    root: Path
    setting: Callable[[str], str | None]


@dataclass(slots=True)
class Kept:
    """What keeping the values of a run came to."""

    groups: list[Group] = field(default_factory=list)
    names: set[str] = field(default_factory=set)  # variables that kept values refer to
    nbytes: int = 0
    load_seconds: float = 0.0
    showed: str | None = None


class Keeper:
    """Writes the values of one run."""

    def __init__(self, run: Finished, artifacts: ArtifactStore) -> None:
        self._run = run
        self._artifacts = artifacts
        self._hows = {name: how for name, how in run.evidence.hows.items() if how != "delete"}
        self._changed = {name for name, how in self._hows.items() if how == "mutate"}
        self._values = {name: run.namespace[name] for name in self._hows}
        self._seen = {name: run.snapshots[name] for name in self._hows}
        if run.shown:
            self._values[OUT] = run.shown[0]
            self._seen[OUT] = snapshot(run.shown[0], run.scope)

    def keep(self) -> Kept:
        """Write all groups.

        Raises
        ------
        UnstorableError
            A value cannot be kept, or does not come back as it was.
        OSError
            The disk is full.
        """
        kept = Kept()
        if self._run.shown:
            kept.showed = self._seen[OUT].fingerprint
            if kept.showed is None:
                kind = type(self._run.shown[0]).__qualname__
                raise UnstorableError(f"it shows a live or opaque value ({kind}); end its last line with ;")
        for names in groups(self._seen):
            self._keep_group(names, kept)
        return kept

    def _keep_group(self, names: list[str], kept: Kept) -> None:
        existing = self._existing(names)
        found = refs.references([self._seen[name] for name in names], existing, self._run.namespace)
        for name in self._changed & set(names):
            found.add(self._values[name], name)
        self._refer_to_renamed(names, found)
        content = {**{name: self._values[name] for name in names}, **self._shells(names)}
        reasons: list[str] = []
        for serializer in candidates(content):
            try:
                self._write(serializer, content, found, existing, kept)
            except UnstorableError as error:
                reasons.append(str(error))
            else:
                kept.names |= found.names - self._changed
                return
        raise UnstorableError(reasons[-1] if reasons else "no way of keeping it is known")

    def _refer_to_renamed(self, names: Iterable[str], found: refs.References) -> None:
        """After `a, b = b, a` the objects are those that were there, under other names."""
        read = self._run.inputs.variables  # what the key does not hold might be anything when this is loaded
        there = {earlier.identity: name for name, earlier in self._run.renamed.items() if name in read}
        for name in set(names) - self._changed:
            earlier = there.get(id(self._values[name])) if not self._seen[name].constant else None
            if earlier and self._run.renamed[earlier].snapshot.fingerprint == self._seen[name].fingerprint:
                found.add(self._values[name], earlier)
        self._check_parts(names, found)

    def _check_parts(self, names: Iterable[str], found: refs.References) -> None:
        """Refuse values made of parts of what a name referred to before: that object is not there any more.

        Only of names that the cell could load: of others the numbers may be those of new objects in their place.
        """
        for earlier in self._run.renamed.keys() & self._run.inputs.variables.keys():
            was = self._run.renamed[earlier]
            for name in names:
                seen = self._seen[name]
                parts = (seen.ids & was.snapshot.ids) - (seen.quiet & was.snapshot.quiet)
                if parts - found.tokens.keys():
                    raise UnstorableError(f"{_told(name)} is made of parts of what {earlier} was before")

    def _shells(self, names: Iterable[str]) -> dict[str, Any]:
        """A shell of each changed object, one for all names of the same."""
        changed = self._changed_among(names)
        shells = {id(value): shell(value) for value in changed.values()}
        return {name: shells[id(value)] for name, value in changed.items()}

    def _changed_among(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: self._values[name] for name in names if name in self._changed}

    def _existing(self, names: list[str]) -> dict[str, Snapshot]:
        """Variables that the cell did not write and that share something with these.

        Not those that hold an object that it changed in place: they will hold it again, and change with it.
        """
        roots = {id(self._values[name]) for name in self._changed}
        return {
            name: seen
            for name, seen in self._run.snapshots.items()
            if name not in self._run.evidence.hows
            and not seen.constant
            and roots.isdisjoint(seen.ids)
            and any(share(seen, self._seen[one]) for one in names)
            and not self._only_views(seen)
        }

    def _only_views(self, seen: Snapshot) -> bool:
        """Whether all that a value shares is the memory of arrays that the cell changed: it sees the change."""
        shared = [name for name in self._seen if share(seen, self._seen[name])]
        return all(name in self._changed and is_plain_array(self._values[name]) for name in shared)

    def _write(
        self,
        serializer: Serializer,
        content: dict[str, Any],
        found: refs.References,
        existing: Mapping[str, Snapshot],
        kept: Kept,
    ) -> None:
        links = self._links(found, {})
        try:
            artifact = self._artifacts.put(lambda file: serializer.dump(content, file, links))
        except (UnstorableError, OSError):
            raise
        except Exception as error:  # whatever pickling a user's object may raise
            raise UnstorableError(f"{_listed(content)} cannot be pickled ({type(error).__name__}: {error})") from None
        kept.load_seconds += self._check(serializer, artifact.digest, content, found, existing)
        kept.groups.append(Group(tuple(content), artifact.digest, artifact.nbytes, serializer.name))
        kept.nbytes += artifact.nbytes

    def _links(self, found: refs.References, standing: Mapping[int, Any]) -> Links:
        """`standing`: what takes the place of objects that the run changed, by their identity."""
        if not found:
            return Links(self._run.namespace)

        def value_of(token: str) -> object:
            obj = found.object_of(token)
            return standing.get(id(obj), obj)

        return Links(self._run.namespace, found.token_of, value_of)

    def _check(
        self,
        serializer: Serializer,
        digest: str,
        content: dict[str, Any],
        found: refs.References,
        existing: Mapping[str, Snapshot],
    ) -> float:
        """Load what was written into stand-ins and compare, sharing included; returns the seconds that loading took."""
        changed = stand_ins(self._changed_among(content))
        standing = {id(self._values[name]): one for name, one in changed.items()}
        started = time.perf_counter()
        try:
            loaded = serializer.load(self._artifacts.map(digest), self._links(found, standing))
            seconds = time.perf_counter() - started
            for name in {id(one): name for name, one in changed.items()}.values():
                why = obstacle(changed[name], loaded[name])
                if why is not None:
                    raise UnstorableError(f"{name} cannot be changed in place: {why}")
                become(changed[name], loaded[name])
            loaded |= changed
        except UnstorableError:
            raise
        except Exception as error:
            raise UnstorableError(
                f"{_listed(content)} cannot be loaded again ({type(error).__name__}: {error})"
            ) from None
        self._compare(content, loaded, existing)
        return seconds

    def _compare(self, content: Iterable[str], loaded: Mapping[str, Any], existing: Mapping[str, Snapshot]) -> None:
        scope, namespace = self._run.scope, self._run.namespace
        seen = {name: snapshot(loaded[name], scope) for name in content}
        for name, look in seen.items():
            if look.fingerprint is None or look.fingerprint != self._seen[name].fingerprint:
                raise UnstorableError(f"{_told(name)} does not come back as it was")
        around = {name: namespace[name] for name in existing}
        before = signature(
            {**around, **{name: self._values[name] for name in content}},
            {**existing, **{name: self._seen[name] for name in content}},
            scope,
        )
        after = signature({**around, **loaded}, {**existing, **seen}, scope)
        if before is None or before != after:
            others = f" and {_listed(existing)}" if existing else ""
            raise UnstorableError(f"{_listed(content)}{others} share parts in a way that cannot be kept")


def _told(name: str) -> str:
    return "the value that it shows" if name == OUT else name


def _listed(names: Iterable[str]) -> str:
    return ", ".join(_told(name) for name in sorted(names)[:3])
