# ruff: noqa: E501 - a row of a table stays on one line
"""What cannot be known has no digest, wherever it hides; depth and cycles are no reason."""

from __future__ import annotations

import pytest

from tests.unit.fingerprint.cells import Notebook, cases

OPAQUE = r"""
x = (i for i in [1])
async def f(): pass\nx = f(); x.close()
async def f(): yield\nx = f()
import threading; x = threading.Lock()
import threading; x = threading.RLock()
import threading; x = threading.Thread()
import threading; x = threading.local()
import queue; x = queue.Queue()
import socket; x = socket.socket(); x.close()
x = open('file', 'w'); x.close()
import io; x = io.StringIO()
import sqlite3; x = sqlite3.connect(':memory:'); x.close()
import csv; x = csv.reader(['a'])
import mmap; x = mmap.mmap(-1, 10)
import sys; x = sys._getframe()
import contextvars; x = contextvars.ContextVar('x')
import ctypes\nclass S(ctypes.Structure): _fields_ = [('a', ctypes.c_int)]\nx = S(1)
import struct\nclass S(struct.Struct): pass\nx = S('i')
import itertools\nclass I(itertools.count): pass\nx = I()
x = torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8)
x = torch.ones(2, device='meta')
"""


@pytest.mark.parametrize("setup", [row.values[0] for row in cases(OPAQUE)])
@pytest.mark.parametrize(
    "place", ["x", "[x]", "{'a': (1, [x])}", "(lambda x: lambda: x)(x)", "Holder(x)", "{Holder(x), 1}"]
)
@pytest.mark.filterwarnings("ignore:torch.ao:DeprecationWarning", "ignore:.*quantize:UserWarning")
def test_opaque_things_have_no_digest_anywhere(setup: str, place: str) -> None:
    notebook = Notebook("class Holder:\n  def __init__(self, a): self.a = a", setup)
    seen = notebook.run(f"x = {place}").look()
    assert seen.fingerprint is None
    assert not seen.constant


DEEP = r"""
x = []\nfor _ in range(100_000): x = [x]
x = ()\nfor _ in range(100_000): x = (x,)
x = [1]\nfor _ in range(100_000): x = (x,)
x = {}\nfor _ in range(100_000): x = {'a': x}
x = frozenset()\nfor _ in range(100_000): x = frozenset({x})
class N: pass\nx = None\nfor _ in range(100_000): n = N(); n.next = x; x = n
class N: pass\nx = None\nfor _ in range(3000): n = N(); n.next = {x}; x = n
class N: pass\nx = None\nfor _ in range(3000): n = N(); n.next = {x, 1}; x = n
"""


@pytest.mark.parametrize("setup", [row.values[0] for row in cases(DEEP)])
def test_depth_is_no_limit_and_the_innermost_counts(setup: str) -> None:
    seed = setup.split("\n")[-2] if "class" in setup else setup.split("\n")[0]
    other = {
        "x = None": "x = 7",
        "x = []": "x = [7]",
        "x = ()": "x = (7,)",
        "x = [1]": "x = [7]",
        "x = {}": "x = {7: 7}",
    }
    other["x = frozenset()"] = "x = frozenset({7})"
    first = Notebook(setup).digest()
    second = Notebook(setup.replace(seed, other[seed])).digest()
    assert first is not None
    assert second is not None
    assert first == Notebook(setup).digest()
    assert first != second


CYCLES = r"""
x = []; x.append(x)
x = {}; x['a'] = [x]
x = []; x.append((x, x))
class N: pass\nx = N(); x.me = x
class N: pass\nx = N(); x.all = {x}
class N: pass\nx = N(); x.all = frozenset({x, 1})
class N: pass\nns = [N() for _ in range(60)]\nfor i, n in enumerate(ns): n.i = i; n.near = {ns[i - 1], ns[i - 2], ns[(i + 1) % 60]}\nx = ns
def f(): return f\nf.me = f; x = f
def make():\n  def inner(): return inner\n  return inner\nx = make()
class C:\n  def f(self): return super().f()\nx = C
import weakref\nclass N: pass\na, b = N(), N(); a.child = b; b.parent = weakref.ref(a); x = a
x = np.empty(2, object); x[0] = x; x[1] = 1
x = pd.DataFrame({'a': [1]}); x.attrs['me'] = [x.attrs]
"""


@pytest.mark.parametrize("setup", [row.values[0] for row in cases(CYCLES)])
def test_cycles_end(setup: str) -> None:
    digest = Notebook(setup).digest()
    assert digest is not None
    assert digest == Notebook(setup).digest()


def test_more_objects_than_the_limit_are_opaque_and_share_with_everything() -> None:
    notebook = Notebook("class N: pass\nx = [N() for _ in range(100)]; y = [1]; z = 5")
    seen = notebook.look("x", limit=50)
    assert seen.fingerprint is None
    assert not seen.complete
    assert seen.overlaps(notebook.look("y"))
    assert not seen.overlaps(notebook.look("z"))
    assert notebook.look("x", limit=150).fingerprint is not None


def test_shared_tuples_that_unfold_without_end_stop_at_the_limit() -> None:
    notebook = Notebook("x = ([1],)\nfor _ in range(60): x = (x, x)")
    assert notebook.look("x", limit=10_000).fingerprint is None
