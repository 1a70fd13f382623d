# ruff: noqa: E501 - a row of a table stays on one line
"""Equal content, equal digest; another type, order, name or shape, another digest."""

from __future__ import annotations

import pytest

from tests.unit.fingerprint.cells import Notebook, cases

EQUAL = r"""
x = [1, 'a', 2.5] | y = [1, 'a', 2.5]
x = 10**30 | y = int('1' + '0' * 30)
x = 'ab' * 100000 | y = 'a' + 'ba' * 99999 + 'b'
x = {1, 'a', (2, 3)} | y = {(2, 3), 'a', 1}
x = set(range(100)) | y = set(range(99, -1, -1))
x = {8, 16, 0} | y = {0, 16, 8}
import datetime; d = datetime.date; x = {d(2020, 1, i) for i in range(1, 20)} | y = {d(2020, 1, i) for i in range(19, 0, -1)}
import datetime; d = datetime.date; x = {frozenset({d(2020, 1, 1)}), frozenset({d(2020, 1, 2)})} | y = set(reversed(list(x)))
class C: pass\na, b = C(), C(); a.n = 1; b.n = 2; x = {a, b} | y = {b, a}
class C: pass\nc = [C() for _ in range(40)]\nfor i, o in enumerate(c): o.n = i\nx = set(c) | import copy; y = copy.deepcopy(x)
t = (1, 'a'); x = [t, t] | y = [(1, 'a'), tuple([1, 'a'])]
t = tuple(range(50)); x = [t, t] | y = [tuple(range(50)), tuple(range(50))]
import datetime; t = (datetime.date(2020, 1, 1), 1); x = [t, t] | y = [t, (datetime.date(2020, 1, 1), 1)]
l = [1]; t = (l, 1); x = [t, t] | y = [(l, 1), tuple([l, 1])]
s = 'abc'; x = [s, s] | y = [s, ''.join('abc')]
t = ()\nfor _ in range(100): t = (t, 1)\nx = [t, t] | u = ()\nfor _ in range(100): u = (u, 1)\ny = [t, u]
import collections; P = collections.namedtuple('P', 'a b'); p = P(1, 2); x = [p, p] | y = [P(1, 2), P(1, 2)]
class C:\n  def f(self): pass\nc = C(); m = c.f; x = [m, m] | y = [c.f, c.f]
class C: pass\nx = C(); x.a = 1; x.b = 2 | y = C(); y.b = 2; y.a = 1
l = []; x = l; l.append(l) | y = []; y.append(y)
l = list(range(10)); x = iter(l) | y = iter(list(range(10)))
def x(a, b=1): return a + b  # one\n | g = x\ndef x(a, b=1):\n\n  return a + b\ny = g
x = [lambda v: v in {'p', 'q', 'r'}, lambda v: v in {('p', 1), 'q'}] | y = [lambda v: v in {'r', 'q', 'p'}, lambda v: v in {'q', ('p', 1)}]
x = np.arange(12.0).reshape(3, 4) | y = np.asfortranarray(x)
x = np.arange(12.0).reshape(3, 4) | y = np.arange(12.0)[::-1].copy()[::-1].reshape(3, 4)
x = np.arange(12) | y = np.repeat(np.arange(12), 3)[::3]
x = np.ones((3, 4)) | y = np.broadcast_to(np.ones(()), (3, 4))
x = np.arange(3_000_000).reshape(3, 1_000_000) | y = np.asfortranarray(x)
x = np.arange(600_000.).reshape(2, 100, 3000).transpose(2, 0, 1) | y = x.copy()
x = np.zeros(5, np.dtype('u1,f8', align=True)) | y = np.frombuffer(b'\0' + b'j' * 7 + b'\0' * 8, x.dtype).repeat(5)
x = np.array([1, 2], np.longdouble) | y = np.frombuffer(bytes(v if i % 16 < 10 else 7 for i, v in enumerate(x.tobytes())), x.dtype)
x = np.array([1, 2], object) | y = np.array([9, 1, 9, 2], object)[1::2]
x = np.array(['a', 'long' * 20], np.dtypes.StringDType()) | y = np.array(['z', 'long' * 20, 'a'], np.dtypes.StringDType())[:0:-1][::-1][::-1]
x = np.ma.array([1, 2]) | y = np.ma.array([1, 2]); y.fill_value
x = pd.DataFrame({'a': [1.0, 2], 'b': [3.0, 4]}) | y = pd.DataFrame(np.array([[1.0, 3], [2, 4]]), columns=['a', 'b'])
x = pd.DataFrame({'a': [1.0, 2], 'b': [3.0, 4]}) | y = pd.DataFrame({'a': [1.0, 2]}); y['b'] = [3.0, 4]
x = pd.Series([1.0, 2]) | y = pd.DataFrame(np.array([[1.0, 3], [2, 4]]))[0].rename(None)
x = pd.Series(['a', None, 'c']) | y = pd.Series(['z', 'a', None, 'c']).iloc[1:].reset_index(drop=True)
x = pd.Series(['a', None, 'c']) | y = pd.concat([pd.Series(['a', None]), pd.Series(['c'])], ignore_index=True)
x = pd.array([1, None, 3], dtype='Int64') | y = pd.array([1, 2, 3], dtype='Int64'); y[1] = None
x = pd.DataFrame({'a': [1]}, pd.MultiIndex.from_tuples([(1, 'a')])) | y = pd.DataFrame({'a': [1, 2]}, pd.MultiIndex.from_tuples([(1, 'a'), (2, 'b')])).iloc[:1]
x = pa.array([1, 2, None, 4]) | y = pa.array([9, 1, 2, None, 4]).slice(1)
x = pa.array([1, 2, None]) | y = pa.Array.from_buffers(pa.int64(), 3, [pa.py_buffer(b'\3'), pa.py_buffer(np.array([1, 2, 77]))])
x = pa.chunked_array([[1, 2], [3]]) | y = pa.chunked_array([[1], [], [2, 3]])
x = pa.chunked_array([['a', None], ['bc']]) | y = pa.chunked_array([['a'], [None, 'bc']])
x = pa.chunked_array([[True, None], [False]]) | y = pa.chunked_array([[True], [None, False]])
x = pa.chunked_array([[[1, 2], None], [[3]]]) | y = pa.chunked_array([[[1, 2]], [None, [3]]])
x = pa.chunked_array([[{'a': 1}, None], [{'a': None}]]) | y = pa.chunked_array([[{'a': 1}], [None, {'a': None}]])
from decimal import Decimal as D; x = pa.chunked_array([[D('1.5'), None], [D('2.5')]]) | y = pa.chunked_array([[D('1.5')], [None, D('2.5')]])
x = pa.array(['a', 'b', 'a']).dictionary_encode() | y = pa.array(['z', 'b', 'a', 'b', 'a']).dictionary_encode().slice(2)
x = pa.array(['a', None]).dictionary_encode() | y = pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int32()), pa.array([None, 'a']))
x = pa.array([[('a', 1)]] * 3, pa.map_(pa.string(), pa.int64())) | y = pa.array([[('b', 2)]] + [[('a', 1)]] * 3, pa.map_(pa.string(), pa.int64())).slice(1)
x = pl.Series('a', ['p', None, 'q' * 50]) | y = pl.Series('a', ['z', 'p', None, 'q' * 50])[1:]
x = pl.concat([pl.DataFrame({'a': [1, 2]}), pl.DataFrame({'a': [3]})], rechunk=False) | y = pl.DataFrame({'a': [1, 2, 3]})
x = torch.arange(12.0).reshape(3, 4) | y = torch.arange(12.0).reshape(3, 4).t().contiguous().t()
x = torch.ones(3, 4, dtype=torch.bfloat16) | y = torch.ones(4, 6, dtype=torch.bfloat16).t()[::2]
x = torch.tensor([1 + 2j]) | y = torch.tensor([1 - 2j]).conj()
from sklearn.ensemble import RandomForestClassifier as F; a = [[i] for i in range(20)]; x = F(5, random_state=1).fit(a, [i % 3 for i in range(20)]) | y = F(5, random_state=1).fit(a, [i % 3 for i in range(20)])
from sklearn.model_selection import GridSearchCV; from sklearn.linear_model import Ridge; f = lambda: GridSearchCV(Ridge(), {'alpha': [1, 2]}, cv=2).fit([[1], [2], [3], [4]], [1, 2, 3, 4]); x = f() | import time; time.sleep(.01); y = f()
from sklearn.feature_extraction.text import CountVectorizer; x = CountVectorizer(stop_words=['p']).fit(['a bc d']) | y = CountVectorizer(stop_words=list('p')).fit(['a bc d'])
"""

