"""What a walk must know of an object's surroundings, supplied by the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

DEFAULT_LIMIT = 1_000_000  # objects walked one by one before a value counts as opaque


@dataclass(frozen=True, slots=True)
class CodeReach:
    """What running a code object could load and bind, as far as lineage must know."""

    loads: frozenset[str]
    stores: frozenset[str]
    dynamic: bool
    environment: bool  # reads os.environ


@dataclass(frozen=True, slots=True)
class Scope:
    """What the walk must know of its surroundings.

    Attributes
    ----------
    namespace : dict
        The user's global namespace: functions that run in it load the user's names.
    code_reach : callable
        Code object -> :class:`CodeReach`; supplied by the caller, which may consult `analysis`.
    is_local : callable
        Module name -> whether its source belongs to the project (rather than to an installed package).
    limit : int
        Objects walked one by one before a value counts as opaque.
    """

    namespace: dict[str, Any]
    code_reach: Callable[[CodeType], CodeReach]
    is_local: Callable[[str], bool]
    limit: int = DEFAULT_LIMIT
