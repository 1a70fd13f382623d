"""Two values beside each other, part by part: the first path at which they differ, or by how much at most.

`parts` takes a value to pieces that another process can send; `difference` compares two such lists.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any

from mlmagic.fingerprint.classes import module_of, native_base, package_of, slots_of
from mlmagic.fingerprint.handlers.estimators import timeless
from mlmagic.fingerprint.handlers.instances import instance_dict
from mlmagic.fingerprint.scope import Scope
from mlmagic.fingerprint.snapshot import snapshot

CLOSE = 1e-6  # largest relative difference of two numbers that still counts as close
_LIMIT = 100_000  # parts taken apart; what is beyond is compared by digest

_LONG = 1000  # elements from which a sequence of anything but floats is compared whole
_LEAST = 5e-324  # the smallest float above 0

Named = tuple[str, Any]  # path, value
Part = tuple[str, str, Any]  # path, "array" | "number" | "digest", content


@dataclass(frozen=True, slots=True)
class Difference:
    """How two values compare.

    Attributes
    ----------
    verdict : str
        ``same``, ``close`` or ``different``.
    path : str or None
        Where they differ first, written as the user would: ``model.coef_``, ``df['age']``.
    largest : float
        The largest absolute difference of two numbers, where they are close.
    """

    verdict: str
    path: str | None = None
    largest: float = 0.0


def parts(name: str, value: object, scope: Scope) -> list[Part]:
    """The value in pieces: numeric arrays and floats as they are, everything else as digests."""
    found: list[Part] = []
    stack: list[tuple[str, Any]] = [(name, value)]
    seen: set[int] = set()
    while stack:
        path, part = stack.pop()
        inner = None if id(part) in seen or len(found) + len(stack) > _LIMIT else _inside(path, part)
        if inner is not None:
            seen.add(id(part))
            found.append((path, "digest", [type(part).__qualname__, len(inner)]))
            stack.extend(reversed(inner))
        else:
            found.append(_leaf(path, part, scope))
    return found


def _leaf(path: str, part: Any, scope: Scope) -> Part:
    if type(part) is float:
        return path, "number", part
    array = _as_float_array(part)
    if array is not None:
        return path, "array", array
    return path, "digest", snapshot(part, scope).fingerprint


def _as_float_array(part: Any) -> Any:
    """The part as a NumPy array of floats, ``None`` where it is something else."""
    package = package_of(type(part))
    if package == "numpy" and type(part).__name__ != "dtype":
        return part if getattr(getattr(part, "dtype", None), "kind", "") in ("f", "c") else None
    if package == "torch" and hasattr(part, "detach"):
        plain = part.detach().cpu()
        exists_in_numpy = str(plain.dtype) in ("torch.float16", "torch.float32", "torch.float64")
        return plain.numpy() if exists_in_numpy and str(plain.layout) == "torch.strided" else None
    return None


_WHOLE = frozenset({"numpy", "torch", "pyarrow", "polars", "builtins"})  # packages of kinds told by values or digest


def _inside(path: str, part: Any) -> list[Named] | None:
    """The named parts of a container, frame or object; ``None`` for what is compared whole."""
    kind = type(part)
    if kind is list or kind is tuple:
        return _inside_sequence(path, part)
    if kind is dict:
        return [(f"{path}[{_key(key)}]", item) for key, item in part.items()]
    if package_of(kind) == "pandas":
        return _inside_pandas(path, part)
    if module_of(kind) in _WHOLE or issubclass(kind, type) or _is_code(part) or _as_float_array(part) is not None:
        return None
    attributes = timeless(_attributes(part))
    return [(f"{path}.{name}", attributes[name]) for name in sorted(attributes, key=str)] or None


def _inside_sequence(path: str, part: Any) -> list[Named] | None:
    if len(part) > _LONG and not any(type(item) is float for item in part[:10]):
        return None
    return [(f"{path}[{number}]", item) for number, item in enumerate(part)]


def _key(key: object) -> str:
    return repr(key) if type(key) is str or type(key) is int else "…"


def _is_code(part: Any) -> bool:
    return issubclass(type(part), (types.FunctionType, types.MethodType, types.ModuleType))


def _attributes(part: Any) -> dict[Any, Any]:
    """The attributes of an object that consists of nothing else."""
    if native_base(type(part)) is not None or slots_of(type(part)):
        return {}
    try:
        return instance_dict(part)
    except LookupError:  # hidden by its class
        return {}


def _inside_pandas(path: str, part: Any) -> list[Named] | None:
    kind = type(part).__name__
    if kind == "DataFrame":
        labels = [(f"{path}.columns", list(part.columns)), (f"{path}.index", part.index)]
        return labels + [(f"{path}[{name!r}]", _plain(column)) for name, column in part.items()]
    if kind == "Series" and getattr(part.dtype, "kind", "") == "f":
        return [(f"{path}.index", part.index), (f"{path}.values", _plain(part))]
    return None


def _plain(column: Any) -> Any:
    """A column of floats as its array; others keep their labels and missing values."""
    is_numpy = hasattr(column.dtype, "str")
    return column.to_numpy() if is_numpy and column.dtype.kind == "f" else column


def difference(left: list[Part], right: list[Part]) -> Difference:
    """Compare two lists of parts made by `parts`: the first path that differs decides."""
    largest = 0.0
    close = False
    for mine, other in zip(left, right, strict=False):
        if mine[:2] != other[:2]:
            return Difference("different", mine[0])
        gap = _gap(mine[1], mine[2], other[2])
        if gap is None:
            return Difference("different", mine[0])
        if gap > 0.0:
            close, largest = True, max(largest, gap)
    if len(left) != len(right):
        longer = left if len(left) > len(right) else right
        return Difference("different", longer[min(len(left), len(right))][0])
    return Difference("close", None, largest) if close else Difference("same")


def _gap(kind: str, mine: Any, other: Any) -> float | None:
    """Largest absolute difference; ``None`` where the two are not close."""
    if kind == "digest":
        return 0.0 if mine == other and mine is not None else None
    import numpy as np

    left, right = np.asarray(mine), np.asarray(other)
    if left.shape != right.shape or left.dtype != right.dtype:
        return None
    if left.tobytes() == right.tobytes():
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        finite = np.abs(right[np.isfinite(right)])
        scale = float(finite.max(initial=0.0))
        if not np.allclose(left, right, rtol=CLOSE, atol=CLOSE * scale, equal_nan=True):
            return None
        gaps = np.abs(left - right)
        largest = float(gaps[np.isfinite(gaps)].max(initial=0.0))
    return max(largest, _LEAST)  # never 0: the bytes differ, as those of 0.0 and -0.0 do
