"""What a cache must know of a run: all that it depended on, by content, and what speaks against repeating it.

Comes in: a running cell's facts, reach and watches. Goes out: plain values, for `cache` to compare and to keep.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from mlmagic._optional import loaded
from mlmagic.analysis import CellFacts, CodeFacts
from mlmagic.records import WriteHow


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason why a cell's results cannot be used again: what it does, and what would cure it."""

    what: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.what}; {self.cure}" if self.cure else self.what


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of a cell's inputs before it runs.

    Attributes
    ----------
    source_hash : str
        Of its code, without comments and layout.
    variables : mapping of str to str or None
        Fingerprint of every variable it could read; ``None``: opaque.
    sharing : str or None
        Digest of what these share with each other; ``None``: cannot be told.
    """

    source_hash: str
    variables: Mapping[str, str | None]
    sharing: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run depended on besides its `Inputs`, and what it left behind besides variables.

    Files are named relative to the project where they lie inside. Contents are digests.

    Attributes
    ----------
    also : mapping
        Variables it used without its text saying so -> fingerprint.
    files, absent, folders
        Files it read -> content; paths where it found nothing; folders it listed -> names in them.
    random : mapping
        Random generators it drew from -> their state before.
    modules : mapping
        Local modules it reached -> content before it ran.
    packages : frozenset of str
        Installed packages that its code and values belong to.
    loaded : frozenset of str
        Modules and packages that it loaded, by their first name.
    environment : mapping
        Environment variables it asked for.
    folder : str or None
        The working folder, where relative paths were used.
    written, removed, made
        Files it wrote -> content; files it removed; folders it made.
    random_after : mapping
        Random generators it advanced or seeded -> their state afterwards.
    hows : mapping
        Variables it wrote -> how.
    lost : tuple of str
        Variables that it read and bound anew or deleted, and whose earlier object nobody else holds: whether it also
        changed that object cannot be seen.
    obstacles : tuple of Obstacle
        Why it cannot be done from memory; empty where it can.
    """

    also: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)
    random: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str | None] = field(default_factory=dict)
    packages: frozenset[str] = frozenset()
    loaded: frozenset[str] = frozenset()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    folder: str | None = None
    written: Mapping[str, str | None] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    random_after: Mapping[str, str] = field(default_factory=dict)
    hows: Mapping[str, WriteHow] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()


@dataclass(frozen=True, slots=True)
class Present:
    """What there is now, for comparison with what an earlier run depended on.

    Attributes
    ----------
    inputs : Inputs
        Of the cell that is about to run.
    variable : callable
        Name -> fingerprint of any variable, ``None`` where it is opaque or not there.
    details : callable
        Name -> what may be told of a variable's value.
    random, seeds : mapping
        Generator -> state; -> what it was seeded with last, in words.
    module : callable
        Local module -> content, ``None`` where it is not loaded.
    setting : callable
        Package -> digest of its settings.
    environment : mapping
        Environment variable -> digest.
    root : Path
        The project's folder.
    """

    inputs: Inputs
    variable: Callable[[str], str | None]
    details: Callable[[str], Mapping[str, Any]]
    random: Mapping[str, str]
    seeds: Mapping[str, str]
    module: Callable[[str], str | None]
    setting: Callable[[str], str | None]
    environment: Mapping[str, str]
    root: Path


# -- what the text and the code behind it say ----------------------------------------------------

# Where answers differ from run to run: module -> the names in it that give them.
_CHANGING = {
    "time": "time time_ns perf_counter perf_counter_ns monotonic monotonic_ns process_time process_time_ns "
    "thread_time thread_time_ns localtime gmtime ctime strftime asctime clock_gettime",
    "timeit": "timeit repeat default_timer Timer",
    "uuid": "uuid1 uuid4",
    "os": "getpid getppid times getloadavg cpu_count getlogin stat lstat",
    "sys": "path modules argv meta_path path_hooks path_importer_cache getrefcount",
    "secrets": "token_bytes token_hex token_urlsafe choice randbelow randbits SystemRandom",
    "random": "SystemRandom",
    "threading": "get_ident get_native_id",
    "platform": "node uname",
    "psutil": "virtual_memory cpu_percent Process",
    "resource": "getrusage",
    "getpass": "getpass getuser",
}
_CHANGING_NAMES = {module: frozenset(names.split()) for module, names in _CHANGING.items()}
_CLOCKS = frozenset({"now", "utcnow", "today", "getmtime", "getctime", "getatime", "st_mtime", "st_ctime"})
_NOW = frozenset({"now", "today"})  # what pandas and NumPy take for the clock's time
_DATES = frozenset({"Timestamp", "to_datetime", "datetime64", "date_range", "Period"})
_ASKING = frozenset("exists isfile is_file isdir is_dir getsize".split())
_INPUT = frozenset({"input", "getpass", "breakpoint", "raw_input"})
_ORIGINAL_STREAMS = frozenset({"__stdout__", "__stderr__"})
_IDENTITY = frozenset({"id", "hash"})
_NETWORK = ("http://", "https://", "s3://", "gs://", "ftp://", "hf://", "abfs://", "azure://")
_FILE_WORDS = ("read", "load", "open", "scan", "write", "save", "dump", "to_", "mkdir", "remove", "unlink", "rename")


