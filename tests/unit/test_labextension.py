"""The page's part by its own tools, where Node and its packages are: strict types, and tests of what it computes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2] / "labextension"


@pytest.fixture(scope="module")
def npm():
    found = shutil.which("npm")
    if found is None or not (HOME / "node_modules" / ".package-lock.json").exists():
        pytest.skip("needs Node and labextension/node_modules, which building the panel installs")
    return found


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_page(npm, script):
    done = subprocess.run([npm, "run", script], cwd=HOME, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
