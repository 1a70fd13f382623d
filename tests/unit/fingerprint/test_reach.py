# ruff: noqa: E501 - a row of a table stays on one line
"""Names that code inside a value can load or bind, and the modules and packages that it belongs to."""

from __future__ import annotations

import sys
import types

import pytest

from tests.unit.fingerprint.cells import Notebook, cases

NAMES = r"""
def x(): return helper(1)
x = lambda: helper(1)
x = [lambda: helper(1)]
x = {'f': lambda: helper(1)}
def x(f=lambda: helper(1)): pass
def x():\n  def inner(): return helper(1)\n  return inner
x = (lambda f: lambda: f())(lambda: helper(1))
class x:\n  def f(self): return helper(1)
class C:\n  def f(self): return helper(1)\nx = C()
class B:\n  def f(self): return helper(1)\nclass C(B): pass\nx = C()
class C:\n  @property\n  def f(self): return helper(1)\nx = C()
class C:\n  @staticmethod\n  def f(): return helper(1)\nx = C()
class C:\n  @classmethod\n  def f(cls): return helper(1)\nx = C()
class C:\n  f = lambda self: helper(1)\nx = C().f
class M(type):\n  def __call__(cls): return helper(1)\nclass x(metaclass=M): pass
class C(dict):\n  def f(self): return helper(1)\nx = C()
import functools\nclass C:\n  @functools.cached_property\n  def f(self): return helper(1)\nx = C()
class C:\n  class D:\n    def f(self): return helper(1)\nx = C()
class Descriptor:\n  def __get__(self, obj, cls): return helper(1)\nclass C: f = Descriptor()\nx = C()
import functools; x = functools.partial(lambda a: helper(a), 1)
import functools\n@functools.lru_cache\ndef x(a): return helper(a)
import functools\ndef deco(f):\n  @functools.wraps(f)\n  def inner(*a): return f(*a)\n  return inner\n@deco\ndef x(): return helper(1)
def deco(f):\n  def inner(*a): return helper(f(*a))\n  return inner\n@deco\ndef x(): return 1
import contextlib\n@contextlib.contextmanager\ndef x(): yield helper(1)
import functools\n@functools.singledispatch\ndef x(a): return helper(a)
import functools\n@functools.singledispatch\ndef x(a): return 1\n@x.register\ndef _(a: int): return helper(a)
from dataclasses import dataclass, field\n@dataclass\nclass C:\n  a: list = field(default_factory=lambda: helper(1))\nx = C([])
import enum\nclass E(enum.Enum):\n  A = 1\n  def f(self): return helper(1)\nx = E.A
x = map(lambda a: helper(a), [1])
x = (helper(a) for a in [1])
def f():\n  yield helper(1)\nx = f()
async def f(): return helper(1)\nx = f(); x.close(); x = f
import threading; x = [threading.Lock(), lambda: helper(1)]
x = np.vectorize(lambda a: helper(a))
x = np.array([lambda: helper(1)], object)
x = pd.Series([lambda: helper(1)])
import collections; x = collections.defaultdict(lambda: helper(1))
class N(torch.nn.Module):\n  def forward(self, a): return helper(a)\nx = torch.nn.Sequential(N())
m = torch.nn.Linear(1, 1); m.register_forward_hook(lambda *a: helper(1)); x = m
t = torch.ones(1, requires_grad=True); t.register_hook(lambda g: helper(g)); x = t
from sklearn.preprocessing import FunctionTransformer; x = FunctionTransformer(lambda a: helper(a))
from sklearn.preprocessing import FunctionTransformer\nfrom sklearn.pipeline import make_pipeline; x = make_pipeline(FunctionTransformer(lambda a: helper(a)))
from sklearn.base import BaseEstimator\nclass E(BaseEstimator):\n  def fit(self, X): return helper(X)\nx = E()
from sklearn.metrics import make_scorer; x = make_scorer(lambda a, b: helper(a))
from sklearn.model_selection import GridSearchCV; from sklearn.linear_model import Ridge; x = GridSearchCV(Ridge(), {}, scoring=lambda e, X, y: helper(X))
from sklearn.feature_extraction.text import CountVectorizer; x = CountVectorizer(tokenizer=lambda t: helper(t))
def deco(f):\n  return lambda: helper(f)\nx = deco(1)
"""


@pytest.mark.parametrize("setup", [row.values[0] for row in cases(NAMES)])
def test_names_are_found_through_whatever_holds_the_code(setup: str) -> None:
    assert "helper" in Notebook("def helper(a): return a", setup).look().names


@pytest.mark.parametrize("setup", ["def x(): pass", "x = len", "x = [1]", "import functools; x = functools.reduce"])
def test_code_that_loads_nothing_has_no_names(setup: str) -> None:
    assert "helper" not in Notebook("helper = 1", setup).look().names


def test_names_bound_through_global_are_stores() -> None:
    notebook = Notebook("def x():\n  global counter\n  counter = 1")
    assert "counter" in notebook.look().stores


def test_code_that_can_load_anything_is_dynamic() -> None:
    assert Notebook("x = [lambda t: eval(t)]").look().dynamic
    assert not Notebook("x = [lambda t: t]").look().dynamic


def test_code_that_reads_the_environment_says_so() -> None:
    assert Notebook("import os\nx = lambda: os.environ['HOME']").look().environment


def test_modules_and_packages_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("localmodule_here")
    exec("def f(): return 1\nclass C: pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "localmodule_here", module)
    notebook = Notebook("import localmodule_here as m\nx = m.f; y = m.C(); z = np.array([1]); w = m")
    assert notebook.look("x").modules == {"localmodule_here"}
    assert notebook.look("y").modules == {"localmodule_here"}
    assert notebook.look("w").modules == {"localmodule_here"}
    assert notebook.look("z").packages == {"numpy"}
    assert notebook.look("z").modules == frozenset()


def test_a_package_function_is_known_by_name_and_brings_no_names() -> None:
    notebook = Notebook("import json; x = json.dumps")
    seen = notebook.look()
    assert seen.constant
    assert seen.packages == {"json"}
    assert seen.names == frozenset()
