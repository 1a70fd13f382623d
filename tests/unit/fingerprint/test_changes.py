# ruff: noqa: E501 - a row of a table stays on one line
"""Every change in place is seen: the digest before and the digest after differ."""

from __future__ import annotations

import pytest

from tests.unit.fingerprint.cells import Notebook, cases

PYTHON = r"""
x = [1, 2] | x.append(3)
x = [1, 2] | x[0] = True
x = [1, 2] | x.reverse()
x = [0.0] | x[0] = -0.0
x = [3, 1, 2] | import heapq; heapq.heapify(x)
x = [[1], [2]] | x[1].append(3)
x = [{'a': 1} for _ in range(50)] | x[49]['a'] = 2
x = [[1, 2] for _ in range(50)] | x[25][1] = 3
x = [(1, [2]) for _ in range(50)] | x[30][1].append(3)
x = {'a': 1} | x['a'] = 2
x = {'a': 1, 'b': 2} | x['a'] = x.pop('a')
x = {i: i for i in range(100)} | x[50] = 51
x = {i: i for i in range(100)} | x[0] = x.pop(0)
x = {'a': {'b': {'c': []}}} | x['a']['b']['c'].append(1)
x = {1, 2} | x.add(3)
x = {(1, 2), 'a'} | x.discard('a')
x = {frozenset({1}), frozenset({2})} | x.add(frozenset({3}))
x = bytearray(b'abc') | x[0] = 0
import array; x = array.array('d', [1, 2]) | x[0] = 3
import array; x = array.array('u', 'ab') | x[0] = 'c'
import collections; x = collections.deque([1, 2], 5) | x.rotate()
import collections; x = collections.defaultdict(list) | x['a']
import collections; x = collections.defaultdict(list, a=[1]) | x.default_factory = None
import collections; x = collections.OrderedDict(a=1, b=2) | x.move_to_end('a')
import collections; x = collections.Counter('aab') | x.update('c')
import collections; x = collections.ChainMap({}, {'a': 1}) | x['b'] = 1
import collections; x = collections.UserDict(a=1) | x['a'] = 2
import types; x = types.SimpleNamespace(a=1) | x.a = 2
import random; x = random.Random(1) | x.random()
class R(__import__('random').Random): pass\nx = R(1) | x.random()
b = bytearray(b'abcdef'); x = memoryview(b)[2:4] | b[3] = 0
x = memoryview(bytearray(8)).cast('i') | x[1] = 5
x = {}; x['me'] = x | x['you'] = 1
x = slice([1], 2) | x.start.append(2)
y = [1]; x = (y, y) | y.append(2)
d = {'a': 1}; x = d.values() | d['a'] = 2
d = {'a': 1}; x = d.keys() | d['b'] = 2
import types; d = {'a': 1}; x = types.MappingProxyType(d) | d['a'] = 2
l = [1, 2, 3]; x = iter(l) | next(x)
l = [1, 2, 3]; x = iter(l) | l.append(4)
x = zip([1, 2], [3, 4]) | next(x)
import itertools; x = itertools.count() | next(x)
import ctypes; x = ctypes.c_int(5) | x.value = 6
"""

