# ruff: noqa: E501 - a row of a table stays on one line
"""Who shares with whom: wherever a change through one thing shows in another, their footprints meet."""

from __future__ import annotations

import pytest

from tests.unit.fingerprint.cells import Notebook, cases

SHARING = r"""
x = [1]; y = x | y.append(2)
l = [1]; x = (l,); y = {'a': l} | l.append(2)
l = [1]; x = [l] * 50; y = l | y.append(2)
l = [[i] for i in range(50)]; x = l; y = l[7] | y.append(2)
d = {'a': 1}; x = d; y = d.values() | d['a'] = 2
d = {'a': 1}; x = d.items(); y = d.values() | d['a'] = 2
import types; d = {'a': 1}; x = types.MappingProxyType(d); y = d | y['a'] = 2
l = [1]; x = l; y = l.append | y(2)
l = [1]; x = iter(l); y = l | y.append(2)
l = [[1]]; x = zip(l, l); y = l | y[0].append(2)
d = {1: [2]}; x = iter(d.values()); y = d | y[1].append(1)
b = bytearray(4); x = b; y = memoryview(b)[1:] | y[0] = 1
b = bytearray(4); x = memoryview(b); y = memoryview(b)[1:] | y[0] = 1
b = bytearray(8); x = b; y = np.frombuffer(b, 'u1') | y[0] = 1
b = bytearray(8); x = np.frombuffer(b, 'u1'); y = memoryview(b)[:2] | y[0] = 1
import array; b = array.array('i', [1, 2]); x = b; y = np.frombuffer(b, 'i4') | y[0] = 5
class C: pass\nl = [1]; x = C(); x.l = l; y = C(); y.l = l | y.l.append(2)
class C: pass\nx = C(); y = x.__dict__ | y['a'] = 1
class C: pass\nx = C(); x.a = 1; y = vars(x) | y['a'] = 2
class C: pass\nx = C(); y = C | y.a = 1
class B: pass\nclass C(B): pass\nx = C(); y = B | y.a = 1
class C:\n  def inc(self): self.n = getattr(self, 'n', 0) + 1\nx = C(); y = x.inc | y()
class C: l = []\nx = C(); y = C.l | y.append(1)
import types; x = types.SimpleNamespace(a=1); y = x.__dict__ | y['a'] = 2
def make():\n  n = 0\n  def inc():\n    nonlocal n; n += 1\n  return inc, lambda: n\ny, x = make() | y()
def f(l=[]): l.append(1)\nx = f; y = f.__defaults__[0] | y.append(2)
def f(): pass\nx = f; y = f.__dict__ | y['a'] = 2
import functools; l = []; x = functools.partial(print, l); y = l | y.append(1)
import functools; l = []; x = functools.partial(print, k=l); y = x.keywords | y['j'] = 1
import enum\nclass E(enum.Enum):\n  A = []\nx = E.A; y = E.A.value | y.append(1)
x = np.arange(6); y = x[2:] | y[0] = 9
x = np.arange(6); y = x.reshape(2, 3).T | y[0, 0] = 9
x = np.arange(6)[::-1]; y = x.base | y[0] = 9
x = np.arange(6).astype(object); y = x[2:] | y[0] = 9
x = np.zeros(3, 'i4,f8'); y = x['f1'] | y[0] = 9
x = np.zeros(3, 'i4,f8'); y = x[1] | y['f0'] = 9
x = np.ma.array([1, 2], mask=[0, 1]); y = x.data | y[0] = 9
x = np.ma.array([1, 2], mask=[0, 1]); y = x._mask | y[0] = 1
x = np.memmap('file', 'i4', 'w+', shape=4); y = np.memmap('file', 'i4', 'r+', shape=4) | y[0] = 7
x = np.random.default_rng(1); y = x.bit_generator | y.random_raw()
x = np.random.default_rng(1); y = x.normal | y()
x = np.random.RandomState(1); y = x._bit_generator | y.random_raw()
a = np.zeros((3, 2)); x = pd.DataFrame(a, copy=False); y = a | y[0, 0] = 1
a = np.zeros(3); x = pd.Series(a, copy=False); y = a | y[0] = 1
a = np.zeros(3); x = pd.DataFrame({'a': a}, copy=False); y = a | y[0] = 1
x = pd.DataFrame({'a': [1]}); y = x.index | y.name = 'n'
x = pd.DataFrame({'a': [1]}); y = x.columns | y.name = 'n'
x = pd.DataFrame({'a': [1]}); y = x.attrs | y['a'] = 1
x = pd.DataFrame({'a': [1]}); y = x.flags | y.allows_duplicate_labels = False
x = pd.DataFrame({'a': [1]}); i = x.index; y = pd.Series([5], index=i); y.index = i | y.index.name = 'n'
x = pd.Series([1, None], dtype='Int64'); y = x.array._data | y.flags.writeable = True; y[0] = 7
x = pd.Series(['a', 'b'], dtype=object); y = x._values | y.flags.writeable = True; y[0] = 'z'
x = pd.array(['a', 'b'], dtype='string[python]'); y = x._ndarray | y[0] = 'z'
x = pd.array([1, None], dtype='Int64'); y = x._mask | y[0] = True
x = pd.arrays.SparseArray([0, 0, 1]); y = x.sp_values | y[0] = 2
x = pd.DataFrame({'a': [[1]]}); y = x['a'][0] | y.append(2)
x = pd.DataFrame({'a': [1, 1], 'b': [1, 2]}); y = x.groupby('a') | x.iloc[0, 0] = 5
a = np.arange(4); x = pa.array(a); y = a | y[0] = 9
a = np.arange(4); x = pa.table({'a': a}); y = a | y[0] = 9
a = np.arange(4.0); x = torch.from_numpy(a); y = a | y[0] = 9
x = torch.zeros(4); y = x.view(2, 2).t() | y[0, 0] = 1
x = torch.zeros(4, requires_grad=True); y = x.detach() | y[0] = 1
x = torch.zeros(4); y = x.numpy() | y[0] = 1
x = torch.zeros(4, requires_grad=True); y = (x * 2).sum() | y.backward()
n = torch.nn.Linear(1, 1); x = n; y = n(torch.ones(1, 1)).sum() | y.backward()
n = torch.nn.Linear(1, 1); x = n; y = torch.optim.SGD(n.parameters(), lr=1); n(torch.ones(1, 1)).sum().backward() | y.step()
n = torch.nn.Linear(1, 1); x = n; y = n.state_dict() | y['weight'].fill_(5)
n = torch.nn.Linear(1, 1); x = n; y = list(n.parameters()) | y[0].data += 1
o = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=1); x = o; y = torch.optim.lr_scheduler.StepLR(o, 1); o.step() | y.step()
from sklearn.pipeline import make_pipeline; from sklearn.preprocessing import StandardScaler; y = StandardScaler(); x = make_pipeline(y) | y.fit([[1]])
from sklearn.preprocessing import StandardScaler; x = StandardScaler().fit([[1.0]]); y = x.mean_ | y[0] = 7
"""

