"""Which earlier variables a cell could load: cell text -> names, builtins left out."""

from __future__ import annotations

import builtins
import sys
import textwrap

import pytest

from mlmagic.analysis import analyse, definitions

BUILTINS = frozenset(vars(builtins))


def loaded(text):
    facts = analyse(textwrap.dedent(text))
    assert facts.error is None, facts.error
    return facts.loads.keys() - BUILTINS


STRAIGHT = [
    ("y = x", "x"),
    ("x = 1; print(x)", ""),
    ("x = x", "x"),
    ("x, y = y, x", "x y"),
    ("x += 1", "x"),
    ("x = 1; x += y", "y"),
    ("x.a = 1", "x"),
    ("x[i] = v", "i v x"),
    ("x[i] += v", "i v x"),
    ("x.a: int = v", "v x"),
    ("del x", ""),
    ("del x[0]", "x"),
    ("del x.a", "x"),
    ("del x; print(x)", ""),
    ("del x; x = 1; print(x)", ""),
    ("if c: del x\nprint(x)", "c x"),
    ("a = b = c", "c"),
    ("(a, *b), c.d = e", "c e"),
    ("import numpy as np\nnp.zeros(n)", "n"),
    ("import os.path\nos.getcwd()", ""),
    ("from m import f\nf(x)", "x"),
    ("from m import *\nf(x)", "f x"),
    ("x: T", "T"),
    ("x: T = y", "T y"),
    ("x: int\nprint(x)", "x"),
    ("f'{a:{w}} {b!r}'", "a b w"),
    ("f(*a, k=b, **c)", "a b c f"),
    ("x[a:b:c]", "a b c x"),
    ("global x; x = 1; x", ""),
    ("'x'", ""),
    (" + ".join(f"x{i}" for i in range(400)), " ".join(f"x{i}" for i in range(400))),
]

EXPRESSIONS = [
    ("(y := x); y", "x"),
    ("a and (y := 1); y", "a y"),
    ("(y := a) and y", "a"),
    ("(y := 1) if c else 0; y", "c y"),
    ("a < (y := b) < (z := c); y; z", "a b c z"),
    ("{1: a, (a := 2): 3}", "a"),
    ("{(a := 1): a}", ""),
    ("[i for i in xs]", "xs"),
    ("[i for i in i]", "i"),
    ("[i + k for i in xs]; i", "i k xs"),
    ("[j for i in xs for j in i if j > k]", "k xs"),
    ("[y for x in xs if (y := f(x))]", "f xs"),
    ("[(y := x) for x in xs]; y", "xs y"),
    ("{k: v for k, v in d.items()}", "d"),
    ("sum(x * w for x in xs)", "w xs"),
    ("[[j for j in i] for i in m]", "m"),
    ("[a for x.y in b]", "a b x"),
    ("g(lambda r: r + k)", "g k"),
    ("g(lambda r=d: r)", "d g"),
    ("g(lambda: k); k = 1", "g k"),
    ("k = 1; g(lambda: k)", "g"),
    ("d = {'f': lambda: k}", "k"),
    ("o.f = lambda: k", "k o"),
    ("[lambda: i for i in xs]", "xs"),
    ("assert (y := x); y", "x y"),
    ("await f(x)", "f x"),
    ("[x async for x in xs]", "xs"),
]

BRANCHES = [
    ("if c: x = 1\nprint(x)", "c x"),
    ("if c: x = 1\nelse: x = 2\nprint(x)", "c"),
    ("if c: x = 1\nelif d: x = 2\nprint(x)", "c d x"),
    ("if c: x = 1\nelse: raise E\nprint(x)", "E c"),
    ("if c:\n    x = 1\nelse:\n    import sys; sys.exit()\nx", "c"),
    ("if (n := f()) > 1: print(n)", "f"),
    ("match p:\n    case 1: x = 1\n    case _: x = 2\nx", "p"),
    ("match p:\n    case 1: x = 1\nx", "p x"),
    ("match p:\n    case [a, *b]: a, b\n    case {'k': c, **d}: c, d\n    case C(e, f=g) as h: e, g, h", "C p"),
    ("match p:\n    case K.v: pass\n    case x if x > t: x\n    case y: y", "K p t"),
    ("match p:\n    case 1 | 2 as x: pass\n    case x: pass\nx", "p"),
    ("match p:\n    case x if x > t: pass\nx", "p t x"),
]

