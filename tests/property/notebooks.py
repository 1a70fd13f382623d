"""Random stories of a notebook: its cells are written and run, edited, and run again, here or in a new kernel.

Cells are written for the names as they are at that moment in a plain world, so that most of what they do succeeds.
"""

from __future__ import annotations

import io
import os
import random
import re
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.property import programs
from tests.property.programs import CLASSES, FUNCTIONS, NAMES, Writer
from tests.property.worlds import Action, Put, Remove, Reset, Restart, Run, Seen, World

IMPORTS = (
    "import collections, functools, glob, importlib, json, os, random, shutil, sys, time, uuid, warnings\n"
    "from pathlib import Path\nimport numpy as np\nimport pandas as pd\nfrom IPython.display import display"
)
DATA = ("data.csv", "numbers.json", "words.txt")
MADE = ("out.txt", "log.txt", "sub/deep.txt")
OBJECTS = ["rng", "dice", "stream", "memo", "count", "thing", "big", "bag"]
CONSTANTS = ["SCALE", "OFFSET"]
_EVERY_NAME = [*NAMES, *FUNCTIONS, *CLASSES, *OBJECTS, *CONSTANTS]

# What a cell may do besides what `programs` knows. <x> stands for a name or an expression that fits now; the same
# digit means the same one.
FORMS: dict[str, list[str]] = {
    "shows": [
        "<any>", "<any>", "<any>;", "<part>", "(<any>, <any>)", "<call>", "_", "Out", "len(In)", "[_, <any>]",
        "print(<any>)", "print('seen', <n>, end='')", "print(<any>, file=sys.stderr)", "display(<any>)",
        "display(<any>, <n>); print('between'); display([<n>])", "sys.stdout.write('written')",
        "warnings.warn('careful <n>')", "for i in range(3): print(i, <any>)", "display(<frame>)\n<frame>",
        "print(sorted(<set>, key=str))", "<frame1>.describe()", "<t> = _", "<t> = Out.get(3)", "<t> = len(Out)",
        "def shout(v=<n>):\n    print('called', v); return v\n<t> = shout()", "print(*<set>)",
        "%%capture caught\nprint(<n>)\n<t> = <n>", "<t> = <caught!>.stdout",
    ],
    "draws": [
        "<t> = random.random()", "<t> = random.choice([1, 2, 3, 4, 5])", "random.shuffle(<list>)", "random.seed(<n>)",
        "np.random.seed(<n>)", "<t> = np.random.rand(3)", "<t> = np.random.permutation(5)",
        "np.random.shuffle(<array>)", "<t> = <frame>.sample(2)", "rng = np.random.default_rng(<n>)",
        "<t> = <rng>.normal(size=3)", "<t> = <rng>.integers(100)", "print(<rng>.integers(100))",
        "<rng>.shuffle(<array>)", "dice = random.Random(<n>)", "<t> = <dice>.random()", "<dice>.shuffle(<list>)",
        "random.gauss(0, 1)", "<t> = [random.random(), <any>]", "random.seed(<n>)\n<t> = random.random()",
        "np.random.normal()", "<t> = np.random.default_rng(<n>).random(2)", "thing = [<rng>, <n>]",
        "<t> = <rng>.spawn(1)[0].integers(100)", "<rng>",
    ],
    "modules": [
        "import helper", "from helper import work", "import helper as h\n<t> = h.work(<n>)", "from helper import *",
        "<t> = <work!>(<n>)", "import helper\n<t> = helper.work(<n>)", "import helper\nhelper.STATE.append(<n>)",
        "import helper\n<t> = helper.STATE", "import helper\n<t> = helper.bump()",
        "import helper\nimportlib.reload(helper)", "import helper\nhelper.FACTOR = <n>",
        "def <f>(v=<n>):\n    import helper\n    return helper.work(v)", "from helper import Kind\n<t> = Kind(<n>)",
        "import deeper\n<t> = deeper.LIMIT", "import deeper\ndeeper.LIMIT += 1",
        "from helper import remembered\n<t> = remembered(<n>)",
    ],
    "files": [
        "with open('<made>', 'w') as file:\n    file.write('text <n>')", "open('<made>', 'a').write('more <n>\\n')",
        "<t> = open('<there>').read()", "<t> = open('<data>').read()", "<t> = len(Path('<data>').read_text())",
        "<t> = pd.read_csv('data.csv')", "<frame>.to_csv('made.csv')", "<t> = pd.read_csv('<made.csv!>', index_col=0)",
        "<t> = json.load(open('numbers.json'))", "json.dump([<n>, <n>], open('made.json', 'w'))",
        "<t> = json.load(open('<made.json!>'))", "os.remove('<there>')",
        "if os.path.exists('<made>'): os.remove('<made>')", "os.makedirs('sub', exist_ok=True)",
        "os.makedirs('sub', exist_ok=True)\nopen('sub/deep.txt', 'w').write('<n>')",
        "Path('sub').mkdir(exist_ok=True); Path('sub/deep.txt').write_text('deep <n>')",
        "<t> = os.path.exists('<made>')", "<t> = sorted(name for name in os.listdir() if not name.startswith('.'))",
        "<t> = sorted(glob.glob('*.txt'))", "os.rename('<there>', 'renamed.txt')",
        "shutil.copy('<data>', 'copied.txt')", "<t> = open('<copied.txt!>').read()", "np.save('made.npy', <array>)",
        "<t> = np.load('<made.npy!>')", "open('<data>', 'a').write('')",
        "with open('log.txt', 'a') as file:\n    print('line', <n>, file=file)",
        "shutil.rmtree('sub', ignore_errors=True)", "open('words.txt', 'w').write('words <n>')",
        "<t> = os.path.getsize('<data>')", "if not os.path.lexists('link'): os.symlink('words.txt', 'link')",
        "if os.path.lexists('link'): os.remove('link')\nos.symlink('<data>', 'link')", "<t> = open('<link!>').read()",
        "open('<link!>', 'w').write('by link <n>')",
        "try:\n    <t> = open('<made>').read()\nexcept FileNotFoundError:\n    <t> = 'none'",
        "file = open('<data>')\n<t> = file.readline()", "<t> = <file!>.readline()",
        "<t> = np.load('<made.npy!>', mmap_mode='r')", "<t> = sum(1 for line in open('<log.txt!>'))",
    ],
    "missing": [
        "try:\n    <t> = <absent>\nexcept NameError:\n    <t> = -1", "<t> = '<absent>' in globals()",
        "<t> = '<t>' in dir()", "<t> = globals().get('<absent>', 0)", "if 'SCALE' in globals():\n    <t> = SCALE",
        "exec('<absent> = <n>')", "<t> = eval('<absent>')", "del <absent>", "globals()['<absent>'] = <n>",
        "<t> = vars().get('<t>')", "try:\n    <t> = work(<n>)\nexcept NameError:\n    <t> = None",
        "<t> = sum(1 for name in list(globals()) if len(name) == 1)",
        "try:\n    <absent>.append(<n>)\nexcept NameError:\n    <absent> = [<n>]",
    ],
    "constants": [
        "SCALE = <n>", "OFFSET = [<n>]", "def <f>(v=<n>): return v * SCALE", "def <f>(): return [SCALE, OFFSET]",
        "def <f>(): OFFSET.append(<n>); return len(OFFSET)",
        "def <f>():\n    global SCALE\n    SCALE += 1\n    return SCALE", "<t> = <call>", "<t> = <call>",
        "<OFFSET!>.append(<SCALE!>)", "<SCALE!> += 1", "<t> = [<SCALE!>] * 2", "def <f>():\n    return <f>()",
        "<t> = [v + <n> for v in range(<SCALE!> % 5)]",
    ],
    "lives": [
        "stream = (v for v in [1, 2, 3, <n>])", "stream = iter(<list>)", "<t> = next(<stream>)",
        "<t> = next(<stream>, None)", "<t> = [v for v, n in zip(<stream>, range(5))]", "stream = map(str, <list>)",
        "stream = enumerate(<list>)", "stream = iter(range(<n>))",
        "def ticks(v=<n>):\n    while True:\n        v += 1; yield v\nstream = ticks()", "stream = zip(<list>, 'abc')",
        "@functools.lru_cache\ndef memo(v):\n    print('computing', v); return [v]", "<t> = <memo!>(<n>)",
        "<t> = memo(3)", "<t> = <memo!>(3)",
        "def counter():\n    n = <n>\n    def up():\n        nonlocal n; n += 1; return n\n    return up\n"
        "count = counter()", "<t> = <count!>()", "print(<count!>())", "count2 = <count!>",
        "<t> = [<count!>(), count()]",
        "def both():\n    s = []\n    def push(v=<n>): s.append(v)\n    def look(): return s\n    return push, look\n"
        "push, count = both()", "<push!>()", "<t> = sorted([3, 1, 2], key=lambda v: (<list>.append(v), v)[1])",
        "<t> = functools.partial(max, <n>)",
    ],
    "shapes": [
        "class Point:\n    __slots__ = ('x', 'y')\n    def __init__(self, x, y=<n>): self.x, self.y = x, y\n"
        "thing = Point(<any>)",
        "class Lossy:\n    def __init__(self): self.kept, self.lost = <n>, [<n>]\n"
        "    def __getstate__(self): return {'kept': self.kept}\nthing = Lossy()",
        "Pair = collections.namedtuple('Pair', 'one two')\nthing = Pair(<any>, <n>)",
        "thing = collections.deque(<list>, 4)", "thing = collections.defaultdict(list)\nthing['k'].append(<any>)",
        "thing = collections.Counter(<list>)",
        "from dataclasses import dataclass, field\n@dataclass\nclass Record:\n    n: int = <n>\n"
        "    parts: list = field(default_factory=list)\nthing = Record()", "thing = collections.OrderedDict(k=<any>)",
        "import enum\nclass Colour(enum.Enum):\n    RED = <n>\nthing = Colour.RED", "<t> = <thing!>",
        "<t> = [<thing!>, thing]", "class Loud(list):\n    tag = <n>\nthing = Loud(<list>)",
        "<has_parts>.parts.append(<n>)", "<has_x>.x = <any>", "<has_append>.append(<n>)",
        "class Base:\n    def who(self): return <n>\nclass Derived(Base): pass\nthing = Derived()",
        "<t> = <has_who>.who()", "class Base:\n    def who(self): return <n>", "<t> = isinstance(<thing!>, <Point!>)",
        "<t> = type(<thing!>) is <Record!>", "bag = {'shared': <list1>, 'also': <list1>}",
        "<shared>['shared'].append(<n>)", "<t> = <shared>['also']", "bag = [<any>, <any>, bag]",
        "<t> = <shared1>['shared'] is <shared1>['also']", "<t>, <t> = [], {}", "<list1>.append(<list1>)",
        "bag = [[[[[[[[[[<n>]]]]]]]]]]", "<t> = {str(v): v for v in range(4)}",
        "<t> = {v % 8 for v in range(<n> % 50)}", "<t> = {'b', 'a', 'c<n>'}", "<t> = list({'x', 'y', 'z<n>'})",
        "<t> = frozenset([<n>, 9])", "thing = bytearray(b'ab<n>')", "<bytearray>[0] = 90",
        "thing = Exception('kept', <list>)", "thing = <list>.append", "<adds>(<n>)", "thing = lambda: <any>",
        "<t> = <makes>()", "import types\nthing = types.SimpleNamespace(v=<any>)",
        "import weakref\nclass Ref: pass\nthing = Ref(); bag = weakref.ref(thing)",
    ],
    "numbers": [
        "big = np.arange(<few>.)", "<t> = <array1>[1:]", "<array1>[0] = <n>", "<t> = <array1>.reshape(-1, 1)",
        "<t> = np.asfortranarray(<array1>.reshape(1, -1))", "big = np.arange(6).reshape(2, 3)", "<t> = <grid>.T",
        "<t> = <array1>[::2]", "<array1>[0] += 1", "<t> = <array1>.astype('float32')", "<t> = <grid>.sum(axis=0)",
        "<grid>[0, 1] = <n>", "<t> = <grid>[:, 1]", "<array1>.flags.writeable = False", "big = <array>.copy()",
        "<array1>[:] = <array1>[::-1].copy()", "<t> = np.array([<list>, None], dtype=object)",
        "big = np.zeros(2, dtype=[('p', 'i4'), ('q', 'f8')])", "<t> = <records>['p']", "<records>['q'] = <n>",
        "big = np.array(['2020-01-01'], dtype='M8[D]')", "<t> = np.ma.masked_greater(<array>, 2)",
        "<t> = np.float32(<n>)", "<t> = np.broadcast_to(<array>, (2, len(<array>)))",
        "np.set_printoptions(precision=<few>)", "<t> = <array1>.view('u1')", "<t> = [<array1>, <array1>[1:]]",
        "<t> = memoryview(<array1>)", "<t> = <array1>.dtype", "big = <array> + <n>",
        "<array1>, <t> = <array1>[1:], <array1>",
    ],
    "tables": [
        "<t> = <frame>.groupby('x').sum()", "<frame>.sort_values('y', ascending=False, inplace=True)",
        "<t> = <frame>.iloc[::-1]", "<frame>.index.name = 'i<n>'", "<t> = <frame>.T", "<t> = <frame>['x']",
        "<frame>['s'] = ['p', 'q', 'r']", "<t> = <frame>.dtypes", "<frame>['c'] = pd.Categorical(['u', 'v', 'u'])",
        "<t> = <frame>.merge(<frame>, on='x')", "<t> = <frame>.pop('y')", "<frame>.drop(columns='x', inplace=True)",
        "<frame>.rename(columns={'x': 'w<n>'}, inplace=True)", "<t> = <frame>.to_numpy()",
        "<t> = <frame>.set_index(['x', 'y'])", "<frame>.index = pd.date_range('2020', periods=len(<frame>))",
        "<t> = <frame>.to_dict()", "<t> = pd.Series([<n>, None, 3], name='s')", "<t> = pd.Series(<array>)",
        "<t> = pd.Series(['a', None, 'b<n>'])", "<t> = pd.concat([<frame>, <frame>])", "<frame>.loc[0, 'x'] = <n>",
        "<t> = <frame>[<frame>['x'] > 2]", "pd.set_option('display.precision', <few>)", "<frame>.note = <n>",
        "<t> = <frame>.astype('float32', errors='ignore')", "<t> = pd.DataFrame(<array>)", "<t> = <series>.to_numpy()",
        "<t> = pd.Index([<n>, 2], name='n')", "<t> = pd.Timestamp('2020-01-01') + pd.Timedelta(days=<few>)",
        "<t> = <frame>.groupby('x')", "<t> = [<frame1>, <frame1>]", "<t> = <frame1>[['x']]\n<frame1>.iloc[0, 0] = <n>",
    ],
    "process": [
        "os.environ['MODE'] = 'm<n>'", "<t> = os.environ.get('MODE')", "os.environ.pop('MODE', None)",
        "<t> = os.path.basename(os.getcwd())",
        "import threading\nthread = threading.Thread(target=<list>.append, args=(<n>,)); thread.start(); thread.join()",
        "<t> = __name__", "lock = __import__('threading').Lock()", "sys.path.append('extra<few>')",
        "<t> = sys.path[-1]",
    ],
    "fresh": [
        "fresh_time = time.time_ns()", "fresh_id = uuid.uuid4().hex", "fresh_bytes = os.urandom(6)",
        "fresh_rng = np.random.default_rng().random()", "fresh_dice = random.Random().random()",
        "fresh_system = random.SystemRandom().random()",
    ],
    "pure": [
        "<t> = sum(range(<n>))", "<t> = [v * 2 for v in range(<few>)]", "<t> = np.linspace(0, 1, <few>)",
        "<t> = {'n': <n>, 'm': [<n>]}", "<t> = pd.DataFrame({'x': [<n>, 1, 2], 'y': [.5, 1.5, 2.5]})",
        "<t> = sorted([<n>, <n>, 3])", "<t> = max(<n>, <n>)", "def max(*v): return <n>", "del <max!>",
        "<t> = np.arange(<few>) + <n>", "<t> = str(<n>).zfill(6)", "<t>, <t> = <n>, [<n>]", "<t>, _ = <any>, <n>",
        "for _ in range(<few>): <list>.append(<n>)", "<t> = [<n> for _ in range(<few>)]",
    ],
    "failures": [
        "<any> + 'text' + 1", "raise ValueError('broken', <n>)", "<list>[99]", "print('before'); 1 / 0",
        "assert <n> < 0, 'never'", "def fails():\n    raise KeyError(<n>)\nfails()", "import not_there", "<t> = = 1",
        "<t> = int('x<n>')", "raise SystemExit(<few>)",
    ],
}  # fmt: skip