CLASSES = r"""
class C: pass\nx = C(); x.a = 1 | x.a = 2
class C: pass\nx = C() | x.a = 2
class C: pass\nx = C(); x.a = 1 | del x.a
class C: pass\nx = C(); x.a = [] | x.a.append(1)
class C: __slots__ = ('a', 'b')\nx = C(); x.a = 1 | x.b = 2
class B: __slots__ = ('a',)\nclass C(B): __slots__ = ('a',)\nx = C(); B.a.__set__(x, 1) | B.a.__set__(x, 2)
class C: __slots__ = ('a', '__dict__')\nx = C(); x.a = 1 | x.b = 2
class C: a = 1\nx = C() | C.a = 2
class C:\n  def f(self): return 1\nx = C() | C.f = lambda self: 2
class C: pass\nx = C() | C.g = property(lambda self: 1)
class B: pass\nclass C(B): pass\nx = C() | B.a = 1
import functools\nclass C:\n  @functools.cached_property\n  def a(self): return 1\nx = C() | x.a
import functools\nclass C:\n  @functools.cached_property\n  def a(self): return 1\nx = C() | C.a.func = lambda self: 2
class lazy(property): pass\nclass C:\n  @lazy\n  def a(self): return 1\nx = C() | C.a = lazy(lambda self: 2)
class C: pass\nx = C | C.a = 1
class C: pass\nclass D: pass\nx = C() | x.__class__ = D
class C:\n  @property\n  def p(self): return self.__dict__['q']\n  @p.setter\n  def p(self, v): self.__dict__['q'] = v\nx = C(); x.p = 1 | x.p = 2
from dataclasses import dataclass\n@dataclass\nclass C:\n  a: list\nx = C([]) | x.a.append(1)
from dataclasses import dataclass\n@dataclass(slots=True)\nclass C:\n  a: int\nx = C(1) | x.a = 2
class L(list): pass\nx = L([1]) | x.append(2)
class L(list): pass\nx = L([1]) | x.a = 2
class D(dict): pass\nx = D(a=1) | x['a'] = 2
class S(set): pass\nx = S([1]) | x.add(2)
class B(bytearray): pass\nx = B(b'a') | x[0] = 0
import collections\nclass Q(collections.deque): pass\nx = Q([1]) | x.append(2)
import collections\nclass O(collections.OrderedDict): pass\nx = O(a=1, b=2) | x.move_to_end('a')
import collections\nclass O(collections.defaultdict): pass\nx = O(list) | x['b']
import array\nclass A(array.array): pass\nx = A('d', [1]) | x[0] = 2
class E(Exception): pass\nx = E(1) | x.args = (2,)
class E(Exception): pass\nx = E(1) | x.add_note('n')
class E(OSError): pass\nx = E(1, 'a') | x.filename = 'f'
import enum\nclass E(enum.Enum):\n  A = 1\nx = E.A | x.count = 2
import enum\nclass E(enum.Enum):\n  A = []\nx = E.A | x.value.append(2)
import collections\nP = collections.namedtuple('P', 'a b')\nx = P([], 1) | x.a.append(2)
"""

FUNCTIONS = r"""
def x(): return 1\n | x.__code__ = (lambda: 2).__code__
def x(a=[]): return a\n | x.__defaults__[0].append(1)
def x(*, a=[]): return a\n | x.__kwdefaults__['a'].append(1)
def x(): pass\n | x.calls = 1
def x(): pass\n | x.__doc__ = 'text'
def x(a: int): pass\n | x.__annotations__['a'] = str
def make():\n  n = 0\n  def add():\n    nonlocal n; n += 1\n  return add\nx = make() | x()
def make():\n  def get(): return n\n  def set(v):\n    nonlocal n; n = v\n  n = 0\n  return get, set\nx, y = make() | y(5)
l = []\nx = lambda: l and l[0]\nx = (lambda l: lambda: l)(l) | l.append(1)
import functools\nx = functools.partial(print, []) | x.args[0].append(1)
import functools\nx = functools.partial(print, a=1) | x.keywords['a'] = 2
import functools\nx = functools.partial(print) | x.label = 2
class C: pass\nc = C(); c.a = 1\nC.f = lambda self: 1\nx = c.f | c.a = 2
l = [1]; x = l.append | l.append(2)
import functools\n@functools.lru_cache\ndef x(a): return a\n | x.label = 1
import functools\nl = []\n@functools.lru_cache\ndef x(a=l): return a\n | l.append(1)
def deco(f):\n  import functools\n  n = []\n  @functools.wraps(f)\n  def inner(*a):\n    n.append(1); return f(*a)\n  return inner\n@deco\ndef x(): pass\n | x()
"""

