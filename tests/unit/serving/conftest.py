"""Servers of small made models, one of each layout, shared by the tests of a file."""

from __future__ import annotations

import pytest

from tests.unit.serving import made
from tests.unit.serving.running import running


@pytest.fixture(scope="module")
def sums(tmp_path_factory):
    with running(made.matrix(tmp_path_factory.mktemp("bundles"))) as server:
        yield server


@pytest.fixture(scope="module")
def towns(tmp_path_factory):
    with running(made.columns(tmp_path_factory.mktemp("bundles"))) as server:
        yield server


@pytest.fixture(scope="module")
def doubled(tmp_path_factory):
    with running(made.tensor(tmp_path_factory.mktemp("bundles"))) as server:
        yield server