LOOPS = [
    ("for i in xs: print(i)", "xs"),
    ("for i in xs: pass\nprint(i)", "i xs"),
    ("for i in [1, 2]: y = i\nprint(i, y)", ""),
    ("for i in (): y = i\ny", "y"),
    ("for i in 'ab': y = i\ny", ""),
    ("for i in range(3): y = i\ny", ""),
    ("for i in range(0): y = i\ny", "y"),
    ("for i in range(n): y = i\ny", "n y"),
    ("for i in [*xs]: y = i\ny", "xs y"),
    ("for i in [1, 2]:\n    if c: continue\n    y = 1\ny", "c y"),
    ("for i in [1, 2]:\n    if c: break\n    y = 1\ny", "c y"),
    ("for i in [1, 2]:\n    y = 1\n    if c: break\ny", "c"),
    ("for i in xs:\n    y = 1\n    if c: break\nelse:\n    y = 2\ny", "c xs"),
    ("for i in xs:\n    y = y0 if i == 0 else y", "xs y y0"),
    ("for x.a in xs: pass", "x xs"),
    ("while c: y = 1\ny", "c y"),
    ("while (l := f()): print(l)\nl", "f"),
    ("while True:\n    y = f()\n    if y: break\ny", "f"),
    ("while True:\n    if f(): break\n    y = 1\ny", "f y"),
    ("while 1:\n    y = 1\n    break\ny", ""),
    ("total = 0\nfor v in values: total += v\ntotal", "values"),
    ("async for i in xs: i", "xs"),
]

EXCEPTIONS = [
    ("try: x = f()\nexcept E: x = 0\nx", "E f"),
    ("try: x = f()\nexcept E: pass\nx", "E f x"),
    ("try: x = f()\nexcept E: raise\nx", "E f"),
    ("try:\n    x = 1; y = f()\nexcept E: print(x)", "E f x"),
    ("try: f()\nexcept E as e: print(e)", "E f"),
    ("try: f()\nexcept E as e: pass\nprint(e)", "E e f"),
    ("try: x = f()\nexcept E: raise\nelse: y = x\ny", "E f"),
    ("try: x = f()\nfinally: g(x)", "f g x"),
    ("try: f()\nfinally: x = 1\nx", "f"),
    ("try: x = f()\nfinally: g()\nx", "f g"),
    ("try: f()\nexcept* E as g: print(g)", "E f"),
    ("with f() as h: x = h\nx", "f x"),
    ("with f() as h: pass\nh", "f"),
    ("with f() as (a, b): pass\na", "a f"),
    ("with open(p) as h: x = h.read()\nx, h", "p"),
    ("with z.open(p) as h: x = h.read()\nx", "p z"),
    ("with torch.no_grad(): x = m(d)\nx", "d m torch"),
    ("with warnings.catch_warnings(): x = 1\nx", "warnings"),
    ("with plt.style.context('a'): x = 1\nx", "plt"),
    ("with contextlib.suppress(E): x = 1\nx", "E contextlib x"),
    ("with lock: x = 1\nx", "lock x"),
    ("with suppress(E), open(p) as h: x = 1\nh", "E h p suppress"),
    ("with open(p) as h, suppress(E): x = 1\nh", "E p suppress"),
    ("async with f() as h: h", "f"),
]

FUNCTIONS = [
    ("def f(): return g", ""),
    ("def f(): return g\nf()", "g"),
    ("def f(): return g\nf", "g"),
    ("def f(): return g\ng = 1\nf()", ""),
    ("def f(): return g\nif c: g = 1\nf()", "c g"),
    ("def f(): return g()\ndef g(): return h\nf()", "h"),
    ("def f(): return g()\nf()\ndef g(): return h", "g h"),
    ("def f(): return f()\nf()", ""),
    ("f = lambda: g", ""),
    ("f = lambda: g\nf()", "g"),
    ("f: T = lambda: g", "T"),
    ("a = b = lambda: g\nb()", "g"),
    ("a, b = lambda: g, 1", "g"),
    ("if c:\n    def f(): return g\nelse:\n    f = other\nf()", "c g other"),
    ("def f(): return a\ndef f(): return b\nf()", "a b"),  # both count: which one is called is not followed
    ("def f(a, b=d, *c, e=g, **h): return a, b, c, e, h", "d g"),
    ("@deco\ndef f(): return g", "deco g"),
    ("@deco(x)\ndef f(): return g", "deco g x"),
    ("@functools.lru_cache\ndef f(): return g", "functools"),
    ("def f():\n    x = 1\n    return x, y\nf()", "y"),
    ("def f():\n    print(x)\n    x = 1\nf()", ""),  # local all through: UnboundLocalError, not a load
    ("def f():\n    global x\n    x += 1\nf()", "x"),
    ("def f():\n    global x\n    x = 1\n    return x\nf()", ""),
    ("def f():\n    def g(): return x, y\n    x = 1\n    return g\nf()", "y"),
    ("def f():\n    x = 1\n    def g():\n        nonlocal x\n        x += y\nf()", "y"),
    ("def f():\n    x = 1\n    def g():\n        global x\n        return x\nf()", "x"),
    ("def f(xs):\n    [(y := x) for x in xs]\n    return y\nf(1)", ""),
    ("def f():\n    import a.b\n    from c import d\n    return a, d\nf()", ""),
    ("def f():\n    for i in x: pass\n    with y as z: pass\n    return i, z\nf()", "x y"),
    ("def f():\n    try: pass\n    except E as e: e\nf()", "E"),
    ("def f():\n    match v:\n        case [a, *b]: a, b\n        case {'k': c, **d}: c, d\nf()", "v"),
    ("def f(): del x\nf()", ""),
    ("async def f(): return await g(x)\nawait f()", "g x"),
    ("def f(): yield x\nf()", "x"),
    ("def f(n): return lambda: n + m\nf(1)", "m"),
    ("from __future__ import annotations\ndef f(x: T): pass", ""),
]

