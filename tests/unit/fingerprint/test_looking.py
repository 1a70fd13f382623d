# ruff: noqa: E501 - a row of a table stays on one line
"""Looking changes nothing: neither the user's way of looking at an object, nor ours."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlmagic.capture.behind import code_reach
from mlmagic.fingerprint import Scope, describe
from mlmagic.fingerprint.compare import parts
from tests.unit.fingerprint.cells import Notebook, cases

ROOT = Path(__file__).parents[3]

LOOKS = r"""
x = [1, [2]] | repr(x); len(x); list(x); x == [1, [2]]; x.index(1); 1 in x; sorted(map(str, x))
x = {'a': 1} | x.get('a'); dict(x); {**x}; list(x.items())
import pathlib; x = [pathlib.Path('a/b')] | str(x[0]); hash(x[0]); x[0].parts; x[0].parent
import fractions; x = [fractions.Fraction(1, 3)] | hash(x[0]); x[0] + 1
import re; x = [re.compile('a')] | x[0].match('aa')
class C:\n  def __init__(self): self.a = 1\nx = C() | import copy, pickle; copy.deepcopy(x); copy.copy(x); C.__subclasses__(); x.__reduce_ex__(2); dir(x)
from dataclasses import dataclass\n@dataclass(frozen=True)\nclass C:\n  a: int = 1\nx = C() | repr(x); hash(x); import dataclasses; dataclasses.asdict(x); dataclasses.fields(C)
import abc\nclass C(abc.ABC):\n  pass\nx = C() | isinstance(1, C); C.register(int); issubclass(int, C)
import enum\nclass E(enum.Flag):\n  A = 1\n  B = 2\nx = E.A | str(x); E(1); list(E)
def x(a: int = 1): pass\n | x(); import inspect; inspect.signature(x); x.__annotations__; repr(x); x.__dict__
import functools\n@functools.lru_cache\ndef x(a): return a\n | x(1); x.cache_info()
import functools\n@functools.singledispatch\ndef f(a): return a\nx = [f] | repr(f)
l = [1, 2]; x = zip(l, l) | repr(x)
x = np.arange(12.0).reshape(3, 4) | np.sum(x); x.mean(axis=0); repr(x); x.T; x[1:]; x + 1; x.flags; x.tobytes(); x == x; memoryview(x)
x = np.ma.array([1.5, 2], mask=[0, 1]) | repr(x); x.sum(); x.fill_value; x.filled(); x[1:]; x.view(); x.copy()
x = np.random.default_rng(1) | repr(x); x.bit_generator.state; import copy; copy.deepcopy(x)
x = np.poly1d([1, 2]) | x(3); repr(x); x.roots
x = sp.csr_matrix(np.eye(3)) | x.has_sorted_indices; x.has_canonical_format; x @ x; x.T; x.sum(); repr(x); x.toarray(); x.nnz
x = pd.DataFrame({'a': [1, 2], 'b': ['x', None]}) | x.head(); x.describe(); x.groupby('b').a.mean(); x.sort_values('a'); x['a']; x.a.sum(); repr(x); x._repr_html_()
x = pd.DataFrame({'a': [1, 2], 'b': ['x', None]}) | x.index.is_unique; x.columns.get_loc('a'); x.loc[1]; x.merge(x, on='a'); x.T; x.values; x.dtypes; x.info(buf=__import__('io').StringIO())
x = pd.DataFrame({'a': [1, 2], 'b': ['x', None]}) | x.copy(); x.query('a > 1'); x.eval('a + 1'); x.to_dict(); x.memory_usage(deep=True); x == x; x.isna(); x.b.str.upper(); x.iterrows(); list(x.itertuples())
x = pd.DataFrame({'a': [1, 2]}, index=['p', 'q']) | x.loc['p']; 'p' in x.index; x.reindex(['q']); x.index.get_indexer(['p']); x.index.is_monotonic_increasing; x.index.hasnans
x = pd.Index(['a', 'b']) | x.is_unique; x.get_loc('a'); x.is_monotonic_increasing; repr(x); x.str.upper(); x.values; x.array
x = pd.date_range('2020', periods=9) | x.is_unique; x.month; x.get_loc('2020-01-02'); x.resolution; repr(x)
x = pd.RangeIndex(5) | x.is_unique; x.values; x.get_loc(2); x._data; x.array; repr(x)
x = pd.MultiIndex.from_product([[1, 2], ['a', 'b']]) | x.get_loc((1, 'a')); x.levels; x.is_unique; x.get_level_values(0); x.codes; x.values; repr(x)
x = pd.interval_range(0, 3) | x.get_loc(0.5); x.left; x.mid; x.is_overlapping; x.is_unique
x = pd.CategoricalIndex(['a', 'b']) | x.get_loc('a'); x.categories; x.codes; x.is_unique
x = pd.Series(['a', 'b'], dtype='category') | x.cat.codes; x.value_counts(); x == 'a'; repr(x); x.cat.categories.get_loc('a')
x = pd.Series(pd.to_datetime(['2020-01-01'])) | x.dt.year; x.dt.tz_localize('UTC'); x.min(); repr(x)
x = pd.Series(['a', None]) | x.str.len(); x.str.cat(); x.unique(); x.nunique(); x.isna(); x.array; x.factorize(); repr(x); x[0]
x = pd.Series([1, None], dtype='Int64') | x.sum(); x.isna(); repr(x); x + 1; x.to_numpy(); x.array
x = pd.DataFrame({'a': [1, 1], 'b': [1, 2]}).groupby('a') | x.mean(); x.groups; x.ngroups; len(x); list(x); x.indices
x = pd.DataFrame({'a': [1, 1]}).rolling(2) | x.mean(); list(x)
x = pl.DataFrame({'a': [1, 2], 'b': ['x', None]}) | repr(x); x.filter(pl.col('a') > 1); x['a']; x.to_numpy(); x.describe(); x.sort('a'); x.to_pandas; x.group_by('b').mean()
x = pl.Series('a', [3, 1]) | x.sort(); x.sum(); repr(x); x.to_numpy(); x.to_arrow(); x.flags
x = pa.table({'a': [1, 2]}) | x.to_pandas(); x['a'].sum() if hasattr(x['a'], 'sum') else 0; repr(x); x.schema; x.filter([True, False])
x = torch.zeros(3, requires_grad=True) | (x * 2).sum(); x.detach().numpy(); repr(x); x.grad; x + 1; x.is_leaf; hash(x); x.data_ptr(); x.storage_offset()
import torch.nn as nn\nx = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Dropout(), nn.Flatten(), nn.Linear(4, 1)).eval() | x(torch.ones(2, 1, 4)); repr(x); x.state_dict(); list(x.parameters()); str(x)
import torch.nn as nn\nx = nn.LSTM(2, 3).eval() | x(torch.ones(4, 1, 2)); repr(x); x.all_weights; x.flatten_parameters()
import torch.nn as nn\nx = nn.TransformerEncoderLayer(4, 2).eval() | x(torch.ones(4, 1, 4))
n = torch.nn.Linear(1, 1); x = torch.optim.Adam(n.parameters()) | repr(x); x.state_dict(); x.param_groups
"""

MODELS = r"""
linear_model.LinearRegression()
linear_model.LogisticRegression()
linear_model.RidgeCV()
linear_model.LassoCV(cv=2)
linear_model.SGDClassifier()
linear_model.Perceptron()
tree.DecisionTreeClassifier()
tree.DecisionTreeRegressor()
ensemble.RandomForestClassifier(5)
ensemble.RandomForestRegressor(5)
ensemble.ExtraTreesClassifier(5)
ensemble.GradientBoostingClassifier(n_estimators=3)
ensemble.GradientBoostingRegressor(n_estimators=3)
ensemble.HistGradientBoostingClassifier(max_iter=3)
ensemble.HistGradientBoostingRegressor(max_iter=3, early_stopping=True)
ensemble.AdaBoostClassifier(n_estimators=3)
ensemble.BaggingClassifier(n_estimators=3)
ensemble.IsolationForest(n_estimators=3)
ensemble.VotingClassifier([('a', tree.DecisionTreeClassifier()), ('b', naive_bayes.GaussianNB())])
ensemble.StackingClassifier([('a', tree.DecisionTreeClassifier()), ('b', naive_bayes.GaussianNB())], cv=2)
svm.SVC()
svm.SVR()
svm.LinearSVC()
svm.OneClassSVM()
neighbors.KNeighborsClassifier(3, algorithm='kd_tree')
neighbors.KNeighborsClassifier(3, algorithm='ball_tree')
neighbors.KNeighborsRegressor(3, algorithm='brute')
neighbors.KernelDensity()
neighbors.LocalOutlierFactor(novelty=True)
neighbors.NearestCentroid()
neural_network.MLPClassifier(hidden_layer_sizes=5, max_iter=400, tol=1)
neural_network.MLPRegressor(hidden_layer_sizes=5, max_iter=400, tol=10)
naive_bayes.GaussianNB()
gaussian_process.GaussianProcessClassifier()
discriminant_analysis.LinearDiscriminantAnalysis()
discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.5)
cluster.KMeans(2, n_init=2)
cluster.MiniBatchKMeans(2, n_init=2)
mixture.GaussianMixture(2)
decomposition.PCA(2)
decomposition.TruncatedSVD(2)
decomposition.NMF(2, max_iter=2000, tol=1e-2)
preprocessing.StandardScaler()
preprocessing.OneHotEncoder(handle_unknown='ignore')
preprocessing.PolynomialFeatures()
preprocessing.QuantileTransformer(n_quantiles=5)
preprocessing.KBinsDiscretizer(quantile_method='averaged_inverted_cdf')
preprocessing.FunctionTransformer(np.log1p)
impute.SimpleImputer()
impute.KNNImputer()
feature_selection.SelectKBest(k=2)
feature_selection.RFE(tree.DecisionTreeClassifier())
calibration.CalibratedClassifierCV(tree.DecisionTreeClassifier(), cv=2)
multiclass.OneVsRestClassifier(svm.SVC())
pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
pipeline.make_union(preprocessing.StandardScaler(), decomposition.PCA(2))
compose.ColumnTransformer([('a', preprocessing.StandardScaler(), [0, 1])], remainder='passthrough')
compose.TransformedTargetRegressor(linear_model.Ridge())
model_selection.GridSearchCV(neighbors.KNeighborsClassifier(), {'n_neighbors': [1, 3]}, cv=2)
model_selection.RandomizedSearchCV(linear_model.Ridge(), {'alpha': [1, 3]}, cv=2, n_iter=2)
"""

USE = """
for method in ("predict", "predict_proba", "decision_function", "transform", "score_samples", "apply", "kneighbors"):
    if hasattr(x, method):
        getattr(x, method)(X)
