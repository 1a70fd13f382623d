"""What caches are known to get wrong: one test for each hazard, told as a story that both worlds must agree on.

Most stories run the cells of a notebook, change something, and run them again, in the same kernel and in a new one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.kernel.kernels import Kernel
from tests.property.worlds import Action, Put, Remove, Reset, Restart, Run, Tracked, World, difference, first_lie

pytestmark = [  # notebooks leave files open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.usefixtures("open_files_end_here"),
]

IMPORTS = "import json, os, random\nimport numpy as np\nimport pandas as pd"


def runs(*cells: str) -> list[Action]:
    return [Run(text) for text in (IMPORTS, *cells)]


def agree(folder: Path, *parts: Action | Iterable[Action]) -> None:
    """Both worlds see the same in this story."""
    story = [action for part in parts for action in ((part,) if not isinstance(part, Iterable) else part)]
    lie = first_lie(story, folder / "project")
    assert lie is None, lie


def agree_on_edits(folder: Path, *notebooks: Sequence[str], files: Sequence[Action] = ()) -> None:
    """Versions of a notebook one after the other, in one kernel; and each in a kernel of its own, there and back."""
    versions = [runs(*cells) for cells in notebooks]
    agree(folder, files, *versions, *versions)
    agree(folder, files, *([*version, Restart()] for version in [*versions, *versions]))


# What a key must hold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("np.arange(4, dtype='i8')", "np.arange(4, dtype='i8').view('f8')"),
        ("np.arange(4, dtype='u8')", "np.arange(4, dtype='i8')"),
        ("np.arange(4.)", "np.arange(4.).reshape(2, 2)"),
        ("np.array([[1., 2.], [2., 4.]])", "np.array([[1., 2.], [2., 4.]]).T"),
        ("np.arange(4.)", "np.arange(8.)[::2] / 2 * 1"),
        ("np.arange(4).astype('M8[D]')", "np.arange(4).astype('M8[s]')"),
        ("np.zeros(2, [('a', 'i4')])", "np.zeros(2, [('b', 'i4')])"),
        ("np.arange(2.)", "np.ma.masked_array(np.arange(2.))"),
        ("pd.DataFrame({'a': [1, 2]})", "pd.DataFrame({'b': [1, 2]})"),
        ("pd.DataFrame({'a': [1], 'b': [2]})", "pd.DataFrame({'b': [1], 'a': [2]})"),
        ("pd.DataFrame({'a': [1, 2]})", "pd.DataFrame({'a': [1, 2]}, index=[1, 2])"),
        ("pd.DataFrame({'a': [1, 2]})", "pd.DataFrame({'a': [1, 2]}, index=pd.Index([0, 1], name='n'))"),
        ("pd.DataFrame({'a': [1, 2]})", "pd.DataFrame({'a': [1, 2]}, index=[0, 1])"),
        ("pd.Series([1, 2], name='a')", "pd.Series([1, 2], name='b')"),
        ("pd.Series(['u', 'v'])", "pd.Series(['u', 'v'], dtype='category')"),
        ("pd.Series(['u', 'v'])", "pd.Series(['u', 'v'], dtype=object)"),
        ("pd.Categorical(['u'], ['u', 'v'])", "pd.Categorical(['u'], ['u', 'w'])"),
        ("pd.date_range('2020', periods=2)", "pd.date_range('2020', periods=2, tz='UTC')"),
        ("1", "True"),
        ("1", "1.0"),
        ("0.0", "-0.0"),
        ("'1'", "b'1'"),
        ("[1, 2]", "(1, 2)"),
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
        ("{1, 2}", "frozenset({1, 2})"),
        ("np.float32(.5)", "np.float64(.5)"),
        ("['ab', 'c']", "['a', 'bc']"),
        ("[1, [2]]", "[[1], 2]"),
    ],
)
def test_equal_bytes_are_not_equal_values(tmp_path, one, other):
    shown = "print(type(x).__name__, repr(x), getattr(x, 'dtype', None), getattr(x, 'strides', None))\ny = [x]\nx"
    agree_on_edits(tmp_path, [f"x = {one}", shown], [f"x = {other}", shown])


def test_equal_values_that_share_otherwise_are_not_equal(tmp_path):
    use = "x[0].append(1)\nprint(x)\ny = json.dumps(x)"
    agree_on_edits(tmp_path, ["x = [[], []]", use], ["x = [[]] * 2", use])
    use = "x[0][0] = 9\nprint(x)\ny = float(x[1].sum())"
    agree_on_edits(tmp_path, ["x = [np.zeros(2), np.zeros(2)]", use], ["x = [np.zeros(2)] * 2", use])


@pytest.mark.parametrize("depth", [12, 60, 400])
def test_nothing_is_too_deep_to_be_looked_at(tmp_path, depth):
    nest = "x = {}\nfor n in range({}):\n    x = [x]"
    use = "y = x\nwhile isinstance(y, list):\n    y = y[0]\nz = y + 1\nprint(z)"
    agree_on_edits(tmp_path, [nest.format(1, depth), use], [nest.format(2, depth), use])


@pytest.mark.parametrize(
    ("definition", "edited"),
    [
        ("def helper(v): return v + 1", "def helper(v): return v + 2"),
        ("RATE = 2\ndef helper(v): return v * RATE", "RATE = 3\ndef helper(v): return v * RATE"),
        ("def low(): return 1\ndef helper(v): return low()", "def low(): return 5\ndef helper(v): return low()"),
        ("def helper(v, by=1): return v + by", "def helper(v, by=2): return v + by"),
        ("def helper(v, *, by=1): return v + by", "def helper(v, *, by=2): return v + by"),
        ("helper = {'f': lambda v: v + 1}['f']", "helper = {'f': lambda v: v + 2}['f']"),
        ("def make(n): return lambda v: n\nhelper = make(1)", "def make(n): return lambda v: n\nhelper = make(2)"),
        ("class K:\n    def m(s, v): return v\nhelper = K().m", "class K:\n    def m(s, v): return 0\nhelper = K().m"),
        ("class helper(int):\n    def __repr__(s): return '1'", "class helper(int):\n    def __repr__(s): return '2'"),
        (
            "def helper(v):\n    def f(): return 1\n    return f()",
            "def helper(v):\n    def f(): return 2\n    return f()",
        ),
        (
            "import functools\nhelper = functools.partial(max, 1)",
            "import functools\nhelper = functools.partial(max, 9)",
        ),
        ("def helper(v): return v", "def helper(v, w=[0]): w.append(v); return len(w)"),
    ],
)
def test_helpers_and_constants_are_part_of_the_key(tmp_path, definition, edited):
    agree_on_edits(tmp_path, [definition, "y = helper(3)\nprint(y)"], [edited, "y = helper(3)\nprint(y)"])


def test_a_name_that_now_hides_a_builtin_is_seen(tmp_path):
    agree_on_edits(tmp_path, ["x = 1", "y = len([1])"], ["def len(v): return 99", "y = len([1])"])


def test_a_name_that_was_missing_is_seen_when_it_is_there(tmp_path):
    use = [
        "try:\n    y = absent\nexcept NameError:\n    y = -1",
        "z = 'absent' in globals()",
        "w = globals().get('absent')",
    ]
    agree_on_edits(tmp_path, ["x = 1", *use], ["absent = 1", *use], ["absent = 2", *use])


HELPER = "import deeper\nBY = {}\ndef work(v):\n    return v + BY + deeper.more()\nclass Kind:\n    level = {}\n"
DEEPER = "def more():\n    return {}\n"


@pytest.mark.parametrize(
    "changed",
    [("helper.py", HELPER.format(7, 1)), ("helper.py", HELPER.format(1, 7)), ("deeper.py", DEEPER.format(7))],
    ids=["a constant", "a class", "what it imports"],
)
@pytest.mark.parametrize("reload", [False, True])
def test_edits_of_local_modules_are_seen(tmp_path, changed, reload):
    cells = [
        "import helper, deeper",
        "from helper import work",
        "y = work(1)",
        "z = helper.work(2)",
        "k = helper.Kind.level",
    ]
    files = [Put("helper.py", HELPER.format(1, 1)), Put("deeper.py", DEEPER.format(1))]
    again = (
        runs("import importlib\nimportlib.reload(deeper); importlib.reload(helper)", *cells) if reload else runs(*cells)
    )
    agree(
        tmp_path,
        files,
        runs(*cells),
        Put(*changed),
        again,
        Restart(killed=False),
        runs(*cells),
        Restart(),
        runs(*cells),
    )


def test_data_files_count_by_content(tmp_path):
    cells = ["x = pd.read_csv('data.csv')", "y = open('data.csv').read()", "z = os.path.getsize('data.csv')"]
    one, other = "a\n1\n", "a\n2\n"
    quietly = Put("data.csv", other, quietly=True)  # as large and as old as before
    agree(tmp_path, Put("data.csv", one), runs(*cells), quietly, runs(*cells), Restart(), runs(*cells))
    agree(tmp_path, Put("data.csv", one), runs(*cells), Restart(), quietly, runs(*cells))
    agree(
        tmp_path,
        Put("data.csv", one),
        runs(*cells),
        Remove("data.csv"),
        runs(*cells),
        Put("data.csv", one),
        runs(*cells),
    )


@pytest.mark.parametrize(
    "cell",
    [
        "y = os.path.exists('flag.txt')",
        "import glob\ny = glob.glob('*.txt')",
        "y = sorted(name for name in os.listdir() if name[:1] != '.')",
        "try:\n    y = open('flag.txt').read()\nexcept FileNotFoundError:\n    y = 'none'",
        "from pathlib import Path\ny = Path('flag.txt').is_file()",
        "from pathlib import Path\ny = [path.name for path in Path().glob('*.txt')]",
        "y = len(list(os.scandir('folder'))) if os.path.isdir('folder') else -1",
        "try:\n    y = os.stat('flag.txt').st_size\nexcept OSError:\n    y = -1",
    ],
)
def test_files_that_were_looked_for_and_not_there_are_seen_when_they_come(tmp_path, cell):
    come = [Put("flag.txt", "up"), Put("folder/one.txt", "1")]
    agree(tmp_path, runs(cell), come, runs(cell), Remove("flag.txt"), runs(cell))
    agree(
        tmp_path,
        runs(cell),
        Restart(killed=False),
        come,
        runs(cell),
        Restart(killed=False),
        Remove("flag.txt"),
        runs(cell),
    )


def test_a_link_that_points_elsewhere_is_another_file(tmp_path):
    link = "if os.path.lexists('link'): os.remove('link')\nos.symlink('{}.txt', 'link')"
    files = [Put("one.txt", "1"), Put("two.txt", "2")]
    read = "y = open('link').read()"
    agree_on_edits(tmp_path, [link.format("one"), read], [link.format("two"), read], files=files)


def test_environment_variables_and_working_folder_are_part_of_the_key(tmp_path):
    use = ["y = os.environ.get('MODE')", "z = os.getenv('MODE', 'none')", "w = open('data.txt').read()"]
    files = [Put("data.txt", "top"), Put("sub/data.txt", "below")]
    one, other = "os.environ['MODE'] = 'a'", "os.environ['MODE'] = 'b'"
    agree_on_edits(tmp_path, [one, *use], [other, *use], ["os.environ.pop('MODE', None)", *use], files=files)
    agree_on_edits(tmp_path, ["x = 1", *use], ["os.chdir('sub')", *use, "os.chdir('..')"], files=files)


def test_settings_of_packages_are_part_of_the_key(tmp_path):
    use = [
        "x = pd.DataFrame({'a': [1 / 3]})\nx",
        "np.array([1 / 3])",
        "print(np.array([2 / 3]))",
        "y = str(np.array([1 / 7]))",
    ]
    one = "pd.set_option('display.precision', 3)\nnp.set_printoptions(precision=3)"
    agree_on_edits(tmp_path, use, [one, *use], [one.replace("3", "5"), *use])


# What a hit must do


def test_a_value_that_was_handed_out_and_then_changed_is_fresh_the_next_time(tmp_path):
    cells = [
        "a = [1, 2]\nb = np.arange(3.)\nc = pd.DataFrame({'x': [1]})",
        "a.append(3); b[0] = 9; c.loc[0, 'x'] = 9",
        "a, b, c",
    ]
    agree_on_edits(tmp_path, cells, cells[:1], cells, [cells[0], cells[2]])


def test_what_is_changed_in_place_is_the_same_object_for_all_who_hold_it(tmp_path):
    cells = [
        "a = [1]",
        "b = a\nbag = {'a': a}",
        "a.append(2)",
        "b.append(3)",
        "print(a, b, bag, a is b, bag['a'] is a)",
    ]
    agree_on_edits(tmp_path, cells, [cells[0], *cells], cells[:3], cells)
    cells = ["a = np.arange(6.)", "v = a[1:]\nw = v.reshape(5, 1)", "v += 1", "a[2] = 50", "print(a, v, w)"]
    agree_on_edits(tmp_path, cells, [cells[0], *cells], cells[:3], cells)


def test_only_what_a_cell_makes_is_new_what_it_passes_on_is_the_living_object(tmp_path):
    agree_on_edits(
        tmp_path,
        ["a = [1]", "b = [a, [2]]", "c = b[0]", "c.append(5)\nprint(a)"],
        ["a = [1]", "b = [a, [2]]", "a.append(4)", "c = b[0]", "c.append(5)\nprint(a, b)"],
    )


@pytest.mark.parametrize(
    ("seeding", "draw"),
    [
        ("random.seed(1)", "random.random()"),
        ("np.random.seed(1)", "np.random.rand(2).tolist()"),
        ("np.random.seed(1)", "np.random.normal()"),
        ("rng = np.random.default_rng(1)", "rng.integers(1000)"),
        ("rng = np.random.RandomState(1)", "rng.randint(1000)"),
        ("dice = random.Random(1)", "dice.random()"),
        ("np.random.seed(1)\ntable = pd.DataFrame({'x': range(9)})", "table.sample(3)['x'].tolist()"),
    ],
)
def test_a_hit_advances_the_generator(tmp_path, seeding, draw):
    cells = [seeding, f"a = {draw}", f"b = {draw}"]
    agree_on_edits(tmp_path, cells, [*cells, f"c = {draw}\nprint(c)"], [seeding, f"b = {draw}", f"a = {draw}"])
    unseeded = [f"a = {draw}", f"b = {draw}"] if "=" not in seeding else cells
    agree(
        tmp_path, runs(*unseeded), Restart(1), runs(*unseeded), Restart(0), runs(*unseeded), Restart(1), runs(*unseeded)
    )


def test_torch_generators_are_advanced_by_a_hit(tmp_path):
    pytest.importorskip("torch")
    cells = ["import torch\ntorch.manual_seed(1)", "a = torch.rand(3)", "b = torch.rand(3)"]
    agree_on_edits(tmp_path, cells, [*cells, "c = float(torch.rand(1))"], [cells[0], cells[2]])


@pytest.mark.parametrize("change", [Remove("made.csv"), Put("made.csv", "by hand"), Reset()])
@pytest.mark.parametrize("restart", [[], [Restart(killed=False)]])
def test_files_that_a_cell_wrote_are_there_after_a_hit(tmp_path, change, restart):
    cells = [
        "x = pd.DataFrame({'a': [1, 2]})",
        "x.to_csv('made.csv')",
        "os.makedirs('deep/er', exist_ok=True)\nopen('deep/er/made.txt', 'w').write('text')",
        "np.save('made.npy', np.arange(3))",
        "y = open('made.csv').read()",
    ]
    agree(tmp_path, runs(*cells), restart, change, runs(*cells), change, runs(*cells), restart, runs(*cells))


def test_appending_appends_each_time(tmp_path):
    cells = ["open('log.txt', 'a').write('line\\n')", "y = open('log.txt').read()\nprint(y)"]
    agree(tmp_path, runs(*cells), runs(*cells), Restart(killed=False), runs(*cells), Reset(), runs(*cells))


def test_removing_and_renaming_happen_each_time(tmp_path):
    cells = [
        "open('a.txt', 'w').write('1')",
        "os.rename('a.txt', 'b.txt')",
        "y = os.path.exists('a.txt')",
        "os.remove('b.txt')",
    ]
    agree_on_edits(tmp_path, cells, [*cells, "open('b.txt', 'w').write('2')"])


def test_everything_shown_is_shown_again_in_its_order(tmp_path):
    cells = [
        "from IPython.display import display\nimport sys, warnings",
        "print('one'); display([1]); print('two', file=sys.stderr); print('three', end=''); display(2, 3); x = 4\nx",
        "x;",
        "None",
        "warnings.warn('careful')",
        "[_, __, len(Out)]",
        "Out[3] if 3 in Out else -1",
    ]
    agree_on_edits(tmp_path, cells, ["print('before')", *cells], cells)


def test_a_display_is_that_of_the_value_as_it_was_then(tmp_path):
    cells = ["a = [1]", "a", "a.append(2)", "a", "_ is a", "Out[3] is a"]
    agree_on_edits(tmp_path, cells, cells, ["a = [7]", *cells[1:]])


def test_underscore_is_a_variable_where_the_notebook_binds_it(tmp_path):
    cells = ["5", "for _ in range(3): pass", "_", "a, _ = 1, [2]", "6", "b = _", "del _", "7", "c = _"]
    agree_on_edits(tmp_path, cells, [*cells, "_"])


def test_a_failure_fails_again_and_keeps_what_it_did_before(tmp_path):
    cells = ["a = []", "a.append(1)\nprint('so far')\nraise ValueError('broken', 1)", "b = len(a)", "1 / 0", "def f(:"]
    agree_on_edits(tmp_path, cells, cells, [*cells, "b"])


# What does not go into a cache

COUNTER = """def count():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    return up
up = count()"""
REMEMBERING = """import functools
@functools.lru_cache
def f(v):
    print('computing')
    return [v]"""
LOSSY = """class L:
    def __init__(self): self.kept, self.lost = 1, [2]
    def __getstate__(self): return {'kept': 1}"""
HOSTILE = """class Hostile:
    def __bool__(self): raise TypeError
    def __eq__(self, o): raise TypeError
    __hash__ = None"""


@pytest.mark.parametrize(
    "cells",
    [
        [
            "class K:\n    n = 1\n    def look(self): return self.n",
            "k = K()",
            "k.n += 1",
            "print(k.look(), type(k) is K)",
        ],
        ["import enum\nclass C(enum.Enum):\n    R = 1", "c = C.R", "c is C.R"],
        [
            "from dataclasses import dataclass\n@dataclass\nclass D:\n    v: list",
            "d = D([1])",
            "isinstance(d, D), d == D([1])",
        ],
        ["import collections\nP = collections.namedtuple('P', 'x')", "p = P(1)", "type(p) is P"],
        ["class Base: pass", "class K(Base): pass\nk = K()", "isinstance(k, Base), K.__mro__[1] is Base"],
        ["g = (n * n for n in range(9))", "a = next(g)", "b = next(g)", "c = list(g)"],
        ["it = iter([1, 2, 3])", "a = next(it)", "b = list(it)"],
        [COUNTER, "a = up()", "b = up()"],
        ["file = open('data.txt')", "a = file.readline()", "b = file.read()", "file.close()"],
        ["file = open('made.txt', 'w')", "file.write('one')", "file.close()", "y = open('made.txt').read()"],
        [
            "done = []",
            "import threading\nt = threading.Thread(target=done.append, args=(1,))\nt.start()\nt.join()",
            "done",
        ],
        ["import threading\nlock = threading.Lock()", "lock.acquire()", "lock.locked()"],
        ["a = b = [1]", "del a", "'a' in globals()", "b"],
        ["from math import *", "y = floor(pi)"],
        ["from helper import *", "y = work(1)"],
        ["exec('made = 1')", "made + 1", "y = eval('made + 1')"],
        ["%%time\nx = sum(range(10))\nx", "x"],
        ["%time x = 5", "x"],
        ["%%capture caught\nprint('inside')\nx = 1", "caught.stdout", "x"],
        ["!echo hi > made.txt", "y = open('made.txt').read()"],
        ["y = !echo hi", "list(y)"],
        ["%env MODE=1", "os.environ['MODE']"],
        [REMEMBERING, "a = f(1)", "b = f(1)", "a is b"],
        ["a = {}\na['self'] = a", "b = a['self']", "b is a"],
        ["import weakref\nclass W: pass\nw = W()", "r = weakref.ref(w)", "r() is w", "del w", "r() is None"],
        [LOSSY, "o = L()", "o.lost"],
        ["class B(list):\n    def append(self, v): super().append(v * 2)", "b = B([1])", "b.append(2)", "b"],
        ["class Slow:\n    made = 0\n    def __init__(self): Slow.made += 1", "s = Slow()", "Slow.made"],
        [HOSTILE, "c = Hostile()", "d = [c]"],
        ["await __import__('asyncio').sleep(0, result=5)", "async def soon(): return 3", "x = await soon()", "x"],
        ["import sys\nsys.path.append('more')", "sys.path[-1]"],
        ["import types\nm = types.ModuleType('m')\nm.x = 1", "m.x += 1", "m.x"],
        ["class P(dict):\n    __getattr__ = dict.get", "p = P(a=[1])", "p.a.append(2)", "p"],
        ["m = memoryview(bytearray(b'abc'))", "m[0] = 65", "bytes(m)"],
        ["def f(v=[]):\n    v.append(1)\n    return v", "a = f()", "b = f()", "a is b, len(f.__defaults__[0])"],
        ["def f(): f.calls += 1; return f.calls\nf.calls = 0", "a = f()", "b = f()"],
    ],
    ids=lambda cells: cells[0][:24],
)
def test_whatever_is_in_a_cell_its_result_is_right_each_time(tmp_path, cells):
    files = [Put("data.txt", "one\ntwo\n"), Put("helper.py", HELPER.format(1, 1)), Put("deeper.py", DEEPER.format(1))]
    agree_on_edits(tmp_path, cells, cells, ["extra = 1", *cells], files=files)


def test_instances_follow_their_class_as_it_is_now(tmp_path):
    one = "class K:\n    level = 1\n    def __init__(self): self.v = [1]\n    def look(self): return 'old', self.level"
    other = one.replace("level = 1", "level = 2").replace("old", "new")
    use = ["k = K()\nmany = [k, K()]", "seen = k.look()\nprint(seen, type(k) is K, type(many[1]) is K)", "j = k"]
    agree_on_edits(tmp_path, [one, *use], [other, *use], [one, *use])
    agree(
        tmp_path,
        runs(one, *use),
        runs(other, *use[1:]),
        runs(use[0]),
        runs(*use),
        Restart(killed=False),
        runs(other, *use),
    )


@pytest.mark.parametrize(
    "expression",
    [
        "time.time_ns()",
        "time.perf_counter_ns()",
        "getattr(time, 'time_' + 'ns')()",
        "datetime.datetime.now().isoformat()",
        "pd.Timestamp.now().value",
        "uuid.uuid4().hex",
        "uuid.uuid1().hex",
        "os.urandom(8)",
        "secrets.token_hex(8)",
        "np.random.default_rng().random()",
        "np.random.RandomState().rand()",
        "random.Random().random()",
        "random.SystemRandom().random()",
        "ticking()",
        "helper.tick()",
        "open('/proc/uptime').read() + str(time.time_ns())",
        "subprocess.run('date +%s%N', shell=True, capture_output=True).stdout",
        "os.popen('date +%s%N').read()",
        "eval('time.time_ns()')",
        "Tick().value",
    ],
)
def test_clocks_and_entropy_are_asked_each_time(tmp_path, expression):
    setting = (
        "import datetime, secrets, subprocess, time, uuid, helper\ndef ticking(): return time.time_ns()\n"
        "class Tick:\n    def __init__(self): self.value = time.time_ns()"
    )
    cells = runs(setting, f"fresh_value = {expression}")
    files = [Put("helper.py", "import time\n\ndef tick():\n    return time.time_ns()\n")]
    agree(tmp_path, files, cells, cells, Restart(killed=False), cells, Restart(killed=False), cells)


def test_secrets_are_not_kept(tmp_path):
    cells = [
        "import hashlib\napi_token = hashlib.sha256(b'x').hexdigest()",
        "password = api_token[:20]",
        "n = len(password)",
    ]
    agree_on_edits(tmp_path, cells, cells)
    secret = b"2d711642b726b04401627ca9fbac32f5"  # the beginning of that digest
    with Tracked(tmp_path / "project") as world:
        world.replay([*runs(*cells), Restart(killed=False), *runs(*cells)])
    for path in (tmp_path / "project" / ".mlmagic").rglob("*"):
        assert not path.is_file() or secret[:20] not in path.read_bytes(), path


# What happens to the cache


NOTEBOOK = [
    "np.random.seed(1)",
    "a = np.random.rand(50)\nb = [a, {'k': a[1:]}]",
    "table = pd.DataFrame({'x': a, 'y': ['text'] * 50})\nprint(table.shape)\ntable.head(2)",
    "table.to_csv('made.csv')",
    "total = float(table['x'].sum())\ntotal",
]


@pytest.mark.parametrize("damage", ["cut in half", "emptied", "other bytes", "removed"])
def test_a_damaged_entry_is_a_miss(tmp_path, damage):
    folder = tmp_path / "project"
    cells = runs(*NOTEBOOK)
    with World(folder) as world:
        expected = world.replay([*cells, Restart(), *cells])
    with Tracked(folder) as world:
        world.replay([*cells, Restart(killed=False), *cells])
        kept = sorted(path for path in (folder / ".mlmagic" / "artifacts").rglob("*") if path.is_file())
        for path in [*kept, *kept[:1]]:
            spoil(path, damage)
            world.do(Restart(killed=False))
            for action, plain in zip(cells, expected[len(cells) + 1 :], strict=False):
                lie = difference(plain, world.do(action))
                assert lie is None, f"{path.relative_to(folder)} {damage}, then {action}\n{lie}"


def spoil(path: Path, damage: str) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    if damage == "removed":
        path.unlink()
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "cut in half":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        path.write_bytes(
            content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 8]) + content[middle + 8 :]
        )


def test_a_cache_without_its_folder_is_empty(tmp_path):
    folder = tmp_path / "project"
    cells = runs(*NOTEBOOK)
    with World(folder) as world:
        expected = world.replay([*cells, Restart(), *cells])
    with Tracked(folder) as world:
        for action in (*cells, Restart(killed=False)):
            world.do(action)
        shutil.rmtree(folder / ".mlmagic" / "artifacts", ignore_errors=True)
        for action, plain in zip(cells, expected[len(cells) + 1 :], strict=False):
            lie = difference(plain, world.do(action))
            assert lie is None, lie


@pytest.mark.slow
def test_the_order_of_sets_is_that_of_this_process(tmp_path):
    cells = [
        "words = {'alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta'}",
        "order = list(words)",
        "position = {word: n for n, word in enumerate(words)}",
        "hashed = hash('alpha')",
        "bag = [words, order]",
        "print(order == list(words), list(position) == list(words), hashed == hash('alpha'), bag[1] is order)",
        "print(order, hashed)",
    ]
    seen = []
    for seed, reuse in (("1", "on"), ("2", "on"), ("2", "off"), ("1", "on"), ("0", "on")):
        folder = tmp_path / reuse
        folder.mkdir(exist_ok=True)
        env = {"PYTHONHASHSEED": seed, "MLMAGIC_REUSE": reuse, "MLMAGIC_REUSE_MIN_SECONDS": "0"}
        with Kernel(folder, env=env) as kernel:
            *_, checked, shown = [kernel.good(cell).printed for cell in cells]
        assert checked == "True True True True\n", f"hash seed {seed}, reuse {reuse}"
        seen.append(shown)
    first, second, without, back, _ = seen
    assert second == without
    assert first == back


@pytest.mark.slow
def test_a_kernel_that_is_killed_leaves_a_cache_that_tells_the_truth(tmp_path):
    env = {"MLMAGIC_REUSE": "on", "MLMAGIC_REUSE_MIN_SECONDS": "0"}
    cells = [IMPORTS, *NOTEBOOK]
    printed = []
    for _ in range(3):
        with Kernel(tmp_path, env=env) as kernel:
            printed.append([(reply.printed, reply.text) for reply in map(kernel.good, cells)])
            kernel.send("import os\nbig = np.random.rand(3_000_000)\nos.kill(os.getpid(), 9)")
            kernel.kill()
    assert printed[0] == printed[1] == printed[2]


@pytest.mark.slow
def test_two_kernels_at_once_do_not_disturb_each_other(tmp_path):
    env = {"MLMAGIC_REUSE": "on", "MLMAGIC_REUSE_MIN_SECONDS": "0"}
    with Kernel(tmp_path, env=env) as one, Kernel(tmp_path, env=env) as other:
        for cell in (IMPORTS, *NOTEBOOK, "a[0] = 5\ntable.loc[0, 'x'] = 7", "print(a[0], total, table['x'].sum())"):
            replies = [
                kernel.wait(message) for kernel, message in [(kernel, kernel.send(cell)) for kernel in (one, other)]
            ]
            assert replies[0].printed == replies[1].printed
            assert replies[0].text == replies[1].text
            assert [reply.status for reply in replies] == ["ok", "ok"]


# And it is a cache


@pytest.mark.parametrize(
    "cell",
    [
        "y = sum(range(1000))",
        "y = np.arange(10) * 2\ny",
        "y = pd.DataFrame({'a': [1, 2]}).describe()\ny",
        "np.random.seed(3)\ny = np.random.rand(3)",
        "y = pd.read_csv('data.csv')",
        "y = open('data.csv').read()\nprint(y)",
        "pd.DataFrame({'a': [1]}).to_csv('made.csv')",
        "y = [[1], {'k': (1, 2)}]\nz = y[0]",
        "y = f(3)",
        "y = helper.work(2)",
    ],
)
def test_what_may_be_reused_is(tmp_path, cell):
    setting = ["import helper", "def f(v): return [v] * 2"]
    files = [Put("data.csv", "a\n1\n"), Put("helper.py", HELPER.format(1, 1)), Put("deeper.py", DEEPER.format(1))]
    assert reused(tmp_path, [*files, *runs(*setting, cell), Restart(killed=False), *runs(*setting, cell)])


def test_torch_tensors_hit(tmp_path):
    pytest.importorskip("torch")
    cells = ["import torch", "x = torch.arange(4.)", "y = x * 2\nw = x[1:]", "z = float(y.sum())"]
    agree_on_edits(tmp_path, cells, cells)
    assert reused(tmp_path, [*runs(*cells), Restart(killed=False), *runs(*cells)])


def test_another_layout_of_the_same_code_hits(tmp_path):
    other = "# a remark\n\ny  =  sum(range(1000))  # and another"
    assert reused(tmp_path, [Run("y = sum(range(1000))"), Restart(killed=False), Run(other)])


def reused(folder: Path, story: Sequence[Action]) -> bool:
    """Whether the last cell of the story was, and the story is true."""
    assert first_lie(story, folder / "project") is None
    with Tracked(folder / "project") as world:
        seen = [world.do(action) for action in story]
    return seen[-1].status == "reused"


@pytest.mark.parametrize(
    "cells",
    [
        ["d = [1]", "f = np.array([d, None], dtype=object)", "f[::2]\nd.append(2)", "f[0] is d"],
        ["k = np.arange(6.)\nv = k[2:]", "v[0] = 99; print(k)", "k[3] = 7", "print(v)"],
        ["raw = [[1], [2]]\nrows = raw", "rows.append([3])\nrows = [len(rows)]", "len(raw)", "print(raw, rows)"],
        ["a = [[1]]\nb = [a[0], a]", "a[0].append(2)", "b[0] is a[0], b[1] is a, b"],
        ["one, other = [1], [2]", "(one)", "one, other = other, one", "other.append(3)", "print(one, other)"],
    ],
)
def test_keeping_and_restoring_leave_the_others_who_hold_a_part_with_it(tmp_path, cells):
    agree_on_edits(tmp_path, cells, cells, ["extra = 1", *cells])
