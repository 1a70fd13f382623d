"""One file per family of types; importing this package registers them all."""

from mlmagic.fingerprint.handlers import (  # noqa: F401
    arrays,
    arrow,
    builtins,
    code,
    estimators,
    figures,
    frames,
    instances,
    tensors,
)