@dataclass(frozen=True, slots=True)
class Code:
    """A cell's own text and the code that it can reach: functions and classes of the notebook, local modules."""

    facts: CellFacts
    behind: CodeFacts
    unseeded: bool = False  # it makes a generator that the system seeds
    writes_unseen: bool = False  # it writes to a file descriptor
    uses_sets: bool = False  # it goes through a set, or hashes
    imported: frozenset[str] = frozenset()  # "module.name" of what it imports from modules

    @property
    def attributes(self) -> frozenset[str]:
        return self.facts.attributes | self.behind.attributes

    @property
    def names(self) -> frozenset[str]:
        own = frozenset(self.facts.loads) | frozenset(self.facts.called) | self.facts.binds
        return own | self.behind.loads

    @property
    def imports(self) -> frozenset[str]:
        return self.facts.imports | self.behind.imports

    @property
    def strings(self) -> tuple[str, ...]:
        return (*self.facts.strings, *self.behind.strings)


def obstacles_in_text(code: Code, namespace: Mapping[str, Any]) -> Iterator[Obstacle]:
    """Reasons that the text and the code behind it give."""
    facts = code.facts
    if facts.error:
        yield Obstacle("its code does not parse")
    for name in sorted(facts.magics):
        what = "it runs a shell command (!)" if name == "!" else f"it uses the magic %{name}"
        yield Obstacle(what, "put that into a cell of its own")
    if facts.awaits:
        yield Obstacle("it awaits, and what happens meanwhile is not its own")
    if facts.star_imports:
        yield Obstacle("it has a star import", "name what it imports")
    if any(_is_ours(namespace.get(name)) for name in code.names) or "mlmagic" in {
        name.partition(".")[0] for name in code.imports
    }:
        yield Obstacle("it asks mlmagic itself")
    if "reload" in code.attributes | code.names:
        yield Obstacle("it loads a module anew (reload)", "put that into a cell of its own")
    yield from _changing(code, namespace)
    if code.unseeded:
        yield Obstacle("unseeded randomness (a random generator is made without a seed)", "give it a seed")
    streams = _ORIGINAL_STREAMS & code.attributes
    if streams or code.writes_unseen:
        yield Obstacle(f"it prints where nobody sees it ({min(streams, default='os.write')})", "use print")
    asked = _ASKING & code.attributes
    if asked:
        yield Obstacle(f"it asks the file system ({sorted(asked)[0]})", "put the question into a cell of its own")


def _is_ours(value: Any) -> bool:
    home = value.__name__ if issubclass(type(value), ModuleType) else getattr(value, "__module__", None)
    return issubclass(type(value), (ModuleType, FunctionType)) and str(home).partition(".")[0] == "mlmagic"


def _changing(code: Code, namespace: Mapping[str, Any]) -> Iterator[Obstacle]:
    """Clocks, identities, input: where the answer is another one each time."""
    asked = _INPUT & code.names - namespace.keys()
    if asked:
        yield Obstacle(f"it asks for input ({sorted(asked)[0]})", "put the question into a cell of its own")
    addresses = _IDENTITY & code.names - namespace.keys() - code.facts.binds
    if addresses:
        yield Obstacle(f"it asks for {sorted(addresses)[0]}(), another number in each process")
    clocks = sorted({*_from_modules(code, namespace), *(f".{name}" for name in _CLOCKS & code.attributes)})
    if _DATES & code.attributes and _NOW & set(code.strings):
        clocks.append("the time now")
    if clocks:
        yield Obstacle(f"it reads the clock or the system ({clocks[0]})", "read it in a cell of its own")


