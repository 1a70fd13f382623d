"""A value in words: type, shape, size, and a preview of what is safe to show."""

from __future__ import annotations

import pytest

from mlmagic.fingerprint import Description, describe
from tests.unit.fingerprint.cells import Notebook, cases

WORDS = r"""
x = 5 | int | None | None | 5
x = 'a' | str | None | None | 'a'
x = 10**400 | int | None | None | None
x = 'a' * 100 | str | None | None | 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…
x = [1, 2] | list | (2,) | None | None
x = b'ab' | bytes | (2,) | 2 | None
x = np.zeros((2, 3)) | ndarray | (2, 3) | 48 | None
x = np.array(5) | ndarray | () | 8 | 5
x = np.float64(1.5) | float64 | () | 8 | 1.5
x = pd.DataFrame({'a': [1, 2]}) | DataFrame | (2, 1) | 16 | None
x = pd.Series([1, 2]) | Series | (2,) | 16 | None
x = pl.DataFrame({'a': [1, 2]}) | DataFrame | (2, 1) | None | None
x = torch.zeros(2, 3) | Tensor | (2, 3) | 24 | None
x = torch.nn.Linear(1, 1) | Linear | None | None | None
x = int | type | None | None | None
x = np.float64 | type | None | None | None
x = np.dtype('f8') | Float64DType | () | None | None
"""


@pytest.mark.parametrize(("setup", "kind", "shape", "nbytes", "preview"), cases(WORDS))
def test_values_in_words(setup: str, kind: str, shape: str, nbytes: str, preview: str) -> None:
    found = describe("x", Notebook(setup)["x"])
    shown = (found.type, str(found.shape), str(found.nbytes), str(found.preview))
    assert shown == (kind, shape, nbytes, preview)


NASTY = """
class C:
    def __repr__(self): raise RuntimeError
    __len__ = __str__ = __getattr__ = __iter__ = __bool__ = __repr__
"""


@pytest.mark.parametrize(
    "holder",
    [
        "x",
        "[x]",
        "(lambda a: a.__setitem__((), x) or a)(np.empty((), object))",
        "{1: x}",
        "type('D', (list,), {'__len__': 0})()",
    ],
)
def test_no_repr_of_the_users_is_run(holder: str) -> None:
    notebook = Notebook(NASTY, "x = C()", f"y = {holder}")
    assert describe("y", notebook["y"]).preview is None


@pytest.mark.parametrize("name", ["api_key", "my_token", "PASSWORD", "secret_sauce"])
def test_secrets_are_not_shown(name: str) -> None:
    notebook = Notebook("x = np.array(5)")
    assert describe(name, "hunter2") == Description("str")
    assert describe(name, notebook["x"]).preview is None
