# ruff: noqa: E501 - a row of a table stays on one line
"""Two values beside each other: the same, close, or different and where."""

from __future__ import annotations

import pickle

import pytest

from mlmagic.capture.behind import code_reach
from mlmagic.fingerprint import Scope
from mlmagic.fingerprint.compare import Difference, difference, parts
from tests.unit.fingerprint.cells import Notebook, cases

TABLE = r"""
x = [1, {'a': 2}] | y = [1, {'a': 2}] | same | None
x = [1, {'a': 2}] | y = [1, {'a': 3}] | different | v[1]['a']
x = [1, 2] | y = [1, 2, 3] | different | v
x = {1: 'a'} | y = {True: 'a'} | different | v[1]
x = 1.0 | y = 1.0 + 1e-9 | close | None
x = 1.0 | y = 1.1 | different | v
x = 0.0 | y = -0.0 | close | None
x = float('nan') | y = float('nan') | same | None
x = float('inf') | y = 5.0 | different | v
x = 1 | y = 1.0 | different | v
x = np.array([1.0, np.nan, np.inf]) | y = np.array([1.0 + 1e-9, np.nan, np.inf]) | close | None
x = np.array([1.0]) | y = np.array([1.0], 'f4') | different | v
x = np.array([1.0]) | y = np.array([[1.0]]) | different | v
x = np.array([1]) | y = np.array([2]) | different | v
x = np.array([1 + 1j]) | y = np.array([1 + 1j + 1e-9]) | close | None
x = pd.DataFrame({'a': [1], 'b': [2.0]}) | y = pd.DataFrame({'a': [1], 'b': [2.0 + 1e-9]}) | close | None
x = pd.DataFrame({'a': [1], 'b': [2.0]}) | y = pd.DataFrame({'a': [2], 'b': [2.0]}) | different | v['a']
x = pd.DataFrame({'a': [1.5]}) | y = pd.DataFrame({'a': [1.5]}, index=[7]) | different | v.index
x = pd.DataFrame({'a': [1]}) | y = pd.DataFrame({'b': [1]}) | different | v.columns[0]
x = pd.Series([1.0]) | y = pd.Series([1.0 + 1e-9]) | close | None
x = pd.Series(['a']) | y = pd.Series(['b']) | different | v
x = torch.ones(2) | y = torch.ones(2) + 1e-6 | close | None
x = torch.ones(2, dtype=torch.bfloat16) | y = torch.zeros(2, dtype=torch.bfloat16) | different | v
n = torch.nn.Linear(1, 1); x = n | import copy; y = copy.deepcopy(n); y.weight.data += 1 | different | v._parameters['weight']
class C: pass\nx = C(); x.a = [1.0] | y = C(); y.a = [1.0 + 1e-9] | close | None
class C: pass\nx = C(); x.a = 1 | y = C(); y.a = 2 | different | v.a
class C: pass\nx = C(); x.a = 1 | y = C(); y.b = 1 | different | v.a
class C(dict): pass\nx = C(a=1); x.n = 1 | y = C(a=2); y.n = 1 | different | v
class C: __slots__ = ('a', '__dict__')\nx = C(); x.a = 1; x.b = 1 | y = C(); y.a = 2; y.b = 1 | different | v
class C: pass\nx = C() | y = C() | same | None
def x(): return 1\n | def y(): return 1\ny.__name__ = y.__qualname__ = 'x'; y.__code__ = x.__code__ | same | None
def x(): return 1\n | y = lambda: 2 | different | v
x = (i for i in [1]) | y = (i for i in [1]) | different | v
x = []; x.append(x) | y = []; y.append(y) | same | None
from sklearn.linear_model import Ridge; x = Ridge().fit([[1.0], [2]], [1, 2]) | y = Ridge().fit([[1.0], [2]], [1, 2 + 1e-9]) | close | None
from sklearn.linear_model import Ridge; x = Ridge().fit([[1.0], [2]], [1, 2]) | y = Ridge().fit([[1.0], [2]], [1, 3]) | different | v.coef_
from sklearn.model_selection import GridSearchCV as G; from sklearn.linear_model import Ridge; f = lambda: G(Ridge(), {'alpha': [1, 2]}, cv=2).fit([[1], [2], [3], [4]], [1, 2, 3, 4]); x = f() | y = f() | same | None
"""


@pytest.mark.parametrize(("one", "other", "verdict", "path"), cases(TABLE))
def test_two_values(one: str, other: str, verdict: str, path: str) -> None:
    notebook = Notebook(one, other)
    scope = Scope(notebook.namespace, code_reach, lambda name: False)
    left, right = (parts("v", notebook[name], scope) for name in "xy")
    found = difference(left, pickle.loads(pickle.dumps(right)))  # they come from another process
    assert (found.verdict, str(found.path)) == (verdict, path)
    assert (found.largest > 0) == (verdict == "close")


def test_the_largest_gap_is_told() -> None:
    found = difference([("v", "number", 100.0)], [("v", "number", 100.0 + 1e-5)])
    assert found == Difference("close", None, pytest.approx(1e-5, rel=1e-3))
