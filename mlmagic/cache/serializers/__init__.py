"""The step from values to bytes and back: an ordered list of ways, the first that accepts a group is tried first.

A further way is a file here that defines a `Serializer`, and a line in ``SERIALIZERS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlmagic.cache.serializers.arrow import ArrowSerializer
from mlmagic.cache.serializers.base import Links, Serializer, UnstorableError
from mlmagic.cache.serializers.pickled import PickleSerializer

SERIALIZERS: tuple[Serializer, ...] = (ArrowSerializer(), PickleSerializer())


def candidates(group: Mapping[str, object]) -> Iterator[Serializer]:
    """The serializers to try for a group, best first."""
    return (serializer for serializer in SERIALIZERS if serializer.accepts(group))


def named(name: str) -> Serializer | None:
    """The serializer that wrote something under this name, ``None`` where this version has none such."""
    return next((serializer for serializer in SERIALIZERS if serializer.name == name), None)


__all__ = ["SERIALIZERS", "Links", "Serializer", "UnstorableError", "candidates", "named"]