DIFFERENT = r"""
x = 1 | y = True
x = 1 | y = 1.0
x = 1 | y = '1'
x = 0.0 | y = -0.0
x = 'a' | y = b'a'
x = [] | y = ()
x = {} | y = set()
x = set() | y = frozenset()
x = [1] | y = (1,)
x = [[1], 2] | y = [[1, 2]]
x = [[[]]] | y = [[], []]
x = [1, 2, 3] * 2000 | y = [1, 2, 3] * 1999 + [1, 2, 4]
x = {'a': 1, 'b': 2} | y = {'b': 2, 'a': 1}
x = {i: 0 for i in range(20)} | y = {i: 0 for i in range(19, -1, -1)}
x = {1} | y = {1.0}
x = {1, 2} | y = {(1, 2)}
x = [{1: 2}] * 1 | y = [[1, 2]]
x = [{1: 2} for _ in range(40)] | y = [[1, 2] for _ in range(40)]
x = bytearray(b'a') | y = b'a'
x = range(3) | y = [0, 1, 2]
x = None | y = 'None'
x = Ellipsis | y = NotImplemented
class L(list): pass\nx = L([1]) | y = [1]
import collections; x = collections.OrderedDict(a=1) | y = dict(a=1)
import collections; x = collections.Counter(a=1) | y = collections.defaultdict(int, a=1)
import collections; x = collections.deque([1]) | y = collections.deque([1], 5)
import collections; P = collections.namedtuple('P', 'a'); x = P(1) | y = (1,)
a = []; x = [a, a] | y = [[], []]
a = [1]; x = (a, a) | y = ([1], [1])
a = {}; x = {'p': a, 'q': a} | y = {'p': {}, 'q': {}}
class C: pass\na = C(); x = [{a}, a] | y = [{C()}, C()]
l = [[0] for _ in range(40)]; x = l + l | y = l + [[0] for _ in range(40)]
x = []; x.append(x) | y = [[]]; y[0].append(y)
x = object() | y = object
from decimal import Decimal as D; x = D('1.0') | y = D('1.00')
from decimal import Decimal as D; x = D('NaN') | y = D('sNaN')
import datetime; x = datetime.datetime(2020, 1, 1) | y = datetime.date(2020, 1, 1)
import datetime; x = datetime.datetime(2020, 1, 1) | y = datetime.datetime(2020, 1, 1, fold=1)
import datetime\nclass T(datetime.datetime): pass\nx = T(2020, 1, 1) | y = T(2020, 1, 2)
import decimal\nclass T(decimal.Decimal): pass\nx = T(1) | y = T(2)
class T(int): pass\nx = T(1) | y = T(2)
class T(str): pass\nx = T('a') | y = T('b')
class T(complex): pass\nx = T(1) | y = T(1j)
class T(float): pass\nx = T(0.0) | y = T(-0.0)
import pathlib; x = pathlib.Path('a') | y = pathlib.PurePosixPath('a')
import pathlib; x = pathlib.Path('a') | y = pathlib.Path('b')
import re; x = re.compile('a') | y = re.compile('a', re.I)
import uuid; x = uuid.UUID(int=1) | y = uuid.UUID(int=2)
import zoneinfo; x = zoneinfo.ZoneInfo('Europe/Berlin') | y = zoneinfo.ZoneInfo('Europe/Paris')
x = list[int] | y = list[str]
import operator; x = operator.or_(int, str) | y = operator.or_(int, None)
import typing; x = typing.Optional[int] | y = typing.Optional[str]
x = int | y = float
b = b'abcd'; x = memoryview(b)[1:3] | y = memoryview(b)[:2]
x = lambda: 0.0 | y = lambda: -0.0
x = lambda: 1 | y = lambda: 1.0
x = lambda: 1 | y = lambda: True
x = lambda: (1, 2) | y = lambda: (1, 2.0)
x = lambda a: a.real | y = lambda a: a.imag
x = lambda a=1: a | y = lambda a=2: a
def x(): pass\n | def y(): pass\n
def x():\n  def f(): return 1\n  return f\n | z = x\ndef x():\n  def f(): return 2\n  return f\ny = x; x = z
def x():\n  try: return 1\n  except ValueError: return 2\n | z = x\ndef x():\n  try: return 1\n  except TypeError: return 2\ny = x; x = z
class C:\n  def f(self): return 1\nx = C() | class C:\n  def f(self): return 2\ny = C()
class A: pass\nclass C(A): pass\nx = C() | class C: pass\ny = C()
x = len | y = repr
x = [].append | y = [].extend
x = np.array([1]) | y = np.array([1.0])
x = np.array([1]) | y = np.array([1], 'i4')
x = np.array([1], '<i4') | y = np.array([1], '>i4')
x = np.array([1, 2]) | y = np.array([[1, 2]])
x = np.zeros((0, 2)) | y = np.zeros((0, 3))
x = np.array(1) | y = np.int64(1)
x = np.float64(1) | y = 1.0
x = np.array(['2020'], 'M8[Y]') | y = np.array(['2020'], 'M8[M]')
x = np.zeros(1, [('a', 'i4')]) | y = np.zeros(1, [('b', 'i4')])
x = np.zeros(1, [('a', 'i4')]) | y = np.zeros(1, [('a', 'i4')]).view(np.recarray)
x = np.array([[1]]) | y = np.array([[1]]).view(np.matrix)
x = np.ma.array([1]) | y = np.ma.array([1], mask=[1])
x = np.array([1, 'a'], object) | y = np.array([True, 'a'], object)
x = np.dtype('i4') | y = np.dtype('i4', metadata={'a': 1})
x = np.dtype('i4,f8') | y = np.dtype('i4,f8', align=True)
x = pd.Series([1]) | y = pd.DataFrame([1])
x = pd.Series([1]) | y = pd.Series([1], index=[5])
x = pd.Series([1]) | y = pd.Series([1], name='a')
x = pd.Series(['a']) | y = pd.Series(['a'], dtype=object)
x = pd.Series(['a'], dtype='string') | y = pd.Series(['a'], dtype='str')
x = pd.Series(['a'], dtype='string[python]') | y = pd.Series(['a'], dtype='string[pyarrow]')
x = pd.DataFrame({'a': [1], 'b': [2]}) | y = pd.DataFrame({'b': [2], 'a': [1]})
x = pd.DataFrame({'a': [1]}) | y = pd.DataFrame({'b': [1]})
x = pd.DataFrame({1: [1]}) | y = pd.DataFrame({'1': [1]})
x = pd.Index([1], name='a') | y = pd.Index([1], name='b')
x = pd.date_range('2020', periods=2, freq='D') | y = pd.DatetimeIndex(list(x))
x = pd.Series(['a'], dtype='category') | y = pd.Series(['a'], dtype=pd.CategoricalDtype(['a', 'b']))
x = pd.CategoricalDtype(['a']) | y = pd.CategoricalDtype(['b'])
x = pd.array([1, None], dtype='Int64') | y = pd.array([1, 1], dtype='Int64')
x = pd.array([1], dtype='Int64') | y = pd.array([1], dtype='Int32')
x = pd.Timestamp('2020-01-01', tz='Europe/Berlin') | y = pd.Timestamp('2020-01-01', tz='Europe/Paris')
x = pd.Timestamp('2020') | y = pd.Timestamp('2020').as_unit('ns')
x = pd.Timedelta('1s') | y = pd.Timedelta('2s')
x = pd.Period('2020', 'M') | y = pd.Period('2020', 'D')
x = pd.Interval(0, 1) | y = pd.Interval(0, 1, 'left')
x = pd.offsets.CustomBusinessDay(holidays=['2020-01-01']) | y = pd.offsets.CustomBusinessDay(holidays=['2020-01-02'])
x = pd.NA | y = pd.NaT
x = pa.array([1]) | y = pa.array([1], pa.int32())
x = pa.array(['ab', 'c']) | y = pa.array(['a', 'bc'])
x = pa.array(['', None]) | y = pa.array([None, ''])
x = pa.array([[1], [2, 3]]) | y = pa.array([[1, 2], [3]])
x = pa.array([None, [1]]) | y = pa.array([[], [1]])
x = pa.array([{'a': None}]) | y = pa.array([None], pa.struct({'a': pa.null()}))
x = pa.array(['a', 'b']).dictionary_encode() | y = pa.array(['b', 'a']).dictionary_encode()
x = pa.table({'a': [1]}) | y = pa.table({'b': [1]})
x = pa.table({'a': [1]}) | y = pa.table({'a': [1]}).replace_schema_metadata({'k': 'v'})
x = pa.schema([('a', pa.int64())]) | y = pa.schema([pa.field('a', pa.int64(), nullable=False)])
x = pl.Series('a', [1]) | y = pl.Series('b', [1])
x = pl.Series('a', [1]) | y = pl.Series('a', [1], dtype=pl.Int32)
x = pl.DataFrame({'a': ['x']}) | y = pl.DataFrame({'a': ['y']})
x = torch.zeros(2) | y = torch.zeros(2, requires_grad=True)
x = torch.zeros(2) | y = torch.zeros(2, dtype=torch.float16)
x = torch.zeros(2, dtype=torch.float16) | y = torch.zeros(2, dtype=torch.bfloat16)
x = torch.zeros(2) | y = torch.zeros(1, 2)
x = torch.zeros(2) | y = torch.nn.Parameter(torch.zeros(2), requires_grad=False)
x = torch.nn.ReLU() | y = torch.nn.GELU()
x = torch.float32 | y = torch.float64
"""


@pytest.mark.parametrize(("one", "other"), cases(EQUAL))
def test_equal_content_made_in_two_ways_has_one_digest(one: str, other: str) -> None:
    notebook = Notebook(one)
    before = notebook.digest("x")
    after = notebook.run(other).digest("y")
    assert before is not None
    assert before == after


@pytest.mark.parametrize(("one", "other"), cases(DIFFERENT))
def test_different_content_has_different_digests(one: str, other: str) -> None:
    notebook = Notebook(one)
    before = notebook.digest("x")
    after = notebook.run(other).digest("y")
    assert before is not None
    assert after is not None
    assert before != after
