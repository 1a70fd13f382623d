"""Settings of installed packages: `pd.set_option` in one cell changes what the next one shows or computes.

Where a package's settings can be seen they are compared after every cell. Elsewhere a call whose value is
dropped, made on the package, counts as a change of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any

from mlmagic._optional import loaded
from mlmagic.fingerprint import fingerprint

# Calls by these names change no settings: they write elsewhere, show, or draw what is seen otherwise.
_QUIET = re.compile(
    r"(save|dump|write|to_|print|show|display|close|assert|test|info|download|seed|manual_seed|set_state|set_rng_state)"
)
_SETTING = re.compile(
    r"(set|reset|register|unregister|enable|disable|use|config|option|add|remove|default|init|patch|install)"
)
_NOT_SETTINGS = ("backend", "backend_fallback", "interactive", "toolbar", "figure.raise_window")


# Each gives the settings as they are, compared with `known` without a copy where nothing changed.


def _pandas(known: Any) -> Any:
    config = loaded("pandas._config.config")
    if config is None or known == config._global_config:
        return known
    return _copied(config._global_config)


def _copied(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copied(value) if type(value) is dict else value for name, value in options.items()}


def _matplotlib(known: Any) -> Any:
    package = loaded("matplotlib")
    if package is None or not hasattr(package, "rcParams"):
        return known
    # dict's own methods: asking RcParams for the backend would choose one
    now = dict(dict.items(package.rcParams))
    for name in _NOT_SETTINGS:
        now.pop(name, None)
    return now


def _numpy(known: Any) -> Any:
    package = loaded("numpy")
    if package is None or not hasattr(package, "get_printoptions"):
        return known
    return package.geterr(), package.get_printoptions()


def _sklearn(known: Any) -> Any:
    config = loaded("sklearn._config")
    return config.get_config() if config is not None and hasattr(config, "get_config") else known


def _torch(known: Any) -> Any:
    package = loaded("torch")
    cudnn = loaded("torch.backends.cudnn")
    if package is None or cudnn is None or not hasattr(package, "get_float32_matmul_precision"):
        return known  # absent, or still being imported
    return (
        package.get_default_dtype(),
        package.is_grad_enabled(),
        package.are_deterministic_algorithms_enabled(),
        package.get_float32_matmul_precision(),
        cudnn.deterministic,
        cudnn.benchmark,
    )


_SETTINGS: dict[str, Callable[[Any], Any]] = {
    "pandas": _pandas,
    "matplotlib": _matplotlib,
    "numpy": _numpy,
    "sklearn": _sklearn,
    "torch": _torch,
}


class PackageSettings:
    """The settings of known packages as the last cell left them."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        self._digests: dict[str, tuple[Any, str | None]] = {}  # package -> settings, their digest

    def look(self) -> tuple[set[str], set[str]]:
        """Packages whose settings changed since the last look, and those seen for the first time."""
        changed: set[str] = set()
        new: set[str] = set()
        for name, settings in _SETTINGS.items():
            known = self._known.get(name)
            try:
                now = settings(known)
                same = now is known or bool(now == known)
            except Exception:  # a half-imported package, or values that cannot be compared
                continue
            if same:
                continue
            (changed if name in self._known else new).add(name)
            self._known[name] = now
        return changed, new

    @staticmethod
    def known() -> set[str]:
        """Packages whose settings are compared after every cell."""
        return set(_SETTINGS)

    def digest(self, name: str) -> str | None:
        """Digest of a package's settings as they are; ``""`` where they are not looked at, or it is not loaded."""
        settings = _SETTINGS.get(name)
        if settings is None:
            return ""
        known, digest = self._digests.get(name, (None, None))
        try:
            now = settings(known)
            if now is None or now is known or bool(now == known):
                return "" if now is None else digest
        except Exception:  # a half-imported package
            return None
        self._digests[name] = now, fingerprint(now)
        return self._digests[name][1]


def packages_behind(
    paths: frozenset[str], namespace: Mapping[str, Any], is_local: Callable[[str], bool], new: set[str]
) -> set[str]:
    """The installed packages that calls such as ``sns.set_theme(...)`` are made on, where the effect is hidden.

    Not the user's own functions and the standard library; nor packages whose settings are compared, except
    those seen for the first time (`new`) and pyplot, whose current figure is a setting, too.
    """
    found = set()
    for path in paths:
        package = _package_behind(path, namespace, is_local)
        last = path.rpartition(".")[2]
        if package is None or _QUIET.match(last) or isinstance(_resolved(path, namespace), type):
            continue
        if package not in _SETTINGS or package == "matplotlib" or (package in new and _SETTING.match(last)):
            found.add(package)
    return found


def _resolved(path: str, namespace: Mapping[str, Any]) -> object:
    """What a dotted path stands for, as far as modules hold it."""
    root, *rest = path.split(".")
    value: Any = namespace.get(root)
    for name in rest:
        value = vars(value).get(name) if isinstance(value, ModuleType) else None
    return value


def _package_behind(path: str, namespace: Mapping[str, Any], is_local: Callable[[str], bool]) -> str | None:
    value = namespace.get(path.partition(".")[0])
    if isinstance(value, ModuleType):
        name = value.__name__
    elif isinstance(value, (FunctionType, type)):
        name = str(value.__module__)
    else:
        return None
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in ("__main__", "mlmagic", "IPython") or is_local(name):
        return None
    return top


def figures_open() -> bool:
    """Whether pyplot holds figures that later calls would draw into."""
    figures = loaded("matplotlib._pylab_helpers")
    return bool(figures is not None and figures.Gcf.figs)
