"""The step from a cell as typed to plain Python: magics and shell lines become comments, line numbers stay.

What comes in is what the user typed in IPython; what goes out is text that `ast.parse` accepts, with
the same number of lines, so that a recorded line number still points at its statement.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

Statement = ast.stmt
LEFT_OUT = "# left out: "
OURS = frozenset({"lineage", "slice", "mlmagic", "reuse", "compare", "track", "assertions", "drift", "evaluate"})
TRANSPARENT = frozenset({"time", "capture"})  # cell magics whose body is ordinary code of the notebook

_MAGIC = re.compile(
    r"(?P<indent>\s*)(?P<target>[\w.,\[\]'\" ]+?\s*=\s*)?(?P<mark>%%?|!!?)\s*(?P<name>[\w.]*)(?P<rest>.*)"
)
_HELP = re.compile(r"\s*(\?{1,2}\s*[%\w.*]+|%{0,2}[\w.*]+\s*\?{1,2})\s*;?\s*$")
_EXTENSION = re.compile(r"\s+mlmagic\b")
_STRING = re.compile(r"'''|\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|#.*|[()\[\]{}]")


@dataclass(frozen=True, slots=True)
class Plain:
    """A cell as plain Python, line for line, and the lines that could not come along."""

    text: str
    left_out: tuple[str, ...]


@lru_cache(maxsize=4096)
def plain(source: str) -> Plain:
    """The cell without IPython's syntax; what has no counterpart in Python is commented out and listed."""
    lines = source.split("\n")
    left_out: list[str] = []
    start = _strip_cell_magics(lines, left_out)
    _replace_commands(lines, start, lambda line, command: _without_magic(line, command, left_out))
    _comment_until_parsed(lines, left_out)
    return Plain("\n".join(lines), tuple(left_out))


def without_ours(source: str) -> str:
    """The cell for a notebook: IPython's syntax stays, our own magic lines go."""
    lines = source.split("\n")
    start = next((place for place, line in enumerate(lines) if line.strip()), 0)
    if re.match(r"%%track\b", lines[start]):
        lines[start] = ""
    elif lines[start].startswith("%%"):
        return source
    _replace_commands(lines, start, lambda line, _: _without_our_line(line))
    return "\n".join(lines)


def tree(source: str) -> ast.Module:
    """The cell's syntax tree, top-level `await` allowed; empty when it is not Python at all."""
    try:
        return ast.parse(plain(source).text)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def first_line(source: str) -> str:
    """The first line that says what the cell does: comments, blank lines, our magics and imports aside."""
    fallback = ""
    for line in source.split("\n"):
        text = line.strip()
        if not text or (found := _MAGIC.match(text)) and _is_ours(found):
            continue
        if not text.startswith(("#", "import ", "from ")):
            return text
        if not fallback or fallback.startswith("#"):
            fallback = text
    return fallback


@lru_cache(maxsize=4096)
def imported(source: str) -> frozenset[str]:
    """The names that import statements of the cell bind."""
    names: set[str] = set()
    for node in ast.walk(tree(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
    return frozenset(names)


@lru_cache(maxsize=4096)
def only_imports(source: str) -> bool:
    """Whether the cell does nothing but import."""
    body = tree(source).body
    return bool(body) and all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in body)


def awaits(module: ast.Module) -> bool:
    """Whether the code awaits outside of any function, which only IPython can run."""
    return any(_is_async(node) for node in own_scope(module))


def bound_names(module: ast.Module) -> list[str]:
    """The names that running the module's top level binds, in order of appearance."""
    names: dict[str, None] = {}
    for node in own_scope(module):
        names.update(dict.fromkeys(_bound_by(node)))
    return [name for name in names if name != "*"]


def own_scope(module: ast.Module) -> Iterator[ast.AST]:
    """Every node that runs in the module's own scope; bodies of functions and classes are others' scopes."""
    waiting: list[ast.AST] = list(reversed(module.body))
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            waiting.extend(node.decorator_list)
        elif not isinstance(node, ast.Lambda):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def binds_nothing(node: ast.stmt) -> bool:
    """Whether the statement is a bare expression that binds no name."""
    return isinstance(node, ast.Expr) and not any(isinstance(part, ast.NamedExpr) for part in ast.walk(node))


def indented(text: str, statements: list[ast.stmt]) -> str:
    """The code four columns to the right, with the values of its strings untouched."""
    if any(_spans_lines(node) for statement in statements for node in ast.walk(statement)):
        # shifting the text would shift the inside of a string that spans lines
        text = "\n".join(ast.unparse(statement) for statement in statements)
    return "\n".join(f"    {line}" if line.strip() else line for line in text.split("\n"))


def _spans_lines(node: ast.AST) -> bool:
    return isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno != node.lineno


def _is_async(node: ast.AST) -> bool:
    return isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)) or (
        isinstance(node, ast.comprehension) and bool(node.is_async)
    )


