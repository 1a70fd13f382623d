"""Kernels for tests: one for a whole module where its tests do not disturb each other, or one of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import user_folders
from tests.kernel.kernels import Kernel


@pytest.fixture(scope="module")
def kernel(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A tracked kernel that the tests of a module share; each uses names of its own."""
    with Kernel(tmp_path_factory.mktemp("project"), env=user_folders(home)) as kernel:
        yield kernel


@pytest.fixture
def new_kernel(tmp_path: Path) -> Iterator[Callable[..., Kernel]]:
    """`new_kernel(...)`: a kernel of this test alone, in the test's folder, ended with the test."""
    with ExitStack() as running:

        def start(*arguments: str, folder: Path = tmp_path, **options: Any) -> Kernel:
            return running.enter_context(Kernel(folder, *arguments, **options))

        yield start