OPAQUE_SHARING = r"""
l = [1]; x = l; y = (lambda l: (l.append(i) for i in [2]))(l) | next(y)
l = [1]; x = l; y = map(l.append, (i for i in [2])) | next(y)
l = [1]; x = l\ndef f(l):\n  while True: l.append(1); yield\ny = f(l) | next(y)
import mmap; y = mmap.mmap(-1, 8); x = np.frombuffer(y, 'u1') | y[0] = 1
import ctypes; y = (ctypes.c_int * 3)(); x = np.ctypeslib.as_array(y) | y[0] = 1
import threading\nclass C:\n  def __init__(self): self.lock = threading.Lock(); self.l = []\ny = C(); x = y.l | y.l.append(1)
import queue; l = [1]; x = l; y = queue.Queue(); y.put(l) | y.get().append(2)
import io; b = bytearray(3); x = b; y = [io.StringIO(), b] | y[1][0] = 1
"""


@pytest.mark.parametrize(("setup", "change"), cases(SHARING))
def test_sharing_is_known_before_a_change_shows(setup: str, change: str) -> None:
    notebook = Notebook(setup)
    x, y = notebook.look("x"), notebook.look("y")
    assert x.fingerprint is not None
    assert x.overlaps(y)
    assert y.overlaps(x)
    assert notebook.run(change).digest("x") != x.fingerprint


