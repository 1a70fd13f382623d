"""Random state as versions: which generators a cell advanced, and whether it seeded them before drawing.

Seeding writes the state and reads nothing. To see it, the seeding functions of the modules are replaced
by thin wrappers while tracking is on; `RandomWatch.stop` puts the originals back.
"""

from __future__ import annotations

import array
import base64
import functools
import json
import operator
import random
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from xxhash import xxh3_128

from mlmagic._optional import loaded

# module, function, the generators it seeds
_SEEDERS = (
    ("random", "seed", ("random",)),
    ("random", "setstate", ("random",)),
    ("numpy.random", "seed", ("numpy",)),
    ("numpy.random", "set_state", ("numpy",)),
    ("torch", "manual_seed", ("torch.cpu", "torch.cuda")),
    ("torch", "seed", ("torch.cpu", "torch.cuda")),
    ("torch", "set_rng_state", ("torch.cpu",)),
    ("torch.random", "manual_seed", ("torch.cpu", "torch.cuda")),
    ("torch.random", "set_rng_state", ("torch.cpu",)),
    ("torch.cuda", "manual_seed_all", ("torch.cuda",)),
)


def _python_state() -> bytes:
    version, numbers, gauss = random.getstate()
    return array.array("Q", numbers).tobytes() + repr((version, gauss)).encode()


def _numpy_state() -> bytes | None:
    numpy = loaded("numpy.random")
    if numpy is None:
        return None
    state = numpy.get_state(legacy=False)
    inner = state["state"]
    if "key" not in inner:  # another bit generator was set as the global one
        return repr(state).encode()
    return bytes(inner["key"].tobytes()) + repr((inner["pos"], state["has_gauss"], state["gauss"])).encode()


def _torch_state() -> bytes | None:
    torch = loaded("torch")
    if torch is None or not hasattr(torch, "get_rng_state"):  # absent, or still being imported
        return None
    return bytes(torch.get_rng_state().numpy().tobytes())


def _cuda_state() -> bytes | None:
    torch = loaded("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not hasattr(cuda, "is_initialized") or not cuda.is_initialized():
        return None  # asking would initialise CUDA
    return b"".join(state.numpy().tobytes() for state in cuda.get_rng_state_all())


_SOURCES: dict[str, Callable[[], bytes | None]] = {
    "random": _python_state,
    "numpy": _numpy_state,
    "torch.cpu": _torch_state,
    "torch.cuda": _cuda_state,
}


def states() -> dict[str, str]:
    """Digest of each global generator that exists now; loads and initialises nothing."""
    found = {}
    for name, source in _SOURCES.items():
        state = source()
        if state is not None:
            found[name] = xxh3_128(state).hexdigest()
    return found


def dump(name: str) -> str | None:
    """A generator's present state as text that a slice can carry; ``None`` where it has no such form."""
    if name == "random":
        version, numbers, gauss = random.getstate()
        plain: Any = [version, list(numbers), gauss]
    elif name == "numpy":
        kind, key, *rest = loaded("numpy.random").get_state(legacy=True)  # type: ignore[union-attr]
        plain = [str(kind), [int(word) for word in key], int(rest[0]), int(rest[1]), float(rest[2])]
    elif name == "torch.cpu":
        plain = _torch_state().hex()  # type: ignore[union-attr]
    else:
        return None
    return base64.b85encode(zlib.compress(json.dumps(plain).encode())).decode()


class _Seeder:
    """A seeding function that tells before it seeds; pickled, hashed and documented as the function itself."""

    def __init__(self, original: Callable[..., Any], tell: Callable[[], None]) -> None:
        functools.update_wrapper(self, original)  # first: it copies attributes, another wrapper's among them
        self._original = original
        self._tell = tell

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._tell()
        return self._original(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.getitem, ((self._original,), 0)


class RandomWatch:
    """Sees, for the running cell, which generators were seeded before anything was drawn from them."""

    def __init__(self) -> None:
        self.before: dict[str, str] = {}
        self.seeded: set[str] = set()  # seeded, and nothing was drawn before that
        self.drawn: set[str] = set()  # something was drawn before the first seeding
        self._patched: dict[tuple[str, str], tuple[Any, Any]] = {}

    def begin(self) -> None:
        self._patch()
        self.before = states()
        self.seeded.clear()
        self.drawn.clear()

    def end(self) -> dict[str, str]:
        """Generators whose state the cell changed or set, with their digest now."""
        now = states()
        self._patch()
        return {name: digest for name, digest in now.items() if self.before.get(name) != digest}

    def overlook(self, entered: Mapping[str, str]) -> None:
        """Take what happened since the generators were as `entered` for no work of the cell's."""
        for name, digest in states().items():
            if digest != entered.get(name) and self.before.get(name) == entered.get(name):
                self.before[name] = digest

    def was_read(self, name: str, changed: bool) -> bool:
        """Whether the cell drew from the state it found."""
        if name in self.drawn:
            return True
        return changed and name not in self.seeded and name in self.before

    def stop(self) -> None:
        for (module_name, attribute), (original, wrapper) in self._patched.items():
            module = loaded(module_name)
            if module is not None and getattr(module, attribute, None) is wrapper:
                setattr(module, attribute, original)
        self._patched.clear()

    def _patch(self) -> None:
        for module_name, attribute, sources in _SEEDERS:
            module = loaded(module_name)
            if module is None or (module_name, attribute) in self._patched or not hasattr(module, attribute):
                continue
            original = getattr(module, attribute)
            wrapper = _Seeder(original, functools.partial(self._on_seed, sources))
            self._patched[module_name, attribute] = (original, wrapper)
            setattr(module, attribute, wrapper)

    def _on_seed(self, sources: tuple[str, ...]) -> None:
        for source in sources:
            if source not in self.seeded and source not in self.drawn:
                state = _SOURCES[source]()
                known = self.before.get(source)
                drew = state is not None and known is not None and xxh3_128(state).hexdigest() != known
                (self.drawn if drew else self.seeded).add(source)
