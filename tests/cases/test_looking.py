"""Looking changes nothing: a cell that only reads writes nothing."""

from __future__ import annotations

import pytest

from tests.cases.notebook import names

VALUES = """
import collections, copy, datetime, functools, json, pickle, random
import numpy as np, pandas as pd
from sklearn.linear_model import LinearRegression
class P:
    def __init__(self): self.items = [1, 2]; self.d = {'a': 1}
    def __repr__(self): return 'P'
    def __len__(self): return 2
    def total(self): return sum(self.items)
def add(a, b=1): return a + b
p = P()
xs = [3, 1, 2]; d = {'a': [1], 'b': {'c': 2}}; s = {1, 2}; t = (1, [2]); text = 'some text'; n = 5
a = np.arange(12.).reshape(3, 4); v = a[1:]
df = pd.DataFrame({'g': ['a', 'b', 'a'], 'x': [1, 2, 3], 'when': pd.date_range('2020', periods=3)})
ser = df['x']; cat = df['g'].astype('category'); idx = df.index
model = LinearRegression().fit(a, a[:, 0])
when = datetime.datetime(2020, 1, 1)
"""

LOOKS = """
repr(p), str(p), len(p), bool(p), hash(p)
print(xs, d, df, a, p)
for x_ in xs: pass
[i for i in xs], {k: w for k, w in d.items()}
list(d), list(d.items()), d.get('z'), 'a' in d, 3 in xs
sorted(xs), sum(xs), max(xs), xs.index(1), xs.count(1), xs + [1], xs[::-1], xs == [1]
f'{xs!r:>30} {n:05d} {text.upper()}'
json.dumps(d), pickle.dumps([p, xs, df, a, model])
copy.copy(d), copy.deepcopy([p, xs, df, model])
getattr(p, 'items'), hasattr(p, 'nothing'), vars(p), isinstance(p, P), type(p), id(p), dir(p)
p.total(), p.items, p.d['a']
text.split(), text.replace('a', 'b'), text[1:], text.encode()
a.sum(), a.mean(axis=0), a.T, a @ a.T, a > 2, a[a > 3], np.sum(a), np.sqrt(a), a.copy(), a.tolist(), v.shape
np.linalg.norm(a), np.sort(a), np.unique(a), a.astype(int), a.ravel()
df.head(), df.tail(1), df.shape, df.dtypes, df.columns, df.index, len(df)
df.describe(), df.info(), df.isna().sum(), df.nunique(), df.memory_usage(deep=True)
df.groupby('g')['x'].sum(), df.groupby('g').agg({'x': 'mean'}), df.pivot_table(index='g', values='x')
df['x'], df[['g', 'x']], df[df.x > 1], df.loc[0], df.iloc[1], df.at[0, 'x'], df.query('x > 1')
df.sort_values('x'), df.drop(columns='x'), df.rename(columns={'x': 'y'}), df.assign(z=1)
df.merge(df), df.T, df.copy()
df.apply(lambda r: r['x'], axis=1), df.x.map(str), df.g.str.upper(), df.when.dt.year
df.corr(numeric_only=True), df.to_dict(), df.to_numpy(), df.values, df._repr_html_()
df.to_csv(), df.to_json(), list(df.itertuples()), df.index.is_unique
df.set_index('g').loc['a'], df.index.get_loc(1), df.g.value_counts(), df.reset_index()
df.x.is_monotonic_increasing, ser.plot if False else None, cat.cat.categories, cat.cat.codes
ser.sum(), ser.value_counts(), ser.unique(), idx.values
cat.value_counts(), ser.loc[1], 2 in idx, idx.get_indexer([1]), idx.is_unique, idx.hasnans
pd.crosstab(df.g, df.x), pd.concat([df, df]), pd.get_dummies(df), pd.cut(df.x, 2)
model.predict(a), model.score(a, a[:, 0]), model.get_params(), repr(model), model._repr_html_(), model.coef_
add(n), add(1, b=n), list(map(add, xs)), functools.reduce(add, xs)
when.year, when.isoformat(), when - datetime.timedelta(1)
t[1][0], t + (1,), s | {3}, s & {1}, 1 in s, frozenset(s)
collections.Counter(xs), list(zip(xs, t)), dict(enumerate(xs)), any(xs), all(xs), reversed(xs)
p is p, p == p, p != xs, not p
""".strip().splitlines()


@pytest.mark.parametrize("look", LOOKS)
def test_looking_changes_nothing(notebook, look):
    notebook.cell(VALUES)
    ran = notebook.cell(look)
    assert ran.error is None
    assert names(ran.writes) - {"x_"} == set()
    assert {kind for kind, _ in ran.writes} <= {"variable"}


def test_a_class_with_a_cached_property_is_changed_by_its_first_use_only(notebook):
    notebook.cell("from functools import cached_property")
    notebook.cell("class Q:\n    @cached_property\n    def all(self): return [1]\nq = Q()")
    assert notebook.cell("repr(q), vars(Q)").writes == {}
    assert notebook.cell("q.all").writes == {("variable", "q"): "mutate"}
    assert notebook.cell("q.all").writes == {}
