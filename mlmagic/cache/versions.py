"""Versions of installed packages, as a cell's results depend on them."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable
from functools import lru_cache

from mlmagic._optional import loaded

# What results of others rest on, without their types or functions turning up in a notebook.
_FOUNDATIONS = ("numpy", "scipy", "pandas", "pyarrow", "joblib")


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Version of each installed package among `packages`, and of those that they rest on."""
    wanted = {name for name in packages if name and name not in sys.stdlib_module_names}
    wanted |= {name for name in _FOUNDATIONS if wanted and loaded(name) is not None}
    found = {name: version(name) for name in sorted(wanted)}
    return {name: text for name, text in found.items() if text is not None}


def version(package: str) -> str | None:
    """The version of a package by the name under which it is imported; ``None``: it is none that is installed."""
    text = getattr(loaded(package), "__version__", None)
    return text if isinstance(text, str) else _installed(package)


@lru_cache(maxsize=1000)
def _installed(package: str) -> str | None:
    for name in (package, package.replace("_", "-"), _DISTRIBUTIONS.get(package, package)):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


_DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
}