# How often statements of each family are written, beside those of `programs`.
_WEIGHTS = {
    "programs": 30, "shows": 14, "draws": 8, "modules": 5, "files": 11, "missing": 5, "constants": 8, "lives": 6,
    "shapes": 8, "numbers": 7, "tables": 7, "process": 2, "fresh": 1, "pure": 14, "failures": 3,
}  # fmt: skip


def kind(value: Any) -> str:
    """What the writer can do with a value."""
    if isinstance(value, np.random.Generator):
        return "rng"
    if isinstance(value, random.Random):
        return "dice"
    if hasattr(type(value), "__next__") and not isinstance(value, io.IOBase):
        return "stream"
    if isinstance(value, np.ndarray) and value.ndim == 2:
        return "grid"
    if isinstance(value, np.ndarray) and value.dtype.names:
        return "records"
    if isinstance(value, bytearray):
        return "bytearray"
    if isinstance(value, dict) and "shared" in value and "also" in value:
        return "shared"
    if isinstance(value, types.BuiltinMethodType) and value.__name__ == "append":
        return "adds"
    if isinstance(value, types.LambdaType) and value.__name__ == "<lambda>":
        return "makes"
    return programs.kind(value)


_HOLE = re.compile(r"<([\w.]+)([\d!]?)>")


