"""Big buffers are hashed where they lie: looking at 400 MB takes less than 20 MB more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SETUP = """
import numpy as np
from mlmagic.fingerprint import fingerprint
BIG = 400_000_000
raw = np.full(BIG, 97, "u1")
"""
STRINGS = """
import pyarrow as pa
offsets = pa.py_buffer(np.arange(0, BIG + 1, 400, dtype=np.int64))
valid = None
x = pa.Array.from_buffers(pa.large_string(), BIG // 400, [valid, offsets, pa.py_buffer(raw)])
fingerprint(x.slice(0, 100))
"""
MEASURE = """
def memory(name):
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return int(lines[name].split()[0]) // 1024

fingerprint([1])
open("/proc/self/clear_refs", "w").write("5")
before = memory("VmRSS")
assert fingerprint(x) is not None
print(memory("VmHWM") - before)
"""
KINDS = {
    "array": "x = raw.view('f8')",
    "array in a list": "x = [raw.view('f8')]",
    "array in Fortran order": "x = raw.view('f8').reshape(5000, 10000).T",
    "array with rows of many megabytes": "x = raw.view('f8').reshape(-1, 2).T",
    "frame": "import pandas as pd; x = pd.DataFrame(raw.view('f8').reshape(-1, 50), copy=False); fingerprint(x.head())",
    "strings": STRINGS,
    "strings with nulls": STRINGS.replace(
        "valid = None", "valid = pa.py_buffer(np.full(BIG // 3200, 0b11110111, 'u1'))"
    ),
    "pandas strings": STRINGS
    + "import pandas as pd; x = pd.Series(x, dtype=pd.ArrowDtype(x.type)); fingerprint(x.head())",
    "tensor": "import torch; x = torch.from_numpy(raw.view('f8')); fingerprint(x[:3])",
    "transposed tensor": "import torch; x = torch.from_numpy(raw.view('f8').reshape(5000, -1)).t(); fingerprint(x[:3])",
    "bytearray": "x = bytearray(raw)",
    "text": "x = 'a' * BIG; fingerprint('a' * 100_000)",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak")
def test_a_big_buffer_is_not_copied(kind: str) -> None:
    for library in ("numpy", "pandas", "pyarrow", "torch"):
        if library in KINDS[kind]:
            pytest.importorskip(library)
    script = SETUP + KINDS[kind] + MEASURE
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20
