"""Keeping converters quiet: what they print, log and warn of is not for the user."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Iterator

_LOCK = threading.RLock()  # streams and levels belong to the process: two exports at once would put back each other's
_LOGGERS = ("skl2onnx", "onnxmltools", "onnxscript", "onnx_ir", "torch", "torch.export", "torch.fx", "torch.onnx")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing is printed, logged or warned of within; everything is as before after it."""
    with _LOCK, _silenced():
        yield


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    kept = {name: logging.getLogger(name).level for name in _LOGGERS}
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        for name in kept:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for name, level in kept.items():
                logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def unwarned() -> Iterator[None]:
    """No warnings within: a model that is asked about odd rows may remark on them."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
