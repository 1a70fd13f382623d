"""Inside `analysis`: magics and shell commands, as IPython's input transformation spells them.

`%time f(x)` arrives here as `get_ipython().run_line_magic('time', 'f(x)')`. Magics that run Python are
looked into, those known to leave variables alone load what their text expands, all others may do anything.
"""

from __future__ import annotations

import ast
import re

from .scopes import function_scope
from .source import parse
from .strings import identifiers
from .walker import Walker

SHELL = "!"

# Magics that run Python code in the notebook's namespace -> their one-letter options, and those with a value.
_CODE = {"time": ("", ""), "prun": ("lrsTDq", "lsTD"), "memit": ("rtico", "rti"), "capture": ("", "")}
# The same inside a function of its own: what it binds is lost.
_TIMED = {"timeit": ("nrtcpqov", "nrp")}
_LONG_OPTIONS = frozenset({"--no-raise-error", "--no-stderr", "--no-stdout", "--no-display"})
# Help on an object.
_INSPECTING = frozenset("pinfo pinfo2 pdoc pdef psource pfile".split())
# Magics that leave variables alone.
_HARMLESS = frozenset(
    "matplotlib load_ext reload_ext unload_ext config pip conda mamba micromamba uv cd pwd ls ll env set_env "
    "autoreload aimport mlmagic lineage slice compare reuse sweeps precision pprint xmode colors logstart logstop "
    "logoff logon logstate pdb tb system sx lsmagic bookmark pushd popd dirs dhist automagic doctest_mode gui".split()
)
# Magics of ours whose words are expressions of the notebook, or options; they leave variables alone.
_ASKING = frozenset({"assertions", "drift", "evaluate"})
# Cell magics whose body is text of another kind.
_FOREIGN = frozenset(
    "html HTML javascript js latex markdown svg SVG bash sh script writefile file perl ruby cmd python python2 python3 "
    "pypy".split()
)
_SHELL_CELLS = frozenset({"system", "sx", "!"})
_CAPTURED = re.compile(r"--(?:out|err|proc)[ =]+([^\W\d]\w*)")
_BRACES = re.compile(r"\{([^{}]+)\}")
_DOLLAR = re.compile(r"\$([^\W\d]\w*)")


def run(walker: Walker, node: ast.Call) -> bool:
    """Take account of a call that IPython made of a magic; False for any other call."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython"), args=[]), attr=how)):
            pass
        case _:
            return False
    texts = [arg.value if isinstance(arg, ast.Constant) and isinstance(arg.value, str) else None for arg in node.args]
    match how, texts:
        case (("system" | "getoutput"), [text]):
            walker.cell.magics.add(SHELL)
            _expand(walker, text)
        case "run_line_magic", [str() as name, text]:
            walker.cell.magics.add(name)
            _line_magic(walker, name, text)
        case "run_cell_magic", [str() as name, line, body]:
            walker.cell.magics.add(name)
            _cell_magic(walker, name, line, body)
        case "set_next_input", _:
            pass
        case _:
            return False
    walker.visit_all(node.args)  # expressions in the place of the text; constants are noted as strings
    return True


def _line_magic(walker: Walker, name: str, text: str | None) -> None:
    if name in _ASKING and text is not None:
        _load_expressions(walker, text)
    elif name in _HARMLESS or (name in _INSPECTING and text is not None):
        _expand(walker, text)
        if name in _INSPECTING:
            _load_root(walker, text or "")
    elif text is None:
        walker.tally.dynamic = True
    elif name in _TIMED:
        _timed(walker, [_without_options(text, *_TIMED[name])])
    elif name in _CODE and name != "capture":
        _code(walker, text, name)
    else:
        walker.tally.dynamic = True


def _cell_magic(walker: Walker, name: str, line: str | None, body: str | None) -> None:
    if name in _FOREIGN:
        _expand(walker, line)
        for captured in _CAPTURED.findall(line or ""):
            walker.bind(captured)
    elif name in _SHELL_CELLS:
        _expand(walker, line)
        _expand(walker, body)
    elif line is None or body is None:
        walker.tally.dynamic = True
    elif name in _TIMED:
        _timed(walker, [_without_options(line, *_TIMED[name]), body])
    elif name == "sweep":
        _timed(walker, [body])  # each trial runs on a copy of the variables
    elif name == "assertion":
        _assertion(walker, body)
    elif name == "capture":
        _capture(walker, line, body)
    elif name in _CODE:
        _code(walker, line, name)
        _code(walker, body, name, raising="--no-raise-error" not in line)
    else:
        walker.tally.dynamic = True


def _capture(walker: Walker, line: str, body: str) -> None:
    _code(walker, body, "capture", raising=False)  # it shows the body's exception and goes on
    for name in _without_options(line, *_CODE["capture"]).split():
        walker.bind(name)


def _assertion(walker: Walker, body: str) -> None:
    """The body runs in the notebook; what its functions load is taken down with the rule, so it is read now."""
    tree = _tree(walker, body)
    if tree is None:
        return  # it is refused, and nothing runs
    walker.visit_all(tree.body)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            walker.load(node.name)


def _load_expressions(walker: Walker, text: str) -> None:
    """Load every word that could be a variable: options and actions are none, and cost nothing."""
    for name in sorted(identifiers(text)):
        walker.load_by_string(name)


def _code(walker: Walker, text: str, name: str, raising: bool = True) -> None:
    """Code that runs in the notebook's namespace; `raising`: its exceptions stop the cell."""
    raising = raising and "--no-raise-error" not in text.partition("\n")[0]
    tree = _tree(walker, _without_options(text, *_CODE[name]))
    if tree is None:
        walker.tally.dynamic = True
    elif raising:
        walker.visit_all(tree.body)
    else:
        before = walker.here()
        walker.block(tree.body)
        walker.go(before)


def _timed(walker: Walker, texts: list[str]) -> None:
    trees = [_tree(walker, text) for text in texts]
    body: list[ast.stmt] = []
    for tree in trees:
        if tree is None:
            walker.tally.dynamic = True
            return
        body += tree.body
    inner = walker.inner(function_scope(body, walker.scope, walker.klass))
    inner.visit_all(body)
    walker.run(inner.tally.code_facts())


def _tree(walker: Walker, text: str) -> ast.Module | None:
    try:
        return parse(walker.cell.transform(text) if walker.cell.transform else text)
    except (SyntaxError, ValueError):
        return None


def _without_options(text: str, letters: str, valued: str) -> str:
    """The statement after a magic's own options; `-x + 1` is a statement unless x is one of them."""
    rest = text.lstrip()
    while rest.startswith("-"):
        option, _, after = rest.partition(" ")
        if option not in _LONG_OPTIONS and option[1:2] not in letters:
            break
        rest = after.lstrip()
        if len(option) == 2 and option[1] in valued:
            rest = rest.partition(" ")[2].lstrip()
    return rest


def _expand(walker: Walker, text: str | None) -> None:
    """Load what IPython puts in the place of `{expression}` and `$name`."""
    if text is None:
        return
    for match in _DOLLAR.finditer(text):
        walker.load_by_string(match[1])
    for match in _BRACES.finditer(text):
        try:
            walker.visit(ast.parse(match[1].strip(), mode="eval"))
        except SyntaxError:  # a format follows (`{x:.2f}`), or it is the shell's brace
            for name in sorted(identifiers(match[1])):
                walker.load_by_string(name)


def _load_root(walker: Walker, text: str) -> None:
    names = re.findall(r"[^\W\d]\w*", text)
    if names:
        walker.load_by_string(names[0])
