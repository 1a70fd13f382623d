"""The step from a stored random state to code that brings it back: JSON in, text that fits into a script out.

The states, as JSON:

- `random`: `[version, [integers], gauss_next]`, what `random.getstate()` gives;
- `numpy`: `["MT19937", [624 integers], pos, has_gauss, cached_gaussian]`, what `numpy.random.get_state()` gives;
- `torch.cpu`: the bytes of `torch.get_rng_state()` as hexadecimal text.

No pickle: a script must be readable, and must run nothing but what it shows.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from mlmagic.errors import UnknownNameError

HELPER = '''\
def _restore_random_state(name, blob):
    """Bring back the state a random generator had before the next cell drew from it."""
    import base64, json, zlib

    state = json.loads(zlib.decompress(base64.b85decode(blob)))
    if name == "random":
        import random

        random.setstate((state[0], tuple(state[1]), state[2]))
    elif name == "numpy":
        import numpy

        numpy.random.set_state((state[0], numpy.array(state[1], dtype="uint32"), *state[2:]))
    elif name == "torch.cpu":
        import torch

        torch.set_rng_state(torch.tensor(list(bytes.fromhex(state)), dtype=torch.uint8))'''

RESTORABLE = frozenset({"random", "numpy", "torch.cpu"})  # what HELPER can bring back
_WIDTH = 96


def encode_state(name: str, state: Any) -> str:
    """The state as base85 text without quotes or backslashes.

    Parameters
    ----------
    name
        `random`, `numpy` or `torch.cpu`.
    state
        The JSON form of this module's description; tuples count as lists.

    Raises
    ------
    UnknownNameError
        No script could bring back a generator of that name.
    """
    if name not in RESTORABLE:
        raise UnknownNameError.among("random generator", name, sorted(RESTORABLE))
    plain = json.dumps(state, separators=(",", ":"))
    return base64.b85encode(zlib.compress(plain.encode(), 9)).decode("ascii")


def decode_state(blob: str) -> Any:
    """The state that `encode_state` was given, with lists for tuples."""
    return json.loads(zlib.decompress(base64.b85decode(blob)))


def restore_call(name: str, blob: str) -> str:
    """The statement that restores the state, with the blob in lines of bearable length."""
    pieces = [blob[start : start + _WIDTH] for start in range(0, len(blob), _WIDTH)]
    inside = "\n".join(f'    "{piece}"' for piece in pieces)
    return f'_restore_random_state("{name}", (\n{inside}\n))'