ARRAYS = r"""
x = np.arange(6) | x[0] = 9
x = np.arange(6.0) | x[0] = -0.0
x = np.arange(12).reshape(3, 4)[:, ::-2] | x[1, 1] = 99
a = np.arange(12); x = a[::3] | a[3] = 99
x = np.array(5) | x[()] = 6
x = np.zeros(3, 'i4,f8') | x['f1'][1] = 2
x = np.zeros(3, np.dtype('u1,f8', align=True)) | x['f1'][1] = 2
a = np.zeros(3, 'i4,f8'); x = a[1] | a['f0'][1] = 7
x = np.array([1, 'a', [2]], dtype=object) | x[2].append(3)
x = np.array([1, 'a', [2]], dtype=object)[:2] | x[0] = True
x = np.array([1, 'a', [2]], dtype=object)[::2] | x[0] = 1.0
x = np.ma.array([1, 2, 3], mask=[0, 1, 0]) | x[1] = 5
x = np.ma.array([1, 2, 3], mask=[0, 1, 0]) | x.mask[0] = True
x = np.ma.array([1, 2, 3], mask=[0, 1, 0]) | x.fill_value = 77
x = np.ma.array([1, 2, 3]) | x.harden_mask()
x = np.rec.array([(1, 2.0)], dtype='i4,f8') | x.f0[0] = 2
x = np.memmap('file', 'i4', 'w+', shape=4) | x[1] = 1
x = np.asarray([[1, 2]]).view(np.matrix) | x[0, 0] = 5
x = np.array(['2020-01-01'], 'M8[D]') | x[0] = '2021'
x = np.array([True, False]) | x[0] = False
x = np.ones(3, 'f2') | x[0] = 2
x = np.ones(3, 'c16') | x[0] = 2j
x = np.ones(3, np.longdouble) | x[0] = 2
x = np.ones(3, np.clongdouble)[::2] | x[1] = 2j
x = np.array(['a', 'b']) | x[0] = 'c'
x = np.array(['a', 'b'], dtype=np.dtypes.StringDType()) | x[0] = 'c'
x = np.arange(6) | x.resize(3, refcheck=False)
x = np.zeros((0, 3)) | x.resize((0, 2), refcheck=False)
x = np.random.default_rng(1) | x.normal()
x = np.random.default_rng(1) | x.spawn(1)
x = np.random.RandomState(1) | x.rand()
x = np.random.RandomState(1) | x._bit_generator.random_raw()
class A(np.ndarray): pass\nx = np.zeros(3).view(A) | x.unit = 'm'
class A(np.ndarray): pass\nx = np.zeros(3).view(A) | x[0] = 1
b = bytearray(8); x = np.frombuffer(b, 'u1') | b[0] = 1
x = np.broadcast_to(np.zeros(1), (3,)) | x.base[0] = 1
x = np.vectorize(lambda a: a) | x.otypes = 'f'
x = np.poly1d([1, 2]) | x[0] = 5
x = sp.csr_matrix(np.eye(3)) | x.data[0] = 5
x = sp.lil_matrix(np.eye(3)) | x[0, 1] = 5
"""