def _from_modules(code: Code, namespace: Mapping[str, Any]) -> Iterator[str]:
    imported = {name.partition(".")[0] for name in code.imports}
    for name in code.names:
        value: Any = namespace.get(name)
        if issubclass(type(value), ModuleType):
            imported.add(value.__name__)
        elif value is not None and type(value) in _FUNCTIONS and _is_changing(value):
            yield f"{value.__module__}.{value.__name__}"
    if "getattr" in code.names and imported & _CHANGING_NAMES.keys():
        yield "getattr of a module"
    for dotted in code.imported:
        module, _, name = dotted.rpartition(".")
        if name in _CHANGING_NAMES.get(module, ()):
            yield dotted
    for module in imported & _CHANGING_NAMES.keys():
        yield from (f"{module}.{name}" for name in _CHANGING_NAMES[module] & code.attributes)


_FUNCTIONS = (type(len), FunctionType, type)


def _is_changing(value: Any) -> bool:
    return str(value.__name__) in _CHANGING_NAMES.get(str(value.__module__), ())


# -- what was seen while it ran -------------------------------------------------------------------


def obstacles_outside(processes: set[str], outside: set[str], entropy: set[str], code: Code) -> Iterator[Obstacle]:
    """Reasons that the interpreter's own events gave."""
    if "the network" in outside or any(text.startswith(_NETWORK) for text in code.strings):
        yield Obstacle("it uses the network", "save what it fetches to a file, in a cell of its own")
    for what in sorted(outside - {"the network"}):
        yield Obstacle(f"it reaches outside the notebook ({what})")
    if "another process" in processes:
        yield Obstacle("it starts another process")
    workers = "joblib" in processes or _pool_is_alive()
    words = sorted(name for name in code.attributes | code.names if name.startswith(_FILE_WORDS))
    if workers and words:
        yield Obstacle(f"its worker processes may use files unseen ({words[0]})", "use n_jobs=1, or split the cell")
    for what in sorted(entropy):
        yield Obstacle(f"unseeded randomness ({what})", "give it a seed")


def _pool_is_alive() -> bool:
    """Whether joblib's processes are there, to which work goes without a new process being started."""
    executor = loaded("joblib.externals.loky.reusable_executor")
    return getattr(executor, "_executor", None) is not None


def dropped_calls(
    code: Code,
    shown: bool,
    namespace: Mapping[str, Any],
    written: set[str],
    visible: bool,
    settled: set[str],
    changed: set[str],
) -> Iterator[Obstacle]:
    """Calls and stores whose effect nobody saw: their value is dropped, and nothing in sight has changed.

    Parameters
    ----------
    shown
        The last expression's value was shown, hence not dropped.
    written
        Variables that the cell changed.
    visible
        It printed, showed, drew or wrote files.
    settled, changed
        Packages whose settings are known to be as before; and those whose settings changed.
    """
    effects = code.facts.effects if shown else code.facts.effects | code.facts.last_effects
    for path in sorted(effects):
        root = path.partition(".")[0]
        if root in written or root in code.facts.binds:
            continue
        value = namespace.get(root, getattr(builtins, root, None))
        if issubclass(type(value), ModuleType) and value.__name__.partition(".")[0] in changed:
            continue  # told already
        if _is_hidden(path, value, visible, settled):
            yield Obstacle(f"{path}(…) drops its value and changed nothing in sight", "put it into a cell of its own")


# Calls of the standard library whose effect is seen: files, lists, generators, time passing.
_SEEN = frozenset("json pickle csv random heapq bisect pprint shutil gc copy zipfile tarfile gzip pathlib".split())
_SEEN_CALLS = frozenset(
    "time.sleep os.makedirs os.mkdir os.remove os.unlink os.rename os.replace".split(),
)
_STREAMS = ("sys.stdout.", "sys.stderr.")


def _is_hidden(path: str, value: Any, visible: bool, settled: set[str]) -> bool:
    if issubclass(type(value), ModuleType):
        top = value.__name__.partition(".")[0]
        if top in sys.stdlib_module_names:
            call = f"{value.__name__}.{path.rpartition('.')[2]}"
            seen = top in _SEEN or call in _SEEN_CALLS or path.startswith(_STREAMS)
            return not (visible and seen) and call != "time.sleep"
        return top not in settled
    if issubclass(type(value), (FunctionType, type)):
        home = str(value.__module__).partition(".")[0]
        if home not in ("__main__", "builtins") and home not in _SEEN:
            return home not in settled and not visible
    return not visible
