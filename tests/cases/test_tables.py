"""Every table of this folder: cells as text, and what each must read and write."""

from __future__ import annotations

import pytest

from tests.cases.tables import check, read_all


@pytest.mark.parametrize("case", read_all())
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_case(notebook, case):
    check(notebook, case)


def test_very_many_names(notebook):
    made = notebook.cell("for i in range(2000): globals()[f'v{i}'] = [i]")
    assert len(made.writes) == 2001
    ran = notebook.cell("v7.append(v1999)")
    assert ran.reads == {("variable", "v7"), ("variable", "v1999")}
    assert ran.writes == {("variable", "v7"): "mutate"}
