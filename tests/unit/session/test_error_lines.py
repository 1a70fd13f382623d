"""Which line of a cell as typed had failed, from the traceback of what IPython made of it."""

from __future__ import annotations

from typing import Any

import pytest

from mlmagic.session.hooks import describe_error, error_line


def raised(code: str) -> BaseException:
    """The error of running `code` as IPython runs a cell."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(code, "<cell>", "exec"), namespace)
    except BaseException as error:
        return error
    raise AssertionError(code)


@pytest.mark.parametrize(
    ("typed", "ran", "line"),
    [
        ("1/0", "1/0", 1),
        ("\n \n1/0", "1/0", 3),
        ("%%track a\nx = 1\n1/0", "\nx = 1\n1/0", 3),
        ("%%time\nx = 1\n1/0", "exec(compile('x = 1\\n1/0', 'body', 'exec'))", 3),
        ("%%track a\n%%time\n\nx = 1\n1/0", "exec(compile('x = 1\\n1/0', 'body', 'exec'))", 5),
        ("%%time\nx = 1", "run_cell_magic()", 1),
    ],
)
def test_the_line_counts_from_the_top_of_what_was_typed(typed, ran, line):
    assert error_line(raised(ran), typed) == line


def test_a_syntax_error_names_its_own_line():
    with pytest.raises(SyntaxError) as broken:
        compile("x = 1\ny = (", "<cell>", "exec")
    assert error_line(broken.value, "\n\nx = 1\ny = (", before=True) == 4


def test_no_error_has_no_line():
    assert error_line(None, "x = 1") is None


def test_an_error_is_described_in_one_line_without_asking_it():
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("asked")

    assert describe_error(OddError("told\nin two lines")) == f"{OddError.__qualname__}: told"
    assert describe_error(OddError(object())) == OddError.__qualname__
    assert describe_error(KeyError()) == "KeyError"
    assert len(describe_error(ValueError("x" * 10_000)) or "") <= 300