def _bound_by(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [alias.asname or alias.name.partition(".")[0] for alias in aliases]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchMapping(rest=str(name)):
            return [name]
    return []


def _strip_cell_magics(lines: list[str], left_out: list[str]) -> int:
    """Blank the cell's leading `%%` lines; gives the line where ordinary code begins."""
    for place, line in enumerate(lines):
        if not line.strip():
            continue
        if not line.startswith("%%"):
            return place
        name = line[2:].split(maxsplit=1)[0] if line[2:].strip() else ""
        if name != "track" and name not in TRANSPARENT:
            left_out.append(line.strip())
            lines[place:] = [LEFT_OUT + text if text.strip() else text for text in lines[place:]]
            return len(lines)
        lines[place] = ""
    return len(lines)


def _replace_commands(lines: list[str], start: int, replace: Callable[[str, str], str | None]) -> None:
    """Offer every line that begins a statement to `replace`, with the lines its backslashes join to it."""
    scan = _Scan()
    place = start
    while place < len(lines):
        if not scan.inside:
            end = _command_end(lines, place)
            replaced = replace(lines[place], "\n".join(lines[place:end]))
            if replaced is not None:
                lines[place] = replaced
                lines[place + 1 : end] = [LEFT_OUT + text.strip() for text in lines[place + 1 : end]]
                place = end
                continue
        scan.feed(lines[place])
        place += 1


def _command_end(lines: list[str], place: int) -> int:
    """The line after a command that goes on behind backslashes."""
    while place < len(lines) - 1 and lines[place].endswith("\\"):
        place += 1
    return place + 1


def _without_magic(line: str, command: str, left_out: list[str]) -> str | None:
    """What replaces a line of IPython syntax; None when the line is ordinary Python."""
    indent = line[: len(line) - len(line.lstrip())]
    if _HELP.match(line):
        return _commented(indent, line.strip())
    found = _MAGIC.match(line)
    if found is None:
        return None
    if found["mark"] == "%" and found["name"] == "time" and found["rest"].strip():
        return indent + (found["target"] or "") + found["rest"].strip()
    if _is_ours(found):
        return f"{indent}pass" if indent else ""
    left_out.append(" ".join(part.strip(" \\") for part in command.split("\n")).strip())
    return _commented(indent, line.strip())


def _without_our_line(line: str) -> str | None:
    found = _MAGIC.match(line)
    if found is None or not _is_ours(found):
        return None
    return f"{found['indent']}pass" if found["indent"] else ""


def _commented(indent: str, text: str) -> str:
    # an indented block may hold nothing else, and a comment alone is no block
    return f"{indent}pass  {LEFT_OUT}{text}" if indent else LEFT_OUT + text


def _is_ours(found: re.Match[str]) -> bool:
    if not found["mark"].startswith("%") or found["target"]:
        return False
    if found["name"] in ("load_ext", "reload_ext", "unload_ext"):
        return bool(_EXTENSION.match(found["rest"]))
    return found["name"] in OURS or (found["name"] == "config" and "MLMagic" in found["rest"])


def _comment_until_parsed(lines: list[str], left_out: list[str]) -> None:
    """Comment out what is still no Python (`pip install x` without its `%`), a line at a time."""
    for _ in range(len(lines)):
        try:
            ast.parse("\n".join(lines))
            return
        except ValueError:  # a null byte: nothing to be saved
            return
        except SyntaxError as error:
            place = min(max((error.lineno or 1) - 1, 0), len(lines) - 1)
        text = lines[place].strip()
        if not text or text.startswith("#"):
            return
        left_out.append(text)
        lines[place] = _commented(lines[place][: len(lines[place]) - len(lines[place].lstrip())], text)


class _Scan:
    """Follows brackets, strings and backslashes from line to line: is the next line a new statement?"""

    def __init__(self) -> None:
        self.depth = 0
        self.quote = ""
        self.continued = False

    @property
    def inside(self) -> bool:
        return bool(self.depth > 0 or self.quote or self.continued)

    def feed(self, line: str) -> None:
        place = 0
        code_ends = len(line)
        while place < len(line):
            if self.quote:
                end = _closing(line, place, self.quote)
                if end < 0:
                    self.continued = False
                    return
                place, self.quote = end, ""
                continue
            found = _STRING.search(line, place)
            if found is None:
                break
            place = found.end()
            if found[0] in ("'''", '"""'):
                self.quote = found[0]
            elif found[0] in "([{":
                self.depth += 1
            elif found[0] in ")]}":
                self.depth -= 1
            elif found[0].startswith("#"):
                code_ends = found.start()
        self.continued = not self.quote and line[:code_ends].endswith("\\")


def _closing(line: str, place: int, quote: str) -> int:
    """Where the triple quote that is open ends in this line; -1 when it stays open."""
    while place < len(line):
        if line[place] == "\\":
            place += 2
        elif line.startswith(quote, place):
            return place + len(quote)
        else:
            place += 1
    return -1
