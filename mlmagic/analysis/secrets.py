"""Cell text as it may be stored: literals that stand where a secret stands are blanked out.

A name such as ``password`` always hides its literal; words that have other uses in data science (``key``,
``token``) do so where they are qualified (``api_key``, ``hf_token``) or the literal looks like a credential.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

REDACTED = '"<secret>"'

_ALWAYS = re.compile(
    r"passw|pwd$|secret|credential|(api|access|private|auth|encryption|ssh|aws|license)_?key"
    r"|(api|auth|access|bearer|hf|github|gh|gitlab|slack|wandb)_?token",
    re.IGNORECASE,
)
_PERHAPS = re.compile(r"key|token", re.IGNORECASE)
_CREDENTIAL = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[^\s/]{16,}$")


def redact(source: str) -> str:
    """The source with the literals of secrets replaced; line numbers stay as they are.

    Where the text is no plain Python (magics), lines are searched by pattern instead.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return _redact_lines(source)
    spans = [span for name, value in _named_values(tree) for span in _spans(name, value)]
    lines = source.splitlines(keepends=True)
    for row, start, end in sorted(set(spans), reverse=True):
        encoded = lines[row].encode()
        lines[row] = (encoded[:start] + REDACTED.encode() + encoded[end:]).decode()
    return "".join(lines)


def _spans(name: str, value: ast.expr) -> Iterator[tuple[int, int, int]]:
    for part in ast.walk(value):
        if not isinstance(part, ast.Constant) or not isinstance(part.value, (str, bytes)) or not part.value:
            continue
        if part.lineno == part.end_lineno and part.end_col_offset is not None and _hides(name, part.value):
            yield part.lineno - 1, part.col_offset, part.end_col_offset


def _hides(name: str, literal: str | bytes) -> bool:
    text = literal if isinstance(literal, str) else literal.decode("latin-1")
    return bool(_ALWAYS.search(name)) or bool(_PERHAPS.search(name) and _CREDENTIAL.match(text))


def _named_values(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Every place where a literal is given under a name: assignments, keywords, dict items, two-argument calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            yield from ((name, node.value) for target in node.targets if (name := _name(target)))
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            yield from ((name, node.value) for name in [_name(node.target)] if name)
        elif isinstance(node, ast.keyword) and node.arg and isinstance(node.value, ast.Constant):
            yield node.arg, node.value
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from ((key.value, value) for key, value in pairs if _is_text(key) and isinstance(value, ast.Constant))
        elif isinstance(node, ast.Call) and len(node.args) == 2 and _is_text(node.args[0]):
            if isinstance(node.args[1], ast.Constant):
                yield node.args[0].value, node.args[1]


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _name(target: ast.expr) -> str | None:
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Subscript) and _is_text(target.slice):
        return target.slice.value
    return None


_ASSIGNED = re.compile(r"""([A-Za-z_]\w*)(["']?\]?\s*[=:]\s*)(["'])(.*?)\3""")


def _redact_lines(source: str) -> str:
    def blank(match: re.Match[str]) -> str:
        name, between, _, literal = match.groups()
        return f"{name}{between}{REDACTED}" if literal and _hides(name, literal) else match.group(0)

    return _ASSIGNED.sub(blank, source)