CLASSES = [
    ("class A: x = y", "y"),
    ("class A:\n    x = 1\n    z = x", ""),
    ("class A:\n    if c: x = 1\n    z = x", "c x"),
    ("class A:\n    x = x", "x"),
    ("class A:\n    x = 1\nprint(x)", "x"),
    ("x = 1\nclass A: y = x", ""),
    ("class A(B, metaclass=M): pass", "B M"),
    ("class A:\n    def m(self): return g", ""),
    ("class A:\n    def m(self): return g\nA().m()", "g"),
    ("class A:\n    def m(self, d=e): return g", "e"),
    ("class A:\n    def m(self): return g\n    n = m(1)", "g"),
    ("class A:\n    k = 1\n    def m(self): return k\nA()", "k"),
    ("class A:\n    k = 1\n    z = [k for _ in range(2)]", "k"),
    ("class A:\n    k = [1]\n    z = [i for i in k]", ""),
    ("@deco\nclass A:\n    def m(self): return g", "deco g"),
    ("@dataclass\nclass A:\n    x: T = 1\n    def m(self): return g", "T dataclass"),
    ("class A(Enum):\n    def __init__(self): self.x = g", "Enum g"),
    ("class A(nn.Module):\n    def forward(self, x): return g(x)", "nn"),
    ("class A(B):\n    def m(self): return A, g", "B g"),
    ("class A:\n    @property\n    def p(self): return g", ""),
    ("class A:\n    @p.setter\n    def p(self): return g", "p"),
    ("class A:\n    class B:\n        def m(self): return g\nA", "g"),
    ("class A:\n    global x\n    x = 1\nx", ""),
    ("class A:\n    x = 1\n    del x\n    y = x", "x"),
    ("class A:\n    def m(self): return __x\nA()", "_A__x"),
    ("class _A:\n    y = __x", "_A__x"),
    ("class A:\n    y = __x__", "__x__"),
    ("def f():\n    x = 1\n    class A:\n        y = x\n        def m(self): return x, y\nf()", "y"),
    ("def f(x):\n    class A:\n        x = x\nf(1)", "x"),  # not the parameter: a class body asks for the global
]

STRINGS = [
    ("df.query('a > @limit')", "df limit"),
    ("limit = 1; df.query('a > @limit')", "df"),
    ("df.query(f'a > @limit and b == {c}')", "c df limit"),
    ("df.eval('a + @k')", "df k"),
    ("df.query(text)", "df text"),
    ("df[df.query('@a')].eval(expr='@b')", "a b df"),
    ("def f(limit): return d.query('a > @limit + @k')\nf(1)", "d k"),
    ("def f(limit): return d.pipe(lambda t: t.query('a > @limit'))\nf(1)", "d limit"),
    ("[df.query('a > @i') for i in xs]", "df xs"),
    ("pd.eval('a + b')", "a b pd"),
    ("ols('y ~ C(x) + w', data=df)", "C df ols w x y"),
    ("exec('y = x')\ny", "x"),
    ("eval('x + 1')", "x"),
    ("eval(' x')", "x"),
]