PANDAS = r"""
x = pd.DataFrame({'a': [1, 2], 'b': [3.0, 4]}) | x.iloc[0, 0] = 9
x = pd.DataFrame({'a': [1, 2], 'b': [3.0, 4]}) | x.loc[1, 'b'] = 9
x = pd.DataFrame({'a': [1, 2], 'b': [3.0, 4]}) | x.at[1, 'b'] = 9
x = pd.DataFrame({'a': [1, 2]}) | x['b'] = 1
x = pd.DataFrame({'a': [1, 2]}) | x['a'] = x['a'].astype(float)
x = pd.DataFrame({'a': [1, 2]}) | x.columns = ['b']
x = pd.DataFrame({'a': [1, 2], 'b': 1}) | x.insert(0, 'c', x.pop('b'))
x = pd.DataFrame({'a': [1, 2]}) | x.index = [5, 6]
x = pd.DataFrame({'a': [1, 2]}) | x.index.name = 'i'
x = pd.DataFrame({'a': [1, 2]}) | x.columns.name = 'i'
x = pd.DataFrame({'a': [1, 2]}) | x.attrs['k'] = 1
x = pd.DataFrame({'a': [1, 2]}, index=['p', 'q']) | x.flags.allows_duplicate_labels = False
import warnings\nx = pd.DataFrame({'a': [1, 2]}) | object.__setattr__(x, 'note', 1)
x = pd.DataFrame({'a': [1, 2]}) | x.loc[5] = [3]
x = pd.DataFrame({'a': [2, 1]}) | x.update(pd.DataFrame({'a': [7]}))
a = np.zeros((3, 2)); x = pd.DataFrame(a, copy=False) | a[1, 1] = 5
a = np.zeros((3, 2), order='F'); x = pd.DataFrame(a, copy=False) | a[1, 1] = 5
a = np.zeros(3); x = pd.Series(a, copy=False) | a[1] = 5
x = pd.DataFrame([[1, 2]], columns=['a', 'a']) | x.iloc[0, 1] = 5
x = pd.DataFrame([[1, 2]], columns=[0, 'a']) | x.iloc[0, 0] = 5
x = pd.DataFrame({'a': [[1], [2]]}) | x['a'][0].append(2)
x = pd.Series([1, 2]) | x[0] = 5
x = pd.Series([1, 2]) | x.name = 'n'
x = pd.Series([1, 2], name='a') | x.attrs['unit'] = 'm'
x = pd.Index([1, 2]) | x.name = 'n'
x = pd.Index([1, 2]) | x.note = 'n'
x = pd.RangeIndex(3) | x.name = 'n'
x = pd.MultiIndex.from_product([[1, 2], ['a']]) | x.names = ['p', 'q']
x = pd.DataFrame({'a': 1}, pd.MultiIndex.from_product([[1, 2], ['a']])) | x.index = x.index.set_levels([5, 6], level=0)
x = pd.Series(['a', 'b'], dtype='category') | x[0] = 'b'
x = pd.Series(['a', 'b'], dtype='category') | x = x.cat.add_categories('c')
x = pd.Series(['a', 'b'], dtype='category') | x = x.cat.as_ordered()
x = pd.Series(pd.to_datetime(['2020-01-01'])) | x[0] = pd.Timestamp('2021')
x = pd.Series(pd.to_datetime(['2020-01-01'])) | x = x.dt.tz_localize('Europe/Berlin')
x = pd.Series(pd.to_datetime(['2020-01-01']).tz_localize('Europe/Berlin')) | x[0] = pd.Timestamp('2021', tz='Europe/Berlin')
x = pd.Series(pd.to_timedelta(['1s'])) | x[0] = pd.Timedelta('2s')
x = pd.Series(pd.period_range('2020', periods=2, freq='M')) | x[0] = pd.Period('2021-01', 'M')
x = pd.Series(pd.interval_range(0, 3)) | x[0] = pd.Interval(5, 6)
x = pd.arrays.SparseArray([0, 0, 1]) | x.sp_values[0] = 2
x = pd.Series(pd.arrays.SparseArray([0, 0, 1])) | x.array.sp_values[0] = 2
x = pd.array([1, None], dtype='Int64') | x[1] = 2
x = pd.Series([1, None], dtype='Int64') | x[0] = 2
x = pd.Series([True, None], dtype='boolean') | x[0] = False
x = pd.Series([1.5, None], dtype='Float64') | x[0] = 2
x = pd.Series(['a', None]) | x[0] = 'b'
x = pd.Series(['a', None], dtype='string[python]') | x[0] = 'b'
x = pd.Series(['a', None], dtype='string[pyarrow]') | x[0] = 'b'
x = pd.Series(['a', None], dtype=object) | x[0] = 'b'
x = pd.Series([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int64()))) | x.array._pa_array = pa.chunked_array([pa.array([[2], None])])
x = pd.Series([{'a': 1}], dtype=pd.ArrowDtype(pa.struct({'a': pa.int64()}))) | x.array._pa_array = pa.chunked_array([pa.array([{'a': 2}])])
from decimal import Decimal\nx = pd.Series([Decimal('1.5')], dtype=pd.ArrowDtype(pa.decimal128(5, 2))) | x[0] = Decimal('2.5')
x = pd.Series(pa.array(['a', 'b']).dictionary_encode(), dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))) | x.array._pa_array = pa.chunked_array([pa.array(['b', 'b']).dictionary_encode()])
class F(pd.DataFrame):\n  _metadata = ['unit']\nx = F({'a': [1]}) | x.unit = 'm'
class F(pd.DataFrame): pass\nx = F({'a': [1]}) | F.unit = 'm'
class F(pd.DataFrame): pass\nx = F({'a': [1]}) | x.iloc[0, 0] = 2
x = pd.DataFrame({'a': [1, 1], 'b': [1, 2]}).groupby('a') | x.obj.iloc[0, 0] = 5
"""