class CellWriter(Writer):
    """Writes the next cell of a notebook; knows files, modules, output and randomness besides what `Writer` knows."""

    def some(self, *kinds: str) -> str | None:
        return self.named(lambda value: kind(value) in kinds)

    def any(self) -> str:
        found = [name for name in [*NAMES, *OBJECTS, *CONSTANTS] if name in self.namespace]
        return self.rng.choice(found) if found else "0"

    def cell(self, namespace: Mapping[str, Any]) -> str:
        self.namespace = namespace
        return self._one_cell([self.statement() for _ in range(self.rng.choice((1, 1, 2, 2, 3)))])

    @staticmethod
    def _one_cell(statements: list[str]) -> str:
        """A cell's own magic stands alone; a result is shown by the last statement only."""
        magic = [text for text in statements if text.startswith("%%")]
        return magic[0] if magic else "\n".join(statements)

    def statement(self) -> str:
        family = self.rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        for _ in range(8):
            made = super().statement() if family == "programs" else self.filled(self.rng.choice(FORMS[family]))
            if made is not None:
                return made
        return self.binding()

    def filled(self, form: str) -> str | None:
        """The form with names and values of this moment; ``None``: there is none that fits."""
        chosen: dict[str, str | None] = {}

        def fill(hole: re.Match[str]) -> str:
            if hole[2] == "!":
                chosen[hole[0]] = self.there(hole[1])
            elif not hole[2]:
                chosen[f"{hole[0]}{hole.start()}"] = word = self.word(hole[1])
                return word or ""
            elif hole[0] not in chosen:
                chosen[hole[0]] = self.word(hole[1])
            return chosen[hole[0]] or ""

        text = _HOLE.sub(fill, form)
        return None if None in chosen.values() else text

    def word(self, of: str) -> str | None:
        makers: dict[str, Callable[[], str | None]] = {
            "t": self.name,
            "f": lambda: self.rng.choice(FUNCTIONS),
            "n": self.number,
            "v": self.value,
            "few": lambda: str(self.rng.randrange(2, 6)),
            "any": self.any,
            "part": self.part,
            "call": lambda: self.call() if self.some("function") else None,
            "data": lambda: self.rng.choice(DATA),
            "made": lambda: self.rng.choice(MADE),
            "there": lambda: next(filter(os.path.exists, self.rng.sample(MADE, len(MADE))), None),
            "absent": lambda: self.rng.choice([*NAMES, "SCALE", "thing"]),
        }
        if of.startswith("has_"):
            return self.named(lambda value: hasattr(value, of.removeprefix("has_")))
        return makers[of]() if of in makers else self.some(of)

    def named(self, fits: Callable[[Any], bool]) -> str | None:
        found = [name for name in _EVERY_NAME if name in self.namespace and fits(self.namespace[name])]
        return self.rng.choice(found) if found else None

    def there(self, word: str) -> str | None:
        """The name, or the file, where it is there."""
        return word if word in self.namespace or os.path.exists(word) else None