if hasattr(x, "score"):
    x.score(X, y)
repr(x); x._repr_html_(); x.get_params(); sklearn.base.clone(x)
"""


@pytest.mark.parametrize(("setup", "look"), cases(LOOKS))
def test_looking_at_an_object_leaves_its_digest(setup: str, look: str) -> None:
    notebook = Notebook(setup)
    before = notebook.look()
    after = notebook.run(look).look()
    assert before.fingerprint is not None
    assert before.fingerprint == after.fingerprint


@pytest.mark.parametrize("model", MODELS.strip().splitlines())
def test_using_a_fitted_model_leaves_its_digest(model: str) -> None:
    pytest.importorskip("sklearn")
    module = " ".join(sorted({part.split("(")[-1].split("[")[-1] for part in model.replace(" ", "(").split(".")[:-1]}))
    names = (
        "linear_model tree ensemble svm neighbors neural_network naive_bayes gaussian_process discriminant_analysis "
    )
    names += "cluster mixture decomposition preprocessing impute feature_selection calibration multiclass pipeline "
    names += "compose model_selection"
    used = ", ".join(name for name in names.split() if f"{name}." in model)
    notebook = Notebook("from sklearn import " + used + "; import sklearn.base; sklearn = __import__('sklearn')", _DATA)
    notebook.run(f"x = {model}; x.fit(X, y)")
    before = notebook.digest()
    notebook.run(USE)
    assert module
    assert before is not None
    assert before == notebook.digest()


_DATA = """
import numpy as np
rng = np.random.default_rng(0)
y = np.repeat([0, 1], 15)
X = rng.random((30, 4)) + y[:, None]
"""


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_a_sparse_matrix_is_the_same_after_a_model_was_trained_on_it(kind: str) -> None:
    pytest.importorskip("sklearn")
    notebook = Notebook(_DATA, f"x = sp.{kind}_matrix(X)")
    before = notebook.digest()
    notebook.run(
        "from sklearn.linear_model import LogisticRegression; m = LogisticRegression().fit(x, y); m.predict(x)"
    )
    assert before is not None
    assert before == notebook.digest()


@pytest.mark.parametrize("vectorizer", ["CountVectorizer", "TfidfVectorizer", "HashingVectorizer"])
def test_a_vectorizer_is_the_same_after_use(vectorizer: str) -> None:
    pytest.importorskip("sklearn")
    text = f"from sklearn.feature_extraction.text import {vectorizer} as V; x = V(stop_words=['the']).fit(['the a cat', 'dog'])"
    notebook = Notebook(text)
    before = notebook.digest()
    notebook.run("x.transform(['a dog']); x.build_analyzer()('a dog'); repr(x)")
    assert before is not None
    assert before == notebook.digest()


PICKLED = r"""
x = [1, {'a': (2, 3)}, {4, 5}, b'6']
import datetime, decimal; x = [datetime.datetime(2020, 1, 1), decimal.Decimal('1.5'), frozenset({1})]
import collections; x = [collections.OrderedDict(a=1), collections.Counter('aab'), collections.deque([1], 2)]
x = np.arange(12.0).reshape(3, 4)
x = np.ma.array([1, 2], mask=[0, 1])
x = np.random.default_rng(1)
x = pd.DataFrame({'a': [1, 2], 'b': ['x', None], 'c': pd.to_datetime(['2020', '2021'])})
x = pd.DataFrame({'a': [1]}, pd.MultiIndex.from_tuples([(1, 'a')], names=['p', 'q']))
x = pd.Series(['a', 'b'], dtype='category')
x = pd.date_range('2020', periods=3)
x = pa.table({'a': [1, None], 'b': ['x', 'y']})
x = pl.DataFrame({'a': [1, 2], 'b': ['x', None]})
x = torch.nn.Linear(2, 2)
x = sp.csr_matrix(np.eye(3))
from sklearn.ensemble import RandomForestClassifier; x = RandomForestClassifier(3).fit([[1], [2], [3]], [1, 2, 1])
from sklearn.neighbors import KNeighborsClassifier; x = KNeighborsClassifier(1).fit([[1], [2], [3]], [1, 2, 1])
"""


@pytest.mark.parametrize("setup", PICKLED.strip().splitlines())
def test_what_comes_back_from_a_pickle_has_the_same_digest(setup: str) -> None:
    notebook = Notebook(setup)
    before = notebook.digest()
    notebook.namespace["x"] = pickle.loads(pickle.dumps(notebook["x"]))
    assert before is not None
    assert before == notebook.digest()
    notebook.namespace["x"] = copy.deepcopy(notebook["x"])
    assert before == notebook.digest()


# -- our own looking ---------------------------------------------------------------------------

ITERATORS = r"""
iter([1, 2, 3])
iter((1, 2, 3))
iter({1: 2, 3: 4, 5: 6})
iter({1, 2, 3})
iter('abc')
iter(range(3))
reversed([1, 2, 3])
zip([1, 2, 3], [4, 5, 6])
map(str, [1, 2, 3])
filter(None, [1, 2, 3])
enumerate([1, 2, 3])
itertools.chain([1], [2, 3])
itertools.count()
itertools.cycle([1, 2])
itertools.islice([1, 2, 3], 3)
itertools.tee([1, 2, 3])[0]
csv.reader(['a', 'b', 'c'])
(i for i in [1, 2, 3])
io.StringIO('a\nb\nc')
io.BytesIO(b'a\nb\nc')
re.finditer('a', 'aaa')
collections.deque([1, 2, 3]).__iter__()
np.nditer(np.arange(3))
np.arange(3).flat
np.ndenumerate(np.arange(3))
pd.DataFrame({'a': [1, 2, 3]}).itertuples()
pd.DataFrame({'a': [1, 2, 3]}).iterrows()
"""


@pytest.mark.parametrize("iterator", ITERATORS.strip().splitlines())
def test_iterators_are_not_advanced(iterator: str) -> None:
    text = f"import itertools, csv, io, re, collections\nx = {iterator}; again = {iterator}"
    notebook = Notebook(text)
    notebook.look()
    notebook.look()
    first = [str(next(notebook["x"])) for _ in range(2)]
    assert first == [str(next(notebook["again"])) for _ in range(2)]


def test_looking_leaves_no_attributes_behind() -> None:
    notebook = Notebook(
        "class C:\n  __slots__ = ('a', '__dict__')\nclass D(C):\n  pass\nx = [D(), C()]",
        "import uuid, fractions, sched, types, string\nx += [uuid.UUID(int=1), fractions.Fraction(1), string.Formatter()]",
        "import collections, random, logging, email.message, http.cookies, queue\nx += [email.message.Message()]",
        "x += [http.cookies.SimpleCookie('a=b'), collections.UserDict(), random.Random(1), logging.Formatter()]",
    )
    classes = {cls for value in notebook["x"] for cls in type(value).__mro__ if cls is not object}
    before = {cls: set(vars(cls)) for cls in classes}
    held = [dict(vars(value)) if hasattr(value, "__dict__") else None for value in notebook["x"]]
    notebook.look()
    assert {cls: set(vars(cls)) - before[cls] for cls in classes if set(vars(cls)) != before[cls]} == {}
    assert held == [dict(vars(value)) if hasattr(value, "__dict__") else None for value in notebook["x"]]


def test_looking_imports_nothing() -> None:
    notebook = Notebook("x = [1, {'a': 2}, bytearray(3), memoryview(b'a'), lambda: 1]\nclass C: pass\nx.append(C())")
    notebook.look()
    before = set(sys.modules)
    notebook.look()
    assert set(sys.modules) == before


COUNTING = r"""
class Meta(type):
    def __getattribute__(cls, name): calls.append(name); return type.__getattribute__(cls, name)
    def __instancecheck__(cls, other): calls.append('instancecheck'); return False
    def __subclasscheck__(cls, other): calls.append('subclasscheck'); return False
    def __hash__(cls): calls.append('hash of class'); return 1
    def __eq__(cls, other): calls.append('eq of class'); return cls is other
    def __iter__(cls): calls.append('iter of class'); return iter(())
    def __len__(cls): calls.append('len of class'); return 0

