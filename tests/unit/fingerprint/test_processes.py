"""A digest is the same in every process: under any hash seed, at any address, in any order of the work before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.fingerprint import test_changes, test_equality

ROOT = Path(__file__).parents[3]

# Prints the digests of everything that the other tests look at, each in a namespace of its own.
SCRIPT = """
import json, sys, warnings
import numpy, torch
from tests.unit.fingerprint.cells import Notebook

def digest(setup):
    torch.manual_seed(0)
    return Notebook(setup).digest("x")

setups = json.load(sys.stdin)
print(json.dumps([digest(setup) for setup in setups]))
"""


def zoo() -> list[str]:
    tables = [test_changes.TABLE, test_equality.EQUAL, test_equality.DIFFERENT]
    rows = [row for table in tables for row in table.strip().splitlines() if row.strip()]
    return [row.split(" | ")[0].strip().replace("\\n", "\n") for row in rows]


def digests(seed: str, setups: list[str], folder: Path) -> list[str | None]:
    env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    folder.mkdir()
    done = subprocess.run(command, env=env, cwd=folder, input=json.dumps(setups), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[str | None] = json.loads(done.stdout)
    return found


def test_processes_with_other_hash_seeds_find_the_same_digests(tmp_path: Path) -> None:
    for library in ("numpy", "pandas", "pyarrow", "polars", "torch", "sklearn"):
        pytest.importorskip(library)
    setups = zoo()
    assert len(setups) > 300
    with ThreadPoolExecutor(2) as pool:
        reverse = pool.submit(digests, "12345", setups[::-1], tmp_path / "reverse")
        first, second = pool.map(lambda seed: digests(seed, setups, tmp_path / seed), ("0", "1"))
    third = reverse.result()[::-1]
    assert None not in first
    assert {setup for setup, *found in zip(setups, first, second, third, strict=True) if len(set(found)) > 1} == set()
