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
import sys
import zlib
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from xxhash import xxh3_128

from mlmagic._optional import loaded
from mlmagic.capture.modules import is_installed

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


# Where seeds come from if nobody gives one: the system's own entropy.
_ENTROPY = (
    ("os", "urandom"),
    ("random", "_urandom"),
    ("numpy.random", "default_rng"),
)
# Packages that draw names for messages and temporary files; what a cell computes does not depend on them.
_NAMERS = frozenset("jupyter_client IPython ipykernel zmq comm ipywidgets tempfile multiprocessing joblib".split())


class _Seeder:
    """A seeding function that tells before it seeds; pickled, hashed and documented as the function itself."""

    def __init__(
        self, original: Callable[..., Any], tell: Callable[[tuple[Any, ...]], None], home: str, name: str
    ) -> None:
        functools.update_wrapper(self, original)  # first: it copies attributes, another wrapper's among them
        self._original = original
        self._tell = tell
        self._name: str = name
        self.__module__ = home

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._tell(args or tuple(kwargs.values()))
        return self._original(*args, **kwargs)

    def __reduce__(self) -> str | tuple[Any, ...]:
        if getattr(loaded(self.__module__), self._name, None) is self:
            return str(self._name)  # by its place: another process finds its own there
        return operator.getitem, ((self._original,), 0)


class RandomWatch:
    """Sees, for the running cell, which generators were seeded before anything was drawn from them."""

    def __init__(self) -> None:
        self.before: dict[str, str] = {}
        self.seeded: set[str] = set()  # seeded, and nothing was drawn before that
        self.drawn: set[str] = set()  # something was drawn before the first seeding
        self.entropy: set[str] = set()  # the system's entropy was drawn by the cell, through these
        self.by_import: set[str] = set()  # drawn by a package while it was being imported
        self.seeds: dict[str, str] = {}  # generator -> what it was seeded with last, in words
        self._patched: dict[tuple[str, str], tuple[Any, Any]] = {}

    def begin(self) -> None:
        self._patch()
        self.before = states()
        self.seeded.clear()
        self.drawn.clear()
        self.entropy.clear()
        self.by_import.clear()

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
            self._replace(module, module_name, attribute, functools.partial(self._on_seed, sources))
        for module_name, attribute in _ENTROPY:
            module = loaded(module_name)
            if module is not None and (module_name, attribute) not in self._patched and hasattr(module, attribute):
                tell = functools.partial(self._on_entropy, f"{module_name}.{attribute}")
                self._replace(module, module_name, attribute, tell)

    def _replace(self, module: Any, module_name: str, attribute: str, tell: Callable[[tuple[Any, ...]], None]) -> None:
        original = getattr(module, attribute)
        wrapper = _Seeder(original, tell, module_name, attribute)
        self._patched[module_name, attribute] = (original, wrapper)
        setattr(module, attribute, wrapper)

    def _on_entropy(self, name: str, args: tuple[Any, ...]) -> None:
        seeded = name == "numpy.random.default_rng" and args and args[0] is not None
        if not seeded and name not in self.entropy and not _is_bookkeeping(name):
            self.entropy.add(name)

    def _on_seed(self, sources: tuple[str, ...], args: tuple[Any, ...]) -> None:
        given = args[0] if args else None
        seed = f"seed {given!r}" if type(given) in (int, str) else "a state" if args and given is not None else None
        if seed is None:
            self.entropy.add(f"{sources[0]}: a seed from the system")
        for source in sources:
            self.seeds[source] = seed or "no seed"
            if source not in self.seeded and source not in self.drawn:
                state = _SOURCES[source]()
                known = self.before.get(source)
                drew = state is not None and known is not None and xxh3_128(state).hexdigest() != known
                (self.drawn if drew else self.seeded).add(source)


def _is_bookkeeping(name: str) -> bool:
    """Whether entropy is drawn by a package for its own purposes: while it is imported, or for a name (uuid).

    NumPy's is the seed of a generator, whoever asks for it.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        top = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if top in _NAMERS:
            return True
        if top == "__main__":
            return False
        if top not in sys.stdlib_module_names and not name.startswith("numpy") and top != "mlmagic":
            return is_installed(frame.f_code.co_filename)
        frame = frame.f_back
    return False


def hold() -> Callable[[], None]:
    """Take note of Python's and NumPy's generators; calling what is returned puts them back where they were moved."""
    before, python = states(), random.getstate()
    numpy = loaded("numpy.random")
    arrays = numpy.get_state() if numpy is not None else None

    def put_back() -> None:
        now = states()
        if now["random"] != before["random"]:
            random.setstate(python)
        if arrays is not None and now.get("numpy") != before.get("numpy"):
            numpy.set_state(arrays)  # type: ignore[union-attr]

    return put_back


_SETTERS: dict[str, Callable[[Any], None]] = {
    "random": lambda plain: random.setstate((plain[0], tuple(plain[1]), plain[2])),
    "numpy": lambda plain: loaded("numpy.random").set_state(  # type: ignore[union-attr]
        (plain[0], loaded("numpy").array(plain[1], "uint32"), *plain[2:])  # type: ignore[union-attr]
    ),
    "torch.cpu": lambda plain: loaded("torch").set_rng_state(  # type: ignore[union-attr]
        loaded("torch").frombuffer(bytearray.fromhex(plain), dtype=loaded("torch").uint8)  # type: ignore[union-attr]
    ),
}


def restore(name: str, text: str) -> None:
    """Put a generator into the state that `dump` told; its package is loaded."""
    _SETTERS[name](json.loads(zlib.decompress(base64.b85decode(text))))
