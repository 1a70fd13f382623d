"""Optional packages: the table of what they are needed for, and one way to ask for them."""

from __future__ import annotations

import importlib
import sys
import warnings
from types import ModuleType

from mlmagic.errors import MissingPackageError

# package -> (extra that installs it, what it is needed for)
PACKAGES: dict[str, tuple[str, str]] = {
    "nbclient": ("run", "executing notebooks"),
    "nbformat": ("run", "reading and writing notebooks"),
    "ipykernel": ("run", "executing notebooks"),
    "optuna": ("sweep", "sweeping hyperparameters"),
    "scipy": ("check", "p-values"),
    "threadpoolctl": ("check", "the joint drift test"),
    "onnx": ("serve", "reading an exported model"),
    "onnxruntime": ("serve", "running an exported model"),
    "httptools": ("serve", "serving a bundle"),
    "orjson": ("serve", "serving a bundle"),
    "simdjson": ("serve", "reading wide rows"),
    "uvloop": ("serve", "serving a bundle"),
    "skl2onnx": ("export", "exporting scikit-learn models"),
    "onnxmltools": ("export", "exporting xgboost and lightgbm models"),
    "onnxscript": ("export-torch", "exporting torch modules"),
    "pyarrow": ("score", "scoring files"),
    "sklearn": ("check", "evaluating models and the joint drift test"),
}


def need(name: str) -> ModuleType:
    """Import an optional package, or say in one line which extra brings it."""
    try:
        with warnings.catch_warnings():  # what packages say to each other while they are imported is not for the user
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        extra, purpose = PACKAGES[name.partition(".")[0]]
        raise MissingPackageError(f"{name} is needed for {purpose}: pip install 'mlmagic[{extra}]'") from error


def loaded(name: str) -> ModuleType | None:
    """The module if the user's process has imported it already; never imports anything.

    A value of a package's type can only exist where the package is loaded, so capture and
    fingerprints ask here and stay free of its import time.
    """
    return sys.modules.get(name)
