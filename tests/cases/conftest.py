"""A fresh notebook for every case."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy.random
import pandas  # noqa: F401
import pytest
import sklearn.linear_model
import sklearn.pipeline  # noqa: F401

from tests.cases.notebook import Notebook


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook in a project folder of its own; what its cells did to the process is undone."""
    modules, path, environment, state = set(sys.modules), list(sys.path), dict(os.environ), random.getstate()
    random.seed(987)
    numpy.random.seed(987)
    monkeypatch.chdir(tmp_path)
    sys.path.insert(0, str(tmp_path))
    made = Notebook(tmp_path)
    yield made
    made.close()
    sys.path[:] = path
    random.setstate(state)
    os.environ.clear()
    os.environ.update(environment)
    for name in set(sys.modules) - modules:
        where = getattr(sys.modules[name], "__file__", None) or ""
        if where.startswith(str(tmp_path)):
            del sys.modules[name]
