"""The house keeps its own rules: names, imports, contracts, and what goes into the distributions."""

from __future__ import annotations

import importlib.util
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import mlmagic

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "sklearn", "pandas", "duckdb", "altair", "optuna", "IPython")


def python(code: str, *, cwd: Path | None = None) -> str:
    """What a fresh interpreter prints when it runs `code`."""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_module_hides_a_public_function_of_its_name():
    # `import mlmagic.drift` would put the module where `mlmagic.drift()` was.
    modules = {module.name for module in pkgutil.iter_modules(mlmagic.__path__)}
    assert not modules & set(mlmagic.__all__)


def test_every_public_name_resolves():
    for name in mlmagic.__all__:
        assert getattr(mlmagic, name) is not None


def test_importing_mlmagic_brings_nothing_heavy():
    loaded = json.loads(python("import mlmagic, sys, json; print(json.dumps(sorted(sys.modules)))"))
    assert "mlmagic" in loaded
    assert not [name for name in HEAVY if name in loaded]


def test_import_contracts_hold():
    if importlib.util.find_spec("importlinter") is None:
        pytest.skip("import-linter is not installed")
    code = "import sys; from importlinter import cli; sys.exit(cli.lint_imports(no_cache=True))"
    assert "0 broken" in python(code, cwd=ROOT)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Names of the files in the sdist and in the wheel made from it, without the sdist's top folder."""
    for package in ("build", "hatchling"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(clean_copy(out.parent))],
        env={**os.environ, "MLMAGIC_LABEXTENSION": "skip"},
        check=True,
        capture_output=True,
    )
    with tarfile.open(next(out.glob("*.tar.gz"))) as sdist, zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
        return {
            "sdist": {name.partition("/")[2] for name in sdist.getnames()},
            "wheel": set(wheel.namelist()),
        }


def clean_copy(folder: Path) -> Path:
    """The checkout as git has it or would take it, so that nothing ignored leaks into what is tested."""
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".mlmagic", ".hypothesis", "node_modules", "dist")
    return Path(shutil.copytree(ROOT, folder / "checkout", ignore=ignored))


@pytest.mark.slow
def test_wheel_holds_the_package_its_licence_and_nothing_else(distributions):
    wheel = distributions["wheel"]
    assert {"mlmagic/__init__.py", "mlmagic/py.typed"} <= wheel
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
    tops = {name.partition("/")[0] for name in wheel}
    assert {top for top in tops if ".d" not in top} == {"mlmagic"}  # besides .dist-info and .data


@pytest.mark.slow
def test_sdist_holds_what_is_needed_to_build_and_test_it(distributions):
    needed = {"pyproject.toml", "hatch_build.py", "LICENSE", "README.md", "CHANGELOG.md", "Makefile", "constraints.txt"}
    assert needed <= distributions["sdist"]
    assert "tests/conftest.py" in distributions["sdist"]