@pytest.mark.parametrize(("setup", "change"), cases(OPAQUE_SHARING))
def test_opaque_things_still_tell_what_they_hold(setup: str, change: str) -> None:
    notebook = Notebook(setup)
    x, y = notebook.look("x"), notebook.look("y")
    assert y.fingerprint is None
    assert x.overlaps(y)
    assert notebook.run(change).digest("x") != x.fingerprint


APART = r"""
x = [1]; y = [1]
x = {'a': [1]}; y = {'a': [1]}
t = (1, 'a'); x = [t]; y = [t]
x = np.arange(6); y = np.arange(6)
x = np.arange(6); y = x.copy()
a = np.arange(6).copy(); x = a[:3]; y = a[3:]
x = pd.Series([1]); y = x.copy()
x = pd.DataFrame({'a': [1.5], 'b': ['x']}); y = pd.DataFrame({'a': [1.5], 'b': ['x']})
x = torch.zeros(3); y = x.clone()
x = [len, int, None]; y = [len, int, None]
x = iter([1]); y = iter([1])
x = map(len, ['a']); y = map(len, ['a'])
import collections; x = collections.Counter('aab'); y = collections.Counter('aab')
import random; x = random.Random(1); y = random.Random(1)
x = np.random.default_rng(1); y = np.random.default_rng(1)
from sklearn.linear_model import Ridge; x = Ridge().fit([[1], [2]], [1, 2]); y = Ridge().fit([[1], [2]], [1, 2])
x = pa.array(['a']); y = pa.array(['b'])
x = pl.DataFrame({'a': [1]}); y = pl.DataFrame({'a': [1]})
"""


@pytest.mark.parametrize("setup", [row.values[0] for row in cases(APART)])
def test_things_that_share_nothing_do_not_meet(setup: str) -> None:
    notebook = Notebook(setup)
    assert not notebook.look("x").overlaps(notebook.look("y"))


CONSTANT = r"""
x = 1
x = 1.5
x = 'a'
x = b'a'
x = None
x = True
x = 2j
x = (1, ('a', b'b'))
x = frozenset({1, (2, 3)})
x = range(5)
x = ...
import datetime; x = datetime.datetime(2020, 1, 1)
import decimal; x = (decimal.Decimal(1), 2)
import re; x = re.compile('a')
import pathlib; x = pathlib.Path('a')
x = len
x = int
x = np.float64(1)
x = np.dtype('f8')
x = pd.Timestamp('2020')
x = torch.float32
"""

CHANGEABLE = r"""
x = []
x = ([],)
x = frozenset({(1, 2)}) and slice([], 1)
x = lambda: 1
class x: pass
class C: pass\nx = C()
import enum\nclass E(enum.Enum):\n  A = 1\nx = E.A
import collections; P = collections.namedtuple('P', 'a'); x = P(1)
x = np.zeros(0)
x = np.zeros(1, 'i4,f8')[0]
x = pd.DataFrame()
x = pd.Index([1])
x = pa.array([1])
x = pa.table({'a': np.arange(3)})
x = [].append
x = {}.keys()
x = iter(())
x = object()
x = memoryview(b'a')
x = torch.zeros(0)
import localmodule_for_tests as x
"""


@pytest.mark.parametrize("setup", [row.values[0] for row in cases(CONSTANT)])
def test_what_can_never_change_is_constant(setup: str) -> None:
    seen = Notebook(setup).look()
    assert seen.fingerprint is not None
    assert seen.constant


@pytest.mark.parametrize("setup", [row.values[0] for row in cases(CHANGEABLE)])
def test_what_may_change_is_not_constant(setup: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    monkeypatch.setitem(sys.modules, "localmodule_for_tests", types.ModuleType("localmodule_for_tests"))
    assert not Notebook(setup).look().constant


@pytest.mark.parametrize("setup", [row.values[0].split("|")[0] for row in cases(SHARING)])
def test_looking_twice_finds_the_same_footprint(setup: str) -> None:
    """Nothing made for the walk itself may stand among the identities."""
    notebook = Notebook(setup)
    first, kept, second = notebook.look("x"), [[] for _ in range(1000)], notebook.look("x")
    assert first == second, len(kept)
