"""The step from values to bytes and back: an ordered list of ways, the first that accepts a group is tried first.

A further way is a file here that defines a `Serializer`, and a line in `serializers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from mlmagic.cache.serializers.base import Links, Serializer, UnstorableError


@cache
def serializers() -> tuple[Serializer, ...]:
    """All of them, best first. They bring NumPy and cloudpickle, which loading the extension does without."""
    from mlmagic.cache.serializers.arrow import ArrowSerializer
    from mlmagic.cache.serializers.pickled import PickleSerializer

    return (ArrowSerializer(), PickleSerializer())


def candidates(group: Mapping[str, object]) -> Iterator[Serializer]:
    """The serializers to try for a group, best first."""
    return (serializer for serializer in serializers() if serializer.accepts(group))


def named(name: str) -> Serializer | None:
    """The serializer that wrote something under this name, ``None`` where this version has none such."""
    return next((serializer for serializer in serializers() if serializer.name == name), None)


__all__ = ["Links", "Serializer", "UnstorableError", "candidates", "named", "serializers"]
