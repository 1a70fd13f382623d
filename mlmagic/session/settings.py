"""What a user may set with ``%config MLMagic.…``, in ``ipython_config.py`` or by ``MLMAGIC_…`` variables."""

from __future__ import annotations

import os
from typing import Any

from traitlets import Bool, Enum, Float, Int, TraitError, Unicode, default
from traitlets.config import Configurable


class MLMagic(Configurable):
    """Settings of mlmagic. Environment variables of the same names (``MLMAGIC_HOME``, …) give the defaults."""

    home = Unicode(help="The project directory; empty: `.mlmagic` in the kernel's working directory.").tag(config=True)
    track = Bool(help="Record every cell. `%mlmagic off` and `on` switch it.").tag(config=True)
    reuse = Enum(
        ["auto", "on", "off", "verify"],
        help="Which cells take their results from earlier runs: auto (those under `%%track`), on (every cell), off, "
        "verify (every cell, computed anew and compared).",
    ).tag(config=True)
    reuse_min_seconds = Float(
        None,
        allow_none=True,
        help="Keep every cell that took at least as long; None: those where it pays.",
    ).tag(config=True)
    object_limit = Int(
        help="Objects of one value looked at one by one before its content counts as unknown.", min=1
    ).tag(config=True)
    patience = Float(help="Seconds to wait for other processes that hold the project's database.", min=0.0).tag(
        config=True
    )

    @default("home")
    def _home(self) -> str:
        return os.environ.get("MLMAGIC_HOME", "")

    @default("track")
    def _track(self) -> bool:
        return os.environ.get("MLMAGIC_TRACK", "1").lower() not in ("0", "false", "no", "off")

    @default("reuse")
    def _reuse(self) -> str:
        return os.environ.get("MLMAGIC_REUSE", "auto").lower()

    @default("reuse_min_seconds")
    def _reuse_min_seconds(self) -> float | None:
        return _number("MLMAGIC_REUSE_MIN_SECONDS", 0.0) if os.environ.get("MLMAGIC_REUSE_MIN_SECONDS") else None

    @default("object_limit")
    def _object_limit(self) -> int:
        return int(_number("MLMAGIC_OBJECT_LIMIT", 1_000_000))

    @default("patience")
    def _patience(self) -> float:
        return _number("MLMAGIC_PATIENCE", 20.0)


def _number(variable: str, otherwise: float) -> float:
    text = os.environ.get(variable)
    if text is None:
        return otherwise
    try:
        return float(text)
    except ValueError:
        raise TraitError(f"{variable} must be a number, not {text!r}") from None


def settings(parent: Any = None) -> MLMagic:
    """The settings, from `parent`'s configuration (the shell) where there is one."""
    return MLMagic(parent=parent) if parent is not None else MLMagic()