OTHERS = r"""
x = pl.DataFrame({'a': [1, 2], 'b': ['x', None]}) | x[0, 'a'] = 5
x = pl.DataFrame({'a': [1, 2], 'b': ['x', None]}) | x.columns = ['p', 'q']
x = pl.DataFrame({'a': [1, 2]}) | x.insert_column(0, pl.Series('z', [1, 2]))
x = pl.Series('a', [1, 2]) | x[0] = 5
x = pl.Series('a', [1, 2]) | x.append(pl.Series('a', [3]))
x = pl.Series('a', ['p', 'q'], dtype=pl.Categorical) | x.append(pl.Series('a', ['p'], dtype=pl.Categorical))
x = torch.zeros(3) | x.add_(1)
x = torch.zeros(3) | x[0] = 1
x = torch.zeros(3, requires_grad=True) | x.data[0] = 1
x = torch.zeros(3) | x.numpy()[0] = 1
x = torch.zeros(3, requires_grad=True) | (x * 2).sum().backward()
x = torch.zeros(3, requires_grad=True); y = x * 2; y.retain_grad(); z = x; x = y | y.sum().backward()
x = torch.zeros(3) | x.requires_grad_()
x = torch.zeros(3, dtype=torch.bfloat16) | x[0] = 1
x = torch.zeros(3, dtype=torch.complex64) | x[0] = 1j
x = torch.zeros(3, dtype=torch.float8_e4m3fn) | x[0] = 1
x = torch.zeros(3, dtype=torch.bool) | x[0] = True
x = torch.zeros((3, 4)).t()[1:] | x[0, 1] = 1
x = torch.tensor(5) | x.fill_(6)
x = torch.zeros(3) | x.resize_(2)
x = torch.zeros(3) | x.note = 1
x = torch.eye(3).to_sparse() | x.values()[0] = 1 if False else x._values().fill_(7)[0]
x = torch.nn.Linear(2, 2) | x.weight.data[0, 0] = 5
x = torch.nn.Linear(2, 2) | x.eval()
x = torch.nn.BatchNorm1d(2) | x(torch.ones(4, 2))
x = torch.nn.BatchNorm1d(2) | x.running_mean[0] = 3
x = torch.nn.Linear(2, 2) | x(torch.ones(1, 2)).sum().backward()
x = torch.nn.Linear(2, 2) | x.bias.requires_grad_(False)
class Net(torch.nn.Module):\n  def __init__(self):\n    super().__init__(); self.f = torch.nn.Linear(1, 1)\n  def forward(self, a): return self.f(a)\nx = Net() | x.f.weight.data += 1
class Net(torch.nn.Module):\n  def forward(self, a): return a\nx = Net() | Net.forward = lambda self, a: a + 1
n = torch.nn.Linear(2, 2); x = torch.optim.Adam(n.parameters()); n(torch.ones(1, 2)).sum().backward() | x.step()
n = torch.nn.Linear(2, 2); x = torch.optim.SGD(n.parameters(), lr=1) | x.param_groups[0]['lr'] = 2
x = torch.Generator(); x.manual_seed(1) | torch.rand(1, generator=x)
n = torch.nn.Linear(1, 1); o = torch.optim.SGD(n.parameters(), lr=1); x = torch.optim.lr_scheduler.StepLR(o, 1); o.step() | x.step()
from sklearn.linear_model import Ridge\nx = Ridge() | x.fit([[1], [2]], [1, 2])
from sklearn.linear_model import Ridge\nx = Ridge() | x.set_params(alpha=2)
from sklearn.linear_model import SGDClassifier\nx = SGDClassifier(random_state=1).fit([[1], [2]], [1, 2]) | x.partial_fit([[3]], [1])
from sklearn.pipeline import make_pipeline; from sklearn.linear_model import Ridge; from sklearn.preprocessing import StandardScaler\nx = make_pipeline(StandardScaler(), Ridge()) | x.fit([[1], [2]], [1, 2])
from sklearn.model_selection import GridSearchCV; from sklearn.linear_model import Ridge\nx = GridSearchCV(Ridge(), {'alpha': [1, 2]}, cv=2) | x.fit([[1], [2], [3], [4]], [1, 2, 3, 4])
from sklearn.model_selection import GridSearchCV; from sklearn.linear_model import Ridge\nx = GridSearchCV(Ridge(), {'alpha': [1, 2]}, cv=2).fit([[1], [2], [3], [4]], [1, 2, 3, 4]) | x.cv_results_['mean_test_score'][0] = 0
from sklearn.tree import DecisionTreeClassifier\nx = DecisionTreeClassifier().fit([[1], [2]], [1, 2]) | x.tree_.value[0, 0, 0] = 9
from sklearn.neighbors import KNeighborsClassifier\nx = KNeighborsClassifier(1, algorithm='kd_tree').fit([[1], [2]], [1, 2]) | x.fit([[1], [3]], [1, 2])
"""

TABLE = "\n".join((PYTHON, CLASSES, FUNCTIONS, ARRAYS, PANDAS, OTHERS))


@pytest.mark.parametrize(("setup", "change"), cases(TABLE))
def test_a_change_in_place_gives_another_digest(setup: str, change: str) -> None:
    notebook = Notebook(setup)
    before = notebook.look()
    assert before.fingerprint is not None
    assert not before.constant
    after = notebook.run(change).look()
    assert after.fingerprint is not None
    assert after.fingerprint != before.fingerprint