MAGICS = [
    ("get_ipython().run_line_magic('time', 'y = f(x)')\ny", "f x"),
    ("get_ipython().run_line_magic('time', '--no-raise-error y = f(x)')\ny", "f x y"),
    ("get_ipython().run_line_magic('time', '-x')", "x"),
    ("get_ipython().run_cell_magic('time', '', 'y = x\\ny')", "x"),
    ("get_ipython().run_line_magic('timeit', '-n 10 -r3 y = x')\ny", "x y"),
    ("get_ipython().run_cell_magic('timeit', '-n 10 a = b', 'c = a + d')", "b d"),
    ("get_ipython().run_line_magic('prun', '-s cumulative -l 10 f(x)')", "f x"),
    ("get_ipython().run_line_magic('memit', 'f(x)')", "f x"),
    ("get_ipython().run_cell_magic('prun', '-q', 'f(x)')", "f x"),
    ("get_ipython().run_cell_magic('capture', 'out --no-stderr', 'y = x')\nout", "x"),
    ("get_ipython().run_cell_magic('capture', '', 'y = x')\ny", "x y"),
    ("get_ipython().run_cell_magic('assertion', 'r --on model', 'def r(i, o):\\n    return i > limit')\nr", "limit"),
    ("get_ipython().run_cell_magic('assertion', 'r', 'k = 2\\ndef r(i, o):\\n    return k + f(i)')", "f"),
    ("get_ipython().run_line_magic('assertions', 'run model X[:n]')", "run model X n"),
    ("get_ipython().run_line_magic('evaluate', 'model X y --by sex')", "model X y by sex"),
    ("get_ipython().run_line_magic('matplotlib', 'inline')", ""),
    ("get_ipython().run_line_magic('cd', '{folder}/$name')", "folder name"),
    ("get_ipython().run_line_magic('pip', 'install \"a>={v:.1f}\"')", "f v"),  # a format looks like a name
    ("get_ipython().run_line_magic('pinfo', 'model.fit')", "model"),
    ("get_ipython().run_cell_magic('bash', '--out o', 'echo {x} $y')\no", ""),
    ("get_ipython().run_cell_magic('writefile', '{p}.py', 'import x')", "p"),
    ("get_ipython().system('ls {a.b} $c')", "a c"),
    ("get_ipython().system(\"awk '{print $1}'\")", ""),
    ("files = get_ipython().getoutput('ls $d')\nfiles", "d"),
    ("get_ipython().system(cmd)", "cmd"),
]


@pytest.mark.parametrize(
    ("text", "names"),
    STRAIGHT + EXPRESSIONS + BRANCHES + LOOPS + EXCEPTIONS + FUNCTIONS + CLASSES + STRINGS + MAGICS,
)
def test_a_cell_loads(text, names):
    assert loaded(text) == set(names.split()) - BUILTINS


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="annotations are lazy")
def test_annotations_of_functions_are_loaded_when_they_are_defined():
    assert loaded("def f(x: T, *a: U) -> V: pass") == {"T", "U", "V"}


@pytest.mark.parametrize(
    ("text", "names"), [("def f(x: T): pass", ""), ("def f(x: T): pass\nf", "T"), ("x: T = 1", "")]
)
def test_lazy_annotations_are_loaded_where_the_function_is(text, names, monkeypatch):
    monkeypatch.setattr(definitions, "LAZY_ANNOTATIONS", True)
    assert loaded(text) == set(names.split())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of Python 3.12")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f[T](x: T, y: U): return T, g\nf", "U g"),
        ("def f[T: B](x: T): pass\nf", "B"),
        ("class A[T](Base[T]):\n    x = T\n    def m(self): return T, g\nA", "Base g"),
        ("type X[T] = list[T] | Y", ""),
        ("type X = Y\nX", "Y"),
    ],
)
def test_type_parameters_are_names_of_their_own(text, names):
    assert loaded(text) == set(names.split())


@pytest.mark.parametrize(
    ("text", "name", "bound"),
    [
        ("f()", "f", ""),
        ("x = 1\ny = 2\nf()", "f", "x y"),
        ("f()\nx = 1\nf()", "f", ""),
        ("if c: x = 1\nelse:\n    x = y = 2\nf()", "f", "x"),
        ("x = 1\ndel x\nf()", "f", "x"),  # what x was before is gone either way
        ("def g(): return h()\nx = 1\ng()", "h", "g x"),
        ("def g(): return h()\nx = 1\ng()\ny = 2\nh()", "h", "g x"),
        ("class A:\n    u = 1\n    v = f", "f", ""),
        ("x = 1\ndef g(): return h\ny = 2\ng()\ndef k(): return g()\nz = 3\nk()", "h", "g x y"),
    ],
)
def test_a_load_comes_with_the_names_surely_bound_before_it(text, name, bound):
    assert analyse(text).loads[name] == set(bound.split())


def test_code_inside_a_magic_is_transformed_like_the_cell():
    facts = analyse("get_ipython().run_cell_magic('time', '', '!ls\\ny = x')", lambda text: text.replace("!ls", "f()"))
    assert facts.loads.keys() == {"f", "x"}
    assert facts.binds == {"y"}


def test_code_nested_beyond_the_stack_may_do_anything():
    text = "x" + "".join(f".m{i}(y)" for i in range(800))
    facts = analyse(text)
    assert facts.dynamic
    assert facts.loads.keys() == {"x", "y"}
