"""First step of `analysis`: source text comes in, a syntax tree and a layout-free digest go out."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

import xxhash


def parse(code: str) -> ast.Module:
    """The tree of `code`; no warning reaches the user twice.

    Raises
    ------
    SyntaxError, ValueError
        When it does not parse; ValueError for null bytes.
    """
    if "\\" not in code:
        return ast.parse(code)
    # Only escapes such as "\d" make the parser warn, and the kernel's own parse says so already. The
    # guard is not for every cell: catch_warnings forgets which warnings the user has seen.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)


def source_hash(code: str) -> str:
    """Digest of `code` that ignores comments, blank lines and layout (xxh3_128, 32 hex digits)."""
    try:
        return tree_hash(parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text_hash(code)


def tree_hash(tree: ast.AST) -> str:
    """Digest of a syntax tree without positions."""
    return text_hash("\n".join(_tokens(tree)))


def text_hash(code: str) -> str:
    """Digest of the stripped text, for what does not parse."""
    return xxhash.xxh3_128_hexdigest(code.strip().encode("utf-8", "surrogatepass"))


def _tokens(tree: ast.AST) -> Iterator[str]:
    # Not ast.dump: its text changed in Python 3.13, and ids made from the hash should survive an upgrade.
    # Empty fields are left out, so fields that newer versions add change nothing either. An explicit
    # stack, because a sum of a thousand terms nests a thousand deep.
    stack: list[object] = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.AST):
            yield f"({type(item).__name__}"
            stack.append(_END)
            for name in reversed(item._fields):
                value = getattr(item, name, None)
                if value is not None and value != [] and name != "type_comment":
                    stack += (value, _Field(name))
        elif isinstance(item, list):
            yield f"[{len(item)}"
            stack += reversed(item)
        elif isinstance(item, _Field):
            yield item
        else:
            yield f"{type(item).__name__}:{item!r}"


class _Field(str):
    """The name of a field, told apart from a string constant."""


_END = _Field(")")