# Files around the notebook


def data_file(path: str, rng: random.Random) -> str:
    """A content for a data file; always of the same size."""
    n = rng.randrange(1000, 9999)
    return {
        "data.csv": f"x,y\n{n},0.5\n2,1.5\n3,2.5\n",
        "numbers.json": f"[{n}, [2], {{\"k\": 3}}]",
        "words.txt": f"words {n}\nof two lines\n",
    }[path]  # fmt: skip


def helper_file(path: str, rng: random.Random) -> str:
    n = rng.randrange(1000, 9999)
    if path == "deeper.py":
        return f"LIMIT = {n}\n\ndef limit(v):\n    return min(v, LIMIT)\n"
    return f"""import functools
import deeper

FACTOR = {n}
STATE = [{rng.choice((n, 0))}]


def work(v):
    return [v, FACTOR, deeper.limit({rng.choice((n, 7))})]


def bump():
    STATE[0] += 1
    return STATE[0]


@functools.lru_cache
def remembered(v):
    print('remembering', v)
    return (v, FACTOR)


class Kind:
    level = {rng.choice((n, 5))}

    def __init__(self, v):
        self.v = v
"""


def project(rng: random.Random) -> list[Action]:
    """The files that are there when the notebook begins."""
    data: list[Action] = [Put(path, data_file(path, rng)) for path in DATA]
    return [*data, *(Put(path, helper_file(path, rng)) for path in ("deeper.py", "helper.py"))]


