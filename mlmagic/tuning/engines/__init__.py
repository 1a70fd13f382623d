"""Where trials run: one engine per file. An engine takes tasks and answers with what they say."""

from __future__ import annotations

from mlmagic.errors import UnknownNameError

ENGINES = ("local",)


def check_engine(name: str) -> None:
    """Raises `UnknownNameError` for an engine that there is not."""
    if name not in ENGINES:
        raise UnknownNameError.among("engine", name, ENGINES)
