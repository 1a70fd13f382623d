"""Versions that results depend on: of what was used, and of what that rests on."""

from __future__ import annotations

import importlib.metadata
import sys
import types

import numpy as np
import pytest

from mlmagic.cache.versions import version, versions


def test_the_version_of_what_is_loaded_is_what_it_says_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert version("numpy") == np.__version__
    monkeypatch.setattr(np, "__version__", "99.1")
    assert version("numpy") == "99.1"


def test_the_version_of_what_is_not_loaded_is_that_of_its_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numpy")
    assert version("numpy") == importlib.metadata.version("numpy")


def test_a_package_may_bear_another_name_than_its_distribution() -> None:
    try:
        expected = importlib.metadata.version("scikit-learn")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("scikit-learn is not installed")
    assert version("sklearn") == expected


def test_what_is_not_installed_has_none() -> None:
    assert version("no_such_package_at_all") is None


def test_a_version_that_is_no_text_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = types.ModuleType("odd_package")
    odd.__version__ = (1, 2)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "odd_package", odd)
    assert version("odd_package") is None


def test_results_of_others_rest_on_the_foundations() -> None:
    found = versions(["mlmagic"])
    assert found["numpy"] == np.__version__


def test_the_standard_library_and_nothing_at_all_have_no_versions() -> None:
    assert versions([]) == {}
    assert versions(["json", ""]) == {}