def count(name):
    def method(self, *args, **kwargs):
        calls.append(name)
        raise RuntimeError(name)
    return method

NAMES = '''__eq__ __ne__ __hash__ __repr__ __str__ __getattr__ __getattribute__ __reduce__ __reduce_ex__ __getstate__ __iter__
    __len__ __bool__ __contains__ __getitem__ __setattr__ __delattr__ __setitem__ __copy__ __deepcopy__ __sizeof__ __dir__
    __index__ __int__ __float__ __format__ __call__ __lt__ __array__ __array_interface__ __buffer__ __getnewargs__
    __getnewargs_ex__ keys values items copy __next__ __reversed__ __del__x __fspath__ __bytes__ __missing__ tobytes'''.split()
NASTY = {name: count(name) for name in NAMES}
"""


@pytest.mark.parametrize(
    "bases",
    "object list dict tuple set frozenset str bytes int float complex bytearray Exception collections.OrderedDict "
    "collections.defaultdict collections.deque collections.Counter datetime.date datetime.datetime datetime.timedelta "
    "decimal.Decimal fractions.Fraction pathlib.PurePosixPath array.array random.Random collections.UserDict "
    "np.ndarray pd.DataFrame pd.Series torch.nn.Module torch.Tensor functools.partial types.SimpleNamespace".split(),
)
@pytest.mark.parametrize("meta", ["type", "Meta"])
def test_no_code_of_the_users_own_is_run(bases: str, meta: str) -> None:
    if meta == "Meta" and bases in ("torch.Tensor", "fractions.Fraction", "collections.UserDict"):
        pytest.skip("its own metaclass or constructor stands in the way")
    notebook = Notebook(
        "import collections, datetime, decimal, fractions, pathlib, array, random, functools, types\ncalls = []",
        COUNTING,
    )
    notebook.run(f"class Plain({bases}, metaclass={meta}): pass")
    arguments = {
        "datetime.date": "2020, 1, 1", "datetime.datetime": "2020, 1, 1", "array.array": "'d', [1, 2]",
        "np.ndarray": "3", "functools.partial": "print", "pathlib.PurePosixPath": "'a'",
    }.get(bases, "")  # fmt: skip
    notebook.run(f"x = Plain({arguments})\nfor name, method in NASTY.items(): type.__setattr__(Plain, name, method)")
    notebook.run("y = x; held = [x]; x = [held, (x,), {'k': x}, [x] * 40]; calls.clear()")
    seen = notebook.look()
    describe("y", notebook["y"])
    if "." not in bases:
        parts("y", notebook["y"], Scope(notebook.namespace, code_reach, lambda name: False))
    assert notebook["calls"] == []
    assert bases == "pd.Series" or seen.fingerprint is not None or meta == "Meta"
    for name in list(notebook["NASTY"]):
        type.__delattr__(notebook["Plain"], name)


def test_a_class_that_lies_about_its_instances_is_not_asked() -> None:
    notebook = Notebook(
        "calls = []\nclass C:\n  @property\n  def __class__(self): calls.append(1); return int\nx = C()"
    )
    notebook.run("y = (c for c in [x]); x = [x, {'a': x}]; calls.clear()")
    assert notebook.digest("x") is not None
    assert notebook.digest("y") is None
    assert notebook["calls"] == []


def test_an_objects_own_idea_of_its_dict_is_not_asked() -> None:
    notebook = Notebook(
        "calls = []\nclass C:\n  @property\n  def __dict__(self): calls.append(1); return {}\nx = C(); x.a = 1",
    )
    assert notebook.look().fingerprint is None
    assert notebook["calls"] == []


def test_warnings_are_not_given(recwarn: Any) -> None:
    notebook = Notebook("a = torch.ones(2, requires_grad=True); b = a * 2; x = [b, b.sum()]")
    notebook.look()
    assert list(recwarn) == []


def test_a_user_tensor_type_is_not_dispatched_to() -> None:
    notebook = Notebook(
        "import torch; calls = []\nclass T(torch.Tensor):\n"
        "  @classmethod\n  def __torch_function__(cls, *args, **kwargs): calls.append(args); raise RuntimeError\n"
        "x = torch.ones(3).as_subclass(T); calls.clear()"
    )
    assert notebook.digest() is not None
    assert notebook["calls"] == []


def test_packages_that_are_not_loaded_are_not_needed() -> None:
    script = (
        "import sys\nfor name in ('numpy', 'pandas', 'torch', 'pyarrow', 'polars', 'sklearn', 'scipy'): sys.modules[name] = None\n"
        "from mlmagic.fingerprint import fingerprint\n"
        "class C:\n  def __init__(self): self.a = bytearray(b'a')\n"
        "assert fingerprint([C(), memoryview(b'ab'), {1: (2,)}, fingerprint, lambda: 1]) is not None\n"
        "assert fingerprint(open(__import__('os').devnull)) is None"
    )
    done = subprocess.run([sys.executable, "-W", "error::ImportWarning", "-c", script], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
