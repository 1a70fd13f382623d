"""A process that is held to a folder: no library and no child of it writes anywhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.kernel.kernels import script

TRY = """
import os, pathlib, subprocess, sys
from mlmagic.session import confine
folder, outside = pathlib.Path("inside"), pathlib.Path("outside")
folder.mkdir(); outside.mkdir(); (outside / "kept").write_text("kept")
print(confine.to([folder, pathlib.Path("missing"), pathlib.Path("/dev/null")]))
def tried(what):
    try:
        what()
        return "done"
    except OSError as error:
        return type(error).__name__
print(tried(lambda: (folder / "a").write_text("a")))
print(tried(lambda: (outside / "a").write_text("a")))
print(tried(lambda: (outside / "kept").unlink()))
print(tried(lambda: os.truncate(outside / "kept", 0)))
print(tried(lambda: os.rename(folder / "a", outside / "b")))
print(tried(lambda: (outside / "kept").read_text()))
print(subprocess.run(["sh", "-c", "echo x > outside/c"], capture_output=True).returncode != 0)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has Landlock")
def test_only_the_named_folders_can_be_written(tmp_path: Path):
    done = script(TRY, tmp_path)
    confined, *rest = done.stdout.split()
    if confined == "False":
        pytest.skip("this kernel has no Landlock")
    denied = "PermissionError"
    assert rest == ["done", denied, denied, denied, denied, "done", "True"], done.stderr
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["kept"]