# Edits


def with_another_constant(text: str, rng: random.Random) -> str:
    found = list(re.finditer(r"(?<![\w.'])\d+(?![\w'])", text))
    if not found:
        return text
    one = rng.choice(found)
    return f"{text[: one.start()]}{int(one[0]) + rng.choice((1, 2, 1000))}{text[one.end() :]}"


def laid_out_anew(text: str, rng: random.Random) -> str:
    """The same program with other comments, blank lines and spaces."""
    if text.startswith("%%") or "\n" in text and "'''" in text:
        return text
    lines = text.split("\n")
    lines = [re.sub(r"^(\w+) = ", rng.choice((r"\1 = ", r"\1  =  ", r"\1=")), line) for line in lines]
    if rng.random() < 0.5:
        lines.insert(0, "# a remark")
    if rng.random() < 0.5:
        lines.insert(rng.choice([n for n, line in enumerate([*lines, ""]) if not line.startswith(" ")]), "")
    if rng.random() < 0.5 and not text.rstrip().endswith(";"):
        lines[-1] += "  # and another"
    return "\n".join(lines)


class Author:
    """Plays the user of a notebook in a plain world, and notes what they do and see."""

    def __init__(self, seed: int, world: World) -> None:
        self.rng = random.Random(seed)
        self.world = world
        self.writer = CellWriter(self.rng)
        self.story: list[Action] = []
        self.seen: list[Seen] = []
        self.cells: list[list[str]] = []  # id, text
        self._ids = iter(range(10_000))

    def do(self, action: Action) -> None:
        self.story.append(action)
        self.seen.append(self.world.do(action))

    def play(self) -> None:
        for action in project(self.rng):
            self.do(action)
        self.cells.append(self.cell(IMPORTS))
        self.run(0)
        for _ in range(self.rng.randrange(3, 9)):
            self.cells.append(self.cell(self.writer.cell(self.world.namespace)))
            self.run(len(self.cells) - 1)
        for _ in range(self.rng.choice((1, 2, 2))):
            self.round()
        self.seen.append(self.world.look())

    def cell(self, text: str) -> list[str]:
        return [f"c{next(self._ids)}", text]

    def run(self, number: int) -> None:
        cell_id, text = self.cells[number]
        self.do(Run(text, cell_id))

    # -- a round of edits, and of runs -------------------------------------------------------

    def round(self) -> None:
        for _ in range(self.rng.choice((0, 1, 1, 2))):
            self.edit()
        how = self.rng.random()
        if how < 0.6:
            self.do(Restart(self.rng.choice((0, 0, 0, self.rng.randrange(9))), self.rng.random() < 0.9))
            if self.rng.random() < 0.5:
                self.do(Reset())
            self.run_from(0)
        elif how < 0.8:
            self.run_from(0)
        elif how < 0.9:
            self.run_from(self.rng.randrange(len(self.cells)))
        else:
            for _ in range(self.rng.randrange(2, 6)):
                self.run(self.rng.randrange(len(self.cells)))

    def run_from(self, first: int) -> None:
        for number in range(first, len(self.cells)):
            if self.rng.random() < 0.04:
                self.edit_file()
            self.run(number)
            if self.rng.random() < 0.06:
                self.run(number)

    def edit(self) -> None:
        edits = [
            self.constant,
            self.constant,
            self.insert,
            self.delete,
            self.move,
            self.layout,
            self.edit_file,
            self.edit_file,
        ]
        self.rng.choice(edits)()

    def constant(self) -> None:
        cell = self.rng.choice(self.cells)
        cell[1] = with_another_constant(cell[1], self.rng)

    def layout(self) -> None:
        cell = self.rng.choice(self.cells)
        cell[1] = laid_out_anew(cell[1], self.rng)

    def insert(self) -> None:
        place = self.rng.randrange(1, len(self.cells) + 1)
        self.cells.insert(place, self.cell(self.writer.cell(self.world.namespace)))

    def delete(self) -> None:
        if len(self.cells) > 2:
            del self.cells[self.rng.randrange(1, len(self.cells))]

    def move(self) -> None:
        cell = self.cells.pop(self.rng.randrange(len(self.cells)))
        self.cells.insert(self.rng.randrange(len(self.cells) + 1), cell)

    def edit_file(self) -> None:
        path = self.rng.choice([*DATA, *DATA, "helper.py", "helper.py", "deeper.py", *MADE])
        if path in MADE:
            self.do(self.rng.choice((Remove(path), Put(path, f"by hand {self.rng.randrange(9)}\n"))))
        elif path.endswith(".py"):
            self.do(Put(path, helper_file(path, self.rng)))
        else:
            self.do(Put(path, data_file(path, self.rng), quietly=self.rng.random() < 0.3))


def written(seed: int, folder: Path, closely: bool = True) -> tuple[list[Action], list[Seen]]:
    """A story, and what is seen of it without mlmagic, after each action and at the end."""
    with World(folder, closely) as world:
        author = Author(seed, world)
        author.play()
    return author.story, author.seen
