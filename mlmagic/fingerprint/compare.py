"""Two values beside each other, part by part: the first path at which they differ, or by how much at most.

`parts` takes a value to pieces that another process can send; `difference` compares two such lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlmagic.fingerprint.handlers.instances import instance_dict
from mlmagic.fingerprint.snapshot import Scope, snapshot

CLOSE = 1e-6  # largest relative difference of two numbers that still counts as close
_LIMIT = 100_000  # parts taken apart; what is beyond is compared by digest

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
            keys = list(inner)
            found.append((path, "digest", [type(part).__qualname__, len(keys)]))
            stack.extend(reversed(keys))
        else:
            found.append(_leaf(path, part, scope))
    return found


def _leaf(path: str, part: Any, scope: Scope) -> Part:
    if type(part) is float:
        return path, "number", part
    if _is_float_array(part):
        return path, "array", part
    if id(type(part)) and getattr(type(part), "__module__", "") == "torch" and hasattr(part, "detach"):
        plain = part.detach().cpu()
        if plain.is_floating_point() and str(plain.dtype) != "torch.bfloat16":
            return path, "array", plain.numpy()
    return path, "digest", snapshot(part, scope).fingerprint


def _is_float_array(part: Any) -> bool:
    return type(part).__module__ == "numpy" and getattr(getattr(part, "dtype", None), "kind", "") in "fc"


def _inside(path: str, part: Any) -> Iterator[tuple[str, Any]] | None:
    """The named parts of a container, frame or object; ``None`` for what is compared whole."""
    kind, module = type(part), type(part).__module__
    if kind in (list, tuple):
        if len(part) > 1000 and all(type(item) is not float for item in part[:10]):
            return None
        return ((f"{path}[{number}]", item) for number, item in enumerate(part))
    if kind is dict:
        return ((f"{path}[{key!r}]" if type(key) in (str, int) else f"{path}[…]", item) for key, item in part.items())
    if module.startswith("pandas.") or module == "pandas":
        return _inside_pandas(path, part)
    if module.split(".")[0] in ("numpy", "torch", "pyarrow", "polars", "builtins") and not hasattr(part, "__dict__"):
        return None
    attributes = instance_dict(part) if not isinstance(part, type) and not callable(getattr(part, "__code__", None)) else {}
    if not attributes or hasattr(part, "__code__") or module == "builtins" or hasattr(part, "untyped_storage"):
        return None
    return ((f"{path}.{name}", attributes[name]) for name in sorted(attributes, key=str))


def _inside_pandas(path: str, part: Any) -> Iterator[tuple[str, Any]] | None:
    kind = type(part).__name__
    if kind == "DataFrame":
        yield_from = [(f"{path}.columns", list(part.columns)), (f"{path}.index", part.index)]
        return iter(yield_from + [(f"{path}[{name!r}]", _plain(column)) for name, column in part.items()])
    if kind == "Series" and getattr(part.dtype, "kind", "") == "f":
        return iter([(f"{path}.index", part.index), (f"{path}.values", _plain(part))])
    return None


def _plain(column: Any) -> Any:
    return column.to_numpy() if getattr(column.dtype, "kind", "") == "f" and hasattr(column.dtype, "str") else column


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
    if not np.allclose(left, right, rtol=CLOSE, atol=CLOSE * float(np.nanmax(np.abs(right), initial=0.0)), equal_nan=True):
        return None
    with np.errstate(invalid="ignore"):
        return max(float(np.nanmax(np.abs(left - right), initial=0.0)), 5e-324)
