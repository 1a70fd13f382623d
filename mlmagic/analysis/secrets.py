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
        match node:
            case ast.Assign(targets=targets, value=value):
                yield from ((name, value) for target in targets if (name := _name(target)))
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                yield _name(target), value
            case ast.keyword(arg=str() as name, value=ast.Constant() as value):
                yield name, value
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                yield from ((_text(key), value) for key, value in pairs if isinstance(value, ast.Constant))
            case ast.Call(args=[key, ast.Constant() as value]):
                yield _text(key), value


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _name(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=key):
            return _text(key)
        case _:
            return ""


_ASSIGNED = re.compile(r"""([A-Za-z_]\w*)(["']?\]?\s*[=:]\s*)(["'])(.*?)\3""")


def _redact_lines(source: str) -> str:
    def blank(match: re.Match[str]) -> str:
        name, between, _, literal = match.groups()
        return f"{name}{between}{REDACTED}" if literal and _hides(name, literal) else match.group(0)

    return _ASSIGNED.sub(blank, source)
